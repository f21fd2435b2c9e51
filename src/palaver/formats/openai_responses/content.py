"""What messages and outputs consist of: entries of a content list, parsed and spelled."""

from __future__ import annotations

from typing import Any, TypeAlias

from palaver.codec import json_text
from palaver.formats.media import DataUrl, Media, carried, data_url, file_name, inline_url
from palaver.formats.openai_responses.extras import NOTHING, combined, kept_keys, loaded, without
from palaver.formats.openai_responses.kinds import WIRE
from palaver.formats.wire import is_object, leftover
from palaver.model import AudioPart, FilePart, ImagePart, Opaque, Part, TextPart

__all__ = ["ContentPart", "parse_entry", "spell_entry", "spell_media", "text_entry"]

ContentPart: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | Opaque

_TEXTS = frozenset({"input_text", "output_text", "text"})


def parse_entry(raw: Any, where: str, usual: str) -> ContentPart:
    """The part that an entry is; Opaque where it has no common meaning. `usual` is the type that texts have there."""
    part = _typed(raw, where, usual) if is_object(raw) else None
    if part is not None and spell_entry(part, usual) == raw:
        return part
    return Opaque(wire=WIRE, data=json_text(raw, where))


def _typed(raw: dict[str, Any], where: str, usual: str) -> ContentPart | None:
    kind = raw.get("type")
    if not isinstance(kind, str):
        return None
    if kind in _TEXTS and isinstance(raw.get("text"), str):
        kept = without(raw, "type", "text") if kind == usual else without(raw, "text")
        return TextPart(text=raw["text"], extra=leftover(kept, where))
    if kind == "refusal" and isinstance(raw.get("refusal"), str):
        return TextPart(text=raw["refusal"], extra=leftover(without(raw, "refusal"), where))
    if kind in ("input_image", "computer_screenshot"):
        return _image(raw, where)
    if kind == "input_file":
        return _file(raw, where)
    inner = raw.get("input_audio")
    if kind == "input_audio" and is_object(inner):
        data, form = inner.get("data"), inner.get("format")
        if isinstance(data, str) and isinstance(form, str):
            media_type = "audio/mpeg" if form == "mp3" else f"audio/{form}"
            kept = without(raw, "type", "input_audio")
            if beside := without(inner, "data", "format"):
                kept["input_audio"] = beside
            return AudioPart(media_type=media_type, data=data, extra=leftover(kept, where))
    return None


def _image(raw: dict[str, Any], where: str) -> ImagePart | None:
    usual = raw["type"] == "input_image"
    if isinstance(raw.get("image_url"), str):
        kept = without(raw, "type", "image_url") if usual else without(raw, "image_url")
        found = data_url(raw["image_url"])
        if found is None:
            return ImagePart(url=raw["image_url"], extra=leftover(kept, where))
        return ImagePart(**_inline(found), extra=leftover(kept, where))
    if isinstance(raw.get("file_id"), str):
        kept = without(raw, "type", "file_id") if usual else without(raw, "file_id")
        return ImagePart(file_id=raw["file_id"], extra=leftover(kept, where))
    return None


def _file(raw: dict[str, Any], where: str) -> FilePart | None:
    name = raw["filename"] if isinstance(raw.get("filename"), str) else None
    known = ("type",) if name is None else ("type", "filename")
    if isinstance(raw.get("file_data"), str):
        found = data_url(raw["file_data"])
        if found is None:
            return None
        extra = leftover(without(raw, "file_data", *known), where)
        return FilePart(**_inline(found), name=name, extra=extra)
    if isinstance(raw.get("file_url"), str):
        return FilePart(url=raw["file_url"], name=name, extra=leftover(without(raw, "file_url", *known), where))
    if isinstance(raw.get("file_id"), str):
        return FilePart(file_id=raw["file_id"], name=name, extra=leftover(without(raw, "file_id", *known), where))
    return None


def _inline(found: DataUrl) -> dict[str, Any]:
    return {"media_type": found.media_type, "data": found.data, "layout": found.parameters or None}


def text_entry(text: str, usual: str) -> dict[str, Any]:
    """An entry that says a text."""
    return {"type": usual, "text": text}


def spell_entry(part: Part, usual: str, wire: str | None = WIRE) -> Any:
    """The entry that says this part, or NOTHING where this wire cannot say it.

    The keys in `extra` come back in messages of this wire; those of another wire mean nothing here.
    """
    native = wire == WIRE
    extra = part.extra if native else None
    if isinstance(part, TextPart):
        if extra is None:
            return {"type": usual, "text": part.text}
        typed = kept_keys(extra)
        typed.setdefault("type", usual)
        typed["refusal" if typed["type"] == "refusal" else "text"] = part.text
        return typed
    if isinstance(part, Opaque):
        return loaded(part.data) if native and part.wire == WIRE else NOTHING
    if not isinstance(part, (ImagePart, AudioPart, FilePart)):
        return NOTHING
    entry = spell_media(part, wire)
    return NOTHING if entry is None else combined(entry, extra)


def spell_media(part: Media, wire: str | None) -> dict[str, Any] | None:
    """The entry that shows this medium, where it can be shown: a recording cannot, save where it came so."""
    native = wire == WIRE
    found = part if native else carried(part, wire, WIRE)
    if found is None:
        return None
    part = found
    if isinstance(part, AudioPart):
        if not native or part.data is None or part.media_type is None:
            return None
        form = part.media_type.removeprefix("audio/")
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": "mp3" if form == "mpeg" else form}}
    inline = inline_url(part, native=native)
    if isinstance(part, ImagePart):
        kind = kept_keys(part.extra).get("type") if native else None
        kind = kind if isinstance(kind, str) else "input_image"
        usual = {} if native else {"detail": "auto"}  # the SDK's types demand it
        url = part.url if part.data is None else inline
        if url is not None:
            return {"type": kind, "image_url": url, **usual}
        return None if part.file_id is None else {"type": kind, "file_id": part.file_id, **usual}
    named = {} if part.name is None else {"filename": part.name}
    if inline is not None:
        # The API demands a name beside the bytes.
        return {"type": "input_file", "file_data": inline, **(named if native else {"filename": file_name(part)})}
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url, **named}
    return None if part.file_id is None else {"type": "input_file", "file_id": part.file_id, **named}
