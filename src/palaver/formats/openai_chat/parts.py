"""The pieces of an OpenAI chat message: entries of its content, and tool calls, parsed and spelled."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from palaver.codec import json_text
from palaver.formats.media import Media, carried, data_url, file_name, inline_url
from palaver.formats.wire import is_object, leftover, merged
from palaver.model import AudioPart, FilePart, ImagePart, Opaque, Part, TextPart, ToolCall, Wire

__all__ = [
    "WIRE",
    "ContentPart",
    "address",
    "is_refusal",
    "opaque",
    "parse_call",
    "parse_part",
    "spell_call",
    "spell_part",
    "without",
]

WIRE = "openai_chat"
ContentPart: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | Opaque

_AUDIO = {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/vnd.wave": "wav",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
}
"""Recordings that OpenAI takes, and what it calls them (SDK, `InputAudio.format`)."""


def without(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A copy of an object without some of its keys."""
    return {key: kept for key, kept in value.items() if key not in keys}


def parse_part(raw: Any, where: str) -> ContentPart:
    """The part that an entry of a content list is; Opaque where its spelling would not come back exactly."""
    part = _typed(raw, where) if is_object(raw) else None
    if part is not None and spell_part(part) == raw:
        return part
    return Opaque(wire=WIRE, data=json_text(raw, where))


def _typed(raw: dict[str, Any], where: str) -> ContentPart | None:
    kind = raw.get("type")
    inner = raw.get(kind) if isinstance(kind, str) else None
    if kind == "text" and isinstance(inner, str):
        return TextPart(text=inner, extra=leftover(without(raw, "type", "text"), where))
    if kind == "refusal" and isinstance(inner, str):
        return TextPart(text=inner, extra=leftover(without(raw, "refusal"), where))
    if not is_object(inner):
        return None
    if kind == "image_url" and isinstance(inner.get("url"), str):
        return ImagePart(**address(inner["url"]), extra=_beside(raw, where, "image_url", "url"))
    if kind == "input_audio" and isinstance(inner.get("data"), str) and isinstance(inner.get("format"), str):
        media_type = "audio/mpeg" if inner["format"] == "mp3" else f"audio/{inner['format']}"
        extra = _beside(raw, where, "input_audio", "data", "format")
        return AudioPart(media_type=media_type, data=inner["data"], extra=extra)
    if kind == "file":
        found = address(_text(inner.get("file_data")))  # OpenRouter takes the address of a PDF here
        extra = _beside(raw, where, "file", "file_data", "file_id", "filename")
        name, file_id = _text(inner.get("filename")), _text(inner.get("file_id"))
        return FilePart(**found, file_id=file_id, name=name, extra=extra)
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def address(said: str | None, layout: str = "") -> dict[str, Any]:
    """The fields of a part that say where its bytes are; what a `data:` address has beside them is in its layout."""
    found = data_url(said)
    if found is None:
        return {"url": said, "layout": layout or None}
    return {"media_type": found.media_type, "data": found.data, "layout": f"{layout}{found.parameters}" or None}


def _beside(raw: dict[str, Any], where: str, kind: str, *known: str) -> str | None:
    kept = without(raw, "type", kind)
    inner = without(raw[kind], *known)
    if inner:
        kept[kind] = inner
    return leftover(kept, where)


def spell_part(part: Part, source: Wire | None = WIRE) -> Any:
    """The entry of a content list that says this part, or None where this wire cannot say it.

    `source` is the wire of its message. The keys in `extra` come back in this one's; another's mean nothing here.
    """
    native = source == WIRE
    extra = part.extra if native else None
    if isinstance(part, TextPart):
        if native and is_refusal(part):
            return merged({"type": "refusal", "refusal": part.text}, extra)
        return merged({"type": "text", "text": part.text}, extra)
    if isinstance(part, Opaque):
        return opaque(part, WIRE)
    if not isinstance(part, (ImagePart, AudioPart, FilePart)):
        return None
    found = part if native else carried(part, source, WIRE)
    typed = None if found is None else _media(found, native=native)
    return None if typed is None else merged(typed, extra)


def opaque(part: Opaque, wire: Wire) -> Any:
    """What an opaque part of this wire was; None for those of others, and where it is no JSON."""
    if part.wire != wire:
        return None
    try:
        return json.loads(part.data)
    except ValueError:
        return None


def _media(part: Media, *, native: bool) -> dict[str, Any] | None:
    if isinstance(part, AudioPart):
        if part.data is None or part.media_type is None:
            return None
        form = _AUDIO.get(part.media_type.lower())
        if native:  # as it came
            form = "mp3" if part.media_type == "audio/mpeg" else part.media_type.removeprefix("audio/")
        audio = {"data": part.data, "format": form}
        return None if form is None else {"type": "input_audio", "input_audio": audio}
    inline = inline_url(part, native=native)
    if isinstance(part, ImagePart):
        url = part.url if part.data is None else inline
        return None if url is None else {"type": "image_url", "image_url": {"url": url}}
    name = part.name if native or inline is None else file_name(part)
    inline = part.url if native and inline is None else inline
    if inline is None and part.file_id is None:
        return None
    where = {"file_data": inline, "file_id": part.file_id, "filename": name}
    return {"type": "file", "file": {key: value for key, value in where.items() if value is not None}}


def is_refusal(part: TextPart) -> bool:
    """Whether a text is the model's refusal, which this wire spells apart."""
    return part.extra is not None and json.loads(part.extra).get("type") == "refusal"


def parse_call(raw: Any, where: str) -> ToolCall:
    """The tool call that an entry of `tool_calls` is. A malformed one is read as far as it goes."""
    if not is_object(raw):
        return ToolCall(name="")
    kind, text = ("custom", "input") if raw.get("type") == "custom" else ("function", "arguments")
    inner: dict[str, Any] = raw[kind] if is_object(raw.get(kind)) else {}
    kept = without(raw, "id", kind) if kind == "custom" else without(raw, "id", "type", kind)
    beside = without(inner, "name", text)
    if beside:
        kept[kind] = beside
    arguments = inner.get(text, "")
    return ToolCall(
        call_id=_text(raw.get("id")) or "",
        name=_text(inner.get("name")) or "",
        arguments=arguments if isinstance(arguments, str) else json_text(arguments, where),
        extra=leftover(kept, where),
    )


def spell_call(call: ToolCall, call_id: str, name: str, *, native: bool = True) -> dict[str, Any]:
    """The entry of `tool_calls` that says this call, under this id and function name."""
    extra = call.extra if native else None
    if extra is not None and json.loads(extra).get("type") == "custom":
        return merged({"id": call_id, "type": "custom", "custom": {"name": name, "input": call.arguments}}, extra)
    arguments = call.arguments if native else call.arguments or "{}"
    return merged({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}, extra)
