"""Messages as an Anthropic payload: its own exactly as they came, those of other wires as well as it can say them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from palaver.formats.anthropic.carrying import carry, carry_result
from palaver.formats.anthropic.parts import WIRE, spell_block
from palaver.formats.anthropic.rules import MAX_CACHE_MARKS, find, nested
from palaver.formats.block_spelling import BlockSpelling
from palaver.formats.blocks import json_value
from palaver.formats.call_ids import shortened
from palaver.formats.mending import Finding
from palaver.formats.wire import Notes, Rendered, is_array, is_object
from palaver.model import Message, Part, TextPart, ToolCall, ToolResult

__all__ = ["render"]

MAX_CALL_ID = 128
"""Ids of calls have an alphabet but no length that Anthropic tells; longer ones are cut to be on the safe side."""
MAX_NAME = 128
"""Longest name of a tool (`tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`)."""

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")


def render(messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered:
    """The payload of a request, with the system prompt apart. Consecutive messages of one role stay apart."""
    return _Spelling(messages, notes, repair=repair).rendered()


class _Spelling(BlockSpelling):
    wire = WIRE
    provider = "Anthropic"
    call_id = re.compile(r"[a-zA-Z0-9_-]+")
    call_name = re.compile(r".+", re.DOTALL)

    def fit_id(self, call_id: str) -> str:
        return shortened(call_id, MAX_CALL_ID, _UNFIT)

    def fit_name(self, name: str) -> str:
        return _UNFIT.sub("_", shortened(name, MAX_NAME))

    def role(self, message: Message) -> str:
        role = message.role
        if role == "assistant":
            return role
        return "system" if role == "system" and message.wire == WIRE and not self.has(message, "apart") else "user"

    def ordinary(self, message: Message) -> Any:
        if message.wire != WIRE or message.name is not None:
            return None
        parts = message.parts
        if message.layout is not None:
            if message.layout == "string" and len(parts) == 1 and type(parts[0]) is TextPart:
                return parts[0].text if parts[0].extra is None and parts[0].layout is None else None
            return None
        blocks: list[Any] = []
        for part in parts:
            block = _ordinary(part)
            if block is None:
                return None
            blocks.append(block)
        return blocks

    def spell(self, part: Part) -> Any:
        return spell_block(part)

    def call(self, call: ToolCall, call_id: str, name: str, given: dict[str, Any] | None, *, native: bool) -> Any:
        if not native:
            return {"type": "tool_use", "id": call_id, "name": name, "input": given}
        block = spell_block(call)
        block.update(id=call_id, name=name)
        if given is not None:
            block["input"] = given
        return block

    def text(self, text: str) -> Any:
        return {"type": "text", "text": text}

    def carry(self, part: Part, message: Message) -> list[Any]:
        return carry(part, message, self.notes)

    def carry_result(self, result: ToolResult, call_id: str, message: Message) -> Any:
        return carry_result(result, call_id, message, self.notes)

    def content(self, blocks: list[Any], message: Message, *, native: bool) -> Any:
        if (self.has(message, "string") or not native) and _is_text_alone(blocks):
            return blocks[0]["text"]
        return blocks

    def instructions(self, leading: Sequence[Message]) -> Any:
        prompt = self._prompt(leading[0]) if len(leading) == 1 and self.has(leading[0], "apart") else None
        if prompt is None:
            prompt = [block for index, message in enumerate(leading) for block in self._instructing(index, message)]
            if _is_text_alone(prompt):
                prompt = prompt[0]["text"]
            prompt = prompt or None
        return self._mended(prompt) if self.repair else prompt

    def find(self, messages: list[Any]) -> Sequence[Finding]:
        return find(messages, self.system)

    def nested(self, block: dict[str, Any]) -> Any:
        return nested(block)

    def extend(self, said: dict[str, Any], content: Any) -> None:
        blocks = _as_blocks(said.get("content"))
        blocks.extend(_as_blocks(content))
        said["content"] = blocks

    def _prompt(self, message: Message) -> Any:
        """The system prompt as it was given apart."""
        self.notes.at(0, message.seq)
        blocks = [self._native(part) for part in message.parts]
        return blocks[0]["text"] if self.has(message, "string") and _is_text_alone(blocks) else blocks

    def _instructing(self, index: int, message: Message) -> list[Any]:
        self.notes.at(index, message.seq)
        native = message.wire == WIRE
        if native and not self.has(message, "apart"):
            self.notes.add("moved", "instructions cannot come first; they became part of the system prompt")
        out: list[Any] = []
        for part in message.parts:
            blocks = [self._native(part)] if native else carry(part, message, self.notes)
            for block in blocks:
                if is_object(block) and block.get("type") == "text":
                    out.append(block)
                elif native:
                    self.notes.add("part_left_out", "the system prompt is made of text")
        return out

    def _mended(self, system: Any) -> Any:
        """The system prompt with nothing in it but text, and no more cache marks than Anthropic takes."""
        if not is_array(system) or not find([], system):
            return system
        self.notes.at(0, self.messages[0].seq)
        kept: list[dict[str, Any]] = []
        marks = 0
        for block in reversed(system):
            text = block.get("text") if is_object(block) and block.get("type") == "text" else None
            if not is_object(block) or not isinstance(text, str) or not text:
                self.notes.add("part_left_out", "the system prompt is made of text that is not empty")
                continue
            marks += block.get("cache_control") is not None
            if marks > MAX_CACHE_MARKS and block.pop("cache_control", None) is not None:
                self.notes.add("cache_mark_left_out", "AN15: the system prompt has too many marks; the last ones stay")
            kept.append(block)
        return kept[::-1] or None


def _is_text_alone(blocks: list[Any]) -> bool:
    return len(blocks) == 1 and is_object(blocks[0]) and len(blocks[0]) == 2 and blocks[0].get("type") == "text"


def _as_blocks(content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content if is_array(content) else []


def _ordinary(part: Part) -> dict[str, Any] | None:
    """The block of an ordinary part of this wire; None for any other."""
    if part.extra is not None:
        return None
    if type(part) is TextPart:
        return None if part.layout is not None else {"type": "text", "text": part.text}
    if type(part) is ToolCall:
        try:
            given = json_value(part.arguments)
        except ValueError:
            return None
        if not is_object(given) or not part.name:
            return None
        return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": given}
    if type(part) is ToolResult and part.layout == "string" and len(part.parts) == 1:
        said = part.parts[0]
        if type(said) is not TextPart:
            return None
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.call_id, "content": said.text}
        if part.is_error is not None:
            block["is_error"] = part.is_error
        return block
    return None
