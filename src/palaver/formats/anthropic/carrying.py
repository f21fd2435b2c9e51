"""What messages of other wires, or of none, become as Anthropic blocks; what cannot be said is noted."""

from __future__ import annotations

from typing import Any

from palaver.formats.anthropic.parts import WIRE, spell_block
from palaver.formats.blocks import decoded_text, kind_of_opaque
from palaver.formats.media import Media, breadcrumb, carried, image_type
from palaver.formats.wire import Notes, is_object
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Part,
    TextPart,
    ThinkingPart,
    ToolResult,
    Wire,
)

__all__ = ["carry", "carry_result", "media_block"]

_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What the source of an image may be (anthropic SDK, `Base64ImageSourceParam.media_type`)."""

_SIGNED_ALIKE = frozenset({WIRE, "bedrock"})
"""Wires whose signatures are one: those of Claude "are compatible across platforms" (docs, "Extended thinking"), and
other models on Bedrock sign nothing."""


def carry(part: Part, message: Message, notes: Notes) -> list[dict[str, Any]]:
    """The blocks that say a part which is neither call nor result; none where it cannot be said."""
    match part:
        case TextPart():
            return _text(part, message, notes)
        case ThinkingPart():
            return _thinking(part, message, notes)
        case ImagePart() | AudioPart() | FilePart():
            return _media(part, message, notes)
        case Opaque(wire="anthropic") if is_object(spelled := spell_block(part)):
            return [spelled]
        case Opaque():
            notes.add("opaque_left_out", f"{kind_of_opaque(part)} of {part.wire} means nothing on anthropic")
            return []
        case _:
            notes.add("part_left_out", f"a {type(part).__name__} does not belong in a {message.role} message")
            return []


def _text(part: TextPart, message: Message, notes: Notes) -> list[dict[str, Any]]:
    if not part.text:
        return []
    if message.role != "assistant" and part.text.isspace():
        notes.add("part_left_out", "text of nothing but whitespace is refused by Anthropic")
        return []
    return [{"type": "text", "text": part.text}]


def _thinking(part: ThinkingPart, message: Message, notes: Notes) -> list[dict[str, Any]]:
    if message.wire in _SIGNED_ALIKE and part.signature and part.redacted is None and message.role == "assistant":
        return [{"type": "thinking", "thinking": part.text or "", "signature": part.signature}]
    notes.add("thinking_left_out", f"reasoning of {message.wire or 'no wire'} has no signature that Anthropic knows")
    return []


def _media(part: Media, message: Message, notes: Notes) -> list[dict[str, Any]]:
    block = media_block(part, message.wire) if message.role in ("user", "tool") else None
    if block is not None:
        return [block]
    notes.add("media_left_out", f"{breadcrumb(part)} cannot be shown in a {message.role} message")
    return [{"type": "text", "text": breadcrumb(part)}] if message.role in ("user", "tool") else []


def media_block(part: Media, wire: Wire | None) -> dict[str, Any] | None:
    """The image or document that shows this part of a message of a wire; None where Anthropic has none for it."""
    found = None if isinstance(part, AudioPart) else carried(part, wire, WIRE)
    if found is None:
        return None
    data, said, web = found.data, found.media_type, found.url
    if isinstance(part, ImagePart) or (said or "").startswith("image/"):
        if data is None:
            return {"type": "image", "source": _elsewhere(found)}
        kind = image_type(data, said)
        if kind not in _IMAGE_TYPES:
            return None
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    source = _elsewhere(found) if data is None and web is None else _document(data, said, web)
    if source is None:
        return None
    named = {} if part.name is None or not part.name.strip() else {"title": part.name}
    return {"type": "document", "source": source, **named}


def _elsewhere(part: Media) -> dict[str, Any]:
    if part.url is not None:
        return {"type": "url", "url": part.url}
    return {"type": "file", "file_id": part.file_id}


def _document(data: str | None, said: str | None, web: str | None) -> dict[str, Any] | None:
    if web is not None:
        return {"type": "url", "url": web} if said in (None, "application/pdf") else None
    if data is None:
        return None
    if said == "application/pdf" or (said is None and data.startswith("JVBERi")):
        return {"type": "base64", "media_type": "application/pdf", "data": data}
    if said is None or said.startswith("text/") or said in ("application/json", "application/xml"):
        text = decoded_text(data)
        return {"type": "text", "media_type": "text/plain", "data": text} if text and not text.isspace() else None
    return None


def carry_result(result: ToolResult, call_id: str, message: Message, notes: Notes) -> dict[str, Any]:
    """The `tool_result` block of a result: a single text as a string, anything else as blocks."""
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id}
    parts = result.parts
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        block["content"] = parts[0].text
    elif parts:
        block["content"] = [spelled for part in parts for spelled in carry(part, message, notes)]
    if result.is_error:
        block["is_error"] = True
    return block
