"""Messages as an Anthropic payload: its own exactly as they came, those of other wires as well as it can say them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.formats.anthropic.carrying import carry, carry_call, carry_result
from palaver.formats.anthropic.parts import WIRE, spell_block, spell_result
from palaver.formats.anthropic.rules import MAX_CACHE_MARKS, find, nested
from palaver.formats.blocks import breadcrumb, json_value, kind_of_opaque, tool_input
from palaver.formats.call_ids import CallIds, shortened
from palaver.formats.mending import Finding, mend
from palaver.formats.wire import Notes, Rendered, is_array, is_object, merged
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, Part, TextPart, ToolCall, ToolResult

__all__ = ["fit_call_id", "render"]

MAX_CALL_ID = 128
"""Ids of calls have an alphabet but no length that Anthropic tells; longer ones are cut to be on the safe side."""
MAX_NAME = 128
"""Longest name of a tool (`tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`)."""

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_fits_id = re.compile(r"[a-zA-Z0-9_-]+").fullmatch
_fits_name = re.compile(r"[a-zA-Z0-9_-]{1,128}").fullmatch


def fit_call_id(call_id: str) -> str:
    """The id itself, or one that Anthropic takes: letters, digits, `_` and `-`."""
    return shortened(call_id, MAX_CALL_ID, _UNFIT)


def render(messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered:
    """The payload of a request, with the system prompt apart. Consecutive messages of one role stay apart."""
    spelling = _Spelling(messages, notes, repair=repair)
    spelling.all()
    out, sources = spelling.out, spelling.sources
    system = spelling.system
    if repair:

        def note(finding: Finding) -> None:
            index = sources[finding.place[0]] if finding.place else 0
            notes.at(index, messages[index].seq if index < len(messages) else 0)
            notes.add(finding.kind, f"{finding.rule}: {finding.remedy}")

        system = _mended_system(system, notes)
        mend(out, lambda payload: find(payload, system), note, nested, sources)
    return Rendered(system, out, notes.repairs(), spelling.ids.changed if spelling.ids is not None else {})


class _Spelling:
    """One walk over the messages; `sources` says which message each one of the payload began with."""

    def __init__(self, messages: Sequence[Message], notes: Notes, *, repair: bool) -> None:
        self.messages = messages
        self.notes = notes
        self.repair = repair
        self.out: list[dict[str, Any]] = []
        self.sources: list[int] = []
        self.system: Any = None
        self.ids = CallIds(fit_call_id) if repair and not _ids_fit(messages) else None

    def all(self) -> None:
        """Spell every message."""
        messages, notes = self.messages, self.notes
        begin = self._instructions()
        before: Message | None = None
        for index in range(begin, len(messages)):
            message = messages[index]
            notes.at(index, message.seq)
            content = _ordinary(message) if self.ids is None else None
            if content is None:
                content = self._content(message, index)
            if content is not None:
                self._add(message, before, content, index)
                before = message
            elif not message.joins:
                before = None

    def _instructions(self) -> int:
        """The system prompt: everything of role system and developer before the first other message."""
        messages = self.messages
        count = 0
        while count < len(messages) and self._leads(messages[count]):
            count += 1
        leading = messages[:count]
        if count == 1 and (prompt := _prompt(leading[0])) is not None:
            self.system = prompt
            return count
        blocks: list[Any] = []
        for index, message in enumerate(leading):
            self.notes.at(index, message.seq)
            for part in message.parts:
                native = message.wire == WIRE
                block = spell_block(part) if native else next(iter(carry(part, message, self.notes)), None)
                if is_object(block) and block.get("type") == "text":
                    blocks.append(block)
                elif native:
                    self.notes.add("part_left_out", "the system prompt is made of text")
            if message.wire == WIRE and not _has(message, "apart"):
                self.notes.add("moved", "instructions cannot come first; they became part of the system prompt")
        if blocks:
            self.system = blocks[0]["text"] if _is_text_alone(blocks) else blocks
        return count

    def _leads(self, message: Message) -> bool:
        if message.role not in ("system", "developer"):
            return False
        return self.repair or message.wire != WIRE or _has(message, "apart")

    def _add(self, message: Message, before: Message | None, content: Any, index: int) -> None:
        role = _role(message)
        out = self.out
        if before is not None and out[-1]["role"] == role and _continues(message, before):
            _extend(out[-1], content)
            return
        said: dict[str, Any] = {"role": role, "content": content}
        if message.wire == WIRE and message.extra is not None and not _has(message, "response"):
            if _has(message, "absent") and not content:
                del said["content"]
            merged(said, message.extra)
        out.append(said)
        self.sources.append(index)

    def _content(self, message: Message, index: int) -> Any:
        """The blocks, or the text, of a message; None, noted, where nothing of it can be said."""
        native = message.wire == WIRE
        names = self._call_ids(message, index)
        blocks: list[Any] = []
        results: list[Any] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                blocks.append(self._call(part, names.pop(0), native=native))
            elif isinstance(part, ToolResult):
                block = self._result(part, message, native=native)
                if block is not None:
                    results.append(block)
                    if not self.repair:
                        blocks.append(results.pop())
            elif native:
                blocks.append(self._native(part))
            else:
                blocks.extend(carry(part, message, self.notes))
        blocks = results + [block for block in blocks if block is not None]
        if message.name is not None:
            self.notes.add("name_left_out", f"the participant name {message.name!r} has no place on anthropic")
        if message.role in ("system", "developer") and _role(message) == "user" and blocks:
            self.notes.add("role_changed", f"a {message.role} message in the middle became one of the user")
        if native:
            return _as_it_was(message, blocks)
        if not blocks:
            if message.parts or not self.repair:
                self.notes.add("message_left_out", "nothing of it can be said on anthropic")
            return None
        return blocks[0]["text"] if _is_text_alone(blocks) else blocks

    def _call_ids(self, message: Message, index: int) -> list[str]:
        calls = message.tool_calls
        if self.ids is None or not calls:
            return [call.call_id for call in calls]
        label = str(message.seq) if message.seq else f"m{index}"
        return self.ids.calls(calls, label=label, notes=self.notes, native=False)

    def _call(self, call: ToolCall, call_id: str, *, native: bool) -> dict[str, Any]:
        if not native:
            return carry_call(call, call_id, self._name(call.name), self.notes)
        block: dict[str, Any] = spell_block(call)
        block["id"] = call_id
        if self.repair:
            given, same = tool_input(call.arguments)
            if not same:
                self.notes.add("arguments_changed", f"the arguments of {call.name!r} are no JSON object")
                block["input"] = given
            if not call.name:
                block["name"] = self._name(call.name)
        return block

    def _name(self, name: str) -> str:
        if not self.repair or _fits_name(name):
            return name
        if not name:
            self.notes.add("name_missing", "a call has no function name; it got 'unknown'")
            return "unknown"
        found = _UNFIT.sub("_", shortened(name, MAX_NAME))
        self.notes.add("name_changed", f"the function name {name!r} is refused by Anthropic; it became {found!r}")
        return found

    def _result(self, result: ToolResult, message: Message, *, native: bool) -> dict[str, Any] | None:
        call_id = result.call_id
        if self.ids is not None:
            call = self.ids.answer(result, self.notes)
            if call is None:
                self.notes.add("result_left_out", f"the result {call_id!r} answers no call")
                return None
            call_id = call.wire_id
        if not native:
            return carry_result(result, call_id, message, self.notes)
        parts = tuple(self._here(part) for part in result.parts)
        return spell_result(msgspec.structs.replace(result, call_id=call_id, parts=parts))

    def _native(self, part: Part) -> Any:
        if isinstance(part, Opaque) and part.wire != WIRE:
            self.notes.add("opaque_left_out", f"{kind_of_opaque(part)} of {part.wire} means nothing on anthropic")
            return None
        return spell_block(self._here(part))

    def _here(self, part: Any) -> Any:
        """The part, or a breadcrumb where its bytes are not here."""
        if not isinstance(part, (ImagePart, AudioPart, FilePart)) or spell_block(part) is not None:
            return part
        self.notes.add("media_left_out", f"{breadcrumb(part)} cannot be shown")
        return TextPart(text=breadcrumb(part))


def _role(message: Message) -> str:
    role = message.role
    if role == "tool":
        return "user"
    if role in ("system", "developer"):
        return "system" if message.wire == WIRE and role == "system" and not _has(message, "apart") else "user"
    return role


def _has(message: Message, word: str) -> bool:
    return message.wire == WIRE and message.layout is not None and word in message.layout.split()


def _prompt(message: Message) -> Any:
    """The system prompt as it was given apart; None where the message is no such prompt any more."""
    if not _has(message, "apart"):
        return None
    if _has(message, "string") and len(message.parts) == 1 and isinstance(message.parts[0], TextPart):
        return message.parts[0].text
    return [spell_block(part) for part in message.parts]


def _mended_system(system: Any, notes: Notes) -> Any:
    """The system prompt with nothing in it but text, and no more cache marks than Anthropic takes."""
    if not is_array(system) or not find([], system):
        return system
    notes.at(0, 0)
    kept: list[dict[str, Any]] = []
    marks = 0
    for block in reversed(system):
        text = block.get("text") if is_object(block) and block.get("type") == "text" else None
        if not isinstance(text, str) or not text:
            notes.add("part_left_out", "the system prompt is made of text that is not empty")
            continue
        marks += block.get("cache_control") is not None
        if marks > MAX_CACHE_MARKS and block.pop("cache_control", None) is not None:
            notes.add("cache_mark_left_out", "AN15: the system prompt has too many marks; the last ones stay")
        kept.append(block)
    return kept[::-1] or None


def _is_text_alone(blocks: list[Any]) -> bool:
    return len(blocks) == 1 and is_object(blocks[0]) and len(blocks[0]) == 2 and "text" in blocks[0]


def _continues(message: Message, before: Message) -> bool:
    """Whether two messages are one on this wire: they were, or both hold results of one turn."""
    if message.joins:
        return not _has(message, "own")
    return message.role == before.role == "tool" and message.wire != WIRE


def _extend(said: dict[str, Any], content: Any) -> None:
    before = said.get("content")
    if isinstance(before, str):
        before = [{"type": "text", "text": before}] if before else []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    said["content"] = [*(before or ()), *content]


def _as_it_was(message: Message, blocks: list[Any]) -> Any:
    if _has(message, "string") and len(blocks) == 1 and is_object(blocks[0]) and blocks[0].get("type") == "text":
        return blocks[0]["text"]
    return blocks


def _ordinary(message: Message) -> Any:  # noqa: C901 - a fast path is one function
    """The content of a message of this wire whose spelling needs no thought; None for any other."""
    if message.wire != WIRE or message.name is not None:
        return None
    parts = message.parts
    if message.layout is not None:
        if message.layout == "string" and len(parts) == 1 and type(parts[0]) is TextPart:
            return parts[0].text if parts[0].extra is None and parts[0].layout is None else None
        return None
    blocks: list[Any] = []
    for part in parts:
        if part.extra is not None:
            return None
        if type(part) is TextPart:
            if part.layout is not None:
                return None
            blocks.append({"type": "text", "text": part.text})
        elif type(part) is ToolCall:
            try:
                given = json_value(part.arguments)
            except ValueError:
                return None
            if type(given) is not dict or not part.name:
                return None
            blocks.append({"type": "tool_use", "id": part.call_id, "name": part.name, "input": given})
        elif type(part) is ToolResult and part.layout == "string" and len(part.parts) == 1:
            said = part.parts[0]
            if type(said) is not TextPart:
                return None
            block: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.call_id, "content": said.text}
            if part.is_error is not None:
                block["is_error"] = part.is_error
            blocks.append(block)
        else:
            return None
    return blocks


def _ids_fit(messages: Sequence[Message]) -> bool:
    """Whether Anthropic takes every call id as it is; results have theirs from `legal`."""
    for message in messages:
        if message.role == "assistant":
            for part in message.parts:
                if type(part) is ToolCall and not _fits_id(part.call_id):
                    return False
    return True
