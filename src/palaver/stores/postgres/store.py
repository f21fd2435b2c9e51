"""The PostgreSQL store: any number of processes on any number of machines, one database."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from palaver.backups import Backup
from palaver.erasure import ScrubReport
from palaver.errors import StoreClosed, StoreError, StoreUnavailable
from palaver.findings import Progress, Repaired
from palaver.operations import Operation
from palaver.stores.base import FeedLag
from palaver.stores.commit import GroupCommitter
from palaver.stores.ledger import refused
from palaver.stores.postgres import backup
from palaver.stores.postgres.clock import ServerClock
from palaver.stores.postgres.connection import Opener
from palaver.stores.postgres.errors import FORGOTTEN, is_unknown, translate
from palaver.stores.postgres.feed import Settling, feed_lag
from palaver.stores.postgres.lending import Lender
from palaver.stores.postgres.listening import ListeningWakes
from palaver.stores.postgres.place import Place
from palaver.stores.postgres.reads import PostgresReads
from palaver.stores.postgres.schema import Schema
from palaver.stores.postgres.scrubbing import scrub
from palaver.stores.postgres.standing import Standing
from palaver.stores.postgres.writing import Writer
from palaver.stores.sqlite.backup import RecordBackup, backup_of, to_drop
from palaver.stores.sqlite.indexing import Reindex, Step
from palaver.stores.sqlite.mending import Mend
from palaver.stores.sqlite.reading import RowStore
from palaver.stores.sqlite.reads import Lines, RowReads
from palaver.stores.sqlite.tails import TailCache
from palaver.times import to_micros

__all__ = ["PostgresStore"]

T = TypeVar("T")
_MOST_TRIES = 3
"""How often a read is run, or the schema looked at, whose connection is lost."""
_opened: weakref.WeakSet[PostgresStore] = weakref.WeakSet()
_inherited: list[object] = []


def _begin_anew() -> None:
    for store in list(_opened):
        store.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class PostgresStore(RowStore):
    """See `palaver.stores.base.Store`, and docs/decisions/0007.

    One connection writes, with what all threads of this process commit at a time; a pool of others reads.
    """

    local = False

    def __init__(self, url: str) -> None:
        """Connect, and make or migrate the schema. A server that is away for a moment is waited for.

        Raises ValueError for a URL that cannot be used; StoreUnavailable, StoreBusy, SchemaMismatch.
        """
        self._place = Place.of(url)
        self.name = self._place.name
        self._writable = not self._place.read_only
        self._closed = False
        self._clock = ServerClock()
        self._open()
        self._prepare()
        _opened.add(self)

    def _prepare(self) -> None:
        """Make or migrate the schema; begun again where the server is restarted meanwhile."""
        tries = 0
        while True:
            connection = self._opener.reach()
            try:
                Schema(self._place, connection, self._opener.statements(connection), self._clock).prepare()
            except psycopg.Error as exc:
                tries += 1
                if tries >= _MOST_TRIES or not is_unknown(exc):
                    raise translate(exc, self.name) from exc
            else:
                return
            finally:
                connection.close()

    def _open(self) -> None:
        """Begin with nothing: connections are made when they are needed."""
        self._opener = Opener(self._place)
        self._lender = Lender(self._opener, self._remember_nothing)
        self.wakes = self._listening = ListeningWakes(self._opener)
        self._writer = Writer(self._opener, self._listening, self._clock)
        self._committer = GroupCommitter(self._run, self.name)
        self._indexing = threading.Lock()
        self._known_damage: set[str] = set()
        self._settling = Settling()
        self._standing = Standing()
        self._remember_nothing()

    def _remember_nothing(self) -> None:
        """Of what was read: a new connection may lead to a server that lacks the newest commits, or has others.

        What is still being read, on connections from before, is remembered where nobody looks any more.
        """
        self._tails = TailCache()
        self._lines: Lines = {}

    # ------------------------------------------------------------------ writing
    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        return self._committer.commit(operations)

    @property
    def committing(self) -> bool:
        """Whether a commit is under way in this process."""
        return self._committer.busy

    @property
    def commit_seconds(self) -> float:
        """Moving average of how long a commit takes."""
        return self._committer.average

    @property
    def locks_held(self) -> frozenset[int]:
        """Advisory locks of the last transaction: those above 0 are sessions'. For tests and curious people."""
        return self._writer.locks_held

    def _run(self, operations: list[Operation]) -> list[Any]:
        if not self._writable:
            raise StoreUnavailable(f"{self.name}: it was opened with mode=ro: open it without to write")
        return self._isolated(operations)

    def _isolated(self, operations: list[Operation]) -> list[Any]:
        """Commit; a value that the database cannot take is found when it is flushed, and harms its operation alone."""
        try:
            return self._writer.run(operations)
        except (UnicodeEncodeError, OverflowError) as error:  # raised while values were bound: nothing was committed
            if len(operations) == 1:
                return [refused(operations[0], error)]
        except StoreError as error:
            if not isinstance(error.__cause__, psycopg.DataError):
                raise
            if len(operations) == 1:
                return [refused(operations[0], error)]
        results: list[Any] = []
        for operation in operations:
            try:
                results += self._isolated([operation])
            except StoreError as error:  # those before it are committed: it fails alone, too
                results.append(error)
        return results

    # ------------------------------------------------------------------ reading
    def _read(self, call: Callable[[RowReads], T]) -> T:
        """What a read gives. Where its connection is lost it is begun again, on another one."""
        tries = 0
        while True:
            try:
                with self._lent() as reads:
                    return call(reads)
            except psycopg.Error as exc:
                tries += 1
                if tries >= _MOST_TRIES or not is_unknown(exc):
                    raise translate(exc, self.name) from exc

    @contextmanager
    def _reading(self) -> Generator[PostgresReads]:
        try:
            with self._lent() as reads:
                yield reads
        except psycopg.Error as exc:
            raise translate(exc, self.name) from exc

    @contextmanager
    def _lent(self) -> Generator[PostgresReads]:
        """A connection to read by, and its errors as they are."""
        self._require_open()
        damaged: dict[str, bytes] = {}
        with self._lender.lend() as connection:
            sql = self._opener.statements(connection)
            lines = {} if self._place.pooled else self._lines  # a pooler does not tell of a server that is another one
            reads = PostgresReads(sql, self._place, self._tails, lines, self._settling, self._clock, self._standing)
            try:
                yield reads
            except FORGOTTEN:
                connection.close()
                raise
            finally:
                damaged = reads.take_damaged()
        new = {location: body for location, body in damaged.items() if location not in self._known_damage}
        if new and self._writable:
            self._known_damage.update(new)
            self._quarantine(new)

    def _kept_tails(self) -> TailCache:
        return self._tails

    def _require_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.name} is closed: open it again")

    def _mend(self, mend: Mend) -> Repaired:
        try:
            [answer] = self._committer.commit([mend], alone=True)
        except StoreError as error:
            answer = error
        self._remember_nothing()
        return answer if isinstance(answer, Repaired) else mend.failed(answer)

    # ------------------------------------------------------------------ the search index
    def _stepped(self, step: Step | Reindex, left: int) -> Step | Reindex | None:
        """What the next step takes in is read, and cut into words, while the server takes in this one."""
        if left <= 0 or not isinstance(step, Step):
            return super()._stepped(step, left)
        with ThreadPoolExecutor(1, thread_name_prefix="palaver-index") as ahead:
            following = ahead.submit(self._next_step, left, step.after)
            taken = self._step(step)
            return following.result() if taken else self._next_step(left)

    # ------------------------------------------------------------------ reports
    def feed_lag(self) -> FeedLag:
        return self._read(lambda r: feed_lag(r.sql))

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
        """`path` has to be given: a store on a server has no place of its own for files."""
        self._require_open()
        if path is None:
            msg = f"{self.name} is on a server: name the file that the backup goes to"
            raise StoreUnavailable(msg)
        connection = self._opener.connect()
        sql = self._opener.statements(connection)
        reads = PostgresReads(sql, self._place, TailCache(), {})
        try:
            with reads.snapshot():
                made = backup.make(sql, connection, self._place.schema, path, now, sound=sound, progress=progress)
        except psycopg.Error as exc:
            raise translate(exc, self.name) from exc
        finally:
            connection.close()
        if self._writable:
            dropped = to_drop(self.backups(), made, keep)
            record = RecordBackup(at=to_micros(now), backup=made, dropped=dropped)
            [answer] = self._committer.commit([record], alone=True)
            if isinstance(answer, Exception):
                raise answer
        return made

    def backups(self) -> list[Backup]:
        rows = self._read(lambda r: r.sql.all("backups"))
        return [each for each in map(backup_of, rows) if Path(each.path).exists()]

    # ------------------------------------------------------------------ erasing
    def scrub(self) -> ScrubReport:
        self._require_open()
        connection = self._opener.connect()
        try:
            return scrub(self._opener.statements(connection), self._place.schema)
        except psycopg.Error as exc:
            raise translate(exc, self.name) from exc
        finally:
            connection.close()

    # ------------------------------------------------------------------ life
    def after_fork_in_child(self) -> None:
        """Begin anew: of the parent's threads none is here, and its connections are its own.

        They are kept, unused: to close them would be to say good-bye to the server in the parent's name.
        """
        _inherited.append((self._lender, self._writer, self._listening))
        if not self._closed:
            self._open()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if self._closed:
            return
        self._committer.close()
        self._closed = True
        _opened.discard(self)
        self.wakes.wake()
        self._listening.close()
        self._writer.close()
        self._lender.close()
