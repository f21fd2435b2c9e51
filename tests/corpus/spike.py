"""A trial, not a product: the model holds what the other three wires sent, and gives it back.

Each `read_*` makes typed messages of a payload and each `write_*` makes the payload of the messages. Nothing is kept
whole to win cheaply: what has a common meaning is typed, and only what has none is Opaque. Where the spelling of a part
has to be remembered and the model has no field for it, it goes into `extra` under the key `~`; those are counted,
because they are what the model lacks (docs/decisions/0002).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from palaver import formats
from palaver.codec import json_text
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Role,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

SPELLING = "~"
ABSENT = object()


def extra(keys: dict[str, Any], spelling: Any = None) -> str | None:
    """JSON text of the keys that are left over, and of how the part was spelled."""
    if spelling is not None:
        keys = {**keys, SPELLING: spelling}
    return json_text(keys) if keys else None


def kept(part: Any) -> tuple[dict[str, Any], Any]:
    """The keys that were left over, and the spelling."""
    keys = json.loads(part.extra) if part.extra else {}
    return keys, keys.pop(SPELLING, None)


def drop(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Without these keys."""
    return {k: v for k, v in value.items() if k not in keys}


def opaque(wire: str, raw: Any) -> Opaque:
    """What has no common meaning."""
    return Opaque(wire=wire, data=json_text(raw))


def media(media_type: str | None, **where: Any) -> ImagePart | AudioPart | FilePart:
    """The media part for a media type."""
    match (media_type or "").partition("/")[0]:
        case "image":
            return ImagePart(media_type=media_type, **where)
        case "audio":
            return AudioPart(media_type=media_type, **where)
        case _:
            return FilePart(media_type=media_type, **where)


# -- Anthropic


def read_anthropic(messages: list[Any], system: Any) -> list[Message]:
    """Messages of an Anthropic payload."""
    out = _read_system("anthropic", system, lambda blocks: [_read_block(b) for b in blocks])
    for raw in messages:
        rest = drop(raw, "role", "content")
        content = raw["content"]
        layout = "string" if isinstance(content, str) else None
        parts = [TextPart(text=content)] if layout else [_read_block(block) for block in content]
        groups: list[list[Any]] = [[]]
        for part in parts:
            if groups[-1] and isinstance(part, ToolResult) != isinstance(groups[-1][-1], ToolResult):
                groups.append([])
            groups[-1].append(part)
        for number, group in enumerate(groups):
            message = Message(
                role="tool" if group and isinstance(group[0], ToolResult) else raw["role"],
                parts=tuple(group),
                wire="anthropic",
                joins=number > 0,
                layout=None if number else layout,
                extra=None if number else extra(rest),
            )
            out.append(message)
    return out


def _read_block(raw: Any) -> Any:
    match raw:
        case {"type": "text", "text": str(text)}:
            return TextPart(text=text, extra=extra(drop(raw, "type", "text")))
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)}:
            return ThinkingPart(text=text, signature=signature, extra=extra(drop(raw, "type", "thinking", "signature")))
        case {"type": "redacted_thinking", "data": str(data)}:
            return ThinkingPart(redacted=data, extra=extra(drop(raw, "type", "data")))
        case {"type": "tool_use", "id": str(call_id), "name": str(name), "input": dict(given)}:
            keys = drop(raw, "type", "id", "name", "input")
            return ToolCall(call_id=call_id, name=name, arguments=json_text(given), extra=extra(keys))
        case {"type": "tool_result", "tool_use_id": str(call_id)}:
            return _read_tool_result(raw, call_id)
        case {"type": "image" | "document", "source": {"type": "base64", "media_type": str(mime), "data": str(data)}}:
            keys = drop(raw, "type", "source")
            part = ImagePart if raw["type"] == "image" else FilePart
            return part(media_type=mime, data=data, extra=extra(keys))
        case {"type": "image" | "document", "source": {"type": "url", "url": str(url), **inner}} if not inner:
            part = ImagePart if raw["type"] == "image" else FilePart
            return part(url=url, extra=extra(drop(raw, "type", "source")))
        case _:
            return opaque("anthropic", raw)


