"""Values as rows of PostgreSQL's tables, where they differ from SQLite's."""

from __future__ import annotations

from typing import Any

import msgspec

from palaver.rows import Head, SessionRow
from palaver.stores.sqlite import rows
from palaver.stores.sqlite.rows import SESSION_COLUMNS

__all__ = ["session_values"]

_LAST_ACTIVE = SESSION_COLUMNS + 2
_TITLE_KEY = SESSION_COLUMNS + 4


class _Origin(msgspec.Struct):
    platform: str | None = None
    agent: str | None = None
    account: str | None = None


_origin = msgspec.json.Decoder(_Origin)


def session_values(row: SessionRow, head: Head) -> tuple[Any, ...]:
    """A session, in the order of `put_session`: with what it is looked for by, which SQLite reads out of its JSON."""
    values = rows.session_values(row, head)
    try:
        origin = _origin.decode(row.origin) if row.origin is not None else _Origin()
    except msgspec.MsgspecError:  # `check` names it; it is kept as it is, and the session is not found by it
        origin = _Origin()
    return (
        *values[:SESSION_COLUMNS],
        values[_LAST_ACTIVE],
        values[_TITLE_KEY],
        origin.platform,
        origin.agent,
        origin.account,
        list(row.tags) if row.tags else None,
    )
