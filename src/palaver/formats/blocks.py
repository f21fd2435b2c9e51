"""What wires with lists of content blocks share: tool input as objects, text as base64, and blocks with no meaning."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Sequence
from typing import Any, TypeGuard

import msgspec

from palaver.codec import json_text
from palaver.formats.wire import MAX_DEPTH, is_array, is_object
from palaver.model import Message, Opaque, Part, Role, ToolResult, Wire

__all__ = [
    "NOTHING",
    "compact",
    "count",
    "decoded_text",
    "divided",
    "encoded_text",
    "is_clean",
    "json_value",
    "kind_of_opaque",
    "opaque_block",
    "ordinary_text",
    "spelled_input",
    "tool_input",
    "without",
]

NOTHING: Any = object()
"""What a part is spelled as that a wire has no block for; `null` is a block, though no provider takes it."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALARS = frozenset({str, int, bool, type(None)})
_DEEP = 30
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


DEEPEST_INPUT = MAX_DEPTH - 6
"""Arguments stand some levels down in a message, which may have MAX_DEPTH in all."""
_BRACKETS = re.compile(r"[\[\]{}]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def without(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A copy of an object without some of its keys."""
    return {key: kept for key, kept in value.items() if key not in keys}


def compact(value: Any, where: str) -> str:
    """Compact JSON text of a plain value. Raises InvalidMessage, naming `where`."""
    text = ordinary_text(value)
    return json_text(value, where) if text is None else text


def ordinary_text(value: Any) -> str | None:
    """Compact JSON text of a value of ordinary make; None for what has to be looked at with care."""
    if not _is_ordinary(value, 0):
        return None
    try:
        return _encode(value).decode()
    except (UnicodeEncodeError, OverflowError):  # a lone surrogate; a very long number
        return None


def _is_ordinary(value: object, depth: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if depth > _DEEP:
        return False
    if is_object(value):
        for key, child in value.items():
            if type(key) is not str or (type(child) not in _SCALARS and not _is_ordinary(child, depth + 1)):
                return False
        return kind is dict
    if is_array(value):
        return kind is list and all(_is_ordinary(child, depth + 1) for child in value)
    return isinstance(value, float) and kind is float and math.isfinite(value)


def json_value(text: str) -> Any:
    """The value of JSON text. Raises ValueError for what is no JSON, or could not be sent: NaN, half characters."""
    try:
        return _decode(text)
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:  # numbers and escapes that msgspec has no room for; what was parsed from a payload comes back from here
        value = json.loads(text, parse_constant=_refused)
        again = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError as exc:
        raise ValueError("it is nested too deep") from exc
    if _SURROGATE.search(again):
        raise ValueError("it holds a lone surrogate")
    return value


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def tool_input(arguments: str) -> tuple[dict[str, Any], bool]:
    """The arguments of a call as the object that a wire wants, and whether they say the same.

    What is no JSON object is wrapped: `{"INVALID_JSON": "…"}`, as Anthropic advises for input that its models did not
    finish (docs, "Fine-grained tool streaming"). No arguments at all are an empty object.
    """
    if not arguments or arguments == "{}":
        return {}, True
    try:
        value = json_value(arguments)
    except ValueError:
        return {"INVALID_JSON": _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", arguments)}, False
    return (value, True) if is_object(value) and not _too_deep(arguments) else ({"INVALID_JSON": arguments}, False)


def _too_deep(text: str) -> bool:
    """Whether JSON text is nested deeper than a payload that holds it may be; see `wire.plain`."""
    if text.count("{") + text.count("[") < DEEPEST_INPUT:
        return False
    depth = deepest = 0
    for mark in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if mark in "{[" else -1
        deepest = max(deepest, depth)
    return deepest >= DEEPEST_INPUT


def divided(role: Role, parts: Sequence[Part], wire: Wire) -> list[Message]:
    """One message, or one for each run of results and of other parts, joined to the one before it."""
    groups: list[list[Part]] = [[]]
    for part in parts:
        if groups[-1] and isinstance(part, ToolResult) != isinstance(groups[-1][-1], ToolResult):
            groups.append([])
        groups[-1].append(part)
    return [
        Message(
            role="tool" if group and isinstance(group[0], ToolResult) else role,
            parts=tuple(group),
            wire=wire,
            joins=number > 0,
        )
        for number, group in enumerate(groups)
    ]


def count(raw: dict[str, Any], key: str) -> int:
    """A number of tokens; 0 for what is none."""
    value = raw.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0


def encoded_text(text: str) -> str:
    """Text as base64 of its UTF-8."""
    return base64.b64encode(text.encode()).decode("ascii")


def decoded_text(data: str) -> str | None:
    """The text that base64 data is; None where it is none."""
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def kind_of_opaque(part: Opaque) -> str:
    """What an opaque part is, for a note."""
    try:
        data = json.loads(part.data)
    except ValueError:
        return "a part"
    if is_object(data):
        kind = data.get("type")
        return f"a part of type {kind!r}" if isinstance(kind, str) else f"a part with {sorted(data)}"
    return "a list" if is_array(data) else "a part"


def is_clean(text: Any) -> TypeGuard[str]:
    """Whether this is a string that can be stored."""
    return type(text) is str and (text.isascii() or not _SURROGATE.search(text))


def opaque_block(part: Opaque) -> Any:
    """The block that was kept as it came; NOTHING where it was written by another hand and is no JSON."""
    try:
        return json_value(part.data)
    except ValueError:
        return NOTHING


def spelled_input(arguments: str) -> Any:
    """A tool's input as it was given; what a stream gave that was no JSON as the object that repairs make of it."""
    try:
        return json_value(arguments or "{}")
    except ValueError:
        return {"INVALID_JSON": arguments}
