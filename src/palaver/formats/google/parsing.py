"""Contents read: what has a common meaning becomes typed, the rest is kept as it was."""

from __future__ import annotations

from typing import Any, cast

from palaver.codec import json_text
from palaver.errors import InvalidMessage
from palaver.formats.google.keys import WIRE
from palaver.formats.google.pairing import Calls, fitted
from palaver.formats.google.parts import data_keys, parse_part
from palaver.formats.google.quick import quick_parts
from palaver.formats.google.usage import usage_of
from palaver.formats.wire import entries, is_array, is_object, leftover, plain
from palaver.model import Message, Opaque, Part, TextPart, ToolCall, ToolResult

__all__ = ["parse"]

_ROLES = ("user", "model", "function", "tool")
_ABOUT = ("citation", "grounding", "urlContext")
"""What a candidate says about its answer beside the content; kept in the message's metadata."""


def parse(messages: object, *, system: object = None) -> list[Message]:
    """The messages of a request's contents, of a response, or of one of its candidates.

    A `system` instruction, text or a content, becomes the first message.
    """
    out: list[Message] = []
    if system is not None:
        out.append(_system(plain(system, "system")))
    calling = False
    waiting = Calls()
    for index, entry in enumerate(entries(messages)):
        found = _quickly(entry)
        if found is None:
            found = _carefully(entry, f"messages[{index}]")
        for message in found:
            # The service reads contents of the model in a row as one turn: its calls, and theirs only, are answered.
            if message.role != "assistant":
                calling = False
                if waiting and message.role == "tool":
                    message = fitted(message, waiting)  # noqa: PLW2901
            else:
                if calling:
                    message = message.replace(joins=True, layout=_with(message.layout, "own"))  # noqa: PLW2901
                else:
                    waiting = Calls()
                waiting.extend(part for part in message.parts if type(part) is ToolCall)
                calling = bool(waiting)
            out.append(message)
    return out


def _with(layout: str | None, word: str) -> str:
    return f"{layout} {word}" if layout else word


def _quickly(entry: object) -> list[Message] | None:
    """The messages of a content of ordinary shape."""
    if type(entry) is not dict:
        return None
    raw = cast("dict[str, Any]", entry)
    role, parts = raw.get("role"), raw.get("parts")
    if len(raw) != 2 or not is_array(parts) or not parts:
        return None
    if role == "model":
        found = quick_parts(parts, model=True)
        return None if found is None else [Message(role="assistant", parts=tuple(found), wire=WIRE)]
    if role != "user":
        return None
    found = quick_parts(parts, model=False)
    return None if found is None else _divided(found, None, None)


def _carefully(entry: object, where: str) -> list[Message]:
    raw = plain(entry, where)
    if not is_object(raw):
        raise InvalidMessage(f"{where} is a {type(entry).__name__}; a content is an object with role and parts")
    if "candidates" in raw or ("parts" not in raw and "role" not in raw and ("content" in raw or _is_response(raw))):
        return _answer(raw, where)
    return _content(raw, where)


def _is_response(raw: dict[str, Any]) -> bool:
    return any(key in raw for key in ("usageMetadata", "usage_metadata", "promptFeedback", "prompt_feedback"))


def _answer(raw: dict[str, Any], where: str) -> list[Message]:
    """The message in a whole response, or in a candidate of one, with what is known about it."""
    candidate = raw
    if "content" not in raw:
        candidates = raw.get("candidates")
        if not is_array(candidates) or not candidates:
            return []
        if len(candidates) > 1:
            raise InvalidMessage(f"{where} has {len(candidates)} candidates; give the content of the one you took")
        candidate = candidates[0]
        where = f"{where}.candidates[0]"
        if not is_object(candidate):
            raise InvalidMessage(f"{where} is a {type(candidate).__name__}; a candidate is an object with a content")
    content = candidate.get("content")
    if content is None:
        return []
    if not is_object(content):
        raise InvalidMessage(f"{where}.content is a {type(content).__name__}; it is an object with role and parts")
    messages = _content(content, f"{where}.content")
    about = {key: value for key, value in candidate.items() if value is not None and key.startswith(_ABOUT)}
    about |= {"urlContextMetadata": found} if (found := candidate.get("url_context_metadata")) is not None else {}
    usage = usage_of(raw)
    if about:
        messages[-1] = messages[-1].replace(metadata={WIRE: about})
    if usage is not None:
        messages[-1] = messages[-1].replace(usage=usage)
    return messages


