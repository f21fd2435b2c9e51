"""The content chunks of Mistral's messages, parsed and spelled.

Shapes: `mistralai` 2 (models `*Chunk`) and `mistral_common` 1.13 (`protocol/instruct/chunk.py`), which differ: thinking
is a list of chunks in the one and text in the other, an image an object or its URL, audio an object or text.
"""

from __future__ import annotations

import json
from typing import Any

from palaver.codec import json_text
from palaver.formats.media import Media, carried, inline_url
from palaver.formats.openai_chat.parts import address, opaque, without
from palaver.formats.wire import is_array, is_object, leftover, merged
from palaver.model import AudioPart, FilePart, ImagePart, Opaque, Part, TextPart, ThinkingPart, Wire

__all__ = ["WIRE", "parse_part", "spell_part"]

WIRE = "mistral"


def parse_part(raw: Any, where: str) -> Part:
    """The part that a chunk is; Opaque where its spelling would not come back exactly, as for references."""
    part = _typed(raw, where) if is_object(raw) else None
    if part is not None and spell_part(part, WIRE) == raw:
        return part
    return Opaque(wire=WIRE, data=json_text(raw, where))


def _typed(raw: dict[str, Any], where: str) -> Part | None:
    kind = raw.get("type")
    inner = raw.get(kind) if isinstance(kind, str) else None
    if kind == "text" and isinstance(inner, str):
        return TextPart(text=inner, extra=leftover(without(raw, "type", "text"), where))
    if kind == "thinking":
        return _thinking(raw, where)
    if kind == "image_url":
        return _image(raw, where)
    if kind == "document_url" and isinstance(inner, str):
        name = raw.get("document_name")
        known = ("type", "document_url", "document_name") if isinstance(name, str) else ("type", "document_url")
        return FilePart(
            **address(inner),
            name=name if isinstance(name, str) else None,
            extra=leftover(without(raw, *known), where),
        )
    if kind == "input_audio" and isinstance(inner, str):
        data, url = (None, inner) if inner.startswith(("http:", "https:", "data:")) else (inner, None)
        return AudioPart(data=data, url=url, extra=leftover(without(raw, "type", "input_audio"), where))
    if kind == "file" and isinstance(raw.get("file_id"), str):
        return FilePart(file_id=raw["file_id"], extra=leftover(without(raw, "type", "file_id"), where))
    return None


def _thinking(raw: dict[str, Any], where: str) -> ThinkingPart | None:
    """Reasoning. One text chunk is the usual case; several, or references among them, are kept beside the text."""
    said, signature = raw.get("thinking"), raw.get("signature")
    signed = isinstance(signature, str)
    keys = without(raw, "type", "thinking", "signature") if signed else without(raw, "type", "thinking")
    layout = None
    if isinstance(said, str):
        text, layout = said, "string"
    elif is_array(said):
        text = _thought(said)
        if said != [{"type": "text", "text": text}]:
            keys["thinking"] = said
    else:
        return None
    extra = leftover(keys, where)
    return ThinkingPart(text=text, signature=signature if signed else None, layout=layout, extra=extra)


def _thought(chunks: list[Any]) -> str:
    found = [chunk.get("text") for chunk in chunks if is_object(chunk)]
    return "".join(text for text in found if isinstance(text, str))


def _image(raw: dict[str, Any], where: str) -> ImagePart | None:
    inner = raw.get("image_url")
    said = inner.get("url") if is_object(inner) else inner
    if not isinstance(said, str):
        return None
    keys = without(raw, "type", "image_url")
    if is_object(inner) and len(inner) > 1:
        keys["image_url"] = without(inner, "url")
    return ImagePart(**address(said, "" if is_object(inner) else "string"), extra=leftover(keys, where))


def spell_part(part: Part, source: Wire | None) -> Any:
    """The chunk that says this part, or None where this wire cannot say it.

    `source` is the wire of its message. The keys in `extra` and the spelling come back in this one's; those of
    another wire mean nothing here.
    """
    if isinstance(part, Opaque):
        return opaque(part, WIRE)
    native = source == WIRE
    typed = _chunk(part, source)
    return typed if typed is None or not native else merged(typed, part.extra)


def _chunk(part: Part, source: Wire | None) -> dict[str, Any] | None:
    native = source == WIRE
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ThinkingPart):
        return _thinking_chunk(part, part.layout) if native and part.text is not None else None
    if isinstance(part, (ImagePart, AudioPart, FilePart)):
        found = part if native else carried(part, source, WIRE)
        return None if found is None else _media(found, native=native)
    return None


def _media(part: Media, *, native: bool) -> dict[str, Any] | None:
    if isinstance(part, AudioPart):
        sound = part.data if part.data is not None else part.url
        return None if sound is None else {"type": "input_audio", "input_audio": sound}
    where = part.url if part.data is None else inline_url(part, native=native)
    if isinstance(part, ImagePart):
        bare = native and (part.layout or "").partition(";")[0] == "string"
        return None if where is None else {"type": "image_url", "image_url": where if bare else {"url": where}}
    if where is None:
        return None if part.file_id is None else {"type": "file", "file_id": part.file_id}
    named = {} if part.name is None else {"document_name": part.name}
    return {"type": "document_url", "document_url": where, **named}


def _thinking_chunk(part: ThinkingPart, layout: str | None) -> dict[str, Any]:
    said: Any = part.text if layout == "string" else [{"type": "text", "text": part.text}]
    if layout is None and part.extra is not None:
        kept = json.loads(part.extra).get("thinking")
        if is_array(kept) and _thought(kept) == part.text:  # not edited since
            said = kept
    signed = {} if part.signature is None else {"signature": part.signature}
    return {"type": "thinking", "thinking": said, **signed}
