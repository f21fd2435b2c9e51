"""Looking for everything that is wrong with a SQLite store, without changing anything."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from palaver import codec, media
from palaver.errors import CorruptRecord
from palaver.operations.ranges import merged
from palaver.rows import CutRow, Head, Kind, SessionRow, TurnRow, kind_of
from palaver.stores import views
from palaver.stores.base import Finding
from palaver.stores.sqlite.rows import LAST, todo_row
from palaver.stores.sqlite.statements import Row, Statements
from palaver.stores.tails import live_ranges
from palaver.times import LATEST

__all__ = ["Checking", "Source"]

_CHECKED_AT_ONCE = 1_000
_BLOBS_AT_ONCE = 8


class Source(Protocol):
    """The reads that a check needs; see `palaver.stores.sqlite.reads.Reads`."""

    name: str
    sql: Statements

    def snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see one state."""
        ...

    def parse(self, row: Row) -> tuple[SessionRow, Head, TurnRow | None]:
        """A session, its head and its newest turn."""
        ...

    def cuts_of(self, session: SessionRow) -> tuple[CutRow, ...]:
        """The session's cuts."""
        ...


class Checking:
    """One check of one store."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sql = source.sql
        self._name = source.name

    def findings(self, owner: str | None) -> list[Finding]:
        """What is wrong: everywhere, or in one owner's sessions."""
        if owner is not None:
            return [*self._check_bodies(owner), *self._check_sessions(owner), *self._check_todos(owner)]
        found = [
            Finding(kind="store", where=self._name, detail=str(r[0]))
            for r in self._sql.all("integrity")
            if r[0] != "ok"
        ]
        found += self._check_bodies(None)
        found += [
            Finding(kind="orphan", where=f"message {r[0]}", detail="it belongs to no session")
            for r in self._sql.all("check_orphans")
        ]
        found += [
            Finding(
                kind="orphan",
                where=f"key {r[1]!r} of owner {r[0]!r}",
                detail="it points at no session" if r[2] is None else f"it points at session {r[2]}, which has ended",
            )
            for r in self._sql.all("check_keys")
        ]
        found += [
            Finding(
                kind="index",
                where=f"session number {r[0]}, seq {r[1]}",
                detail="the search index has a message that is gone",
            )
            for r in self._sql.all("check_index")
        ]
        return found + self._check_media() + self._check_sessions(None) + self._check_todos(None)

    def _check_todos(self, owner: str | None) -> list[Finding]:
        values = {"owner": owner, "state": "given_up", "until": LATEST, "limit": 100}
        rows = self._sql.all("todos_in_state", values)
        return [views.given_up(views.todo(todo_row(row), row[11], row[12])) for row in rows]

    def _check_bodies(self, owner: str | None) -> list[Finding]:
        found: list[Finding] = []
        after = 0
        mine: set[int] | None = None
        if owner is not None:
            mine = {row[0] for row in self._sql.all("check_sessions") if row[2] == owner}
        while True:  # in pieces, so that no snapshot keeps the WAL from starting over
            with self._source.snapshot():
                rows = self._sql.all("check_bodies", (after, _CHECKED_AT_ONCE))
                if not rows:
                    return found
                found += self._check_references(rows, mine)
            after = rows[-1][0]
            for packed, kind, body in rows:
                if mine is not None and packed >> 32 not in mine:
                    continue
                where = f"session number {packed >> 32}, seq {packed & LAST}"
                try:
                    message = codec.decode(body, store=self._name, location=where)
                except CorruptRecord as exc:
                    found.append(Finding(kind="corrupt", where=where, detail=f"cannot be decoded: {exc.excerpt!r}"))
                    continue
                if message.seq or kind_of(message) != kind & ~(Kind.WIRE | Kind.MEDIA):
                    found.append(Finding(kind="index", where=where, detail="the row and its body disagree"))

    def _check_references(self, rows: list[Row], mine: set[int] | None) -> list[Finding]:
        """Content that a message names and nobody has; seen in one snapshot with the message."""
        found: list[Finding] = []
        for packed, kind, body in rows:
            if not kind & Kind.MEDIA or (mine is not None and packed >> 32 not in mine):
                continue
            where = f"session number {packed >> 32}, seq {packed & LAST}"
            try:
                named = media.addresses(codec.decode(body))
            except CorruptRecord:  # reported as such
                continue
            if any(not self._sql.one("has_blob", (address, packed, packed)) for address in named):
                found.append(Finding(kind="media", where=where, detail="content that it refers to is not stored"))
        return found

    def _check_media(self) -> list[Finding]:
        found = [
            Finding(
                kind="media",
                where=f"session number {number}, seq {seq}",
                detail=f"it refers to the content {address}, and one of the two is not stored",
            )
            for address, number, seq in self._sql.all("check_media_refs")
        ]
        after = 0
        while rows := self._sql.all("check_blobs", (after, _BLOBS_AT_ONCE)):
            after = rows[-1][0]
            for _, address, data, held in rows:
                if media.address_of(data) != address:
                    found.append(Finding(kind="media", where=f"content {address}", detail="its bytes are others"))
                if not held:
                    found.append(Finding(kind="media", where=f"content {address}", detail="no message refers to it"))
        return found

    def _check_sessions(self, owner: str | None) -> list[Finding]:
        found: list[Finding] = []
        sessions = self._sql.all("check_sessions")
        parents = {row[1]: row[3] for row in sessions}
        for number, session_id, whose, parent, _, _ in sessions:
            if owner is not None and whose != owner:
                continue
            with self._source.snapshot():
                row = self._sql.one("session_by_id", (session_id,))
                if row is None:
                    continue
                session, head, _ = self._source.parse(row)
                dead = merged(self._source.cuts_of(session))
                count = sum(
                    self._sql.all("count_messages", (number << 32 | low, number << 32 | high))[0][0]
                    for low, high in live_ranges(dead, 1, LAST)
                )
            if count != head.message_count:
                detail = f"it counts {head.message_count} messages and holds {count}"
                found.append(Finding(kind="count", where=f"session {session_id}", detail=detail))
            if parent is not None and parent not in parents:
                found.append(
                    Finding(kind="lineage", where=f"session {session_id}", detail=f"its parent {parent} is not stored")
                )
            seen = {session_id}
            ancestor = parent
            while ancestor is not None:
                if ancestor in seen:
                    found.append(
                        Finding(kind="lineage", where=f"session {session_id}", detail="its parents form a circle")
                    )
                    break
                seen.add(ancestor)
                ancestor = parents.get(ancestor)
        return found
