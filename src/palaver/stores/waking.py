"""Telling those who wait for the next change that one was committed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["Wakes"]


class Wakes:
    """Counts the commits of one open store, and calls whoever waits for the next.

    Only those of this process: what others commit is found by looking again.
    """

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] = []

    def wake(self) -> None:
        """Something was committed, or the store was closed. Costs next to nothing while nobody waits."""
        self.count += 1
        if self._waiting:
            with self._lock:
                waiting = list(self._waiting)
            for call in waiting:
                call()

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Generator[None]:
        """Have this called, on the thread that commits, at each commit until the block is left: it must be quick."""
        with self._lock:
            self._waiting.append(call)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.remove(call)

    def wait(self, seen: int, seconds: float) -> None:
        """Wait until there was a commit after the `seen`th, or so long."""
        woken = threading.Event()
        with self.calling(woken.set):
            if self.count == seen:  # asked after the call was registered: none slips by in between
                woken.wait(seconds)
