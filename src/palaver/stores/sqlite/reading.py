"""A store that keeps rows in a database: each of its reads is one of `RowReads`, on a connection that is lent."""

from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, TypeVar

from palaver.clock import utc_now
from palaver.erasure import Erasure, Marks
from palaver.errors import PalaverError, StoreError
from palaver.findings import Finding, Progress, Repaired
from palaver.info import Page, SessionInfo, SessionName, Todo, TodoState
from palaver.operations import Begun
from palaver.records import Chunk, Piece, SessionRecord
from palaver.rows import TurnRow
from palaver.search import SearchPage, SearchQuery
from palaver.search.values import CATCH_UP
from palaver.stores.base import ChangePage, Erasable, OpenTurn, SessionQuery, Stats, Store, UsageLine, WholeTurn
from palaver.stores.pieces import pieces_of
from palaver.stores.sqlite.checking import Scope
from palaver.stores.sqlite.indexing import Reindex, State, Step
from palaver.stores.sqlite.ledger import Quarantine
from palaver.stores.sqlite.mending import Mend, repaired
from palaver.stores.sqlite.reads import RowReads
from palaver.stores.sqlite.spots import Sink
from palaver.stores.sqlite.tails import TailCache
from palaver.stores.sqlite.upkeep import Clean, Prune, Upkeep, told
from palaver.sweeping import Standing, SweepQuery
from palaver.times import to_micros
from palaver.window import Tail

