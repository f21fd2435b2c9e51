"""The rules of Anthropic's Messages API, found in a payload; docs/wires/anthropic.md tells where each is from.

Consecutive messages of one role are one turn to the service, and to these rules. A rule that only the model, the
request's other parameters, or the uncut history can tell (AN18, AN19, limits of media) is not here.
"""

from __future__ import annotations

import re
from typing import Any

from palaver.formats.anthropic.server_tools import SERVER_CALLS, ServerTools, is_served
from palaver.formats.mending import Finding, Place, violations
from palaver.formats.wire import RepairKind, Violation, is_array, is_object

__all__ = ["MAX_CACHE_MARKS", "check", "find", "nested"]

MAX_CACHE_MARKS = 4

_call_id = re.compile(r"[a-zA-Z0-9_-]+").fullmatch

_THINKING = ("thinking", "redacted_thinking")
_NOT_IN_RESULTS = frozenset({"tool_use", "tool_result", "audio", "video", "file", *_THINKING, *SERVER_CALLS})
_ROLES = ("user", "assistant", "system")
_INSTRUCTIONS = frozenset({"text", "tool_addition", "tool_removal"})
_REMEDY_RESULT = "answer the call with a tool_result in the next user message, or leave the call out"


def check(messages: list[Any], system: Any) -> list[Violation]:
    """What Anthropic would refuse in a payload."""
    if not messages:
        return [Violation("AN1", "messages", "messages: at least one message is required", "send one of the user")]
    return violations(find(messages, system))


def find(messages: list[Any], system: Any) -> list[Finding]:
    """The findings of all rules, in the order of the payload."""
    walk = _Walk(messages)
    walk.instructions(system)
    walk.all()
    return sorted(walk.found, key=lambda each: each.place) if walk.found else walk.found


def nested(block: dict[str, Any]) -> Any:
    """The content list of a tool result."""
    return block.get("content") if block.get("type") == "tool_result" else None


def _unmark(block: dict[str, Any]) -> None:
    del block["cache_control"]


def _strip(said: dict[str, Any]) -> None:
    key = "text" if "text" in said else "content"
    said[key] = said[key].rstrip()


def _say_failed(block: dict[str, Any]) -> None:
    block["content"] = "The tool failed and said nothing."


def _say_nothing(block: dict[str, Any]) -> None:
    del block["content"]


def _make_user(message: dict[str, Any]) -> None:
    message["role"] = "user"
    if is_array(message.get("content")):
        texts = [b for b in message["content"] if is_object(b) and b.get("type") == "text"]
        message["content"] = texts


