"""Group commit: who commits for whom, what everyone is told, and that nobody is left waiting."""

from __future__ import annotations

import linecache
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

import pytest

from palaver.errors import StoreBusy, StoreClosed, StoreError, StoreFull, StoreUnavailable
from palaver.operations import Operation, Renew
from palaver.stores import commit as commit_module
from palaver.stores.commit import GroupCommitter
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator


def op(number: int) -> Operation:
    """An operation that is told from others by its time; these tests never apply it."""
    return Renew(at=number, session_id="s", token="t", micros=1)


class Runner:
    """A `run` that records its batches, can be held inside one, and fails as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.failures: dict[int, BaseException] = {}
        """What to raise in the batch of that number, from 0."""
        self.held: set[int] = set()
        self.entered = threading.Semaphore(0)
        self.released = threading.Semaphore(0)
        self.inside = 0
        self.overlapped = False

    def __call__(self, operations: list[Operation]) -> list[Any]:
        """Answer each operation with ten times its number."""
        number = len(self.batches)
        self.batches.append([operation.at for operation in operations])
        self.inside += 1
        self.overlapped |= self.inside > 1
        try:
            if number in self.held:
                self.entered.release()
                assert self.released.acquire(timeout=PATIENCE)
            if number in self.failures:
                raise self.failures[number]
            return [operation.at * 10 for operation in operations]
        finally:
            self.inside -= 1

    def wait_inside(self) -> None:
        """Until a batch that is held is under way."""
        assert self.entered.acquire(timeout=PATIENCE)

    def let_go(self) -> None:
        """Let the batch that is held go on."""
        self.released.release()


class Caller(threading.Thread):
    """One `commit` in a thread of its own, and what came of it."""

    def __init__(self, committer: GroupCommitter, *numbers: int) -> None:
        super().__init__(daemon=True)
        self.committer = committer
        self.operations = [op(number) for number in numbers]
        self.answer: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Commit, and keep the answer or the error."""
        try:
            self.answer = self.committer.commit(self.operations)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
            self.error = error

    def outcome(self) -> Any:
        """The answer, or the error. Fails if the thread is still waiting."""
        self.join(PATIENCE)
        assert not self.is_alive(), "a caller was left waiting"
        return self.error if self.error is not None else self.answer


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread, without a clock: this one yields the interpreter at every turn."""
    gate = threading.Event()
    for _ in range(1_000_000):
        if condition():
            return
        gate.wait(0.000_01)
    pytest.fail("what another thread should have done did not happen")


def waiting(committer: GroupCommitter) -> int:
    """How many callers wait."""
    return len(committer._queue)


@contextmanager
def leading(committer: GroupCommitter, runner: Runner, *numbers: int) -> Iterator[Caller]:
    """A caller whose batch is held open inside; let go at the end, if the test did not."""
    runner.held.add(len(runner.batches))
    caller = Caller(committer, *numbers)
    runner.wait_inside()
    yield caller
    runner.let_go()
    caller.outcome()


def made() -> tuple[GroupCommitter, Runner]:
    """A committer and its runner."""
    runner = Runner()
    return GroupCommitter(runner, "test://"), runner


def follow(committer: GroupCommitter, *numbers: int) -> Caller:
    """A caller that is queued behind those who wait already."""
    before = waiting(committer)
    caller = Caller(committer, *numbers)
    until(lambda: waiting(committer) > before)
    return caller


def test_a_lone_caller_commits_at_once_and_itself() -> None:
    """With nothing queued there is no hop: the calling thread runs the commit."""
    threads: list[threading.Thread] = []

    def run(operations: list[Operation]) -> list[Any]:
        threads.append(threading.current_thread())
        return ["done"] * len(operations)

    committer = GroupCommitter(run, "test://")
    assert committer.commit([op(1), op(2)]) == ["done", "done"]
    assert threads == [threading.current_thread()]
    assert not committer.busy
    assert not committer.waiting


def test_those_who_come_meanwhile_are_committed_together() -> None:
    """Callers that arrive during a commit share the next one, in order, and each gets its own answers."""
    committer, runner = made()
    with leading(committer, runner, 1) as first:
        followers = [follow(committer, 2), follow(committer, 3, 4), follow(committer), follow(committer, 5)]
        assert committer.busy
        assert committer.waiting
    assert first.outcome() == [10]
    assert [f.outcome() for f in followers] == [[20], [30, 40], [], [50]]
    assert runner.batches == [[1], [2, 3, 4, 5]]


def test_a_long_queue_is_committed_in_bounded_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch grows past its bound, none of a caller's operations are torn apart, and all are answered in order."""
    monkeypatch.setattr(commit_module, "MAX_BATCH", 4)
    committer, runner = made()
    with leading(committer, runner, 1):
        followers = [follow(committer, 2, 3), follow(committer, 4), follow(committer, 5, 6), follow(committer, 7)]
    assert [f.outcome() for f in followers] == [[20, 30], [40], [50, 60], [70]]
    assert runner.batches == [[1], [2, 3, 4], [5, 6, 7]]


