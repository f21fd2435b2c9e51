"""The ordinary shapes, read without a copy and without a second look: their keys and types prove that they come back.

Plain text, calls and answers in camelCase. Anything else is None here, and read with care in `parsing`.
"""

from __future__ import annotations

import json
import math
from typing import Any, cast

from palaver.formats.google.keys import LONE, SIGNATURE
from palaver.formats.google.results import KEYS
from palaver.model import Part, TextPart, ThinkingPart, ToolCall, ToolResult

__all__ = ["quick_parts"]

_DEPTH = 50
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_SCALARS = frozenset({str, int, bool, type(None)})


def quick_parts(parts: list[Any], *, model: bool) -> list[Part] | None:
    """The parts of a content, if all of them are ordinary."""
    out: list[Part] = []
    for raw in parts:
        part = _part(cast("dict[str, Any]", raw), model=model) if type(raw) is dict else None
        if part is None:
            return None
        out.append(part)
    return out


def _part(raw: dict[str, Any], *, model: bool) -> Part | None:
    text = raw.get("text")
    if type(text) is str:
        return _text(raw, text) if text.isascii() or not LONE.search(text) else None
    if model:
        call = raw.get("functionCall")
        return _call(raw, cast("dict[str, Any]", call)) if type(call) is dict else None
    answer = raw.get("functionResponse")
    return _result(cast("dict[str, Any]", answer)) if type(answer) is dict and len(raw) == 1 else None


def _text(raw: dict[str, Any], text: str) -> Part | None:
    count = len(raw)
    if count == 1:
        return TextPart(text=text)
    signature = raw.get(SIGNATURE)
    signed = type(signature) is str and signature and signature.isascii()
    if raw.get("thought") is True:
        if count == 2:
            return ThinkingPart(text=text)
        return ThinkingPart(text=text, signature=signature) if count == 3 and signed else None
    return TextPart(text=text, extra=_compact({SIGNATURE: signature})) if count == 2 and signed else None


def _call(raw: dict[str, Any], call: dict[str, Any]) -> ToolCall | None:
    extra = None
    if len(raw) != 1:
        signature = raw.get(SIGNATURE)
        if len(raw) != 2 or type(signature) is not str or not signature.isascii():
            return None
        extra = _compact({SIGNATURE: signature})
    name, args, call_id = call.get("name"), call.get("args"), call.get("id")
    if type(name) is not str or not name or not name.isascii() or type(args) is not dict:
        return None
    arguments = _text_of(args)
    if arguments is None:
        return None
    if len(call) == 2:
        return ToolCall(name=name, arguments=arguments, extra=extra)
    if len(call) == 3 and type(call_id) is str and call_id and call_id.isascii():
        return ToolCall(name=name, call_id=call_id, arguments=arguments, extra=extra)
    return None


def _result(answer: dict[str, Any]) -> ToolResult | None:
    name, said, call_id = answer.get("name"), answer.get("response"), answer.get("id")
    if type(name) is not str or not name or not name.isascii() or type(said) is not dict or not said:
        return None
    if len(answer) == 2:
        call_id = ""
    elif len(answer) != 3 or type(call_id) is not str or not call_id or not call_id.isascii():
        return None
    if len(said) == 1:
        ((key, text),) = said.items()
        if type(text) is str and key in KEYS:
            if not text.isascii() and LONE.search(text):
                return None
            layout = None if key == "output" else key
            parts = (TextPart(text=text),)
            if key == "error":
                return ToolResult(call_id=call_id, name=name, parts=parts, is_error=True, layout=layout)
            return ToolResult(call_id=call_id, name=name, parts=parts, layout=layout)
        if key in KEYS:
            return None  # it may be a list of texts
    written = _text_of(said)
    if written is None:
        return None
    return ToolResult(call_id=call_id, name=name, parts=(TextPart(text=written),), layout="json")


def _text_of(value: Any) -> str | None:
    """JSON text of a value that has nothing in it but plain JSON."""
    if not _is_plain(value, _DEPTH):
        return None
    text = _compact(value)
    return text if text.isascii() or not LONE.search(text) else None


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        for key, child in cast("dict[Any, Any]", value).items():
            if type(key) is not str or not (type(child) in _SCALARS or (depth and _is_plain(child, depth - 1))):
                return False
        return True
    if kind is list:
        return all(type(child) in _SCALARS or (depth and _is_plain(child, depth - 1)) for child in value)
    return kind is float and math.isfinite(value)
