"""One record of Claude Code's, as the messages that it is: what was sent to Anthropic's API, or came from there."""

from __future__ import annotations

import json
from typing import Any

from palaver.errors import InvalidMessage
from palaver.formats import parse
from palaver.formats.anthropic.usage import usage_of
from palaver.formats.wire import is_array, is_object
from palaver.importers.chat_records import Unusable
from palaver.model import Flag, Message, Usage

__all__ = ["DISPLAY", "called", "is_message", "read_message", "response_id", "results", "text_of", "usage"]

DISPLAY = "toolUseResult"
"""What Claude Code shows of a result. The model never saw it, and it says again, larger, what the result says."""
_LINKS = frozenset(
    {"isSidechain", "logicalParentUuid", "message", "parentUuid", "sessionId", "timestamp", "type", "userType", "uuid"}
)
_SYNTHETIC = "<synthetic>"


def is_message(value: dict[str, Any]) -> bool:
    """Whether a record is a message, and not one of the program's own notes."""
    if value.get("type") in ("user", "assistant"):
        return True
    return value.get("type") == "attachment" and _queued(value) is not None


def _queued(value: dict[str, Any]) -> Any:
    """What a person wrote while the agent was at work."""
    attachment = value.get("attachment")
    if is_object(attachment) and attachment.get("type") == "queued_command":
        return attachment.get("prompt")
    return None


def _body(value: dict[str, Any]) -> dict[str, Any]:
    body = value.get("message")
    return body if is_object(body) else {}


def _blocks(value: dict[str, Any], kind: str, key: str) -> list[str]:
    content = _body(value).get("content")
    blocks: list[Any] = content if is_array(content) else []
    found = [block.get(key) for block in blocks if is_object(block) and block.get("type") == kind]
    return [each for each in found if isinstance(each, str)]


def called(value: dict[str, Any]) -> list[str]:
    """The ids of the calls in a record."""
    return _blocks(value, "tool_use", "id")


def results(value: dict[str, Any]) -> list[str]:
    """The ids of the calls that a record answers."""
    return _blocks(value, "tool_result", "tool_use_id")


def response_id(value: dict[str, Any]) -> str | None:
    """The answer of the model that a record is a part of: it is written as one record for each of its blocks."""
    found = _body(value).get("id") if value.get("type") == "assistant" else None
    return found if isinstance(found, str) and found else None


def text_of(value: dict[str, Any]) -> str:
    """The text of a record."""
    content = _body(value).get("content")
    return content if isinstance(content, str) else "\n".join(_blocks(value, "text", "text"))


def usage(value: dict[str, Any]) -> Usage | None:
    """What the model's answer used; None where no model was asked."""
    body = _body(value)
    return None if body.get("model") == _SYNTHETIC else usage_of(body.get("usage"), body.get("model"))


def read_message(value: dict[str, Any], usual: dict[str, Any]) -> tuple[list[Message], list[str]]:
    """The messages in a record, and what was mended. `usual` is what the session's metadata says of all records.

    A record of results and text is several messages. Raises Unusable.
    """
    repairs: list[str] = []
    kind = value.get("type")
    queued = _queued(value) if kind == "attachment" else None
    body = {"role": "user", "content": queued} if queued is not None else value.get("message")
    if isinstance(body, str):
        body = {"content": body}
        repairs.append("the message was text alone")
    if not is_object(body):
        raise Unusable("it has no message" if body is None else f"its message is {type(body).__name__}")
    role = body.get("role")
    if role not in ("user", "assistant"):
        if role is not None:
            repairs.append(f"the role {role!r:.40} became {kind!r}")
        role = "assistant" if kind == "assistant" else "user"
    content = _content(body.get("content"), repairs)
    try:
        messages = parse("anthropic", [{"role": role, "content": content}])
    except InvalidMessage as exc:
        raise Unusable(str(exc)) from exc
    flags: tuple[Flag, ...] = ()
    if value.get("isApiErrorMessage"):  # shown to the person and never sent
        flags = ("hidden",)
    elif role == "user" and value.get("isMeta"):
        flags = ("injected",)
    about = _about(value, body, usual)
    if flags or about:
        messages = [message.replace(flags=flags, metadata=about) for message in messages]
    return messages, repairs


def _content(given: Any, repairs: list[str]) -> Any:
    if isinstance(given, str):
        return given
    if is_object(given):
        repairs.append("the content was one block, and became a list of it")
        given = [given]
    if not is_array(given):
        if given is None:
            raise Unusable("it has no content")
        repairs.append(f"the content was {type(given).__name__}, and became text")
        return json.dumps(given)
    out: list[Any] = []
    for block in given:
        if not is_object(block):
            repairs.append("entries of the content that are no blocks became text")
            text = block if isinstance(block, str) else json.dumps(block)
            out.append({"type": "text", "text": text})
        elif "is_error" in block and block["is_error"] is None:  # the same as not there, and refused by the API
            out.append({key: each for key, each in block.items() if key != "is_error"})
        else:
            out.append(block)
    return out


def _about(value: dict[str, Any], body: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """What else a record says, without what the message itself, its place, or the session says already."""
    about = {
        key: each
        for key, each in value.items()
        if key not in _LINKS and each is not None and each is not False and usual.get(key) != each
    }
    shown = about.pop(DISPLAY, None)
    if is_object(shown) and isinstance(shown.get("agentId"), str):
        about["ran_agent"] = shown["agentId"]  # the subagent that the result is from
    for key in ("id", "model", "stop_reason"):
        if isinstance(body.get(key), str):
            about["response_id" if key == "id" else key] = body[key]
    return about
