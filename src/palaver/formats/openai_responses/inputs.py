"""Messages of the client: user, system and developer, as this wire spells its own."""

from __future__ import annotations

from typing import Any

from palaver.formats.openai_responses.content import spell_entry
from palaver.formats.openai_responses.extras import NOTHING, combined, kept_keys, loaded
from palaver.formats.openai_responses.kinds import WIRE
from palaver.formats.wire import fingerprint
from palaver.model import Message, Opaque, TextPart

__all__ = ["spell_input"]


def spell_input(message: Message) -> Any:
    """The item that a message of this wire came as; NOTHING where it has to be said otherwise, as after an edit."""
    layout, parts = message.layout, message.parts
    if layout in (None, "input") and len(parts) == 1 and type(parts[0]) is TextPart and parts[0].extra is None:
        item = {"role": message.role, "content": parts[0].text}
        return item if message.extra is None else combined(item, message.extra)
    if layout in ("null", "absent") and not parts:
        empty: dict[str, Any] = {"role": message.role}
        if layout == "null":
            empty["content"] = None
        return combined(empty, message.extra)
    if layout == "list":
        entries = [spell_entry(part, "input_text") for part in parts]
        if any(entry is NOTHING for entry in entries):
            return NOTHING
        return combined({"role": message.role, "content": entries}, message.extra)
    if layout == "item" and len(parts) == 1 and isinstance(parts[0], Opaque) and parts[0].wire == WIRE:
        return loaded(parts[0].data)
    if layout is not None and layout.startswith("verbatim") and layout == f"verbatim {fingerprint(message)}":
        return kept_keys(message.extra) or NOTHING
    return NOTHING
