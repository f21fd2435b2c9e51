"""Connections to read by: lent to one thread at a time, and kept for the next one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

import apsw

from palaver.stores.sqlite.connection import Opener
from palaver.stores.sqlite.errors import translate
from palaver.stores.sqlite.reads import Lines, Reads
from palaver.stores.sqlite.tails import TailCache

__all__ = ["Lending", "Loan", "SoleLending"]

MAX_IDLE_READERS = 16

Damaged: TypeAlias = dict[str, bytes]
"""What cannot be decoded, by where it is."""
Idle: TypeAlias = deque[Reads]


class Lending:
    """The connections that a store reads by, and what they remember together of what was read."""

    def __init__(self, opener: Opener, name: str, tell: Callable[[Damaged], None]) -> None:
        """`tell` is called with what a read found damaged, once that read is over."""
        self.name = name
        self.tell = tell
        self._opener = opener
        self._closed = False
        self._mutex = threading.RLock()
        self._under_way = 0
        self._ended: threading.Condition | None = None
        """Where somebody waits for the reads that are under way."""
        self._idle = Idle()
        self.forget()

    def forget(self) -> None:
        """Remember nothing and keep no connection: those that are lent now are closed when they are given back."""
        idle = self._idle
        self.tails = TailCache()
        self.lines: Lines = {}
        self._idle = Idle()  # last: whoever sees it makes readers that share what is new
        _close(idle)

    def drop(self) -> None:
        """Close the connections that nobody has."""
        _close(self._idle)

    def close(self) -> None:
        """Keep no connection from now on: those that are lent now are closed when they are given back."""
        self._closed = True
        self.drop()

    # ------------------------------------------------------------------ loans
    def keep(self, connection: apsw.Connection) -> None:
        """Take a connection in, to be lent."""
        self._idle.append(self._reads(connection))

    def take(self) -> tuple[Reads, Idle]:
        """A connection to read by, and where it belongs, for `give_back`. Raises StoreError."""
        with self._mutex:
            self._under_way += 1
        idle = self._idle
        try:
            return self._taken(idle), idle
        except BaseException:  # or whoever waits for the reads under way would wait for ever
            self._end()
            raise

    def _taken(self, idle: Idle) -> Reads:
        try:
            return idle.pop()
        except IndexError:
            return self._reads(self._opener.reader())

    def give_back(self, reads: Reads, idle: Idle) -> None:
        """End a loan."""
        try:
            self._put_back(reads, idle)
        finally:
            self._end()

    def _put_back(self, reads: Reads, idle: Idle) -> None:
        if self._closed or idle is not self._idle or len(idle) >= MAX_IDLE_READERS:
            reads.close()
        else:
            idle.append(reads)

    def _end(self) -> None:
        with self._mutex:
            self._under_way -= 1
            if self._ended is not None and not self._under_way:
                self._ended.notify_all()

    def _reads(self, connection: apsw.Connection) -> Reads:
        return Reads(connection, self.name, self.tails, self.lines)

    # ------------------------------------------------------------------ forks
    def hold(self) -> None:
        """Wait for the reads that are under way, and let no other begin until `release`."""
        self._mutex.acquire()
        ended = self._ended = threading.Condition(self._mutex)
        while self._under_way:
            ended.wait()
        self._ended = None

    def release(self) -> None:
        """End a `hold`."""
        self._mutex.release()


class SoleLending(Lending):
    """The one connection of a store that locks its file exclusively: reads and commits take turns with it."""

    def __init__(
        self,
        opener: Opener,
        name: str,
        tell: Callable[[Damaged], None],
        *,
        connection: Callable[[], apsw.Connection],
        lock: threading.Lock,
    ) -> None:
        super().__init__(opener, name, tell)
        self._connection = connection
        self._lock = lock

    def _taken(self, idle: Idle) -> Reads:
        del idle
        self._lock.acquire()
        try:
            return self._reads(self._connection())
        except BaseException:  # nobody else would give it back
            self._lock.release()
            raise

    def _put_back(self, reads: Reads, idle: Idle) -> None:
        del reads, idle
        self._lock.release()


class Loan:
    """A connection to read by, for the length of a block; see `RowStore._reading`."""

    __slots__ = ("_idle", "_lending", "_reads")

    def __init__(self, lending: Lending) -> None:
        self._lending = lending

    def __enter__(self) -> Reads:
        self._reads, self._idle = self._lending.take()
        return self._reads

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, traceback
        lending = self._lending
        damaged = self._reads.take_damaged()
        lending.give_back(self._reads, self._idle)
        if error is None:
            if damaged:
                lending.tell(damaged)
        elif isinstance(error, apsw.Error):
            raise translate(error, lending.name) from error
        elif isinstance(error, UnicodeDecodeError):  # a TEXT column that is none any more
            raise translate(apsw.CorruptError(str(error)), lending.name) from error


def _close(idle: Idle) -> None:
    while idle:
        idle.pop().close()