def test_a_call_larger_than_a_batch_is_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operations of one call are committed together, however many they are."""
    monkeypatch.setattr(commit_module, "MAX_BATCH", 4)
    committer, runner = made()
    with leading(committer, runner, 1):
        followers = [follow(committer, 2), follow(committer, *range(3, 12))]
    assert followers[1].outcome() == [n * 10 for n in range(3, 12)]
    assert [len(batch) for batch in runner.batches] == [1, 1, 9]


def test_a_failed_batch_fails_all_of_it_and_nobody_else() -> None:
    """When a commit fails, each caller of that batch gets the error; the batches around it stand."""
    committer, runner = made()
    runner.failures[1] = StoreFull("no room", outcome="not_written")
    with leading(committer, runner, 1) as first:
        followers = [follow(committer, 2), follow(committer, 3)]
        runner.held.add(1)
        runner.let_go()
        runner.wait_inside()
        later = follow(committer, 4)
    assert first.outcome() == [10]
    for follower in followers:
        error = follower.outcome()
        assert isinstance(error, StoreFull)
        assert error.outcome == "not_written"
    assert later.outcome() == [40]
    assert committer.commit([op(5)]) == [50]


def test_an_unexpected_error_closes_loudly_and_strands_nobody() -> None:
    """Anything but a StoreError ends the committer: its raiser sees it, all others learn of it and why."""
    committer, runner = made()
    bug = ZeroDivisionError("a bug")
    runner.failures[1] = bug
    with leading(committer, runner, 1) as first:
        followers = [follow(committer, 2), follow(committer, 3)]
        runner.held.add(1)
        runner.let_go()
        runner.wait_inside()
        later = follow(committer, 4)
    assert first.outcome() == [10]
    assert followers[0].outcome() is bug
    companion, refused = followers[1].outcome(), later.outcome()
    assert isinstance(companion, StoreUnavailable)
    assert (companion.outcome, companion.__cause__) == ("unknown", bug)
    assert isinstance(refused, StoreUnavailable)
    assert (refused.outcome, refused.__cause__) == ("not_written", bug)
    with pytest.raises(StoreUnavailable, match="a bug") as caught:
        committer.commit([op(5)])
    assert caught.value.outcome == "not_written"
    assert runner.batches == [[1], [2, 3]]
    committer.close()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_commit_says_unknown_to_those_it_was_for(interrupt: type[BaseException]) -> None:
    """Ctrl-C during a commit reaches the one who pressed it; the others are told that the outcome is unknown."""
    committer, runner = made()
    runner.failures[1] = interrupt()
    with leading(committer, runner, 1):
        followers = [follow(committer, 2), follow(committer, 3)]
    assert isinstance(followers[0].outcome(), interrupt)
    error = followers[1].outcome()
    assert isinstance(error, StoreUnavailable)
    assert error.outcome == "unknown"


def test_every_caller_gets_an_error_of_its_own() -> None:
    """Threads do not share one exception object, whose traceback they would all write into."""
    committer, runner = made()
    runner.failures[1] = StoreFull("no room")
    with leading(committer, runner, 1):
        followers = [follow(committer, n) for n in (2, 3, 4)]
    errors = [f.outcome() for f in followers]
    assert len({id(error) for error in errors}) == 3


def test_a_full_queue_refuses_and_says_that_nothing_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded: beyond it is StoreBusy, retryable; those who wait are not disturbed."""
    monkeypatch.setattr(commit_module, "MAX_QUEUED", 3)
    committer, runner = made()
    with leading(committer, runner, 1):
        followers = [follow(committer, 2, 3), follow(committer, 4)]
        with pytest.raises(StoreBusy) as caught:
            committer.commit([op(5)])
        assert caught.value.retryable
        assert caught.value.outcome == "not_written"
    assert [f.outcome() for f in followers] == [[20, 30], [40]]
    assert committer.commit([op(n) for n in range(6, 16)]) == [n * 10 for n in range(6, 16)]


