"""The pieces of an OpenAI chat message: entries of its content, and tool calls, parsed and spelled."""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

from palaver.codec import json_text
from palaver.formats.wire import is_object, leftover, merged
from palaver.model import AudioPart, FilePart, ImagePart, Opaque, Part, TextPart, ToolCall, Wire

__all__ = [
    "WIRE",
    "ContentPart",
    "is_refusal",
    "opaque",
    "parse_call",
    "parse_part",
    "spell_call",
    "spell_part",
    "split_data_url",
    "without",
]

WIRE = "openai_chat"
ContentPart: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | Opaque

_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)


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
        media_type, data = split_data_url(inner["url"])
        url = inner["url"] if data is None else None
        return ImagePart(media_type=media_type, data=data, url=url, extra=_beside(raw, where, "image_url", "url"))
    if kind == "input_audio" and isinstance(inner.get("data"), str) and isinstance(inner.get("format"), str):
        media_type = "audio/mpeg" if inner["format"] == "mp3" else f"audio/{inner['format']}"
        extra = _beside(raw, where, "input_audio", "data", "format")
        return AudioPart(media_type=media_type, data=inner["data"], extra=extra)
    if kind == "file":
        media_type, data = split_data_url(inner.get("file_data"))
        url = _text(inner.get("file_data")) if data is None else None  # OpenRouter takes the address of a PDF here
        extra = _beside(raw, where, "file", "file_data", "file_id", "filename")
        name, file_id = _text(inner.get("filename")), _text(inner.get("file_id"))
        return FilePart(media_type=media_type, data=data, url=url, file_id=file_id, name=name, extra=extra)
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def split_data_url(value: Any) -> tuple[str | None, str | None]:
    """Media type and base64 text of a data URL; None and None for anything else."""
    found = _DATA_URL.fullmatch(value) if isinstance(value, str) else None
    return (found[1], found[2]) if found else (None, None)


def _beside(raw: dict[str, Any], where: str, kind: str, *known: str) -> str | None:
    kept = without(raw, "type", kind)
    inner = without(raw[kind], *known)
    if inner:
        kept[kind] = inner
    return leftover(kept, where)


def spell_part(part: Part, native: bool = True) -> Any:  # noqa: FBT001, FBT002 - what a dialect calls
    """The entry of a content list that says this part, or None where this wire cannot say it.

    With `native` the keys in `extra` come back; those of another wire mean nothing here.
    """
    extra = part.extra if native else None
    if isinstance(part, TextPart):
        if native and is_refusal(part):
            return merged({"type": "refusal", "refusal": part.text}, extra)
        return merged({"type": "text", "text": part.text}, extra)
    if isinstance(part, Opaque):
        return opaque(part, WIRE)
    if not isinstance(part, (ImagePart, AudioPart, FilePart)):
        return None
    typed = _media(part, native=native)
    return None if typed is None else merged(typed, extra)


def opaque(part: Opaque, wire: Wire) -> Any:
    """What an opaque part of this wire was; None for those of others, and where it is no JSON."""
    if part.wire != wire:
        return None
    try:
        return json.loads(part.data)
    except ValueError:
        return None


def _media(part: ImagePart | AudioPart | FilePart, *, native: bool) -> dict[str, Any] | None:
    inline = None if part.data is None else f"data:{part.media_type or 'application/octet-stream'};base64,{part.data}"
    if isinstance(part, ImagePart):
        url = inline or part.url
        return None if url is None else {"type": "image_url", "image_url": {"url": url}}
    if isinstance(part, AudioPart):
        if part.data is None or part.media_type is None:
            return None
        kind = part.media_type.removeprefix("audio/")
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": "mp3" if kind == "mpeg" else kind}}
    inline = part.url if native and inline is None else inline
    if inline is None and part.file_id is None:
        return None
    where = {"file_data": inline, "file_id": part.file_id, "filename": part.name}
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
