"""One spelled message made such as OpenAI takes it, in place, as locally as possible, each change noted.

What it gives is clean by `rules`, except for what is between messages: that is seen to before (`legal`, call ids).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from palaver.codec import json_text
from palaver.formats.openai_chat.rules import PARTICIPANT, part_fault, speaks
from palaver.formats.openai_chat.spelling import fitting_name
from palaver.formats.wire import CONTINUE, Notes, RepairKind, is_array, is_object

__all__ = ["mend", "mend_calls", "mend_function", "settle"]

_MEDIA = ("image_url", "input_audio", "file")


def settle(messages: list[Any], notes_of: Callable[[int], Notes]) -> None:
    """A payload that has no message at all gets one (OC1)."""
    if not messages:
        notes_of(0).about("user_added", 0, f"there was nothing to send; the user says {CONTINUE!r}")
        messages.append({"role": "user", "content": CONTINUE})


def mend(message: dict[str, Any], notes: Notes) -> bool:
    """Make one message acceptable. Always True: even an empty text may stay."""
    mend_calls(message, notes)
    _mend_legacy(message, notes)
    _mend_content(message, notes)
    name = message.get("name")
    if message["role"] == "function" and not isinstance(name, str):
        message["name"] = "unknown"
        notes.add("name_missing", "a result has no function name; it got 'unknown'")
    elif name is not None and not (isinstance(name, str) and PARTICIPANT.fullmatch(name)):
        if message["role"] == "function":
            message["name"] = fitting_name(name if isinstance(name, str) else "", notes)
        else:
            del message["name"]
            notes.add("name_left_out", f"the name {name!r} is refused by OpenAI")
    return True


def mend_calls(message: dict[str, Any], notes: Notes) -> None:
    """Give `tool_calls` their shape (OC5, OC8, OC9), or leave out what are none. Ids are right already."""
    calls = message.get("tool_calls")
    if calls is None:
        return
    if message["role"] != "assistant" or not is_array(calls) or not calls:
        del message["tool_calls"]
        notes.add("part_left_out", "its tool_calls are none, and were left out")
        return
    for call in calls:
        kind = call.get("type")
        if not isinstance(kind, str):
            kind = call["type"] = "custom" if "custom" in call and "function" not in call else "function"
            notes.add("part_changed", f"a call had no type; it got {kind!r}")
        if kind in ("function", "custom"):
            call[kind] = mend_function(call.get(kind), "arguments" if kind == "function" else "input", notes)


def mend_function(function: Any, text: str, notes: Notes) -> dict[str, Any]:
    """What is called, with a name that is taken and its arguments as text."""
    out: dict[str, Any] = function if is_object(function) else {}
    name, said = out.get("name"), out.get(text)
    out["name"] = fitting_name(name if isinstance(name, str) else "", notes)
    if not isinstance(said, str):
        out[text] = ("{}" if text == "arguments" else "") if said is None else json_text(said)
        notes.add("arguments_changed", f"the {text} of {out['name']!r} were no text; they became JSON text")
    return out


def _mend_legacy(message: dict[str, Any], notes: Notes) -> None:
    call = message.get("function_call")
    if call is None:
        return
    if message["role"] == "assistant" and is_object(call):
        mend_function(call, "arguments", notes)
    else:
        del message["function_call"]
        notes.add("part_left_out", "its function_call is none, and was left out")


def _mend_content(message: dict[str, Any], notes: Notes) -> None:
    content, role = message.get("content"), message["role"]
    if isinstance(content, str):
        return
    if is_object(content):
        content = [content]
    elif content is not None and not is_array(content):
        message["content"] = json_text(content)
        notes.add("text_changed", "its content was neither text nor a list of parts; it became JSON text")
        return
    if content is not None:
        kept: list[Any] = []
        for part in content:
            kept.extend(_mended_part(part, role, notes))
        if kept:
            message["content"] = kept
            return
        content = message["content"] = None
    if role != "assistant" or not speaks(message):
        message["content"] = ""
        notes.add("text_changed", "it has no content; it got an empty text")


def _mended_part(part: Any, role: str, notes: Notes) -> list[Any]:
    fault = part_fault(part, role)
    if fault is None:
        return [part]
    found = _shaped(part, role)
    if found is not None and part_fault(found, role) is None:
        notes.add("part_changed", f"an entry of its content was misshapen ({fault.path or 'no object'})")
        return [found]
    kind = found.get("type") if is_object(found) else None
    told: RepairKind = "media_left_out" if kind in _MEDIA else "part_left_out"
    notes.add(told, f"an entry of its content, of type {kind!r}, is refused in a {role} message")
    return []


def _shaped(part: Any, role: str) -> Any:
    """The part in the shape that it was meant to have, as far as that can be told."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not is_object(part):
        return None
    if not isinstance(part.get("type"), str):
        kind = next((kind for kind in ("text", "refusal", *_MEDIA) if kind in part), None)
        if kind is None:
            return None
        part = {**part, "type": kind}
    if part["type"] == "refusal" and role != "assistant":
        return {"type": "text", "text": part.get("refusal")}
    if part["type"] == "image_url" and isinstance(part.get("image_url"), str):
        return {**part, "image_url": {"url": part["image_url"]}}
    return part
