"""Cancellation at every moment: the outcome is known by reading, and nothing stays locked, lost or doubled."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import palaver
from palaver import AsyncSessionManager, TurnLost, aopen, assistant, handover, user
from palaver.aio import AsyncTurn
from palaver.stores.sqlite import SqliteStore
from tests.faults.cancelling import CountingLoop, HandedOverStore, InlineStore

Scenario = Callable[[AsyncSessionManager], Awaitable[None]]
KEY = "key"
QUESTION = user("question", id="m1")
STEP = assistant("step")
REPLY = assistant("reply")


@pytest.fixture(autouse=True)
def _rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes round after every commit, not only where one task has had it for long: all moments there are."""
    monkeypatch.setattr(handover, "HOLD_SECONDS", -1.0)


async def only_begin(sessions: AsyncSessionManager) -> None:
    """Begin a turn, and close it at once if it comes: somebody else would."""
    turn = await sessions.begin_turn(KEY, QUESTION)
    await close(turn)


async def whole_turn(sessions: AsyncSessionManager) -> None:
    """A turn in a block, with a step."""
    async with sessions.begin_turn(KEY, QUESTION) as turn:
        await turn.append(STEP)
        await asyncio.sleep(0)
        await turn.finish(REPLY)


async def failing_turn(sessions: AsyncSessionManager) -> None:
    """A turn in a block that is left without an answer."""
    async with sessions.begin_turn(KEY, QUESTION) as turn:
        await turn.append(STEP)


async def rolled_back_turn(sessions: AsyncSessionManager) -> None:
    """A turn in a block that takes back what it did."""
    async with sessions.begin_turn(KEY, QUESTION) as turn:
        await turn.append(STEP)
        await turn.rollback()


SCENARIOS = [only_begin, whole_turn, failing_turn, rolled_back_turn]


async def close(turn: AsyncTurn) -> None:
    """End a turn whatever happens to this task."""
    while not turn.ended:
        try:
            await turn.fail("closed")
        except TurnLost:
            return
        except asyncio.CancelledError:
            continue


async def look(sessions: AsyncSessionManager, moment: object) -> None:
    """What must hold after a cancellation: the message can be sent again, at once, and is stored once."""
    try:
        turn = await sessions.begin_turn(KEY, QUESTION, on_busy="raise")
    except palaver.SessionBusy:
        [open_turn] = await sessions.open_turns()
        pytest.fail(f"cancelled at {moment}: the turn at seq {open_turn.first_seq} is held by nobody, for ten minutes")
    if not turn.replayed:
        await turn.finish(REPLY)
    session = await sessions.resolve(KEY)
    found = [m.text for m in await session.messages()]
    assert found.count("question") == 1, f"cancelled at {moment}: {found}"
    async with sessions.begin_turn(KEY, user("and then?"), on_busy="raise") as after:
        await after.finish(assistant("then this"))
    assert await sessions.check() == []
    assert await sessions.open_turns() == []


def run(make: Callable[[CountingLoop], Awaitable[None]]) -> None:
    """Run something on a counting loop of its own."""
    with asyncio.Runner(loop_factory=CountingLoop) as runner:

        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, CountingLoop)
            await make(loop)

        runner.run(main())


