"""Messages as the input of a request: those of this wire exactly, those of others as well as it can say them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.codec import json_text
from palaver.formats.call_ids import CallIds, shortened
from palaver.formats.media import Media, breadcrumb
from palaver.formats.openai_responses.calls import REFERENCE, function_call, spell_call
from palaver.formats.openai_responses.content import spell_entry, text_entry
from palaver.formats.openai_responses.extras import NOTHING, combined, loaded
from palaver.formats.openai_responses.inputs import spell_input
from palaver.formats.openai_responses.items import add_item
from palaver.formats.openai_responses.kinds import WIRE
from palaver.formats.openai_responses.mending import mended
from palaver.formats.openai_responses.outputs import answer, screenshot, spell_output
from palaver.formats.wire import Notes, Rendered, is_array, is_object
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

__all__ = ["render"]

MAX_CALL_ID = 64
"""OpenAI refuses a longer `call_id`."""


def render(messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered:
    """The `input` of a request as messages, and its `instructions` as system.

    Input that came as text alone is that text again, as long as there is nothing else.
    """
    system = _instructions(messages[0], repair=repair) if messages else NOTHING
    first = 0 if system is NOTHING else 1
    system = None if system is NOTHING else system
    if len(messages) == first + 1 and (bare := _bare(messages[first])) is not None:
        return Rendered(system, bare)
    ids = CallIds(_fit, everywhere=True) if repair and not _ids_fit(messages) else None
    writer = _Writer(notes, ids, repair=repair)
    for index in range(first, len(messages)):
        writer.starts.append(len(writer.items))
        writer.add(messages[index], index)
    items = writer.items
    if repair:
        items = mended(items, writer.starts, messages[first:], first, notes)
    return Rendered(system, items, notes.repairs(), ids.changed if ids is not None else {})


def _fit(call_id: str) -> str:
    return shortened(call_id, MAX_CALL_ID)


def _ids_fit(messages: Sequence[Message]) -> bool:
    """Whether every call id is one that OpenAI takes, and occurs once, and every result has one."""
    seen: set[str] = set()
    for message in messages:
        if message.role == "assistant":
            for part in message.parts:
                if type(part) is ToolCall:
                    call_id = part.call_id
                    if not call_id or len(call_id) > MAX_CALL_ID or call_id in seen:
                        return False
                    seen.add(call_id)
        elif message.role == "tool":
            for part in message.parts:
                if type(part) is ToolResult and part.call_id not in seen:
                    return False
    return True


def _instructions(message: Message, *, repair: bool) -> Any:
    """What stands apart as `instructions`: what came so, or the system prompt of others where it is one text."""
    if message.role != "system" or len(message.parts) != 1:
        return NOTHING
    part = message.parts[0]
    if message.wire == WIRE and message.layout != "instructions":
        return NOTHING
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, Opaque) and part.wire == message.wire == WIRE and not repair:
        return loaded(part.data)  # the items of a prompt template, in a response; a request takes text alone
    return NOTHING


def _bare(message: Message) -> str | None:
    part = message.parts[0] if len(message.parts) == 1 else None
    if message.wire == WIRE and message.layout == "input" and message.role == "user" and isinstance(part, TextPart):
        return part.text
    return None


class _Writer:
    """One walk over the messages of a payload."""

    __slots__ = ("_calls", "_ids", "_notes", "_repair", "items", "starts")

    def __init__(self, notes: Notes, ids: CallIds | None, *, repair: bool) -> None:
        self.items: list[Any] = []
        self.starts: list[int] = []
        """Where the items of each message begin."""
        self._notes = notes
        self._ids = ids
        self._repair = repair
        self._calls: dict[str, dict[str, Any]] = {}
        """Calls that a plain function output does not answer, by their id in the payload."""

    def add(self, message: Message, index: int) -> None:
        """Write the items of a message."""
        role = message.role
        if role == "user" and message.wire == WIRE and message.name is None:
            item = spell_input(message)
            if item is not NOTHING:
                self.items.append(item)
                return
        self._notes.at(index, message.seq)
        if message.name is not None:
            self._notes.add("name_left_out", f"the participant name {message.name!r} has no place here")
        if role == "tool":
            self._tool(message)
        elif role == "assistant":
            self._assistant(message, index)
        elif message.wire != WIRE or (item := spell_input(message)) is NOTHING:
            self._input(message)
        else:
            self.items.append(item)

    def _assistant(self, message: Message, index: int) -> None:
        call_ids: Sequence[str] | None = None
        if self._ids is not None and (calls := message.tool_calls):
            label = str(message.seq) if message.seq else f"m{index}"
            call_ids = self._ids.calls(calls, label=label, notes=self._notes, native=False)
        if message.wire == WIRE:
            self._answered(message, call_ids)
        else:
            self._translated(message, call_ids)

    def _answered(self, message: Message, call_ids: Sequence[str] | None) -> None:
        """The items of a response of this wire, in the order that they came in."""
        items = self.items
        first = len(items)
        place = 0
        for part in message.parts:
            if type(part) is ToolCall:
                call_id = part.call_id if call_ids is None else call_ids[place]
                place += 1
                item = spell_call(part, call_id)
                items.append(item)
                if part.layout is not None and item.get("type") != "function_call" and part.layout != REFERENCE:
                    self._calls[call_id] = item
            elif not add_item(part, items, first):
                self._left_out(part, message)
            elif type(part) is ImagePart and part.layout == "image_generation_call" and part.data is None:
                self._missing(part, message)  # its item stands there without it

    def _translated(self, message: Message, call_ids: Sequence[str] | None) -> None:
        """What another wire's answer says: its texts, then its calls."""
        calls = message.tool_calls
        first = len(self.items)
        texts = [part.text for part in message.parts if isinstance(part, TextPart) and (part.text or not calls)]
        self.items.extend({"role": "assistant", "content": text} for text in texts)
        for part in message.parts:
            if not isinstance(part, (TextPart, ToolCall)):
                self._left_out(part, message)
        ids = [call.call_id for call in calls] if call_ids is None else call_ids
        self.items.extend(function_call(call, call_id) for call, call_id in zip(calls, ids, strict=True))
        if len(self.items) == first:
            self._notes.add("message_left_out", f"nothing of it can be said on {WIRE}")

    def _input(self, message: Message) -> None:
        """A message of a user, or a system prompt among the messages."""
        parts = message.parts
        if len(parts) == 1 and isinstance(parts[0], TextPart):
            self.items.append({"role": message.role, "content": parts[0].text})
            return
        if message.layout == "instructions" and len(parts) == 1 and isinstance(parts[0], Opaque):
            given = loaded(parts[0].data)
            if is_array(given):
                self._notes.add("moved", "instructions that are items stand in front of the input")
                self.items.extend(given)
                return
        entries: list[Any] = []
        for part in parts:
            entry = spell_entry(part, "input_text", message.wire)
            if entry is not NOTHING and (message.role == "user" or isinstance(part, (TextPart, Opaque))):
                entries.append(entry)
            elif isinstance(part, (ImagePart, AudioPart, FilePart)):
                entries.append(text_entry(self._missing(part, message), "input_text"))
            else:
                self._left_out(part, message)
        if entries:
            native = message.wire == WIRE and message.layout == "list"
            item: dict[str, Any] = {"role": message.role, "content": entries}
            self.items.append(combined(item, message.extra if native else None))
        elif parts:
            self._notes.add("message_left_out", f"nothing of it can be said on {WIRE}")
        else:
            self.items.append({"role": message.role, "content": ""})

    def _tool(self, message: Message) -> None:
        for part in message.parts:
            if type(part) is ToolResult:
                self._result(part, message.wire)
            else:
                self._notes.add("part_left_out", "what is no tool result does not belong in a tool message")

    def _result(self, result: ToolResult, wire: str | None) -> None:
        call_id = result.call_id
        if self._ids is not None:
            answered = self._ids.answer(result, self._notes)
            if answered is None:
                self._notes.add("result_left_out", f"no call waits for the result {call_id!r}")
                return
            call_id = answered.wire_id
        call = self._calls.get(call_id)
        kind: str = "function_call" if call is None else call["type"]
        item: Any = NOTHING
        if wire == WIRE:
            item = spell_output(result, call_id)
        if item is NOTHING:
            if call is not None and kind == "computer_call" and self._repair and screenshot(result, wire) is None:
                self._say_in_words(call, call_id)
                kind = "function_call"
            item = answer(result, call_id, kind, wire, self._notes)
        self.items.append(item)

    def _say_in_words(self, call: dict[str, Any], call_id: str) -> None:
        """Make a function call of a computer call, which nothing but a screenshot answers."""
        action = call.get("action", call.get("actions"))
        call.clear()
        plain = ToolCall(name="computer", arguments=json_text(action))
        call.update(function_call(plain, call_id))
        self._notes.add(
            "arguments_changed", f"the computer call {call_id!r} has no screenshot; it became a function call"
        )

    def _missing(self, part: Media, message: Message) -> str:
        crumb = breadcrumb(part)
        self._notes.add("media_left_out", f"{crumb} cannot be shown in a {message.role} message")
        return crumb

    def _left_out(self, part: Part, message: Message) -> None:
        if isinstance(part, ThinkingPart):
            said = f"reasoning of {message.wire or 'no wire'} means nothing on {WIRE}"
            self._notes.add("thinking_left_out", said)
        elif isinstance(part, Opaque):
            self._notes.add("opaque_left_out", f"{_kind(part)} of {part.wire} means nothing on {WIRE}")
        elif isinstance(part, (ImagePart, AudioPart, FilePart)):
            self._missing(part, message)
        else:
            what = "call" if isinstance(part, ToolCall) else "result"
            self._notes.add("part_left_out", f"a tool {what} does not belong in a {message.role} message")


def _kind(part: Opaque) -> str:
    data = loaded(part.data)
    kind = data.get("type") if is_object(data) else None
    return f"a part of type {kind!r}" if isinstance(kind, str) else "a part"
