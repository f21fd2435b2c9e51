"""Connections to a PostgreSQL store: opening them, also where its server is away for a moment, and waiting on them."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import psycopg
from psycopg import capabilities, generators, waiting
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from palaver.errors import StoreBusy, StoreUnavailable
from palaver.stores.postgres.errors import said, unreachable
from palaver.stores.postgres.place import Place
from palaver.stores.postgres.statements import Statements
from palaver.stores.postgres.values import adapt

__all__ = ["Opener", "Outage", "PalaverConnection", "is_idle"]

V = TypeVar("V")
_log = logging.getLogger(__name__)
_SYNC_WARNING = "01000"
_INTERVAL = 0.1
"""Seconds between two looks for an interrupt, while an answer is waited for; psycopg's own."""
_SILENCE = 5.0
_MOST_SILENCE = 60.0
"""Seconds of silence, from the first to later ones, after which it is asked whether the server is there."""
_ASK_SECONDS = 5.0
"""For the answer to that."""
_CANCEL_SECONDS = 0.5
"""For telling a server that nobody waits any more."""
_RECONNECT_SECONDS = 10.0
"""For which a server that is just restarted or replaced is tried."""
_PAUSE = 0.05
_MOST_PAUSE = 0.25
"""Seconds between two tries."""
_LEAST_LIMIT = 2.0
"""Seconds for a try of a server that has been away for long; psycopg takes no less."""
_FORGOTTEN = 15.0
"""Seconds without a try after which it is not known any more whether a server is away."""


