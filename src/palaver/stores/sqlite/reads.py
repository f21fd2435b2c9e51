"""All reads of a store that keeps rows, each in one short snapshot, and those of the SQLite file."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import apsw
import msgspec

from palaver.erasure import Erasure, Marks, keyed
from palaver.errors import CorruptRecord, PalaverError, SessionNotFound
from palaver.findings import Finding, Progress
from palaver.model import Usage
from palaver.records import Chunk, Piece, SessionRecord
from palaver.rows import Head, SessionRow, TurnRow
from palaver.search import SearchPage, SearchQuery, parse
from palaver.stores import views
from palaver.stores.base import ChangePage, Erasable, Stats, UsageLine
from palaver.stores.searching import search_page
from palaver.stores.sqlite import recording
from palaver.stores.sqlite.checking import Checking, Report, Scope
from palaver.stores.sqlite.feed import read_changes
from palaver.stores.sqlite.fields import legible, sound
from palaver.stores.sqlite.indexing import Index, Reindex, State, Step
from palaver.stores.sqlite.parts import Parts
from palaver.stores.sqlite.queries import migrations
from palaver.stores.sqlite.recording import Wanted
from palaver.stores.sqlite.rows import DELETED, erasure_row, usage_row
from palaver.stores.sqlite.salvage import integrity
from palaver.stores.sqlite.searching import FullText, Searched
from palaver.stores.sqlite.sessions import Lines, SessionReads, listed_head
from palaver.stores.sqlite.spots import Sink
from palaver.stores.sqlite.statements import Statements as SqliteStatements
from palaver.stores.sqlite.tails import TailCache, TailReads
from palaver.stores.sqlite.transcripts import TranscriptReads
from palaver.stores.sqlite.upkeep import Upkeep
from palaver.stores.statements import Ask, Row, Statements
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
            return recording.records(self, [self._any(session_id, owner)])[0]

    def chunk(self, session_id: str, owner: str | None, *, after: int, limit: int, media: bool) -> Chunk:
        with self.snapshot():
            wanted = Wanted(*self._any(session_id, owner), after)
            return recording.chunks(self, [wanted], limit, media=media)[0]

    def pieces(self, asked: Sequence[tuple[str, int]], *, limit: int) -> list[Piece | PalaverError]:
        """See `Store.pieces`. All of them are of one snapshot.

        Raises CorruptRecord where anything of them lies on a damaged page: singly more of it can be read.
        """
        try:
            return self._pieces(asked, limit)
        except self.unreadable as exc:
            raise CorruptRecord(f"some of {len(asked)} sessions cannot be read", store=self.name) from exc

    def _pieces(self, asked: Sequence[tuple[str, int]], limit: int) -> list[Piece | PalaverError]:
        with self.snapshot():
            found: list[Wanted | PalaverError] = []
            turns: list[TurnRow | None] = []
            rows = self.together([("session_by_id", (session_id,)) for session_id, _ in asked])
            left = limit
            for (session_id, after), [*row] in zip(asked, rows, strict=True):
                each = self._wanted(session_id, after, row)
                if isinstance(each, Wanted):
                    left -= max(0, each.head.last_seq - after)
                    turns.append(self._portable_turn(row[0]))
                found.append(each)
                if limit and left <= 0:
                    break
            sessions = [each for each in found if isinstance(each, Wanted)]
            chunks: list[Chunk] | list[None] = [None] * len(sessions)
            if limit and sessions:
                chunks = recording.chunks(self, sessions, limit, media=True)
            whole = sessions[: len(chunks)]
            records = recording.records(self, [(each.session, each.head) for each in whole])
        pieces = [
            Piece(record=record, turn=turn, chunk=chunk)
            for record, turn, chunk in zip(records, turns, chunks, strict=False)
        ]
        return list(_in_place(found, pieces))

    def _wanted(self, session_id: str, after: int, rows: Sequence[Row]) -> Wanted | PalaverError:
        try:
            row = self._require(session_id, rows[0] if rows else None, None, deleted=True)
            return Wanted(sound(row, self.name), self.state(row)[0], after)
        except (SessionNotFound, CorruptRecord) as refusal:
            return refusal

    def _portable_turn(self, row: Row) -> TurnRow | None:
        turn = self.state(row)[1] if row[DELETED] is None else None
        return msgspec.structs.replace(turn, session=0) if turn is not None else None

    def together(self, asks: Sequence[Ask]) -> list[list[Row]]:
        """The rows that several statements give: where each takes a round trip, in one."""
        return [self.sql.all(*ask) for ask in asks]

    def holders_asks(self, number: int, ids: Sequence[str]) -> list[Ask]:
        """What to ask to know at which positions of a session the messages are that ids name."""
        return [("message_seq", (number, each)) for each in ids]

    def holders(self, ids: Sequence[str], answers: Sequence[list[Row]]) -> dict[str, int | None]:
        """These positions."""
        return {each: rows[0][0] for each, rows in zip(ids, answers, strict=True) if rows}

    # ------------------------------------------------------------------ erasing
    def erasable(self, after: int, *, limit: int, owner: str | None, session_id: str | None) -> list[Erasable]:
        with self.snapshot():
            given = {"after": after, "limit": limit, "owner": owner, "session": session_id}
            rows = self.sql.all("erasable", given)
            keys = self.together([("keys_of", (r[0],)) for r in rows])
            return [
                Erasable(legible(r), listed_head(r).last_seq, tuple(each), r[-1])
                for r, each in zip(rows, keys, strict=True)
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

    def index_step(self, limit: int, at: int, state: State | None = None) -> Step | Reindex | None:
        """What brings the search index further; None: it has everything. `state`: see `Index.step`."""
        with self.snapshot():
            return Reindex(at=at) if self._index.is_lost() else self._index.step(limit, at, state)

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


def _in_place(found: Sequence[Wanted | PalaverError], pieces: Sequence[Piece]) -> Iterator[Piece | PalaverError]:
    """The pieces with what was refused between them, as far as there are pieces."""
    left = iter(pieces)
    for each in found:
        if isinstance(each, PalaverError):
            yield each
        elif (piece := next(left, None)) is not None:
            yield piece
        else:
            return
