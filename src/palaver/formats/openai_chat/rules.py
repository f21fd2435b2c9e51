"""The rules of OpenAI Chat Completions (docs/wires/openai_chat.md), by their ids.

What only one provider refuses is no rule here: an unknown part type is some look-alike's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from palaver.formats.openai_chat.ordinary import FUNCTION_NAME
from palaver.formats.wire import Violation, is_array, is_object

__all__ = ["MAX_CALL_ID", "PARTICIPANT", "ROLES", "Fault", "check", "part_fault", "speaks"]

MAX_CALL_ID = 64
"""Longest `tool_calls[].id`."""
PARTICIPANT = re.compile(r"[^\s<|\\/>]+")
"""What `name` may be."""
ROLES = ("system", "developer", "user", "assistant", "tool", "function")

_TAKES: dict[str, tuple[str, ...]] = {
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "system": ("text",),
    "developer": ("text",),
    "tool": ("text", "image_url"),  # OpenAI wants text; some look-alikes take images as results
    "function": ("text",),
}
_SHAPES: dict[str, tuple[tuple[str, ...], ...]] = {
    "text": (("text",),),
    "refusal": (("refusal",),),
    "image_url": (("image_url", "url"),),
    "input_audio": (("input_audio", "data"), ("input_audio", "format")),
    "file": (),
}
"""Where a part of each type has text."""


class Fault(NamedTuple):
    """What is wrong with a part of a payload: the rule, the place beneath it, and what the provider says."""

    rule: str
    path: str
    says: str
    remedy: str


def part_fault(part: Any, role: str) -> Fault | None:
    """What is wrong with an entry of a content list (OC12); `says` has `{}` for its place."""
    if not is_object(part):
        return Fault("OC12", "", "Invalid type for '{}': expected an object.", "give an object with a type")
    kind = part.get("type")
    if not isinstance(kind, str):
        return Fault("OC12", ".type", "Missing required parameter: '{}.type'.", "give the part its type")
    if kind not in _SHAPES:
        return None
    takes = _TAKES[role]
    if kind not in takes:
        said = f"Invalid value: '{kind}'. Supported values are: {', '.join(map(repr, takes))}."
        if kind == "image_url":
            said = (
                "Image URLs are only allowed for messages with role 'user', but this message with role "
                f"'{role}' contains an image URL."
            )
        return Fault("OC12", ".type", said, f"leave it out of a {role} message")
    for keys in _SHAPES[kind]:
        value: Any = part
        for key in keys:
            value = value.get(key) if is_object(value) else None
        if not isinstance(value, str):
            path = ".".join(("", *keys))
            return Fault("OC12", path, f"Missing required parameter: '{{}}{path}'.", "give it, or leave the part out")
    file = part.get("file")
    if kind == "file" and not (is_object(file) and any(isinstance(file.get(k), str) for k in ("file_data", "file_id"))):
        return Fault("OC12", ".file", "Missing required parameter: '{}.file.file_id'.", "give its data or its id")
    return None


def speaks(message: dict[str, Any]) -> bool:
    """Whether an assistant message may go without content (OC10): it calls, refuses, or spoke."""
    calls, refusal, audio = message.get("tool_calls"), message.get("refusal"), message.get("audio")
    return bool(
        (is_array(calls) and calls)
        or is_object(message.get("function_call"))
        or (isinstance(refusal, str) and refusal)
        or (is_object(audio) and isinstance(audio.get("id"), str))
    )


def check(messages: list[Any], system: Any) -> list[Violation]:
    """What of these rules a payload breaks, in its order."""
    found: list[Violation] = []
    if system is not None:
        found.extend(_message_faults({"role": "system", "content": system}, "system"))
    elif not messages:
        found.append(Violation("OC1", "messages", "[] is too short - 'messages'", "send at least one message"))
    open_calls: dict[str, bool] = {}  # ids of the assistant message whose results stand here, and whether each came
    asked = ""
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message.get("role") if is_object(message) else None
        if not is_object(message) or role not in ROLES:
            found.append(_no_role(message, where))
            role = None
        if role == "tool":
            found.extend(_answer_faults(message, where, open_calls))
        else:
            found.extend(_unanswered(open_calls, asked))
            open_calls, asked = {}, where
        if role is not None and (
            len(message) != 2 or role == "function" or not isinstance(message.get("content"), str)
        ):
            found.extend(_message_faults(message, where))
        if role == "assistant":
            open_calls = dict.fromkeys(_ids(message), False)
    found.extend(_unanswered(open_calls, asked))
    return found


def _no_role(message: Any, where: str) -> Violation:
    if not is_object(message):
        said = f"Invalid type for '{where}': expected an object."
        return Violation("OC2", where, said, "a message is an object with role and content")
    role = message.get("role")
    said = f"Missing required parameter: '{where}.role'."
    if role is not None:
        known = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
        said = f"Invalid value: '{role}'. Supported values are: {known}."
    return Violation("OC2", f"{where}.role", said, "give the message one of these roles")


def _ids(message: dict[str, Any]) -> list[str]:
    calls = message.get("tool_calls")
    ids = [call.get("id") for call in calls if is_object(call)] if is_array(calls) else []
    return [call_id for call_id in ids if isinstance(call_id, str)]


def _unanswered(open_calls: dict[str, bool], asked: str) -> Iterable[Violation]:
    missing = [call_id for call_id, answered in open_calls.items() if not answered]
    if missing:
        said = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
        )
        yield Violation("OC3", asked, said + ", ".join(missing), "send a result for each call, right after it")


def _answer_faults(message: dict[str, Any], where: str, open_calls: dict[str, bool]) -> Iterable[Violation]:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        said = f"Missing required parameter: '{where}.tool_call_id'."
        yield Violation("OC4", f"{where}.tool_call_id", said, "name the call that this answers")
    elif call_id not in open_calls:
        said = (
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
        )
        yield Violation("OC4", where, said, "leave the result out, or put it right after its call")
    elif open_calls[call_id]:
        said = f"Duplicate value for 'tool_call_id' of '{call_id}'."
        yield Violation("OC6", f"{where}.tool_call_id", said, "send one result for each call")
    else:
        open_calls[call_id] = True


def _message_faults(message: dict[str, Any], where: str) -> Iterable[Violation]:
    faults = (*_call_faults(message), *_legacy_faults(message), *_content_faults(message), *_name_faults(message))
    for fault in faults:
        yield Violation(fault.rule, where + fault.path, fault.says.replace("{}", where), fault.remedy)


def _call_faults(message: dict[str, Any]) -> Iterable[Fault]:
    calls = message.get("tool_calls")
    if calls is None:
        return
    if message["role"] != "assistant":
        said = "Additional properties are not allowed ('tool_calls' was unexpected)"
        yield Fault("OC5", ".tool_calls", said, "only an assistant message has tool_calls")
    elif not is_array(calls):
        said = "Invalid type for '{}.tool_calls': expected an array of objects."
        yield Fault("OC5", ".tool_calls", said, "give a list of calls, or leave the key out")
    elif not calls:
        said = (
            "Invalid '{}.tool_calls': empty array. Expected an array with minimum length 1, but got an empty array "
            "instead."
        )
        yield Fault("OC5", ".tool_calls", said, "leave the key out")
    else:
        seen: set[str] = set()
        for index, call in enumerate(calls):
            path = f".tool_calls[{index}]"
            yield from _one_call_faults(call, path, seen)


def _one_call_faults(call: Any, path: str, seen: set[str]) -> Iterable[Fault]:
    if not is_object(call):
        yield Fault("OC5", path, f"Invalid type for '{{}}{path}': expected an object.", "give an object")
        return
    call_id, kind = call.get("id"), call.get("type")
    if not isinstance(call_id, str) or not call_id:
        yield Fault("OC5", f"{path}.id", f"Missing required parameter: '{{}}{path}.id'.", "give the call an id")
    elif call_id in seen:
        said = f"Duplicate value for 'tool_call_id' of '{call_id}'."
        yield Fault("OC6", f"{path}.id", said, "give each call of a message an id of its own")
    elif len(call_id) > MAX_CALL_ID:
        said = (
            f"Invalid '{{}}{path}.id': string too long. Expected a string with maximum length {MAX_CALL_ID}, "
            f"but got a string with length {len(call_id)} instead."
        )
        yield Fault("OC7", f"{path}.id", said, "shorten the id, in the call and in its result")
    if isinstance(call_id, str):
        seen.add(call_id)
    if not isinstance(kind, str):
        yield Fault(
            "OC5", f"{path}.type", f"Missing required parameter: '{{}}{path}.type'.", "give the type, 'function'"
        )
    elif kind in ("function", "custom"):
        text = "arguments" if kind == "function" else "input"
        yield from _function_faults(call.get(kind), f"{path}.{kind}", text)


def _function_faults(function: Any, path: str, text: str) -> Iterable[Fault]:
    if not is_object(function):
        yield Fault("OC5", path, f"Missing required parameter: '{{}}{path}'.", "say what is called")
        return
    name, said = function.get("name"), function.get(text)
    if not isinstance(name, str) or not FUNCTION_NAME.fullmatch(name):
        words = f"Invalid '{{}}{path}.name': string does not match pattern. Expected a string that matches the pattern "
        yield Fault("OC8", f"{path}.name", words + "'^[a-zA-Z0-9_-]+$'.", "use letters, digits, _ and -, at most 64")
    if not isinstance(said, str):
        words = f"Invalid type for '{{}}{path}.{text}': expected a string."
        yield Fault("OC9", f"{path}.{text}", words, "give the arguments as JSON text")


def _legacy_faults(message: dict[str, Any]) -> Iterable[Fault]:
    """`function_call`, and the role of its result, which have no ids."""
    call = message.get("function_call")
    if call is not None:
        if message["role"] != "assistant":
            said = "Additional properties are not allowed ('function_call' was unexpected)"
            yield Fault("OC5", ".function_call", said, "only an assistant message has a function_call")
        else:
            yield from _function_faults(call, ".function_call", "arguments")
    if message["role"] == "function" and not isinstance(message.get("name"), str):
        said = "Missing parameter 'name': messages with role 'function' must have a 'name'."
        yield Fault("OC4", ".name", said, "name the function that answers")


def _content_faults(message: dict[str, Any]) -> Iterable[Fault]:
    content, role = message.get("content"), message["role"]
    if content is None:
        if role != "assistant" or not speaks(message):
            said = "Invalid value for 'content': expected a string, got null."
            yield Fault("OC10", ".content", said, "give an empty text")
    elif is_array(content):
        if not content:
            said = (
                "Invalid '{}.content': empty array. Expected an array with minimum length 1, but got an empty array "
                "instead."
            )
            yield Fault("OC11", ".content", said, "give an empty text")
        for index, part in enumerate(content):
            fault = part_fault(part, role)
            if fault is not None:
                place = f".content[{index}]"
                yield fault._replace(path=place + fault.path, says=fault.says.replace("{}", "{}" + place))
    elif not isinstance(content, str):
        said = "Invalid type for '{}.content': expected one of a string or array of objects."
        yield Fault("OC12", ".content", said, "give text, or a list of parts")


def _name_faults(message: dict[str, Any]) -> Iterable[Fault]:
    name = message.get("name")
    if name is not None and not (isinstance(name, str) and PARTICIPANT.fullmatch(name)):
        said = r"Invalid '{}.name': string does not match pattern. Expected a string that matches the pattern "
        yield Fault("OC14", ".name", said + r"'^[^\s<|\\/>]+$'.", "leave the name out, or use none of these characters")
