"""What Mistral refuses made such as it takes it: one message at a time, then their order. Each change is noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from palaver.codec import json_text
from palaver.formats.mistral.rules import REFUSED, is_chunk, may_follow, says_something
from palaver.formats.openai_chat.mending import mend_function
from palaver.formats.openai_chat.spelling import fitting_name
from palaver.formats.wire import CONTINUE, Notes, RepairKind, is_array, is_object

__all__ = ["mend", "settle"]


def mend(message: dict[str, Any], notes: Notes) -> bool:
    """Make one message acceptable, wherever it stands; False where nothing of it is left."""
    if message["role"] == "developer":
        message["role"] = "system"
        notes.add("role_changed", "Mistral has no role developer; it became system")
    role = message["role"]
    if role == "assistant":
        _mend_calls(message, notes)
    for key in REFUSED[role]:
        if key in message:
            del message[key]
            told: RepairKind = "name_left_out" if key == "name" else "part_left_out"
            notes.add(told, f"the key {key!r} is refused by Mistral")
    _mend_content(message, notes)
    name = message.get("name")
    if name is not None:
        message["name"] = fitting_name(name if isinstance(name, str) else "", notes)
    return role != "assistant" or (says_something(message) and not _is_blank(message))


def _is_blank(message: dict[str, Any]) -> bool:
    """Whether an answer without calls is white space alone: so it came out, and so it is left out everywhere."""
    content: Any = message.get("content")
    texts: list[Any] = content if is_array(content) else [{"type": "text", "text": content}]
    return not message.get("tool_calls") and all(
        chunk["type"] == "text" and isinstance(chunk.get("text"), str) and not chunk["text"].strip() for chunk in texts
    )


def _mend_calls(message: dict[str, Any], notes: Notes) -> None:
    calls = message.get("tool_calls")
    if not is_array(calls):
        if calls is not None:
            del message["tool_calls"]
            notes.add("part_left_out", "its tool_calls are none, and were left out")
        return
    for call in calls:
        function = call.get("function")
        if call.get("type", "function") != "function":
            call["type"] = "function"
            notes.add("part_changed", "Mistral has no calls but of functions; a call became one")
        if is_object(function) and is_object(function.get("arguments")):  # Mistral takes an object too
            arguments = function["arguments"]
            call["function"] = mend_function({**function, "arguments": ""}, "arguments", notes)
            call["function"]["arguments"] = arguments
        else:
            call["function"] = mend_function(function or call.pop("custom", None), "arguments", notes)


def _mend_content(message: dict[str, Any], notes: Notes) -> None:
    content, role = message.get("content"), message["role"]
    if isinstance(content, str) or (content is None and role == "assistant"):
        return
    if is_object(content):
        content = [content]
    elif content is None:
        content = ""
        notes.add("text_changed", "it has no content; it got an empty text")
    elif not is_array(content):
        content = json_text(content)
        notes.add("text_changed", "its content was neither text nor a list of chunks; it became JSON text")
    if is_array(content):
        kept: list[Any] = []
        for chunk in content:
            shaped = {"type": "text", "text": chunk} if isinstance(chunk, str) else chunk
            if is_chunk(shaped):
                kept.append(shaped)
            elif is_object(shaped) and isinstance(shaped.get("text"), str):
                kept.append({**shaped, "type": "text"})
            else:
                notes.add("part_left_out", "an entry of its content has no type")
                continue
            if kept[-1] is not chunk:
                notes.add("part_changed", "an entry of its content was misshapen")
        content = kept
    message["content"] = content


def settle(messages: list[Any], notes_of: Callable[[int], Notes]) -> None:
    """Make the order of the messages acceptable: what follows what, who begins, who has the last word."""
    before: str | None = None
    last = len(messages) - 1
    for place, message in enumerate(messages):
        if message["role"] == "system" and not may_follow("system", before):
            message["role"] = "user"
            notes_of(place).add("role_changed", "Mistral takes no system message here; the user says it")
        if place != last and message.get("prefix") is True:
            del message["prefix"]
            notes_of(place).add("prefix_left_out", "only the last message may be a prefix")
        before = message["role"]
    begins = bool(messages) and messages[0]["role"] != "assistant"
    if not begins:
        notes_of(0).add("user_added", f"before it, as Mistral wants the user to begin: {CONTINUE!r}")
    if before == "assistant" and messages[-1].get("prefix") is not True:
        notes_of(last).add("user_added", f"after it, as Mistral wants the user to have the last word: {CONTINUE!r}")
        messages.append({"role": "user", "content": CONTINUE})
    if not begins:
        messages.insert(0, {"role": "user", "content": CONTINUE})
