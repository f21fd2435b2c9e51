"""One conversation that hermes kept twice, in its database and in a log: nothing is lost, and nothing doubles."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from palaver.importers.hermes.records import Entry
from palaver.importers.jsonl import Record

__all__ = ["Merged", "merged"]

Logged: TypeAlias = Entry | Record
"""What stands in a log: a message, or a line that cannot be read."""


class Merged(msgspec.Struct):
    """Both together."""

    entries: list[Entry]
    known: int = 0
    """How many lines of the log are in the database as well."""
    added: int = 0
    """How many were in the log alone."""
    restored: list[tuple[Entry, Entry]] = []
    """Stored messages whose text was damaged, and the lines that it is taken from."""
    covered: list[Logged] = []
    """Lines that are damaged, and whose message is in the database."""
    lost: list[Record] = []
    """Lines that are damaged, and whose message is nowhere."""


def merged(stored: Sequence[Entry], logged: Sequence[Logged]) -> Merged:
    """Bring the lines of a log into what is stored, each behind the one that it follows in the log.

    A damaged line stands for a message that is stored between its neighbours and that no other line stands for; so does
    a whole line for a stored message that is damaged.
    """
    places = _matched(stored, logged)
    taken = {place for place in places if place is not None}
    behind: dict[int, list[Entry]] = defaultdict(list)
    out = Merged([], restored=[], covered=[], lost=[])
    last = -1
    between: list[Logged] = []
    for item, place in [*zip(logged, places, strict=True), (None, len(stored))]:
        if place is None:
            between += [item] if item is not None else []
            continue
        gap = deque(index for index in range(last + 1, place) if index not in taken)
        for each in between:
            _settle(each, gap, stored, behind[last], taken, out)
        between = []
        last = max(last, place)
        out.known += item is not None
    out.entries = list(behind[-1])
    anew = {id(old): new for old, new in out.restored}
    for index, entry in enumerate(stored):
        out.entries.append(anew.get(id(entry), entry))
        out.entries += behind.get(index, ())
    return out


def _matched(stored: Sequence[Entry], logged: Sequence[Logged]) -> list[int | None]:
    """For each line the stored message that it is; each is only one."""
    free: dict[str, deque[int]] = defaultdict(deque)
    for index, entry in enumerate(stored):
        free[entry.known_by].append(index)
    out: list[int | None] = []
    last = -1
    for item in logged:
        waiting = free.get(item.known_by) if isinstance(item, Entry) else None
        place: int | None = None
        if waiting:
            place = next((index for index in waiting if index > last), waiting[0])
            waiting.remove(place)
            last = max(last, place)
        out.append(place)
    return out


def _settle(
    item: Logged, gap: deque[int], stored: Sequence[Entry], behind: list[Entry], taken: set[int], out: Merged
) -> None:
    """Take in a line that is no stored message as it stands; if it is damaged, find the stored one that it was."""
    damaged = not isinstance(item, Entry) or item.mended
    role = item.value.get("role") if isinstance(item, Entry) else None
    fitting = (index for index in gap if role is None or stored[index].value.get("role") == role)
    place = next((index for index in fitting if damaged or stored[index].mended), None)
    if place is not None:
        gap.remove(place)
        taken.add(place)
        if isinstance(item, Entry) and not damaged:
            old = stored[place]
            new = msgspec.structs.replace(item, active=old.active, compacted=old.compacted, time=old.time)
            out.restored.append((old, new))
        else:
            out.covered.append(item)
    elif isinstance(item, Entry):
        behind.append(item)
        out.added += 1
    else:
        out.lost.append(item)
