"""Fields of sessions, their to-dos and turns that hold JSON or text: which of them cannot be read any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.endpoints import ModelSettings
from palaver.info import Notice
from palaver.keys import Origin
from palaver.model import Usage
from palaver.rows import Holder
from palaver.stores.sqlite.rows import LAST
from palaver.stores.statements import Statements

__all__ = ["SESSION_FIELDS", "TODO_FIELDS", "TURN_FIELDS", "bad_fields", "damaged_fields"]

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
TODO_FIELDS: dict[str, Any] = {"holder": Holder}
TURN_FIELDS: dict[str, Any] = {
    "holder": Holder,
    "taken": tuple[int, ...],
    "notice": Notice,
    "budget": dict[str, Any],
    "calibration": Any,
    "usage": Usage,
}


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
