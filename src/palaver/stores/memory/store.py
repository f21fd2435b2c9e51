"""The memory store: dicts behind a lock. The reference that the others are held against, and the incognito store."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

from palaver.backups import Backup
from palaver.erasure import Erasure, Marks, ScrubReport
from palaver.errors import StoreClosed, StoreUnavailable
from palaver.findings import Finding, Progress, Repaired
from palaver.info import Page, SessionInfo, SessionName, Todo, TodoState
from palaver.operations import Begun, Operation
from palaver.records import Chunk, SessionRecord
from palaver.rows import ChangeKind, TurnRow
from palaver.search import SearchPage, SearchQuery, parse
from palaver.search.values import CATCH_UP
from palaver.stores import views
from palaver.stores.base import Change, ChangePage, Erasable, OpenTurn, SessionQuery, Stats, Store, UsageLine, WholeTurn
from palaver.stores.memory import copying, erasing, reports, sessions, transcripts, upkeep
from palaver.stores.memory.ledger import MemoryLedger
from palaver.stores.memory.searching import Scan
from palaver.stores.searching import search_page
from palaver.stores.tables import ChangeRow
from palaver.stores.waking import Wakes
from palaver.sweeping import Standing, SweepQuery
from palaver.window import Tail

__all__ = ["MemoryStore"]


class MemoryStore(Store):
    """See `palaver.stores.base.Store`. Nothing outlives the process: durable means that the lock was released."""

    name = MemoryLedger.name

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._ledger = MemoryLedger()
        self._changes: list[ChangeRow] = []
        self.wakes = Wakes()
        self._pruned = 0
        self._closed = False

    @contextmanager
    def _open(self) -> Generator[MemoryLedger]:
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
    def current(self, owner: str, key: str, now: datetime) -> SessionInfo | None:
        with self._open() as ledger:
            return sessions.current(ledger, owner, key, now)

    def bound(self, owner: str, key: str) -> str | None:
        with self._open() as ledger:
            return sessions.bound(ledger, owner, key)

    def named(self, owner: str | None, alias: str) -> str | None:
        with self._open() as ledger:
            return sessions.named(ledger, owner, alias)

    def beginning(self, owner: str | None, text: str, *, by: Literal["title", "id"], limit: int) -> list[SessionName]:
        with self._open() as ledger:
            return sessions.beginning(ledger, owner, text, by=by, limit=limit)

    def info(self, session_id: str, owner: str | None, now: datetime) -> SessionInfo:
        with self._open() as ledger:
            return sessions.info(ledger, session_id, owner, now)

    def tail(
        self, session_id: str, owner: str | None, now: datetime, *, limit: int, begun: Begun | None = None
    ) -> Tail:
        del begun
        with self._open() as ledger:
            return transcripts.tail(ledger, session_id, owner, now, limit=limit)

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
            return transcripts.page(
                ledger, session_id, owner, after=after, before=before, limit=limit, newest=newest, live=live
            )

    def turn(self, session_id: str, owner: str | None, first_seq: int | None = None) -> TurnRow | None:
        with self._open() as ledger:
            return transcripts.turn(ledger, session_id, owner, first_seq)

    def whole_turn(self, session_id: str, owner: str | None, first_seq: int, now: datetime) -> WholeTurn | None:
        with self._open() as ledger:
            return transcripts.whole_turn(ledger, session_id, owner, first_seq, now)

    def queued(self, session_id: str, owner: str | None) -> Page:
        with self._open() as ledger:
            return transcripts.queued(ledger, session_id, owner)

    def versions(self, session_id: str, owner: str | None, seq: int) -> Page:
        with self._open() as ledger:
            return transcripts.versions(ledger, session_id, owner, seq)

    def blobs(self, session_id: str, owner: str | None, addresses: Sequence[str]) -> dict[str, bytes]:
        with self._open() as ledger:
            return transcripts.blobs(ledger, session_id, owner, addresses)

    # ------------------------------------------------------------------ copying
    def record(self, session_id: str, owner: str | None) -> SessionRecord:
        with self._open() as ledger:
            return copying.record(ledger, session_id, owner)

    def chunk(self, session_id: str, owner: str | None, *, after: int, limit: int, media: bool = True) -> Chunk:
        with self._open() as ledger:
            return copying.chunk(ledger, session_id, owner, after=after, limit=limit, media=media)

    # ------------------------------------------------------------------ erasing
    def erasable(
        self, after: int, *, limit: int, owner: str | None = None, session_id: str | None = None
    ) -> list[Erasable]:
        with self._open() as ledger:
            return erasing.erasable(ledger, after, limit=limit, owner=owner, session_id=session_id)

    def erasures(self) -> list[Erasure]:
        with self._open() as ledger:
            return erasing.erasures(ledger)

    def erased(self, marks: Sequence[bytes]) -> dict[bytes, int]:
        with self._open() as ledger:
            return erasing.erased(ledger, marks)

    def marks(self, after: bytes, *, limit: int) -> Marks:
        with self._open() as ledger:
            return erasing.marks(ledger, after, limit=limit)

    def scrub(self) -> ScrubReport:
        with self._open():
            return ScrubReport(done=True)

    # ------------------------------------------------------------------ many sessions
    def sessions(self, query: SessionQuery, now: datetime) -> list[SessionInfo]:
        with self._open() as ledger:
            return sessions.sessions(ledger, query, now)

    def open_turns(self, owner: str | None, now: datetime) -> list[OpenTurn]:
        with self._open() as ledger:
            return sessions.open_turns(ledger, owner, now)

    def changes(
        self, after: str | None, *, limit: int = 1000, session_id: str | None = None, owner: str | None = None
    ) -> ChangePage:
        with self._open() as ledger:
            start = views.position(after)
            views.check_reach(after, start, pruned=self._pruned, newest=self._pruned + len(self._changes))
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
                ledger.require(query.session_id, query.owner)
            return search_page(Scan(ledger), query, parse(query.text))

    def index(self, *, limit: int = CATCH_UP) -> int:
        with self._open():
            return 0

    def reindex(self) -> None:
        with self._open():
            pass

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
        with self._open() as ledger:
            return reports.usage(ledger, owner, session_id=session_id, since=since)

    def stats(self, owner: str | None) -> Stats:
        with self._open() as ledger:
            return reports.stats(ledger, owner)

    def check(
        self,
        owner: str | None = None,
        *,
        session_id: str | None = None,
        notes: bool = False,
        progress: Progress | None = None,
    ) -> list[Finding]:
        with self._open() as ledger:
            return reports.check(ledger, owner, session_id)

    def repair(self, now: datetime) -> list[Repaired]:
        return []  # nothing but a fault of this module could damage it

    # ------------------------------------------------------------------ copies
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

    # ------------------------------------------------------------------ life
    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._ledger = MemoryLedger()  # nothing outlives it, whoever still holds the store
            self._changes = []
        self.wakes.wake()
