"""The items of a response, and what they are in an assistant message: reasoning, text, and what a server did.

One item may be several parts, as a message with two texts is. The first of them remembers the item's own keys, under
`item` in its `extra`; the layouts say how the item is put together again: `message` begins the list of a message and
`content` goes on with it; `summary` and `content` begin a reasoning item with an entry of that list, `+summary` and
`+content` go on with it, and `reasoning` is one without text.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from palaver.codec import json_text
from palaver.formats.media import image_type
from palaver.formats.openai_responses.content import ContentPart, parse_entry, spell_entry
from palaver.formats.openai_responses.extras import NOTHING, combined, kept_keys, loaded, without
from palaver.formats.openai_responses.kinds import WIRE, kind_of
from palaver.formats.wire import is_array, is_object, leftover
from palaver.model import ImagePart, Opaque, Part, TextPart, ThinkingPart

__all__ = ["add_item", "parse_item"]

_ENTRIES = {"summary": "summary_text", "content": "reasoning_text"}
"""The lists of a reasoning item, and what their entries are."""


def parse_item(raw: dict[str, Any], where: str) -> tuple[Part, ...]:
    """The parts that an item of a response is; one Opaque where they would not come back exactly."""
    parts = _typed(raw, where)
    out: list[Any] = []
    if parts and all(add_item(part, out, 0) for part in parts) and out == [raw]:
        return parts
    return (Opaque(wire=WIRE, data=json_text(raw, where)),)


def _typed(raw: dict[str, Any], where: str) -> tuple[Part, ...]:
    kind = kind_of(raw)
    if kind == "message":
        return _message(raw, where)
    if kind == "reasoning":
        return _reasoning(raw, where)
    if kind == "image_generation_call" and isinstance(raw.get("result"), str):
        form = raw.get("output_format")
        said = f"image/{form}" if isinstance(form, str) else None
        media_type = image_type(raw["result"], said) or "image/png"  # which the API makes unless asked otherwise
        extra = leftover(without(raw, "type", "result"), where)
        return (ImagePart(media_type=media_type, data=raw["result"], layout=kind, extra=extra),)
    return ()


def _message(raw: dict[str, Any], where: str) -> tuple[Part, ...]:
    content = raw.get("content")
    item = without(raw, "role", "content")
    if isinstance(content, str):
        return (TextPart(text=content, extra=leftover({"item": item} if item else {}, where)),)
    if not is_array(content):
        return ()
    parts: list[Part] = []
    for index, entry in enumerate(content):
        part = parse_entry(entry, f"{where}.content[{index}]", "output_text")
        parts.append(msgspec.structs.replace(part, layout="content" if parts else "message"))
    if parts and item:
        keys = {**kept_keys(parts[0].extra), "item": item}
        parts[0] = msgspec.structs.replace(parts[0], extra=leftover(keys, where))
    return tuple(parts)


def _reasoning(raw: dict[str, Any], where: str) -> tuple[Part, ...]:
    item = without(raw, "type")
    redacted = item.pop("encrypted_content") if isinstance(raw.get("encrypted_content"), str) else None
    said: list[tuple[str, dict[str, Any]]] = []
    for field, kind in _ENTRIES.items():
        entries = raw.get(field)
        if is_array(entries) and entries and all(_is_text(entry, kind) for entry in entries):
            said += [(field, entry) for entry in entries]
            del item[field]
    if not said:
        return (ThinkingPart(redacted=redacted, layout="reasoning", extra=leftover({"item": item}, where)),)
    parts: list[Part] = []
    for field, entry in said:
        keys = without(entry, "type", "text")
        if not parts:
            extra = leftover({**keys, "item": item}, where)
            parts.append(ThinkingPart(text=entry["text"], redacted=redacted, layout=field, extra=extra))
        else:
            parts.append(ThinkingPart(text=entry["text"], layout=f"+{field}", extra=leftover(keys, where)))
    return tuple(parts)


def _is_text(entry: Any, kind: str) -> bool:
    return is_object(entry) and entry.get("type") == kind and isinstance(entry.get("text"), str)


def add_item(part: Part, out: list[Any], first: int) -> bool:
    """Put a part of this wire to the items of its message, which begin at `first`; no calls.

    False where it cannot be said, and nothing was added.
    """
    if type(part) is TextPart:
        return _add_text(part, out, first)
    if type(part) is ThinkingPart:
        return _add_thinking(part, out, first)
    if type(part) is ImagePart and part.layout == "image_generation_call":
        out.append(combined({"type": "image_generation_call", "result": part.data}, part.extra))
        return True
    layout = part.layout
    if layout in ("message", "content"):
        return _add_entry(part, out, first)
    if type(part) is Opaque and part.wire == WIRE:
        value = loaded(part.data)
        if value is not NOTHING:
            out.append(value)
            return True
    return False


def _add_text(part: TextPart, out: list[Any], first: int) -> bool:
    layout = part.layout
    if part.extra is None:
        keys: dict[str, Any] = {}
        item: Any = {}
    else:
        keys = kept_keys(part.extra)
        item = keys.pop("item", {})
    if layout is None and not keys and type(item) is dict:
        item["role"] = "assistant"
        item["content"] = part.text
        out.append(item)
        return True
    kind = keys.setdefault("type", "output_text")
    keys["refusal" if kind == "refusal" else "text"] = part.text
    return _put(keys, item, layout, out, first)


def _add_entry(part: Any, out: list[Any], first: int) -> bool:
    """An entry of a message that is no text."""
    keys = kept_keys(part.extra)
    item = keys.pop("item", {})
    bare: ContentPart = msgspec.structs.replace(part, extra=json.dumps(keys) if keys else None)
    entry = spell_entry(bare, "output_text")
    return entry is not NOTHING and _put(entry, item, part.layout, out, first)


def _put(entry: Any, item: Any, layout: str | None, out: list[Any], first: int) -> bool:
    if layout == "content" and len(out) > first:
        before = out[-1]
        if is_object(before) and kind_of(before) == "message" and is_array(before.get("content")):
            before["content"].append(entry)
            return True
    out.append({**(item if is_object(item) else {}), "role": "assistant", "content": [entry]})
    return True


def _add_thinking(part: ThinkingPart, out: list[Any], first: int) -> bool:
    layout = part.layout or ""
    if not layout and part.redacted is None:
        return False
    field = layout.removeprefix("+")
    field = field if field in _ENTRIES else "summary"
    keys = kept_keys(part.extra)
    item = keys.pop("item", None)
    said = [] if part.text is None else [{**keys, "type": _ENTRIES[field], "text": part.text}]
    if layout.startswith("+") and len(out) > first:
        before = out[-1]
        if is_object(before) and before.get("type") == "reasoning" and is_array(before.setdefault(field, [])):
            before[field].extend(said)
            return True
    made: dict[str, Any] = {**item, "type": "reasoning"} if is_object(item) else {"type": "reasoning", "summary": []}
    if part.redacted is not None:
        made["encrypted_content"] = part.redacted
    if said:
        made[field] = said
    out.append(made)
    return True
