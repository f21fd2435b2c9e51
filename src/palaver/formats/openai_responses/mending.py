"""An input made such that no rule finds anything in it, as locally as possible, and every change noted.

Calls and results were paired and their ids made to fit before. What is left are single items, mostly of this wire: ids
that are not OpenAI's, reasoning that lost what it was produced with, fields of the wrong type. Each walk over the items
takes something away or sets it right, until the rules find nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from palaver.codec import json_text
from palaver.formats.call_ids import shortened
from palaver.formats.openai_responses.faults import Fault, Fix
from palaver.formats.openai_responses.fields import MAX_NAME, entry_fault
from palaver.formats.openai_responses.kinds import CALLS, ID_REQUIRED, OUTPUTS, kind_of
from palaver.formats.openai_responses.rules import faults
from palaver.formats.wire import Notes, RepairKind, is_array, is_object
from palaver.model import Message

__all__ = ["mended"]

_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
_TRIES = 3
"""How often items are put into another order before they are left out instead."""


def mended(items: list[Any], starts: list[int], messages: Sequence[Message], first: int, notes: Notes) -> list[Any]:
    """The items without a fault; the same list where there is none.

    `starts` is where the items of each message begin; `first` is the place of the first message in its list.
    """
    found = faults(items)
    if not found:
        return items
    mending = _Mending(items, starts, messages, first, notes)
    tries = 0
    while found:
        others = [fault for fault in found if fault.fix != Fix.ORDER]
        if others:
            mending.apply(others)
        elif tries < _TRIES:
            tries += 1
            mending.reorder(found)
        else:
            mending.apply([fault._replace(fix=Fix.LEAVE_OUT) for fault in found])
        found = faults(mending.items)
    return mending.items


class _Mending:
    """Items in the making, and the message that each came from."""

    def __init__(
        self, items: list[Any], starts: list[int], messages: Sequence[Message], first: int, notes: Notes
    ) -> None:
        self.items = items
        self._owners = [bisect_right(starts, index) - 1 for index in range(len(items))]
        self._messages = messages
        self._first = first
        self._notes = notes

    def note(self, kind: RepairKind, index: int, detail: str) -> None:
        """Note what was done to the item at this index."""
        owner = self._owners[index]
        self._notes.at(owner + self._first, self._messages[owner].seq)
        self._notes.add(kind, detail)

    def apply(self, found: list[Fault]) -> None:
        """Mend each item; those that cannot be are taken out."""
        gone: set[int] = set()
        for fault in sorted(found, key=lambda each: each.fix != Fix.LEAVE_OUT):  # what goes need not be mended first
            if fault.at not in gone and not _STEPS[fault.fix](self, fault):
                gone.add(fault.at)
                self.note(_left_out(self.items[fault.at]), fault.at, f"left out, as it breaks {fault.rule}")
        if gone:
            kept = [index for index in range(len(self.items)) if index not in gone]
            self.items = [self.items[index] for index in kept]
            self._owners = [self._owners[index] for index in kept]

    def reorder(self, found: list[Fault]) -> None:
        """Put what stands between calls and their outputs in front of the first of the calls.

        Reasoning goes right before the call, anything else before the reasoning that the call came from, and takes
        along the reasoning that it came from itself.
        """
        before: dict[int, list[int]] = {}
        gone: set[int] = set()
        for fault in found:
            if self._is_thought(fault.at):
                continue
            begin = fault.at
            while begin - 1 > fault.place and self._is_thought(begin - 1):
                begin -= 1
            lead = fault.place
            while lead > 0 and self._is_thought(lead - 1):
                lead -= 1
            before.setdefault(lead, []).extend(range(begin, fault.at + 1))
            gone.update(range(begin, fault.at + 1))
        for fault in found:
            if fault.at not in gone:
                before.setdefault(fault.place, []).append(fault.at)
                gone.add(fault.at)
            self.note("moved", fault.at, "it stands before the call whose output it kept away")
        order: list[int] = []
        for index in range(len(self.items)):
            order += before.get(index, [])
            if index not in gone:
                order.append(index)
        self.items = [self.items[index] for index in order]
        self._owners = [self._owners[index] for index in order]

    def _is_thought(self, index: int) -> bool:
        return kind_of(self.items[index]) == "reasoning"

    def leave_out(self, _fault: Fault) -> bool:
        """Nothing helps."""
        return False

    def set_id(self, fault: Fault) -> bool:
        """Take the id away, where the item can do without."""
        item = self.items[fault.at]
        kind = kind_of(item)
        if kind in ID_REQUIRED:
            return False
        if kind == "reasoning" and not item.get("encrypted_content") and not item.get("content"):
            return False  # its id was all that it had
        if "id" in item:
            given = item.pop("id")
            self.note("item_id_left_out", fault.at, f"the id {given!r} of its {kind} breaks {fault.rule}")
        return True

    def set_thought(self, fault: Fault) -> bool:
        """Encrypted reasoning can stand before an answer without ids; other reasoning means nothing then."""
        item = self.items[fault.at]
        if "id" not in item:  # another fault of it was mended just now
            return True
        after = fault.at + 1
        while after < len(self.items) and self._is_thought(after):
            after += 1
        follower = self.items[after] if after < len(self.items) else None
        if not item.get("encrypted_content") or not is_object(follower) or not _is_answer(follower):
            return False
        self.note("item_id_left_out", fault.at, "its reasoning lost its id, as what it was produced with has none")
        del item["id"]
        return True

    def set_name(self, fault: Fault) -> bool:
        """A name that the API takes."""
        item = self.items[fault.at]
        name = item.get("name")
        if not isinstance(name, str) or not name:
            item["name"] = "unknown"
            self.note("name_missing", fault.at, "a call has no name; it got 'unknown'")
            return True
        item["name"] = _FORBIDDEN.sub("_", shortened(name, MAX_NAME))
        self.note("name_changed", fault.at, f"the name {name!r} is refused by OpenAI; it became {item['name']!r}")
        return True

    def set_field(self, fault: Fault) -> bool:
        """A field of the type that it has to be of."""
        item, kind = self.items[fault.at], kind_of(self.items[fault.at])
        if kind == "reasoning":
            item["summary"] = []
            self.note("thinking_changed", fault.at, "its reasoning has no summary; it got an empty one")
            return True
        call = CALLS.get(kind)
        if call is not None:
            item[call.said] = _text(item.get(call.said), "{}" if kind == "function_call" else "")
            self.note("arguments_changed", fault.at, f"what its {kind} says became text")
            return True
        output = item.get("output")
        if is_array(output):
            item["output"] = self._entries(output, fault, "input_text") or ""
        elif not isinstance(output, str):
            item["output"] = _text(output, "")
            self.note("text_changed", fault.at, "what its output says became text")
        return True

    def set_content(self, fault: Fault) -> bool:
        """Content of the right entries; a message that says nothing then is left out."""
        item = self.items[fault.at]
        content = item.get("content")
        usual = "output_text" if item.get("role") == "assistant" else "input_text"
        entries = self._entries(content, fault, usual) if is_array(content) else []
        alone = len(entries) == 1 and usual == "output_text" and entries[0].keys() == {"type", "text"}
        # A bare text of the model is content as a string; as a list, the SDK wants the whole item that it came with.
        item["content"] = entries[0]["text"] if alone and "id" not in item else entries
        return bool(entries)

    def _entries(self, entries: list[Any], fault: Fault, usual: str) -> list[Any]:
        out: list[Any] = []
        for entry in entries:
            if entry_fault(entry, usual, "") is None:
                out.append(entry)
                continue
            said: Any = entry.get("text", entry.get("refusal")) if is_object(entry) else entry
            if isinstance(said, str):
                out.append({"type": usual, "text": said})
                self.note("text_changed", fault.at, f"a text became {usual}, as its place demands")
            else:
                self.note("part_left_out", fault.at, "an entry of its content is not one that its place takes")
        return out


_STEPS: dict[str, Callable[[_Mending, Fault], bool]] = {
    Fix.CONTENT: _Mending.set_content,
    Fix.FIELD: _Mending.set_field,
    Fix.ID: _Mending.set_id,
    Fix.LEAVE_OUT: _Mending.leave_out,
    Fix.NAME: _Mending.set_name,
    Fix.THOUGHT: _Mending.set_thought,
}


def _is_answer(item: dict[str, Any]) -> bool:
    kind = kind_of(item)
    return kind in CALLS or (kind == "message" and item.get("role") == "assistant")


def _text(value: Any, empty: str) -> str:
    if value is None:
        return empty
    return value if isinstance(value, str) else json_text(value)


def _left_out(item: Any) -> RepairKind:
    kind = kind_of(item) if is_object(item) else ""
    if kind in OUTPUTS:
        return "result_left_out"
    if kind == "reasoning":
        return "thinking_left_out"
    if kind == "message":
        return "message_left_out"
    return "part_left_out" if kind in CALLS else "opaque_left_out"
