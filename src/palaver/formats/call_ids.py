"""Call ids that a wire accepts: every call gets one, and every result the one that its call got.

What an id became is the same in every payload (its own letters and a digest decide it), and `CallIds.changed` leads
back: whoever ran a call under the id of the payload finds the id that is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from palaver.formats.wire import Notes, is_object
from palaver.model import ToolCall, ToolResult

__all__ = ["Answered", "CallIds", "shortened"]


def shortened(text: str, limit: int, forbidden: re.Pattern[str] | None = None) -> str:
    """The text itself where a wire takes it, else its beginning and a digest: at most `limit` characters.

    Characters that `forbidden` finds become `_`. Two texts do not become one: the digest is of the whole.
    """
    if len(text) <= limit and (forbidden is None or not forbidden.search(text)):
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]
    kept = text if forbidden is None else forbidden.sub("_", text)
    return f"{kept[: max(limit - 25, 0)]}_{digest}"[-limit:]


class Answered(NamedTuple):
    """The call that a result answers: its id in the payload and its name."""

    wire_id: str
    name: str


class _Open:
    __slots__ = ("answered", "has_id", "late_id", "name", "slot", "wire_id")

    def __init__(self, name: str, wire_id: str, *, has_id: bool) -> None:
        self.name = name
        self.has_id = has_id
        self.wire_id = wire_id
        self.answered = False
        self.late_id = ""
        self.slot: dict[str, Any] | None = None


class CallIds:
    """One walk over a payload, in order: `calls` for each message with calls, `answer` for each result.

    A result answers the newest earlier call with its id that has no answer yet; without an id, the newest one with
    its name. Within one message the calls are answered in their order, those without an id first by what has none.
    """

    __slots__ = ("_everywhere", "_last", "_numbers", "_open", "_used", "changed", "fit")

    def __init__(self, fit: Callable[[str], str], *, everywhere: bool = False) -> None:
        self.fit = fit
        """What the wire would have an id be: the id itself where it takes it. Always the same for the same id."""
        self.changed: dict[str, str] = {}
        """Ids of the payload that are not those of the messages, and what they are there; made-up ones are ""."""
        self._everywhere = everywhere
        """Whether ids are unique in the whole payload, and not in one message only."""
        self._used: set[str] = set()
        """Ids of earlier messages, where they must not come again."""
        self._numbers: dict[str, int] = {}
        self._last: list[_Open] = []
        self._open: dict[tuple[str, str], list[list[_Open]]] = {}

    def calls(self, calls: Sequence[ToolCall], *, label: str, notes: Notes, native: bool) -> list[str]:
        """Ids for the calls of one message: not empty, unique in it, and such as the wire takes.

        `label` goes into the ids that are made up; give one that stays the same from payload to payload. A `native`
        message is left as it came where that can work: its ids are taken as they are, and its empty ids stay empty
        until a result needs one; `late` then says where to put it.
        """
        taken = {call.call_id for call in calls}
        used: set[str] = set()
        ids: list[str] = []
        for index, call in enumerate(calls):
            wire_id = call.call_id
            if not wire_id:
                wire_id = "" if native else self._free(f"call_{label}_{index}", taken)
                if wire_id:
                    notes.add("call_id_made", f"the call of {call.name!r} has no id; it got {wire_id!r}")
            elif wire_id in used or wire_id in self._used:
                wire_id = self._free(wire_id, taken)
                notes.add("call_id_made_unique", f"the call id {call.call_id!r} occurs twice; one became {wire_id!r}")
            elif not native and (fitting := self.fit(wire_id)) != wire_id:
                free = fitting not in taken and fitting not in self._used
                wire_id = fitting if free else self._free(fitting, taken)
                notes.add("call_id_shortened", f"the call id {call.call_id!r} is refused here; it became {wire_id!r}")
            used.add(call.call_id)
            taken.add(wire_id)
            ids.append(wire_id)
            if wire_id != call.call_id:
                self.changed[wire_id] = call.call_id
        self.opened(calls, ids)
        for index, entry in enumerate(self._last):
            entry.late_id = entry.wire_id or self._free(f"call_{label}_{index}", taken)
        if self._everywhere:
            self._used |= taken
        return ids

    def opened(self, calls: Sequence[ToolCall], ids: Sequence[str]) -> None:
        """Note that these calls wait for an answer under these ids; an empty id is one that the wire does not spell."""
        groups: dict[tuple[str, str], list[_Open]] = {}
        self._last = []
        for call, wire_id in zip(calls, ids, strict=True):
            entry = _Open(call.name, wire_id, has_id=bool(call.call_id))
            self._last.append(entry)
            for key in (("id", call.call_id), ("name", call.name), ("any", "")):
                if key != ("id", ""):
                    groups.setdefault(key, []).append(entry)
        for key, group in groups.items():
            if key[0] != "id":  # what has no id answers what has none
                group.sort(key=lambda entry: entry.has_id)
            group.reverse()
            self._open.setdefault(key, []).append(group)

    def late(self, slots: Sequence[Any]) -> None:
        """Where the calls of the last message stand in the payload; their `id` is set when a result needs it."""
        for entry, slot in zip(self._last, slots, strict=True):
            if not entry.wire_id and is_object(slot):
                entry.slot = slot

    def answer(self, result: ToolResult, notes: Notes) -> Answered | None:
        """The call that this result answers; None where none waits for it."""
        key = ("id", result.call_id) if result.call_id else ("name", result.name) if result.name else ("any", "")
        groups = self._open.get(key, [])
        while groups:
            group = groups[-1]
            while group:
                entry = group.pop()
                if not entry.answered:
                    entry.answered = True
                    return self._answered(entry, notes)
            groups.pop()
        return None

    def _answered(self, entry: _Open, notes: Notes) -> Answered:
        if entry.slot is not None:
            entry.wire_id = entry.slot["id"] = entry.late_id
            self.changed[entry.wire_id] = ""
            notes.add("call_id_made", f"the call of {entry.name!r} had no id; it got {entry.wire_id!r}")
        return Answered(entry.wire_id, entry.name)

    def _free(self, wanted: str, taken: set[str]) -> str:
        number = self._numbers.get(wanted, 1)
        found = self.fit(wanted)
        while found in taken or found in self._used:
            number += 1
            found = self.fit(f"{wanted}_{number}")
        if self._everywhere:  # many calls may have one id
            self._numbers[wanted] = number
        return found
