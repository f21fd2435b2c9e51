"""The memory store: dicts behind a lock. The reference that the others are held against, and the incognito store."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import msgspec

from palaver import codec
from palaver.backups import Backup
from palaver.codec import CODEC_VERSION
from palaver.erasure import Erasure, Marks, ScrubReport
from palaver.errors import CorruptRecord, SessionNotFound, StoreClosed, StoreUnavailable
from palaver.findings import Finding, Findings, Progress, Repaired, finding
from palaver.info import Page, SessionInfo, SessionName, Todo, TodoState
from palaver.model import Usage
from palaver.operations import Operation
from palaver.operations.ranges import merged
from palaver.records import Chunk, ImportMark, KeyRecord, SessionRecord
from palaver.rows import (
    MOST,
    SUBAGENT,
    Binding,
    ChangeKind,
    CompactionRow,
    CutRow,
    Head,
    SessionRow,
    StoredMessage,
    TodoRow,
    TurnRow,
    UsageRow,
    VersionRow,
)
from palaver.search import SearchPage, SearchQuery, Term, is_searchable, match, parse, searched_text
from palaver.search.values import CATCH_UP
from palaver.stores import upkeep, views
from palaver.stores.base import Change, ChangePage, Erasable, OpenTurn, SessionQuery, Stats, Store, UsageLine
from palaver.stores.erasing import unfinished
from palaver.stores.ledger import CachedLedger, ChangeRow
from palaver.stores.recording import chunk_of, fitting, portable, portable_todo
from palaver.stores.searching import Candidate, Found, search_page
from palaver.stores.tails import TailRow, decoded, live_ranges, read_tail
from palaver.stores.waking import Wakes
from palaver.sweeping import Standing, SweepQuery
from palaver.times import EARLIEST, LATEST, SECOND, from_micros, to_micros
from palaver.titles import folded
from palaver.window import Tail

__all__ = ["MemoryStore"]


class _Ledger(CachedLedger):
    """Its tables are the store itself: there is nothing to load, and nothing is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def _load_session(self, number: int) -> SessionRow | None:
        return None

    def _load_number(self, session_id: str) -> int | None:
        return None

    def _load_head(self, number: int) -> Head | None:
        return None

    def _load_binding(self, key: tuple[str, str]) -> Binding | None:
        return None

    def _load_keys(self, number: int) -> tuple[tuple[str, str], ...] | None:
        return None

    def _load_subagents(self, session_id: str) -> list[int]:
        return [
            number
            for number, row in self.sessions.rows.items()
            if row is not None and row.parent == session_id and row.parent_kind == SUBAGENT
        ]

    def _load_alias(self, key: tuple[str, str]) -> int | None:
        return None

    def _load_titled(self, key: tuple[str, str]) -> int | None:
        return None

    def _first_turns_after(self, number: int, seq: int) -> list[int]:
        return [first for n, first in self.turns.rows if n == number and first > seq]

    def _load_turn_seqs(self, number: int, first_seq: int, last_seq: int) -> list[int]:
        out: list[int] = []
        for seq in range(first_seq, last_seq + 1):
            m = self.messages.rows.get((number, seq))
            if m is not None and m.turn and seq - m.turn + 1 == first_seq:
                out.append(seq)
        return out

    def _load_message(self, key: tuple[int, int]) -> StoredMessage | None:
        return None

    def _load_versions(self, key: tuple[int, int]) -> tuple[VersionRow, ...] | None:
        return None

    def _find_edit(self, number: int, from_seq: int, through_seq: int, rev: int) -> bool:
        return False

    def _load_references(self, owner: str, address: str) -> list[tuple[int, int]]:
        return []

    def _load_message_seq(self, key: tuple[int, str]) -> int | None:
        return None

    def _load_turn(self, key: tuple[int, int]) -> TurnRow | None:
        return None

    def _load_last_turn(self, number: int) -> int | None:
        return None

    def _load_queue(self, number: int) -> tuple[int, ...] | None:
        return None

    def _load_todo(self, number: int) -> TodoRow | None:
        return None

    def _load_cuts(self, number: int) -> tuple[CutRow, ...] | None:
        return None

    def _load_compactions(self, number: int) -> tuple[CompactionRow, ...] | None:
        return None

    def _load_usage(self, key: tuple[int, int, str]) -> UsageRow | None:
        return None

    def _load_import_mark(self, number: int) -> ImportMark | None:
        return None

    def _load_erasure(self, erasure_id: str) -> Erasure | None:
        return None

    def _load_secret(self, _name: str) -> bytes | None:
        return None

    def _load_erased(self, mark: bytes) -> int | None:
        return None

    def _load_aliases(self, number: int) -> list[tuple[str, str]]:
        return [name for name, to in self.aliases_by_name.rows.items() if to == number]


