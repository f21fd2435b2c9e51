"""Reads of which sessions there are: found by a name, and listed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from palaver.info import SessionInfo, SessionName
from palaver.rows import Head
from palaver.stores import views
from palaver.stores.base import OpenTurn, SessionQuery
from palaver.stores.sqlite.fields import PartRow, legible_holder, legible_turn, shown
from palaver.stores.sqlite.rows import (
    LAST,
    SESSION_COLUMNS,
    TURN_COLUMNS,
    head_row,
    usage_row,
)
from palaver.stores.sqlite.source import RowSource
from palaver.stores.statements import Row
from palaver.times import from_micros, to_micros
from palaver.titles import end_of_prefix

__all__ = ["Lines", "SessionReads", "listed_head"]

_HOLDS = 15
MAX_LINES = 2_000
_FURTHEST = 1 << 62
_NARROWED = {"list_all": "list_all_narrowed", "list_owner": "list_owner_narrowed"}
_BEGINNING = {
    ("title", False): "titles_of_owner",
    ("title", True): "titles_of_all",
    ("id", False): "ids_of_owner",
    ("id", True): "ids_of_all",
}

Lines: TypeAlias = dict[int, tuple[tuple[Any, ...], SessionInfo]]
"""Lines of lists given before, by session number, with what tells whether they still hold."""


class SessionReads(RowSource):
    """The reads of sessions."""

    after_all_text: bytes | str
    """What is greater than every text."""

    _lines: Lines
    """Shared with the other connections of the store; see `RowReads`."""

    def current(self, owner: str, key: str, now: datetime) -> SessionInfo | None:
        row = self._by_key(owner, key)
        if row is None:
            return None
        head, turn = self.state(row)
        judged = self.lease_time(now)
        return shown(
            row, lambda session: views.info(session, head, now, turn=turn, bound_at=row[-1], lease_time=judged)
        )

    def bound(self, owner: str, key: str) -> str | None:
        row = self.sql.one("key_to_id", (owner, key))
        return row[0] if row is not None else None

    def named(self, owner: str | None, alias: str) -> str | None:
        row = self.sql.one("alias_to_id", (owner or "", alias))
        return row[0] if row is not None else None

    def beginning(self, owner: str | None, text: str, by: Literal["title", "id"], limit: int) -> list[SessionName]:
        name = _BEGINNING[by, owner is None]
        span = (text, end_of_prefix(text) or self.after_all_text, limit)
        rows = self.sql.all(name, span if owner is None else (owner, *span))
        return [SessionName(id=r[0], owner=r[1] or None, title=r[2]) for r in rows]

    def info(self, session_id: str, owner: str | None, now: datetime) -> SessionInfo:
        with self.snapshot():
            found = self._row(session_id, owner)
            number = found[0]
            keys = tuple(key for _, key in self.sql.all("keys_of", (number,)))
            aliases = tuple(row[0] for row in self.sql.all("record_aliases", (number,)))
            usage = views.usage_total(usage_row(number, u) for u in self.sql.all("usage_of_session", (number,)))
        head, turn = self.state(found)
        judged = self.lease_time(now)
        return shown(
            found,
            lambda session: views.info(
                session, head, now, turn=turn, keys=keys, aliases=aliases, usage=usage, lease_time=judged
            ),
        )

    def sessions(self, query: SessionQuery, now: datetime) -> list[SessionInfo]:
        with self.snapshot():
            active, number = _FURTHEST, _FURTHEST
            if query.after is not None:
                number = self._row(query.after, query.owner, deleted=query.include_deleted)[0]
                stored = self.sql.one("listed_at", (number,))
                active = stored[0] if stored is not None else self.sql.all("head", (number,))[0][2]
            values: dict[str, Any] = {
                "active": active,
                "number": number,
                "since": to_micros(query.active_since) if query.active_since is not None else -_FURTHEST,
                "archived": query.include_archived or query.archived is True,
                "hidden": query.include_hidden or query.hidden is True,
                "deleted": query.include_deleted,
                "ended": query.include_ended,
                "empty": query.include_empty,
                "limit": query.limit,
            }
            name = "list_all"
            if query.owner is not None:
                values["owner"] = query.owner
                name = "list_owner"
            if query.narrowed:
                name = _NARROWED[name]
                values |= {"platform": query.platform, "agent": query.agent, "account": query.account}
                values |= {"tag": query.tag, "title": query.title, "pinned": query.pinned}
                values |= {"is_archived": query.archived, "is_hidden": query.hidden, "parent": query.parent}
            rows = self._page_of(name, values)
            numbers = "[" + ",".join([str(r[0]) for r in rows]) + "]"
            keys: dict[int, list[str]] = {}
            for owner_number, key in self.sql.all("keys_of_many", (numbers,)):
                keys.setdefault(owner_number, []).append(key)
            running = self._running()
        lines = [self._line(row, tuple(keys.get(row[0], ())), now) for row in rows]
        if not running:
            return lines
        judged = self.lease_time(now)
        return [
            msgspec.structs.replace(line, turn_running=True) if _is_held(running.get(row[0]), judged) else line
            for row, line in zip(rows, lines, strict=True)
        ]

    def _page_of(self, name: str, values: dict[str, Any]) -> list[Row]:
        """A page of sessions by one of the statements of lists; as far as they can be read."""
        return self.sql.all(name, values)

    def _running(self) -> dict[int, Row]:
        """Which sessions have a turn that has not ended, who holds it and until when."""
        return {r[0]: r for r in self.sql.all("running")}

    def _line(self, row: Row, keys: tuple[str, ...], now: datetime) -> SessionInfo:
        """One line of a list; the one given before, where everything that it shows is as it was."""
        if isinstance(row, PartRow):
            return _listed(row, keys, now)
        newest = row[SESSION_COLUMNS + 4]
        state = (row[1], row[4], row[SESSION_COLUMNS], row[SESSION_COLUMNS + 2], newest, keys)
        known = self._lines.get(row[0])
        if known is not None and known[0] == state:
            return known[1]
        info = _listed(row, keys, now)
        if (
            not info.metadata and not info.unreadable and row[_HOLDS] is None
        ):  # a reader may change the one, and time ends the other
            if len(self._lines) >= MAX_LINES:
                self._lines.clear()
            self._lines[row[0]] = state, info
        return info

    def open_turns(self, owner: str | None, now: datetime) -> list[OpenTurn]:
        rows = self.sql.all("running_turns", {"owner": owner})
        judged = self.lease_time(now)
        out: list[OpenTurn] = []
        for row in rows:
            turn = legible_turn(row)
            out.append(
                OpenTurn(
                    session_id=row[TURN_COLUMNS],
                    owner=row[TURN_COLUMNS + 1],
                    first_seq=turn.first_seq,
                    began_at=from_micros(turn.began_at),
                    expires_at=from_micros(turn.expires_at),
                    alive=views.held(turn, judged),
                )
            )
        return out


def _listed(row: Row, keys: tuple[str, ...], now: datetime) -> SessionInfo:
    """One line of a list. The row knows the newest message only to the second; its position is completed.

    What of it is damaged is left out and named: one session hides no other.
    """
    return shown(row, lambda session: views.info(session, listed_head(row), now, keys=keys))


def _is_held(running: Row | None, now: datetime) -> bool:
    return running is not None and views.is_held(running[2], legible_holder(running[1]), now)


def listed_head(row: Row) -> Head:
    """The head of a listed row, completed by its newest message."""
    head = head_row(row[SESSION_COLUMNS:])
    newest = row[SESSION_COLUMNS + 4]
    if newest is None:
        return head
    seq = newest & LAST
    return Head(seq, head.message_count + seq - head.last_seq, head.last_active, head.user_seq)
