"""A list of messages as OpenAI's wire wants it: an object for each message, one for each result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from palaver.formats.call_ids import CallIds
from palaver.formats.openai_chat.dialect import Dialect
from palaver.formats.openai_chat.ordinary import spelled
from palaver.formats.openai_chat.spelling import say_no_reasoning, spell, spell_result, verbatim
from palaver.formats.wire import Notes, Rendered, is_array
from palaver.model import Message, ThinkingPart, ToolResult

__all__ = ["render"]


def render(messages: Sequence[Message], dialect: Dialect, notes: Notes, *, repair: bool) -> Rendered:
    """The payload of a request. `system` is None: this wire has its system prompt among the messages."""
    if not repair:
        out = [
            entry for index, message in _joined(messages, dialect) for entry in _as_is(index, message, dialect, notes)
        ]
        return Rendered(None, out, notes.repairs(), {})
    walk = _Walk(dialect, notes)
    out, waiting, places = walk.out, walk.waiting, walk.places
    for index, message in _joined(messages, dialect, merges=notes):
        ordinary = spelled(message, dialect, waiting)
        if ordinary is not None and (ordinary.get("content") or message.role != "assistant" or message.tool_calls):
            out.append(ordinary)
        else:  # also an answer without a word, which some providers refuse
            notes.at(index, message.seq)
            walk.take(message, f"m{index}")
        while len(places) < len(out):
            places.append((index, message.seq))
    dialect.settle(out, walk.notes_of)
    return Rendered(None, out, notes.repairs(), walk.ids.changed)


def _as_is(index: int, message: Message, dialect: Dialect, notes: Notes) -> list[dict[str, Any]]:
    """The objects that say a message, right or wrong."""
    ordinary = spelled(message, dialect, None)
    if ordinary is not None:
        return [ordinary]
    notes.at(index, message.seq)
    if message.role != "tool":
        entry = spell(message, dialect, notes)
        return [] if entry is None else [entry]
    alone = len(message.tool_results) == 1
    found = [spell_result(part, message, dialect, notes, alone=alone) for part in _results(message, notes)]
    return [entry for entry in found if entry is not None]


def _results(message: Message, notes: Notes) -> list[ToolResult]:
    if len(message.tool_results) < len(message.parts):
        notes.add("part_left_out", "what is no tool result does not belong in a tool message")
    return list(message.tool_results)


class _Walk:
    """One rendering with repairs: the payload so far, and the calls that wait for their results."""

    __slots__ = ("dialect", "ids", "notes", "out", "places", "waiting")

    def __init__(self, dialect: Dialect, notes: Notes) -> None:
        self.dialect = dialect
        self.notes = notes
        self.out: list[Any] = []
        self.places: list[tuple[int, int]] = []
        """For each of `out`, the message that it was made from: its place, and its position in the session."""
        self.ids = CallIds(dialect.fit_call_id)
        self.waiting: set[str] = set()
        """Calls of the last message with calls, where all their ids are as they were; else `ids` knows them."""

    def notes_of(self, place: int) -> Notes:
        """The notes, about the message that this entry was made from."""
        if self.places:
            self.notes.at(*self.places[place])
        return self.notes

    def take(self, message: Message, label: str) -> None:
        """Spell a message the careful way."""
        if message.role == "tool":
            self._take_results(message)
            return
        if message.role == "assistant" and message.wire != self.dialect.wire and self._without_reasoning(message):
            return
        self.waiting.clear()
        entry = spell(message, self.dialect, self.notes, self._call_ids(message, label))
        if entry is not None:
            self._add(entry)

    def _without_reasoning(self, message: Message) -> bool:
        """Spell an answer of another wire that is ordinary but for its reasoning; whether it was."""
        parts = tuple(part for part in message.parts if type(part) is not ThinkingPart)
        if len(parts) == len(message.parts):
            return False
        entry = spelled(message.replace(parts=parts), self.dialect, self.waiting)
        if entry is None:
            return False
        for _ in range(len(message.parts) - len(parts)):
            say_no_reasoning(message, self.dialect, self.notes)
        self._add(entry)
        return True

    def _add(self, entry: dict[str, Any]) -> None:
        if self.dialect.mend(entry, self.notes):
            self.out.append(entry)
        else:
            self.notes.add("message_left_out", "it says nothing")

    def _call_ids(self, message: Message, label: str) -> list[str]:
        """Ids for the calls of a message, which wait for their results from now on."""
        calls = message.tool_calls
        if message.role != "assistant" or not calls:
            return []
        if self.dialect.legacy and message.wire == self.dialect.wire and len(calls) == 1 and not calls[0].call_id:
            calls_kept = (verbatim(message, self.dialect) or {}).get("tool_calls")
            if not (is_array(calls_kept) and calls_kept):
                self.ids.opened(calls, [""])
                return [""]
        label = str(message.seq) if message.seq else label
        return self.ids.calls(calls, label=label, notes=self.notes, native=False)

    def _take_results(self, message: Message) -> None:
        results = _results(message, self.notes)
        for result in results:
            if result.call_id in self.waiting:
                answers: tuple[str, str] | None = (result.call_id, "")
            else:
                answers = self.ids.answer(result, self.notes)
            if answers is None:
                self.notes.add("result_left_out", f"the result of {result.name!r} answers no call")
                continue
            alone = len(results) == 1
            entry = spell_result(result, message, self.dialect, self.notes, answers=answers, alone=alone)
            if entry is not None:
                self._add(entry)


def _joined(
    messages: Sequence[Message], dialect: Dialect, merges: Notes | None = None
) -> Iterable[tuple[int, Message]]:
    """The messages with their places; one where another wire had several for one response.

    Here the calls of a response stand together. With `merges` so do those of messages of this wire.
    """
    if not any(message.joins for message in messages):
        return enumerate(messages)
    out: list[tuple[int, Message]] = []
    for index, message in enumerate(messages):
        before = out[-1][1] if out else None
        if not message.joins or before is None or not message.role == before.role == "assistant":
            out.append((index, message))
        elif dialect.wire not in (message.wire, before.wire):
            out[-1] = (out[-1][0], _merged(before, message))
        elif merges is not None and before.tool_calls:
            merges.at(index, message.seq)
            merges.add("messages_merged", "its calls stand with those of the message that it continues")
            out[-1] = (out[-1][0], _merged(before, message))
        else:
            out.append((index, message))
    return out


def _merged(one: Message, other: Message) -> Message:
    merged = one.replace(parts=one.parts + other.parts, name=one.name or other.name)
    if one.wire == other.wire:
        whole = (one.layout or "").startswith("verbatim")
        return merged.replace(layout=None, extra=None) if whole else merged
    return merged.replace(wire=None, layout=None, extra=None)