def _read_tool_result(raw: dict[str, Any], call_id: str) -> ToolResult:
    content = raw.get("content", ABSENT)
    spelling: str | None = None
    parts: tuple[Any, ...] = ()
    if content is ABSENT:
        spelling = "absent"
    elif isinstance(content, str):
        spelling, parts = "string", (TextPart(text=content),)
    else:
        parts = tuple(_read_block(block) for block in content)
    keys = drop(raw, "type", "tool_use_id", "content", "is_error")
    return ToolResult(call_id=call_id, parts=parts, is_error=raw.get("is_error"), extra=extra(keys, spelling))


def write_anthropic(messages: list[Message]) -> tuple[list[Any], Any]:
    """The payload of Anthropic messages."""
    system, messages = _write_system(messages, lambda parts: [_write_block(p) for p in parts])
    out: list[Any] = []
    for message in messages:
        blocks = [_write_block(part) for part in message.parts]
        if message.joins:
            out[-1]["content"] += blocks
            continue
        role = "user" if message.role == "tool" else message.role
        content = blocks[0]["text"] if message.layout == "string" else blocks
        out.append({"role": role, "content": content, **kept(message)[0]})
    return out, system


def _write_block(part: Any) -> Any:
    keys, spelling = kept(part)
    match part:
        case TextPart():
            return {"type": "text", "text": part.text, **keys}
        case ThinkingPart(redacted=str(data)):
            return {"type": "redacted_thinking", "data": data, **keys}
        case ThinkingPart():
            return {"type": "thinking", "thinking": part.text, "signature": part.signature, **keys}
        case ToolCall():
            given = json.loads(part.arguments)
            return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": given, **keys}
        case ToolResult():
            out = {"type": "tool_result", "tool_use_id": part.call_id, **keys}
            if part.is_error is not None:
                out["is_error"] = part.is_error
            if spelling != "absent":
                blocks = [_write_block(p) for p in part.parts]
                out["content"] = blocks[0]["text"] if spelling == "string" else blocks
            return out
        case ImagePart() | FilePart():
            source = {"type": "url", "url": part.url}
            if part.url is None:
                source = {"type": "base64", "media_type": part.media_type, "data": part.data}
            return {"type": "image" if isinstance(part, ImagePart) else "document", "source": source, **keys}
        case _:
            return json.loads(part.data)


def _read_system(wire: str, system: Any, read: Callable[[list[Any]], list[Any]]) -> list[Message]:
    if system is None:
        return []
    if isinstance(system, str):
        return [Message(role="system", parts=(TextPart(text=system),), wire=wire, layout="apart string")]
    if isinstance(system, list):
        return [Message(role="system", parts=tuple(read(system)), wire=wire, layout="apart")]
    keys = extra(drop(system, "parts"))
    return [Message(role="system", parts=tuple(read(system["parts"])), wire=wire, layout="apart", extra=keys)]


def _write_system(messages: list[Message], write: Callable[[Any], list[Any]]) -> tuple[Any, list[Message]]:
    if not messages or not (messages[0].layout or "").startswith("apart"):
        return None, messages
    first = messages[0]
    if first.layout == "apart string":
        return first.text, messages[1:]
    parts = write(first.parts)
    if first.wire == "google":
        return {"parts": parts, **kept(first)[0]}, messages[1:]
    return parts, messages[1:]


# -- Google


SNAKE = {
    "functionCall": "function_call",
    "functionResponse": "function_response",
    "inlineData": "inline_data",
    "fileData": "file_data",
    "mimeType": "mime_type",
    "fileUri": "file_uri",
}


def _spelled(value: dict[str, Any], camel: str) -> str | None:
    return camel if camel in value else SNAKE[camel] if SNAKE[camel] in value else None


