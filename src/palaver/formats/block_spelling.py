"""How wires with messages of content blocks are written: one walk over the messages, and what each wire says itself."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from palaver.formats.blocks import NOTHING, kind_of_opaque, tool_input
from palaver.formats.call_ids import CallIds
from palaver.formats.media import breadcrumb
from palaver.formats.mending import Finding, mend
from palaver.formats.wire import Notes, Rendered, is_array, merged
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, Part, TextPart, ToolCall, ToolResult

__all__ = ["BlockSpelling"]


class BlockSpelling(ABC):
    """The messages of one payload. A subclass says how its wire spells a part, and what it takes."""

    wire: ClassVar[str]
    provider: ClassVar[str]
    call_id: ClassVar[re.Pattern[str]]
    """What call ids have to look like, as a whole, to be taken as they are."""
    call_name: ClassVar[re.Pattern[str]]
    """The same for function names of this wire's own messages."""

    def __init__(self, messages: Sequence[Message], notes: Notes, *, repair: bool) -> None:
        self.messages = messages
        self.notes = notes
        self.repair = repair
        self.system: Any = None
        self.out: list[Any] = []
        self.sources: list[int] = []
        """For each message of the payload, which one of the messages it began with."""
        self.ids = CallIds(self.fit_id) if repair and not self._ids_fit() else None

    # -- what a wire says itself

    @abstractmethod
    def fit_id(self, call_id: str) -> str:
        """The id itself, or one that the wire takes."""

    @abstractmethod
    def fit_name(self, name: str) -> str:
        """The function name itself, or one that the wire takes; it is not empty."""

    @abstractmethod
    def role(self, message: Message) -> str:
        """The role that the message has in the payload."""

    @abstractmethod
    def ordinary(self, message: Message) -> Any:
        """The content of a message of this wire whose spelling needs no thought; None for any other."""

    @abstractmethod
    def spell(self, part: Part) -> Any:
        """The block that a part of this wire came from; NOTHING where there is none."""

    @abstractmethod
    def call(self, call: ToolCall, call_id: str, name: str, given: dict[str, Any] | None, *, native: bool) -> Any:
        """The block of a call. Without a given input, it is what the call's arguments say."""

    @abstractmethod
    def carry(self, part: Part, message: Message) -> list[Any]:
        """The blocks that say a part of another wire which is neither call nor result; what cannot be said is noted."""

    @abstractmethod
    def carry_result(self, result: ToolResult, call_id: str, message: Message) -> Any:
        """The block that says a result of another wire."""

    @abstractmethod
    def text(self, text: str) -> Any:
        """The block that says a text."""

    @abstractmethod
    def instructions(self, leading: Sequence[Message]) -> Any:
        """The system prompt that the first messages make."""

    @abstractmethod
    def find(self, messages: list[Any]) -> Sequence[Finding]:
        """What of a payload breaks a rule."""

    @abstractmethod
    def nested(self, block: dict[str, Any]) -> Any:
        """The content list inside a block."""

    def content(self, blocks: list[Any], message: Message, *, native: bool) -> Any:  # noqa: ARG002 - others need them
        """The content that these blocks make."""
        return blocks

    def continues(self, message: Message, before: Message) -> bool:
        """Whether two messages are one on this wire: they were, or both hold results of one turn."""
        if message.joins:
            return not self.has(message, "own")
        return message.role == before.role == "tool" and message.wire != self.wire

    def extend(self, said: dict[str, Any], content: Any) -> None:
        """Add the content of one message to another one."""
        before = said.get("content")
        if is_array(before):  # made here, in this walk
            before.extend(content)
        else:
            said["content"] = content

    # -- the walk

    def rendered(self) -> Rendered:
        """The payload; with repairs, one that breaks no rule of this wire."""
        self._walk()
        if self.repair:
            mend(self.out, self.find, self._note, self.nested, self.sources)
        return Rendered(self.system, self.out, self.notes.repairs(), self.ids.changed if self.ids is not None else {})

    def has(self, message: Message, word: str) -> bool:
        """Whether the layout of a message of this wire has a word."""
        return message.wire == self.wire and message.layout is not None and word in message.layout.split()

    def _note(self, finding: Finding) -> None:
        index = self.sources[finding.place[0]]
        self.notes.at(index, self.messages[index].seq)
        self.notes.add(finding.kind, f"{finding.rule}: {finding.remedy}")

    def _ids_fit(self) -> bool:
        """Whether the wire takes every call id as it is; results have theirs from `legal`."""
        fits = self.call_id.fullmatch
        for message in self.messages:
            if message.role == "assistant":
                for part in message.parts:
                    if type(part) is ToolCall and not fits(part.call_id):
                        return False
        return True

    def _walk(self) -> None:
        messages, notes, plain_ids = self.messages, self.notes, self.ids is None
        begin = 0
        while begin < len(messages) and self._leads(messages[begin]):
            begin += 1
        if begin:
            self.system = self.instructions(messages[:begin])
        before: Message | None = None
        for index in range(begin, len(messages)):
            message = messages[index]
            notes.at(index, message.seq)
            content = self.ordinary(message) if plain_ids else None
            if content is None:
                content = self._content(message, index)
            if content is not None:
                self._add(message, before, content, index)
                before = message
            elif not message.joins:
                before = None

    def _leads(self, message: Message) -> bool:
        if message.role not in ("system", "developer"):
            return False
        return self.repair or message.wire != self.wire or self.has(message, "apart")

    def _add(self, message: Message, before: Message | None, content: Any, index: int) -> None:
        role = self.role(message)
        out = self.out
        if before is not None and out[-1]["role"] == role and self.continues(message, before):
            self.extend(out[-1], content)
            return
        said: dict[str, Any] = {"role": role, "content": content}
        if not content and self.has(message, "absent"):
            del said["content"]
        if message.extra is not None and message.wire == self.wire and not self.has(message, "response"):
            merged(said, message.extra)
        out.append(said)
        self.sources.append(index)

    def _content(self, message: Message, index: int) -> Any:
        """The content of a message; None, noted, where nothing of it can be said."""
        native = message.wire == self.wire
        ids = self._call_ids(message, index)
        blocks: list[Any] = []
        results: list[Any] = []
        for part in message.parts:
            if type(part) is TextPart and not native and part.text and not part.text.isspace():
                blocks.append(self.text(part.text))
            elif isinstance(part, ToolCall):
                blocks.append(self._call(part, next(ids), native=native))
            elif isinstance(part, ToolResult):
                (results if self.repair else blocks).append(self._result(part, message, native=native))
            elif native:
                blocks.append(self._native(part))
            else:
                blocks.extend(self.carry(part, message))
        blocks = [block for block in results + blocks if block is not NOTHING]
        if message.name is not None:
            self.notes.add("name_left_out", f"the participant name {message.name!r} has no place on {self.wire}")
        if message.role in ("system", "developer") and self.role(message) == "user" and blocks:
            self.notes.add("role_changed", f"a {message.role} message in the middle became one of the user")
        if not blocks and not native:
            self.notes.add("message_left_out", f"nothing of it can be said on {self.wire}")
            return None
        return self.content(blocks, message, native=native)

    def _call_ids(self, message: Message, index: int) -> Any:
        calls = message.tool_calls
        if self.ids is None or not calls:
            return iter([call.call_id for call in calls])
        label = str(message.seq) if message.seq else f"m{index}"
        return iter(self.ids.calls(calls, label=label, notes=self.notes, native=False))

    def _call(self, call: ToolCall, call_id: str, *, native: bool) -> Any:
        given: dict[str, Any] | None = None
        if self.repair or not native:
            given, same = tool_input(call.arguments)
            if not same:
                self.notes.add(
                    "arguments_changed", f"the arguments of {call.name!r} are no JSON object; they became one"
                )
        name = call.name
        if self.repair and not (native and self.call_name.fullmatch(name)):
            name = self._name(name)
        return self.call(call, call_id, name, given, native=native)

    def _name(self, name: str) -> str:
        if not name:
            self.notes.add("name_missing", "a call has no function name; it got 'unknown'")
            return "unknown"
        found = self.fit_name(name)
        if found != name:
            said = f"the function name {name!r} is refused by {self.provider}; it became {found!r}"
            self.notes.add("name_changed", said)
        return found

    def _result(self, result: ToolResult, message: Message, *, native: bool) -> Any:
        call_id = result.call_id
        if self.ids is not None:
            call = self.ids.answer(result, self.notes)
            if call is None:
                self.notes.add("result_left_out", f"the result {call_id!r} answers no call")
                return NOTHING
            call_id = call.wire_id
        if not native:
            return self.carry_result(result, call_id, message)
        parts = [here for part in result.parts if (here := self._here(part)) is not None]
        return self.spell(msgspec.structs.replace(result, call_id=call_id, parts=tuple(parts)))

    def _native(self, part: Part) -> Any:
        here = self._here(part)
        return NOTHING if here is None else self.spell(here)

    def _here(self, part: Any) -> Any:
        """The part itself, a breadcrumb where its bytes are not here, or None, noted, where it means nothing here."""
        if isinstance(part, Opaque):
            if part.wire == self.wire and self.spell(part) is not NOTHING:
                return part
            self.notes.add("opaque_left_out", f"{kind_of_opaque(part)} of {part.wire} means nothing on {self.wire}")
            return None
        if not isinstance(part, (ImagePart, AudioPart, FilePart)) or self.spell(part) is not NOTHING:
            return part
        self.notes.add("media_left_out", f"{breadcrumb(part)} cannot be shown")
        return TextPart(text=breadcrumb(part))
