"""The shapes that nearly all messages have, read and spelled at once.

They come back exactly by construction, so nothing has to be copied and compared. None: take the careful way
(`parsing`, `spelling`), which gives the same for these.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, cast

from palaver.exchanges import INTERRUPTED
from palaver.formats.openai_chat.dialect import Dialect
from palaver.formats.wire import is_object
from palaver.model import Message, Part, Role, TextPart, ThinkingPart, ToolCall, ToolResult

__all__ = ["FUNCTION_NAME", "read", "spelled"]

FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

_SURROGATE = re.compile("[\ud800-\udfff]")
_TEXT_ROLES: frozenset[str] = frozenset({"system", "user", "assistant"})
_USUAL = ("annotations", "audio", "function_call", "parsed", "reasoning", "reasoning_content", "refusal", "tool_calls")
"""Keys that SDKs and look-alikes put beside an answer, mostly with nothing in them."""
_REASONING: dict[str | None, tuple[str, ...]] = {
    None: ("reasoning_content",),
    "reasoning": ("reasoning",),
    "both": ("reasoning_content", "reasoning"),
}
"""Where reasoning stands, by the layout of its message."""


def read(raw: object, dialect: Dialect) -> Message | None:
    """The message that an ordinary object is: text alone, an answer with calls or reasoning, or a result of text."""
    if type(raw) is not dict:
        return None
    given: dict[Any, Any] = cast("Any", raw)
    role, content, size = given.get("role"), given.get("content"), len(given)
    if type(role) is not str:
        return None
    if type(content) is str:
        if not content.isascii() and _SURROGATE.search(content):
            return None
        if size == 2 and role in _TEXT_ROLES:
            return Message(role=cast("Role", role), parts=(TextPart(text=content),), wire=dialect.wire)
        if size == 3 and role == "tool":
            call_id = given.get("tool_call_id")
            if type(call_id) is not str or not call_id or not call_id.isascii():
                return None
            result = ToolResult(call_id=call_id, parts=(TextPart(text=content),))
            return Message(role="tool", parts=(result,), wire=dialect.wire)
    elif content is not None or "content" not in given:
        return None
    return _answer(given, content, dialect) if role == "assistant" else None


def _answer(given: dict[Any, Any], content: str | None, dialect: Dialect) -> Message | None:
    """An answer of text, calls and reasoning, with usual keys that hold nothing beside them."""
    parts: list[Part] = [] if content is None else [TextPart(text=content)]
    layout: str | None = None
    nothing: list[str] = []
    calls: list[Any] | None = None
    for key, value in given.items():
        if key in {"role", "content"}:
            continue
        if key == "tool_calls" and type(value) is list and value:
            calls = cast("list[Any]", cast("Any", value))
        elif value is None and key in _USUAL:
            nothing.append(f'"{key}":null')
        elif key == "annotations" and value == []:
            nothing.append('"annotations":[]')
        elif key not in {"reasoning", "reasoning_content"}:
            return None
    thought = given.get("reasoning_content"), given.get("reasoning")
    if thought != (None, None):
        layout = None if thought[1] is None else "reasoning" if thought[0] is None else "both"
        text = thought[0] if layout is None else thought[1]
        if type(text) is not str or (layout == "both" and thought[0] != text) or dialect.inner_reasoning:
            return None
        if not text.isascii() and _SURROGATE.search(text):
            return None
        parts.insert(0, ThinkingPart(text=text))
    if calls is not None and not _read_calls(calls, parts):
        return None
    extra = "{" + ",".join(nothing) + "}" if nothing else None
    return Message(role="assistant", parts=tuple(parts), wire=dialect.wire, layout=layout, extra=extra)


def _read_calls(calls: list[Any], parts: list[Part]) -> bool:
    """Add the calls to the parts; whether all of them are ordinary."""
    for call in calls:
        if type(call) is not dict:
            return False
        given: dict[Any, Any] = cast("Any", call)
        call_id, function = given.get("id"), given.get("function")
        if type(call_id) is not str or not call_id or not call_id.isascii() or given.get("type") != "function":
            return False
        if type(function) is not dict or len(given) != 3:
            return False
        inner: dict[Any, Any] = cast("Any", function)
        name, arguments = inner.get("name"), inner.get("arguments")
        if type(name) is not str or type(arguments) is not str or not name.isascii() or len(inner) != 2:
            return False
        if not arguments.isascii() and _SURROGATE.search(arguments):
            return False
        parts.append(ToolCall(call_id=call_id, name=name, arguments=arguments))
    return True


def spelled(message: Message, dialect: Dialect, waiting: set[str] | None) -> dict[str, Any] | None:
    """The object that says an ordinary message, native or foreign.

    `waiting` are the calls that a result may answer, set anew by each message; None where nothing is mended.
    """
    if message.name is not None:
        return None
    native, role, parts = message.wire == dialect.wire, message.role, message.parts
    extra = layout = None
    if native:
        extra, layout = message.extra, message.layout
        if extra is not None and not _holds_nothing(extra):
            return None
        if layout not in _REASONING or (role != "assistant" and (extra is not None or layout is not None)):
            return None
    if role == "tool":
        return _result(parts, waiting, native=native)
    if role == "assistant":
        out = _spelled_answer(parts, dialect, layout, waiting, native=native)
        if out is not None and extra is not None:
            for key, value in json.loads(extra).items():
                out.setdefault(key, value)
        return out
    part = parts[0] if len(parts) == 1 else None
    if type(part) is not TextPart or (part.extra is not None and native) or role == "developer":
        return None
    if waiting:
        waiting.clear()
    return {"role": role, "content": part.text}


@lru_cache(maxsize=256)
def _holds_nothing(extra: str) -> bool:
    """Whether these keys are usual ones that are null, or no annotations: nothing to mend or to take for content."""
    keys = json.loads(extra)
    return is_object(keys) and all(
        key in _USUAL and (value is None or (key == "annotations" and value == [])) for key, value in keys.items()
    )


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


def _is_beside(part: ThinkingPart, parts: tuple[Part, ...], dialect: Dialect, *, native: bool) -> bool:
    """Whether reasoning is all that there is, and stands beside the content."""
    return native and part is parts[0] and not dialect.inner_reasoning


def _spelled_answer(
    parts: tuple[Part, ...], dialect: Dialect, layout: str | None, waiting: set[str] | None, *, native: bool
) -> dict[str, Any] | None:
    out: dict[str, Any] = {"role": "assistant", "content": None}
    calls: list[dict[str, Any]] = []
    ids: set[str] = set()
    said = False
    for part in parts:
        if type(part) is ToolCall:
            call_id, name = part.call_id, part.name
            if not call_id or call_id in ids or (native and part.extra is not None):
                return None
            if waiting is not None and not (dialect.fit_call_id(call_id) == call_id and FUNCTION_NAME.fullmatch(name)):
                return None
            ids.add(call_id)
            function = {"name": name, "arguments": part.arguments if native else part.arguments or "{}"}
            calls.append({"id": call_id, "type": "function", "function": function})
        elif type(part) is TextPart and not said and not calls and (part.extra is None or not native):
            out["content"] = part.text
            said = True
        elif type(part) is ThinkingPart and part.text is not None and _is_beside(part, parts, dialect, native=native):
            out.update((key, part.text) for key in _REASONING[layout])
        else:
            return None
    if calls:
        out["tool_calls"] = calls
    elif not said:
        return None
    if waiting is not None:
        waiting.clear()
        waiting |= ids
    return out
