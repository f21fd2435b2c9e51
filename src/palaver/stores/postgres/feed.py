"""Reading the change feed of a PostgreSQL store.

Transactions commit in another order than they begin in. A change's position begins with the id of its transaction, and
only what is below the oldest transaction under way is told: nothing can come before it any more. A transaction has its
session's lock before it has an id, so positions are in order within each session.

What was committed just now is therefore told a moment later, when older transactions have ended, in whatever database
of the server. A read waits so long for what it finds committed, within bounds; beyond them it tells what is certain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from palaver.stores import views
from palaver.stores.base import ChangePage, FeedLag
from palaver.stores.sqlite.feed import change_of, rows_of
from palaver.stores.statements import Statements

__all__ = ["Settling", "feed_lag", "read_changes"]

_PATIENCE = 0.5
"""Seconds that a read waits for older transactions."""
_RESIGNED = 5.0
"""Seconds for which no read waits again, after one did so in vain."""
_FURTHEST = (1 << 63) - 1


class Settling:
    """Waiting for older transactions, for all readers of one store."""

    def __init__(self) -> None:
        self._resigned_until = 0.0

    def wait(self, sql: Statements) -> None:
        """Wait, for a moment at most, until everything that is committed now can be told."""
        row = sql.one("newest_change")
        target = row[0] if row is not None else None
        began = time.monotonic()
        if target is None or began < self._resigned_until:
            return
        pause = 0.001
        while not sql.all("is_settled", (target,))[0][0]:
            if time.monotonic() >= began + _PATIENCE:  # somebody holds a transaction open for long
                self._resigned_until = time.monotonic() + _RESIGNED
                return
            time.sleep(pause)
            pause = min(0.02, pause * 2)


def feed_lag(sql: Statements) -> FeedLag:
    """How many changes are held back, and how old the oldest transaction is that does it."""
    [(held, seconds)] = sql.all("feed_lag")
    if not held:
        return FeedLag()
    return FeedLag(changes=held, seconds=None if seconds is None else max(0.0, seconds))


def read_changes(
    sql: Statements,
    snapshot: Callable[[], AbstractContextManager[None]],
    settling: Settling,
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
    settling.wait(sql)
    with snapshot():
        pruned = sql.one("meta", ("pruned",))
        [(newest,)] = sql.all("highest_change")
        views.check_reach(after, start, pruned=int(pruned[0]) if pruned else 0, newest=newest)
        rows = rows_of(sql, start, _FURTHEST, limit, session_id, owner) if limit > 0 else []
    page += map(change_of, rows)
    if len(page) >= limit:
        page.cursor = page[-1].cursor if page else page.cursor
    else:
        page.cursor = f"{max(start, newest):x}"
    return page
