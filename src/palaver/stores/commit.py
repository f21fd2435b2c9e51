"""Group commit: the first thread that comes commits for everybody who comes while it does.

No thread of its own and no hop when nothing is queued. At any moment one thread holds the commit right; when it is
done it answers everyone it committed for and hands the right to the first of those who came meanwhile.
"""

from __future__ import annotations

import copy
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


class _Request:
    __slots__ = ("alone", "done", "error", "operations", "results", "turnstile")

    def __init__(self, operations: Sequence[Operation], *, alone: bool = False) -> None:
        self.operations = operations
        self.alone = alone
        self.results: list[Any] = []
        self.error: StoreError | None = None
        self.done = False
        self.turnstile = threading.Lock()
        """Locked while its caller waits, to be answered or to get the commit right."""


class GroupCommitter:
    """Runs `run` with the operations of one or more callers, one batch at a time.

    `run` answers for each operation, or raises StoreError for the batch. An interrupt (Ctrl-C) that it lets through
    fails the batch, whose outcome is then unknown. Anything else that it raises closes the committer: nobody is
    left waiting, and later calls raise StoreUnavailable with that error as the cause.
    """

    def __init__(self, run: Callable[[list[Operation]], list[Any]], name: str) -> None:
        self._run = run
        self._name = name
        self._mutex = threading.Lock()
        self._idle = threading.Condition(self._mutex)
        self._queue: deque[_Request] = deque()
        self._queued = 0
        self._leader: _Request | None = None
        """Whose caller has the commit right."""
        self._batch: list[_Request] = []
        """What the leader has taken and not answered yet."""
        self._closed: BaseException | None = None
        self._holding = 0
        """How many wait to hold others back. Who comes meanwhile waits, or they would while anybody comes."""
        self._closing = False
        self.average = 0.0
        """Moving average of the seconds that a batch takes."""

    @property
    def busy(self) -> bool:
        """Whether a commit is under way."""
        return self._leader is not None

    @property
    def waiting(self) -> bool:
        """Whether anybody waits for the next commit."""
        return bool(self._queue)

    def commit(self, operations: Sequence[Operation], *, alone: bool = False) -> list[Any]:
        """Commit and answer for each operation. Raises StoreError for the batch as a whole.

        `alone`: with nobody else's, because they might share a fate that only this caller chose.
        """
        request = _Request(operations, alone=alone)
        try:
            self._enter(request)
            while not request.done:
                if self._leader is request:
                    self._lead()
                else:
                    request.turnstile.acquire()
        except BaseException:
            self._recover(request)
            raise
        if request.error is not None:
            raise _own(request.error)
        return request.results

    def _enter(self, request: _Request) -> None:
        with self._mutex:
            if self._closed is not None or self._closing:
                raise self._refusal()
            count = len(request.operations)
            if self._leader is None and not self._holding:
                self._leader = request
            elif self._queued + count > MAX_QUEUED:
                msg = f"{self._name}: {self._queued} operations wait already; try again in a moment"
                raise StoreBusy(msg)
            else:
                request.turnstile.acquire()
            self._queue.append(request)
            self._queued += count

    def _lead(self) -> None:
        """Commit what is queued; this thread has the right."""
        operations: list[Operation] = []
        batch = self._batch
        with self._mutex:
            while self._queue and self._joins(batch, len(operations)):
                batch.append(self._queue[0])
                operations.extend(self._queue[0].operations)
                self._queue.popleft()
            self._queued -= len(operations)
        error: StoreError | None = None
        results: list[Any] = []
        closing: BaseException | None = None
        started = time.perf_counter()
        try:
            results = self._run_unless_closed(operations)
        except StoreError as exc:
            error = exc
        except Exception as exc:  # noqa: BLE001 - it is told to everybody who waits, and closes the store
            closing = exc
            error = self._broken_off(exc)
        self.average += ((time.perf_counter() - started) - self.average) * 0.1
        with self._mutex:
            self._closed = self._closed or closing
            start = 0
            for request in batch:
                end = start + len(request.operations)
                request.results = results[start:end]
                request.error = error
                start = end
            self._answer()
            self._hand_on()
        if closing is not None:
            raise closing

    def _joins(self, batch: list[_Request], count: int) -> bool:
        """Whether the first who waits is committed with the batch, which has so many operations."""
        if not batch:
            return True
        first = self._queue[0]
        return not batch[0].alone and not first.alone and count + len(first.operations) <= MAX_BATCH

    def _run_unless_closed(self, operations: list[Operation]) -> list[Any]:
        if self._closed is not None:
            raise self._refusal()
        return self._run(operations)

    def _answer(self) -> None:
        """Let those of the batch go on whose answer is there."""
        for request in self._batch:
            request.done = True
            _open(request)
        self._batch = []

    def _hand_on(self) -> None:
        """Give the right to the first who waits."""
        self._leader = self._queue[0] if self._queue and not self._holding else None
        if self._leader is not None:
            _open(self._leader)
        else:
            self._idle.notify_all()

    def _recover(self, request: _Request) -> None:
        """Leave without an answer, wherever that struck: nobody else may be left waiting for it.

        Every step here can be done twice, since any may have been done before.
        """
        with self._mutex:
            if self._leader is request:
                for taken in self._batch:
                    if not taken.done and taken.error is None and not taken.results:
                        taken.error = self._broken_off(None)
                self._answer()
            if request in self._queue:
                self._queue.remove(request)
            while self._queue and self._queue[0].done:
                self._queue.popleft()
            self._queued = sum(len(waiting.operations) for waiting in self._queue)
            if self._leader is request or self._leader is None or self._leader.done:
                self._hand_on()
            else:
                _open(self._leader)

    def _broken_off(self, cause: BaseException | None) -> StoreError:
        why = f"{type(cause).__name__}: {cause}; open the store again" if cause is not None else "an interrupt"
        error = StoreUnavailable(f"{self._name}: the commit was broken off by {why}", outcome="unknown")
        error.__cause__ = cause
        return error

    def when_idle(self, do: Callable[[], None]) -> None:
        """Do something with the commit right, if nobody has it; those who come meanwhile wait until it is done.

        An error that `do` raises closes the committer, as one that `run` raises does: the next caller is told.
        """
        mine = _Request(())
        try:
            with self._mutex:
                if self._leader is not None or self._holding or self._closed is not None:
                    return
                self._leader = mine
            self._do(do)
            self._give_up(mine)
        except BaseException:  # an interrupt between any two lines: the right must not be lost
            self._give_up(mine)
            raise

    def _do(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as exc:  # noqa: BLE001 - nobody waits for it: the next caller is told
            self._closed = exc

    def _give_up(self, mine: _Request) -> None:
        """Hand the right on, if this one has it; can be done twice."""
        with self._mutex:
            if self._leader is mine:
                self._hand_on()

    def hold(self) -> None:
        """Wait for the commit that is under way, and let no other begin until `release`."""
        with self._mutex:
            self._holding += 1
            try:
                while self._leader is not None:
                    self._idle.wait()
                self._leader = _Request(())
            finally:
                self._holding -= 1
                if self._leader is None:  # interrupted: those who came go on
                    self._hand_on()

    def release(self) -> None:
        """End a `hold`: the first of those who came meanwhile commits."""
        with self._mutex:
            self._hand_on()

    def close(self) -> None:
        """Let what is queued be committed, and refuse whatever comes. Idempotent."""
        with self._mutex:
            self._closing = True
            try:
                while self._leader is not None and self._closed is None:
                    self._idle.wait()
            except BaseException:  # interrupted: it stays open
                self._closing = False
                raise
            if self._closed is None:
                self._closed = StoreClosed(f"{self._name} is closed: open it again")

    def _refusal(self) -> StoreError:
        if self._closed is None or isinstance(self._closed, StoreClosed):
            return StoreClosed(f"{self._name} is closed: open it again")
        refusal = StoreUnavailable(f"{self._name} was closed by an error: {self._closed}; open it again")
        refusal.__cause__ = self._closed
        return refusal


def _open(request: _Request) -> None:
    """Let a caller that waits go on; one that does not is not disturbed."""
    if request.turnstile.locked():
        request.turnstile.release()


def _own(error: StoreError) -> StoreError:
    """The error for one caller: each thread writes its traceback into its own."""
    mine = copy.copy(error)
    mine.__cause__ = error.__cause__ or error
    return mine
