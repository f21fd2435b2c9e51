"""Transcripts as exchanges: an assistant message, its tool calls and their results are one thing or nothing.

Every provider refuses a call without a result, a result without a call, and most refuse anything between the two
(WIRE: OpenAI "An assistant message with 'tool_calls' must be followed by tool messages", Anthropic "`tool_use` ids
were found without `tool_result` blocks immediately after"). Windows, forks, trims and compactions therefore take
exchanges, which `group` makes out of any order that messages were stored in. What it had to mend is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from palaver.model import Message, Part, TextPart, ToolCall, ToolResult

__all__ = ["INTERRUPTED", "Exchange", "Repair", "RepairKind", "answered", "boundaries", "boundary", "group"]

INTERRUPTED = "Interrupted: this tool call was cut off, and whether it took effect is not known."
"""What the model reads as the result of a call that never got one."""

RepairKind: TypeAlias = Literal[
    "call_id", "interrupted", "media", "moved", "orphan_result", "split", "stripped", "unjoined"
]
"""`call_id`: an id was made unique in its exchange, or a result given its call's id; `interrupted`: a result was made
up for a call without one; `media`: a line of text stands for content beyond the budget; `moved`: a result that came
late follows its call; `orphan_result`: a result without a call was left out of a message that has others; `split`: a
message with results of several exchanges was divided among them; `stripped`: an echoed annotation was taken off;
`unjoined`: what a message continued is not before it here."""


class Repair(msgspec.Struct, frozen=True, gc=False):
    """One thing that a view did to make a message legal. What is stored did not change."""

    kind: RepairKind
    seq: int
    """The message that it was done to, or for."""
    detail: str = ""


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """Messages that a model sees together or not at all, in the order that it sees them.

    A user or system message alone; or an assistant message, with those joined to it, then the results of its calls.
    """

    messages: tuple[Message, ...]
    """Empty where a tool message answers no call: that message is in `orphans`."""
    first_seq: int
    last_seq: int
    """Position of the last of its messages; messages of other exchanges may stand between, where a result was late."""
    unanswered: tuple[ToolCall, ...] = ()
    """Calls without a result: no provider takes the exchange like this, see `answered`."""
    orphans: tuple[Message, ...] = ()
    repairs: tuple[Repair, ...] = ()


def group(messages: Sequence[Message]) -> list[Exchange]:
    """The exchanges of a transcript, in order of their first messages; one pass.

    A result answers the nearest earlier call with its id that has no result yet; without an id on either side, the
    next call by that name in the last message that called. A second result of one call is an orphan. Ids need to be
    unique in an exchange only. `messages` are ordered by seq; gaps are as good as none.
    """
    grouping = _Grouping()
    out = grouping.out
    index, count = 0, len(messages)
    while index < count:
        message = messages[index]
        index += 1
        role = message.role
        if role == "assistant":
            begin = index - 1
            calls = [part for part in message.parts if type(part) is ToolCall]
            while index < count and messages[index].joins and messages[index].role == "assistant":
                calls.extend(part for part in messages[index].parts if type(part) is ToolCall)
                index += 1
            unit = (message,) if index - begin == 1 else tuple(messages[begin:index])
            if calls:
                end = _answered_at_once(messages, index, calls)
                if not end:
                    grouping.call(unit, calls)
                    continue
                unit += tuple(messages[index:end])
                index = end
                grouping.last = None
            out.append(Exchange(unit, message.seq, unit[-1].seq))
        elif role == "tool":
            grouping.answer(message)
            continue
        else:
            out.append(Exchange((message,), message.seq, message.seq))
        grouping.newest = None
    return [each if isinstance(each, Exchange) else each.closed() for each in out]


def _answered_at_once(messages: Sequence[Message], index: int, calls: list[ToolCall]) -> int:
    """Where the results of these calls end, if they all follow at `index` as they should; else 0."""
    waiting = {call.call_id for call in calls}
    if len(waiting) != len(calls) or "" in waiting:
        return 0
    for place in range(index, len(messages)):
        message = messages[place]
        if message.role != "tool" or not message.parts:
            return 0
        for part in message.parts:
            if type(part) is not ToolResult or part.call_id not in waiting:
                return 0
            waiting.remove(part.call_id)
        if not waiting:
            return place + 1
    return 0


def answered(exchange: Exchange) -> Exchange:
    """The exchange with an error result, `INTERRUPTED`, for each call that has none; listed as repairs.

    The made-up message has seq 0 and is the same every time, so that prompt caches hold.
    """
    calls = exchange.unanswered
    if not calls:
        return exchange
    results = tuple(
        ToolResult(call_id=call.call_id, name=call.name, parts=(TextPart(text=INTERRUPTED),), is_error=True)
        for call in calls
    )
    repairs = tuple(
        Repair("interrupted", exchange.first_seq, f"the call {_called(call)} has no result; it got one that says so")
        for call in calls
    )
    return msgspec.structs.replace(
        exchange,
        messages=(*exchange.messages, Message(role="tool", parts=results)),
        unanswered=(),
        repairs=exchange.repairs + repairs,
    )


def boundary(messages: Sequence[Message], seq: int) -> int:
    """The last position, at or before `seq`, that ends an exchange without tearing another one; 0 if there is none.

    Where a transcript may be cut: for compaction, forks and trims. `messages` reach on past `seq`, as a late result
    keeps its exchange open. A call that never got a result keeps nothing open.
    """
    return max(end for end in (0, *boundaries(messages)) if end <= seq)


def boundaries(messages: Sequence[Message]) -> list[int]:
    """Every position that `boundary` may give, ascending."""
    found: list[int] = []
    end = 0
    for exchange in group(messages):
        if exchange.first_seq > end:
            found.append(end)
        end = max(end, exchange.last_seq)
    return [*found, end]


class _Open:
    """An exchange in the making: an assistant message, the joined ones, and the results found so far."""

    __slots__ = ("_loose", "answers", "calls", "last_seq", "repairs", "results", "unit", "waiting")

    def __init__(self, unit: tuple[Message, ...], calls: list[ToolCall]) -> None:
        self.unit = unit
        self.calls = calls
        self.answers = [False] * len(calls)
        self.results: list[Message] = []
        self.repairs: list[Repair] = []
        self.last_seq = unit[-1].seq
        self.waiting: dict[str, list[int]] = {}
        """Calls by the id that they were stored with, the first one last."""
        self._loose: tuple[dict[str | None, list[int]], dict[str | None, list[int]]] | None = None
        for index in range(len(calls) - 1, -1, -1):
            call_id = calls[index].call_id
            if call_id:
                self.waiting.setdefault(call_id, []).append(index)
        if len(self.waiting) < len(calls):
            self._make_unique()

    def _make_unique(self) -> None:
        ids = set(self.waiting)
        met: dict[str, int] = {}
        changed: dict[int, ToolCall] = {}
        for index, call in enumerate(self.calls):
            call_id = call.call_id
            number = met[call_id] = met.get(call_id, 0) + 1
            if not call_id or number == 1:
                continue
            while (unique := f"{call_id}_{number}") in ids:
                number += 1
            met[call_id] = number
            ids.add(unique)
            changed[index] = msgspec.structs.replace(call, call_id=unique)
            self.repairs.append(
                Repair("call_id", self.unit[0].seq, f"the call id {call_id!r} occurs twice; one became {unique!r}")
            )
        if not changed:
            return
        unit: list[Message] = []
        index = 0
        for message in self.unit:
            parts: list[Part] = []
            for part in message.parts:
                if type(part) is ToolCall:
                    parts.append(changed.get(index, part))
                    index += 1
                else:
                    parts.append(part)
            unit.append(message if message.parts == tuple(parts) else message.replace(parts=tuple(parts)))
        self.unit = tuple(unit)
        self.calls = [changed.get(number, call) for number, call in enumerate(self.calls)]

    def next_by_id(self, call_id: str) -> int | None:
        """The first call with this id that has no result."""
        return self._first(self.waiting.get(call_id))

    def next_by_name(self, result: ToolResult) -> int | None:
        """The first call that this result may answer though ids do not pair them, because one side has none."""
        if self._loose is None:
            without_id: dict[str | None, list[int]] = {}
            all_calls: dict[str | None, list[int]] = {}
            for index in range(len(self.calls) - 1, -1, -1):
                call = self.calls[index]
                for table in (all_calls,) if call.call_id else (all_calls, without_id):
                    table.setdefault(call.name, []).append(index)
                    table.setdefault(None, []).append(index)
            self._loose = without_id, all_calls
        name = result.name or None
        found = self._first(self._loose[0].get(name))
        if found is None and not result.call_id:
            found = self._first(self._loose[1].get(name))
        return found

    def _first(self, indices: list[int] | None) -> int | None:
        while indices:
            if not self.answers[indices[-1]]:
                return indices[-1]
            indices.pop()
        return None

    def take(self, index: int, result: ToolResult, seq: int) -> ToolResult:
        """Count the call as answered; the result, with the call's id where it had another."""
        self.answers[index] = True
        call = self.calls[index]
        if result.call_id == call.call_id:
            return result
        said = f"the result {result.call_id!r} got its call's id, {call.call_id!r}"
        self.repairs.append(Repair("call_id", seq, said))
        return msgspec.structs.replace(result, call_id=call.call_id)

    def closed(self) -> Exchange:
        unanswered = tuple(call for call, done in zip(self.calls, self.answers, strict=True) if not done)
        return Exchange(
            (*self.unit, *self.results), self.unit[0].seq, self.last_seq, unanswered, (), tuple(self.repairs)
        )


