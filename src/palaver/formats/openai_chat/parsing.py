"""OpenAI chat messages read: what has a common meaning becomes typed, the rest is kept as it was."""

from __future__ import annotations

from typing import Any

from palaver.codec import json_text
from palaver.errors import InvalidMessage
from palaver.formats.openai_chat.dialect import Dialect
from palaver.formats.openai_chat.ordinary import read
from palaver.formats.openai_chat.parts import parse_call, without
from palaver.formats.openai_chat.spelling import spell
from palaver.formats.openai_chat.usage import usage_of
from palaver.formats.wire import Notes, entries, fingerprint, is_array, is_object, leftover, plain
from palaver.model import (
    AudioPart,
    Message,
    Opaque,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

__all__ = ["parse", "parse_plain"]


def parse(messages: object, dialect: Dialect, *, system: object = None) -> list[Message]:
    """The messages of a request or a response. A `system` prompt given apart becomes the first one."""
    out: list[Message] = []
    if system is not None:
        out.append(parse_plain({"role": "system", "content": plain(system, "system")}, "system", dialect))
    for index, entry in enumerate(entries(messages)):
        message = read(entry, dialect)
        if message is not None:
            out.append(message)
            continue
        where = f"messages[{index}]"
        raw = plain(entry, where)
        if not is_object(raw):
            raise InvalidMessage(f"{where} is a {type(entry).__name__}; a message is an object with role and content")
        out.append(
            _answer(raw, where, dialect) if "choices" in raw and "role" not in raw else parse_plain(raw, where, dialect)
        )
    return out


def _answer(raw: dict[str, Any], where: str, dialect: Dialect) -> Message:
    """The message of a whole response, with what it used."""
    choices: list[Any] = raw["choices"] if is_array(raw["choices"]) else []
    for choice in choices:
        if is_object(choice) and choice.get("index", 0) == 0 and is_object(choice.get("message")):
            message = parse_plain(choice["message"], f"{where}.choices[0].message", dialect)
            return message.replace(usage=usage_of(raw.get("usage"), raw.get("model")))
    raise InvalidMessage(f"{where} is a response without a message: choices[0].message is not there")


def parse_plain(raw: dict[str, Any], where: str, dialect: Dialect) -> Message:
    """The message that an object of plain JSON is. Raises InvalidMessage for an unknown role."""
    role = raw.get("role")
    if not isinstance(role, str) or role not in dialect.roles:
        said = "has no role" if role is None else f"has the role {role!r}"
        raise InvalidMessage(f"{where} {said}; {dialect.wire} knows {', '.join(dialect.roles)}")
    message = _typed(raw, where, dialect)
    if spell(message, dialect, Notes()) == raw:
        return message
    return message.replace(extra=json_text(raw, where), layout=f"verbatim {fingerprint(message)}")


def _typed(raw: dict[str, Any], where: str, dialect: Dialect) -> Message:
    """The common meaning of a message, as far as it has one."""
    role = dialect.roles[raw["role"]]
    rest = without(raw, "role", "content")
    words: list[str] = []
    content: tuple[Part, ...] = ()
    said = raw.get("content")
    if "content" not in raw:
        words.append("absent")
    elif isinstance(said, str):
        content = (TextPart(text=said),)
    elif is_array(said):
        words.append("list")
        content = tuple(dialect.parse_part(entry, f"{where}.content[{index}]") for index, entry in enumerate(said))
    parts: tuple[Part, ...] = content
    name = rest.get("name") if isinstance(rest.get("name"), str) else None
    if name is not None:
        del rest["name"]
    if role == "tool":
        call_id = rest.pop("tool_call_id") if isinstance(rest.get("tool_call_id"), str) else ""
        parts = (_result(call_id, name, content, said, where, dialect),)
        name = None
    elif role == "assistant":
        thinking = () if dialect.inner_reasoning else _thinking(rest, words)
        beside = _beside_content(rest, where, words) if dialect.legacy else []
        parts = (*thinking, *content, *beside, *_calls(rest, where, legacy=dialect.legacy))
    extra = leftover(rest, where)
    return Message(role=role, parts=parts, name=name, wire=dialect.wire, layout=" ".join(words) or None, extra=extra)


def _result(
    call_id: str, name: str | None, content: tuple[Part, ...], said: Any, where: str, dialect: Dialect
) -> ToolResult:
    parts = tuple(
        Opaque(wire=dialect.wire, data=json_text(said[index], where))
        if isinstance(part, (ThinkingPart, ToolCall, ToolResult))  # a result has none of these
        else part
        for index, part in enumerate(content)
    )
    return ToolResult(call_id=call_id, name=name, parts=parts)


def _thinking(rest: dict[str, Any], words: list[str]) -> tuple[ThinkingPart, ...]:
    long, short = rest.get("reasoning_content"), rest.get("reasoning")
    if isinstance(long, str):
        del rest["reasoning_content"]
        if long == short:
            del rest["reasoning"]
            words.append("both")
        return (ThinkingPart(text=long),)
    if isinstance(short, str):
        del rest["reasoning"]
        words.append("reasoning")
        return (ThinkingPart(text=short),)
    return ()


def _beside_content(rest: dict[str, Any], where: str, words: list[str]) -> list[Part]:
    """A refusal and a spoken answer, which stand beside the content."""
    parts: list[Part] = []
    if isinstance(rest.get("refusal"), str) and "list" not in words:
        parts.append(TextPart(text=rest.pop("refusal"), extra='{"type":"refusal"}'))
    audio = rest.get("audio")
    if is_object(audio) and isinstance(audio.get("id"), str):
        data = audio.get("data") if isinstance(audio.get("data"), str) else None
        kept = without(audio, "id") if data is None else without(audio, "id", "data")
        parts.append(AudioPart(file_id=audio["id"], data=data, extra=leftover(kept, where)))
        del rest["audio"]
    return parts


def _calls(rest: dict[str, Any], where: str, *, legacy: bool) -> list[ToolCall]:
    calls = rest.get("tool_calls")
    if is_array(calls) and calls:
        del rest["tool_calls"]
        return [parse_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(calls)]
    call = rest.get("function_call")
    if legacy and is_object(call):
        del rest["function_call"]
        return [parse_call({"function": call}, f"{where}.function_call")]
    return []
