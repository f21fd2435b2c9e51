"""From text to words: the only way that text is cut, whether it is stored, looked for or shown.

Words are runs of letters and digits, without case, accents or compatibility forms. Scripts that are written without
spaces (Chinese, Japanese, Korean, Thai and their neighbours) are cut into single characters, and so are emoji: what is
looked for in them is found as a phrase of characters, wherever it begins.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from itertools import islice

from palaver.model import AudioPart, FilePart, ImagePart, Message, Part, TextPart, ToolCall, ToolResult
from palaver.rows import COPY, UNSEEN

__all__ = ["WORDS_VERSION", "is_searchable", "searched_text", "words", "words_of"]

WORDS_VERSION = 1
"""Raised when the same text gives other words: indexes of another version are built anew."""

MAX_TEXT = 200_000
"""Characters of a message that are searched; beyond them it is data rather than something said."""
MAX_WORD = 64
"""Characters of a word that count: what is longer is encoded data, and found by how it begins."""

# Han with its radicals and marks, kana, bopomofo, hangul; Thai, Lao, Burmese, Khmer; symbols and emoji.
_SINGLE = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    r"\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\U0001b000-\U0001b16f\u3100-\u312f\u31a0-\u31bf"
    r"\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7a3"
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    r"\u2600-\u27bf\U0001f000-\U0001faff"
)
_ONE = re.compile(f"[{_SINGLE}]")
_WORD = re.compile(rf"[^\W_{_SINGLE}]+|[{_SINGLE}]")
_ASCII = re.compile("[a-z0-9]+")
_ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}")


def is_searchable(kind: int) -> bool:
    """Whether messages of this `Kind` are found: copies are where they were said, hidden ones and commands are not."""
    return not kind & (COPY | UNSEEN)


def searched_text(message: Message) -> str:
    """What of a message is searched: its text, the calls that it makes, what tools answered, names of files.

    In composed form (NFC), which is what excerpts show. Reasoning and content that is no text are left out.
    """
    pieces: list[str] = []
    for part in message.parts:
        _collect(part, pieces)
    text = "\n".join(pieces)[:MAX_TEXT]
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _collect(part: Part, pieces: list[str]) -> None:
    if isinstance(part, TextPart):
        pieces.append(part.text)
    elif isinstance(part, ToolCall):
        pieces.append(f"{part.name} {_readable(part.arguments)}")
    elif isinstance(part, ToolResult):
        for each in part.parts:
            _collect(each, pieces)
    elif isinstance(part, (ImagePart, AudioPart, FilePart)) and part.name:
        pieces.append(part.name)


def _readable(arguments: str) -> str:
    """Arguments in the characters that they stand for: most clients write all but ASCII as escapes."""
    if not _ESCAPED.search(arguments):
        return arguments
    try:
        text = json.dumps(json.loads(arguments), ensure_ascii=False)
        text.encode()
    except (ValueError, RecursionError):  # models write what is no JSON, and half of a character
        return arguments
    return text


def words_of(text: str) -> list[str]:
    """The words of a text, in order."""
    if text.isascii():
        return [word[:MAX_WORD] for word in _ASCII.findall(text.lower())]
    return [word for found in _WORD.findall(text) if (word := _folded(found[:MAX_WORD]))]


def words(text: str) -> list[tuple[str, int, int]]:
    """The same with where each begins and ends in the text."""
    if text.isascii():
        found = _ASCII.finditer(text.lower())
        return [(m.group()[:MAX_WORD], m.start(), m.end()) for m in found]
    spans = ((_folded(m.group()[:MAX_WORD]), m.start(), m.end()) for m in _WORD.finditer(text))
    return [span for span in spans if span[0]]


@lru_cache(maxsize=1 << 15)
def _folded(found: str) -> str:
    """A word without case and accents; nothing for what is only punctuation among the single characters."""
    if _ONE.fullmatch(found):
        if unicodedata.category(found)[0] in "PZC":
            return ""
        plain = unicodedata.normalize("NFKC", found).casefold()
        return plain if plain.isalnum() or not plain.isascii() else ""
    plain = unicodedata.normalize("NFKD", found.casefold()).casefold()
    # Again cut: one character may stand for many.
    return "".join(islice((c for c in plain if c.isalnum()), MAX_WORD))
