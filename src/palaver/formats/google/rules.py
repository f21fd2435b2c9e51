"""What Google refuses in the contents of a generateContent request; docs/wires/google.md has the sources."""

from __future__ import annotations

from typing import Any

from palaver.formats.google.keys import signature_of
from palaver.formats.google.parts import DATA, data_keys, is_blank
from palaver.formats.google.turns import Turn, answer_in, call_in, pair, signature_fits, turns
from palaver.formats.wire import Violation, is_array, is_object

__all__ = ["BESIDE", "ROLES", "check"]

ROLES = frozenset({"user", "model", "function", "", None})
"""Roles of a content; none, empty and null are the user's."""

BESIDE = frozenset(
    {
        "thought",
        "thoughtSignature",
        "thought_signature",
        "videoMetadata",
        "video_metadata",
        "mediaResolution",
        "media_resolution",
        "partMetadata",
        "part_metadata",
    }
)
"""Keys of a part that are no data."""

_EMPTY = "GenerateContentRequest.contents: contents is not specified"
_NO_PARTS = "GenerateContentRequest.contents[{}].parts: contents.parts must not be empty."
_ROLE = "Please use a valid role: user, model."
_ONEOF = "required oneof field 'data' must have one initialized field"
_CALL_TURN = (
    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
)
_ANSWER_TURN = "Please ensure that function response turn comes immediately after a function call turn."
_COUNT = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)
_NAME = "{}.name: Name cannot be empty."
_SINGLE = "Please ensure that single turn requests end with a user role or the role field is empty."


def check(messages: list[Any], system: Any) -> list[Violation]:
    """The rules that a payload breaks, in its order. Total: whatever JSON it is given."""
    found: list[Violation] = []
    if system is not None:
        _check_system(system, found)
    if not messages:
        found.append(Violation("GG1", "messages", _EMPTY, "send at least one content of the user"))
        return found
    for index, content in enumerate(messages):
        _check_content(content, f"messages[{index}]", index, found)
    _check_turns(messages, found)
    if len(messages) == 1 and is_object(messages[0]) and messages[0].get("role") == "model":
        found.append(Violation("GG10", "messages[0].role", _SINGLE, "end with a content of the user"))
    return found


def _check_system(system: Any, found: list[Violation]) -> None:
    if isinstance(system, str) or is_array(system):
        return
    if not is_object(system):
        found.append(Violation("GG2", "system", "Invalid value at 'system_instruction'", "give text, or parts"))
    elif system.get("parts") is not None and not is_array(system["parts"]):
        says = "Invalid value at 'system_instruction.parts'"
        found.append(Violation("GG2", "system.parts", says, "give a list of parts"))


def _check_content(content: Any, where: str, index: int, found: list[Violation]) -> None:
    if not is_object(content):
        says = f"Invalid value at 'contents[{index}]'"
        found.append(Violation("GG1", where, says, "a content is an object with role and parts"))
        return
    role, parts = content.get("role"), content.get("parts")
    if not (role is None or isinstance(role, str)) or role not in ROLES:
        found.append(Violation("GG3", f"{where}.role", _ROLE, "use user or model"))
    if not is_array(parts) or not parts:
        found.append(Violation("GG2", f"{where}.parts", _NO_PARTS.format(index), "leave the content out"))
        return
    if is_blank(parts):
        found.append(Violation("GG4", f"{where}.parts[0]", _ONEOF, "leave the content out: it has an empty text alone"))
        return
    for place, part in enumerate(parts):
        if is_object(part) and len(part) == 1 and type(part.get("text")) is str:
            continue
        _check_part(part, f"{where}.parts[{place}]", role == "model", found)