def read_google(messages: list[Any], system: Any) -> list[Message]:
    """Messages of a generateContent payload."""
    out = _read_system("google", system, lambda parts: [_read_google_part(p) for p in parts])
    for raw in messages:
        role: Role = "assistant" if raw.get("role") == "model" else "user"
        rest = drop(raw, "role", "parts")
        words = [] if raw.get("role") in ("model", "user") else [f"role={raw.get('role')}"]
        if "parts" not in raw:
            words.append("absent")
        groups: list[list[Any]] = [[]]
        for part in (_read_google_part(p) for p in raw.get("parts", [])):
            if groups[-1] and isinstance(part, ToolResult) != isinstance(groups[-1][-1], ToolResult):
                groups.append([])
            groups[-1].append(part)
        for number, group in enumerate(groups):
            message = Message(
                role="tool" if group and isinstance(group[0], ToolResult) else role,
                parts=tuple(group),
                wire="google",
                joins=number > 0,
                layout=" ".join(words) or None,
                extra=None if number else extra(rest),
            )
            out.append(message)
    return out


def _read_google_part(raw: dict[str, Any]) -> Any:
    for read in (_read_google_call, _read_google_response, _read_google_media):
        part = read(raw)
        if part is not None:
            return part
    if isinstance(raw.get("text"), str):
        if raw.get("thought") is True:
            signature = raw.get("thoughtSignature")
            keys = drop(raw, "text", "thought", "thoughtSignature")
            return ThinkingPart(text=raw["text"], signature=signature, extra=extra(keys))
        return TextPart(text=raw["text"], extra=extra(drop(raw, "text")))
    return opaque("google", raw)


def _read_google_call(raw: dict[str, Any]) -> ToolCall | None:
    key = _spelled(raw, "functionCall")
    if key is None:
        return None
    call = raw[key]
    keys = drop(raw, key)
    beside = drop(call, "name", "args", "id")
    if beside:
        keys["call"] = beside
    given = json_text(call["args"]) if "args" in call else ""
    spelling = None if key == "functionCall" else key
    return ToolCall(call_id=call.get("id", ""), name=call["name"], arguments=given, extra=extra(keys, spelling))


def _read_google_response(raw: dict[str, Any]) -> ToolResult | None:
    key = _spelled(raw, "functionResponse")
    if key is None:
        return None
    answer = raw[key]
    said = answer["response"]
    parts: list[Any] = []
    spelling: dict[str, Any] = {} if key == "functionResponse" else {"key": key}
    word, text = next(iter(said.items()), ("", None))
    if len(said) == 1 and word in ("output", "result", "return_value", "error") and isinstance(text, str):
        spelling["in"] = word
        parts.append(TextPart(text=text))
    else:
        parts.append(TextPart(text=json_text(said)))
    parts += [_read_google_part(p) for p in answer.get("parts", [])]
    keys = drop(raw, key)
    beside = drop(answer, "id", "name", "response", "parts")
    if beside:
        keys["answer"] = beside
    return ToolResult(
        call_id=answer.get("id", ""),
        name=answer["name"],
        parts=tuple(parts),
        is_error=True if spelling.get("in") == "error" else None,
        extra=extra(keys, spelling or None),
    )


def _read_google_media(raw: dict[str, Any]) -> Any:
    for camel, field, where in (("inlineData", "data", "data"), ("fileData", "url", "fileUri")):
        key = _spelled(raw, camel)
        if key is None:
            continue
        inner = raw[key]
        mime = _spelled(inner, "mimeType")
        data = where if where in inner else SNAKE[where]
        if mime is None or drop(inner, mime, data):
            return None
        spelling = [key, mime, data]
        plain = spelling == [camel, "mimeType", where]
        return media(inner[mime], **{field: inner[data]}, extra=extra(drop(raw, key), None if plain else spelling))
    return None


