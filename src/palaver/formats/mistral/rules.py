"""The rules of Mistral's chat completions (docs/wires/mistral.md), by their ids.

Source: `mistral_common` 1.13.1, `protocol/instruct/validator.py` (MI1 to MI10), and what its API answered elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from palaver.formats.openai_chat.ordinary import FUNCTION_NAME
from palaver.formats.wire import Violation, is_array, is_object

__all__ = ["CALL_ID", "REFUSED", "check", "is_chunk", "may_follow", "says_something"]

CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
"""What a call id is."""
_ROLES = ("system", "user", "assistant", "tool")
_AFTER: dict[str, tuple[str, ...]] = {
    "system": ("user", "assistant", "system"),
    "user": ("assistant", "system", "user"),
    "assistant": ("assistant", "user", "tool"),
    "tool": ("assistant", "tool", "user"),
}
REFUSED: dict[str, tuple[str, ...]] = {
    role: tuple(
        key
        for key in (
            "annotations",
            "audio",
            "function_call",
            "name",
            "parsed",
            "reasoning",
            "reasoning_content",
            "reasoning_details",
            "refusal",
            "tool_calls",
            "tool_call_id",
        )
        if key not in takes
    )
    for role, takes in {
        "system": (),
        "user": (),
        "assistant": ("tool_calls",),
        "tool": ("name", "tool_call_id"),
    }.items()
}
"""Keys of OpenAI and of its look-alikes that Mistral refuses, by role; there may be others."""


def may_follow(role: str, before: str | None) -> bool:
    """Whether a message of this role may stand after one of that role, or first (MI3, MI4)."""
    return role in ("system", "user") if before is None else role in _AFTER[before]


def says_something(message: dict[str, Any]) -> bool:
    """Whether an assistant message has content or calls (MI5)."""
    return bool(message.get("content") or message.get("tool_calls"))


def is_chunk(chunk: Any) -> bool:
    """Whether this is an object with a type (MI11)."""
    return is_object(chunk) and isinstance(chunk.get("type"), str)


def check(messages: list[Any], system: Any) -> list[Violation]:
    """What of these rules a payload breaks, in its order."""
    if system is not None:
        messages = [{"role": "system", "content": system}, *messages]
    found: list[Violation] = []
    if not messages:
        said = "Conversation must have at least one message"
        return [Violation("MI1", "messages", said, "send at least one message")]
    before: str | None = None
    calls: dict[str, bool] = {}
    asked = where = ""
    shift = 0 if system is None else 1
    for index, message in enumerate(messages):
        where = f"messages[{index - shift}]" if index >= shift else "system"
        role = message.get("role") if is_object(message) else None
        if not is_object(message) or not isinstance(role, str) or role not in _ROLES:
            said = f"Input tag '{role}' found using 'role' does not match any of the expected tags"
            found.append(Violation("MI2", f"{where}.role", said, f"give it a role: {', '.join(_ROLES)}"))
            continue
        found.extend(_place_faults(role, before, where))
        if role == "tool":
            found.extend(_answer_faults(message, where, calls))
        elif role == "assistant":
            found.extend(_unanswered(calls, asked))
            calls, asked = _asked(message), where
        found.extend(_message_faults(message, role, where, last=index == len(messages) - 1))
        before = role
    found.extend(_unanswered(calls, asked))
    last = messages[-1]
    if is_object(last) and last.get("role") == "assistant" and last.get("prefix") is not True:
        said = "Expected last role User or Tool (or Assistant with prefix) for serving but got assistant"
        found.append(Violation("MI10", where, said, "end with a user message, or mark the answer as a prefix"))
    return found


def _place_faults(role: str, before: str | None, where: str) -> Iterable[Violation]:
    if may_follow(role, before):
        return
    if before is None:
        said = "Conversation must start with a user message or system message"
        yield Violation("MI3", where, said, "begin with a message of the user")
    else:
        said = f"Unexpected role '{role}' after role '{before}'"
        yield Violation("MI4", where, said, "say it as the user, or elsewhere")


def _asked(message: dict[str, Any]) -> dict[str, bool]:
    calls = message.get("tool_calls")
    ids = [call.get("id") for call in calls if is_object(call)] if is_array(calls) else []
    return {call_id: False for call_id in ids if isinstance(call_id, str)}


def _unanswered(calls: dict[str, bool], asked: str) -> Iterable[Violation]:
    if not all(calls.values()):
        said = "Not the same number of function calls and responses"
        yield Violation("MI6", asked, said, "send a result for each call, right after it")


def _answer_faults(message: dict[str, Any], where: str, calls: dict[str, bool]) -> Iterable[Violation]:
    call_id = message.get("tool_call_id")
    place = f"{where}.tool_call_id"
    if not isinstance(call_id, str) or call_id not in calls:
        said = f"Unexpected tool call id {call_id} in tool results"
        yield Violation("MI6", place, said, "leave the result out, or put it right after its call")
    elif calls[call_id]:
        said = f"Duplicate tool call id {call_id} in tool results"
        yield Violation("MI6", place, said, "send one result for each call")
    else:
        calls[call_id] = True


def _message_faults(message: dict[str, Any], role: str, where: str, *, last: bool) -> Iterable[Violation]:
    yield from _content_faults(message, role, where)
    if role == "assistant":
        yield from _call_faults(message.get("tool_calls"), where)
        if message.get("prefix") is True and not last:
            said = "Assistant message with prefix True must be last message"
            yield Violation("MI9", f"{where}.prefix", said, "leave the mark out")
    name = message.get("name")
    if role == "tool" and name is not None and not (isinstance(name, str) and FUNCTION_NAME.fullmatch(name)):
        yield Violation("MI8", f"{where}.name", _bad_name(name), "use letters, digits, _ and -, at most 64")
    for key in REFUSED[role]:
        if key in message:
            place = f"body.{where}.{role}.{key}"
            yield Violation("MI12", f"{where}.{key}", f"{place}: Extra inputs are not permitted", "leave the key out")


def _content_faults(message: dict[str, Any], role: str, where: str) -> Iterable[Violation]:
    content = message.get("content")
    if role == "assistant" and not says_something(message):
        said = "Assistant message must have either content or tool_calls, but not both."
        yield Violation("MI5", where, said, "leave the message out")
    elif is_array(content):
        for index, chunk in enumerate(content):
            if not is_chunk(chunk):
                said = "Content chunk must have a type field."
                yield Violation("MI11", f"{where}.content[{index}]", said, "give the chunk its type")
    elif not isinstance(content, str) and not (content is None and role == "assistant"):
        said = "Input should be a valid string"
        yield Violation("MI11", f"{where}.content", said, "give text, or a list of chunks")


def _call_faults(calls: Any, where: str) -> Iterable[Violation]:
    if calls is None:
        return
    if not is_array(calls):
        said = "Input should be a valid list"
        yield Violation("MI11", f"{where}.tool_calls", said, "give a list of calls, or leave the key out")
        return
    seen: set[str] = set()
    for index, call in enumerate(calls):
        place = f"{where}.tool_calls[{index}]"
        function = call.get("function") if is_object(call) else None
        if not is_object(call) or not is_object(function):
            yield Violation("MI11", f"{place}.function", "Field required", "say what is called")
            continue
        call_id, name = call.get("id"), function.get("name")
        if not isinstance(call_id, str) or not CALL_ID.fullmatch(call_id):
            said = f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9."
            yield Violation("MI7", f"{place}.id", said, "use nine letters and digits, in the call and in its result")
        elif call_id in seen:
            said = f"Duplicate tool call id {call_id} in assistant message"
            yield Violation("MI6", f"{place}.id", said, "give each call of a message an id of its own")
        else:
            seen.add(call_id)
        if not isinstance(name, str) or not FUNCTION_NAME.fullmatch(name):
            yield Violation(
                "MI8", f"{place}.function.name", _bad_name(name), "use letters, digits, _ and -, at most 64"
            )
        if not isinstance(function.get("arguments"), (str, dict)):
            said = "Input should be a valid string"
            yield Violation("MI11", f"{place}.function.arguments", said, "give the arguments as JSON text")


def _bad_name(name: Any) -> str:
    return (
        f"Function name was {name} but must be a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum "
        "length of 64."
    )
