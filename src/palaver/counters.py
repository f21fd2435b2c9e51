"""Exact counters, by tokenizers of the providers: tiktoken (extra `tokens`), mistral_common (extra `tokens-mistral`).

They count text, calls and results by the tokenizer, and estimate the rest: media, and what a wire adds, for which no
provider publishes a rule. Their libraries are imported when a counter is made, and never before.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from palaver.errors import CounterUnavailable
from palaver.tokens import Counter, by_text

__all__ = ["mistral", "openai"]


def openai(name: str = "o200k_base") -> Counter:
    """A counter for OpenAI's models, by the name of an encoding (`o200k_base`, `cl100k_base`) or of a model (`gpt-4o`).

    Raises CounterUnavailable where tiktoken is not installed or cannot get its vocabulary: it downloads that once, and
    keeps it in the directory that TIKTOKEN_CACHE_DIR names. Raises ValueError for a name that it does not know.
    """
    try:
        import tiktoken
    except ImportError as error:
        msg = "counting as OpenAI does needs tiktoken: pip install 'palaver[tokens]'"
        raise CounterUnavailable(msg) from error
    try:
        known = name in tiktoken.list_encoding_names()
        encoding = tiktoken.get_encoding(name) if known else tiktoken.encoding_for_model(name)
    except KeyError:
        names = ", ".join(tiktoken.list_encoding_names())
        msg = f"tiktoken knows no model or encoding {name!r}; give one of {names}, or a model of OpenAI's"
        raise ValueError(msg) from None
    except OSError as error:  # requests raises its own kinds of it
        msg = (
            f"tiktoken could not get the vocabulary for {name!r}: it downloads that once, from "
            "openaipublic.blob.core.windows.net. Make the counter once where there is a network, with "
            "TIKTOKEN_CACHE_DIR set to a directory that stays, and set the same here; "
            "or bring another tokenizer with palaver.tokens.by_text"
        )
        raise CounterUnavailable(msg) from error

    def count(text: str) -> int:
        # What looks like a control token is text that somebody wrote; a lone surrogate is no text at all.
        return len(encoding.encode_ordinary(text.encode("utf-8", "replace").decode()))

    return by_text(count)


def mistral(path: str | Path | None = None) -> Counter:
    """A counter for Mistral's models, by the Tekken tokenizer that mistral_common brings along; it needs no network.

    `path` is the tokenizer file of another model (`tekken.json`, or a SentencePiece model, for which `sentencepiece`
    has to be installed). Raises CounterUnavailable where a library is not installed or the file cannot be read.
    """
    try:
        tokenizers: Any = importlib.import_module("mistral_common.tokens.tokenizers.mistral")
        exceptions: Any = importlib.import_module("mistral_common.exceptions")
    except ImportError as error:
        msg = "counting as Mistral does needs mistral-common: pip install 'palaver[tokens-mistral]'"
        raise CounterUnavailable(msg) from error
    maker = tokenizers.MistralTokenizer
    try:
        made = maker.v3(is_tekken=True) if path is None else maker.from_file(str(path))
    except (ImportError, OSError, ValueError, RuntimeError, exceptions.MistralCommonException) as error:
        where = "that mistral-common brings along" if path is None else f"in {str(path)!r}"
        msg = f"mistral-common could not load the tokenizer {where}: {error}"
        raise CounterUnavailable(msg) from error
    encode: Callable[..., list[int]] = made.instruct_tokenizer.tokenizer.encode

    def count(text: str) -> int:
        return len(encode(text.encode("utf-8", "replace").decode(), bos=False, eos=False))

    return by_text(count)
