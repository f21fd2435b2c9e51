"""The SQLite store: one file, one writing connection per process, any number of processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
from palaver.stores.sqlite import backup, forking
from palaver.stores.sqlite.backup import RecordBackup
from palaver.stores.sqlite.checkpoints import Checkpoints
from palaver.stores.sqlite.connection import Opener
from palaver.stores.sqlite.errors import translate
from palaver.stores.sqlite.ledger import SqliteLedger
from palaver.stores.sqlite.lending import Lending, Loan, SoleLending
from palaver.stores.sqlite.mending import Mend
from palaver.stores.sqlite.reading import RowStore
from palaver.stores.sqlite.reads import Reads
from palaver.stores.sqlite.salvage import is_damage
from palaver.stores.sqlite.scrubbing import Scrubbing
from palaver.stores.sqlite.statements import Row, Statements
from palaver.stores.sqlite.tails import TailCache
from palaver.stores.waking import Wakes
from palaver.times import to_micros

__all__ = ["SqliteStore"]


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
        at_once: bool = False,
    ) -> None:
        """Open the file, or make it.

        `timeout`: seconds to wait for another process's lock. `read_only`: refuse to write. Not `make`: only where
        there is one. `exclusive`: one process, on a network file system. `max_pages`: the file's greatest size, in
        pages of 4 KiB; beyond it is StoreFull. `name`: what to call it in messages. `durable`: sync each commit; False
        for what can be made anew. `at_once`: refuse with StoreBusy what may take longer than a few short reads.

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
        if at_once:
            self._opener.require_quick()
        self._opener.prepare()
        with self._opener.without_waiting() if at_once else nullcontext():
            self._open()
        forking.watch(self)

    def _open(self) -> None:
        self._committer = GroupCommitter(self._run, self.name)
        self._exclusive_lock = threading.Lock()
        self._indexing = threading.Lock()
        self.wakes = Wakes()
        self._lending = self._lender()
        self._connect()

    def _lender(self) -> Lending:
        if not self._opener.exclusive:
            return Lending(self._opener, self.name, self._set_aside)
        return SoleLending(
            self._opener, self.name, self._set_aside, connection=lambda: self._writer, lock=self._exclusive_lock
        )

    def _connect(self) -> None:
        self._lending.forget()
        self._connected: apsw.Connection | None = None
        self._checkpoints = Checkpoints(self._opener)
        first = self._opener.ready()
        if first is None:
            self._open_writer()
            # Asked once: only the thread that commits may use this connection.
            self._writable = not self._opener.read_only and not self._writer.readonly("main")
        else:
            self._writable = True
            self._lending.keep(first)

    @property
    def _writer(self) -> apsw.Connection:
        """The connection that writes, opened by the first who needs it: the constructor, or the thread that commits."""
        return self._open_writer() if self._connected is None else self._connected

    def _open_writer(self) -> apsw.Connection:
        self._connected = writer = self._opener.writer()
        self._writes = Statements(writer)
        if self._max_pages is not None:
            self._writes.pragma(f"PRAGMA max_page_count={int(self._max_pages)}")
        self._checkpoints.follow(writer)
        self._headroom = self._opener.headroom()
        self._data_version: Row | None = None
        self._ledger = self._open_ledger(writer)
        return writer

    def _close_connections(self) -> None:
        self._lending.drop()
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
        if self._checkpoints.are_due(beside=beside):
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
                self._headroom.keep(self._checkpoints.pages)
            version = writes.one("data_version")
            self._checkpoints.shared = version != self._data_version
            if self._checkpoints.shared:  # somebody else has written: what was remembered may be wrong
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
        try:
            self._lending.tails.note(ledger.messages)
            ledger.flushed()
            self.wakes.wake()
            ledger.trim()
            if self._checkpoints.are_overdue:
                self._checkpoint(alone=len(operations) == 1 and not self._committer.waiting)
        except BaseException:  # an interrupt: it is committed, and the next commit must not write it again
            ledger.forget()
            self._lending.tails.clear()
            raise
        return results

    def _roll_back(self) -> None:
        """SQLite has already rolled back on its own after a full disk or an I/O error."""
        if self._writer.in_transaction:
            try:
                self._writes.script("ROLLBACK")
            except apsw.Error as exc:
                self._broken = translate(exc, self.name)

    def _checkpoint_alone(self) -> None:
        if self._broken is None:
            self._checkpoint(alone=True)

    def _checkpoint(self, *, alone: bool) -> None:
        """Copy the WAL into the database; see `Checkpoints.make`."""
        try:
            self._checkpoints.make(self._writer, alone=alone)
        except apsw.Error as exc:
            # As after a failed commit: what is on disk is not known any more.
            error = translate(exc, self.name)
            self._broken = StoreUnavailable(f"{error}; the store writes no more: open it again")

    # ------------------------------------------------------------------ reading
    def _reading(self) -> AbstractContextManager[Reads]:
        self._require_open()
        return Loan(self._lending)

    def _kept_tails(self) -> TailCache:
        return self._lending.tails

    def _set_aside(self, damaged: dict[str, bytes]) -> None:
        """Keep what a read could not decode, once for each place."""
        new = {location: body for location, body in damaged.items() if location not in self._known_damage}
        if new and self._writable:
            self._known_damage.update(new)
            self._quarantine(new)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.name} is closed: open it again")

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
        self._lending.forget()  # readers know what was
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
        self._lending.hold()
        self._close_connections()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        try:
            self._connect()
        except StoreError as error:
            self._broken = error
        self._lending.release()
        self._committer.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: of the parent's threads none is here, and whatever they held is free."""
        self._broken = None
        try:
            self._open()
        except StoreError as error:
            self._broken = error

    # ------------------------------------------------------------------ life
    def close(self) -> None:
        if self._closed:
            return
        self._committer.close()
        self._closed = True
        self.wakes.wake()
        forking.forget(self)
        try:
            self._lending.close()
            self._close_connections()
        except apsw.Error as exc:
            raise translate(exc, self.name, "unknown") from exc