def write_google(messages: list[Message]) -> tuple[list[Any], Any]:
    """The payload of Google messages."""
    system, messages = _write_system(messages, lambda parts: [_write_google_part(p) for p in parts])
    out: list[Any] = []
    for message in messages:
        parts = [_write_google_part(part) for part in message.parts]
        if message.joins:
            out[-1]["parts"] += parts
            continue
        words = (message.layout or "").split()
        raw = {"role": "model" if message.role == "assistant" else "user", "parts": parts, **kept(message)[0]}
        if "role=None" in words:
            del raw["role"]
        elif "role=function" in words:
            raw["role"] = "function"
        if "absent" in words:
            del raw["parts"]
        out.append(raw)
    return out, system


def _write_google_part(part: Any) -> Any:
    keys, spelling = kept(part)
    match part:
        case TextPart():
            return {"text": part.text, **keys}
        case ThinkingPart():
            out = {"text": part.text, "thought": True, **keys}
            return out if part.signature is None else {**out, "thoughtSignature": part.signature}
        case ToolCall():
            call = {"name": part.name, **keys.pop("call", {})}
            if part.arguments:
                call["args"] = json.loads(part.arguments)
            if part.call_id:
                call["id"] = part.call_id
            return {spelling or "functionCall": call, **keys}
        case ToolResult():
            spelling = spelling or {}
            first, *others = part.parts
            text = first.text if isinstance(first, TextPart) else ""
            said = {spelling["in"]: text} if "in" in spelling else json.loads(text)
            answer = {"name": part.name, "response": said, **keys.pop("answer", {})}
            if part.call_id:
                answer["id"] = part.call_id
            if others:
                answer["parts"] = [_write_google_part(p) for p in others]
            return {spelling.get("key", "functionResponse"): answer, **keys}
        case Opaque():
            return json.loads(part.data)
        case _:
            usual = ["inlineData", "mimeType", "data"] if part.url is None else ["fileData", "mimeType", "fileUri"]
            key, mime, data = spelling or usual
            return {key: {mime: part.media_type, data: part.data if part.url is None else part.url}, **keys}


# -- OpenAI Responses


CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
ANSWERS = {"function_call_output", "custom_tool_call_output"}


def read_responses(messages: Any, system: Any) -> list[Message]:
    """Messages of a Responses payload: a run of output items is one assistant message."""
    out = _read_system("openai_responses", system, list)
    if isinstance(messages, str):
        return [*out, Message(role="user", parts=(TextPart(text=messages),), wire="openai_responses", layout="input")]
    run: list[Any] = []
    for raw in messages:
        kind = raw.get("type", "message")
        if kind == "message" and raw["role"] != "assistant":
            message = _read_responses_message(raw)
        elif kind in ANSWERS:
            message = _read_output(raw)
        elif kind == "tool_search_output" and raw["call_id"] is not None:
            result = ToolResult(call_id=raw["call_id"], parts=(opaque("openai_responses", raw),), extra=extra({}, kind))
            message = Message(role="tool", parts=(result,), wire="openai_responses")
        elif "role" in raw and raw["role"] != "assistant":
            parts = (opaque("openai_responses", raw),)
            message = Message(role=raw["role"], parts=parts, wire="openai_responses", layout="item")
        else:
            run += _read_item(raw, kind)
            continue
        if run:
            out.append(Message(role="assistant", parts=tuple(run), wire="openai_responses"))
            run = []
        out.append(message)
    if run:
        out.append(Message(role="assistant", parts=tuple(run), wire="openai_responses"))
    return out


def _read_responses_message(raw: dict[str, Any]) -> Message:
    content = raw["content"]
    string = isinstance(content, str)
    parts: tuple[Any, ...] = (TextPart(text=content),) if string else tuple(_read_input(p) for p in content)
    keys = extra(drop(raw, "role", "content"))
    layout = "string" if string else None
    return Message(role=raw["role"], parts=parts, wire="openai_responses", layout=layout, extra=keys)