def test_close_lets_the_queue_be_committed() -> None:
    """Whoever came before `close` is answered; who comes after gets StoreClosed, not written."""
    committer, runner = made()
    closed = threading.Event()

    def close() -> None:
        committer.close()
        closed.set()

    closer = threading.Thread(target=close, daemon=True)
    with leading(committer, runner, 1) as first:
        follower = follow(committer, 2)
        closer.start()
        assert not closed.is_set()
    assert first.outcome() == [10]
    assert follower.outcome() == [20]
    assert closed.wait(PATIENCE)
    closer.join(PATIENCE)
    with pytest.raises(StoreClosed) as caught:
        committer.commit([op(3)])
    assert caught.value.outcome == "not_written"
    assert runner.batches == [[1], [2]]


def test_who_comes_after_close_does_not_keep_it_waiting() -> None:
    """While commits follow one another without end, one who closes is not the one who waits for all of them."""
    committer, runner = made()
    with leading(committer, runner, 1) as first:
        closer = threading.Thread(target=committer.close, daemon=True)
        closer.start()
        until(lambda: committer._closing)
        with pytest.raises(StoreClosed):
            committer.commit([op(2)])
    closer.join(PATIENCE)
    assert not closer.is_alive()
    assert first.outcome() == [10]
    assert runner.batches == [[1]]


def test_holding_comes_before_those_who_wait() -> None:
    """Who forks waits for the commit under way, and not until nobody has anything to commit."""
    committer, runner = made()
    with leading(committer, runner, 1):
        follower = follow(committer, 2)
        holder = threading.Thread(target=committer.hold, daemon=True)
        holder.start()
        until(lambda: committer._holding > 0)
    holder.join(PATIENCE)
    assert not holder.is_alive()
    later = follow(committer, 3)
    assert runner.batches == [[1]]
    committer.release()
    assert (follower.outcome(), later.outcome()) == ([20], [30])
    assert runner.batches == [[1], [2, 3]]


def test_close_twice_is_close() -> None:
    """Closing is idempotent, also after an error closed the committer."""
    committer, runner = made()
    runner.failures[0] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        committer.commit([op(1)])
    committer.close()
    committer.close()
    with pytest.raises(StoreError):
        committer.commit([op(2)])


