"""Any list of messages, as the exchanges that every provider takes: what `render` does before a wire's own rules.

The rules are those of windows (`palaver.replay`); a window that is rendered is legal already and passes untouched.
"""

from __future__ import annotations

from collections.abc import Sequence

from palaver.annotations import WindowOptions
from palaver.exchanges import RepairKind as Mended
from palaver.formats.wire import Notes, RepairKind
from palaver.model import Message, TextPart, ThinkingPart, ToolCall, ToolResult, Wire
from palaver.replay import OmittedReason, replay, replayable

__all__ = ["legal"]

_KINDS: dict[Mended, RepairKind] = {
    "call_id": "call_id_made_unique",
    "interrupted": "interrupted",
    "moved": "moved",
    "orphan_result": "result_left_out",
    "split": "split",
}
_REASONS: dict[OmittedReason, str] = {
    "hidden": "it is hidden",
    "command": "it is a command",
    "empty": "it says nothing",
    "reasoning": "it is unsigned reasoning alone",
    "orphan": "its results answer no call",
}
_OPTIONS = WindowOptions()
_SPEECH = (TextPart(text="."),)
"""Stands in for an empty text that is kept."""


def legal(messages: Sequence[Message], notes: Notes, *, empty_of: Wire | None = None) -> Sequence[Message]:
    """The messages without what no provider takes: orphan results, calls without one, messages that say nothing.

    Calls without a result get one that says so. Messages that came from the wire `empty_of` may hold an empty text,
    because its provider took that. The very same sequence where all is well; input never changes.
    """
    if _is_legal(messages, empty_of):
        return messages
    numbered = [
        message.replace(seq=index, parts=_SPEECH) if _is_text(message, empty_of) else message.replace(seq=index)
        for index, message in enumerate(messages, 1)
    ]
    view = replay(numbered, None, _OPTIONS)
    found: list[tuple[int, RepairKind, str]] = [
        (seq - 1, "message_left_out", _REASONS[reason]) for seq, reason in view.reasons.items()
    ]
    begins = _begins(messages)
    out: list[Message] = []
    places: list[int] = []
    last = -1
    for exchange in view.exchanges:
        found.extend((repair.seq - 1, _KINDS[repair.kind], repair.detail) for repair in exchange.repairs)
        for shown in exchange.messages:
            place = shown.seq - 1 if shown.seq else places[-1]  # a result that was made up stands with the others
            places.append(place)
            if not shown.seq:
                out.append(shown)
                continue
            given = messages[place]
            message = _as_given(given, shown, notes)
            if message.joins and begins[place] != last:  # what it continued is not before it any more
                message = message.replace(joins=False)
            last = begins[place]
            out.append(message)
    found.sort(key=lambda one: one[0])
    for place, kind, detail in found:
        notes.about(kind, messages[place].seq, f"messages[{place}]: {detail}")
    notes.places = places
    return out


def _as_given(given: Message, shown: Message, notes: Notes) -> Message:
    """The message as it was given, but for what had to be changed of it."""
    if shown.parts is _SPEECH or shown.parts is given.parts:
        return given if shown.joins == given.joins else given.replace(joins=shown.joins)
    if given.role == "assistant":
        for was, call in zip(given.tool_calls, shown.tool_calls, strict=True):
            if call.call_id != was.call_id:
                notes.call_ids[call.call_id] = was.call_id
    return shown.replace(seq=given.seq)


def _begins(messages: Sequence[Message]) -> list[int]:
    """For each message, where the run of joined messages begins that it is in."""
    out: list[int] = []
    for index, message in enumerate(messages):
        out.append(out[-1] if message.joins and out else index)
    return out


def _is_text(message: Message, wire: Wire | None) -> bool:
    """Whether this is an answer of that wire with a text, however empty, and nothing beside it but reasoning."""
    return (
        message.wire == wire is not None
        and message.role == "assistant"
        and any(type(part) is TextPart for part in message.parts)
        and all(type(part) is TextPart or type(part) is ThinkingPart for part in message.parts)
    )


def _is_legal(messages: Sequence[Message], empty_of: Wire | None) -> bool:  # noqa: C901 - one look at each message
    """Whether there is nothing to mend; a doubtful list is not. Without an id, call and result are told by name."""
    waiting: set[str | tuple[str | None]] = set()
    calling = False
    for message in messages:
        role = message.role
        if message.flags and not replayable(message):
            return False
        if role == "tool":
            calling = False
            for part in message.parts:
                if type(part) is not ToolResult:
                    return False
                key = part.call_id or (part.name,)
                if key not in waiting:
                    return False
                waiting.discard(key)
            continue
        if role == "assistant":
            if waiting and not (calling and message.joins):
                return False
            says = False
            for part in message.parts:
                if type(part) is TextPart:
                    says = says or bool(part.text and not part.text.isspace())
                elif type(part) is ToolCall:
                    key = part.call_id or (part.name,)
                    if key in waiting:
                        return False
                    waiting.add(key)
                    says = True
            if not says and not _is_text(message, empty_of):
                return False
            calling = True
            continue
        if waiting:
            return False
        calling = False
    return not waiting
