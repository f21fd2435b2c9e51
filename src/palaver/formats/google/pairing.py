"""Which call a result answers, and results whose ids are spelled on one side only."""

from __future__ import annotations

import msgspec

from palaver.codec import json_text
from palaver.formats.google.keys import kept
from palaver.formats.wire import is_object
from palaver.model import Message, Part, ToolCall, ToolResult

__all__ = ["fitted", "taken"]


def taken(waiting: list[ToolCall], result: ToolResult) -> ToolCall | None:
    """The call that a result answers, which waits no more: as in `palaver.exchanges`.

    The one with its id; else the next of its name, or the next at all where it has no name, of those without an id
    first.
    """
    loose = [call for call in waiting if not call.call_id]
    found = next((call for call in waiting if result.call_id and call.call_id == result.call_id), None)
    if found is None:
        found = next((call for call in loose if not result.name or call.name == result.name), None)
    if found is None and not result.call_id:
        found = next((call for call in waiting if not result.name or call.name == result.name), None)
    if found is not None:
        waiting.remove(found)
    return found


def fitted(message: Message, waiting: list[ToolCall]) -> Message:
    """A tool message whose results have ids where their calls have them, and only there.

    The service tells them by name then. The layout `no-id` says that a result came without its call's id; an id of its
    own, which the call has not, is in `extra`.
    """
    if len({bool(call.call_id) for call in waiting}) == 1:
        has_id = bool(waiting[0].call_id)
        if all(bool(result.call_id) == has_id for result in message.parts if type(result) is ToolResult):
            for part in message.parts:
                if type(part) is ToolResult:
                    taken(waiting, part)
            return message
    parts: list[Part] = []
    for part in message.parts:
        call = taken(waiting, part) if type(part) is ToolResult else None
        parts.append(_with_id(part, call) if type(part) is ToolResult and call is not None else part)
    return message.replace(parts=tuple(parts))


def _with_id(result: ToolResult, call: ToolCall) -> ToolResult:
    if call.call_id and not result.call_id:
        layout = f"{result.layout} no-id" if result.layout else "no-id"
        return msgspec.structs.replace(result, call_id=call.call_id, layout=layout)
    if result.call_id and not call.call_id:
        extra = kept(result.extra)
        key = "function_response" if "function_response" in (result.layout or "").split() else "functionResponse"
        inner = extra.get(key)
        extra[key] = {**(inner if is_object(inner) else {}), "id": result.call_id}
        return msgspec.structs.replace(result, call_id="", extra=json_text(extra))
    return result
