"""Bedrock Converse messages read: what has a common meaning becomes typed, the rest is kept as it was."""

from __future__ import annotations

from typing import Any

from palaver.errors import InvalidMessage
from palaver.formats.bedrock.parts import WIRE, parse_block
from palaver.formats.bedrock.usage import usage_of
from palaver.formats.blocks import divided, is_clean, ordinary_text, without
from palaver.formats.wire import entries, is_array, is_object, leftover, plain
from palaver.model import Message, Part, Role, TextPart, ToolCall, ToolResult

__all__ = ["parse", "payload"]

_ROLES: dict[Any, Role] = {"user": "user", "assistant": "assistant"}
_STATUS: dict[Any, bool] = {"error": True, "success": False}


def parse(messages: object, *, system: object = None) -> list[Message]:
    """The messages of a request or of a response; a whole response is read as the message in its output.

    Raw bytes, as boto3 has them, are read as the base64 text that goes over the network. A user message that holds
    results and other blocks becomes several, in their order, joined to one another.
    """
    out: list[Message] = []
    if system is not None:
        out.append(_instructions(payload(system, "system")))
    for index, entry in enumerate(entries(messages)):
        read = _ordinary(entry)
        out.extend(_careful(entry, f"messages[{index}]") if read is None else read)
    return out


def payload(value: object, where: str) -> Any:
    """A copy of a value as plain JSON; raw bytes, as boto3 has them, are the base64 text that goes over the network."""
    return plain(value, where, bytes_as_text=True)


def _instructions(raw: Any) -> Message:
    if not is_array(raw):
        raise InvalidMessage(f"system is a {type(raw).__name__}; it is a list of blocks")
    parts = tuple(parse_block(block, "system", f"system[{index}]") for index, block in enumerate(raw))
    return Message(role="system", parts=parts, wire=WIRE, layout="apart")


def _careful(entry: object, where: str) -> list[Message]:
    raw = payload(entry, where)
    if not is_object(raw):
        raise InvalidMessage(f"{where} is a {type(entry).__name__}; a message is an object with role and content")
    response: dict[str, Any] | None = None
    output = raw.get("output")
    if "role" not in raw and is_object(output) and is_object(output.get("message")):
        raw, response = output["message"], raw
    role = raw.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        said = "has no role" if role is None else f"has the role {role!r}"
        raise InvalidMessage(f"{where} {said}; bedrock knows {', '.join(_ROLES)}")
    content = raw.get("content")
    words: list[str] = []
    parts: list[Part] = []
    rest = without(raw, "role", "content")
    if is_array(content):
        parts = [parse_block(block, role, f"{where}.content[{index}]") for index, block in enumerate(content)]
    else:
        words.append("absent")
        rest = without(raw, "role")
    out = divided(_ROLES[role], parts, WIRE)
    if response is not None:
        words.append("response")
        beside = without(response["output"], "message")
        rest = {**without(response, "output"), **({"output": beside} if beside else {}), **rest}
        out[-1] = out[-1].replace(usage=usage_of(response.get("usage")))
    out[0] = out[0].replace(layout=" ".join(words) or None, extra=leftover(rest, where))
    return out


def _ordinary(entry: Any) -> list[Message] | None:
    """The messages of an ordinary message: dicts and lists of known shape, nothing beside; None for any other."""
    if not is_object(entry) or len(entry) != 2:
        return None
    role, content = entry.get("role"), entry.get("content")
    if role not in ("user", "assistant") or not is_array(content):
        return None
    parts: list[Part] = []
    results = 0
    for block in content:
        part = _ordinary_block(block, role) if is_object(block) and len(block) == 1 else None
        if part is None:
            return None
        results += type(part) is ToolResult
        parts.append(part)
    if results and results < len(parts):
        return divided(role, parts, WIRE)
    return [Message(role="tool" if results else role, parts=tuple(parts), wire=WIRE)]


def _ordinary_block(block: dict[str, Any], role: Role) -> Part | None:
    text = block.get("text")
    if text is not None:
        return TextPart(text=text) if is_clean(text) else None
    inner = block.get("toolUse" if role == "assistant" else "toolResult")
    if not is_object(inner):
        return None
    call_id, size = inner.get("toolUseId"), len(inner)
    if not is_clean(call_id):
        return None
    if role == "assistant":
        name, given = inner.get("name"), inner.get("input")
        arguments = ordinary_text(given) if size == 3 and type(given) is dict else None
        return (
            ToolCall(call_id=call_id, name=name, arguments=arguments)
            if arguments is not None and is_clean(name)
            else None
        )
    content, status = inner.get("content"), inner.get("status")
    if size != 2 and not (size == 3 and status in ("success", "error")):
        return None
    if not is_array(content) or len(content) != 1 or not is_object(content[0]) or len(content[0]) != 1:
        return None
    said = content[0].get("text")
    return (
        ToolResult(call_id=call_id, parts=(TextPart(text=said),), is_error=_STATUS.get(status))
        if is_clean(said)
        else None
    )