def _check_part(part: Any, where: str, model: bool, found: list[Violation]) -> None:  # noqa: FBT001 - private, hot
    if not is_object(part):
        found.append(Violation("GG4", where, _ONEOF, "a part is an object with one data field"))
        return
    data = data_keys(part)
    if len(data) > 1:
        says = f"oneof field 'data' is already set. Cannot set '{DATA[data[1]]}'"
        found.append(Violation("GG4", where, says, "make a part of each"))
    elif not data:
        if signature_of(part) is None and BESIDE.issuperset(part):
            found.append(Violation("GG4", where, _ONEOF, "leave the part out"))
    elif not isinstance(part[data[0]], str) if data[0] == "text" else not is_object(part[data[0]]):
        says = f"Invalid value at '{data[0]}'"
        found.append(Violation("GG4", f"{where}.{data[0]}", says, "leave the part out"))
    _check_function(part, where, model, found)
    if not signature_fits(part):
        says = "Corrupted thought signature."
        remedy = "send the signature that came with the part, in base64, or none"
        found.append(Violation("GG11", f"{where}.thoughtSignature", says, remedy))


def _check_function(part: dict[str, Any], where: str, model: bool, found: list[Violation]) -> None:  # noqa: FBT001
    call, answer = call_in(part), answer_in(part)
    if call is not None and not model:
        found.append(Violation("GG5", where, _CALL_TURN, "a call stands in a content of the model"))
    if answer is not None and model:
        found.append(Violation("GG6", where, _ANSWER_TURN, "an answer stands in a content of the user"))
    for inner, kind, key in ((call, "function_call", "args"), (answer, "function_response", "response")):
        if not is_object(inner):
            continue
        name = inner.get("name")
        if not isinstance(name, str) or not name:
            found.append(Violation("GG9", f"{where}.{kind}.name", _NAME.format(kind), "give the function's name"))
        if inner.get(key) is not None and not is_object(inner[key]):
            says = f"Invalid value at '{kind}.{key}' (type.googleapis.com/google.protobuf.Struct)"
            found.append(Violation("GG9", f"{where}.{kind}.{key}", says, "give an object"))


def _check_turns(messages: list[Any], found: list[Violation]) -> None:
    waiting: Turn | None = None
    for turn in turns(messages):
        where = f"messages[{turn.contents[0]}]"
        if turn.model:
            if turn.calls and turn.contents[0] == 0:
                found.append(Violation("GG5", where, _CALL_TURN, "begin with a content of the user"))
            waiting = turn if turn.calls else None
            continue
        if turn.answers or waiting is not None:
            _check_answers(waiting, turn, messages, where, found)
        waiting = None
    if waiting is not None:
        where = f"messages[{waiting.contents[-1]}]"
        found.append(Violation("GG7", where, _COUNT, "answer every call"))


def _check_answers(waiting: Turn | None, turn: Turn, messages: list[Any], where: str, found: list[Violation]) -> None:
    if waiting is None:
        found.append(Violation("GG6", where, _ANSWER_TURN, "leave answers out that answer no call"))
        return
    if len(turn.answers) != len(waiting.calls):
        found.append(Violation("GG7", where, _COUNT, "answer every call once"))
        return
    places = sorted({answer.content for answer in turn.answers})
    if places != list(range(turn.contents[0], places[-1] + 1)):
        found.append(Violation("GG6", where, _ANSWER_TURN, "put the answers right after the calls"))
    if len(places) > 1 and any(messages[place].get("role") == "function" for place in places):
        found.append(Violation("GG7", where, _COUNT, "put the answers of a turn into one content"))
    if not answers_match(waiting, turn):
        says = "Please ensure that the function response names and ids match those of the function call turn."
        found.append(Violation("GG8", where, says, "give each answer its call's name and id"))


def answers_match(waiting: Turn, turn: Turn) -> bool:
    """Whether each answer has the name of a call of its own, and its id where both have one."""
    for answer, index in zip(turn.answers, pair(waiting.calls, turn.answers), strict=True):
        if index is None:
            return False
        call = waiting.calls[index]
        if call.name != answer.name or (call.id and answer.id and call.id != answer.id):
            return False
    return True
