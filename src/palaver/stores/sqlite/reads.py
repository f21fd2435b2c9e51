"""All reads of a store that keeps rows, each in one short snapshot, and those of the SQLite file."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

import apsw

from palaver.erasure import Erasure, Marks, keyed
from palaver.findings import Finding, Progress
from palaver.model import Usage
from palaver.records import Chunk, SessionRecord
from palaver.rows import Head, SessionRow
from palaver.search import SearchPage, SearchQuery, parse
from palaver.stores import views
from palaver.stores.base import ChangePage, Erasable, Stats, UsageLine
from palaver.stores.searching import search_page
from palaver.stores.sqlite import recording
from palaver.stores.sqlite.checking import Checking, Report, Scope
from palaver.stores.sqlite.feed import read_changes
from palaver.stores.sqlite.fields import legible, sound
from palaver.stores.sqlite.parts import Parts
from palaver.stores.sqlite.queries import migrations
from palaver.stores.sqlite.rows import erasure_row, usage_row
from palaver.stores.sqlite.salvage import integrity
from palaver.stores.sqlite.searching import FullText, Index, Reindex, Searched, Step
from palaver.stores.sqlite.sessions import Lines, SessionReads, listed_head
from palaver.stores.sqlite.spots import Sink
from palaver.stores.sqlite.statements import Statements as SqliteStatements
from palaver.stores.sqlite.tails import TailCache, TailReads
from palaver.stores.sqlite.transcripts import TranscriptReads
from palaver.stores.sqlite.upkeep import Upkeep
from palaver.stores.statements import Row, Statements
from palaver.times import SECOND, to_micros

__all__ = ["Lines", "Reads", "RowReads"]


class RowReads(TailReads, TranscriptReads, SessionReads):
    """The reads over named statements, on one connection, used by one thread at a time.

    What is the database's own is left to subclasses: snapshots, sizes, and what it says of its own damage.
    """

    unreadable: tuple[type[Exception], ...]
    upkeep_type: type[Upkeep] = Upkeep
    schema: int
    """The schema's version."""

    def __init__(self, sql: Statements, name: str, tails: TailCache, lines: Lines, index: Index) -> None:
        super().__init__(sql, name)
        self._tails = tails
        self._lines = lines
        self._index = index

    @abstractmethod
    def size(self) -> int:
        """Bytes that the store takes."""

    @abstractmethod
    def integrity(self) -> list[str]:
        """What the database itself says of its tables and indexes; nothing: all is well."""

    def lost(self, number: int) -> str:
        """Which messages of a session cannot be read, in words; nothing where that is not known."""
        del number
        return ""

    # ------------------------------------------------------------------ copying
    def _any(self, session_id: str, owner: str | None) -> tuple[SessionRow, Head]:
        """A session, also a deleted one. Raises CorruptRecord: a copy that lacks something is none."""
        row = self._row(session_id, owner, deleted=True)
        return sound(row, self.name), self.state(row)[0]

    def record(self, session_id: str, owner: str | None) -> SessionRecord:
        with self.snapshot():
            return recording.record(self.sql, *self._any(session_id, owner))

    def chunk(self, session_id: str, owner: str | None, *, after: int, limit: int, media: bool) -> Chunk:
        with self.snapshot():
            session, head = self._any(session_id, owner)
            holders = partial(self._holders, session.number)
            return recording.chunk(
                self.sql, session, head, holders, after=after, limit=limit, media=media, unreadable=self.unreadable
            )

    def _holders(self, number: int, ids: Sequence[str]) -> dict[str, int | None]:
        """At which positions of a session the messages are that ids name."""
        rows = ((each, self.sql.one("message_seq", (number, each))) for each in ids)
        return {each: row[0] for each, row in rows if row is not None}

    # ------------------------------------------------------------------ erasing
    def erasable(self, after: int, *, limit: int, owner: str | None, session_id: str | None) -> list[Erasable]:
        with self.snapshot():
            given = {"after": after, "limit": limit, "owner": owner, "session": session_id}
            rows = self.sql.all("erasable", given)
            return [
                Erasable(legible(r), listed_head(r).last_seq, tuple(self.sql.all("keys_of", (r[0],))), r[-1])
                for r in rows
            ]

    def erasures(self) -> list[Erasure]:
        return [erasure_row(row) for row in self.sql.all("erasures")]

    def erased(self, marks: Sequence[bytes]) -> dict[bytes, int]:
        with self.snapshot():
            found = self.sql.one("meta", ("erasure_secret",))
            if found is None:
                return {}
            secret = bytes.fromhex(found[0])
            rows = ((each, self.sql.one("erased", (keyed(secret, each),))) for each in marks)
            return {each: row[0] for each, row in rows if row is not None}

    def marks(self, after: bytes, *, limit: int) -> Marks:
        with self.snapshot():
            found = self.sql.one("meta", ("erasure_secret",))
            if found is None:
                return Marks()
            return Marks(bytes.fromhex(found[0]), tuple(self.sql.all("erased_after", (after, limit))))

    # ------------------------------------------------------------------ many sessions
    def changes(self, after: str | None, *, limit: int, session_id: str | None, owner: str | None) -> ChangePage:
        return read_changes(self.sql, self.snapshot, after, limit=limit, session_id=session_id, owner=owner)

    def usage(self, owner: str | None, *, session_id: str | None, since: datetime | None) -> list[UsageLine]:
        day = to_micros(since) // (86_400 * SECOND) if since is not None else 0
        rows = self.sql.all("usage_lines", {"day": day, "owner": owner, "session": session_id})
        return [views.usage_line(r[0], r[1], usage_row(0, r[2:])) for r in rows]

    # ------------------------------------------------------------------ searching
    def search(self, query: SearchQuery) -> SearchPage:
        with self.snapshot():
            session = None
            if query.session_id is not None:
                session = self._found(query.session_id, query.owner)[0].number
            page = search_page(Searched(self, self._index, session), query, parse(query.text))
            page.behind = self._index.behind()
        return page

    def index_step(self, limit: int, at: int) -> Step | Reindex | None:
        """What brings the search index further; None: it has everything."""
        with self.snapshot():
            return Reindex(at=at) if self._index.is_lost() else self._index.step(limit, at)

    def index_behind(self) -> int:
        with self.snapshot():
            return self._index.behind()

    # ------------------------------------------------------------------ sweeping
    @contextmanager
    def upkeep(self) -> Generator[Upkeep]:
        """The reads of a sweep, in one snapshot."""
        with self.snapshot():
            yield self.upkeep_type(self)

    def number_of(self, session_id: str, owner: str | None) -> int:
        """The number of a session, deleted or not. Raises SessionNotFound."""
        number: int = self._row(session_id, owner, deleted=True)[0]
        return number

    # ------------------------------------------------------------------ the whole store
    def stats(self, owner: str | None) -> Stats:
        with self.snapshot():
            sessions, owners, messages = self.sql.all("totals", {"owner": owner})[0]
            used = self.sql.all("usage_totals", {"owner": owner})[0]
            running = len(self.sql.all("running_turns", {"owner": owner}))
            stored_codec = self.sql.all("meta", ("codec",))[0][0]
        return Stats(
            store=self.name,
            sessions=sessions,
            messages=messages,
            open_turns=running,
            owners=owners,
            size_bytes=self.size(),
            usage=Usage(
                input_tokens=used[0],
                output_tokens=used[1],
                cached_tokens=used[2],
                cache_write_tokens=used[3],
                reasoning_tokens=used[4],
                cost=used[5] * views.NANO if used[7] else None,
            ),
            calls=used[6],
            priced_calls=used[7],
            schema=self.schema,
            codec=int(stored_codec),
        )

    def check(self, scope: Scope, *, notes: bool, progress: Progress | None) -> list[Finding]:
        report = Report(self)
        Checking(self, report.take, progress).run(scope, notes=notes)
        return report.all()

    def spots(self, sink: Sink) -> None:
        """Everything that is wrong, as a repair takes it."""
        Checking(self, sink).run(Scope())


