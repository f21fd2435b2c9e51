"""Fields of sessions, their to-dos and turns that hold JSON or text: which of them cannot be read any more.

A reader is shown a session without the fields that cannot be decoded, and which they are. Who writes it is refused
where it would have to know what they said: nothing is written over that nobody has read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from palaver.budget import Budget
from palaver.endpoints import ModelSettings
from palaver.errors import CorruptRecord, InvalidKey
from palaver.info import Notice, SessionInfo
from palaver.keys import Origin
from palaver.model import Usage
from palaver.rows import Holder, SessionRow, TurnRow
from palaver.stores.sqlite.rows import LAST, holder_of, session_row, turn_row
from palaver.stores.statements import Row, Statements
from palaver.tokens import Calibration

__all__ = [
    "SESSION_FIELDS",
    "TODO_FIELDS",
    "TURN_FIELDS",
    "PartRow",
    "bad_fields",
    "bad_turn",
    "damaged_fields",
    "legible",
    "legible_holder",
    "legible_turn",
    "shown",
    "sound",
    "turn_place",
    "without_bad",
    "without_damage",
]

T = TypeVar("T")

SESSION_FIELDS: dict[str, Any] = {
    "origin": Origin,
    "metadata": dict[str, Any],
    "tags": tuple[str, ...],
    "holds": tuple[tuple[str, int], ...],
    "notice": Notice,
    "settings": ModelSettings,
    "title": str,
    "preview": str,
}
"""What is JSON of what kind; `str` is no JSON, but text."""
_PLACES = {
    "origin": 10,
    "metadata": 13,
    "tags": 14,
    "holds": 15,
    "notice": 9,
    "settings": 28,
    "title": 11,
    "preview": 12,
}
"""Where a row of a session has them."""
_UNREADABLE = (msgspec.MsgspecError, InvalidKey, RecursionError)
TODO_FIELDS: dict[str, Any] = {"holder": Holder}
TURN_FIELDS: dict[str, Any] = {
    "holder": Holder,
    "taken": tuple[int, ...],
    "notice": Notice,
    "budget": Budget,
    "calibration": Calibration,
    "usage": Usage,
    "reason": str,
    "token": str,
}
_TURN_PLACES = {
    "holder": 3,
    "taken": 12,
    "notice": 13,
    "budget": 16,
    "calibration": 17,
    "usage": 18,
    "reason": 9,
    "token": 2,
}
"""The same of a row of a turn."""


class PartRow(tuple[Any, ...]):  # noqa: SLOT001 - slots of a tuple can hold nothing
    """A row of a session that was read in parts, with text that is no UTF-8 as its bytes; see `parts`."""

    unread: tuple[str, ...] = ()
    """What beside its own fields could not be read, as `SessionInfo.unreadable` names it."""


def damaged_fields(sql: Statements, number: int) -> list[tuple[str, int | None, str]]:
    """Problem, position and detail of every field of a session, its to-do and its turns that cannot be decoded."""
    row = sql.one("check_session_row", (number,))
    found: list[tuple[str, int | None, str]] = [
        ("session_undecodable", None, f"its {name} cannot be decoded") for name in bad_fields(SESSION_FIELDS, row or ())
    ]
    todo = sql.one("check_todo_row", (number,))
    found += [
        ("todo_undecodable", None, f"the {name} of its to-do cannot be decoded")
        for name in bad_fields(TODO_FIELDS, todo or ())
    ]
    for turn in sql.all("check_turn_rows", (number << 32, number << 32 | LAST)):
        found += [
            ("turn_undecodable", turn[0] & LAST, f"the {name} of its turn cannot be decoded")
            for name in bad_fields(TURN_FIELDS, turn[1:])
        ]
    return found


def legible(row: Row) -> SessionRow:
    """A session without what of it cannot be decoded: for who reads its messages, and needs none of that."""
    try:
        if not isinstance(row, PartRow):
            return session_row(row)
    except _UNREADABLE:
        pass
    return session_row(_without(row, _bad(row)))


def sound(row: Row, store: str = "") -> SessionRow:
    """A session for who writes it. Raises CorruptRecord where a field that a write stores anew cannot be decoded."""
    try:
        if isinstance(row, PartRow) and _bad(row):
            raise msgspec.DecodeError("text that is no UTF-8")
        return session_row(row)
    except _UNREADABLE as exc:
        bad = ", ".join(_bad(row)) or "row"
        place = f"{store}: " if store else ""
        msg = (
            f"{place}the {bad} of session {row[1]!r} cannot be decoded, and it is not written over: "
            "`palaver check --repair` sets it aside"
        )
        raise CorruptRecord(msg, store=store, location=f"session {row[1]}", excerpt=str(exc)[:80]) from exc


def shown(row: Row, make: Callable[[SessionRow], SessionInfo]) -> SessionInfo:
    """What `make` makes of a session; where something of it cannot be decoded, without that, which is named in it."""
    info, bad = without_damage(row, make)
    return msgspec.structs.replace(info, unreadable=bad) if bad else info


def without_damage(row: Row, make: Callable[[SessionRow], T]) -> tuple[T, tuple[str, ...]]:
    """What `make` makes of a session, and the names of the fields that were left out as they cannot be decoded."""
    unread = row.unread if isinstance(row, PartRow) else ()
    try:
        if not isinstance(row, PartRow):
            return make(session_row(row)), ()
        bad = _bad(row)
    except _UNREADABLE:
        bad = _bad(row)
        if not bad:
            raise
    return make(session_row(_without(row, bad))), (*bad, *unread)


def legible_turn(row: Row, aside: Callable[[str, bytes], None] | None = None) -> TurnRow:
    """A turn without what of it cannot be decoded: `check` names that, and no session waits for it.

    `aside` takes these fields as they were found, by the places that a repair would set them aside under.
    """
    try:
        return turn_row(row)
    except _UNREADABLE:
        bad = bad_turn(row)
    if aside is not None:
        for name in bad:
            text = row[_TURN_PLACES[name]]
            aside(turn_place(row[0], name), text if isinstance(text, bytes) else text.encode())
    return turn_row(without_bad(row, bad))


def turn_place(place: int, name: str) -> str:
    """Where a field of a turn stands, as quarantine names it."""
    return f"session number {place >> 32}, turn {place & LAST}, {name}"


def legible_holder(text: str | None) -> Holder | None:
    """Who holds a turn; None also where that cannot be decoded: then it is held until its lease runs out."""
    try:
        return holder_of(text)
    except _UNREADABLE:
        return None


def without_bad(row: Row, names: Sequence[str]) -> Row:
    """A row of a turn without these fields."""
    fields = list(row)
    for name in names:
        fields[_TURN_PLACES[name]] = "" if name == "token" else None
    return tuple(fields)


def bad_turn(row: Row) -> list[str]:
    """Names of the fields of a turn that cannot be decoded."""
    return bad_fields(TURN_FIELDS, [row[_TURN_PLACES[name]] for name in TURN_FIELDS])


def _bad(row: Row) -> list[str]:
    return bad_fields(SESSION_FIELDS, [row[_PLACES[name]] for name in SESSION_FIELDS])


def _without(row: Row, names: Sequence[str]) -> Row:
    fields = list(row)
    for name in names:
        fields[_PLACES[name]] = None
    return tuple(fields)


def bad_fields(kinds: dict[str, Any], values: Sequence[Any]) -> list[str]:
    """Names of the fields whose text is not what it should be."""
    bad: list[str] = []
    for (name, kind), text in zip(kinds.items(), values, strict=False):
        if text is None:
            continue
        try:
            if kind is str:
                str(text, "utf-8") if isinstance(text, bytes) else text.encode()
            else:
                msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            bad.append(name)
    return bad
