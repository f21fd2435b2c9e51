"""Connections to read by, each lent to one thread at a time.

Not psycopg's own pool, for what that does when the server was away: whoever draws a second connection that has ended
waits a second before the next, then two, then four; and while nobody answers, its pauses double, so that after minutes
without a server it is minutes until somebody looks again. Here what has ended is dropped at once, and whoever needs a
connection makes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.pq import TransactionStatus

from palaver.errors import StoreBusy, StoreClosed
from palaver.stores.postgres.connection import PalaverConnection, is_idle

__all__ = ["Lending"]

_KEPT_IDLE = 600.0
"""Seconds after which a connection that nobody needed is closed: a crowd is not kept for ever."""
_KEPT = 3600.0
"""Seconds after which a connection is replaced: what the server remembers for it only grows."""


class Lending:
    """Lends connections, as many as `most` at a time, and makes them with `connect` when they are needed."""

    def __init__(self, connect: Callable[[], PalaverConnection], name: str, *, most: int, timeout: float) -> None:
        self._connect = connect
        self._name = name
        self._most = most
        self._timeout = timeout
        self._free = threading.Semaphore(most)
        self._lock = threading.Lock()
        self._idle: list[tuple[float, PalaverConnection]] = []
        """Since when, the newest last: those that are not needed stay at the beginning."""
        self._closed = False

    @contextmanager
    def lent(self) -> Generator[PalaverConnection]:
        """A connection that is there, for one block. Raises StoreBusy, StoreClosed, and what connecting raises."""
        if not self._free.acquire(timeout=self._timeout):
            msg = (
                f"{self._name}: all {self._most} connections to read by were lent for {self._timeout:g} seconds; "
                "try again, or raise connections="
            )
            raise StoreBusy(msg)
        try:
            connection = self._drawn() or self._connect()
            try:
                yield connection
            finally:
                self._take_back(connection)
        finally:
            self._free.release()

    def _drawn(self) -> PalaverConnection | None:
        """One that was given back, and that the server has not ended meanwhile."""
        while True:
            with self._lock:
                if self._closed:
                    msg = f"{self._name} is closed: open it again"
                    raise StoreClosed(msg)
                if not self._idle:
                    return None
                _, connection = self._idle.pop()
            if _is_there(connection):
                return connection
            connection.close()

    def _take_back(self, connection: PalaverConnection) -> None:
        now = time.monotonic()
        status = connection.pgconn.transaction_status
        if status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
            with suppress(psycopg.Error):  # what cannot be rolled back is closed below
                connection.rollback()
        dropped: list[PalaverConnection] = []
        with self._lock:
            sound = connection.pgconn.transaction_status == TransactionStatus.IDLE
            if sound and not self._closed and now - connection.made < _KEPT:
                self._idle.append((now, connection))
            else:
                dropped.append(connection)
            while self._idle and now - self._idle[0][0] >= _KEPT_IDLE:
                dropped.append(self._idle.pop(0)[1])
        for each in dropped:
            each.close()

    def close(self) -> None:
        """Close what was given back; what is lent is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()


def _is_there(connection: PalaverConnection) -> bool:
    """Whether the server still has it. One on which nothing came is not asked; what came may be a mere notice."""
    if is_idle(connection):
        return True
    try:
        connection.execute("")
    except psycopg.Error:
        return False
    return True
