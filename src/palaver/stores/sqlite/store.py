"""The SQLite store: one file, one writing connection per process, any number of processes."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw

from palaver.backups import Backup
from palaver.erasure import ScrubReport
from palaver.errors import StoreClosed, StoreError, StoreFull, StoreUnavailable
from palaver.findings import Progress, Repaired
from palaver.operations import Operation
from palaver.stores.commit import GroupCommitter
from palaver.stores.ledger import refused
from palaver.stores.sqlite import backup
from palaver.stores.sqlite.backup import RecordBackup
from palaver.stores.sqlite.connection import Opener
from palaver.stores.sqlite.errors import translate
from palaver.stores.sqlite.ledger import SqliteLedger
from palaver.stores.sqlite.mending import Mend
from palaver.stores.sqlite.reading import RowStore
from palaver.stores.sqlite.reads import Lines, Reads
from palaver.stores.sqlite.salvage import is_damage
from palaver.stores.sqlite.scrubbing import Scrubbing
from palaver.stores.sqlite.statements import Row, Statements
from palaver.stores.sqlite.tails import TailCache
from palaver.stores.waking import Wakes
from palaver.times import to_micros

__all__ = ["SqliteStore"]

_log = logging.getLogger(__name__)

CHECKPOINT_PAGES = 1_000
"""When nobody commits, the WAL is copied into the database from this many pages on."""
CHECKPOINT_PAGES_BESIDE = 300
"""The same where no caller waits for it: a portion that is done before the next commit is there."""
CHECKPOINT_PAGES_BUSY = 4_000
"""From here on a commit does it itself: somebody commits all the time."""
MAX_WAL_PAGES = 16_000
"""From here on readers are waited for, so that the WAL can start over: 64 MiB."""
MAX_IDLE_READERS = 16
_NOT_INDEXED = {"action": "index_failed"}


class _Forking:
    """Closes every open store before a fork and opens it again after, on both sides."""

    def __init__(self) -> None:
        self.stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()
        self._one_at_a_time = threading.Lock()
        self._held: list[SqliteStore] = []

    def before(self) -> None:
        self._one_at_a_time.acquire()
        for store in list(self.stores):
            store.before_fork()
            self._held.append(store)

    def in_parent(self) -> None:
        while self._held:
            self._held.pop().after_fork_in_parent()
        self._one_at_a_time.release()

    def in_child(self) -> None:
        self._one_at_a_time = threading.Lock()
        while self._held:
            self._held.pop().after_fork_in_child()


_forking = _Forking()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forking.before, after_in_parent=_forking.in_parent, after_in_child=_forking.in_child)


class SqliteStore(RowStore):
    """See `palaver.stores.base.Store`.

    WAL and synchronous=FULL: what `commit` answered for has been synced. Several processes may use one file; a store
    that a forked child inherits opens connections of its own. After a failed sync nothing more is
    written: what the disk holds is then unknown until the file is opened again.
    """

    def __init__(
        self,
        path: str,
        *,
        timeout: float = 30.0,
        read_only: bool = False,
        make: bool = True,
        exclusive: bool = False,
        max_pages: int | None = None,
        vfs: str | None = None,
        name: str | None = None,
        durable: bool = True,
    ) -> None:
        """Open the file, or make it.

        `timeout`: seconds to wait for another process's lock. `read_only`: refuse to write. Not `make`: only where
        there is one. `exclusive`: one process, on a network file system. `max_pages`: the file's greatest size, in
        pages of 4 KiB; beyond it is StoreFull. `name`: what to call it in messages. `durable`: sync each commit; False
        for what can be made anew.

        Raises StoreUnavailable or SchemaMismatch, and leaves a file it cannot use as it was.
        """
        self.name = name or f"sqlite:///{path}"
        self._opener = Opener(
            path,
            name=self.name,
            timeout=timeout,
            read_only=read_only,
            make=make,
            exclusive=exclusive,
            vfs=vfs,
            durable=durable,
        )
        self._max_pages = max_pages
        self._closed = False
        self._broken: StoreError | None = None
        self._known_damage: set[str] = set()
        self._commit_seconds = 0.0
        self._gate = threading.Condition()
        self._reads_under_way = 0
        self._opener.prepare()
        self._open()
        _forking.stores.add(self)

    def _open(self) -> None:
        self._connect()
        self._committer = GroupCommitter(self._run, self.name)
        self._exclusive_lock = threading.Lock()
        self._indexing = threading.Lock()
        self.wakes = Wakes()

    def _connect(self) -> None:
        self._readers: deque[Reads] = deque()
        self._tails = TailCache()
        self._lines: Lines = {}
        self._connected: apsw.Connection | None = None
        self._wal_pages = 0
        self._tried_at = 0
        """How many pages the WAL had when it was last tried to copy it; 0 once it has begun anew."""
        first = self._opener.ready()
        if first is None:
            self._open_writer()
            # Asked once: only the thread that commits may use this connection.
            self._writable = not self._opener.read_only and not self._writer.readonly("main")
        else:
            self._writable = True
            self._readers.append(Reads(first, self.name, self._tails, self._lines))

    @property
    def _writer(self) -> apsw.Connection:
        """The connection that writes, opened by the first who needs it: the constructor, or the thread that commits."""
        return self._open_writer() if self._connected is None else self._connected

    def _open_writer(self) -> apsw.Connection:
        self._connected = writer = self._opener.writer()
        self._writes = Statements(writer)
        if self._max_pages is not None:
            self._writes.pragma(f"PRAGMA max_page_count={int(self._max_pages)}")
        writer.set_wal_hook(self._on_wal)
        self._headroom = self._opener.headroom()
        self._data_version: Row | None = None
        self._shared = False
        """Whether another process had written before the last commit: small portions would not be whole."""
        self._ledger = self._open_ledger(writer)
        return writer

    def _close_connections(self) -> None:
        while self._readers:
            self._readers.pop().close()
        if self._connected is not None:
            if self._headroom is not None:
                self._headroom.close()
            self._connected.close()

    def _open_ledger(self, writer: apsw.Connection) -> SqliteLedger:
        del writer
        return SqliteLedger(self._writes)

    # ------------------------------------------------------------------ writing
    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        return self._committer.commit(operations)

    def commit_at_once(self, operations: Sequence[Operation]) -> list[Any]:
        with self._opener.without_waiting():
            return self._committer.commit(operations, alone=True)

    def tidy(self, *, beside: bool = False) -> None:
        portion = CHECKPOINT_PAGES
        if beside and self._wal_pages and not self._shared:
            portion = min(CHECKPOINT_PAGES, CHECKPOINT_PAGES_BESIDE)
        if self._wal_pages >= self._tried_at + portion:
            self._committer.when_idle(self._checkpoint_alone)

    @property
    def committing(self) -> bool:
        """Whether a commit is under way in this process."""
        return self._committer.busy

    @property
    def commit_seconds(self) -> float:
        """Moving average of how long a commit takes, once it has the lock that processes share."""
        return self._commit_seconds

    def _run(self, operations: list[Operation]) -> list[Any]:
        if self._opener.exclusive:
            with self._exclusive_lock:
                return self._isolated(operations)
        return self._isolated(operations)

    def _isolated(self, operations: list[Operation]) -> list[Any]:
        """Commit; a value that the database cannot take is found when it is flushed, and harms its operation alone.

        So does a damaged page that one of them needs.
        """
        try:
            return self._transact(operations)
        except (UnicodeEncodeError, OverflowError) as error:  # raised while values were bound: nothing was committed
            if len(operations) == 1:
                return [refused(operations[0], error)]
        except StoreUnavailable as error:
            if len(operations) == 1 or error.outcome != "not_written" or not is_damage(error):
                raise
        results: list[Any] = []
        for operation in operations:
            try:
                results += self._isolated([operation])
            except StoreError as error:  # those before it are committed: it fails alone, too
                results.append(error)
        return results

    def _transact(self, operations: list[Operation]) -> list[Any]:
        if self._broken is not None:
            raise StoreUnavailable(str(self._broken)) from self._broken
        outcome: Any = "not_written"
        if not self._writable:
            raise translate(apsw.ReadOnlyError("attempt to write a readonly database"), self.name)
        connection = self._writer
        writes, ledger = self._writes, self._ledger
        if connection.in_transaction:  # an interrupt struck before the transaction before could be rolled back
            ledger.forget()
            self._roll_back()
        try:
            writes.script("BEGIN IMMEDIATE")
            began = time.perf_counter()
            if self._headroom is not None:
                self._headroom.keep(self._wal_pages)
            version = writes.one("data_version")
            self._shared = version != self._data_version
            if self._shared:  # somebody else has written: what was remembered may be wrong
                ledger.doubt()
                self._data_version = version
            results = ledger.run(operations)
            if not ledger.changed:
                writes.script("ROLLBACK")
                return results
            ledger.flush()
            outcome = "unknown"
            writes.script("COMMIT")
            self._commit_seconds += (time.perf_counter() - began - self._commit_seconds) * 0.1
        except BaseException as exc:
            ledger.forget()
            self._roll_back()
            if not isinstance(exc, apsw.Error):
                raise
            error = translate(exc, self.name, outcome)
            if isinstance(exc, apsw.IOError) and not isinstance(error, StoreFull):
                # A failed sync may have dropped pages that a second sync would report as safe.
                self._broken = StoreUnavailable(f"{error}; the store writes no more: open it again", outcome="unknown")
            raise error from exc
        self._tails.note(ledger.messages)
        ledger.flushed()
        self.wakes.wake()
        ledger.trim()
        if self._wal_pages >= max(CHECKPOINT_PAGES_BUSY, self._tried_at + CHECKPOINT_PAGES):
            self._checkpoint(alone=len(operations) == 1 and not self._committer.waiting)
        return results

    def _roll_back(self) -> None:
        """SQLite has already rolled back on its own after a full disk or an I/O error."""
        if self._writer.in_transaction:
            try:
                self._writes.script("ROLLBACK")
            except apsw.Error as exc:
                self._broken = translate(exc, self.name)

    def _on_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        if pages < self._wal_pages:  # it has begun anew
            self._tried_at = 0
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint_alone(self) -> None:
        if self._broken is None:
            self._checkpoint(alone=True)

    def _checkpoint(self, *, alone: bool) -> None:
        """Copy the WAL into the database. Failing to is no failure: the WAL holds everything and is tried again.

        `alone`: nobody of this process waits for the next commit.
        """
        pages = self._wal_pages
        mode = apsw.SQLITE_CHECKPOINT_PASSIVE
        if pages >= MAX_WAL_PAGES:
            mode = apsw.SQLITE_CHECKPOINT_RESTART
        elif pages >= CHECKPOINT_PAGES_BUSY and alone:  # other processes write: they would never let it be whole
            mode = apsw.SQLITE_CHECKPOINT_FULL
        # Where it could not be whole, or a reader still needs the WAL, the next commit would find as much as this one.
        self._tried_at = pages
        self._opener.impatient = mode != apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            self._writer.wal_checkpoint(mode=mode)
        except (apsw.BusyError, apsw.LockedError, apsw.FullError):
            return
        except apsw.Error as exc:
            # As after a failed commit: what is on disk is not known any more.
            error = translate(exc, self.name)
            self._broken = StoreUnavailable(f"{error}; the store writes no more: open it again")
        finally:
            self._opener.impatient = False

    # ------------------------------------------------------------------ reading
    @contextmanager
    def _reading(self) -> Generator[Reads]:
        self._require_open()
        with self._gate:
            self._reads_under_way += 1
        damaged: dict[str, bytes] = {}
        try:
            with self._lent() as reads:
                try:
                    yield reads
                except apsw.Error as exc:
                    raise translate(exc, self.name) from exc
                except UnicodeDecodeError as exc:  # a TEXT column that is none any more
                    raise translate(apsw.CorruptError(str(exc)), self.name) from exc
                finally:
                    damaged = reads.take_damaged()
        finally:
            with self._gate:
                self._reads_under_way -= 1
                if not self._reads_under_way:
                    self._gate.notify_all()
        new = {location: body for location, body in damaged.items() if location not in self._known_damage}
        if new and self._writable:
            self._known_damage.update(new)
            self._quarantine(new)

    @contextmanager
    def _lent(self) -> Generator[Reads]:
        """A connection to read by. With exclusive locking there is but one: reads and commits take turns with it."""
        if self._opener.exclusive:
            with self._exclusive_lock:
                yield Reads(self._writer, self.name, self._tails, self._lines)
            return
        try:
            reads = self._readers.pop()
        except IndexError:
            reads = Reads(self._opener.reader(), self.name, self._tails, self._lines)
        try:
            yield reads
        finally:
            self._give_back(reads)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.name} is closed: open it again")

    def _give_back(self, reads: Reads) -> None:
        if self._closed or len(self._readers) >= MAX_IDLE_READERS:
            reads.close()
        else:
            self._readers.append(reads)

    # ------------------------------------------------------------------ erasing
    def scrub(self) -> ScrubReport:
        self._require_open()
        with self._indexing:
            if self._opener.exclusive:
                with self._exclusive_lock:
                    return Scrubbing(self._writer, self._opener).run()
            connection = self._opener.writer()
            try:
                return Scrubbing(connection, self._opener).run()
            finally:
                connection.close()

    # ------------------------------------------------------------------ mending
    def _mend(self, mend: Mend) -> Repaired:
        """One problem in a transaction of its own, alone; a failure leaves it as it was."""
        try:
            [answer] = self._committer.commit([mend], alone=True)
        except StoreError as error:
            answer = error
        self._tails, self._lines = TailCache(), {}
        while self._readers:  # they know the old ones
            self._readers.pop().close()
        return answer if isinstance(answer, Repaired) else mend.failed(answer)

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
        self._require_open()
        lent = self._lent_alone if self._opener.exclusive else self._opener.lent
        made = backup.made(lent, self._backups_of, path, now, sound=sound, progress=progress)
        if self._writable:
            dropped = backup.to_drop(self.backups(), made, keep)
            [answer] = self._committer.commit(
                [RecordBackup(at=to_micros(now), backup=made, dropped=dropped)], alone=True
            )
            if isinstance(answer, Exception):
                raise answer
        return made

    @property
    def _backups_of(self) -> str:
        """The path that backups are named after, and beside which they go."""
        return self._opener.path

    @contextmanager
    def _lent_alone(self) -> Generator[apsw.Connection]:
        with self._exclusive_lock:
            yield self._writer

    def backups(self) -> list[Backup]:
        with self._reading() as r:
            rows = r.sql.all("backups")
        return [each for each in map(backup.backup_of, rows) if Path(each.path).exists()]

    # ------------------------------------------------------------------ fork
    def before_fork(self) -> None:
        """Let commits and reads that are under way end, hold others back, and close every connection.

        SQLite forbids a child to inherit connections: it would share with its parent's copies locks that it
        does not have.
        """
        self._committer.hold()
        self._gate.acquire()
        while self._reads_under_way:
            self._gate.wait()
        self._close_connections()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        try:
            self._connect()
        except StoreError as error:
            self._broken = error
        self._gate.release()
        self._committer.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: of the parent's threads none is here, and whatever they held is free."""
        self._gate = threading.Condition()
        self._broken = None
        try:
            self._open()
        except StoreError as error:
            self._committer = GroupCommitter(self._run, self.name)
            self._exclusive_lock = threading.Lock()
            self._indexing = threading.Lock()
            self.wakes = Wakes()
            self._broken = error

    # ------------------------------------------------------------------ life
    def close(self) -> None:
        if self._closed:
            return
        self._committer.close()
        self._closed = True
        self.wakes.wake()
        _forking.stores.discard(self)
        try:
            self._close_connections()
        except apsw.Error as exc:
            raise translate(exc, self.name, "unknown") from exc