def test_many_threads_lose_nothing_and_never_overlap() -> None:
    """Under contention each operation is committed exactly once, in its caller's order, one batch at a time."""
    committer, runner = made()
    start = threading.Barrier(8)
    wrong: list[Any] = []

    def work(worker: int) -> None:
        start.wait(PATIENCE)
        for step in range(60):
            numbers = [worker * 1_000 + step * 2, worker * 1_000 + step * 2 + 1]
            answers = committer.commit([op(number) for number in numbers])
            if answers != [number * 10 for number in numbers]:
                wrong.append((numbers, answers))

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert not runner.overlapped
    flat = [number for batch in runner.batches for number in batch]
    assert len(flat) == 8 * 120
    for worker in range(8):
        own = [number for number in flat if number // 1_000 == worker]
        assert own == sorted(set(own))
    assert not committer.busy


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send a signal to a thread")
def test_an_interrupted_follower_leaves_the_queue_and_hands_on_the_right() -> None:
    """Ctrl-C while waiting takes that caller's operations out of the queue, unwritten; the others go on."""
    committer, runner = made()
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        until(lambda: waiting(committer) == 2)
        queued.append(Caller(committer, 4))
        until(lambda: waiting(committer) == 3)
        signal.pthread_kill(main, signal.SIGINT)

    queued: list[Caller] = []
    sender = threading.Thread(target=interrupt, daemon=True)
    with leading(committer, runner, 1):
        ahead = follow(committer, 2)
        sender.start()
        with pytest.raises(KeyboardInterrupt):
            committer.commit([op(3)])
        sender.join(PATIENCE)
        assert waiting(committer) == 2
    assert ahead.outcome() == [20]
    assert queued[0].outcome() == [40]
    assert runner.batches == [[1], [2, 4]]
    assert committer.commit([op(5)]) == [50]


class Held:
    """Something to do while nobody commits, that is held open until it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self.error = error
        self.times = 0

    def __call__(self) -> None:
        """Wait, then fail if it is to."""
        self.times += 1
        self.entered.set()
        assert self.released.wait(PATIENCE)
        if self.error is not None:
            raise self.error


def test_what_is_done_while_nobody_commits_has_the_right_to_itself() -> None:
    """Callers that come meanwhile wait, and are committed together when it is done; so does the closing."""
    committer, runner = made()
    held = Held()
    doing = threading.Thread(target=committer.when_idle, args=(held,), daemon=True)
    doing.start()
    assert held.entered.wait(PATIENCE)
    assert committer.busy
    callers = [Caller(committer, number) for number in (1, 2)]
    until(lambda: waiting(committer) == 2)
    closing = threading.Thread(target=committer.close, daemon=True)
    closing.start()
    assert runner.batches == []
    held.released.set()
    assert [caller.outcome() for caller in callers] == [[10], [20]]
    assert sorted(runner.batches[0]) == [1, 2]
    closing.join(PATIENCE)
    doing.join(PATIENCE)
    assert not closing.is_alive()


def test_while_somebody_commits_it_is_not_done() -> None:
    """Nor once the committer is closed: it is never waited for."""
    committer, runner = made()
    held = Held()
    with leading(committer, runner, 1):
        committer.when_idle(held)
    committer.close()
    committer.when_idle(held)
    assert held.times == 0


def test_an_error_in_it_is_told_to_the_next_caller() -> None:
    """Those who waited and those who come later are refused, with that error as the cause."""
    committer, runner = made()
    held = Held(RuntimeError("a bug"))
    doing = threading.Thread(target=committer.when_idle, args=(held,), daemon=True)
    doing.start()
    assert held.entered.wait(PATIENCE)
    waited = Caller(committer, 1)
    until(lambda: waiting(committer) == 1)
    held.released.set()
    refused = waited.outcome()
    assert isinstance(refused, StoreUnavailable)
    assert refused.outcome == "not_written"
    with pytest.raises(StoreUnavailable, match="a bug"):
        committer.commit([op(2)])
    assert runner.batches == []
    doing.join(PATIENCE)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send a signal to a thread")
def test_a_follower_interrupted_as_the_only_one_leaves_an_idle_committer() -> None:
    """When the only one who waited goes away, the right does not stay with it."""
    committer, runner = made()
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        until(lambda: waiting(committer) == 1)
        signal.pthread_kill(main, signal.SIGINT)

    sender = threading.Thread(target=interrupt, daemon=True)
    with leading(committer, runner, 1):
        sender.start()
        with pytest.raises(KeyboardInterrupt):
            committer.commit([op(2)])
        sender.join(PATIENCE)
    until(lambda: not committer.busy)
    assert committer.commit([op(3)]) == [30]
    assert runner.batches == [[1], [3]]


class InterruptAtLine:
    """Ctrl-C, as it were, before the nth line of the committer that this thread runs."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.place = ""
        """Where it struck; empty if the thread was done before."""

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if frame.f_code.co_filename == commit_module.__file__ else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        # A lock is taken and given up between two checks for signals: there, and only there, Python strikes nobody.
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and not line.startswith("with "):
            self.left -= 1
            if self.left == 0:
                self.place = f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._line


def interrupted(nth: int, *, leader: bool) -> tuple[str, bool]:
    """Where a caller was interrupted, and whether a caller after it still got an answer or an error."""
    committer, runner = made()
    opened = threading.Event()
    first = None
    if not leader:
        runner.held.add(0)
        first = Caller(committer, 1)
        runner.wait_inside()

    def let_go() -> None:
        until(lambda: opened.is_set() or committer.waiting)
        runner.let_go()

    opener = threading.Thread(target=let_go, daemon=True)
    opener.start()
    strike = InterruptAtLine(nth)
    try:
        with strike:
            committer.commit([op(2)])
    except (KeyboardInterrupt, StoreError):
        pass
    finally:
        opened.set()
    opener.join(PATIENCE)
    after = Caller(committer, 3)
    after.join(PATIENCE)
    if first is not None:
        first.join(PATIENCE)
    return strike.place, not after.is_alive() and (first is None or not first.is_alive())


@pytest.mark.parametrize("leader", [True, False], ids=["leader", "follower"])
def test_an_interrupt_anywhere_strands_nobody(leader: bool) -> None:
    """Wherever in the committer Ctrl-C strikes, those who come after are answered or refused, and do not wait for ever.

    The closing of the store is among those who would.
    """
    nth = 1
    while True:
        place, answered = interrupted(nth, leader=leader)
        if not place:
            break
        assert answered, f"interrupted at {place}, and others wait for ever"
        nth += 1
    assert nth > 20


def test_an_interrupt_anywhere_in_what_is_done_while_nobody_commits_strands_nobody() -> None:
    """The right is handed on, wherever Ctrl-C strikes."""
    nth = 1
    while True:
        committer, _ = made()
        done: list[bool] = []
        strike = InterruptAtLine(nth)
        try:
            with strike:
                committer.when_idle(partial(done.append, True))
        except KeyboardInterrupt:
            assert strike.place
        if not strike.place:
            break
        assert not committer.busy, f"interrupted at {strike.place}, and nobody can commit any more"
        assert committer.commit([op(1)]) == [10]
        nth += 1
    assert done == [True]
    assert nth > 8
