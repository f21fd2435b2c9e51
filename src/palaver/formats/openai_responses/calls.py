"""Calls that the client has to answer, parsed and spelled.

`ToolCall.arguments` is what the model wrote: text as it came, anything else as JSON text. Its layout is the type of the
item, unless that is function_call. A call that its fields cannot give back is kept whole until it is changed.
"""

from __future__ import annotations

from typing import Any

from palaver.codec import json_text
from palaver.formats.openai_responses.extras import NOTHING, combined, kept_keys, loaded, unchanged, verbatim, without
from palaver.formats.openai_responses.kinds import CALLS, call_id_key, kind_of
from palaver.formats.wire import is_object, leftover
from palaver.model import ToolCall

__all__ = ["REFERENCE", "function_call", "parse_call", "spell_call"]

REFERENCE = "item_reference"
"""Layout of a call that the server knows, and the payload only refers to."""


def parse_call(raw: dict[str, Any], where: str) -> ToolCall:
    """The call that an item is. A malformed one is read as far as it goes."""
    kind = kind_of(raw)
    call = CALLS[kind]
    key, said = call_id_key(raw, kind), _said_key(raw, kind)
    given: Any = raw.get(said) if said else without(raw, "type", key)
    arguments = given if call.is_text and isinstance(given, str) else json_text(given, where)
    name = raw.get("name") if call.name is None else call.name
    part = ToolCall(
        call_id=raw[key] if isinstance(raw.get(key), str) else "",
        name=name if isinstance(name, str) else "",
        arguments=arguments if said in raw or not said else "",
        layout=None if kind == "function_call" else kind if said == call.said else f"{kind} {said}",
        extra=leftover(without(raw, "type", key, said, *(() if call.name else ("name",))), where) if said else None,
    )
    if spell_call(part, part.call_id) == raw:
        return part
    return verbatim(part, raw, where)  # type: ignore[no-any-return]


def _said_key(raw: dict[str, Any], kind: str) -> str:
    """Where an item has what the model wrote; batched computer actions have a key of their own."""
    return "actions" if kind == "computer_call" and "action" not in raw else CALLS[kind].said


def spell_call(part: ToolCall, call_id: str) -> dict[str, Any]:
    """The item that says a call of this wire, under this id."""
    layout = part.layout
    if layout is None:
        typed = {"type": "function_call", "call_id": call_id, "name": part.name, "arguments": part.arguments}
        return typed if part.extra is None else combined(typed, part.extra)
    if layout == REFERENCE:
        return kept_keys(part.extra)
    kept = unchanged(part)
    if kept:
        if call_id != part.call_id:
            kept[call_id_key(kept, kind_of(kept))] = call_id
        return kept
    kind, _, said = layout.partition(" ")
    call = CALLS.get(kind)
    if call is None:  # kept whole once, and changed since
        return function_call(part, call_id)
    value: Any = part.arguments if call.is_text else loaded(part.arguments)
    if value is NOTHING or not (call.said or is_object(value)):
        return function_call(part, call_id)
    key = call_id_key({}, kind)
    if not call.said:
        return {**value, "type": kind, key: call_id}
    typed = {"type": kind, key: call_id, said or call.said: value}
    if call.name is None:
        typed["name"] = part.name
    return combined(typed, part.extra)


def function_call(part: ToolCall, call_id: str) -> dict[str, Any]:
    """The plainest item that says a call, which can be answered in words."""
    arguments = part.arguments or "{}"
    return {"type": "function_call", "call_id": call_id, "name": part.name, "arguments": arguments}
