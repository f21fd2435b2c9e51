"""What messages of other wires, or of none, become as Converse blocks; what cannot be said is noted."""

from __future__ import annotations

import re
from typing import Any

from palaver.formats.bedrock.parts import DOCUMENT_TYPES, WIRE, spell_block
from palaver.formats.blocks import kind_of_opaque
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

__all__ = ["Carrying"]

_IMAGE_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENT_FORMATS = {media_type: word for word, media_type in DOCUMENT_TYPES.items()}
_SIGNED_ALIKE = frozenset({"anthropic", "bedrock"})
"""Wires whose signatures are one: those of Claude "are compatible across platforms" (docs, "Extended thinking"), and
other models on Bedrock sign nothing."""

_UNNAMEABLE = re.compile(r"[^a-zA-Z0-9\-()\[\]]+")


class Carrying:
    """What other wires' parts become in one payload; documents get names that no other one has."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._names: dict[str, int] = {}

    def blocks(self, part: Part, message: Message) -> list[Any]:
        """The blocks that say a part which is neither call nor result; none where it cannot be said."""
        match part:
            case TextPart():
                return self._text(part, message)
            case ThinkingPart():
                return self._thinking(part, message)
            case ImagePart() | AudioPart() | FilePart():
                return self._media(part, message)
            case Opaque(wire="bedrock") if is_object(spelled := spell_block(part)):
                return [spelled]
            case Opaque():
                self.notes.add("opaque_left_out", f"{kind_of_opaque(part)} of {part.wire} means nothing on bedrock")
                return []
            case _:
                said = f"a {type(part).__name__} does not belong in a {message.role} message"
                self.notes.add("part_left_out", said)
                return []

    def result(self, result: ToolResult, call_id: str, message: Message) -> dict[str, Any]:
        """The `toolResult` block of a result."""
        content = [block for part in result.parts for block in self.blocks(part, message)]
        block: dict[str, Any] = {"toolUseId": call_id, "content": content}
        if result.is_error is not None:
            block["status"] = "error" if result.is_error else "success"
        return {"toolResult": block}

    def _text(self, part: TextPart, message: Message) -> list[Any]:
        if not part.text:
            return []
        if message.role != "assistant" and part.text.isspace():
            self.notes.add("part_left_out", "text of nothing but whitespace is refused by some models of Bedrock")
            return []
        return [{"text": part.text}]

    def _thinking(self, part: ThinkingPart, message: Message) -> list[Any]:
        if message.wire in _SIGNED_ALIKE and part.signature and part.redacted is None and message.role == "assistant":
            return [{"reasoningContent": {"reasoningText": {"text": part.text or "", "signature": part.signature}}}]
        said = f"reasoning of {message.wire or 'no wire'} has no signature that Bedrock knows"
        self.notes.add("thinking_left_out", said)
        return []

    def _media(self, part: Media, message: Message) -> list[Any]:
        block = self._block(part, message.wire) if message.role in ("user", "tool") else None
        if block is not None:
            return [block]
        self.notes.add("media_left_out", f"{breadcrumb(part)} cannot be shown in a {message.role} message")
        return [{"text": breadcrumb(part)}] if message.role in ("user", "tool") else []

    def _block(self, part: Media, wire: Wire | None) -> dict[str, Any] | None:
        """Bedrock fetches nothing from the web: bytes, or what lies in S3."""
        found = carried(part, wire, WIRE)
        if found is None:
            return None
        data, said = found.data, found.media_type
        source: dict[str, Any] = {"s3Location": {"uri": found.url}} if data is None else {"bytes": data}
        kind = image_type(data or "", said) or said or ""
        if kind in _IMAGE_FORMATS:
            return {"image": {"format": _IMAGE_FORMATS[kind], "source": source}}
        if kind in _DOCUMENT_FORMATS and not isinstance(part, AudioPart):
            word = _DOCUMENT_FORMATS[kind]
            return {"document": {"format": word, "name": self._name(part.name), "source": source}}
        return None

    def _name(self, said: str | None) -> str:
        """A document's name: letters, digits, single spaces, hyphens, parentheses and square brackets; no other's."""
        name = _UNNAMEABLE.sub(" ", said or "").strip()[:150] or "document"
        number = self._names[name] = self._names.get(name, 0) + 1
        return name if number == 1 else f"{name} ({number})"
