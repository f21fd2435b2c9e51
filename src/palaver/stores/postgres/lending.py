"""Connections to read by, lent to the threads of a process.

Who wants one opens it, if none is idle and there may be more: so who waits for a server that is away is told why, and
is there with the first try after it has come back. A pool whose own thread connects can do neither; see
docs/decisions/0011.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.pq import TransactionStatus

from palaver.errors import StoreBusy, StoreClosed, StoreError, StoreUnavailable
from palaver.stores.postgres.connection import Opener, PalaverConnection, is_idle

__all__ = ["Lender"]

_MOST_WAITING = 1_000
_MOST_IDLE = 600.0
"""Seconds that a connection lies unused before it is closed, when another is given back."""
_MOST_AGE = 3600.0
"""Seconds: what a server keeps for a connection grows, and a balancer in between wants to balance."""


class _Ticket:
    """One who wants a connection, or has one."""

    __slots__ = ("connection", "error", "turnstile")

    def __init__(self) -> None:
        self.connection: PalaverConnection | None = None
        self.error: StoreError | None = None
        self.turnstile = threading.Lock()
        """Locked while it waits for its turn."""


class Lender:
    """Lends so many connections as the URL says, and each to one thread at a time. Used by all threads."""

    def __init__(self, opener: Opener, opened: Callable[[], None]) -> None:
        """`opened` is called with each new connection, before it is lent."""
        self._opener = opener
        self._opened = opened
        self._place = opener.place
        self._lock = threading.Lock()
        self._lent: set[_Ticket] = set()
        self._waiting: deque[_Ticket] = deque()
        self._idle: deque[PalaverConnection] = deque()
        """The one that was used last is lent first."""
        self._closed = False

    @contextmanager
    def lend(self) -> Generator[PalaverConnection]:
        """A connection, inside. Raises StoreBusy where none is had in time, StoreUnavailable, StoreClosed."""
        ticket = _Ticket()
        try:
            self._enter(ticket)
            ticket.connection = connection = self._sound()
            yield connection
        finally:
            self._leave(ticket)

    # ------------------------------------------------------------------ one's turn
    def _enter(self, ticket: _Ticket) -> None:
        """Wait for one's turn. Whatever ends it, `_leave` has to be called."""
        with self._lock:
            if self._closed:
                raise self._refusal()
            if not self._waiting and len(self._lent) < self._place.connections:
                self._lent.add(ticket)
                return
            if len(self._waiting) >= _MOST_WAITING:
                msg = f"{self._place.name}: {_MOST_WAITING} wait for a connection to read by; try again in a moment"
                raise StoreBusy(msg)
            ticket.turnstile.acquire()
            self._waiting.append(ticket)
        if not ticket.turnstile.acquire(timeout=self._place.timeout):
            msg = (
                f"{self._place.name}: no connection to read by was free for {self._place.timeout:g} s; try again, or "
                f"allow more than {self._place.connections} (connections=)"
            )
            raise StoreBusy(msg)
        if ticket.error is not None:
            raise ticket.error

    def _leave(self, ticket: _Ticket) -> None:
        """Give back what was lent, or wait no longer; the next one gets its turn."""
        connection, ticket.connection = ticket.connection, None
        kept = connection is not None and self._is_worth_keeping(connection)
        old: list[PalaverConnection] = []
        with self._lock:
            if connection is not None:
                (self._idle if kept and not self._closed else old).append(connection)
                while self._idle and self._idle[0].used < connection.used - _MOST_IDLE:
                    old.append(self._idle.popleft())
            self._lent.discard(ticket)
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            while self._waiting and len(self._lent) < self._place.connections:
                first = self._waiting.popleft()
                self._lent.add(first)
                first.turnstile.release()
        for each in old:
            each.close()

    def _tell_all(self, error: StoreError) -> None:
        """Let those who wait go with an error."""
        with self._lock:
            while self._waiting:
                first = self._waiting.popleft()
                first.error = copy.copy(error)  # each thread writes its traceback into its own
                first.error.__cause__ = error.__cause__
                first.turnstile.release()

    # ------------------------------------------------------------------ connections
    def _sound(self) -> PalaverConnection:
        """A connection that is there, as far as one can see."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                break
            if connection.opened >= self._opener.outage.began and (is_idle(connection) or _answers(connection)):
                return connection
            connection.close()  # the server has ended it, or it is from before an outage and may lead nowhere
        try:
            connection = self._opener.reach()
        except StoreUnavailable as error:
            self._tell_all(error)
            raise
        self._opened()
        return connection

    def _is_worth_keeping(self, connection: PalaverConnection) -> bool:
        """Whether a connection that is given back can be lent again. What was left open in it is rolled back."""
        status = connection.pgconn.transaction_status
        if status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
            with suppress(psycopg.Error):
                connection.rollback()
            status = connection.pgconn.transaction_status
        connection.used = time.monotonic()
        return status == TransactionStatus.IDLE and connection.used - connection.opened < _MOST_AGE

    def _refusal(self) -> StoreClosed:
        return StoreClosed(f"{self._place.name} is closed: open it again")

    def close(self) -> None:
        """Close what is idle; what is lent is closed when it is given back."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        self._tell_all(self._refusal())
        for each in idle:
            each.close()


def _answers(connection: PalaverConnection) -> bool:
    """Whether a connection works on which something came: that may be a notice, too."""
    try:
        connection.execute("")
    except psycopg.Error:
        return False
    return True
