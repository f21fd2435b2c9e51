"""What the modules of this wire share: key spellings, JSON text, and what beside the typed fields comes back.

Every key has two spellings, and the service takes both (https://protobuf.dev/programming-guides/json/). A part's
`layout` lists the keys that came in snake_case, then words of the part's own.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from palaver.codec import clean_text, json_text
from palaver.formats.wire import is_array, is_object

__all__ = [
    "BASE64",
    "LONE",
    "MAX_DEPTH",
    "NOTHING",
    "SIGNATURE",
    "SNAKE",
    "WIRE",
    "Taken",
    "compact",
    "has_halves",
    "kept",
    "loaded",
    "signature_of",
    "words_of",
]

WIRE: Final = "google"
SIGNATURE: Final = "thoughtSignature"

NOTHING: Final = object()
"""What is spelled where nothing can be: null is an entry like any other."""

SNAKE: Final = {
    "functionCall": "function_call",
    "functionResponse": "function_response",
    "inlineData": "inline_data",
    "fileData": "file_data",
    "mimeType": "mime_type",
    "fileUri": "file_uri",
    "displayName": "display_name",
    SIGNATURE: "thought_signature",
}

MAX_DEPTH = 140
"""Deepest nesting in arguments or an answer: a whole message may have 150 levels."""

BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
"""What a signature looks like, in either alphabet."""

LONE = re.compile("[\ud800-\udfff]")
_SCALARS = frozenset({str, int, bool, type(None)})
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Taken:
    """An object of the wire, read key by key: what is not taken is left over, how keys were spelled is remembered."""

    __slots__ = ("rest", "words")

    def __init__(self, raw: dict[str, Any], words: list[str]) -> None:
        self.rest = dict(raw)
        self.words = words

    def spelling(self, camel: str) -> str | None:
        """The key as it stands here; None where it does not, or stands in both spellings."""
        snake = SNAKE.get(camel, camel)
        if camel in self.rest:
            return None if snake != camel and snake in self.rest else camel
        return snake if snake in self.rest else None

    def text(self, camel: str) -> str | None:
        """The value of a key that holds a text which is not empty; any other value is left over."""
        key = self.spelling(camel)
        if key is None or not isinstance(self.rest[key], str) or not self.rest[key]:
            return None
        return str(self.take(camel, key))

    def take(self, camel: str, key: str) -> Any:
        """The value of a key, which is left over no more."""
        if key != camel:
            self.words.append(key)
        return self.rest.pop(key)


def compact(value: Any, where: str = "value") -> str:
    """Compact JSON text of a value. Raises InvalidMessage for what JSON text could not give back."""
    if is_object(value) and all(type(k) is str and type(v) in _SCALARS for k, v in value.items()):
        text = _compact(value)
        if text.isascii() or not LONE.search(text):
            return text
    return json_text(value, where)


def loaded(text: str | None, depth: int = MAX_DEPTH, default: Any = None) -> Any:
    """What a JSON text says; `default` where a payload cannot hold it, as another hand may have written anything.

    Half characters (lone surrogates, which JSON can escape) become U+FFFD.
    """
    if text is None:
        return default
    try:
        value, end = _decoder.raw_decode(text) if text[:1] == "{" else (None, -1)
        if end != len(text):
            value = _decoder.decode(text)
    except (ValueError, RecursionError):
        return default
    if not _fits(value, depth):
        return default
    return _decoder.decode(clean_text(json.dumps(value, ensure_ascii=False))) if has_halves(text) else value


def has_halves(text: str) -> bool:
    """Whether a JSON text has an escaped half of a character in it."""
    return "\\u" in text and LONE.search(json.dumps(_decoder.decode(text), ensure_ascii=False)) is not None


def _refused(constant: str) -> None:
    raise ValueError(constant)


_decoder = json.JSONDecoder(parse_constant=_refused)


def _fits(value: Any, depth: int) -> bool:
    """Whether a decoded value is not too deep and has no number that JSON cannot hold (1e999 is infinity)."""
    if is_object(value):
        return depth > 0 and all(type(child) in _SCALARS or _fits(child, depth - 1) for child in value.values())
    if is_array(value):
        return depth > 0 and all(type(child) in _SCALARS or _fits(child, depth - 1) for child in value)
    return not isinstance(value, float) or math.isfinite(value)


def kept(extra: str | None) -> dict[str, Any]:
    """The keys in an `extra` field; none where it holds no object."""
    value = loaded(extra)
    return value if is_object(value) else {}


def words_of(layout: str | None) -> list[str]:
    """The words of a layout."""
    return layout.split() if layout else []


def signature_of(part: dict[str, Any]) -> Any:
    """The signature of a part, in either spelling; None where it has none, or an empty one."""
    return part.get(SIGNATURE) or part.get(SNAKE[SIGNATURE]) or None
