"""The shapes that nearly all messages have, read and spelled at once.

They come back exactly by construction, so nothing has to be copied and compared. None: take the careful way
(`parsing`, `spelling`), which gives the same for these.
"""

from __future__ import annotations

import re
from typing import Any, cast

from palaver.exchanges import INTERRUPTED
from palaver.formats.openai_chat.dialect import Dialect
from palaver.model import Message, Part, Role, TextPart, ToolCall, ToolResult, Wire

__all__ = ["FUNCTION_NAME", "read", "spelled"]

FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

_SURROGATE = re.compile("[\ud800-\udfff]")
_TEXT_ROLES: frozenset[str] = frozenset({"system", "user", "assistant"})


def read(raw: object, wire: Wire) -> Message | None:
    """The message that an ordinary object is: text alone, calls, or a result of text."""
    if type(raw) is not dict:
        return None
    given: dict[Any, Any] = cast("Any", raw)
    role, content, size = given.get("role"), given.get("content"), len(given)
    if type(role) is not str:
        return None
    if type(content) is str:
        if not content.isascii() and _SURROGATE.search(content):
            return None
        if size == 2:
            if role in _TEXT_ROLES:
                return Message(role=cast("Role", role), parts=(TextPart(text=content),), wire=wire)
            return None
        if size == 3 and role == "tool":
            call_id = given.get("tool_call_id")
            if type(call_id) is not str or not call_id or not call_id.isascii():
                return None
            result = ToolResult(call_id=call_id, parts=(TextPart(text=content),))
            return Message(role="tool", parts=(result,), wire=wire)
    elif content is not None or "content" not in given:
        return None
    if size == 3 and role == "assistant":
        return _with_calls(content, given.get("tool_calls"), wire)
    return None


def _with_calls(content: str | None, calls: Any, wire: Wire) -> Message | None:
    if type(calls) is not list or not calls:
        return None
    parts: list[Part] = [] if content is None else [TextPart(text=content)]
    for call in cast("list[Any]", cast("Any", calls)):
        if type(call) is not dict:
            return None
        given: dict[Any, Any] = cast("Any", call)
        if len(given) != 3:
            return None
        call_id, function = given.get("id"), given.get("function")
        if type(call_id) is not str or not call_id or not call_id.isascii() or given.get("type") != "function":
            return None
        if type(function) is not dict:
            return None
        inner: dict[Any, Any] = cast("Any", function)
        if len(inner) != 2:
            return None
        name, arguments = inner.get("name"), inner.get("arguments")
        if type(name) is not str or type(arguments) is not str or not name.isascii():
            return None
        if not arguments.isascii() and _SURROGATE.search(arguments):
            return None
        parts.append(ToolCall(call_id=call_id, name=name, arguments=arguments))
    return Message(role="assistant", parts=tuple(parts), wire=wire)


def spelled(message: Message, dialect: Dialect, waiting: set[str] | None) -> dict[str, Any] | None:
    """The object that says an ordinary message, native or foreign.

    `waiting` are the calls that a result may answer, set anew by a message with calls; None where nothing is mended.
    """
    native = message.wire == dialect.wire
    if message.name is not None or (native and (message.layout is not None or message.extra is not None)):
        return None
    role, parts = message.role, message.parts
    if role == "tool":
        return _result(parts, waiting, native=native)
    if len(parts) == 1:
        part = parts[0]
        if type(part) is TextPart and (part.extra is None or not native) and role != "developer":
            if waiting:
                waiting.clear()
            return {"role": role, "content": part.text}
    return _calling(parts, dialect, waiting, native=native) if role == "assistant" else None


def _result(parts: tuple[Part, ...], waiting: set[str] | None, *, native: bool) -> dict[str, Any] | None:
    result = parts[0] if len(parts) == 1 else None
    if type(result) is not ToolResult or len(result.parts) != 1:
        return None
    call_id, said = result.call_id, result.parts[0]
    if type(said) is not TextPart or not call_id or (waiting is not None and call_id not in waiting):
        return None
    if native:
        if result.name is not None or said.extra is not None:
            return None
    elif result.is_error and said.text != INTERRUPTED:
        return None
    return {"role": "tool", "tool_call_id": call_id, "content": said.text}


def _calling(
    parts: tuple[Part, ...], dialect: Dialect, waiting: set[str] | None, *, native: bool
) -> dict[str, Any] | None:
    content: str | None = None
    calls: list[dict[str, Any]] = []
    ids: set[str] = set()
    fit = dialect.fit_call_id
    for part in parts:
        if type(part) is ToolCall:
            call_id, arguments = part.call_id, part.arguments
            if not call_id or call_id in ids or (native and part.extra is not None):
                return None
            if waiting is not None and (fit(call_id) != call_id or not FUNCTION_NAME.fullmatch(part.name)):
                return None
            ids.add(call_id)
            if not native and not arguments:
                arguments = "{}"
            function = {"name": part.name, "arguments": arguments}
            calls.append({"id": call_id, "type": "function", "function": function})
        elif type(part) is TextPart and content is None and not calls and (part.extra is None or not native):
            content = part.text
        else:
            return None
    if not calls:
        return None
    if waiting is not None:
        waiting.clear()
        waiting |= ids
    return {"role": "assistant", "content": content, "tool_calls": calls}