class MemoryStore(Store):
    """See `palaver.stores.base.Store`. Nothing outlives the process: durable means that the lock was released."""

    name = "memory://"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._ledger = _Ledger()
        self._changes: list[ChangeRow] = []
        self.wakes = Wakes()
        self._pruned = 0
        self._closed = False

    @contextmanager
    def _open(self) -> Generator[_Ledger]:
        with self._lock:
            if self._closed:
                msg = f"{self.name} is closed: open it again"
                raise StoreClosed(msg)
            yield self._ledger

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        with self._open() as ledger:
            try:
                results = ledger.run(operations)
            except BaseException:
                ledger.abandon()
                raise
            for key in [k for k, m in ledger.messages.changed() if m is None]:
                del ledger.messages.rows[key]
            for number, low, high in ledger.purges:
                for seq in range(low, high + 1):
                    ledger.messages.rows.pop((number, seq), None)
                for ref in [r for r in ledger.media_refs.rows if r[1] == number and low <= r[2] <= high]:
                    del ledger.media_refs.rows[ref]
            if ledger.purges:
                held = {address for address, _, _ in ledger.media_refs.rows}
                for address in ledger.blobs.rows.keys() - held:
                    del ledger.blobs.rows[address]
            self._changes.extend(ledger.changes)
            ledger.flushed()
        self.wakes.wake()
        return results

    # ------------------------------------------------------------------ one session
    def _found(self, ledger: _Ledger, session_id: str, owner: str | None, *, deleted: bool = False) -> SessionRow:
        row = ledger.find(session_id)
        gone = row is None or (row.deleted_at is not None and not deleted)
        if row is None or gone or (owner is not None and row.owner != owner):
            msg = f"no session {session_id!r}: check the id and the owner"
            raise SessionNotFound(msg)
        return row

    def current(self, owner: str, key: str, now: datetime) -> SessionInfo | None:
        with self._open() as ledger:
            binding = ledger.binding(owner, key)
            if binding is None:
                return None
            number = binding.session
            return views.info(
                ledger.session(number),
                ledger.head(number),
                now,
                turn=ledger.last_turn(number),
                bound_at=binding.since,
            )

    def named(self, owner: str | None, alias: str) -> str | None:
        with self._open() as ledger:
            number = ledger.alias(owner or "", alias)
            return ledger.session(number).id if number is not None else None

    def beginning(self, owner: str | None, text: str, *, by: Literal["title", "id"], limit: int) -> list[SessionName]:
        with self._open() as ledger:
            rows = [r for r in ledger.sessions.rows.values() if r is not None and r.deleted_at is None]
            named = [(r.id if by == "id" else folded(r.title or ""), r) for r in rows if by == "id" or r.title]
            found = [(name, r) for name, r in named if name.startswith(text) and owner in {None, r.owner}]
            found.sort(key=lambda pair: (pair[0], pair[1].number))
            return [SessionName(id=r.id, title=r.title, owner=r.owner or None) for _, r in found[:limit]]

    def info(self, session_id: str, owner: str | None, now: datetime) -> SessionInfo:
        with self._open() as ledger:
            row = self._found(ledger, session_id, owner)
            used = [u for u in ledger.usage_rows.rows.values() if u is not None and u.session == row.number]
            return views.info(
                row,
                ledger.head(row.number),
                now,
                turn=ledger.last_turn(row.number),
                keys=self._keys(ledger, row.number),
                aliases=_aliases(ledger, row.number),
                usage=views.usage_total(used),
            )

    def _keys(self, ledger: _Ledger, number: int) -> tuple[str, ...]:
        """The keys that point at a session, oldest binding first."""
        bound = [(ledger.bindings.rows.get(k), k[1]) for k in ledger.keys(number)]
        return tuple(key for _, key in sorted((b.since if b is not None else 0, key) for b, key in bound))

    def tail(self, session_id: str, owner: str | None, now: datetime, *, limit: int) -> Tail:
        with self._open() as ledger:
            row = self._found(ledger, session_id, owner)
            number = row.number
            compaction = next((c for c in ledger.compactions(number) if c.id == row.compaction), None)
            turn = ledger.last_turn(number)
            running = turn if views.held(turn, now) else None
            return read_tail(
                self,
                row,
                ledger.head(number),
                ledger.cuts(number),
                views.summary(compaction) if compaction is not None else None,
                limit=limit,
                anchor=turn.anchor if turn is not None else 0,
                running_from=running.steps_from if running is not None else None,
                waiting=ledger.queued(number) if running is not None else (),
            )

    def newest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        return self._some(number, range(high, low - 1, -1), limit)

    def oldest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        return self._some(number, range(low, high + 1), limit)

    def _some(self, number: int, seqs: range, limit: int) -> list[TailRow]:
        rows = self._ledger.messages.rows
        out: list[TailRow] = []
        for seq in seqs:
            if len(out) >= limit:
                break
            m = rows.get((number, seq))
            if m is not None:
                out.append((seq, m.kind, m.back, m.turn, m.at, m.body))
        return out

    def one(self, number: int, seq: int) -> StoredMessage | None:
        return self._ledger.messages.rows.get((number, seq))

    def set_aside(self, location: str, body: bytes) -> None:
        """Nothing in memory is damaged by a disk; what was put in is what is here."""

    def page(
        self,
        session_id: str,
        owner: str | None,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest: bool = False,
        live: bool = True,
    ) -> Page:
        with self._open() as ledger:
            row = self._found(ledger, session_id, owner)
            last = ledger.head(row.number).last_seq
            high = last if before is None else min(before - 1, last)
            ranges = live_ranges(merged(ledger.cuts(row.number)) if live else [], after + 1, high)
            rows: list[TailRow] = []
            for low, top in reversed(ranges) if newest else ranges:
                read = self.newest if newest else self.oldest
                rows.extend(read(row.number, low, top, limit - len(rows)))
            if newest:
                rows.reverse()
            return decoded(self, row.id, [(r[0], r[1], r[4], r[5]) for r in rows])

    def turn(self, session_id: str, owner: str | None, first_seq: int | None = None) -> TurnRow | None:
        with self._open() as ledger:
            number = self._found(ledger, session_id, owner).number
            return ledger.last_turn(number) if first_seq is None else ledger.turns.rows.get((number, first_seq))

    def turn_messages(self, session_id: str, owner: str | None, first_seq: int) -> Page:
        with self._open() as ledger:
            number = self._found(ledger, session_id, owner).number
            turn = ledger.turns.rows.get((number, first_seq))
            if turn is None:
                return Page()
            dead = merged(ledger.cuts(number))
            seqs = sorted({*ledger.turn_seqs(turn), *turn.taken})
            found = [ledger.message(number, s) for s in seqs if not any(low <= s <= high for low, high in dead)]
            return decoded(self, session_id, [(m.seq, m.kind, m.at, m.body) for m in found if m is not None])

    def queued(self, session_id: str, owner: str | None) -> Page:
        with self._open() as ledger:
            number = self._found(ledger, session_id, owner).number
            found = [ledger.message(number, seq) for seq in ledger.queued(number)]
            return decoded(self, session_id, [(m.seq, m.kind, m.at, m.body) for m in found if m is not None])

    def versions(self, session_id: str, owner: str | None, seq: int) -> Page:
        with self._open() as ledger:
            number = self._found(ledger, session_id, owner).number
            stored = ledger.message(number, seq)
            if stored is None:
                return Page()
            return decoded(self, session_id, [(seq, v.kind, stored.at, v.body) for v in ledger.versions(number, seq)])

    def blobs(self, session_id: str, owner: str | None, addresses: Sequence[str]) -> dict[str, bytes]:
        with self._open() as ledger:
            number = self._found(ledger, session_id, owner).number
            mine = {address for address, n, _ in ledger.media_refs.rows if n == number}
            return {a: data for a in addresses if a in mine and (data := ledger.blobs.rows.get(a)) is not None}

    # ------------------------------------------------------------------ copying
    def _any(self, ledger: _Ledger, session_id: str, owner: str | None) -> SessionRow:
        """A session, also a deleted one."""
        row = ledger.find(session_id)
        if row is None or (owner is not None and row.owner != owner):
            msg = f"no session {session_id!r}: check the id and the owner"
            raise SessionNotFound(msg)
        return row

    def record(self, session_id: str, owner: str | None) -> SessionRecord:
        with self._open() as ledger:
            return _record(ledger, self._any(ledger, session_id, owner))

    def chunk(self, session_id: str, owner: str | None, *, after: int, limit: int, media: bool = True) -> Chunk:
        with self._open() as ledger:
            number = self._any(ledger, session_id, owner).number
            last = ledger.head(number).last_seq
            found = [StoredMessage(*row) for row in self._some(number, range(after + 1, last + 1), limit)]
            rows = fitting(found)
            whole = len(rows) == len(found) and len(found) < limit
            through = last if whole else rows[-1].seq
            turns = sorted(place for place in ledger.turns.rows if place[0] == number and after < place[1] <= through)
            return chunk_of(
                rows,
                after=after,
                through=through,
                holders_of=lambda ids: {each: ledger.message_seq(number, each) for each in ids},
                versions={row.seq: ledger.versions(number, row.seq) for row in rows},
                turns=[
                    msgspec.structs.replace(t, session=0)
                    for place in turns
                    if (t := ledger.turns.rows[place]) is not None
                ],
                blob=ledger.blobs.rows.get if media else None,
            )

    # ------------------------------------------------------------------ erasing
    def erasable(
        self, after: int, *, limit: int, owner: str | None = None, session_id: str | None = None
    ) -> list[Erasable]:
        with self._open() as ledger:
            rows = sorted((n, r) for n, r in ledger.sessions.rows.items() if n > after and r is not None)
            out: list[Erasable] = []
            for number, row in rows:
                if (owner is None or row.owner == owner) and (session_id is None or row.id == session_id):
                    first = ledger.messages.rows.get((number, 1))
                    kind = first.kind if first is not None else None
                    out.append(Erasable(row, ledger.head(number).last_seq, ledger.keys(number), kind))
            return out[:limit]

    def erasures(self) -> list[Erasure]:
        with self._open() as ledger:
            return sorted((e for e in ledger.erasures.rows.values() if e is not None), key=lambda e: e.id)

    def erased(self, marks: Sequence[bytes]) -> dict[bytes, int]:
        with self._open() as ledger:
            return {each: at for each in marks if (at := ledger.erased_at(each)) is not None}

    def marks(self, after: bytes, *, limit: int) -> Marks:
        with self._open() as ledger:
            found = sorted((mark, at) for mark, at in ledger.erased.rows.items() if at is not None and mark > after)
            return Marks(ledger.secret(), tuple(found[:limit]))

    def scrub(self) -> ScrubReport:
        with self._open():
            return ScrubReport(done=True)

    # ------------------------------------------------------------------ many sessions
    def sessions(self, query: SessionQuery, now: datetime) -> list[SessionInfo]:
        with self._open() as ledger:
            order = (1 << 62, 1 << 62)
            if query.after is not None:
                before = self._found(ledger, query.after, query.owner, deleted=query.include_deleted)
                order = ledger.head(before.number).last_active, before.number
            since = to_micros(query.active_since) if query.active_since is not None else -(1 << 62)
            found: list[tuple[int, int]] = []
            for number, row in ledger.sessions.rows.items():
                if row is None:
                    continue
                head = ledger.head(number)
                if (
                    (query.owner is None or row.owner == query.owner)
                    and since <= head.last_active
                    and (head.last_active, number) < order
                    and (query.include_deleted or row.deleted_at is None)
                    and (query.include_archived or query.archived or not row.archived)
                    and (query.include_hidden or query.hidden or not row.hidden)
                    and (query.include_ended or row.ended_at is None)
                    and (query.include_empty or head.last_seq > 0)
                    and (not query.narrowed or views.is_wanted(row, query))
                ):
                    found.append((head.last_active, number))
            found.sort(reverse=True)
            return [
                views.info(ledger.session(n), ledger.head(n), now, turn=ledger.last_turn(n), keys=self._keys(ledger, n))
                for _, n in found[: query.limit]
            ]

    def open_turns(self, owner: str | None, now: datetime) -> list[OpenTurn]:
        with self._open() as ledger:
            out: list[OpenTurn] = []
            for turn in ledger.turns.rows.values():
                if turn is None or turn.state != "running":
                    continue
                row = ledger.session(turn.session)
                if row.deleted_at is None and (owner is None or row.owner == owner):
                    out.append(
                        OpenTurn(
                            session_id=row.id,
                            owner=row.owner,
                            first_seq=turn.first_seq,
                            began_at=from_micros(turn.began_at),
                            expires_at=from_micros(turn.expires_at),
                            alive=views.held(turn, now),
                        )
                    )
            return sorted(out, key=lambda t: t.began_at)

    def changes(
        self, after: str | None, *, limit: int = 1000, session_id: str | None = None, owner: str | None = None
    ) -> ChangePage:
        with self._open() as ledger:
            start = views.position(after)
            if after is not None and start < self._pruned:
                raise views.expired(after)
            out = ChangePage()
            position = max(start - self._pruned, 0)
            while len(out) < limit and position < len(self._changes):
                number, rev, kind, low, high = self._changes[position]
                position += 1
                row = ledger.session(number)
                if (session_id is None or row.id == session_id) and (owner is None or row.owner == owner):
                    out.append(
                        Change(
                            cursor=f"{self._pruned + position:x}",
                            session_id=row.id,
                            rev=rev,
                            kind=ChangeKind(kind).name.lower(),
                            from_seq=low,
                            through_seq=high,
                        )
                    )
            out.cursor = f"{max(start, self._pruned + position):x}"
            return out

    # ------------------------------------------------------------------ searching
    def search(self, query: SearchQuery) -> SearchPage:
        with self._open() as ledger:
            if query.session_id is not None:
                self._found(ledger, query.session_id, query.owner)
            return search_page(self, query, parse(query.text))

    def index(self, *, limit: int = CATCH_UP) -> int:
        with self._open():
            return 0

    def reindex(self) -> None:
        with self._open():
            pass

    def candidates(self, query: SearchQuery, terms: Sequence[Term], low: int, high: int, limit: int) -> list[Candidate]:
        """See `palaver.stores.searching.Source`."""
        rows = self._ledger.messages.rows
        since = to_micros(query.since) if query.since is not None else EARLIEST
        until = to_micros(query.until) if query.until is not None else LATEST + 1
        sessions = {n: r for n, r in self._ledger.sessions.rows.items() if r is not None and _is_searched(r, query)}
        out: list[Candidate] = []
        for number, seq in sorted(rows, reverse=True):
            place = number << 32 | seq
            stored = rows[number, seq]
            if number not in sessions or stored is None or not low <= place <= high or not since <= stored.at < until:
                continue
            points = self._points(stored, query, terms)
            if points and not any(lo <= seq <= hi for lo, hi in merged(self._ledger.cuts(number))):
                out.append(Candidate(place, points, stored.at))
            if len(out) == limit:
                break
        return out

    def _points(self, stored: StoredMessage, query: SearchQuery, terms: Sequence[Term]) -> int:
        """How well a message has what is looked for; 0: not at all, or it is not to be found."""
        if not is_searchable(stored.kind):
            return 0
        try:
            message = codec.decode(stored.body)
        except CorruptRecord:
            return 0
        if query.role not in (None, message.role):
            return 0
        matched = match(terms, searched_text(message))
        return matched.points if matched is not None else 0

    def found(self, place: int) -> Found | None:
        """See `palaver.stores.searching.Source`."""
        row = self._ledger.session(place >> 32)
        stored = self._ledger.messages.rows.get((place >> 32, place & MOST))
        if stored is None:
            return None
        return Found(row.id, row.owner, row.title, stored.kind, stored.at, stored.body)

    # ------------------------------------------------------------------ sweeping
    def standings(self, query: SweepQuery, now: datetime) -> list[Standing]:
        with self._open() as ledger:
            return upkeep.standings(ledger, query, now)

    def todos(self, owner: str | None, state: TodoState, now: datetime, *, limit: int = 100) -> list[Todo]:
        with self._open() as ledger:
            return upkeep.todos(ledger, owner, state, now)[:limit]

    def prune(self, keep: int, *, dry_run: bool = False) -> int:
        with self._open():
            count = max(0, len(self._changes) - keep)
            if not dry_run:
                del self._changes[:count]
                self._pruned += count
            return count

    # ------------------------------------------------------------------ reports
    def usage(
        self, owner: str | None, *, session_id: str | None = None, since: datetime | None = None
    ) -> list[UsageLine]:
        day = to_micros(since) // (86_400 * SECOND) if since is not None else 0
        with self._open() as ledger:
            out: list[UsageLine] = []
            for used in sorted(self._used(), key=lambda u: (u.day, u.session, u.model)):
                row = ledger.session(used.session)
                if (
                    used.day >= day
                    and (owner is None or row.owner == owner)
                    and (session_id is None or row.id == session_id)
                ):
                    out.append(views.usage_line(row.id, row.owner, used))
            return out

    def _used(self) -> list[UsageRow]:
        return [u for u in self._ledger.usage_rows.rows.values() if u is not None]

    # ------------------------------------------------------------------ the whole store
    def stats(self, owner: str | None) -> Stats:
        with self._open() as ledger:
            rows = [
                r
                for r in ledger.sessions.rows.values()
                if r is not None and r.deleted_at is None and (owner is None or r.owner == owner)
            ]
            numbers = {r.number for r in rows}
            mine = [u for u in self._used() if owner is None or ledger.session(u.session).owner == owner]
            total = views.usage_total(mine) or Usage()  # what deleted sessions have used was used
            return Stats(
                store=self.name,
                sessions=len(rows),
                messages=sum(ledger.head(r.number).message_count for r in rows),
                open_turns=sum(
                    t is not None and t.state == "running" and t.session in numbers for t in ledger.turns.rows.values()
                ),
                owners=len({r.owner for r in rows}),
                size_bytes=sum(len(m.body) for m in ledger.messages.rows.values() if m is not None)
                + sum(len(data) for data in ledger.blobs.rows.values() if data is not None),
                usage=Usage(
                    input_tokens=total.input_tokens,
                    output_tokens=total.output_tokens,
                    cached_tokens=total.cached_tokens,
                    cache_write_tokens=total.cache_write_tokens,
                    reasoning_tokens=total.reasoning_tokens,
                    cost=total.cost,
                ),
                calls=sum(used.calls for used in mine),
                priced_calls=sum(used.priced for used in mine),
                schema=0,
                codec=CODEC_VERSION,
            )

    def check(
        self,
        owner: str | None = None,
        *,
        session_id: str | None = None,
        notes: bool = False,
        progress: Progress | None = None,
    ) -> list[Finding]:
        with self._open() as ledger:
            if session_id is not None:
                asked = ledger.find(session_id)
                if asked is None or owner not in {None, asked.owner}:
                    raise SessionNotFound(f"no session {session_id!r}: check the id and the owner")
            found = Findings(self.name)
            if owner is None and session_id is None:
                for each in unfinished(self.erasures()):
                    found.add(each)
            for number, row in ledger.sessions.rows.items():
                if row is None or owner not in {None, row.owner} or session_id not in {None, row.id}:
                    continue
                head = ledger.head(number)
                ranges = live_ranges(merged(ledger.cuts(number)), 1, head.last_seq)
                count = sum((number, s) in ledger.messages.rows for low, top in ranges for s in range(low, top + 1))
                bodies = [
                    (s, m.kind, m.at, m.body)
                    for (n, s), m in ledger.messages.rows.items()
                    if n == number and m is not None
                ]
                where = f"session {row.id}"
                for seq in decoded(self, row.id, bodies).corrupt:
                    detail = "cannot be decoded"
                    found.add(finding("message_undecodable", f"{where}, seq {seq}", detail, session_id=row.id, seq=seq))
                if count != head.message_count:
                    detail = f"it counts {head.message_count} messages and holds {count}"
                    found.add(finding("count", where, detail, session_id=row.id))
            given_up = upkeep.todos(ledger, owner, "given_up", from_micros(0))
            for todo in given_up:
                if session_id in {None, todo.session_id}:
                    found.add(views.given_up(todo))
            return found.all()

    def repair(self, now: datetime) -> list[Repaired]:
        return []  # nothing but a fault of this module could damage it

    def backup(
        self,
        path: str | None,
        now: datetime,
        *,
        keep: int | None = None,
        sound: bool = True,
        progress: Progress | None = None,
    ) -> Backup:
        raise StoreUnavailable(
            f"{self.name} keeps nothing beyond its process, so there is nothing to back up: export its sessions"
        )

    def backups(self) -> list[Backup]:
        return []

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._ledger = _Ledger()  # nothing outlives it, whoever still holds the store
            self._changes = []
        self.wakes.wake()


