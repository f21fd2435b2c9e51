"""The rules of Bedrock's Converse, found in a payload; docs/wires/bedrock.md tells where each is from.

Nothing is merged by the service: all results of a turn are in the one message after the calls. Rules of single models
(a history that starts with the user, results without other blocks beside them) are not here.
"""

from __future__ import annotations

import re
from typing import Any

from palaver.formats.mending import Finding, Place, violations
from palaver.formats.wire import RepairKind, Violation, is_array, is_object

__all__ = ["check", "find", "nested"]

_call_id = re.compile(r"[a-zA-Z0-9_.:-]{1,64}").fullmatch
_name = re.compile(r"[a-zA-Z0-9_-]{1,64}").fullmatch

_NOT_IN_RESULTS = frozenset({"toolUse", "toolResult", "reasoningContent", "cachePoint"})


def check(messages: list[Any], system: Any) -> list[Violation]:
    """What Bedrock would refuse in a payload."""
    if not messages:
        says = "The messages field must hold at least one message."
        return [Violation("BR1", "messages", says, "send one of the user")]
    return violations(find(messages, system))


def find(messages: list[Any], system: Any) -> list[Finding]:
    """The findings of all rules, in the order of the payload."""
    walk = _Walk(messages)
    walk.instructions(system)
    walk.all()
    return sorted(walk.found, key=lambda each: each.place) if walk.found else walk.found


def nested(block: dict[str, Any]) -> Any:
    """The content list of a tool result."""
    result = block.get("toolResult")
    return result.get("content") if is_object(result) else None


def _say_failed(block: dict[str, Any]) -> None:
    block["toolResult"]["content"] = [{"text": "The tool failed and said nothing."}]


def _say_empty(block: dict[str, Any]) -> None:
    block["toolResult"]["content"] = []


def _name_documents(message: dict[str, Any]) -> None:
    names = [b["document"].get("name") for b in message["content"] if is_object(b) and is_object(b.get("document"))]
    said = ", ".join(name for name in names if isinstance(name, str)) or "a document"
    message["content"].append({"text": f"[file: {said}]"})


