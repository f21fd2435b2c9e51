"""Items of the shapes that most are of, read without a copy: their shape proves that they come back exactly."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.model import TextPart, ThinkingPart, ToolCall

__all__ = ["ordinary_answer", "ordinary_call", "ordinary_thought", "sound"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_encode = msgspec.json.encode


def sound(text: str) -> bool:
    """Whether JSON can hold a text: it has no half of a character."""
    return text.isascii() or not _SURROGATE.search(text)


def ordinary_call(raw: dict[str, Any]) -> ToolCall | None:
    """A function call with nothing remarkable beside it; None: look at it with care."""
    call_id, name, arguments = raw.get("call_id"), raw.get("name"), raw.get("arguments")
    if type(call_id) is not str or type(name) is not str or type(arguments) is not str:
        return None
    if not (sound(call_id) and sound(name) and sound(arguments)):
        return None
    if len(raw) == 4:
        return ToolCall(call_id=call_id, name=name, arguments=arguments)
    rest: dict[str, str] = {}
    for key in ("id", "status", "namespace"):
        value = raw.get(key)
        if type(value) is str and sound(value):
            rest[key] = value
    if len(rest) != len(raw) - 4:
        return None
    return ToolCall(call_id=call_id, name=name, arguments=arguments, extra=_encode(rest).decode())


def ordinary_answer(raw: dict[str, Any]) -> TextPart | None:
    """A message of a response, with one text and nothing remarkable beside it; None: look at it with care."""
    content = raw.get("content")
    if not is_array(content) or type(content) is not list or len(content) != 1:
        return None
    entry = content[0]
    if not is_object(entry) or type(entry) is not dict:
        return None
    text = entry.get("text")
    if entry.get("type") != "output_text" or type(text) is not str or not sound(text):
        return None
    keys: dict[str, Any] = {}
    for key in ("annotations", "logprobs"):
        if entry.get(key) == []:
            keys[key] = []
    if len(keys) != len(entry) - 2:
        return None
    item = {"type": "message"}
    for key in ("id", "status", "phase"):
        value = raw.get(key)
        if type(value) is str and sound(value):
            item[key] = value
    if len(item) != len(raw) - 2:
        return None
    keys["item"] = item
    return TextPart(text=text, layout="message", extra=_encode(keys).decode())


def ordinary_thought(raw: dict[str, Any]) -> tuple[ThinkingPart, ...]:
    """Reasoning with summaries and nothing remarkable beside them; empty: look at it with care."""
    item: dict[str, Any] = {}
    for key in ("id", "status"):
        value = raw.get(key)
        if type(value) is str and sound(value):
            item[key] = value
    if raw.get("content") == []:
        item["content"] = []
    redacted = raw.get("encrypted_content")
    if redacted is not None and not (type(redacted) is str and sound(redacted)):
        return ()
    summary = raw.get("summary")
    if len(item) + (redacted is not None) != len(raw) - 2 or not is_array(summary):
        return ()
    if not summary:
        item["summary"] = summary
        return (ThinkingPart(redacted=redacted, layout="reasoning", extra=_encode({"item": item}).decode()),)
    parts: list[ThinkingPart] = []
    for entry in summary:
        if not is_object(entry) or len(entry) != 2 or entry.get("type") != "summary_text":
            return ()
        text = entry.get("text")
        if type(text) is not str or not sound(text):
            return ()
        if parts:
            parts.append(ThinkingPart(text=text, layout="+summary"))
        else:
            extra = _encode({"item": item}).decode()
            parts.append(ThinkingPart(text=text, redacted=redacted, layout="summary", extra=extra))
    return tuple(parts)