class Reads(RowReads):
    """The reads of a SQLite file."""

    unreadable = (apsw.CorruptError, UnicodeDecodeError)  # the latter: a TEXT column that is none any more
    after_all_text = b""
    schema = len(migrations())

    def __init__(self, connection: apsw.Connection, name: str, tails: TailCache, lines: Lines) -> None:
        sql = SqliteStatements(connection)
        super().__init__(sql, name, tails, lines, FullText(sql, name))
        self._connection = connection
        self._parts = Parts(sql, self.unreadable)

    def close(self) -> None:
        self._connection.close()

    # ------------------------------------------------------------------ of a file that is damaged
    def _by_id(self, session_id: str) -> Row | None:
        try:
            return super()._by_id(session_id)
        except self.unreadable:
            return self._parts.session_by_id(session_id)

    def _by_key(self, owner: str, key: str) -> Row | None:
        try:
            return super()._by_key(owner, key)
        except self.unreadable:
            return self._parts.session_by_key(owner, key)

    def _page_of(self, name: str, values: dict[str, Any]) -> list[Row]:
        try:
            return super()._page_of(name, values)
        except self.unreadable:
            return self._parts.listed(values)

    def _running(self) -> dict[int, Row]:
        try:
            return super()._running()
        except self.unreadable:
            return self._parts.running()

    def lost(self, number: int) -> str:
        return self._parts.lost(number)

    @contextmanager
    def snapshot(self) -> Generator[None]:
        if self._connection.in_transaction:
            yield
            return
        self.sql.script("BEGIN")
        try:
            yield
        finally:
            try:
                self.sql.script("COMMIT")
            except apsw.CorruptError:
                # SQLite says once more what it said of a statement, which was answered for then, and ends all the same.
                if self._connection.in_transaction:
                    raise

    def size(self) -> int:
        path = self._connection.db_filename("main")
        return sum(os.stat(p).st_size for p in (path, f"{path}-wal") if os.path.exists(p))  # noqa: PTH110, PTH116

    def integrity(self) -> list[str]:
        return integrity(self._connection)
