"""Any list of messages, as the exchanges that every provider takes: what `render` does before a wire's own rules.

The rules are those of windows (`palaver.replay`); a window that is rendered is legal already and passes untouched.
"""

from __future__ import annotations

from collections.abc import Sequence

from palaver.annotations import WindowOptions
from palaver.exchanges import RepairKind as Mended
from palaver.formats.wire import Notes, RepairKind
from palaver.model import Message, TextPart, ToolCall, ToolResult
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


def legal(messages: Sequence[Message], notes: Notes) -> Sequence[Message]:
    """The messages without what no provider takes: orphan results, calls without one, messages that say nothing.

    Calls without a result get one that says so. The very same sequence where all is well; input never changes.
    """
    if _is_legal(messages):
        return messages
    numbered = [message.replace(seq=index) for index, message in enumerate(messages, 1)]
    view = replay(numbered, None, _OPTIONS)
    for place, reason in sorted(view.reasons.items()):
        notes.about("message_left_out", messages[place - 1].seq, f"messages[{place - 1}]: {_REASONS[reason]}")
    begins = _begins(messages)
    out: list[Message] = []
    last = -1
    for exchange in view.exchanges:
        for repair in exchange.repairs:
            place = repair.seq - 1
            notes.about(_KINDS[repair.kind], messages[place].seq, f"messages[{place}]: {repair.detail}")
        for shown in exchange.messages:
            given = messages[shown.seq - 1] if shown.seq else shown
            message = given if same(given, shown) else shown.replace(seq=given.seq)
            if shown.seq:
                if message.joins and begins[shown.seq - 1] != last:  # what it continued is not before it any more
                    message = message.replace(joins=False)
                last = begins[shown.seq - 1]
            out.append(message)
    return out


def _begins(messages: Sequence[Message]) -> list[int]:
    """For each message, where the run of joined messages begins that it is in."""
    out: list[int] = []
    for index, message in enumerate(messages):
        out.append(out[-1] if message.joins and out else index)
    return out


def same(given: Message, shown: Message) -> bool:
    """Whether a message is shown as it was given."""
    return given.parts is shown.parts and given.joins == shown.joins


def _is_legal(messages: Sequence[Message]) -> bool:  # noqa: C901 - one look at each message
    """Whether there is nothing to mend, for the ids that most wires have; a doubtful list is not."""
    waiting: set[str] = set()
    calling = False
    for message in messages:
        role = message.role
        if message.flags and not replayable(message):
            return False
        if role == "tool":
            calling = False
            for part in message.parts:
                if type(part) is not ToolResult or part.call_id not in waiting:
                    return False
                waiting.discard(part.call_id)
            continue
        if role == "assistant":
            if waiting and not (calling and message.joins):
                return False
            says = False
            for part in message.parts:
                if type(part) is TextPart:
                    says = says or bool(part.text and not part.text.isspace())
                elif type(part) is ToolCall:
                    if not part.call_id or part.call_id in waiting:
                        return False
                    waiting.add(part.call_id)
                    says = True
            if not says:
                return False
            calling = True
            continue
        if waiting:
            return False
        calling = False
    return not waiting
