"""Waking those who wait for the next change, in whatever process it was committed.

After a commit the store notifies a channel, not more often than some times a second, and in a statement of its own:
notifying inside transactions would have the server commit them one after another. Whoever waits has a thread that
listens; told once, it wakes them twice, so that what was committed in between is not left lying. What gets lost on the
way (a connection, a notification behind a pooler) is found by looking again, as it is without any of this.

https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, cast

import psycopg

from palaver import ids
from palaver.errors import StoreError
from palaver.stores.postgres.connection import Opener, PalaverConnection
from palaver.stores.postgres.statements import Statements
from palaver.stores.waking import Wakes

__all__ = ["ListeningWakes"]

PAUSE = 0.05
"""Seconds between notifications, at least."""
_RETRY = 1.0
_FAREWELL = 1.0
"""Seconds to wait for the thread; one that just connects to a server that stands still ends by itself."""


class ListeningWakes(Wakes):
    """Woken by the commits of all processes, while anybody in this one waits for them."""

    def __init__(self, opener: Opener) -> None:
        super().__init__()
        self._opener = opener
        self._channel = f"palaver_{opener.place.schema}"
        self._me = ids.token()
        self._notified = 0.0
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._wake_up, self._woken = -1, -1

    @property
    def _listens(self) -> bool:
        place = self._opener.place
        return place.listen != "" and (place.listen is not None or not place.pooled)

    # ------------------------------------------------------------------ telling
    def tell(self, sql: Statements) -> None:
        """Let other processes know of a commit; by the thread that committed, on its connection."""
        now = time.monotonic()
        if now - self._notified >= PAUSE:
            self._notified = now
            sql.run("notify", (self._channel, self._me))

    # ------------------------------------------------------------------ listening
    @contextmanager
    def calling(self, call: Callable[[], None]) -> Generator[None]:
        self._start()
        with super().calling(call):
            yield

    def _start(self) -> None:
        if not self._listens:
            return
        with self._guard:
            if self._thread is None and not self._stopping:
                self._woken, self._wake_up = os.pipe()
                self._thread = threading.Thread(target=self._listen, name="palaver-listen", daemon=True)
                self._thread.start()

    def _listen(self) -> None:
        """Listen until `close`; a connection that is lost is made anew."""
        try:
            self._listen_on()
        finally:
            with self._guard:
                self._stopping = True
                os.close(self._wake_up)
                os.close(self._woken)
                self._wake_up = self._woken = -1

    def _listen_on(self) -> None:
        while not self._stopping:
            try:
                connection = self._opener.connect(self._opener.place.listen)
            except StoreError:
                self._pause(_RETRY)
                continue
            try:
                self._hear(connection)
            except psycopg.Error:
                self._pause(_RETRY / 10)
            finally:
                connection.close()

    def _hear(self, connection: PalaverConnection) -> None:
        connection.execute(cast("Any", f'LISTEN "{self._channel}"'))
        again = True  # what came before this listened
        while not self._stopping:
            ready, _, _ = select.select([connection.pgconn.socket, self._woken], [], [], 2 * PAUSE if again else None)
            if self._woken in ready:
                return
            if again and not ready:
                again = False
                self.wake()
                continue
            connection.pgconn.consume_input()
            heard = False
            while (notified := connection.pgconn.notifies()) is not None:
                heard = heard or bytes(notified.extra).decode() != self._me
            if heard:
                again = True
                self.wake()

    def _pause(self, seconds: float) -> None:
        select.select([self._woken], [], [], seconds)

    def close(self) -> None:
        """Stop listening."""
        with self._guard:
            self._stopping = True
            thread, self._thread = self._thread, None
            if thread is not None:
                with suppress(OSError):
                    os.write(self._wake_up, b"x")
        if thread is not None:
            thread.join(_FAREWELL)