class _Walk:
    """One look at each message, with what has to be remembered from one turn to the next."""

    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages
        self.found: list[Finding] = []
        self.role: Any = self
        self.calls: dict[str, Place] = {}
        """Calls of the last assistant turn that wait for a result."""
        self.answered: set[str] = set()
        self.server = ServerTools(self.found)
        self.marks: list[Place] = []
        self.begin = 0
        """The message that the current turn begins with."""
        self.results = 0
        """Results at the beginning of its first message."""
        self.spoken = False
        """Whether the current user turn has something else than results already."""
        self.calling = False
        """Whether the current assistant turn asks for a tool of the client."""
        self.last: tuple[Place, Any] | None = None
        """The last block of the current assistant turn."""

    def add(
        self, rule: str, place: Place, says: str, remedy: str, kind: RepairKind, mend: Any = "drop", field: str = ""
    ) -> None:
        """Note a finding."""
        self.found.append(Finding(rule, place, says, remedy, kind, mend, field, (self.begin, self.results)))

    # -- the walk

    def instructions(self, system: Any) -> None:
        """The system prompt, apart."""
        if system is None or isinstance(system, str):
            return
        if not is_array(system):
            self.add("AN1", (), "system: Input should be a valid list", "give text or text blocks", "text_changed")
            return
        for index, block in enumerate(system):
            field = f"[{index}]"
            if not is_object(block) or block.get("type") != "text" or not isinstance(block.get("text"), str):
                says = f"system.{index}.type: Input should be 'text'"
                self.add("AN1", (), says, "give text blocks", "part_left_out", field=field)
            elif not block["text"]:
                says = "system: text content blocks must be non-empty"
                self.add("AN6", (), says, "leave the block out", "part_left_out", field=field)
            elif block.get("cache_control") is not None:
                self.marks.append(())

    def all(self) -> None:
        """Every message."""
        for index, message in enumerate(self.messages):
            if not is_object(message):
                says = f"messages.{index}: Input should be a valid dictionary"
                self.add("AN1", (index,), says, "give an object with role and content", "message_left_out")
                continue
            role = message.get("role")
            if role != self.role:
                self._turn(role, index)
            if role not in _ROLES:
                says = f"messages.{index}.role: Input should be 'user' or 'assistant'"
                self.add("AN2", (index,), says, "use user or assistant", "message_left_out", field=".role")
            content = message.get("content")
            if type(content) is str:
                self._string(index, role, content)
            elif is_array(content):
                self._blocks(index, role, content)
            else:
                says = f"messages.{index}.content: Field required"
                self.add("AN1", (index,), says, "give text or a list of blocks", "message_left_out")
        self._end()

    def _turn(self, role: Any, index: int) -> None:
        """The next message is of another role than the one before it."""
        before = self.role
        if before == "assistant":
            self._close_assistant()
        else:
            self._close_answers()
        if role == "system" and before != "user":
            says = "messages: role 'system' must follow a user message"
            remedy = "put it into the system prompt, or let the user say it"
            self.add("AN2", (index,), says, remedy, "role_changed", _make_user, ".role")
        if role != "user" and self.calls:
            self._unanswered()
        self.role, self.begin, self.results = role, index, 0
        self.spoken = self.calling = False
        self.answered = set()
        self.last = None

    def _end(self) -> None:
        if self.role == "assistant":
            place = (len(self.messages) - 1,)
            if self.last is not None and self.last[0][:1] == place:
                self._ending(*self.last)
            self._close_assistant(final=True)
        self._unanswered()
        if len(self.marks) > MAX_CACHE_MARKS:
            self._too_many_marks()

    def _close_assistant(self, *, final: bool = False) -> None:
        last = self.last
        if last is not None and is_object(last[1]) and last[1].get("type") in _THINKING:
            says = "The final block in an assistant message cannot be `thinking`."
            self.add("AN14", last[0], says, "leave it out", "thinking_left_out")
        if not self.calling and not final:
            self.server.close()

    def _close_answers(self) -> None:
        if self.calls:
            self._unanswered()

    def _unanswered(self) -> None:
        for call_id, place in self.calls.items():
            says = (
                f"messages.{place[0]}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{call_id}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            )
            self.add("AN5", place, says, _REMEDY_RESULT, "part_left_out")
        self.calls = {}

    def _ending(self, place: Place, block: Any) -> None:
        """The last thing that is said, where it is the assistant that says it."""
        text = block if len(place) == 1 else block.get("text") if is_object(block) else None
        if isinstance(text, str) and text and text[-1].isspace():
            says = "messages: final assistant content cannot end with trailing whitespace"
            self.add("AN7", place, says, "cut the whitespace off", "text_changed", _strip)

    def _too_many_marks(self) -> None:
        """The first mark of the system prompt and the newest ones stay: those are where caches are looked for."""
        marks = self.marks
        fixed = sum(1 for place in marks if not place)
        loose = marks[fixed:]
        room = max(MAX_CACHE_MARKS - fixed, 0)
        says = f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}."
        for place in loose[: len(loose) - room]:
            self.add("AN15", place, says, "leave the mark out", "cache_mark_left_out", _unmark, ".cache_control")
        if fixed > MAX_CACHE_MARKS:
            self.add("AN15", (), says, "leave marks out", "cache_mark_left_out", _unmark)

    # -- messages

    def _string(self, index: int, role: Any, text: str) -> None:
        place = (index,)
        if role == "user":
            self.spoken = True
        self.last = (place, text)
        if not text:
            if role != "assistant" or index < len(self.messages) - 1:
                self._empty(index)
        elif text.isspace():
            says = "messages: text content blocks must contain non-whitespace text"
            self.add("AN6", place, says, "leave the message out", "message_left_out")

    def _empty(self, index: int) -> None:
        says = (
            f"messages.{index}: all messages must have non-empty content except for the optional final assistant "
            "message"
        )
        self.add("AN4", (index,), says, "leave the message out", "message_left_out")

    def _blocks(self, index: int, role: Any, content: list[Any]) -> None:
        if not content:
            if role != "assistant" or index < len(self.messages) - 1:
                self._empty(index)
            return
        blank: list[tuple[int, int]] = []
        for number, block in enumerate(content):
            place = (index, number)
            if not is_object(block) or type(kind := block.get("type")) is not str:
                self._malformed(place, "type: Field required")
                continue
            if kind == "text":
                if self._text(place, block):
                    blank.append(place)
            elif kind == "tool_use":
                self._call(place, role, block)
            elif kind == "tool_result":
                self._result(place, role, block)
            else:
                self._other(place, role, kind, block)
            if role == "system" and kind not in _INSTRUCTIONS:
                self.add("AN2", place, "system messages are text", "leave it out", "part_left_out")
        if blank and (role != "assistant" or len(blank) == len(content)):
            says = "messages: text content blocks must contain non-whitespace text"
            for blank_place in blank:
                self.add("AN6", blank_place, says, "leave the block out", "part_left_out")
        self.last = ((index, len(content) - 1), content[-1])

    def _text(self, place: Place, block: dict[str, Any]) -> bool:
        """Whether the text is nothing but whitespace."""
        text = block.get("text")
        self.spoken = True
        if len(block) > 2:
            self._mark(place, block)
        if type(text) is not str:
            self._malformed(place, "text.text: Input should be a valid string")
            return False
        if not text:
            says = "messages: text content blocks must be non-empty"
            self.add("AN6", place, says, "leave the block out", "part_left_out")
            return False
        return text.isspace()

    def _malformed(self, place: Place, says: str) -> None:
        says = f"messages.{place[0]}.content.{place[1]}.{says}"
        self.add("AN1", place, says, "give a block with the fields of its type", "part_left_out")

    # -- blocks

    def _call(self, place: Place, role: Any, block: dict[str, Any]) -> None:
        call_id, name = block.get("id"), block.get("name")
        at = f"messages.{place[0]}.content.{place[1]}.tool_use"
        if role != "assistant":
            says = f"{at}: `tool_use` blocks can only be in `assistant` messages"
            self.add("AN5", place, says, "leave it out", "part_left_out")
        elif type(call_id) is not str or not _call_id(call_id):
            says = f"{at}.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            self.add("AN10", place, says, "give it an id of letters, digits, _ and -", "part_left_out", field=".id")
        elif type(name) is not str or not name:
            self.add("AN11", place, f"{at}.name: Field required", "name the tool", "part_left_out", field=".name")
        elif type(block.get("input")) is not dict:
            says = f"{at}.input: Input should be a valid dictionary"
            self.add("AN11", place, says, "give an object", "part_left_out", field=".input")
        elif call_id in self.calls:
            says = "messages: `tool_use` ids must be unique"
            self.add("AN9", place, says, "give each call its own id", "part_left_out", field=".id")
        else:
            self.calls[call_id] = place
            self.calling = True
        if len(block) > 4:
            self._mark(place, block)

    def _result(self, place: Place, role: Any, block: dict[str, Any]) -> None:
        call_id = block.get("tool_use_id")
        if role == "user" and type(call_id) is str and call_id in self.calls:
            del self.calls[call_id]
            self.answered.add(call_id)
            if self.spoken:
                says = (
                    "Did not find 1 tool_result block(s) at the beginning of this message. Messages following tool_use "
                    "blocks must begin with a matching number of tool_result blocks."
                )
                self.add("AN8", place, says, "put results before everything else", "moved", "first")
            elif place[0] == self.begin:
                self.results += 1
        elif role == "user" and type(call_id) is str and call_id in self.answered:
            says = f"each tool_use must have a single result. Found multiple `tool_result` blocks with id: {call_id}"
            self.add("AN9", place, says, "leave the second one out", "result_left_out")
        else:
            says = (
                f"messages.{place[0]}.content.{place[1]}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{call_id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
            self.add("AN5b", place, says, "leave it out", "result_left_out")
        if len(block) > 3:
            self._mark(place, block)
        content = block.get("content")
        if is_array(content):
            for number, child in enumerate(content):
                self._inside(place, number, child)
        elif type(content) is not str and content is not None:
            says = f"messages.{place[0]}.content.{place[1]}.tool_result.content: Input should be a valid list"
            self.add("AN12", place, says, "give text or blocks", "part_left_out", _say_nothing, ".content")
            return
        if not content and block.get("is_error") is True:
            says = "tool_result: content cannot be empty if `is_error` is true"
            self.add("AN12", place, says, "say what failed", "text_changed", _say_failed, ".content")

    def _inside(self, outer: Place, number: int, block: Any) -> None:
        place = (*outer, number)
        at = f"messages.{outer[0]}.content.{outer[1]}.tool_result.content.{number}"
        kind = block.get("type") if is_object(block) else None
        if not is_object(block) or type(kind) is not str or kind in _NOT_IN_RESULTS or is_served(kind):
            says = f"{at}.type: Input should be 'text', 'image', 'document', 'search_result' or 'tool_reference'"
            self.add("AN12", place, says, "leave it out", "part_left_out")
        elif kind == "text" and not block.get("text"):
            self.add("AN6", place, f"{at}: text content blocks must be non-empty", "leave it out", "part_left_out")
        elif kind == "text" and type(block["text"]) is not str:
            self.add("AN1", place, f"{at}.text: Input should be a valid string", "leave it out", "part_left_out")
        elif len(block) > 2:
            self._mark(place, block)

    def _other(self, place: Place, role: Any, kind: str, block: dict[str, Any]) -> None:
        self.spoken = True
        if kind in _THINKING:
            self._thinking(place, role, kind, block)
            return
        if kind in SERVER_CALLS:
            self.server.call(place, role, kind, block)
        elif is_served(kind):
            self.server.result(place, role, kind, block)
        self._mark(place, block)

    def _thinking(self, place: Place, role: Any, kind: str, block: dict[str, Any]) -> None:
        key = "signature" if kind == "thinking" else "data"
        proof = block.get(key)
        text = block.get("thinking") if kind == "thinking" else ""
        if role != "assistant" or type(proof) is not str or not proof or type(text) is not str:
            says = f"messages.{place[0]}.content.{place[1]}.{kind}.{key}: Field required"
            self.add("AN13", place, says, "leave it out", "thinking_left_out", field=f".{key}")
        elif block.get("cache_control") is not None:
            says = f"messages.{place[0]}.content.{place[1]}.{kind}.cache_control: Extra inputs are not permitted"
            remedy = "leave the mark out"
            self.add("AN15", place, says, remedy, "cache_mark_left_out", _unmark, ".cache_control")

    def _mark(self, place: Place, block: dict[str, Any]) -> None:
        if block.get("cache_control") is not None:
            self.marks.append(place)
