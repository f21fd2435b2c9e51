"""What a sweep reads of a SQLite store, and the store's own garbage: what belongs to nothing, and old changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

import msgspec

from palaver.info import Todo, TodoState
from palaver.operations import Ledger, Operation
from palaver.rows import Head, SessionRow
from palaver.stores import views
from palaver.stores.sqlite.fields import legible_holder, without_damage
from palaver.stores.sqlite.rows import LAST, SESSION_COLUMNS, head_row, newer_head, todo_row
from palaver.stores.statements import Row, Statements
from palaver.sweeping import Standing, SweepQuery
from palaver.times import LATEST, to_micros

__all__ = ["Clean", "Prune", "Source", "Upkeep", "clean", "prune", "told"]

_NEWEST = SESSION_COLUMNS + 4
_TODO = _NEWEST + 3
_REST = _TODO + 11
_STEP = 5_000
"""Changes that are pruned in one commit."""
_KINDS = {
    "orphan_media": ("media", "content {} that no message refers to"),
    "orphan_media_refs": ("media_ref", "a reference to content by a message that is gone, session number {}, seq {}"),
    "orphan_queue": ("queue", "a waiting message that is gone, session number {}, seq {}"),
    "orphan_versions": ("versions", "versions of a message that is gone, session number {}, seq {}"),
    "orphan_index": ("index", "an entry of the search index of a message that is gone, session number {}, seq {}"),
}


_DROPS = {
    "media": "drop_unheld_blob",
    "media_ref": "drop_orphan_media_ref",
    "queue": "drop_orphan_queue",
    "versions": "drop_orphan_versions",
    "index": "drop_orphan_index",
}


class Clean(Operation, frozen=True, kw_only=True, tag="clean"):
    """Remove rows that belong to nothing, unless they do by now. The SQLite store's own business."""

    found: tuple[tuple[str, str | int], ...]

    def apply(self, ledger: Ledger) -> None:
        keeping: Any = ledger
        keeping.garbage.extend(self.found)


class Prune(Operation, frozen=True, kw_only=True, tag="prune"):
    """Remove the changes through a position. The SQLite store's own business."""

    through: int

    def apply(self, ledger: Ledger) -> None:
        keeping: Any = ledger
        keeping.prune_through = max(keeping.prune_through, self.through)


def clean(sql: Statements, garbage: list[tuple[str, str | int]]) -> None:
    """Remove what was found, with the commit that is under way."""
    for kind, what in garbage:
        sql.run(_DROPS[kind], {"address" if kind == "media" else "id": what})


def prune(sql: Statements, through: int) -> None:
    """Remove changes, with the commit that is under way; cursors from before them are told."""
    sql.run("prune_changes", (through,))
    sql.run("put_pruned", (str(through), through))


class Source(Protocol):
    """The reads that this needs; see `palaver.stores.sqlite.reads.Reads`."""

    sql: Statements

    def lease_time(self, now: datetime) -> datetime:
        """The time by which leases are judged."""
        ...

    def number_of(self, session_id: str, owner: str | None) -> int:
        """The number of a session, deleted or not."""
        ...


class Upkeep:
    """Reads for sweeps, inside a snapshot of the caller's."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sql = source.sql

    def standings(self, query: SweepQuery, now: datetime) -> list[Standing]:
        """See `Store.standings`."""
        rows = self._sql.all(
            "standings",
            {
                "after": self._source.number_of(query.after, query.owner) if query.after is not None else 0,
                "owner": query.owner,
                "active": to_micros(query.active_before) if query.active_before is not None else None,
                "sizes": query.sizes,
                "limit": query.limit,
            },
        )
        numbers = "[" + ",".join([str(row[0]) for row in rows]) + "]"
        keys: dict[int, list[str]] = {}
        for number, key in self._sql.all("keys_of_many", (numbers,)):
            keys.setdefault(number, []).append(key)
        judged = self._source.lease_time(now)
        held = {n: views.is_held(until, legible_holder(by), judged) for n, by, until in self._sql.all("running")}
        return [_standing(row, tuple(keys.get(row[0], ())), now, running=held.get(row[0], False)) for row in rows]

    def todos(self, owner: str | None, state: TodoState, now: datetime, limit: int) -> list[Todo]:
        """See `Store.todos`."""
        now = self._source.lease_time(now)
        claimed = state == "claimed"  # who claims is few, and may have died before the claim has run out
        values = {"owner": owner, "state": state, "until": LATEST if claimed else to_micros(now)}
        rows = self._sql.all("todos_in_state", {**values, "limit": LAST if claimed else limit})
        found = [(todo_row(row), row[11], row[12]) for row in rows]
        return [views.todo(*each) for each in found if not claimed or not views.claimed(each[0], now)][:limit]

    def garbage(self, limit: int) -> list[tuple[str, str | int]]:
        """Rows that belong to nothing, by their kind."""
        out: list[tuple[str, str | int]] = []
        for name, (kind, _) in _KINDS.items():
            if len(out) < limit:
                out += [(kind, row[0]) for row in self._sql.all(name, (limit - len(out),))]
        return out

    def prunable(self, keep: int) -> tuple[int, int]:
        """Through which position a step prunes, and how many changes may go in all; the search index must know them."""
        newest: int = self._sql.all("highest_change")[0][0]
        indexed: int = self._sql.all("search_state")[0][0]
        pruned = int(self._sql.all("meta", ("pruned",))[0][0])
        through = min(newest - keep, indexed)
        left: int = self._sql.all("changes_through", (through,))[0][0]
        return min(through, pruned + _STEP), left


def told(kind: str, what: str | int) -> str:
    """A row that belongs to nothing, in words."""
    template = next(text for found, text in _KINDS.values() if found == kind)
    return template.format(what) if isinstance(what, str) else template.format(what >> 32, what & LAST)


def _standing(row: Row, keys: tuple[str, ...], now: datetime, *, running: bool) -> Standing:
    head: Head = newer_head(
        head_row(row[SESSION_COLUMNS:]), row[_NEWEST : _NEWEST + 3] if row[_NEWEST] is not None else None
    )
    bound_at, waiting, kind, imported, size = row[_REST : _REST + 5]

    def made(session: SessionRow) -> Standing:
        return views.standing(
            session,
            head,
            now,
            running=running,
            keys=keys,
            bound_at=bound_at,
            waiting=waiting != 0,
            newest_kind=kind or 0,
            to_do=todo_row(row[_TODO:]) if row[_TODO] is not None else None,
            imported=imported != 0,
            size=size,
        )

    found, bad = without_damage(row, made)
    if not bad:
        return found
    return msgspec.structs.replace(found, session=msgspec.structs.replace(found.session, unreadable=bad))