class PalaverConnection(psycopg.Connection[Any]):
    """A connection that never cancels a COMMIT, and remembers a warning that a COMMIT may not have been replicated.

    A cancelled wait for a synchronous standby lets COMMIT succeed, with no more than a warning, and a failover then
    loses what it had acknowledged: https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION

    Nobody waits for ever: of a server that is silent for long it is asked whether it is there at all, and an interrupt
    (Ctrl-C) leaves at once. Both close the connection; what became of a COMMIT is then not known.
    """

    committing = False
    unsure: str | None = None
    watched: Any = None
    """What says whether something came on its socket."""
    ask: Callable[[PalaverConnection], None] | None = None
    """Asks whether the server is there, and raises OperationalError where it is not."""
    patience = _SILENCE
    """Seconds of silence after which it is asked."""
    opened = 0.0
    used = 0.0
    """When it was opened, and given back, by a clock that nobody sets."""

    def wait(self, gen: PQGen[V], interval: float = _INTERVAL, timeout: float | None = None) -> V:
        """See `psycopg.Connection.wait`, which cancels whatever is under way, and then waits for the server."""
        limits = {} if timeout is None else {"timeout": timeout}  # psycopg 3.2 knows none
        try:
            return waiting.wait(self._heard(gen), self.pgconn.socket, interval=interval, **limits)
        except BaseException as error:
            self._left(error)
            raise

    def _heard(self, gen: PQGen[V]) -> PQGen[V]:
        """What is waited for, as long as the server is there."""
        patience = self.patience
        until = 0.0
        try:
            state = next(gen)
            while True:
                ready = yield state
                if not ready and self.ask is not None:  # called so often as psycopg looks for interrupts
                    now = time.monotonic()
                    if not until:
                        until = now + patience
                    elif now >= until:
                        self.ask(self)
                        patience = min(_MOST_SILENCE, 2 * patience)  # what takes long is not asked about all the time
                        until = time.monotonic() + patience
                state = gen.send(ready)
        except StopIteration as done:
            return cast("V", done.value)

    def answers(self) -> list[PGresult]:
        """What the server answers to what was sent, up to where it has committed.

        Mostly it is there within a millisecond: that is waited for on the socket itself, where psycopg goes through a
        generator (25 of 270 µs an append). Whatever takes longer than its look for interrupts is left to `wait`.
        """
        pgconn = self.pgconn
        found: list[PGresult] = []
        try:
            is_sent = pgconn.flush() == 0
            while is_sent and self.has_input(_INTERVAL):
                pgconn.consume_input()
                while not pgconn.is_busy():
                    result = pgconn.get_result()
                    if result is None:
                        return found
                    found.append(result)
        except BaseException as error:
            self._left(error)
            raise
        # What the socket did not take at once has to be sent before an answer can come.
        rest: list[PGresult] = self.wait(generators.fetch_many(pgconn) if is_sent else generators.execute(pgconn))
        return found + rest

    def has_input(self, seconds: float) -> bool:
        """Whether anything comes on the socket within that time."""
        if self.watched is None:
            if not hasattr(select, "poll"):
                return bool(select.select([self.pgconn.socket], [], [], seconds)[0])
            self.watched = select.poll()
            self.watched.register(self.pgconn.socket, select.POLLIN)
        return bool(self.watched.poll(seconds * 1000))

    def _left(self, error: BaseException) -> None:
        if not isinstance(error, Exception) and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            self._abandon()

    def _abandon(self) -> None:
        """Leave what is under way, and do not wait. The server is told to stop, unless that may be a COMMIT."""
        if not self.committing and capabilities.has_cancel_safe():
            with suppress(psycopg.Error):
                self.cancel_safe(timeout=_CANCEL_SECONDS)
        self.close()

    def take_unsure(self) -> str | None:
        """What was warned of since this was last asked."""
        unsure, self.unsure = self.unsure, None
        return unsure

    def noticed(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """A notice came. The text is translated, so any warning of this class that comes with a COMMIT counts."""
        if diagnostic.sqlstate == _SYNC_WARNING and self.committing:
            self.unsure = diagnostic.message_primary or "a warning"


class Opener:
    """Opens connections to one store."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = place.name
        self.outage = Outage(place.name, min(_RECONNECT_SECONDS, place.timeout))
        self._limit = float(conninfo_to_dict(place.conninfo).get("connect_timeout") or 0)

    def connect(self, conninfo: str | None = None, *, limit: float | None = None) -> PalaverConnection:
        """A connection of its own; `limit`: seconds for each host. Raises StoreUnavailable or StoreBusy."""
        limits: dict[str, Any] = {} if limit is None else {"connect_timeout": max(2, round(limit))}
        try:
            connection = PalaverConnection.connect(conninfo or self.place.conninfo, autocommit=True, **limits)
        except psycopg.Error as exc:
            raise unreachable(exc, self.name) from exc
        try:
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def reach(self) -> PalaverConnection:
        """The same from a server that may be away for a moment: it is tried for some seconds from when it was missed.

        Once these are over, all who come are told at once, by trying it one more time. A server that has no connection
        left is tried for `timeout`; one that lets nobody in with this URL is not tried again.
        """
        busy_until = time.monotonic() + self.place.timeout
        pause = _PAUSE
        while True:
            began = time.monotonic()
            try:
                connection = self.connect(limit=self.outage.limit(self._limit))
            except StoreBusy:
                if time.monotonic() + pause >= busy_until:
                    raise
            except StoreUnavailable as error:
                if not error.retryable:
                    raise
                if self.outage.missed(began, said(error.__cause__)) + pause >= self.outage.patience:
                    raise
            else:
                self.outage.over()
                return connection
            time.sleep(pause)
            pause = min(_MOST_PAUSE, pause * 2)

    def _configure(self, connection: PalaverConnection) -> None:
        """Tell a new connection how values are sent. Nothing is set on the server: a pooler would give it to others."""
        if self.place.pooled:
            connection.prepare_threshold = None
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # said with BEGIN
        connection.add_notice_handler(connection.noticed)
        connection.ask = self._ask
        connection.patience = min(_SILENCE, self.place.timeout)
        connection.opened = connection.used = time.monotonic()
        adapt(connection)

    def _ask(self, silent: PalaverConnection) -> None:
        """Whether the server of a connection that is silent takes another one; it may just have much to do.

        One that refuses is there, or the system will say that the connection is lost. One that does not answer at all
        stands still, or the way there is cut.
        """
        info = silent.info
        there: dict[str, Any] = {"host": info.host, "port": info.port, "target_session_attrs": "any"}
        if info.hostaddr:
            there["hostaddr"] = info.hostaddr
        limit = max(2, round(min(self._limit or _ASK_SECONDS, _ASK_SECONDS, self.place.timeout)))
        began = time.monotonic()
        try:
            psycopg.connect(make_conninfo(self.place.conninfo, **there, connect_timeout=limit)).close()
        except psycopg.errors.ConnectionTimeout as exc:
            msg = "the server does not answer any more, and takes no new connection"
            self.outage.missed(began, msg)
            silent.close()
            raise psycopg.OperationalError(msg) from exc
        except psycopg.Error:
            return

    def statements(self, connection: PalaverConnection) -> Statements:
        """The store's statements on a connection."""
        return Statements(connection, self.place.schema, prepare=False if self.place.pooled else None)


class Outage:
    """How long the server has been away, as all who want a connection to it have found."""

    def __init__(self, name: str, patience: float) -> None:
        self._name = name
        self.patience = patience
        """Seconds for which it is tried."""
        self.began = 0.0
        """When the last one began; connections from before may lead nowhere."""
        self._lock = threading.Lock()
        self._since: float | None = None
        self._last = 0.0

    def missed(self, at: float, why: str) -> float:
        """It was tried in vain from that moment on. Gives for how many seconds it has been away.

        Where nobody has tried it for a while it may have been there in between: then this is another time.
        """
        with self._lock:
            now = time.monotonic()
            if self._since is None or now - self._last > _FORGOTTEN:
                self._since = self.began = at
                text = "%s is away, and is tried for %g s: %s"
                _log.warning(text, self._name, self.patience, why, extra={"action": "store_away"})
            self._last = now
            return now - self._since

    def limit(self, usual: float) -> float | None:
        """How long to wait for an answer; None: as long as the URL says."""
        since = self._since
        if since is None or time.monotonic() - self._last > _FORGOTTEN:
            return None
        left = self.patience - (time.monotonic() - since)
        return min(usual or _RECONNECT_SECONDS, max(left, _LEAST_LIMIT))

    def over(self) -> None:
        """It is there."""
        with self._lock:
            since = self._since
            self._since = None
        if since is not None:
            away = time.monotonic() - since
            _log.warning("%s is back after %.1f s", self._name, away, extra={"action": "store_back"})


def is_idle(connection: PalaverConnection) -> bool:
    """Whether a connection is open and nothing came on it: a server that ends it says so."""
    return not connection.closed and not connection.has_input(0)
