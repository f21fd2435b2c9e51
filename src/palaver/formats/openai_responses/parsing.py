"""Responses payloads read: a run of output items becomes one assistant message, every input item a message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from palaver.codec import json_text
from palaver.errors import InvalidMessage
from palaver.formats.openai_responses.calls import REFERENCE, parse_call
from palaver.formats.openai_responses.content import parse_entry
from palaver.formats.openai_responses.extras import without
from palaver.formats.openai_responses.inputs import spell_input
from palaver.formats.openai_responses.items import parse_item
from palaver.formats.openai_responses.kinds import CALLS, INPUT_ROLES, OUTPUTS, WIRE, is_client_call, kind_of
from palaver.formats.openai_responses.ordinary import ordinary_answer, ordinary_call, ordinary_thought, sound
from palaver.formats.openai_responses.outputs import parse_output
from palaver.formats.openai_responses.usage import usage_of
from palaver.formats.wire import entries, fingerprint, is_array, is_object, leftover, plain
from palaver.model import Message, Opaque, Part, TextPart, ToolCall, ToolResult

__all__ = ["parse"]

_ASIDE = frozenset({"compaction_trigger", "configuration_update"})
"""Input items without a role that a client writes."""
_RESPONSES = ("response", "response.compaction")


def parse(messages: object, *, system: object = None) -> list[Message]:
    """The messages of an input, of a list of output items, or of whole responses.

    `system` is what `instructions` hold. Input that is text alone is a user message.
    """
    out: list[Message] = []
    if system is not None:
        out.append(_instructions(plain(system, "system")))
    if isinstance(messages, str):
        text = plain(messages, "messages")
        out.append(Message(role="user", parts=(TextPart(text=text),), wire=WIRE, layout="input"))
        return out
    reader = _Reader(out)
    reader.read(entries(messages), "messages")
    reader.close()
    if reader.refers:
        _claim(out)
    return out


def _instructions(raw: Any) -> Message:
    part: Part
    part = TextPart(text=raw) if isinstance(raw, str) else Opaque(wire=WIRE, data=json_text(raw, "system"))
    return Message(role="system", parts=(part,), wire=WIRE, layout="instructions")


class _Reader:
    """One walk over the items of a payload."""

    __slots__ = ("out", "refers", "run")

    def __init__(self, out: list[Message]) -> None:
        self.out = out
        self.run: list[Part] = []
        """The parts of the assistant message that is being read."""
        self.refers = False
        """Whether there was a reference to an item that only the server has."""

    def close(self) -> None:
        """The assistant message is complete."""
        if self.run:
            self.out.append(Message(role="assistant", parts=tuple(self.run), wire=WIRE))
            self.run = []

    def read(self, items: Iterable[object], name: str) -> None:
        """Read items. The shapes that most are of take a short way; every other is looked at with care."""
        for index, entry in enumerate(items):
            if is_object(entry) and self._ordinary(entry):
                continue
            where = f"{name}[{index}]"
            raw = plain(entry, where)
            if not is_object(raw):
                raise InvalidMessage(f"{where} is a {type(entry).__name__}; an item is an object")
            self._item(raw, where)

    def _ordinary(self, raw: dict[str, Any]) -> bool:
        """Read a message, call or output of text alone, and say so. Its shape proves that it comes back exactly."""
        kind = raw.get("type")
        if kind is None:
            role, content = raw.get("role"), raw.get("content")
            if len(raw) != 2 or type(content) is not str or type(role) is not str or not sound(content):
                return False
            if role == "assistant":
                self.run.append(TextPart(text=content))
                return True
            known = INPUT_ROLES.get(role)
            if known is None:
                return False
            self.close()
            self.out.append(Message(role=known, parts=(TextPart(text=content),), wire=WIRE))
            return True
        if kind == "function_call":
            call = ordinary_call(raw)
            if call is None:
                return False
            self.run.append(call)
            return True
        if kind == "function_call_output" and len(raw) == 3:
            call_id, output = raw.get("call_id"), raw.get("output")
            if type(call_id) is str and type(output) is str and sound(output) and sound(call_id):
                self.close()
                result = ToolResult(call_id=call_id, parts=(TextPart(text=output),))
                self.out.append(Message(role="tool", parts=(result,), wire=WIRE))
                return True
        if kind == "message" and raw.get("role") == "assistant":
            part = ordinary_answer(raw)
            if part is not None:
                self.run.append(part)
                return True
        elif kind == "reasoning" and (thoughts := ordinary_thought(raw)):
            self.run += thoughts
            return True
        return False

    def _item(self, raw: dict[str, Any], where: str) -> None:
        kind = kind_of(raw)
        if raw.get("object") in _RESPONSES and "type" not in raw and is_array(raw.get("output")):
            self._response(raw, where)
            return
        if not kind:
            raise InvalidMessage(f"{where} has no type and no role; openai_responses has messages and typed items")
        if kind == "message" and raw.get("role") != "assistant":
            self._add(_input_message(raw, where))
        elif _is_aside(raw, kind):
            self._add(_aside(raw, kind, where))
        elif kind in OUTPUTS and is_client_call(raw, kind):
            self._add(Message(role="tool", parts=(parse_output(raw, where),), wire=WIRE))
        elif kind in CALLS and is_client_call(raw, kind):
            self.run.append(parse_call(raw, where))
        elif kind == "item_reference":
            self.refers = True
            self.run.append(Opaque(wire=WIRE, data=json_text(raw, where), layout=REFERENCE))
        else:
            self.run.extend(parse_item(raw, where))

    def _add(self, message: Message) -> None:
        self.close()
        self.out.append(message)

    def _response(self, raw: dict[str, Any], where: str) -> None:
        """What a response says, with what it used on its last message."""
        self.close()
        first = len(self.out)
        self.read(raw["output"], f"{where}.output")
        self.close()
        usage = usage_of(raw)
        if usage is not None and len(self.out) > first:
            self.out[-1] = self.out[-1].replace(usage=usage)


def _is_aside(raw: dict[str, Any], kind: str) -> bool:
    """Whether a client writes this item, and it is no message: tools, settings, an output that nobody asked for."""
    if kind == "function_call_output":
        return raw.get("call_id") is None and isinstance(raw.get("name"), str)
    role = raw.get("role")
    return kind in _ASIDE or (kind != "message" and isinstance(role, str) and role in INPUT_ROLES)


def _input_message(raw: dict[str, Any], where: str) -> Message:
    given = raw.get("role")
    role = INPUT_ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        said = "has no role" if given is None else f"has the role {given!r}"
        raise InvalidMessage(f"{where} {said}; openai_responses knows user, system, developer and assistant")
    content = raw.get("content")
    parts: tuple[Part, ...] = ()
    layout: str | None = None
    keys = without(raw, "role", "content")
    if isinstance(content, str):
        parts = (TextPart(text=content),)
    elif is_array(content):
        layout = "list"
        parts = tuple(parse_entry(entry, f"{where}.content[{i}]", "input_text") for i, entry in enumerate(content))
    elif "content" in raw:
        layout = "null"
    else:
        layout = "absent"
    message = Message(
        role=role,
        parts=parts,
        wire=WIRE,
        layout=layout,
        extra=leftover(keys, where),
    )
    if spell_input(message) == raw:
        return message
    return message.replace(extra=json_text(raw, where), layout=f"verbatim {fingerprint(message)}")


def _aside(raw: dict[str, Any], kind: str, where: str) -> Message:
    """The message that holds such an item as it is."""
    given = raw.get("role")
    role = INPUT_ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        role = "user" if kind in OUTPUTS else "developer"
    return Message(role=role, parts=(Opaque(wire=WIRE, data=json_text(raw, where)),), wire=WIRE, layout="item")


def _claim(out: list[Message]) -> None:
    """Make calls of the references that outputs without a call answer: the server knows what was called.

    The last references of a response are taken, in their order; reasoning comes before the calls.
    """
    known: set[str] = set()
    index = 0
    while index < len(out):
        message = out[index]
        index += 1
        if message.role != "assistant":
            continue
        known.update(call.call_id for call in message.tool_calls)
        wanted: list[str] = []
        place = index
        while place < len(out) and out[place].role == "tool":
            wanted += [result.call_id for result in out[place].tool_results if result.call_id not in known]
            place += 1
        found = [i for i, part in enumerate(message.parts) if isinstance(part, Opaque) and part.layout == REFERENCE]
        if not wanted or not found:
            continue
        parts = list(message.parts)
        for place, call_id in zip(found[-len(wanted) :], wanted, strict=False):
            part: Any = parts[place]
            parts[place] = ToolCall(name="", call_id=call_id, layout=REFERENCE, extra=part.data)
        known.update(wanted)
        out[index - 1] = message.replace(parts=tuple(parts))
