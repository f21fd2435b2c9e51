"""Long histories made of short accepted ones, joined turn to turn: what was recorded is short, real ones are not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from palaver import formats
from palaver.model import user
from tests.corpus.payloads import Payload

__all__ = ["spliced"]

_INSTRUCTIONS = ("system", "developer")


def spliced(payloads: Sequence[Payload], size: int, seed: int) -> Payload | None:
    """Accepted histories, whole and with their answers, one after another until there are `size` messages or more.

    Only the first one keeps its instructions. Each begins with the user, and none brings an item id that is there
    already: an id is one thing's. None where the histories do not suffice for more than one.
    """
    chance = random.Random(seed)
    order = [payload for payload in payloads if not payload.carried]
    chance.shuffle(order)
    out: list[Any] = []
    system: Any = None
    ids: set[str] = set()
    names: list[str] = []
    while order and len(out) < size:
        payload = order.pop()
        entries = _without_instructions(payload.entries) if names else payload.entries
        if not _begins_with_user(entries) or not _is_whole(payload):
            continue
        turn = [*entries, *(payload.response or ())]
        here = _item_ids(turn)
        if ids & here or len(out) + len(turn) > max(size, 50) + 50 or _objected(payload, turn):
            continue
        if len(out) > 1 and "cache_control" in str(turn):
            continue  # four in a request, whatever came with them
        if not names:
            system = payload.system
        ids |= here
        out.extend(turn)
        names.append(payload.id)
    if len(names) < 2:
        return None
    return Payload(payloads[0].wire, f"splice {seed} of {len(names)}, {len(out)} messages", out, system)


def _objected(payload: Payload, turn: list[Any]) -> bool:
    """Whether the turn cannot be sent back: an empty answer came, and yet no provider takes it again."""
    question = formats.render(payload.wire, [user("Go on.")]).messages
    return bool(formats.check(payload.wire, [*turn, *question], system=payload.system))


def _without_instructions(entries: list[Any]) -> list[Any]:
    begin = 0
    while begin < len(entries) and entries[begin].get("role") in _INSTRUCTIONS:
        begin += 1
    return entries[begin:]


def _begins_with_user(entries: list[Any]) -> bool:
    rest = _without_instructions(entries)
    return bool(rest) and rest[0].get("role") == "user"


def _is_whole(payload: Payload) -> bool:
    """Whether the turn has its end: an answer without calls, which would wait for their results."""
    if not payload.response:
        return payload.entries[-1].get("role") in ("assistant", "model")
    return not any(mark in str(payload.response) for mark in _CALLS)


_CALLS = ("'tool_calls': [", "tool_use", "functionCall", "function_call", "toolUse", "_call'", "'call_id'")


def _item_ids(entries: list[Any]) -> set[str]:
    """Ids of items, which are unique in a request to the Responses API; its calls' ids are, too."""
    calls = [entry for entry in entries if entry.get("type") != "function_call_output"]
    return {entry[key] for entry in calls for key in ("id", "call_id") if isinstance(entry.get(key), str)} - {""}
