"""Reads of the SQLite store, each in one short snapshot on a connection that cannot write."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeAlias

import apsw
import msgspec

from palaver import codec, media
from palaver.erasure import Erasure, Marks, keyed
from palaver.errors import InvalidKey, SessionNotFound
from palaver.findings import Finding, Progress
from palaver.info import Page, SessionInfo, SessionName
from palaver.model import Usage
from palaver.operations.ranges import merged
from palaver.records import Chunk, SessionRecord
from palaver.rows import CutRow, Head, SessionRow, StoredMessage, TurnRow
from palaver.search import SearchPage, SearchQuery, parse
from palaver.stores import views
from palaver.stores.base import ChangePage, Erasable, OpenTurn, SessionQuery, Stats, UsageLine
from palaver.stores.searching import search_page
from palaver.stores.sqlite import recording
from palaver.stores.sqlite.checking import Checking, Report, Scope
from palaver.stores.sqlite.feed import read_changes
from palaver.stores.sqlite.fields import SESSION_FIELDS, bad_fields
from palaver.stores.sqlite.queries import migrations
from palaver.stores.sqlite.rows import (
    LAST,
    SESSION_COLUMNS,
    TURN_COLUMNS,
    compaction_row,
    cut_row,
    erasure_row,
    head_row,
    holder_of,
    newer_head,
    session_row,
    turn_row,
    usage_row,
)
from palaver.stores.sqlite.salvage import integrity
from palaver.stores.sqlite.searching import FullText, Index, Reindex, Searched, Step
from palaver.stores.sqlite.spots import Sink
from palaver.stores.sqlite.statements import Statements as SqliteStatements
from palaver.stores.sqlite.tails import KeptTail, TailCache
from palaver.stores.sqlite.upkeep import Upkeep
from palaver.stores.statements import Row, Statements
from palaver.stores.tails import StoredRow, TailRow, decoded, live_ranges, read_tail, stored_meanwhile
from palaver.times import SECOND, from_micros, to_micros
from palaver.titles import end_of_prefix
from palaver.window import Tail

__all__ = ["Lines", "Reads", "RowReads"]

_TURN = SESSION_COLUMNS + 4
_NEWEST = _TURN + TURN_COLUMNS
_HOLDS = 15
_FIELDS = {
    "notice": 9,
    "origin": 10,
    "title": 11,
    "preview": 12,
    "metadata": 13,
    "tags": 14,
    "holds": _HOLDS,
    "settings": 28,
}
"""Where a row of a session has what may be damaged; see `fields.SESSION_FIELDS`."""
_MANY = 1_000
"""Rows from which on the cyclic collector would cost more than it could ever find."""
MAX_LINES = 2_000

Lines: TypeAlias = dict[int, tuple[tuple[Any, ...], SessionInfo]]
"""Lines of lists given before, by session number, with what tells whether they still hold."""


class RowReads(ABC):
    """The reads over named statements, on one connection, used by one thread at a time.

    What is the database's own is left to subclasses: snapshots, sizes, and what it says of its own damage.
    """

    unreadable: tuple[type[Exception], ...]
    after_all_text: bytes | str
    """What is greater than every text."""
    upkeep_type: type[Upkeep] = Upkeep
    schema: int
    """The schema's version."""

    def __init__(self, sql: Statements, name: str, tails: TailCache, lines: Lines, index: Index) -> None:
        self.sql = sql
        self.name = name
        self._tails = tails
        self._lines = lines
        self._damaged: dict[str, bytes] = {}
        self._index = index

    def set_aside(self, location: str, body: bytes) -> None:
        self._damaged[location] = body

    def take_damaged(self) -> dict[str, bytes]:
        """What could not be decoded since this was last asked, by location."""
        damaged, self._damaged = self._damaged, {}
        return damaged

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see one state. One inside another is the same."""

    @abstractmethod
    def size(self) -> int:
        """Bytes that the store takes."""

    @abstractmethod
    def integrity(self) -> list[str]:
        """What the database itself says of its tables and indexes; nothing: all is well."""

    # ------------------------------------------------------------------ one session
    def _found(self, session_id: str, owner: str | None) -> tuple[SessionRow, Head, TurnRow | None]:
        return self.parse(self._row(session_id, owner))

    def _row(self, session_id: str, owner: str | None, *, deleted: bool = False) -> Row:
        row = self.sql.one("session_by_id", (session_id,))
        gone = row is None or (row[21] is not None and not deleted)
        if row is None or gone or (owner is not None and row[2] != owner):
            msg = f"no session {session_id!r}: check the id and the owner"
            raise SessionNotFound(msg)
        return row

    def parse(self, row: Row) -> tuple[SessionRow, Head, TurnRow | None]:
        newest = row[_NEWEST : _NEWEST + 3] if row[_NEWEST] is not None else None
        turn = turn_row(row[_TURN:]) if row[_TURN] is not None else None
        return session_row(row), newer_head(head_row(row[SESSION_COLUMNS:]), newest), turn

    def current(self, owner: str, key: str, now: datetime) -> SessionInfo | None:
        row = self.sql.one("session_by_key", (owner, key))
        if row is None:
            return None
        session, head, turn = self.parse(row)
        return views.info(session, head, now, turn=turn, bound_at=row[-1])

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
            session, head, turn = self._found(session_id, owner)
            keys = self.sql.all("keys_of", (session.number,))
            aliases = self.sql.all("record_aliases", (session.number,))
            used = self.sql.all("usage_of_session", (session.number,))
        return views.info(
            session,
            head,
            now,
            turn=turn,
            keys=tuple(k for _, k in keys),
            aliases=tuple(row[0] for row in aliases),
            usage=views.usage_total(usage_row(session.number, u) for u in used),
        )

    def tail(self, session_id: str, owner: str | None, now: datetime, *, limit: int) -> Tail:
        kept = self._tails.get(session_id, limit)
        if kept is not None:
            tail = self._kept_tail(kept, session_id, owner, now, limit)
            if tail is not None:
                return tail
        with self.snapshot():
            session, head, turn = self._found(session_id, owner)
            number = session.number
            summary = None
            if session.compaction:
                row = self.sql.one("compaction", (number, session.compaction))
                summary = views.summary(compaction_row(row)) if row is not None else None
            running = turn if views.held(turn, now) else None
            tail = read_tail(
                self,
                session,
                head,
                self.cuts_of(session),
                summary,
                limit=limit,
                anchor=turn.anchor if turn is not None else 0,
                running_from=running.steps_from if running is not None else None,
                waiting=self._queued(number) if running is not None else (),
            )
        if not tail.after and not tail.waiting:
            newest = turn.first_seq if turn is not None and turn.first_seq == head.last_seq else 0
            kept = KeptTail(number, session.owner, session.rev, head.last_seq, tail, newest)
            self._tails.put(session_id, limit, kept)
        return tail

    def _queued(self, number: int) -> tuple[int, ...]:
        return tuple(r[0] for r in self.sql.all("queue", (number << 32, number << 32 | LAST)))

    def _kept_tail(self, kept: KeptTail, session_id: str, owner: str | None, now: datetime, limit: int) -> Tail | None:
        """The kept tail as it is now; None where the session has changed otherwise than by growing."""
        found = kept
        state = self._tail_state(kept, limit)
        if state is None or state[0] != kept.rev or state[1] is not None:
            return None
        if owner is not None and owner != kept.owner:
            return None
        turn = turn_row(state[3:]) if state[3] is not None else None
        last = state[2] & LAST if state[2] is not None else 0
        if last != kept.last_seq:
            new = last - kept.last_seq
            if not 0 < new <= limit:
                return None
            rows = self._bodies(kept, last)
            first = _newest_turn(rows, kept)
            if first is None:
                return None
            page = decoded(self, session_id, rows)
            grown = kept.grown(tuple(page), last, limit, first) if len(page) == new else None
            if grown is None:
                return None
            kept = grown
        anchor = (turn.anchor if turn is not None else 0) or None
        if anchor not in {None, kept.tail.anchor} and all(m.seq != anchor for m in kept.tail.messages):
            return None  # it may have been cut away: a whole read knows
        running = turn.steps_from if turn is not None and views.held(turn, now) else None
        if running is not None and self._waits(kept.number):
            return None
        tail = kept.tail
        if tail.anchor != anchor or tail.running_from != running:
            tail = msgspec.structs.replace(tail, anchor=anchor, running_from=running)
            kept = msgspec.structs.replace(kept, tail=tail)
        if kept is not found:
            self._tails.put(session_id, limit, kept)
        return tail

    def _tail_state(self, kept: KeptTail, limit: int) -> Row | None:
        """See `tail_state`. `limit`: a session that has more new messages than that is read anew."""
        del limit
        base = kept.number << 32
        return self.sql.one("tail_state", (base, base | LAST, base, base | LAST, kept.number))

    def _bodies(self, kept: KeptTail, last: int) -> list[Row]:
        """What came after a kept tail, up to a position."""
        base = kept.number << 32
        return self.sql.all("bodies", (base | (kept.last_seq + 1), base | last, last - kept.last_seq))

    def _waits(self, number: int) -> bool:
        """Whether messages wait in a session."""
        return bool(self._queued(number))

    def cuts_of(self, session: SessionRow) -> tuple[CutRow, ...]:
        if not session.cut_count:
            return ()
        return tuple(cut_row(r) for r in self.sql.all("cuts", (session.number,)))

    def newest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        base = number << 32
        rows = self.sql.all("newest_messages", (base | low, base | high, limit))
        return [(r[0] & LAST, *r[1:]) for r in rows]

    def oldest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        base = number << 32
        rows = self.sql.all("oldest_messages", (base | low, base | high, limit))
        return [(r[0] & LAST, *r[1:]) for r in rows]

    def one(self, number: int, seq: int) -> StoredMessage | None:
        row = self.sql.one("message", (number << 32 | seq,))
        return StoredMessage(seq, *row) if row is not None else None

    def page(
        self,
        session_id: str,
        owner: str | None,
        *,
        after: int,
        before: int | None,
        limit: int,
        newest: bool,
        live: bool,
    ) -> Page:
        if limit >= _MANY:
            with codec.no_gc():
                return self._page(session_id, owner, after, before, limit, newest=newest, live=live)
        return self._page(session_id, owner, after, before, limit, newest=newest, live=live)

    def _page(
        self,
        session_id: str,
        owner: str | None,
        after: int,
        before: int | None,
        limit: int,
        *,
        newest: bool,
        live: bool,
    ) -> Page:
        with self.snapshot():
            session, head, _ = self._found(session_id, owner)
            high = head.last_seq if before is None else min(before - 1, head.last_seq)
            dead = merged(self.cuts_of(session)) if live else []
            ranges = live_ranges(dead, max(after, 0) + 1, high)
            base = session.number << 32
            number = session.number
            rows: list[StoredRow] = []
            if newest:
                for low, top in reversed(ranges):
                    rows.extend((r[0], r[1], r[4], r[5]) for r in self.newest(number, low, top, limit - len(rows)))
                    if len(rows) >= limit:
                        break
                rows.reverse()
            else:
                for low, top in ranges:
                    got = self.sql.all("page", (base | low, base | top, limit - len(rows)))
                    rows = got if not rows else rows + got
                    if len(rows) >= limit:
                        break
        return decoded(self, session_id, rows)

    def turn(self, session_id: str, owner: str | None, first_seq: int | None) -> TurnRow | None:
        with self.snapshot():
            session, _, turn = self._found(session_id, owner)
            if first_seq is None:
                return turn
            row = self.sql.one("turn", (session.number << 32 | first_seq,)) if 0 < first_seq <= LAST else None
            return turn_row(row) if row is not None else None

    def turn_messages(self, session_id: str, owner: str | None, first_seq: int) -> Page:
        if not 0 < first_seq <= LAST:
            return Page()
        with self.snapshot():
            session, head, _ = self._found(session_id, owner)
            base = session.number << 32
            row = self.sql.one("turn", (base | first_seq,))
            if row is None:
                return Page()
            last = turn_row(row).end_seq or head.last_seq
            stored = self.sql.all("turn_bodies", (base | first_seq, base | last, first_seq))
            rows: dict[int, StoredRow] = {r[0]: (r[0], r[1], r[2], r[3]) for r in stored}
            for seq in turn_row(row).taken:
                taken = self.sql.one("message", (base | seq,))
                if taken is not None:
                    rows[seq] = (seq, taken[0], taken[3], taken[4])
            dead = merged(self.cuts_of(session))
        live = [rows[seq] for seq in sorted(rows) if not any(low <= seq <= high for low, high in dead)]
        return decoded(self, session_id, live)

    def queued(self, session_id: str, owner: str | None) -> Page:
        with self.snapshot():
            session, _, _ = self._found(session_id, owner)
            base = session.number << 32
            seqs = self.sql.all("queue", (base, base | LAST))
            rows = [(s[0], self.sql.one("message", (base | s[0],))) for s in seqs]
        return decoded(self, session_id, [(seq, r[0], r[3], r[4]) for seq, r in rows if r is not None])

    def versions(self, session_id: str, owner: str | None, seq: int) -> Page:
        with self.snapshot():
            session, _, _ = self._found(session_id, owner)
            stored = self.one(session.number, seq) if 0 < seq <= LAST else None
            rows = self.sql.all("versions", (session.number << 32 | seq,)) if stored is not None else []
        at = stored.at if stored is not None else 0
        return decoded(self, session_id, [(seq, row[2], at, row[3]) for row in rows])

    def blobs(self, session_id: str, owner: str | None, addresses: Sequence[str]) -> dict[str, bytes]:
        with self.snapshot():
            session, _, _ = self._found(session_id, owner)
            base = session.number << 32
            rows = [(address, self.sql.one("blob", (address, base, base | LAST))) for address in addresses]
        found = {address: row[0] for address, row in rows if row is not None}
        for address, data in found.items():
            if media.address_of(data) != address:
                self.set_aside(f"media {address}", data)
        return {address: data for address, data in found.items() if f"media {address}" not in self._damaged}

    # ------------------------------------------------------------------ copying
    def _any(self, session_id: str, owner: str | None) -> tuple[SessionRow, Head]:
        """A session, also a deleted one."""
        row = self.sql.one("session_by_id", (session_id,))
        if row is None or (owner is not None and row[2] != owner):
            msg = f"no session {session_id!r}: check the id and the owner"
            raise SessionNotFound(msg)
        session, head, _ = self.parse(row)
        return session, head

    def record(self, session_id: str, owner: str | None) -> SessionRecord:
        with self.snapshot():
            return recording.record(self.sql, *self._any(session_id, owner))

    def chunk(self, session_id: str, owner: str | None, *, after: int, limit: int, media: bool) -> Chunk:
        with self.snapshot():
            session, head = self._any(session_id, owner)
            holders = partial(self._holders, session.number)
            return recording.chunk(self.sql, session, head, holders, after=after, limit=limit, media=media)

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
                Erasable(session_row(r), _listed_head(r).last_seq, tuple(self.sql.all("keys_of", (r[0],))), r[-1])
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
            rows = self.sql.all(name, values)
            numbers = "[" + ",".join([str(r[0]) for r in rows]) + "]"
            keys: dict[int, list[str]] = {}
            for owner_number, key in self.sql.all("keys_of_many", (numbers,)):
                keys.setdefault(owner_number, []).append(key)
            running = {r[0]: r for r in self.sql.all("running")}
        lines = [self._line(row, tuple(keys.get(row[0], ())), now) for row in rows]
        if not running:
            return lines
        return [
            msgspec.structs.replace(line, turn_running=True) if _is_held(running.get(row[0]), now) else line
            for row, line in zip(rows, lines, strict=True)
        ]

    def _line(self, row: Row, keys: tuple[str, ...], now: datetime) -> SessionInfo:
        """One line of a list; the one given before, where everything that it shows is as it was."""
        newest = row[SESSION_COLUMNS + 4]
        state = (row[4], row[SESSION_COLUMNS], row[SESSION_COLUMNS + 2], newest, keys)
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
        out: list[OpenTurn] = []
        for row in rows:
            turn = turn_row(row)
            out.append(
                OpenTurn(
                    session_id=row[TURN_COLUMNS],
                    owner=row[TURN_COLUMNS + 1],
                    first_seq=turn.first_seq,
                    began_at=from_micros(turn.began_at),
                    expires_at=from_micros(turn.expires_at),
                    alive=views.held(turn, now),
                )
            )
        return out

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
        row = self.sql.one("session_by_id", (session_id,))
        if row is None or (owner is not None and row[2] != owner):
            raise SessionNotFound(f"no session {session_id!r}: check the id and the owner")
        number: int = row[0]
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

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        if self._connection.in_transaction:
            yield
            return
        self.sql.script("BEGIN")
        try:
            yield
        finally:
            self.sql.script("COMMIT")

    def size(self) -> int:
        path = self._connection.db_filename("main")
        return sum(os.stat(p).st_size for p in (path, f"{path}-wal") if os.path.exists(p))  # noqa: PTH110, PTH116

    def integrity(self) -> list[str]:
        return integrity(self._connection)


_FURTHEST = 1 << 62
_NARROWED = {"list_all": "list_all_narrowed", "list_owner": "list_owner_narrowed"}
_BEGINNING = {
    ("title", False): "titles_of_owner",
    ("title", True): "titles_of_all",
    ("id", False): "ids_of_owner",
    ("id", True): "ids_of_all",
}


def _listed(row: Row, keys: tuple[str, ...], now: datetime) -> SessionInfo:
    """One line of a list. The row knows the newest message only to the second; its position is completed.

    What of it is damaged is left out and named: one session hides no other.
    """
    try:
        return views.info(session_row(row), _listed_head(row), now, keys=keys)
    except (msgspec.MsgspecError, InvalidKey, RecursionError):
        bad = bad_fields(SESSION_FIELDS, [row[_FIELDS[name]] for name in SESSION_FIELDS])
        if not bad:
            raise
    without = list(row)
    for name in bad:
        without[_FIELDS[name]] = None
    found = views.info(session_row(tuple(without)), _listed_head(row), now, keys=keys)
    return msgspec.structs.replace(found, unreadable=tuple(bad))


def _newest_turn(rows: list[Row], kept: KeptTail) -> int | None:
    """The turn of the newest message (0: none); None where one of these may have another place in the window.

    What is stored while a turn runs that it does not belong to comes after that turn (`tails.stored_meanwhile`). So
    these may follow what is kept where they do not interleave, and no turn that had ended goes on.
    """
    if stored_meanwhile([(r[0], r[4]) for r in rows]):
        return None
    owns = [r[0] - r[4] + 1 for r in rows if r[4]]
    if any(own <= kept.last_seq and own != kept.turn for own in owns):
        return None
    return owns[-1] if rows[-1][4] else 0


def _is_held(running: Row | None, now: datetime) -> bool:
    return running is not None and views.is_held(running[2], holder_of(running[1]), now)


def _listed_head(row: Row) -> Head:
    head = head_row(row[SESSION_COLUMNS:])
    newest = row[SESSION_COLUMNS + 4]
    if newest is None:
        return head
    seq = newest & LAST
    return Head(seq, head.message_count + seq - head.last_seq, head.last_active, head.user_seq)
