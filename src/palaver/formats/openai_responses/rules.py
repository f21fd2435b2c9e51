"""What the Responses API refuses in the structure of an input, by the ids of docs/wires/openai_responses.md.

One walk finds everything; `mending` mends what it finds. OpenAI's own ids have no hyphen; those of xAI (`rs_<uuid>`)
and DeepSeek (`<uuid>`) do, and these providers do not have its rules about ids.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from palaver.formats.openai_responses.faults import MAX_ID, Fault, Fix, missing, too_long, wrong_type
from palaver.formats.openai_responses.fields import FIELDS
from palaver.formats.openai_responses.kinds import (
    CALLS,
    INPUT_ROLES,
    OUTPUTS,
    PREFIXES,
    call_id_key,
    is_client_call,
    kind_of,
)
from palaver.formats.wire import Violation, is_object

__all__ = ["check", "faults"]


def check(messages: list[Any], system: Any) -> list[Violation]:
    """What a provider would refuse in an input, in its order."""
    out: list[Violation] = []
    if not messages:
        out.append(Violation("OR6", "messages", "Missing required parameter: 'input'.", "send a message of the user"))
    if system is not None and not isinstance(system, str):
        said = wrong_type("instructions", "a string", system)
        out.append(Violation("OR6", "system", said, "give the instructions as text, or as items of the input"))
    found = sorted(faults(messages), key=lambda fault: fault.at)
    out += [Violation(each.rule, f"messages[{each.at}]{each.path}", each.says, each.remedy) for each in found]
    return out


def faults(items: list[Any]) -> list[Fault]:
    """Everything that the rules find."""
    walk = _Walk()
    step = walk.step
    for at, item in enumerate(items):
        step(at, item)
    return walk.done()


class _Span(NamedTuple):
    """From a call to its output."""

    start: int
    end: int
    call_id: str


def _united(spans: list[_Span]) -> list[_Span]:
    """Spans that overlap as one, in order."""
    out: list[_Span] = []
    for span in sorted(spans):
        if out and span.start < out[-1].end:
            out[-1] = out[-1]._replace(end=max(out[-1].end, span.end))
        else:
            out.append(span)
    return out


class _Walk:
    """Where the walk over an input is."""

    __slots__ = ("_answered", "_between", "_calls", "_found", "_ids", "_open", "_referred", "_spans", "_thoughts")

    def __init__(self) -> None:
        self._found: list[Fault] = []
        self._thoughts: list[int] = []
        """Reasoning items with an id of OpenAI's that wait for the item that they were produced with."""
        self._ids: set[str] = set()
        self._calls: dict[str, tuple[int, bool]] = {}
        """Where each call is, by its call id, and whether it has to be answered."""
        self._answered: set[str] = set()
        self._open: dict[str, int] = {}
        """Calls that may be DeepSeek's and wait for their output, and where they are."""
        self._between: list[int] = []
        """Items that stand after such a call, and are neither call nor output."""
        self._spans: list[_Span] = []
        self._referred = False
        """Whether the input refers to items that the server has: any of them may be a call."""

    def step(self, at: int, item: Any) -> None:
        """Look at one item."""
        if not is_object(item):
            said = wrong_type(f"input[{at}]", "an object", item)
            self._found.append(Fault("OR6", at, "", said, "leave it out", Fix.LEAVE_OUT))
            return
        kind: Any = item.get("type")
        if type(kind) is not str:
            kind = kind_of(item)
        look = FIELDS.get(kind)
        if look is not None:
            if found := look(at, item):
                self._found += found
        elif not kind:
            said = missing(f"input[{at}].type")
            self._found.append(Fault("OR6", at, ".type", said, "leave it out", Fix.LEAVE_OUT))
            return
        if "id" in item:
            self._id(at, item["id"], kind)
        self._place(at, item, kind)

    def _place(self, at: int, item: dict[str, Any], kind: str) -> None:
        """Whether the item stands where it may: after its reasoning, beside its call."""
        if kind == "reasoning":
            item_id: Any = item.get("id")
            if _is_openai_id(item_id) and item_id.startswith("rs"):
                self._thoughts.append(at)
            elif self._open and _is_open_thought(item):
                self._between.append(at)
            return
        if self._thoughts:
            if kind in OUTPUTS or not isinstance(item.get("id"), str) or _is_input(item):
                self._unfollowed()
            self._thoughts = []
        if kind in CALLS:
            if kind == "function_call" or is_client_call(item, kind):
                self._call(at, item, kind)
        elif kind in OUTPUTS:
            if kind == "function_call_output" or is_client_call(item, kind):
                self._output(at, item, kind)
        elif kind == "item_reference":
            self._referred = True
        elif self._open:
            self._between.append(at)

    def done(self) -> list[Fault]:
        """All that was found."""
        self._unfollowed()
        for call_id, (at, needed) in self._calls.items():
            if needed and call_id not in self._answered:
                said = f"No tool output found for function call {call_id}."
                self._found.append(Fault("OR3b", at, "", said, "add its output to the input", Fix.LEAVE_OUT))
        spans = _united(self._spans)
        spans.reverse()
        for at in self._between:
            while spans and spans[-1].end < at:
                spans.pop()
            if spans and spans[-1].start < at:
                said = f"No tool output found for tool call {spans[-1].call_id}."
                remedy = "put it before the call: DeepSeek wants calls and their outputs side by side"
                self._found.append(Fault("OR11", at, "", said, remedy, Fix.ORDER, spans[-1].start))
        return self._found

    def _unfollowed(self) -> None:
        for at in self._thoughts:
            said = "Item 'rs_…' of type 'reasoning' was provided without its required following item. (param: input)"
            remedy = "keep the item that it was produced with, and its id, or strip the id of encrypted reasoning"
            self._found.append(Fault("OR3", at, "", said, remedy, Fix.THOUGHT))

    def _id(self, at: int, value: Any, kind: str) -> None:
        if value is None or (kind == "item_reference" and not isinstance(value, str)):
            return
        where = f"input[{at}].id"
        if not isinstance(value, str):
            said = wrong_type(where, "a string", value)
            self._found.append(Fault("OR8", at, ".id", said, "leave the id out", Fix.ID))
        elif not _is_openai_id(value):
            return
        elif not value.startswith(PREFIXES.get(kind, "")):
            said = f"Invalid '{where}': '{value}'. Expected an ID that begins with '{PREFIXES[kind]}'."
            self._found.append(Fault("OR8", at, ".id", said, "leave out ids that OpenAI did not give", Fix.ID))
        elif len(value) > MAX_ID:
            self._found.append(Fault("OR9", at, ".id", too_long(where, value), "leave the id out", Fix.ID))
        elif kind != "local_shell_call_output":  # there it is the call's id
            if value in self._ids:
                said = f"Duplicate item found with id {value}. Remove duplicate items from your input and try again."
                self._found.append(Fault("OR7", at, ".id", said, "send each item once", Fix.ID))
            self._ids.add(value)

    def _call_id(self, at: int, item: dict[str, Any], kind: str) -> str | None:
        key = call_id_key(item, kind)
        call_id = item.get(key)
        if not isinstance(call_id, str) or not call_id:
            remedy = f"give it its {key}, or leave it out"
            self._found.append(Fault("OR6", at, f".{key}", missing(f"input[{at}].{key}"), remedy, Fix.LEAVE_OUT))
            return None
        if len(call_id) > MAX_ID:
            said = too_long(f"input[{at}].{key}", call_id)
            self._found.append(Fault("OR9", at, f".{key}", said, "give call and output a shorter id", Fix.LEAVE_OUT))
        return call_id

    def _call(self, at: int, item: dict[str, Any], kind: str) -> None:
        call_id = self._call_id(at, item, kind)
        if call_id is None:
            return
        if call_id in self._calls:
            said = f"Duplicate 'call_id': {call_id}"
            self._found.append(Fault("OR7", at, ".call_id", said, "give each call its own id", Fix.LEAVE_OUT))
            return
        self._calls[call_id] = (at, _needs_output(item, kind))
        if not _keeps_order(item.get("id"), kind):
            self._open[call_id] = at

    def _output(self, at: int, item: dict[str, Any], kind: str) -> None:
        if kind == "function_call_output" and item.get("call_id") is None and isinstance(item.get("name"), str):
            return  # an output that nobody asked for
        call_id = self._call_id(at, item, kind)
        if call_id is None:
            return
        path = f".{call_id_key(item, kind)}"
        if call_id in self._answered:
            said = f"Duplicate 'call_id': {call_id}"
            self._found.append(Fault("OR7", at, path, said, "send one output for each call", Fix.LEAVE_OUT))
        elif call_id not in self._calls and not self._referred:
            said = f"No tool call found for function call output with call_id {call_id}."
            remedy = "keep the call that it answers, or leave it out"
            self._found.append(Fault("OR4", at, path, said, remedy, Fix.LEAVE_OUT))
        self._answered.add(call_id)
        start = self._open.pop(call_id, at)
        if at > start + 1:
            self._spans.append(_Span(start, at, call_id))


def _is_openai_id(value: Any) -> bool:
    """Whether an id may be one that OpenAI gave, or would look at."""
    return isinstance(value, str) and "-" not in value


def _keeps_order(value: Any, kind: str) -> bool:
    """Whether a call has an id of OpenAI's or xAI's, who take their own items in their own order."""
    return _is_openai_id(value) or (isinstance(value, str) and value.startswith(f"{PREFIXES.get(kind, kind)}_"))


def _is_input(item: dict[str, Any]) -> bool:
    role = item.get("role")
    return isinstance(role, str) and role in INPUT_ROLES


def _is_open_thought(item: dict[str, Any]) -> bool:
    """Whether reasoning is there in the open, as DeepSeek has it; OpenAI's stands where it was made."""
    return bool(item.get("content")) or not item.get("encrypted_content")


def _needs_output(item: dict[str, Any], kind: str) -> bool:
    """Whether the client has to answer a call: not an approval, nor what runs in a container of the server."""
    environment = item.get("environment")
    hosted = kind == "shell_call" and is_object(environment) and environment.get("type") == "container_reference"
    return kind != "mcp_approval_request" and not hosted
