"""Records that hold one message in OpenAI's spelling, with keys of their own beside it.

Values of a wrong type are mended where it is plain what they mean; what no provider has a key for is not left in the
message, where it would be sent to one, but given back for its metadata.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

from palaver.errors import InvalidMessage
from palaver.formats import parse
from palaver.formats.wire import is_array, is_object
from palaver.model import Message

__all__ = ["ROLES", "Identities", "Unusable", "read_message"]

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_USUAL = frozenset({"content", "name", "role", "tool_call_id", "tool_calls", "function_call", "refusal", "audio"})
_WIRE_KEYS = _USUAL | {
    "annotations",
    "cache_control",
    "parsed",
    "prefix",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
}
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_TEXTS = ("name", "tool_call_id", "reasoning_content", "reasoning")


class Unusable(Exception):
    """The record is no message, and why."""


def read_message(value: dict[str, Any]) -> tuple[Message, dict[str, Any], list[str]]:
    """The message, the keys that are no provider's, and what was mended. Raises Unusable."""
    repairs: list[str] = []
    wire = {key: each for key, each in value.items() if key in _WIRE_KEYS}
    rest = {key: each for key, each in value.items() if key not in _WIRE_KEYS}
    wire["role"] = _role(value.get("role"), repairs)
    if "content" in wire:
        wire["content"] = _content(wire["content"], repairs)
    for key in _TEXTS:
        given = wire.get(key)
        if given is None or isinstance(given, str):
            continue
        if isinstance(given, (int, float)):
            wire[key] = str(given)
            repairs.append(f"{key} was a number, and became text")
        else:
            rest[key] = wire.pop(key)
            repairs.append(f"{key} is no text; it is in the metadata")
    _calls(wire, rest, repairs)
    try:
        [message] = parse("openai_chat", [wire])
    except InvalidMessage as exc:
        raise Unusable(str(exc)) from exc
    return message, rest, repairs


def _role(given: Any, repairs: list[str]) -> str:
    if not isinstance(given, str):
        raise Unusable("it has no role" if given is None else f"its role is no text: {given!r:.40}")
    if given in ROLES:
        return given
    role = given.strip().lower()
    if role not in ROLES:
        raise Unusable(f"the role {given!r:.40} is not known")
    repairs.append(f"the role {given!r} became {role!r}")
    return role


def _content(given: Any, repairs: list[str]) -> Any:
    if given is None or isinstance(given, str):
        return given
    if is_array(given):
        if all(is_object(entry) for entry in given):
            return given
        repairs.append("entries of the content that are no blocks became text")
        return [entry if is_object(entry) else {"type": "text", "text": _as_text(entry)} for entry in given]
    if is_object(given) and isinstance(given.get("type"), str):
        repairs.append("the content was one block, and became a list of it")
        return [given]
    repairs.append(f"the content was {type(given).__name__}, and became text")
    return _as_text(given)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _calls(wire: dict[str, Any], rest: dict[str, Any], repairs: list[str]) -> None:
    """Leave in `tool_calls` what is a call of the model's; the rest goes into the metadata."""
    calls = wire.get("tool_calls")
    if calls is None:
        return
    if not is_array(calls) or wire["role"] != "assistant":
        rest["tool_calls"] = wire.pop("tool_calls")
        if calls:
            repairs.append("tool_calls that are none are in the metadata")
        return
    good: list[Any] = [call for call in calls if is_object(call)]
    if len(good) < len(calls):
        rest["tool_calls"] = [call for call in calls if not is_object(call)]
        repairs.append("entries of tool_calls that are no calls are in the metadata")
        wire["tool_calls"] = good
    for call in good:
        if "id" in call and not isinstance(call["id"], str):
            call["id"] = _as_text(call["id"])
            repairs.append("the id of a call was no text, and became it")


class Identities:
    """Message ids for records that have none, the same whenever and from wherever they are read.

    Made of what a record is known by (role, time, text, ids of calls), and of how many of them came before. What its
    agent changes in old records later, such as the name of a tool, makes no new message.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen: dict[str, int] = {}

    def of(self, value: dict[str, Any], *known_by: str) -> str:
        """The id of a record; without a value under `known_by[0]`, all of it counts."""
        what: Any = value
        if value.get(known_by[0]) is not None:
            calls: Any = value.get("tool_calls")
            ids = [cast("Any", call).get("id") for call in calls if is_object(call)] if is_array(calls) else []
            what = [*(value.get(key) for key in known_by), ids]
        digest = hashlib.sha256(_canonical(what).encode()).hexdigest()[:24]
        count = self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"{self._prefix}{digest}" + (f"-{count}" if count > 1 else "")