async def attempt(path: Path, kind: type[SqliteStore], scenario: Scenario, moments: list[int]) -> int:
    """One store, one scenario, one or more cancellations; gives how many callbacks there were."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    async with aopen(kind(str(path))) as sessions:

        async def task() -> None:
            await scenario(sessions)

        count = await loop.run_cancelling(task(), moments)
        await look(sessions, f"callback {moments}")
    return count


@pytest.mark.parametrize("kind", [InlineStore, HandedOverStore])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_cancellation_before_any_callback(tmp_path: Path, kind: type[SqliteStore], scenario: Scenario) -> None:
    """Cancelled before whichever callback of the loop, a turn leaves the session free and its message stored once."""

    async def every(_loop: CountingLoop) -> None:
        total = await attempt(tmp_path / "0.db", kind, scenario, [])
        assert total > 3
        for moment in range(1, total + 1):
            await attempt(tmp_path / f"{moment}.db", kind, scenario, [moment])

    run(every)


@pytest.mark.parametrize("kind", [InlineStore, HandedOverStore])
@pytest.mark.parametrize("scenario", [whole_turn, failing_turn])
def test_two_cancellations(tmp_path: Path, kind: type[SqliteStore], scenario: Scenario) -> None:
    """A second cancellation while a turn is being left after the first one leaves the session free too."""

    async def every(_loop: CountingLoop) -> None:
        total = await attempt(tmp_path / "0.db", kind, scenario, [])
        for first in range(2, total + 1):
            for second in (1, 2, 3):
                await attempt(tmp_path / f"{first}.{second}.db", kind, scenario, [first, first + second])

    run(every)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_cancellation_during_a_commit(tmp_path: Path, scenario: Scenario, when: str) -> None:
    """Cancelled while another thread commits, just before or just after it did, a turn leaves the session free."""

    async def every(loop: CountingLoop) -> None:
        number, total = 0, 1
        while number <= total:
            store = HandedOverStore(str(tmp_path / f"{number}.db"))
            async with aopen(store) as sessions:
                task = asyncio.ensure_future(scenario(sessions))
                store.loop, store.cancel = loop, task.cancel
                store.moment = (number, when) if number else None
                await asyncio.wait([task])
                total = store.commits if not number else total
                store.moment = None
                await look(sessions, f"{when} commit {number}")
            number += 1
        assert total >= 2

    run(every)


@pytest.mark.parametrize("kind", [InlineStore, HandedOverStore])
def test_a_cancelled_append_is_repeated_with_its_id(tmp_path: Path, kind: type[SqliteStore]) -> None:
    """An append that was cancelled at any moment and is made again with its id stores the message once."""

    async def every(loop: CountingLoop) -> None:
        async with aopen(kind(str(tmp_path / "chat.db"))) as sessions:
            session = await sessions.create(KEY)
            stored = 0
            for moment in range(12):
                message = user(f"message {moment}", id=f"m{moment}")

                async def append(message: palaver.Message = message) -> None:
                    await session.append(message)

                await loop.run_cancelling(append(), [moment])
                stored += len(await session.messages(after=moment)) > 0
                await session.append(message)
                assert [m.text for m in await session.messages()] == [f"message {n}" for n in range(moment + 1)]
            assert stored > 0  # moments after the commit, and moments that never came

    run(every)


@pytest.mark.parametrize("kind", [InlineStore, HandedOverStore])
@pytest.mark.parametrize("verb", ["finish", "fail", "rollback"])
def test_ending_a_turn_again_after_a_cancellation(tmp_path: Path, kind: type[SqliteStore], verb: str) -> None:
    """Whoever holds a turn whose end was cancelled at any moment ends it again the same way, with one effect."""

    async def end(turn: AsyncTurn) -> None:
        if verb == "finish":
            await turn.finish(REPLY)
        elif verb == "fail":
            await turn.fail("broken")
        else:
            await turn.rollback()

    async def every(loop: CountingLoop) -> None:
        async with aopen(kind(str(tmp_path / "chat.db"))) as sessions:
            for moment in range(1, 12):
                key = f"{verb} {moment}"
                turn = await sessions.begin_turn(key, QUESTION)
                await loop.run_cancelling(end(turn), [moment])
                if not turn.ended:
                    await end(turn)
                assert turn.ended
                assert turn.state == {"finish": "finished", "fail": "interrupted", "rollback": "rolled_back"}[verb]
                session = await sessions.resolve(key)
                found = [m.text for m in await session.messages()]
                assert found == {"finish": ["question", "reply"], "fail": ["question"], "rollback": []}[verb]
                async with sessions.begin_turn(key, user("next"), on_busy="raise") as after:
                    await after.finish(REPLY)
            assert await sessions.check() == []

    run(every)


def test_cancelled_while_waiting_for_a_busy_session(tmp_path: Path) -> None:
    """Who is cancelled while it waits for another's turn holds nothing, and has stored nothing."""

    async def every(loop: CountingLoop) -> None:
        async with aopen(InlineStore(str(tmp_path / "chat.db"))) as sessions:
            held = await sessions.begin_turn(KEY, QUESTION)
            for moment in range(2, 12):

                async def wait() -> None:
                    await sessions.begin_turn(KEY, user("waits"))

                await loop.run_cancelling(wait(), [moment])
            await held.finish(REPLY)
            session = await sessions.resolve(KEY)
            assert [m.text for m in await session.messages()] == ["question", "reply"]
            async with sessions.begin_turn(KEY, user("next"), on_busy="raise") as after:
                await after.finish(REPLY)

    run(every)


def open_files(folder: Path) -> list[str]:
    """The files in a folder that this process holds open."""
    held = []
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        try:
            target = descriptor.readlink()
        except OSError:  # it was that of the directory itself
            continue
        if target.is_relative_to(folder):
            held.append(str(target))
    return held


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are looked up in /proc")
def test_a_cancelled_open_leaves_nothing_open(tmp_path: Path) -> None:
    """Opening that is cancelled at any moment leaves no file open, and can be done again."""

    async def every(loop: CountingLoop) -> None:
        for moment in range(1, 8):
            path = tmp_path / f"{moment}.db"

            async def life(path: Path = path) -> None:
                async with aopen(path) as sessions:
                    await sessions.begin_turn(KEY, QUESTION)

            await loop.run_cancelling(life(), [moment])
            await loop.shutdown_default_executor()
            loop._default_executor = None  # type: ignore[attr-defined]  # a new one for the next round
            loop._executor_shutdown_called = False  # type: ignore[attr-defined]
            gc.collect()
            assert open_files(tmp_path) == [], f"cancelled at callback {moment}"

    run(every)


@pytest.mark.parametrize("kind", [InlineStore, HandedOverStore])
def test_a_cancelled_close_can_be_finished(tmp_path: Path, kind: type[SqliteStore]) -> None:
    """A close that is cancelled at any moment either closed the store or is made good by a second close."""

    async def every(loop: CountingLoop) -> None:
        for moment in range(1, 10):
            store = kind(str(tmp_path / f"{moment}.db"))
            sessions = await aopen(store)
            session = await sessions.create(KEY)
            writing = [asyncio.ensure_future(session.append(user(f"message {n}"))) for n in range(3)]
            await asyncio.sleep(0)
            await loop.run_cancelling(sessions.close(), [moment])
            await asyncio.wait(writing)
            await sessions.close()
            with pytest.raises(palaver.StoreClosed):
                store.stats(None)
            with palaver.open(tmp_path / f"{moment}.db") as again:
                written = sum(task.exception() is None for task in writing)
                assert len(again.resolve(KEY).messages()) == written

    run(every)