class _Grouping:
    """Where calls wait for their results, while `group` walks over the messages."""

    __slots__ = ("_by_id", "last", "newest", "out")

    def __init__(self) -> None:
        self.out: list[Exchange | _Open] = []
        self.newest: _Open | None = None
        """The last exchange begun, if it calls; a result of any other one has to move."""
        self._by_id: dict[str, list[_Open]] = {}
        self.last: _Open | None = None
        """The last exchange that calls; the only one whose calls are answered by name."""

    def call(self, unit: tuple[Message, ...], calls: list[ToolCall]) -> None:
        """Open an exchange that calls."""
        opened = self.newest = self.last = _Open(unit, calls)
        self.out.append(opened)
        for call_id in opened.waiting:
            self._by_id.setdefault(call_id, []).append(opened)

    def answer(self, message: Message) -> None:
        """Put a tool message where its calls are; whole and unchanged if they are in one exchange."""
        homes: dict[int, tuple[_Open, list[Part]]] = {}
        beside: list[Part] = []
        lost: list[ToolResult] = []
        changed = False
        for part in message.parts:
            if type(part) is not ToolResult:
                beside.append(part)
                continue
            found = self._call_of(part)
            if found is None:
                lost.append(part)
                continue
            home, index = found
            placed = home.take(index, part, message.seq)
            changed = changed or placed is not part
            homes.setdefault(id(home), (home, []))[1].append(placed)
        if not homes:
            self.out.append(Exchange((), message.seq, message.seq, (), (message,)))
            return
        whole = len(homes) == 1 and not lost and not changed
        for home, parts in homes.values():
            home.results.append(message if whole else message.replace(parts=(*parts, *beside), tokens=None))
            beside = []
            home.last_seq = message.seq
            if home is not self.newest:
                home.repairs.append(Repair("moved", message.seq, f"it answers the call at {home.unit[0].seq}"))
            if len(homes) > 1:
                home.repairs.append(Repair("split", message.seq, "it answers calls of several exchanges"))
            home.repairs.extend(
                Repair("orphan_result", message.seq, f"its result {_answers(part)} answers no call") for part in lost
            )
            lost = []

    def _call_of(self, result: ToolResult) -> tuple[_Open, int] | None:
        if result.call_id:
            stack = self._by_id.get(result.call_id)
            while stack:
                index = stack[-1].next_by_id(result.call_id)
                if index is not None:
                    return stack[-1], index
                stack.pop()
        if self.last is not None:
            index = self.last.next_by_name(result)
            if index is not None:
                return self.last, index
        return None


def _called(call: ToolCall) -> str:
    return f"{call.call_id!r} of {call.name!r}" if call.call_id else f"of {call.name!r}"


def _answers(result: ToolResult) -> str:
    return repr(result.call_id) if result.call_id else f"of {result.name!r}"
