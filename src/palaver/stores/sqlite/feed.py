"""The change feed of a SQLite store.

There is no index by session or owner: it would cost every append a page. Positions are read in order instead, some six
million a second, in pieces, each in a snapshot of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from palaver.rows import ChangeKind
from palaver.stores import views
from palaver.stores.base import Change, ChangePage
from palaver.stores.statements import Row, Statements

__all__ = ["change_of", "read_changes", "rows_of"]

_PIECE = 500_000
"""Positions that are looked at in one snapshot."""


def read_changes(
    sql: Statements,
    snapshot: Callable[[], AbstractContextManager[None]],
    after: str | None,
    *,
    limit: int,
    session_id: str | None,
    owner: str | None,
) -> ChangePage:
    """See `Store.changes`."""
    start = views.position(after)
    page = ChangePage()
    page.cursor = f"{start:x}"
    while True:
        with snapshot():
            pruned = sql.one("meta", ("pruned",))
            [(newest,)] = sql.all("highest_change")
            views.check_reach(after, start, pruned=int(pruned[0]) if pruned else 0, newest=newest or 0)
            rows = rows_of(sql, start, start + _PIECE, limit - len(page), session_id, owner) if limit > 0 else []
            beyond = sql.one("next_change", (start + _PIECE,))
        page += map(change_of, rows)
        if len(page) >= limit:
            page.cursor = page[-1].cursor if page else page.cursor
            return page
        if beyond is None:
            page.cursor = f"{max(start, newest or 0):x}"
            return page
        start = beyond[0] - 1


def rows_of(
    sql: Statements, start: int, through: int, limit: int, session_id: str | None, owner: str | None
) -> list[Row]:
    """Changes after a position, of all sessions or of one; none of a session that the owner does not have."""
    values: dict[str, Any] = {"after": start, "through": through, "limit": limit}
    if session_id is None:
        return sql.all("changes", {**values, "owner": owner})
    row = sql.one("scope_of_session", (session_id,))
    if row is None or owner not in {None, row[1]}:
        return []
    rows = sql.all("changes_of_session", {**values, "session": row[0]})
    return [(position, session_id, *rest) for position, *rest in rows]


def change_of(row: Row) -> Change:
    """A change as the feed tells it."""
    return Change(
        cursor=f"{row[0]:x}",
        session_id=row[1],
        rev=row[2],
        kind=ChangeKind(row[3]).name.lower(),
        from_seq=row[4],
        through_seq=row[5],
    )
