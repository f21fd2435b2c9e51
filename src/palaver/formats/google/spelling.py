"""Messages as contents: those of this wire exactly as they came, those of others as well as it can say them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.formats.google.foreign import Foreign
from palaver.formats.google.keys import NOTHING, WIRE, kept, words_of
from palaver.formats.google.media import breadcrumb
from palaver.formats.google.mending import Source, mend
from palaver.formats.google.parts import spell_call, spell_part
from palaver.formats.google.quick import quick_entry
from palaver.formats.google.rules import check
from palaver.formats.google.system import spell_system
from palaver.formats.wire import Notes, Rendered
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, Part, ToolCall

__all__ = ["render"]

_LEADING = ("system", "developer")


def render(messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered:
    """The payload of a request: leading instructions apart, and the contents."""
    count = 0
    while count < len(messages) and messages[count].role in _LEADING:
        count += 1
    system = spell_system(messages[:count], notes)
    if repair and system is not None and any(found.where.startswith("system") for found in check([], system)):
        notes.at(0, messages[0].seq)
        notes.add("message_left_out", "the instruction is neither text nor parts")
        system = None
    writing = _Writing(notes, repair=repair)
    for index in range(count, len(messages)):
        message = messages[index]
        notes.at(index, message.seq)
        if message.wire == WIRE and message.role not in _LEADING:
            writing.own(message, index)
        else:
            writing.foreign(messages, index)
    contents = mend(writing.contents, writing.sources, notes) if repair else writing.contents
    return Rendered(system, contents, notes.repairs())


class _Writing:
    """Contents in the making."""

    def __init__(self, notes: Notes, *, repair: bool) -> None:
        self.contents: list[Any] = []
        self.sources: list[Source] = []
        self._notes = notes
        self._side: str | None = None
        """Whose the last content is, where a message of this wire can join it."""
        self._open = False
        """Whether the last content came from elsewhere, and can go on."""
        self._foreign = Foreign(notes, repair=repair)

    def _add(self, content: dict[str, Any], index: int, seq: int) -> None:
        self.contents.append(content)
        self.sources.append(Source(index, seq))

    def own(self, message: Message, index: int) -> None:
        """A message of this wire."""
        parts: list[Any] = []
        for part in message.parts:
            entry = quick_entry(part)
            if entry is None:
                entry = self._own_part(part)
                if entry is NOTHING:
                    continue
            parts.append(entry)
        assistant = message.role == "assistant"
        side = "model" if assistant else "user"
        self._open = False
        if message.layout is None and message.extra is None and not message.joins:
            self._add({"role": side, "parts": parts}, index, message.seq)
            self._side = side
            return
        words = words_of(message.layout)
        if message.joins and self._side == side and "own" not in words:
            _join(self.contents[-1]["parts"], parts, words)
            return
        self._side = side
        role = side if assistant else next((word for word in words if word in ("function", "tool")), side)
        content: dict[str, Any] = {} if "no-role" in words and not assistant else {"role": role}
        if parts or "absent" not in words:
            content["parts"] = parts
        for key, value in kept(message.extra).items():
            content.setdefault(key, value)
        if not isinstance(content.get("parts"), list):
            self._side = None  # nothing can join it
        self._add(content, index, message.seq)

    def _own_part(self, part: Part) -> Any:
        if isinstance(part, ToolCall):
            entry, changed = spell_call(part)
            if changed:
                self._notes.add("arguments_changed", f"the arguments of {part.name!r} are no JSON object")
            return entry
        entry = spell_part(part)
        if entry is not NOTHING:
            return entry
        if isinstance(part, (ImagePart, AudioPart, FilePart)):
            self._notes.add("media_left_out", f"{breadcrumb(part)} has no bytes and no address here")
            return {"text": breadcrumb(part)}
        if isinstance(part, Opaque):
            self._notes.add("opaque_left_out", f"a part of {part.wire} means nothing on google")
        return NOTHING

    def foreign(self, messages: Sequence[Message], index: int) -> None:
        """A message of another wire, or of none, or an instruction in the middle."""
        last = self.contents[-1] if self._open else None
        content = self._foreign.content(messages, index, last)
        if content is not None and content is not last:
            self._add(content, index, messages[index].seq)
        if content is not None:
            self._side, self._open = None, True


def _join(parts: list[Any], others: list[Any], words: list[str]) -> None:
    """Put the parts of a message into the content that it joins, where they stood: after the results, or among them."""
    places = [int(word) for word in words[1:] if word.isdecimal()] if words[:1] == ["at"] else []
    if len(places) != len(others) or any(place > len(parts) + number for number, place in enumerate(places)):
        parts.extend(others)
        return
    for place, part in zip(places, others, strict=True):
        parts.insert(place, part)