class _Walk:
    """One look at each message, with what has to be remembered from one to the next."""

    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages
        self.found: list[Finding] = []
        self.calls: dict[str, Place] = {}
        """Calls of the message before, that wait for a result."""
        self.results = 0
        """Results at the beginning of this message."""
        self.spoken = False
        """Whether this message has something else than results already."""

    def add(
        self, rule: str, place: Place, says: str, remedy: str, kind: RepairKind, mend: Any = "drop", field: str = ""
    ) -> None:
        """Note a finding."""
        home = (place[0] if place else 0, self.results)
        self.found.append(Finding(rule, place, says, remedy, kind, mend, field, home))

    def instructions(self, system: Any) -> None:
        """The system prompt, apart."""
        if system is None:
            return
        if not is_array(system):
            self.add("BR1", (), "system is not a list", "give a list of blocks", "text_changed")
            return
        for index, block in enumerate(system):
            if not is_object(block) or len(block) != 1:
                self.add("BR1", (), "a block has one key", "leave it out", "part_left_out", field=f"[{index}]")
            elif "text" in block and (not isinstance(block["text"], str) or not block["text"]):
                says = f"The text field in the SystemContentBlock object at system.{index} is blank."
                self.add("BR4", (), says, "leave it out", "part_left_out", field=f"[{index}]")

    def all(self) -> None:
        """Every message."""
        before: Any = self
        for index, message in enumerate(self.messages):
            self.results, self.spoken = 0, False
            content = message.get("content") if is_object(message) else None
            role = message.get("role") if is_object(message) else None
            if role not in ("user", "assistant") or not is_array(content):
                says = "a message has a role, user or assistant, and a list of blocks as its content"
                self.add("BR1", (index,), says, "give a message like that", "message_left_out")
                continue
            if role == before:
                says = (
                    "A conversation must alternate between user and assistant roles. Make sure the conversation "
                    "alternates between user and assistant roles and try again."
                )
                self.add("BR2", (index,), says, "make one message of the two", "messages_merged", "merge")
            elif role == "assistant":
                self._unanswered(index - 1)
            before = role
            if not content:
                says = f"The content field in the Message object at messages.{index} is empty."
                self.add("BR3", (index,), says, "leave the message out", "message_left_out")
            self._blocks(index, role, content)
            if role == "user":
                self._unanswered(index)
        self._unanswered(len(self.messages))

    def _unanswered(self, index: int) -> None:
        for call_id, place in self.calls.items():
            says = f"Expected toolResult blocks at messages.{index}.content for the following Ids: {call_id}"
            remedy = "answer the call with a toolResult in the next message, or leave the call out"
            self.add("BR7", place, says, remedy, "part_left_out")
        self.calls = {}

    def _blocks(self, index: int, role: str, content: list[Any]) -> None:
        served: set[str] = set()
        answered: set[str] = set()
        document = False
        text = False
        for number, block in enumerate(content):
            place = (index, number)
            if not is_object(block) or not block:
                self.add("BR1", place, "a block is an object with one key", "leave it out", "part_left_out")
                continue
            if "text" in block:
                self.spoken = text = True
                if type(block["text"]) is not str or not block["text"]:
                    says = f"The text field in the ContentBlock object at messages.{index}.content.{number} is blank."
                    self.add("BR4", place, says, "leave the block out", "part_left_out")
            elif "toolUse" in block:
                self._call(place, role, block["toolUse"], served)
            elif "toolResult" in block:
                self._result(place, role, block["toolResult"], served, answered)
            else:
                self.spoken = True
                document = document or "document" in block
                if "reasoningContent" in block and role == "user":
                    says = "reasoningContent blocks can only be in assistant messages"
                    self.add("BR1", place, says, "leave it out", "thinking_left_out")
        last = content[-1] if content else None
        if role == "assistant" and is_object(last) and "reasoningContent" in last:
            says = "The final block in an assistant message cannot be `thinking`."
            self.add("BR11", (index, len(content) - 1), says, "leave it out", "thinking_left_out")
        if document and not text:
            says = "a message with a document needs a text block beside it"
            self.add("BR12", (index,), says, "say what the document is", "text_changed", _name_documents)

    def _call(self, place: Place, role: str, call: Any, served: set[str]) -> None:
        call_id = call.get("toolUseId") if is_object(call) else None
        at = f"messages.{place[0]}.content.{place[1]}.toolUse"
        if not is_object(call) or role != "assistant":
            self.add("BR7", place, f"{at}: only an assistant message calls tools", "leave it out", "part_left_out")
        elif type(call_id) is not str or not _call_id(call_id):
            says = f"{at}.toolUseId failed to satisfy constraint: [a-zA-Z0-9_.:-]+, at most 64 characters"
            self.add("BR10", place, says, "give it such an id", "part_left_out", field=".toolUse.toolUseId")
        elif type(call.get("name")) is not str or not _name(call["name"]):
            says = f"{at}.name failed to satisfy constraint: [a-zA-Z0-9_-]+, at most 64 characters"
            self.add("BR10", place, says, "give it such a name", "part_left_out", field=".toolUse.name")
        elif type(call.get("input")) is not dict:
            says = f"The format of the value at {at}.input is invalid. Provide a json object for the field."
            self.add("BR10", place, says, "give an object", "part_left_out", field=".toolUse.input")
        elif call.get("type") == "server_tool_use":
            served.add(call_id)
        elif call_id in self.calls:
            says = f"The toolUse blocks at messages.{place[0]}.content contain duplicate Ids: {call_id}"
            self.add("BR5", place, says, "give each call its own id", "part_left_out")
        else:
            self.calls[call_id] = place

    def _result(self, place: Place, role: str, result: Any, served: set[str], answered: set[str]) -> None:
        call_id = result.get("toolUseId") if is_object(result) else None
        if role == "assistant" and type(call_id) is str and call_id in served:
            return
        if not is_object(result) or role != "user" or type(call_id) is not str or call_id not in self.calls:
            at = f"messages.{place[0]}.content"
            rule = "BR8"
            says = f"The number of toolResult blocks at {at} exceeds the number of toolUse blocks of previous turn."
            if type(call_id) is str and call_id in answered:
                rule = "BR5"
                says = f"The toolResult blocks at {at} contain duplicate Ids: {call_id}"
            self.add(rule, place, says, "leave it out", "result_left_out")
            return
        del self.calls[call_id]
        answered.add(call_id)
        if self.spoken:
            says = (
                "Did not find 1 tool_result block(s) at the beginning of this message. Messages following tool_use "
                "blocks must begin with a matching number of tool_result blocks."
            )
            self.add("BR9", place, says, "put results before everything else", "moved", "first")
        else:
            self.results += 1
        self._answer(place, result)

    def _answer(self, place: Place, result: dict[str, Any]) -> None:
        content = result.get("content")
        field = f"messages.{place[0]}.content.{place[1]}.toolResult"
        if not is_array(content):
            self.add("BR6", place, f"{field}.content is not a list", "give a list", "part_left_out", _say_empty)
            return
        if not content and result.get("status") == "error":
            says = f"The content field at {field} cannot be empty when status value is error."
            self.add("BR6", place, says, "say what failed", "text_changed", _say_failed)
        for number, block in enumerate(content):
            at = f"{field}.content.{number}"
            if not is_object(block) or len(block) != 1 or not block.keys().isdisjoint(_NOT_IN_RESULTS):
                says = f"{at} is no block of a tool result"
                self.add("BR1", (*place, number), says, "leave it out", "part_left_out")
            elif "text" in block and (type(block["text"]) is not str or not block["text"]):
                says = f"The text field in the ToolResultContentBlock object at {at} is blank."
                self.add("BR4", (*place, number), says, "leave it out", "part_left_out")
