"""How one description of a task serves both APIs.

A flow is a generator that yields what it wants done (a read, a commit, a pause) and is sent the outcome. The sync API
drives it with plain calls, the async API with awaits; what the task *is* stands once, in `palaver.flows`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar

from palaver.errors import PalaverError
from palaver.operations import Operation
from palaver.stores.base import Store

__all__ = ["Call", "Commit", "Flow", "Pause", "Step", "Watch", "call", "commit", "drive", "long_call", "write"]

T = TypeVar("T")
P = ParamSpec("P")


class Call:
    """A read of the store. `long` ones never run on an event loop's thread."""

    __slots__ = ("long", "run")

    def __init__(self, run: Callable[[], Any], *, long: bool) -> None:
        self.run = run
        self.long = long


class Commit:
    """Operations to commit."""

    __slots__ = ("operations",)

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations


class Pause:
    """A wait, in seconds."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Watch:
    """A wait for the next commit of this process after the `seen`th, at most so many seconds."""

    __slots__ = ("seconds", "seen")

    def __init__(self, seen: int, seconds: float) -> None:
        self.seen = seen
        self.seconds = seconds


Step: TypeAlias = Call | Commit | Pause | Watch
Flow: TypeAlias = Generator[Step, Any, T]


def call(run: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Flow[T]:
    """Ask for a short read."""
    result: T = yield Call(lambda: run(*args, **kwargs), long=False)
    return result


def long_call(run: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Flow[T]:
    """Ask for a read whose cost grows with what is stored."""
    result: T = yield Call(lambda: run(*args, **kwargs), long=True)
    return result


def commit(*operations: Operation) -> Flow[list[Any]]:
    """Ask for a commit; the answers may be errors."""
    results: list[Any] = yield Commit(operations)
    return results


def write(operation: Operation) -> Flow[Any]:
    """Ask for one operation; an error is raised."""
    [result] = yield Commit((operation,))
    if isinstance(result, PalaverError):
        raise result
    return result


def drive(store: Store, flow: Flow[T]) -> T:
    """Run a flow on this thread. An error is thrown into the flow, which may clean up before it raises."""
    try:
        step = next(flow)
        while True:
            try:
                outcome = _do(store, step)
            except BaseException as error:  # noqa: BLE001 - the flow decides what becomes of it
                step = flow.throw(error)
            else:
                step = flow.send(outcome)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _do(store: Store, step: Step) -> Any:
    if type(step) is Commit:
        results = store.commit(step.operations)
        store.tidy()
        return results
    if type(step) is Call:
        return step.run()
    if type(step) is Pause:
        return time.sleep(step.seconds)
    if type(step) is Watch:
        return store.wakes.wait(step.seen, step.seconds)
    raise TypeError(step)
