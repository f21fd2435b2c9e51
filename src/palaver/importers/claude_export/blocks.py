"""The blocks of a message of Claude's, as parts. They are Anthropic's, with more beside them than its API takes."""

from __future__ import annotations

import base64
import json
import mimetypes
from typing import Any

from palaver.formats.wire import is_array, is_object
from palaver.model import AudioPart, FilePart, ImagePart, Opaque, Part, TextPart, ThinkingPart, ToolCall, ToolResult

__all__ = ["attached", "read_blocks"]

_WIRE = "claude"
_NOTHING = ("token_budget", "flag")
"""Blocks that say something to the service alone."""


def read_blocks(content: list[Any], name: str) -> tuple[list[Part], list[str]]:
    """The parts of a message, and what was mended. `name` is the message's, for calls that have no id."""
    parts: list[Part] = []
    repairs: list[str] = []
    waiting: list[str] = []
    for number, block in enumerate(content, 1):
        if not is_object(block):
            if block is not None:
                repairs.append("entries of the content that are no blocks became text")
                parts += _text(block if isinstance(block, str) else json.dumps(block))
            continue
        kind = block.get("type")
        if kind == "tool_use":
            given = block.get("id")
            call_id = given if isinstance(given, str) and given else f"{name}-{number}"
            waiting.append(call_id)
            tool = block.get("name")
            said = block.get("input")
            arguments = said if isinstance(said, str) else json.dumps({} if said is None else said, ensure_ascii=False)
            parts.append(ToolCall(call_id=call_id, name=tool if isinstance(tool, str) else "", arguments=arguments))
        elif kind == "tool_result":
            given = block.get("tool_use_id")
            if not isinstance(given, str) or not given:
                given = waiting[0] if waiting else ""
            if given in waiting:
                waiting.remove(given)
            parts.append(_result(block, given))
        elif kind not in _NOTHING:
            parts += _other(block)
    return parts, repairs


def _result(block: dict[str, Any], call_id: str) -> ToolResult:
    content = block.get("content")
    entries: list[Any] = content if is_array(content) else [content]
    parts: list[Any] = []
    for entry in entries:
        parts += _other(entry) if is_object(entry) else _text(entry if isinstance(entry, str) else "")
    name = block.get("name")
    return ToolResult(
        call_id=call_id,
        name=name if isinstance(name, str) and name else None,
        parts=tuple(parts),
        is_error=True if block.get("is_error") is True else None,
    )


def _other(block: dict[str, Any]) -> list[Part]:
    match block.get("type"):
        case "text" | "voice_note" if isinstance(block.get("text"), str):
            return _text(block["text"])
        case "thinking" if isinstance(block.get("thinking"), str):
            signature = block.get("signature")
            signed = signature if isinstance(signature, str) and signature else None
            return [ThinkingPart(text=block["thinking"], signature=signed)]
        case "redacted_thinking" if isinstance(block.get("data"), str):
            return [ThinkingPart(redacted=block["data"])]
        case "image" if is_object(block.get("source")) and isinstance(block["source"].get("data"), str):
            return [ImagePart(media_type=block["source"].get("media_type"), data=block["source"]["data"])]
        case "image" if isinstance(block.get("file_uuid"), str):
            return [ImagePart(name=block["file_uuid"])]
        case "knowledge":
            said = [block[key] for key in ("title", "url", "text") if isinstance(block.get(key), str)]
            return _text("\n".join(said))
        case _:
            return [Opaque(wire=_WIRE, data=json.dumps(block, ensure_ascii=False))]


def _text(text: str) -> list[Part]:
    return [TextPart(text=text)] if text else []


def attached(message: dict[str, Any]) -> list[Part]:
    """What came with a message: pasted text as text, documents with their text, other files by name."""
    out: list[Part] = []
    names: set[str] = set()
    for each in _objects(message.get("attachments")):
        name, text = each.get("file_name"), each.get("extracted_content")
        named = name if isinstance(name, str) and name else None
        if isinstance(text, str) and text:
            if named is None:
                out.append(TextPart(text=text))
                continue
            data = base64.b64encode(text.encode(errors="replace")).decode("ascii")
            out.append(FilePart(name=named, media_type="text/plain", data=data))
        elif named is not None:
            out.append(_by_name(named))
        names.add(named or "")
    for key in ("files", "files_v2"):
        for each in _objects(message.get(key)):
            name = each.get("file_name") or each.get("file_uuid")
            if isinstance(name, str) and name not in names:
                names.add(name)
                out.append(_by_name(name))
    return out


def _by_name(name: str) -> Part:
    kind = mimetypes.guess_type(name, strict=False)[0]
    family = (kind or "").partition("/")[0]
    made = ImagePart if family == "image" else AudioPart if family == "audio" else FilePart
    return made(name=name, media_type=kind)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if is_object(each)] if is_array(value) else []