def _read_input(raw: dict[str, Any]) -> Any:
    match raw:
        case {"type": "input_text", "text": str(text)}:
            return TextPart(text=text, extra=extra(drop(raw, "type", "text")))
        case {"type": "input_image", "image_url": str(url)}:
            head, comma, data = url.partition(";base64,")
            keys = extra(drop(raw, "type", "image_url"))
            if comma and head.startswith("data:"):
                return ImagePart(media_type=head.removeprefix("data:"), data=data, extra=keys)
            return ImagePart(url=url, extra=keys)
        case {"type": "input_image", "file_id": str(file_id)}:
            return ImagePart(file_id=file_id, extra=extra(drop(raw, "type", "file_id")))
        case {"type": "input_file", "file_id": str(file_id)}:
            return FilePart(file_id=file_id, extra=extra(drop(raw, "type", "file_id")))
        case {"type": "input_file", "file_url": str(url)}:
            return FilePart(url=url, extra=extra(drop(raw, "type", "file_url")))
        case {"type": "input_file", "file_data": str(url), "filename": str(name)} if ";base64," in url:
            head, _, data = url.partition(";base64,")
            keys = extra(drop(raw, "type", "file_data", "filename"))
            return FilePart(media_type=head.removeprefix("data:"), data=data, name=name, extra=keys)
        case _:
            return opaque("openai_responses", raw)


def _write_input(part: Any) -> Any:
    keys = kept(part)[0]
    match part:
        case TextPart():
            return {"type": "input_text", "text": part.text, **keys}
        case ImagePart():
            if part.file_id:
                return {"type": "input_image", "file_id": part.file_id, **keys}
            return {"type": "input_image", "image_url": part.url or _data_url(part), **keys}
        case FilePart():
            if part.file_id:
                return {"type": "input_file", "file_id": part.file_id, **keys}
            if part.url:
                return {"type": "input_file", "file_url": part.url, **keys}
            return {"type": "input_file", "file_data": _data_url(part), "filename": part.name, **keys}
        case _:
            return json.loads(part.data)


def _data_url(part: Any) -> str:
    return f"data:{part.media_type};base64,{part.data}"


def _read_output(raw: dict[str, Any]) -> Message:
    said = raw["output"]
    string = isinstance(said, str)
    parts: tuple[Any, ...] = (TextPart(text=said),) if string else tuple(_read_input(p) for p in said)
    keys = drop(raw, "call_id", "output")
    result = ToolResult(call_id=raw["call_id"], parts=parts, extra=extra(keys, "string" if string else None))
    return Message(role="tool", parts=(result,), wire="openai_responses")


def _read_item(raw: dict[str, Any], kind: str) -> list[Any]:
    if kind in CALLS:
        keys = drop(raw, "call_id", "name", CALLS[kind])
        return [ToolCall(call_id=raw["call_id"], name=raw["name"], arguments=raw[CALLS[kind]], extra=extra(keys))]
    if kind == "tool_search_call" and raw["call_id"] is not None:
        keys = drop(raw, "call_id", "arguments")
        given = json_text(raw["arguments"])
        return [ToolCall(call_id=raw["call_id"], name="tool_search", arguments=given, extra=extra(keys))]
    if kind == "reasoning":
        return [_read_reasoning(raw)]
    if kind == "message" and raw.get("content") not in (None, []):
        return _read_said(raw)
    return [opaque("openai_responses", raw)]


def _read_reasoning(raw: dict[str, Any]) -> ThinkingPart:
    keys = drop(raw, "type", "encrypted_content")
    if "encrypted_content" in raw and raw["encrypted_content"] is None:
        keys["encrypted_content"] = None
    text = None
    for field, kind in (("content", "reasoning_text"), ("summary", "summary_text")):
        match raw.get(field):
            case [{"type": str(said), "text": str(said_text), **more}] if said == kind and not more:
                text = said_text
                keys[SPELLING] = field
                del keys[field]
                break
            case [_, *_] as several:
                text = "\n\n".join(entry["text"] for entry in several)
                break
    return ThinkingPart(text=text, redacted=raw.get("encrypted_content"), extra=extra(keys))


