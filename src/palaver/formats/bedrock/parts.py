"""The blocks of a Bedrock Converse message, parsed and spelled exactly as they came.

A block is an object with one key, which says what it is (Amazon Bedrock API reference, `ContentBlock`).
"""

from __future__ import annotations

from typing import Any

from palaver.codec import json_text
from palaver.formats.blocks import (
    NOTHING,
    compact,
    decoded_text,
    encoded_text,
    json_value,
    opaque_block,
    spelled_input,
    without,
)
from palaver.formats.wire import is_array, is_object, leftover, merged
from palaver.model import AudioPart, FilePart, ImagePart, Opaque, Part, TextPart, ThinkingPart, ToolCall, ToolResult

__all__ = ["DOCUMENT_TYPES", "WIRE", "parse_block", "spell_block"]

WIRE = "bedrock"

DOCUMENT_TYPES = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
"""Formats of documents (API reference, `DocumentBlock.format`) and their media types."""

_FORMATS = {media_type: word for word, media_type in DOCUMENT_TYPES.items()}
_QUOTES = {"citationsContent": "citations", "searchResult": "search_result"}
_STATUS = {"error": True, "success": False}
_MEDIA = ("image", "document", "video", "audio")


def parse_block(raw: Any, role: str, where: str) -> Part:
    """The part that a plain block is; Opaque where it has no common meaning, or its spelling would not come back.

    Calls are typed in the assistant's messages only, and results in the user's; what the service ran itself is not.
    """
    part = _typed(raw, role, where) if is_object(raw) else None
    if part is not None and spell_block(part) == raw:
        return part
    return Opaque(wire=WIRE, data=json_text(raw, where))


def _typed(raw: dict[str, Any], role: str, where: str) -> Part | None:
    if isinstance(raw.get("text"), str):
        return TextPart(text=raw["text"], extra=leftover(without(raw, "text"), where))
    key = next((key for key in (*_MEDIA, "toolUse", "toolResult", "reasoningContent", *_QUOTES) if key in raw), None)
    inner = raw.get(key) if key is not None else None
    if key is None or not is_object(inner):
        return None
    if key == "toolUse":
        return _call(raw, inner, where) if role == "assistant" else None
    if key == "toolResult":
        return _result(raw, inner, where) if role == "user" else None
    if key == "reasoningContent":
        return _thinking(raw, inner, where) if role == "assistant" else None
    if key in _QUOTES:
        return _quote(key, raw, inner, where)
    return _media(key, raw, inner, where)


def _beside(raw: dict[str, Any], inner: dict[str, Any], where: str, key: str, *known: str) -> str | None:
    kept = without(raw, key)
    rest = without(inner, *known)
    if rest:
        kept[key] = rest
    return leftover(kept, where)


def _call(raw: dict[str, Any], inner: dict[str, Any], where: str) -> ToolCall | None:
    call_id, name = inner.get("toolUseId"), inner.get("name")
    if inner.get("type") == "server_tool_use" or "input" not in inner:
        return None
    if not isinstance(call_id, str) or not isinstance(name, str):
        return None
    extra = _beside(raw, inner, where, "toolUse", "toolUseId", "name", "input")
    return ToolCall(call_id=call_id, name=name, arguments=compact(inner["input"], where), extra=extra)


def _result(raw: dict[str, Any], inner: dict[str, Any], where: str) -> ToolResult | None:
    call_id, content, status = inner.get("toolUseId"), inner.get("content"), inner.get("status")
    if not isinstance(call_id, str):
        return None
    known = ["toolUseId"]
    layout: str | None = "absent"
    parts: list[Any] = []
    if is_array(content):
        layout = None
        known.append("content")
        parts = [_result_part(block, f"{where}.content[{index}]") for index, block in enumerate(content)]
    is_error = _STATUS.get(status) if isinstance(status, str) else None
    if is_error is not None:
        known.append("status")
    extra = _beside(raw, inner, where, "toolResult", *known)
    return ToolResult(call_id=call_id, parts=tuple(parts), is_error=is_error, layout=layout, extra=extra)


def _result_part(raw: Any, where: str) -> Part:
    if is_object(raw) and len(raw) == 1 and "json" in raw:
        return TextPart(text=compact(raw["json"], where), layout="json")
    return parse_block(raw, "result", where)