def _content(raw: dict[str, Any], where: str) -> list[Message]:
    role, parts = raw.get("role"), raw.get("parts")
    rest = {key: value for key, value in raw.items() if key not in ("role", "parts")}
    if parts is None and (data := data_keys(raw)):
        part = f"{{'role': {role or 'user'!r}, 'parts': [{{{data[0]!r}: …}}]}}"
        raise InvalidMessage(f"{where} has {data[0]!r} and no parts; a part stands in a content: give {part}")
    words: list[str] = []
    if not role:
        words.append("no-role")
        if "role" in raw:
            rest["role"] = role
    elif role not in _ROLES:
        raise InvalidMessage(f"{where} has the role {role!r}; google knows {', '.join(_ROLES)}, or none")
    elif role not in ("user", "model"):
        words.append(role)
    found: list[Part] = []
    if is_array(parts):
        found = [parse_part(entry, f"{where}.parts[{i}]", model=role == "model") for i, entry in enumerate(parts)]
    else:
        words.append("absent")
        if "parts" in raw:
            rest["parts"] = parts
    layout, extra = " ".join(words) or None, leftover(rest, where)
    if role == "model":
        return [Message(role="assistant", parts=tuple(found), wire=WIRE, layout=layout, extra=extra)]
    return _divided(found, layout, extra)


def _divided(parts: list[Part], layout: str | None, extra: str | None) -> list[Message]:
    """A content of the user: its results are one message, and what stands beside them is one that joins it."""
    results = [part for part in parts if type(part) is ToolResult]
    if not results:
        return [Message(role="user", parts=tuple(parts), wire=WIRE, layout=layout, extra=extra)]
    first = Message(role="tool", parts=tuple(results), wire=WIRE, layout=layout, extra=extra)
    if len(results) == len(parts):
        return [first]
    places = [index for index, part in enumerate(parts) if type(part) is not ToolResult]
    at = None if places[0] == len(results) else "at " + " ".join(map(str, places))
    others = tuple(parts[index] for index in places)
    return [first, Message(role="user", parts=others, wire=WIRE, layout=at, joins=True)]


def _system(raw: Any) -> Message:
    """The system instruction: text, a content, a part, or a list of parts, of which the SDK makes a content."""
    if isinstance(raw, str):
        return Message(role="system", parts=(TextPart(text=raw),), wire=WIRE, layout="apart string")
    if is_array(raw):
        return Message(role="system", parts=_system_parts(raw, "system"), wire=WIRE, layout="apart list")
    if not is_object(raw):
        raise InvalidMessage(f"system is a {type(raw).__name__}; give text, or an object with parts")
    if is_array(raw.get("parts")):
        rest = {key: value for key, value in raw.items() if key != "parts"}
        parts = _system_parts(raw["parts"], "system.parts")
        return Message(role="system", parts=parts, wire=WIRE, layout="apart", extra=leftover(rest, "system"))
    if "parts" not in raw and "text" in raw:
        return Message(role="system", parts=_system_parts([raw], "system"), wire=WIRE, layout="apart part")
    return Message(role="system", wire=WIRE, layout="apart absent", extra=leftover(raw, "system"))


def _system_parts(raw: list[Any], where: str) -> tuple[Part, ...]:
    out: list[Part] = []
    for index, entry in enumerate(raw):
        part = parse_part(entry, f"{where}[{index}]", model=False)
        if isinstance(part, ToolResult):  # no role but `tool` holds results
            part = Opaque(wire=WIRE, data=json_text(entry, where))
        out.append(part)
    return tuple(out)
