"""Anthropic messages read: what has a common meaning becomes typed, the rest is kept as it was."""

from __future__ import annotations

from typing import Any

from palaver.errors import InvalidMessage
from palaver.formats.anthropic.parts import WIRE, parse_block
from palaver.formats.anthropic.usage import usage_of
from palaver.formats.blocks import divided, is_clean, ordinary_text, without
from palaver.formats.wire import entries, is_array, is_object, leftover, plain
from palaver.model import Message, Part, Role, TextPart, ToolCall, ToolResult

__all__ = ["parse"]

_ROLES: dict[Any, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def parse(messages: object, *, system: object = None) -> list[Message]:
    """The messages of a request or of a response; a whole response object is read as its message.

    A user message that holds results and other blocks becomes several, in their order, joined to one another.
    """
    out: list[Message] = []
    if system is not None:
        out.append(_instructions(plain(system, "system")))
    calls = False  # whether the run of assistant messages that this one may be in has calls
    for index, entry in enumerate(entries(messages)):
        read = _ordinary(entry)
        if read is None:
            read = _careful(entry, f"messages[{index}]")
        first = read[0]
        if first.role == "assistant":
            if calls and out and out[-1].role == "assistant":  # the service takes the two for one, see AN5
                layout = "own" if first.layout is None else f"{first.layout} own"
                read[0] = first.replace(joins=True, layout=layout)
            else:
                calls = False
            calls = calls or any(type(part) is ToolCall for part in first.parts)
        else:
            calls = False
        out.extend(read)
    return out


def _instructions(raw: Any) -> Message:
    if isinstance(raw, str):
        return Message(role="system", parts=(TextPart(text=raw),), wire=WIRE, layout="apart string")
    if not is_array(raw):
        raise InvalidMessage(f"system is a {type(raw).__name__}; it is text or a list of text blocks")
    parts = tuple(parse_block(block, "system", f"system[{index}]") for index, block in enumerate(raw))
    return Message(role="system", parts=parts, wire=WIRE, layout="apart")


def _careful(entry: object, where: str) -> list[Message]:
    raw = plain(entry, where)
    if not is_object(raw):
        raise InvalidMessage(f"{where} is a {type(entry).__name__}; a message is an object with role and content")
    role = raw.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        said = "has no role" if role is None else f"has the role {role!r}"
        raise InvalidMessage(f"{where} {said}; anthropic knows {', '.join(_ROLES)}")
    content = raw.get("content")
    words: list[str] = []
    rest = without(raw, "role", "content")
    parts: list[Part] = []
    if isinstance(content, str):
        words.append("string")
        parts.append(TextPart(text=content))
    elif is_array(content):
        parts.extend(parse_block(block, role, f"{where}.content[{index}]") for index, block in enumerate(content))
    else:
        words.append("absent")
        rest = without(raw, "role")
    usage = None
    if role == "assistant" and raw.get("type") == "message" and is_array(content):
        words.append("response")
        usage = usage_of(raw.get("usage"), raw.get("model"))
    layout, extra = " ".join(words) or None, leftover(rest, where)
    out = divided(_ROLES[role], parts, WIRE)
    out[0] = out[0].replace(layout=layout, extra=extra)
    if usage is not None:
        out[-1] = out[-1].replace(usage=usage)
    return out


def _ordinary(entry: Any) -> list[Message] | None:
    """The messages of an ordinary message: dicts and lists of known shape, nothing beside; None for any other."""
    if not is_object(entry) or len(entry) != 2:
        return None
    role, content = entry.get("role"), entry.get("content")
    if role not in ("user", "assistant"):
        return None
    if is_clean(content):
        return [Message(role=role, parts=(TextPart(text=content),), wire=WIRE, layout="string")]
    if not is_array(content):
        return None
    parts: list[Part] = []
    results = 0
    for block in content:
        part = _ordinary_block(block, role) if is_object(block) else None
        if part is None:
            return None
        results += type(part) is ToolResult
        parts.append(part)
    if results and results < len(parts):
        return divided(role, parts, WIRE)
    return [Message(role="tool" if results else role, parts=tuple(parts), wire=WIRE)]


def _ordinary_block(block: dict[str, Any], role: Role) -> Part | None:
    kind, size = block.get("type"), len(block)
    if kind == "text" and size == 2:
        text = block.get("text")
        return TextPart(text=text) if is_clean(text) else None
    if kind == "tool_use" and size == 4 and role == "assistant":
        call_id, name, given = block.get("id"), block.get("name"), block.get("input")
        arguments = ordinary_text(given) if type(given) is dict else None
        if arguments is None or not is_clean(call_id) or not is_clean(name):
            return None
        return ToolCall(call_id=call_id, name=name, arguments=arguments)
    if kind == "tool_result" and role == "user":
        call_id, content, is_error = block.get("tool_use_id"), block.get("content"), block.get("is_error")
        if size != 3 and not (size == 4 and type(is_error) is bool):
            return None
        if not is_clean(call_id) or not is_clean(content):
            return None
        return ToolResult(call_id=call_id, parts=(TextPart(text=content),), is_error=is_error, layout="string")
    return None
