"""Group commit: the first thread that comes commits for everybody who comes while it does.

No thread of its own and no hop when nothing is queued. At any moment one thread holds the commit right; when it is
done it answers everyone it committed for and hands the right to the first of those who came meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from palaver.errors import StoreBusy, StoreClosed, StoreError, StoreUnavailable
from palaver.operations import Operation

__all__ = ["GroupCommitter"]

MAX_QUEUED = 20_000
MAX_BATCH = 1_000
_QUEUED, _PROMOTED, _TAKEN, _DONE = range(4)


class _Request:
    __slots__ = ("error", "operations", "results", "state", "turnstile")

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        self.results: list[Any] = []
        self.error: BaseException | None = None
        self.state = _QUEUED
        self.turnstile: threading.Lock | None = None


class GroupCommitter:
    """Runs `run` with the operations of one or more callers, one batch at a time.

    `run` answers for each operation, or raises StoreError for the batch. Anything else that it raises closes the
    committer: nobody is left waiting, and later calls raise StoreUnavailable with that error as the cause.
    """

    def __init__(self, run: Callable[[list[Operation]], list[Any]], name: str) -> None:
        self._run = run
        self._name = name
        self._mutex = threading.Lock()
        self._idle = threading.Condition(self._mutex)
        self._queue: deque[_Request] = deque()
        self._queued = 0
        self._leading = False
        self._closed: BaseException | None = None
        self.average = 0.0
        """Moving average of the seconds that a batch takes."""

    @property
    def busy(self) -> bool:
        """Whether a commit is under way."""
        return self._leading

    @property
    def waiting(self) -> bool:
        """Whether anybody waits for the next commit."""
        return bool(self._queue)

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Commit and answer for each operation. Raises StoreError for the batch as a whole."""
        request = _Request(operations)
        with self._mutex:
            if self._closed is not None:
                raise self._refusal()
            if self._queued + len(operations) > MAX_QUEUED and self._leading:
                msg = f"{self._name}: {self._queued} operations wait already; try again in a moment"
                raise StoreBusy(msg)
            self._queue.append(request)
            self._queued += len(operations)
            lead = not self._leading
            if lead:
                self._leading = True
            else:
                request.turnstile = threading.Lock()
                request.turnstile.acquire()
        if not lead:
            self._wait(request)
        if request.state != _DONE:
            self._lead()
        if request.error is not None:
            raise request.error
        return request.results

    def _wait(self, request: _Request) -> None:
        turnstile = request.turnstile
        if turnstile is None:  # pragma: no cover - a follower always has one
            return
        try:
            turnstile.acquire()
        except BaseException:  # an interrupted wait: leave the queue, and hand on the right if it was just given
            with self._mutex:
                if request.state in (_QUEUED, _PROMOTED):
                    self._queue.remove(request)
                    self._queued -= len(request.operations)
                    if request.state == _PROMOTED:
                        self._hand_on()
            raise

    def _lead(self) -> None:
        """Commit what is queued. This thread holds the right; its own request is first in the queue."""
        batch: list[_Request] = []
        operations: list[Operation] = []
        with self._mutex:
            while self._queue and (not batch or len(operations) + len(self._queue[0].operations) <= MAX_BATCH):
                request = self._queue.popleft()
                request.state = _TAKEN
                batch.append(request)
                operations.extend(request.operations)
            self._queued -= len(operations)
        error: BaseException | None = None
        results: list[Any] = []
        started = time.perf_counter()
        try:
            results = self._run_unless_closed(operations)
        except StoreError as exc:
            error = exc
        except BaseException as exc:
            error = StoreUnavailable(
                f"{self._name}: the commit was broken off by {type(exc).__name__}: {exc}; open the store again",
                outcome="unknown",
            )
            error.__cause__ = exc
            self._finish(batch, results, error, closed=exc)
            raise
        self.average += ((time.perf_counter() - started) - self.average) * 0.1
        self._finish(batch, results, error)

    def _run_unless_closed(self, operations: list[Operation]) -> list[Any]:
        if self._closed is not None:
            raise self._refusal()
        return self._run(operations)

    def _finish(
        self,
        batch: list[_Request],
        results: list[Any],
        error: BaseException | None,
        closed: BaseException | None = None,
    ) -> None:
        with self._mutex:
            if closed is not None:
                self._closed = closed
            start = 0
            for request in batch:
                end = start + len(request.operations)
                request.results = results[start:end]
                request.error = error
                request.state = _DONE
                start = end
                if request.turnstile is not None and request is not batch[0]:
                    request.turnstile.release()
            self._hand_on()

    def _hand_on(self) -> None:
        if self._queue:
            first = self._queue[0]
            first.state = _PROMOTED
            if first.turnstile is not None:
                first.turnstile.release()
        else:
            self._leading = False
            self._idle.notify_all()

    def close(self) -> None:
        """Let what is queued be committed, then refuse. Idempotent."""
        with self._mutex:
            while self._leading and self._closed is None:
                self._idle.wait()
            if self._closed is None:
                self._closed = StoreClosed(f"{self._name} is closed: open it again")

    def _refusal(self) -> StoreError:
        if isinstance(self._closed, StoreClosed):
            return StoreClosed(str(self._closed))
        refusal = StoreUnavailable(f"{self._name} was closed by an error: {self._closed}; open it again")
        refusal.__cause__ = self._closed
        return refusal
