"""The system instruction, which stands beside the contents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.formats.google.keys import NOTHING, WIRE, kept, words_of
from palaver.formats.google.parts import spell_part
from palaver.formats.wire import Notes
from palaver.model import Message, TextPart

__all__ = ["spell_system"]


def spell_system(messages: Sequence[Message], notes: Notes) -> Any:
    """The instruction that leading messages give; None where there are none, or nothing in them is text."""
    if not messages:
        return None
    if len(messages) == 1 and messages[0].wire == WIRE and (exact := _as_it_came(messages[0])) is not None:
        return exact
    parts: list[Any] = []
    beside: dict[str, Any] = {}
    for index, message in enumerate(messages):
        notes.at(index, message.seq)
        own = message.wire == WIRE
        if own:
            beside = {**kept(message.extra), **beside}
        parts.extend(_parts(message, notes, own=own))
    beside.pop("parts", None)
    return {"parts": parts, **beside} if parts else None


def _as_it_came(message: Message) -> Any:
    words = words_of(message.layout)
    if words[:1] != ["apart"]:
        return None
    parts = [entry for part in message.parts if (entry := spell_part(part)) is not NOTHING]
    if len(parts) != len(message.parts):
        return None
    if "string" in words:
        only = message.parts[0] if len(message.parts) == 1 else None
        return only.text if isinstance(only, TextPart) else None
    if "list" in words:
        return parts
    if "part" in words:
        return parts[0] if len(parts) == 1 else None
    if "absent" in words and not parts:
        return kept(message.extra)
    return {"parts": parts, **{key: value for key, value in kept(message.extra).items() if key != "parts"}}


def _parts(message: Message, notes: Notes, *, own: bool) -> list[Any]:
    out: list[Any] = []
    for part in message.parts:
        if own and (entry := spell_part(part)) is not NOTHING:
            out.append(entry)
        elif isinstance(part, TextPart):
            if part.text:
                out.append({"text": part.text})
        else:
            notes.add("part_left_out", "an instruction on google is text")
    return out