def _is_searched(row: SessionRow, query: SearchQuery) -> bool:
    """Whether messages of a session may be found."""
    return (
        row.deleted_at is None
        and query.owner in (None, row.owner)
        and query.session_id in (None, row.id)
        and (query.include_hidden or query.session_id is not None or not row.hidden)
        and views.is_of(row, query)
    )


def _aliases(ledger: _Ledger, number: int) -> tuple[str, ...]:
    return tuple(sorted(alias for (_, alias), to in ledger.aliases_by_name.rows.items() if to == number))


def _record(ledger: _Ledger, row: SessionRow) -> SessionRecord:
    number = row.number
    keys: list[KeyRecord] = []
    for owner, key in ledger.keys(number):
        bound = ledger.binding(owner, key)
        if bound is not None:
            before = ledger.session(bound.previous).id if bound.previous else None
            keys.append(KeyRecord(owner=owner, key=key, since=bound.since, previous=before))
    used = [u for u in ledger.usage_rows.rows.values() if u is not None and u.session == number]
    purged = [
        (seq, message_id)
        for (n, message_id), seq in ledger.message_ids.rows.items()
        if n == number and seq is not None and ledger.message(number, seq) is None
    ]
    return SessionRecord(
        row=portable(row),
        head=ledger.head(number),
        keys=tuple(sorted(keys, key=lambda each: (each.since, each.key))),
        aliases=_aliases(ledger, number),
        cuts=ledger.cuts(number),
        compactions=ledger.compactions(number),
        queued=ledger.queued(number),
        usage=tuple(
            msgspec.structs.replace(u, session=0) for u in sorted(used, key=lambda each: (each.day, each.model))
        ),
        purged_ids=tuple((message_id, seq) for seq, message_id in sorted(purged)),
        todo=portable_todo(ledger.todo(number)),
    )
