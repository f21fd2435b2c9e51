"""What a message of ChatGPT's says: `content` by its `content_type`, as parts."""

from __future__ import annotations

import json
from typing import Any

from palaver.formats.wire import is_array, is_object
from palaver.importers.chatgpt.media import Media
from palaver.model import AudioPart, FilePart, ImagePart, Opaque, Part, TextPart, ThinkingPart

__all__ = ["arguments", "attached", "read_content"]

_WIRE = "chatgpt"
_TEXT_KEYS = ("text", "result", "output_str", "output", "content", "summary")
_INSTRUCTIONS = {
    "user_profile": "What the user said of themselves",
    "user_instructions": "How the user wants to be answered",
    "about_user_message": "What the user said of themselves",
    "about_model_message": "How the user wants to be answered",
}


def read_content(content: dict[str, Any], about: dict[str, Any], media: Media) -> list[Part]:
    """The parts that a content is; none where it says nothing. `about` is the message's own metadata."""
    kind = content.get("content_type")
    match kind:
        case "text" | "multimodal_text":
            parts = content.get("parts")
            entries: list[Any] = parts if is_array(parts) else [parts]
            return [part for entry in entries for part in _entry(entry, media)]
        case "thoughts":
            thoughts = content.get("thoughts")
            entries = thoughts if is_array(thoughts) else []
            said = [_first_text(each, ("content", "summary")) for each in entries]
            return [ThinkingPart(text=text) for text in said if text]
        case "reasoning_recap":
            recap = _first_text(content, ("content",))
            return [ThinkingPart(text=recap)] if recap else []
        case "user_editable_context" | "model_editable_context":
            return _instructions(content, about)
        case "tether_quote":
            where = [each for each in (content.get("title"), content.get("url")) if isinstance(each, str) and each]
            said = [*where, _first_text(content, ("text",))]
            return _texts("\n".join(each for each in said if each))
        case "system_error":
            return _texts(
                ": ".join(each for each in (content.get("name"), content.get("text")) if isinstance(each, str))
            )
        case _:
            return _other(content, media)


def _other(content: dict[str, Any], media: Media) -> list[Part]:
    """Any content with a text somewhere; what has none is kept as it is."""
    text = _first_text(content, _TEXT_KEYS)
    if text is not None:
        return _texts(text)
    parts = content.get("parts")
    if is_array(parts):
        return [part for entry in parts for part in _entry(entry, media)]
    if "content_type" not in content or set(content) == {"content_type"}:
        return []
    return [Opaque(wire=_WIRE, data=json.dumps(content))]


def _entry(entry: Any, media: Media) -> list[Part]:
    """One entry of `parts`: text, or a thing that is pointed at."""
    if isinstance(entry, str):
        return _texts(entry)
    if not is_object(entry):
        return [] if entry is None else _texts(json.dumps(entry))
    match entry.get("content_type"):
        case "image_asset_pointer":
            return [media.part(entry.get("asset_pointer"), ImagePart)]
        case "audio_asset_pointer" | "video_container_asset_pointer":
            return [media.part(entry.get("asset_pointer"), AudioPart)]
        case "real_time_user_audio_video_asset_pointer":
            sound = entry.get("audio_asset_pointer")
            return [media.part(sound.get("asset_pointer"), AudioPart)] if is_object(sound) else []
        case _:
            text = _first_text(entry, _TEXT_KEYS)
            return _texts(text) if text is not None else [Opaque(wire=_WIRE, data=json.dumps(entry))]


def attached(about: dict[str, Any], media: Media, shown: list[Part]) -> list[Part]:
    """The files that a person gave with a message, but for the images that are shown in it."""
    given = about.get("attachments")
    out: list[Part] = []
    for each in given if is_array(given) else []:
        name = each.get("name") if is_object(each) else None
        pointer = each.get("id") if is_object(each) else None
        kind = each.get("mime_type") or each.get("mimeType") if is_object(each) else None
        if not isinstance(name, str) and not isinstance(pointer, str):
            continue
        if isinstance(kind, str) and kind.startswith("image/") and any(type(part) is ImagePart for part in shown):
            continue
        out.append(media.part(pointer, FilePart, name if isinstance(name, str) else None))
    return out


def arguments(parts: list[Part], content: dict[str, Any]) -> str:
    """What a tool was called with, as JSON: as the model wrote it, or (code) under a key."""
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    try:
        if is_object(json.loads(text)):
            return text
    except (ValueError, RecursionError):
        pass
    return json.dumps({"code" if content.get("content_type") == "code" else "text": text})


def _instructions(content: dict[str, Any], about: dict[str, Any]) -> list[Part]:
    told = about.get("user_context_message_data")
    said = {**(told if is_object(told) else {}), **content}
    lines: dict[str, str] = {}
    for key, title in _INSTRUCTIONS.items():
        text = said.get(key)
        if isinstance(text, str) and text.strip():
            lines.setdefault(title, f"{title}:\n{text}")
    if not lines:
        text = _first_text(content, ("model_set_context", "text"))
        return _texts(text or "")
    return _texts("\n\n".join(lines.values()))


def _first_text(value: Any, keys: tuple[str, ...]) -> str | None:
    """The first of these that is a text, and not an empty one if another is not."""
    found = [value[key] for key in keys if is_object(value) and isinstance(value.get(key), str)]
    return next((each for each in found if each), found[0] if found else None)


def _texts(text: str | None) -> list[Part]:
    return [TextPart(text=text)] if text else []
