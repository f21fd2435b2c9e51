"""Counters: what a caller brings, the two that Palaver makes, and their errors where they cannot be had."""

from __future__ import annotations

import builtins
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import (
    CounterUnavailable,
    ImagePart,
    Message,
    Opaque,
    ThinkingPart,
    ToolCall,
    assistant,
    counters,
    tool,
    user,
)
from palaver.tokens import Counter, by_text, counted, estimate_tokens


def letters(text: str) -> int:
    """A tokenizer of one letter to a token."""
    return len(text)


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        (user("hello"), 4 + 5),
        (user(["hello", ImagePart(url="https://images.test/1.png")]), 4 + 5 + 1000),
        (assistant("hm", ToolCall(name="read", arguments="{}")), 4 + 2 + 4 + 4 + 2),
        (tool("a", ["one", "two"]), 4 + 6),
        (assistant(ThinkingPart(text="well", signature="x" * 999)), 4 + 4),
        (assistant(ThinkingPart(signature="x" * 16)), 4 + 3),
        (assistant(Opaque(wire="google", data="[1]")), 4 + 3),
        (user("hello", tokens=99), 4 + 5),
    ],
)
def test_a_tokenizer_of_text_makes_a_counter(message: Message, tokens: int) -> None:
    """Text, calls and results by the tokenizer; the rest as it is estimated. An old count is not asked."""
    assert by_text(letters)(message) == tokens


def test_counted_sets_the_size_of_a_message() -> None:
    """By a counter, or by the estimate, and nothing else of the message changes."""
    message = user("hello", id="m1")
    assert counted(message, lambda m: len(m.text)) == message.replace(tokens=5)
    assert counted(message.replace(tokens=99)).tokens == estimate_tokens(message)


@pytest.mark.parametrize(("given", "error"), [(-1, ValueError), (None, TypeError), (2.5, TypeError), (True, TypeError)])
def test_a_counter_that_gives_no_number_is_refused(given: Any, error: type[Exception]) -> None:
    """What would make budgets meaningless is found at the door, with what the counter gave."""
    with pytest.raises(error, match="the counter gave"):
        counted(user("hello"), lambda _: given)


def test_a_window_goes_by_what_was_counted() -> None:
    """Counted messages are stored with their size, and windows fill up by it."""
    with palaver.open("memory://") as sessions:
        session = sessions.create()
        for number in range(6):
            session.append(counted(user(f"question {number}"), lambda _: 100))
        window = session.history(max_tokens=300)
        assert [m.text for m in window.messages] == ["question 3", "question 4", "question 5"]
        assert window.tokens == 300


def test_mistral_counts_with_what_its_library_brings() -> None:
    """Real tokens, without a network; special tokens in a text are text; a lone surrogate is counted as something."""
    counter: Counter = counters.mistral()
    assert counter(user("Hello world")) == 4 + 2
    assert counter(user("<s>[INST]")) > 4 + 2
    assert counter(user("a\ud800b")) > 4
    assert counter(user("")) == 4


def test_a_tokenizer_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says which file."""
    with pytest.raises(CounterUnavailable, match=r"no\.json"):
        counters.mistral(tmp_path / "no.json")


@pytest.mark.parametrize(
    ("make", "library", "extra"),
    [(counters.openai, "tiktoken", "palaver[tokens]"), (counters.mistral, "mistral_common", "palaver[tokens-mistral]")],
)
def test_a_library_that_is_not_installed_is_named(
    make: Any, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the extra that brings it."""
    original = builtins.__import__

    def absent(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return original(name, *rest, **named)

    for name in list(sys.modules):
        if name.partition(".")[0] == library:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(CounterUnavailable) as caught:
        make()
    assert extra in str(caught.value)
    assert isinstance(caught.value.__cause__, ImportError)


def test_openai_without_its_vocabulary_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Offline and with an empty cache: what is missing, where it comes from, and what to set."""
    tiktoken: Any = import_module("tiktoken")
    load: Any = import_module("tiktoken.load")
    registry: Any = import_module("tiktoken.registry")

    def unreachable(path: str) -> bytes:
        raise ConnectionError(path)

    monkeypatch.setattr(registry, "ENCODINGS", {})
    monkeypatch.setattr(load, "read_file", unreachable)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("o200k_base", "gpt-4o"):
        with pytest.raises(CounterUnavailable, match="TIKTOKEN_CACHE_DIR") as caught:
            counters.openai(name)
        assert isinstance(caught.value.__cause__, ConnectionError)
    with pytest.raises(ValueError, match="no model or encoding 'a-model-nobody-knows'"):
        counters.openai("a-model-nobody-knows")
    assert "o200k_base" in tiktoken.list_encoding_names()


def test_openai_counts_with_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the smallest vocabulary that there can be: one token for each byte."""
    tiktoken: Any = import_module("tiktoken")
    registry: Any = import_module("tiktoken.registry")
    made = tiktoken.Encoding(
        "cl100k_base",
        pat_str=r"\w+|\W+",
        mergeable_ranks={bytes((byte,)): byte for byte in range(256)},
        special_tokens={"<|endoftext|>": 256},
    )
    monkeypatch.setattr(registry, "ENCODINGS", {"cl100k_base": made})
    for name in ("cl100k_base", "gpt-4"):
        counter = counters.openai(name)
        assert counter(user("Привет")) == 4 + 12
        assert counter(user("<|endoftext|>")) == 4 + 13
        assert counter(user("a\ud800b")) == 4 + 3


def test_importing_counters_imports_no_tokenizer() -> None:
    """A program that never counts pays nothing, and works where nothing is installed."""
    code = "import sys, palaver.counters; sys.exit(bool({'tiktoken', 'mistral_common'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