__all__ = ["RowStore"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_NOT_INDEXED = {"action": "index_failed"}


class RowStore(Store):
    """The reads of a store, and the writes that are the store's own business. See `palaver.stores.base.Store`."""

    _writable: bool
    _indexing: threading.Lock
    """Held by the one thread that brings the search index further."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[RowReads]:
        """A connection to read by; what it finds damaged is set aside afterwards, and errors are translated."""

    @abstractmethod
    def _kept_tails(self) -> TailCache:
        """The tails that were read last."""

    @abstractmethod
    def _mend(self, mend: Mend) -> Repaired:
        """One problem in a transaction of its own, alone; a failure leaves it as it was."""

    @abstractmethod
    def _require_open(self) -> None:
        """Raise StoreClosed unless the store is open."""

    def _read(self, call: Callable[[RowReads], T]) -> T:
        """What a read gives."""
        with self._reading() as reads:
            return call(reads)

    def _tend(self, call: Callable[[Upkeep], T]) -> T:
        """The same for the reads of a sweep."""

        def read(reads: RowReads) -> T:
            with reads.upkeep() as upkeep:
                return call(upkeep)

        return self._read(read)

    # ------------------------------------------------------------------ reading
    def current(self, owner: str, key: str, now: datetime) -> SessionInfo | None:
        return self._read(lambda r: r.current(owner, key, now))

    def bound(self, owner: str, key: str) -> str | None:
        return self._read(lambda r: r.bound(owner, key))

    def named(self, owner: str | None, alias: str) -> str | None:
        return self._read(lambda r: r.named(owner, alias))

    def beginning(self, owner: str | None, text: str, *, by: Literal["title", "id"], limit: int) -> list[SessionName]:
        return self._read(lambda r: r.beginning(owner, text, by, limit))

    def info(self, session_id: str, owner: str | None, now: datetime) -> SessionInfo:
        return self._read(lambda r: r.info(session_id, owner, now))

    def tail(
        self, session_id: str, owner: str | None, now: datetime, *, limit: int, begun: Begun | None = None
    ) -> Tail:
        if begun is not None:
            self._require_open()
            tail = self._kept_tails().begun(session_id, limit, begun)
            if tail is not None:
                return tail
        return self._read(lambda r: r.tail(session_id, owner, now, limit=limit))

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
        return self._read(
            lambda r: r.page(session_id, owner, after=after, before=before, limit=limit, newest=newest, live=live)
        )

    def turn(self, session_id: str, owner: str | None, first_seq: int | None = None) -> TurnRow | None:
        return self._read(lambda r: r.turn(session_id, owner, first_seq))

    def whole_turn(self, session_id: str, owner: str | None, first_seq: int, now: datetime) -> WholeTurn | None:
        return self._read(lambda r: r.whole_turn(session_id, owner, first_seq, now))

    def queued(self, session_id: str, owner: str | None) -> Page:
        return self._read(lambda r: r.queued(session_id, owner))

    def versions(self, session_id: str, owner: str | None, seq: int) -> Page:
        return self._read(lambda r: r.versions(session_id, owner, seq))

    def blobs(self, session_id: str, owner: str | None, addresses: Sequence[str]) -> dict[str, bytes]:
        return self._read(lambda r: r.blobs(session_id, owner, addresses))

    def record(self, session_id: str, owner: str | None) -> SessionRecord:
        return self._read(lambda r: r.record(session_id, owner))

    def chunk(self, session_id: str, owner: str | None, *, after: int, limit: int, media: bool = True) -> Chunk:
        return self._read(lambda r: r.chunk(session_id, owner, after=after, limit=limit, media=media))

    def pieces(self, asked: Sequence[tuple[str, int]], *, limit: int) -> list[Piece | PalaverError]:
        try:
            return self._read(lambda r: r.pieces(asked, limit=limit))
        except StoreError:
            raise
        except PalaverError:  # whose it is, and what of it can be read, is found out singly
            return pieces_of(self, asked[:1], limit)

    def sessions(self, query: SessionQuery, now: datetime) -> list[SessionInfo]:
        return self._read(lambda r: r.sessions(query, now))

    def open_turns(self, owner: str | None, now: datetime) -> list[OpenTurn]:
        return self._read(lambda r: r.open_turns(owner, now))

    def changes(
        self, after: str | None, *, limit: int = 1000, session_id: str | None = None, owner: str | None = None
    ) -> ChangePage:
        return self._read(lambda r: r.changes(after, limit=limit, session_id=session_id, owner=owner))

    # ------------------------------------------------------------------ erasing
    def erasable(
        self, after: int, *, limit: int, owner: str | None = None, session_id: str | None = None
    ) -> list[Erasable]:
        return self._read(lambda r: r.erasable(after, limit=limit, owner=owner, session_id=session_id))

    def erasures(self) -> list[Erasure]:
        return self._read(lambda r: r.erasures())

    def erased(self, marks: Sequence[bytes]) -> dict[bytes, int]:
        return self._read(lambda r: r.erased(marks))

    def marks(self, after: bytes, *, limit: int) -> Marks:
        return self._read(lambda r: r.marks(after, limit=limit))

    # ------------------------------------------------------------------ searching
    def search(self, query: SearchQuery) -> SearchPage:
        if query.catch_up > 0:
            try:
                self.index(limit=query.catch_up)
            except StoreError as error:  # what is in the index is found all the same, and the page says what is not
                self._require_open()
                _log.warning("%s: the search index could not follow: %s", self.name, error, extra=_NOT_INDEXED)
        return self._read(lambda r: r.search(query))

    def index(self, *, limit: int = CATCH_UP) -> int:
        left = limit
        with self._indexing:  # one thread at a time: others then find it done
            step = self._next_step(left)
            while step is not None:
                left -= step.cost if isinstance(step, Step) else 1
                step = self._stepped(step, left)
        return self._read(lambda r: r.index_behind())

    def _next_step(self, left: int, state: State | None = None) -> Step | Reindex | None:
        """The next step of the index; None where there is none to be done. `state`: see `Index.step`."""
        if left <= 0 or not self._writable:
            return None
        return self._read(lambda r: r.index_step(left, to_micros(utc_now()), state))

    def _stepped(self, step: Step | Reindex, left: int) -> Step | Reindex | None:
        """Commit a step; gives the one after it."""
        self._step(step)
        return self._next_step(left)

    def _step(self, step: Step | Reindex) -> bool:
        """Commit a step; whether it was its turn."""
        [answer] = self.commit([step])
        if isinstance(answer, Exception):
            raise answer
        return answer is not False

    def reindex(self) -> None:
        self.commit([Reindex(at=to_micros(utc_now()))])

    # ------------------------------------------------------------------ sweeping
    def standings(self, query: SweepQuery, now: datetime) -> list[Standing]:
        return self._tend(lambda upkeep: upkeep.standings(query, now))

    def todos(self, owner: str | None, state: TodoState, now: datetime, *, limit: int = 100) -> list[Todo]:
        return self._tend(lambda upkeep: upkeep.todos(owner, state, now, limit))

    def clean(self, *, limit: int = 500, dry_run: bool = False) -> list[str]:
        found = self._garbage(limit)
        if found and not dry_run:
            self.commit([Clean(at=to_micros(utc_now()), found=tuple(found))])
        return [told(kind, what) for kind, what in found]

    def _garbage(self, limit: int) -> list[tuple[str, str | int]]:
        """Rows that belong to nothing, by their kind."""
        return self._tend(lambda upkeep: upkeep.garbage(limit))

    def prune(self, keep: int, *, dry_run: bool = False) -> int:
        through, count = self._tend(lambda upkeep: upkeep.prunable(keep))
        if dry_run or not count:
            return count
        self.commit([Prune(at=to_micros(utc_now()), through=through)])
        return self._tend(lambda upkeep: count - upkeep.prunable(keep)[1])

    # ------------------------------------------------------------------ reports
    def usage(
        self, owner: str | None, *, session_id: str | None = None, since: datetime | None = None
    ) -> list[UsageLine]:
        return self._read(lambda r: r.usage(owner, session_id=session_id, since=since))

    def stats(self, owner: str | None) -> Stats:
        return self._read(lambda r: r.stats(owner))

    def check(
        self,
        owner: str | None = None,
        *,
        session_id: str | None = None,
        notes: bool = False,
        progress: Progress | None = None,
    ) -> list[Finding]:
        return self._read(lambda r: r.check(Scope(owner, session_id), notes=notes, progress=progress))

    def repair(self, now: datetime) -> list[Repaired]:
        return repaired(self._look, self._mend, to_micros(now))

    def _look(self, sink: Sink) -> None:
        with self._reading() as r:
            r.spots(sink)

    # ------------------------------------------------------------------ damage
    def _quarantine(self, damaged: dict[str, bytes]) -> None:
        """Copy what cannot be decoded to where no rewrite reaches it. The read that found it is answered anyway."""
        try:
            self.commit([Quarantine(at=to_micros(utc_now()), found=damaged)])
        except StoreError as error:
            _log.warning(
                "%s: damaged records could not be set aside: %s",
                self.name,
                error,
                extra={"action": "quarantine_failed", "locations": sorted(damaged)},
            )
        else:
            _log.error(
                "%s: records cannot be decoded; their bytes were set aside, run `palaver check`: %s",
                self.name,
                ", ".join(sorted(damaged)),
                extra={"action": "record_quarantined", "locations": sorted(damaged)},
            )
