"""The blocks of an Anthropic message, parsed and spelled exactly as they came."""

from __future__ import annotations

from typing import Any

from palaver.codec import json_text
from palaver.formats.blocks import (
    NOTHING,
    compact,
    decoded_text,
    encoded_text,
    opaque_block,
    spelled_input,
    without,
)
from palaver.formats.wire import is_array, is_object, leftover, merged
from palaver.model import FilePart, ImagePart, Opaque, Part, TextPart, ThinkingPart, ToolCall, ToolResult

__all__ = ["WIRE", "parse_block", "spell_block"]

WIRE = "anthropic"


def parse_block(raw: Any, role: str, where: str) -> Part:
    """The part that a plain block is; Opaque where it has no common meaning, or its spelling would not come back.

    Calls are typed in the assistant's messages only, and results in the user's: elsewhere no provider takes them.
    """
    part = _typed(raw, role, where) if is_object(raw) else None
    if part is not None and spell_block(part) == raw:
        return part
    return Opaque(wire=WIRE, data=json_text(raw, where))


def _typed(raw: dict[str, Any], role: str, where: str) -> Part | None:
    match raw.get("type"):
        case "text" if isinstance(raw.get("text"), str):
            return TextPart(text=raw["text"], extra=leftover(without(raw, "type", "text"), where))
        case "tool_use" if role == "assistant":
            return _call(raw, where)
        case "tool_result" if role == "user":
            return _result(raw, where)
        case "thinking" | "redacted_thinking" if role == "assistant":
            return _thinking(raw, where)
        case "image" | "document" if is_object(raw.get("source")):
            return _media(raw, raw["source"], where)
        case "search_result":
            return _search_result(raw, where)
        case _:
            return None


def _call(raw: dict[str, Any], where: str) -> ToolCall | None:
    call_id, name = raw.get("id"), raw.get("name")
    if not isinstance(call_id, str) or not isinstance(name, str) or "input" not in raw:
        return None
    extra = leftover(without(raw, "type", "id", "name", "input"), where)
    return ToolCall(call_id=call_id, name=name, arguments=compact(raw["input"], where), extra=extra)


def _result(raw: dict[str, Any], where: str) -> ToolResult | None:
    call_id, content, is_error = raw.get("tool_use_id"), raw.get("content"), raw.get("is_error")
    if not isinstance(call_id, str):
        return None
    known = ["type", "tool_use_id"]
    layout: str | None = "absent"
    parts: list[Any] = []
    if isinstance(content, str):
        layout, parts = "string", [TextPart(text=content)]
    elif is_array(content):
        layout = None
        parts = [parse_block(block, "result", f"{where}.content[{index}]") for index, block in enumerate(content)]
    if layout != "absent":
        known.append("content")
    if isinstance(is_error, bool):
        known.append("is_error")
    return ToolResult(
        call_id=call_id,
        parts=tuple(parts),
        is_error=is_error if isinstance(is_error, bool) else None,
        layout=layout,
        extra=leftover(without(raw, *known), where),
    )


def _thinking(raw: dict[str, Any], where: str) -> ThinkingPart | None:
    if raw["type"] == "redacted_thinking":
        data = raw.get("data")
        return ThinkingPart(redacted=data, extra=_beside(raw, where, "data")) if isinstance(data, str) else None
    text, signature = raw.get("thinking"), raw.get("signature")
    if not isinstance(text, str):
        return None
    if isinstance(signature, str):
        return ThinkingPart(text=text, signature=signature, extra=_beside(raw, where, "thinking", "signature"))
    return ThinkingPart(text=text, extra=_beside(raw, where, "thinking"))


def _beside(raw: dict[str, Any], where: str, *known: str) -> str | None:
    return leftover(without(raw, "type", *known), where)


def _media(raw: dict[str, Any], source: dict[str, Any], where: str) -> ImagePart | FilePart | None:
    beside = without(raw, "type", "source")
    name = beside.pop("title") if raw["type"] == "document" and isinstance(raw.get("title"), str) else None
    field: dict[str, Any]
    layout: str | None = None
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data), **rest}:
            field = {"media_type": media_type, "data": data}
        case {"type": "text", "media_type": str(media_type), "data": str(text), **rest} if raw["type"] == "document":
            field, layout = {"media_type": media_type, "data": encoded_text(text)}, "text"
        case {"type": "url", "url": str(url), **rest}:
            field = {"url": url}
        case {"type": "file", "file_id": str(file_id), **rest}:
            field = {"file_id": file_id}
        case _:
            return None
    if rest:
        beside["source"] = rest
    extra = leftover(beside, where)
    if raw["type"] == "image":
        return ImagePart(**field, extra=extra)
    return FilePart(**field, name=name, layout=layout, extra=extra)


def _search_result(raw: dict[str, Any], where: str) -> TextPart | None:
    """A search result of one text is that text to other wires; where it was found is remembered."""
    match raw.get("content"):
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return TextPart(text=text, layout="search_result", extra=_beside(raw, where, "content"))
        case _:
            return None


def spell_block(part: Part) -> Any:
    """The block that a part of this wire came from; NOTHING where there is none: for media whose bytes are not here."""
    match part:
        case TextPart(layout="search_result"):
            return merged({"type": "search_result", "content": [{"type": "text", "text": part.text}]}, part.extra)
        case TextPart():
            return merged({"type": "text", "text": part.text}, part.extra)
        case ToolCall():
            block = {"type": "tool_use", "id": part.call_id, "name": part.name, "input": spelled_input(part.arguments)}
            return merged(block, part.extra)
        case ToolResult():
            return _spell_result(part)
        case ThinkingPart():
            return _spell_thinking(part)
        case Opaque():
            return opaque_block(part)
        case _:
            return _spell_media(part) if isinstance(part, (ImagePart, FilePart)) else NOTHING


def _spell_result(part: ToolResult) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.call_id}
    parts = part.parts
    if part.layout == "string" and len(parts) == 1 and isinstance(parts[0], TextPart):
        block["content"] = parts[0].text
    elif parts or part.layout is None:
        block["content"] = [spelled for child in parts if (spelled := spell_block(child)) is not NOTHING]
    if part.is_error is not None:
        block["is_error"] = part.is_error
    return merged(block, part.extra)


def _spell_thinking(part: ThinkingPart) -> dict[str, Any]:
    if part.redacted is not None:
        return merged({"type": "redacted_thinking", "data": part.redacted}, part.extra)
    block: dict[str, Any] = {"type": "thinking", "thinking": part.text or ""}
    if part.signature is not None:
        block["signature"] = part.signature
    return merged(block, part.extra)


def _spell_media(part: ImagePart | FilePart) -> Any:
    source: dict[str, Any]
    if part.data is not None:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
        if part.layout == "text":
            source.update(type="text", data=decoded_text(part.data) or "")
    elif part.url is not None:
        source = {"type": "url", "url": part.url}
    elif part.file_id is not None:
        source = {"type": "file", "file_id": part.file_id}
    else:
        return NOTHING
    block: dict[str, Any] = {"type": "image" if isinstance(part, ImagePart) else "document", "source": source}
    if part.name is not None:
        block["title"] = part.name
    return merged(block, part.extra)
