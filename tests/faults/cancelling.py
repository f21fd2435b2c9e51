"""Cancellation at every moment there is: before each callback of the event loop, and during each commit.

An event loop runs callbacks one by one, and a commit of the store is the only thing that happens elsewhere. So "before
the n-th callback", and "before" and "after the n-th commit of another thread", are all the moments at which a
cancellation can come.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from typing import Any, TypeVarTuple

from palaver.operations import Operation
from palaver.stores.sqlite import SqliteStore
from tests.faults import kit

__all__ = ["CountingLoop", "HandedOverStore", "InlineStore"]


Ts = TypeVarTuple("Ts")


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts the callbacks that it runs while a task does, and cancels that task before those of given numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.moments: frozenset[int] = frozenset()
        self.task: asyncio.Task[Any] | None = None

    def _counted(self, callback: Callable[[*Ts], object]) -> Callable[[*Ts], object]:
        def run(*args: *Ts) -> None:
            task = self.task
            if task is not None and not task.done():
                self.count += 1
                if self.count in self.moments:
                    task.cancel()
            callback(*args)

        return run

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Count it when it runs."""
        return super().call_soon(self._counted(callback), *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Count it when it runs."""
        return super().call_soon_threadsafe(self._counted(callback), *args, context=context)

    async def run_cancelling(self, coming: Coroutine[Any, Any, object], moments: Sequence[int]) -> int:
        """Run a task, cancelled before the callbacks of these numbers; gives how many callbacks there were."""
        self.count, self.moments = 0, frozenset(moments)
        self.task = asyncio.ensure_future(coming)
        await asyncio.wait([self.task])
        task, self.task = self.task, None
        if not task.cancelled():
            task.result()
        return self.count


class InlineStore(SqliteStore):
    """A store so fast that commits are always done on the loop's own thread."""

    @property
    def commit_seconds(self) -> float:
        """None at all."""
        return 0.0


class HandedOverStore(SqliteStore):
    """A store that is never waited for on the loop's thread, and whose commits can be met by a cancellation."""

    local = False
    commits = 0
    moment: tuple[int, str] | None = None
    """The number of a commit, and `before` or `after` it: then `cancel` is called on the loop, and waited for."""
    cancel: Callable[[], object] = staticmethod(lambda: None)
    loop: asyncio.AbstractEventLoop | None = None

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Commit, and let the loop run at the chosen moment."""
        self.commits += 1
        number = self.commits
        self._meet((number, "before"))
        try:
            return super().commit(operations)
        finally:
            self._meet((number, "after"))

    def _meet(self, moment: tuple[int, str]) -> None:
        loop = self.loop
        if moment != self.moment or loop is None:
            return
        met = threading.Event()

        def interfere() -> None:
            self.cancel()
            loop.call_soon(loop.call_soon, loop.call_soon, met.set)  # the cancellation gets to run before

        loop.call_soon_threadsafe(interfere)
        assert met.wait(kit.PATIENCE)
