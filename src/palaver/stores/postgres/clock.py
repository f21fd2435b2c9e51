"""The server's clock as this process knows it, for reads: they judge leases by it, as writes do, and do not ask for it.

What the server said when it was last asked, with a write or when the store was opened, and the time since then by a
clock that nobody sets. So it does not matter what the clock of this machine says. It is behind by as long as the
answer took; on a machine that slept meanwhile, until the next write.
"""

from __future__ import annotations

import time
from datetime import datetime

from palaver.times import from_micros

__all__ = ["ServerClock"]

_MICROS = 1_000_000


class ServerClock:
    """Told the server's time now and then; says what it is now. For all threads of a store."""

    def __init__(self) -> None:
        self._ahead: float | None = None
        """Microseconds that the server's time is ahead of `time.monotonic`; None: it was never told."""

    def told(self, at: int) -> None:
        """It was `at` just now on the server, in microseconds."""
        self._ahead = at - time.monotonic() * _MICROS

    def now(self) -> datetime | None:
        """What time it is on the server; None: not known."""
        ahead = self._ahead
        return None if ahead is None else from_micros(int(ahead + time.monotonic() * _MICROS))
