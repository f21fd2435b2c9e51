"""Commits and reads for an event loop, without holding it up.

Operations of one loop tick go to the store in one hand-over and come back with one wake-up per committed batch. A lone
commit on a fast, idle store is done on the loop's own thread: that is quicker than a hop, and holds the loop for one
sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from palaver.errors import StoreBusy, StoreClosed
from palaver.operations import Operation
from palaver.steps import Call, Commit, Flow, Pause, Step, Watch
from palaver.stores.base import Store

__all__ = ["Handover"]

T = TypeVar("T")
CROWD = 16
READ_SECONDS = 1e-3
"""Short reads may hold the loop up while they have taken less than this on average."""
INLINE_SECONDS = 500e-6
"""A commit may hold the loop up while commits have taken less than this on average: some syncs of a quick disk.

A hop to another thread and back costs 50 to 70 µs."""
HOLD_SECONDS = 1e-3
"""A task that commits again and again on the loop's thread lets others in when it has had it for so long."""


class _Request(asyncio.Future[list[Any]]):
    """What a task waits for: a cancellation comes to it when the outcome is settled, and not before.

    A task that is cancelled cancels what it waits for; where that refuses, asyncio lets it end first and then has
    the task see CancelledError. So no shield is needed.
    """

    def __init__(self, operations: Sequence[Operation], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.operations = operations

    def cancel(self, msg: Any | None = None) -> bool:
        del msg
        return False


class Handover:
    """Drives flows on one event loop. Used from that loop's thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tick: list[_Request] = []
        self._handed_over: set[_Request] = set()
        self._work: queue.SimpleQueue[list[_Request] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._read_seconds = 0.0
        """Moving average of how long a short read takes."""
        self._inline: asyncio.Task[Any] | None = None
        """Whose operations were committed on this thread in this tick."""
        self._inline_since = 0.0
        self._crowd = 0
        """For how many more ticks operations are collected although each came alone."""
        self._closing: asyncio.Future[None] | None = None
        self._beside: tuple[Store, Handover] | None = None

    # ------------------------------------------------------------------ flows
    async def drive(self, flow: Flow[T]) -> T:
        """Run a flow. A cancellation is thrown into it once the outcome of what was under way is known."""
        broken_off = False
        try:
            step = next(flow)
            while True:
                try:
                    # What a flow does after an error is to clean up: a further cancellation waits until that is done.
                    outcome = await (_settled(asyncio.ensure_future(self._do(step))) if broken_off else self._do(step))
                except BaseException as error:  # noqa: BLE001 - the flow decides what becomes of it
                    broken_off = True
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _do(self, step: Step) -> Any:
        if type(step) is Commit:
            return await self.commit(step.operations)
        if type(step) is Call:
            if not step.long and self._store.local and self._read_seconds < READ_SECONDS:
                return self._timed(step.run)
            if step.long or self._store.local:
                return await self.call(step.run if step.long else lambda: self._timed(step.run))
            # A short read of a server may wait for one that is away: who is cancelled leaves it to its thread.
            return await asyncio.to_thread(self._timed, step.run)
        if type(step) is Pause:
            return await asyncio.sleep(step.seconds)
        if type(step) is Watch:
            return await self._watch(step)
        raise TypeError(step)

    async def _watch(self, step: Watch) -> None:
        """Wait for the next commit without a thread that waits."""
        wakes, loop, woken = self._store.wakes, asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits in it any more
                loop.call_soon_threadsafe(woken.set)

        with wakes.calling(wake):
            if wakes.count == step.seen:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(woken.wait(), step.seconds)

    def _timed(self, run: Callable[[], Any]) -> Any:
        """Run a read, and remember how long such reads take."""
        began = time.perf_counter()
        try:
            return run()
        finally:
            # One that something else kept from the processor says little, however long it took: several must be slow.
            took = min(time.perf_counter() - began, 4 * READ_SECONDS)
            self._read_seconds += (took - self._read_seconds) * 0.1

    async def call(self, run: Any) -> Any:
        """Run something that blocks in a thread, and wait for it even if cancelled meanwhile."""
        future = asyncio.ensure_future(asyncio.to_thread(run))
        return await _settled(future)

    async def settled(self, coming: Coroutine[Any, Any, T]) -> T:
        """Do something to the end, however often the waiting task is cancelled meanwhile."""
        return await _settled(asyncio.ensure_future(coming))

    # ------------------------------------------------------------------ commits
    async def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Commit operations.

        CancelledError comes when their outcome is settled, so that a read then tells it.
        """
        if self._closed:
            msg = f"{self._store.name} is closed: open it again"
            raise StoreClosed(msg)
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            msg = "this manager belongs to another event loop: open one per loop"
            raise RuntimeError(msg)
        if self._crowd == 0 and self._idle():
            task = asyncio.current_task(loop)
            if self._inline is None or self._inline is task:
                with contextlib.suppress(StoreBusy):  # another process writes: the committing thread waits for it
                    return await self._commit_inline(operations, task, loop)
                self._crowd = 1
            else:
                self._crowd = CROWD  # a second one in the same tick: from now on they are collected
        request = _Request(operations, loop)
        if self._crowd == 0 and not self._tick and not self._handed_over and not self._store.local:
            self._hand_over([request])  # alone, and far to go: at once, and not with others at the end of the tick
            return await request
        self._tick.append(request)
        if len(self._tick) == 1:
            loop.call_soon(self._flush)
        return await request

    def _idle(self) -> bool:
        """Whether a commit can be done right here: nobody else is at it, and it will not hold the loop up for long."""
        store = self._store
        return (
            not self._tick
            and not self._handed_over
            and store.local
            and not store.committing
            and store.commit_seconds < INLINE_SECONDS
        )

    async def _commit_inline(
        self, operations: Sequence[Operation], task: asyncio.Task[Any] | None, loop: asyncio.AbstractEventLoop
    ) -> list[Any]:
        """Commit on the loop's own thread, and let the loop go round in time: who writes without end starves nobody."""
        now = loop.time()
        if self._inline is None:
            self._inline, self._inline_since = task, now
            loop.call_soon(self._end_tick)
        results = self._store.commit_at_once(operations)
        self._store.tidy()
        cancelled = task is not None and task.cancelling()  # the flow has to know before it hands anything out
        if cancelled or loop.time() - self._inline_since > HOLD_SECONDS:
            await asyncio.sleep(0)
        return results

    def _end_tick(self) -> None:
        self._inline = None

    def _flush(self) -> None:
        batch, self._tick = self._tick, []
        self._crowd = CROWD if len(batch) > 1 else max(self._crowd - 1, 0)
        if len(batch) == 1 and self._idle():
            results, error = _commit(self._store.commit_at_once, batch)
            if not isinstance(error, StoreBusy):
                _answer(batch, results, error)
                self._store.tidy()
                return
        self._hand_over(batch)

    def _hand_over(self, batch: list[_Request]) -> None:
        self._handed_over.update(batch)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="palaver-commit", daemon=True)
            self._thread.start()
        self._work.put(batch)

    def _run(self) -> None:
        """The committing thread: everything that was handed over since the last commit goes into the next."""
        while True:
            batch = self._work.get()
            if batch is None:
                return
            stop = False
            while True:
                try:
                    more = self._work.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                batch = batch + more
            results, error = _commit(self._store.commit, batch)
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._done, batch, results, error)
            self._store.tidy(beside=True)  # while the loop's thread goes on with those who were answered
            if stop:
                return

    def _done(self, batch: list[_Request], results: list[Any], error: BaseException | None) -> None:
        self._handed_over.difference_update(batch)
        _answer(batch, results, error)

    def beside(self, store: Store) -> Handover:
        """That of another store which is closed together with this one; always the same for one store."""
        if self._beside is None or self._beside[0] is not store:
            self._beside = store, Handover(store)
        return self._beside[1]

    async def close(self) -> None:
        """Let what was handed over be committed, then stop the thread and close the store.

        Cancelled, it closes nevertheless, and CancelledError comes when it has.
        """
        if self._closing is None:
            self._closed = True
            self._closing = asyncio.ensure_future(self._close())
        await _settled(self._closing)

    async def _close(self) -> None:
        if self._beside is not None:
            await self._beside[1].close()
        under_way = [*self._tick, *self._handed_over]
        if under_way:
            await asyncio.wait(under_way)
        thread = self._thread
        if thread is not None:
            self._work.put(None)
            await self.call(thread.join)
        await self.call(self._store.close)


def _commit(
    commit: Callable[[Sequence[Operation]], list[Any]], batch: list[_Request]
) -> tuple[list[Any], BaseException | None]:
    try:
        return commit([op for request in batch for op in request.operations]), None
    except BaseException as error:  # noqa: BLE001 - it is answered to everybody who waits
        return [], error


def _answer(batch: list[_Request], results: list[Any], error: BaseException | None) -> None:
    start = 0
    for request in batch:
        end = start + len(request.operations)
        if request.done():
            pass
        elif error is not None:
            request.set_exception(copy.copy(error).with_traceback(None))
        else:
            request.set_result(results[start:end])
        start = end


async def _settled(future: asyncio.Future[T]) -> T:
    """The future's result; a cancellation is passed on only when the future is done."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not future.cancelled():
            await _settle(future)
        raise


async def _settle(future: asyncio.Future[Any]) -> None:
    """Wait until a future is done, however often the waiting task is cancelled."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()  # seen, so that nobody is warned of it
