"""Messages as a Converse payload: its own exactly as they came, those of other wires as well as it can say them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from palaver.formats.bedrock.carrying import Carrying
from palaver.formats.bedrock.parts import WIRE, spell_block
from palaver.formats.bedrock.rules import find, nested
from palaver.formats.block_spelling import BlockSpelling
from palaver.formats.blocks import NOTHING, json_value
from palaver.formats.call_ids import shortened
from palaver.formats.mending import Finding
from palaver.formats.wire import Notes, Rendered, is_object
from palaver.model import Message, Part, TextPart, ToolCall, ToolResult

__all__ = ["render"]

MAX_LENGTH = 64
"""Of ids and names (API reference, `ToolUseBlock`). Ids that are made have its older alphabet, without `.` and `:`."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")


def render(messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered:
    """The payload of a request, with the system prompt apart. With repairs, roles alternate."""
    return _Spelling(messages, notes, repair=repair).rendered()


class _Spelling(BlockSpelling):
    wire = WIRE
    provider = "Bedrock"
    call_id = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
    call_name = _NAME

    def __init__(self, messages: Sequence[Message], notes: Notes, *, repair: bool) -> None:
        super().__init__(messages, notes, repair=repair)
        self.carrying = Carrying(notes)

    def fit_id(self, call_id: str) -> str:
        return call_id if self.call_id.fullmatch(call_id) else shortened(call_id, MAX_LENGTH, _UNFIT)

    def fit_name(self, name: str) -> str:
        return _UNFIT.sub("_", shortened(name, MAX_LENGTH))

    def role(self, message: Message) -> str:
        return "assistant" if message.role == "assistant" else "user"

    def ordinary(self, message: Message) -> Any:
        if message.wire != WIRE or message.name is not None or message.layout is not None:
            return None
        if message.role in ("system", "developer"):
            return None
        blocks: list[Any] = []
        for part in message.parts:
            block = _ordinary(part)
            if block is None:
                return None
            blocks.append(block)
        return blocks

    def spell(self, part: Part) -> Any:
        return spell_block(part)

    def call(self, call: ToolCall, call_id: str, name: str, given: dict[str, Any] | None, *, native: bool) -> Any:
        if not native:
            return {"toolUse": {"toolUseId": call_id, "name": name, "input": given}}
        block = spell_block(call)
        block["toolUse"].update(toolUseId=call_id, name=name)
        if given is not None:
            block["toolUse"]["input"] = given
        return block

    def carry(self, part: Part, message: Message) -> list[Any]:
        return self.carrying.blocks(part, message)

    def carry_result(self, result: ToolResult, call_id: str, message: Message) -> Any:
        return self.carrying.result(result, call_id, message)

    def text(self, text: str) -> Any:
        return {"text": text}

    def continues(self, message: Message, before: Message) -> bool:
        """Roles alternate here, so what is not of this wire goes to the message before it."""
        return super().continues(message, before) or (self.repair and WIRE not in (message.wire, before.wire))

    def instructions(self, leading: Sequence[Message]) -> Any:
        blocks: list[Any] = []
        for index, message in enumerate(leading):
            self.notes.at(index, message.seq)
            native = message.wire == WIRE
            for part in message.parts:
                spelled = [self._native(part)] if native else self.carry(part, message)
                blocks.extend(block for block in spelled if block is not NOTHING)
        if self.repair and find([], blocks):
            kept = [block for block in blocks if not find([], [block])]
            self.notes.at(0, leading[0].seq)
            self.notes.add("part_left_out", "the system prompt is made of text that is not empty")
            blocks = kept
        apart = len(leading) == 1 and self.has(leading[0], "apart")
        return blocks if blocks or apart else None

    def find(self, messages: list[Any]) -> Sequence[Finding]:
        """What to mend next: results are told apart from strays when their messages are one."""
        found = find(messages, self.system)
        shapeless = [each for each in found if each.rule == "BR1" and len(each.place) == 1]
        return shapeless or [each for each in found if each.mend == "merge"] or found

    def nested(self, block: dict[str, Any]) -> Any:
        return nested(block)


def _ordinary(part: Part) -> dict[str, Any] | None:
    """The block of an ordinary part of this wire; None for any other."""
    if part.extra is not None or part.layout is not None:
        return None
    if type(part) is TextPart:
        return {"text": part.text}
    if type(part) is ToolCall:
        try:
            given = json_value(part.arguments)
        except ValueError:
            return None
        if not is_object(given) or not _NAME.fullmatch(part.name):
            return None
        return {"toolUse": {"toolUseId": part.call_id, "name": part.name, "input": given}}
    if type(part) is ToolResult and len(part.parts) == 1:
        said = part.parts[0]
        if type(said) is not TextPart or said.extra is not None or said.layout is not None:
            return None
        result: dict[str, Any] = {"toolUseId": part.call_id, "content": [{"text": said.text}]}
        if part.is_error is not None:
            result["status"] = "error" if part.is_error else "success"
        return {"toolResult": result}
    return None
