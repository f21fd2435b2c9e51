"""Which call a result answers, and results whose ids are spelled on one side only."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from palaver.codec import json_text
from palaver.formats.google.keys import kept
from palaver.formats.google.waiting import Waiting
from palaver.formats.wire import is_object
from palaver.model import Message, Part, ToolCall, ToolResult

__all__ = ["Calls", "fitted"]


class Calls:
    """The calls of a turn, which its results take one by one."""

    __slots__ = ("_calls", "_waiting")

    def __init__(self, calls: Iterable[ToolCall] = ()) -> None:
        self._calls: list[ToolCall] = []
        self._waiting = Waiting()
        self.extend(calls)

    def extend(self, calls: Iterable[ToolCall]) -> None:
        """More calls wait."""
        for call in calls:
            self._calls.append(call)
            self._waiting.add(call.call_id, call.name)

    def __bool__(self) -> bool:
        """Whether any call waits."""
        return self._waiting.count > 0

    @property
    def ids(self) -> bool | None:
        """Whether the calls that wait have ids; None where some have and some have not, or none waits."""
        waiting = self._waiting
        if not waiting.count or 0 < waiting.with_id < waiting.count:
            return None
        return waiting.with_id > 0

    def take(self, result: ToolResult) -> ToolCall | None:
        """The call that a result answers, which waits no more: as in `palaver.exchanges`.

        The one with its id; else the next of its name, or the next at all where it has no name, of those without an
        id first.
        """
        waiting, name = self._waiting, result.name
        number = waiting.take_id(result.call_id) if result.call_id else None
        for loose in (True,) if result.call_id else (True, False):
            if number is None:
                number = waiting.take_name(name, loose=loose) if name else waiting.take_any(loose=loose)
        return None if number is None else self._calls[number]


def fitted(message: Message, waiting: Calls) -> Message:
    """A tool message whose results have ids where their calls have them, and only there.

    The service tells them by name then. The layout `no-id` says that a result came without its call's id; an id of its
    own, which the call has not, is in `extra`.
    """
    has_id = waiting.ids
    results = [part for part in message.parts if type(part) is ToolResult]
    if has_id is not None and all(bool(result.call_id) == has_id for result in results):
        for result in results:
            waiting.take(result)
        return message
    parts: list[Part] = []
    for part in message.parts:
        call = waiting.take(part) if type(part) is ToolResult else None
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