def _read_said(raw: dict[str, Any]) -> list[Any]:
    """A message item: its own keys stand with its first part; the others say that they belong to it."""
    item = drop(raw, "content")
    content = raw["content"]
    if isinstance(content, str):
        return [TextPart(text=content, extra=extra({}, {"item": item, "string": True}))]
    parts: list[Any] = []
    for entry in content:
        spelling = {"item": item} if not parts else {"same": True}
        match entry:
            case {"type": "output_text", "text": str(text)}:
                parts.append(TextPart(text=text, extra=extra(drop(entry, "text"), spelling)))
            case {"type": "refusal", "refusal": str(text)}:
                parts.append(TextPart(text=text, extra=extra(drop(entry, "refusal"), spelling)))
            case _:
                return [opaque("openai_responses", raw)]
    return parts


def write_responses(messages: list[Message]) -> tuple[Any, Any]:
    """The payload of Responses messages."""
    system, messages = _write_system(messages, list)
    out: list[Any] = []
    for message in messages:
        if message.layout == "input":
            return message.text, system
        if message.role == "assistant":
            for part in message.parts:
                _write_item(part, out)
        elif message.role == "tool":
            out.append(_write_output(message.tool_results[0]))
        elif message.layout == "item":
            out += [json.loads(part.data) for part in message.parts if isinstance(part, Opaque)]
        else:
            parts = [_write_input(part) for part in message.parts]
            content = parts[0]["text"] if message.layout == "string" else parts
            out.append({"role": message.role, "content": content, **kept(message)[0]})
    return out, system


def _write_output(result: ToolResult) -> Any:
    keys, spelling = kept(result)
    if spelling == "tool_search_output":
        return next(json.loads(part.data) for part in result.parts if isinstance(part, Opaque))
    parts = [_write_input(part) for part in result.parts]
    return {"call_id": result.call_id, "output": parts[0]["text"] if spelling == "string" else parts, **keys}


def _write_item(part: Any, out: list[Any]) -> None:
    keys, spelling = kept(part)
    match part:
        case ToolCall():
            kind = keys["type"]
            if kind == "tool_search_call":
                out.append({"call_id": part.call_id, "arguments": json.loads(part.arguments), **keys})
            else:
                out.append({"call_id": part.call_id, "name": part.name, CALLS[kind]: part.arguments, **keys})
        case ThinkingPart():
            raw = {"type": "reasoning", **keys}
            if part.redacted is not None:
                raw["encrypted_content"] = part.redacted
            if spelling is not None:
                kind = "summary_text" if spelling == "summary" else "reasoning_text"
                raw[spelling] = [{"type": kind, "text": part.text}]
            out.append(raw)
        case TextPart():
            if "string" in spelling:
                out.append({**spelling["item"], "content": part.text})
                return
            if "item" in spelling:
                out.append({**spelling["item"], "content": []})
            field = "refusal" if keys["type"] == "refusal" else "text"
            out[-1]["content"].append({field: part.text, **keys})
        case _:
            out.append(json.loads(part.data))


# -- all four


class Wire(NamedTuple):
    """How a wire is read and written."""

    read: Callable[[Any, Any], list[Message]]
    write: Callable[[list[Message]], tuple[Any, Any]]


def _read_chat(messages: Any, system: Any) -> list[Message]:
    return formats.parse("openai_chat", messages, system=system)


def _write_chat(messages: list[Message]) -> tuple[Any, Any]:
    rendered = formats.render("openai_chat", messages, repair=False)
    assert not rendered.repairs, rendered.repairs
    return rendered.messages, rendered.system


WIRES = {
    "anthropic": Wire(read_anthropic, write_anthropic),
    "google": Wire(read_google, write_google),
    "openai_chat": Wire(_read_chat, _write_chat),
    "openai_responses": Wire(read_responses, write_responses),
}