def _thinking(raw: dict[str, Any], inner: dict[str, Any], where: str) -> ThinkingPart | None:
    beside = leftover(without(raw, "reasoningContent"), where)
    match inner:
        case {"reasoningText": {"text": str(text), "signature": str(signature), **rest}, **more} if (
            not rest and not more
        ):
            return ThinkingPart(text=text, signature=signature, extra=beside)
        case {"reasoningText": {"text": str(text), **rest}, **more} if not rest and not more:
            return ThinkingPart(text=text, extra=beside)
        case {"reasoningText": {"signature": str(signature), **rest}, **more} if not rest and not more:
            return ThinkingPart(signature=signature, extra=beside)
        case {"redactedContent": str(data), **more} if not more:
            return ThinkingPart(redacted=data, extra=beside)
        case _:
            return None


def _quote(key: str, raw: dict[str, Any], inner: dict[str, Any], where: str) -> TextPart | None:
    """Text that was found somewhere is that text to other wires; where it was found is remembered."""
    match inner.get("content"):
        case [{"text": str(text), **rest}] if not rest:
            return TextPart(text=text, layout=_QUOTES[key], extra=_beside(raw, inner, where, key, "content"))
        case _:
            return None


def _media(key: str, raw: dict[str, Any], inner: dict[str, Any], where: str) -> ImagePart | AudioPart | FilePart | None:
    word, name = inner.get("format"), inner.get("name")
    if not isinstance(word, str) or (key == "document" and word not in DOCUMENT_TYPES):
        return None
    field: dict[str, Any] = {"media_type": DOCUMENT_TYPES[word] if key == "document" else f"{key}/{word}"}
    layout: str | None = None
    match inner.get("source"):
        case {"bytes": str(data), **rest} if not rest:
            field["data"] = data
        case {"text": str(text), **rest} if not rest and key == "document":
            field["data"], layout = encoded_text(text), "text"
        case {"s3Location": {"uri": str(uri), **rest}, **more} if not rest and not more:
            field["url"] = uri
        case _:
            return None
    known = ["format", "source"]
    if key == "document" and isinstance(name, str):
        field["name"] = name
        known.append("name")
    extra = _beside(raw, inner, where, key, *known)
    if key == "image":
        return ImagePart(**field, extra=extra)
    return AudioPart(**field, extra=extra) if key == "audio" else FilePart(**field, layout=layout, extra=extra)


def spell_block(part: Part) -> Any:
    """The block that a part of this wire came from; NOTHING where there is none: for media whose bytes are not here."""
    match part:
        case TextPart(layout="json"):
            return _spell_json(part)
        case TextPart(layout="citations" | "search_result"):
            key = next(key for key, layout in _QUOTES.items() if layout == part.layout)
            return merged({key: {"content": [{"text": part.text}]}}, part.extra)
        case TextPart():
            return merged({"text": part.text}, part.extra)
        case ToolCall():
            inner = {"toolUseId": part.call_id, "name": part.name, "input": spelled_input(part.arguments)}
            return merged({"toolUse": inner}, part.extra)
        case ToolResult():
            return _spell_result(part)
        case ThinkingPart():
            return merged({"reasoningContent": _reasoning(part)}, part.extra)
        case Opaque():
            return opaque_block(part)
        case _:
            return _spell_media(part)


def _spell_json(part: TextPart) -> Any:
    try:
        return {"json": json_value(part.text)}
    except ValueError:  # the text was changed
        return {"text": part.text}


def _spell_result(part: ToolResult) -> dict[str, Any]:
    inner: dict[str, Any] = {"toolUseId": part.call_id}
    if part.parts or part.layout is None:
        inner["content"] = [spelled for child in part.parts if (spelled := spell_block(child)) is not NOTHING]
    if part.is_error is not None:
        inner["status"] = "error" if part.is_error else "success"
    return merged({"toolResult": inner}, part.extra)


def _reasoning(part: ThinkingPart) -> dict[str, Any]:
    if part.redacted is not None:
        return {"redactedContent": part.redacted}
    said = {"text": part.text, "signature": part.signature}
    return {"reasoningText": {key: value for key, value in said.items() if value is not None}}


def _spell_media(part: ImagePart | AudioPart | FilePart) -> Any:
    kind, _, word = (part.media_type or "").partition("/")
    key = "document" if part.media_type in _FORMATS else kind
    if key not in _MEDIA:
        return NOTHING
    source: dict[str, Any]
    if part.data is not None:
        source = {"bytes": part.data}
        if part.layout == "text":
            source = {"text": decoded_text(part.data) or ""}
    elif part.url is not None:
        source = {"s3Location": {"uri": part.url}}
    else:
        return NOTHING
    inner = {"format": _FORMATS.get(part.media_type or "", word), "source": source}
    if part.name is not None:
        inner["name"] = part.name
    return merged({key: inner}, part.extra)
