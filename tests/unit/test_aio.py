"""What only the async API has: tasks, cancellation, loops, leases that renew themselves, a close that drains."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

import palaver
from palaver import AsyncSessionManager, Origin, SessionBusy, StoreClosed, assistant, user
from palaver.operations import Begin, Operation
from palaver.stores.memory import MemoryStore

T = TypeVar("T")

CHAT = Origin("telegram", chat_id="42", user_id="7")


class GatedStore(MemoryStore):
    """Commits in another thread, and only when it is let."""

    local = False

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.entered = threading.Event()

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Commit when the gate is open."""
        self.entered.set()
        assert self.gate.wait(60)
        self.batches.append(len(operations))
        return super().commit(operations)


class CancellingStore(MemoryStore):
    """Cancels a task from inside the commit that it waits for: the worst moment, every time."""

    def __init__(self) -> None:
        super().__init__()
        self.victim: asyncio.Task[Any] | None = None
        self.kind: type[Operation] = Begin

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Commit, then cancel."""
        results = super().commit(operations)
        if self.victim is not None and any(isinstance(op, self.kind) for op in operations):
            self.victim.cancel()
            self.victim = None
        return results


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it, and fail on anything that the loop's exception handler was told: nobody reads it in production."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        return await main()

    result = asyncio.run(watched())
    assert complaints == []
    return result


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Let the loop go on until it is so."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in the code under test
            await asyncio.sleep(0)


async def _alone() -> bool:
    """Whether no other task is left on this loop."""
    return asyncio.all_tasks() == {asyncio.current_task()}


async def texts(sessions: AsyncSessionManager, target: Origin | str = CHAT) -> list[str]:
    """What is stored under a key."""
    return [m.text for m in await (await sessions.resolve(target)).messages(limit=10_000)]


# -- the surface


def test_managers_and_turns_are_awaited_or_entered(tmp_path: Path) -> None:
    """`async with` and `await` both work, for opening and for turns; what was said is there the next time."""

    async def main() -> None:
        async with palaver.aopen(tmp_path / "chat.db") as sessions:
            async with sessions.begin_turn(CHAT, user("one")) as turn:
                await turn.append(assistant("thinking"))
                await turn.finish(assistant("two"))
            turn = await sessions.begin_turn(CHAT, user("three"))
            await turn.finish(assistant("four"))
        sessions = await palaver.aopen(tmp_path / "chat.db")
        assert await texts(sessions) == ["one", "thinking", "two", "three", "four"]
        await sessions.close()

    run(main)


def test_leaving_a_block_without_finish_interrupts_the_turn() -> None:
    """As in the sync API: what happened stays, the exception goes on, the session is free."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:
            with pytest.raises(ZeroDivisionError):
                async with sessions.begin_turn(CHAT, user("one")) as turn:
                    raise ZeroDivisionError
            assert turn.state == "interrupted"
            async with sessions.begin_turn(CHAT, user("two"), on_busy="raise") as turn:
                await turn.finish()

    run(main)


def test_a_turn_is_got_by_its_id_in_a_block() -> None:
    """`async with sessions.turn(id)` goes on with it, and leaves it as every block does."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:
            begun = await sessions.begin_turn(CHAT, user("one"))
            assert begun.id is not None
            async with sessions.turn(begun.id) as turn:
                await turn.append(assistant("two"))
            assert (await sessions.turn(begun.id)).state == "interrupted"
            assert await texts(sessions) == ["one", "two"]

    run(main)


# -- leases


def test_a_turn_in_a_block_renews_its_lease() -> None:
    """While the block waits for its model, the lease is made longer again and again."""

    async def main() -> None:
        async with palaver.aopen("memory://", lease=timedelta(milliseconds=40)) as sessions:
            async with sessions.begin_turn(CHAT, user("think hard")) as turn:
                seen: set[Any] = set()

                async def renewed() -> bool:
                    seen.update(t.expires_at for t in await sessions.open_turns())
                    return len(seen) > 3

                await until(renewed)
                await turn.finish(assistant("42"))
            assert await sessions.open_turns() == []

    run(main)


def test_a_turn_that_ended_renews_nothing() -> None:
    """After `finish` nothing of the turn is left running, in the block or behind it."""

    async def main() -> None:
        async with palaver.aopen("memory://", lease=timedelta(milliseconds=1)) as sessions:
            for ending in ("finish", "fail", "rollback"):
                async with sessions.begin_turn(CHAT, user("hi")) as turn:
                    await getattr(turn, ending)()
                await until(_alone)

    run(main)


def test_a_lost_lease_ends_the_renewing_quietly() -> None:
    """A turn that was taken over learns it from its next append; the loop hears no complaint."""

    async def main() -> None:
        store = MemoryStore()
        async with (
            palaver.aopen(store, lease=timedelta(milliseconds=20)) as sessions,
            sessions.begin_turn(CHAT, user("one")) as turn,
        ):
            await (await sessions.resolve(CHAT)).reset()
            await until(_alone)
            with pytest.raises(palaver.TurnLost) as lost:
                await turn.append(assistant("late"))
            assert [m.text for m in lost.value.unstored] == ["late"]

    run(main)


# -- many at once


@pytest.mark.parametrize("url", ["memory://", "sqlite"])
def test_many_tasks_work_at_once(url: str, tmp_path: Path) -> None:
    """64 tasks with a session each: every turn is whole, in order, and acknowledged once."""

    async def main() -> None:
        where = url if url == "memory://" else str(tmp_path / "chat.db")
        async with palaver.aopen(where) as sessions:

            async def one(number: int) -> None:
                for step in range(3):
                    async with sessions.begin_turn(f"chat-{number}", user(f"q{step}")) as turn:
                        await turn.append(assistant(f"hm{step}"))
                        await turn.finish(assistant(f"a{step}"))

            await asyncio.gather(*(one(number) for number in range(64)))
            for number in range(64):
                assert await texts(sessions, f"chat-{number}") == "q0 hm0 a0 q1 hm1 a1 q2 hm2 a2".split()
            assert await sessions.check() == []

    run(main)


def test_tasks_at_one_session_take_turns() -> None:
    """Each waits for the one before: question directly before answer, none lost."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:

            async def one(number: int) -> None:
                async with sessions.begin_turn(CHAT, user(f"q{number}"), timeout=None) as turn:
                    await asyncio.sleep(0)
                    await turn.finish(assistant(f"re q{number}"))

            await asyncio.gather(*(one(number) for number in range(12)))
            stored = await texts(sessions)
            assert len(stored) == 24
            assert all(a == f"re {q}" for q, a in zip(stored[::2], stored[1::2], strict=True))

    run(main)


def test_two_handles_race_to_one_session() -> None:
    """Tasks that each got a handle on the same new key end in one session."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:
            handles = [await sessions.get_or_create(CHAT) for _ in range(16)]
            await asyncio.gather(*(h.append(user(f"m{n}")) for n, h in enumerate(handles)))
            assert len({h.id for h in handles}) == 1
            assert sorted(await texts(sessions)) == sorted(f"m{n}" for n in range(16))

    run(main)


def test_writes_of_one_tick_are_handed_over_together() -> None:
    """Appends that were made at the same time reach the store in one batch; the first may go before the others.

    This store is not in the process: who seems to be alone is handed over at once.
    """

    async def main() -> None:
        store = GatedStore()
        async with palaver.aopen(store) as sessions:
            handles = [await sessions.create(f"k{n}") for n in range(20)]
            store.batches.clear()
            await asyncio.gather(*(h.append(user("hi")) for h in handles))
            assert store.batches in ([20], [1, 19])

    run(main)


def test_the_loop_goes_on_while_a_commit_waits() -> None:
    """A slow store holds up who waits for it, and nobody else."""

    async def main() -> None:
        store = GatedStore()
        async with palaver.aopen(store) as sessions:
            session = await sessions.create(CHAT)
            store.gate.clear()
            store.entered.clear()
            writing = asyncio.create_task(session.append(user("hi")))
            await until(lambda: _is(store.entered.is_set))
            assert not writing.done()
            store.gate.set()
            assert (await writing).seqs == (1,)

    run(main)


async def _is(condition: Callable[[], bool]) -> bool:
    return condition()


# -- cancellation


def test_who_writes_without_end_starves_nobody(tmp_path: Path) -> None:
    """One task appends again and again, each commit on the loop's own thread; others go on between."""

    async def scene() -> tuple[int, int]:
        async with palaver.aopen(tmp_path / "chat.db") as sessions:
            session = await sessions.create("one")
            rounds = 0

            async def tick() -> None:
                nonlocal rounds
                while True:
                    rounds += 1
                    await asyncio.sleep(0)

            ticking = asyncio.create_task(tick())
            for number in range(300):
                await session.append(user(f"{number}"))
            ticking.cancel()
            return rounds, len(await session.messages(limit=1_000))

    rounds, stored = asyncio.run(scene())
    assert stored == 300
    assert rounds > 10


def test_an_append_that_is_cancelled_before_it_was_handed_over_is_not_written() -> None:
    """CancelledError, and nothing is stored; the same message can be appended again."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:
            session = await sessions.create(CHAT)
            task = asyncio.create_task(session.append(user("hi", id="m1")))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await session.messages() == []
            assert (await session.append(user("hi", id="m1"))).seqs == (1,)

    run(main)


def test_an_append_that_is_cancelled_under_way_is_settled_first() -> None:
    """CancelledError comes when the commit is over: a read then tells what became of it, and a retry stores once."""

    async def main() -> None:
        store = GatedStore()
        async with palaver.aopen(store) as sessions:
            session = await sessions.create(CHAT)
            store.gate.clear()
            store.entered.clear()
            task = asyncio.create_task(session.append(user("hi", id="m1")))
            await until(lambda: _is(store.entered.is_set))
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()  # an impatient caller
            await asyncio.sleep(0)
            assert not task.done()
            store.gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [m.text for m in await session.messages()] == ["hi"]
            assert (await session.append(user("hi", id="m1"))).fresh is False

    run(main)


@pytest.mark.parametrize("kind", ["inline", "handed over"])
def test_a_begin_that_is_cancelled_leaves_no_lease(kind: str) -> None:
    """Nobody got the turn, so nobody holds the session: the message's redelivery begins at once."""

    async def main() -> None:
        store = CancellingStore() if kind == "inline" else _Slow()
        async with palaver.aopen(store) as sessions:
            await sessions.create(CHAT)

            async def begin() -> None:
                await sessions.begin_turn(CHAT, user("hi", id="tg-1"))

            task = asyncio.create_task(begin())
            store.victim = task
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await sessions.open_turns() == []
            async with sessions.begin_turn(CHAT, user("hi", id="tg-1"), on_busy="raise") as turn:
                await turn.finish(assistant("ok"))
            assert await texts(sessions) == ["hi", "ok"]

    run(main)


class _Slow(CancellingStore):
    """The same store, worked in another thread."""

    local = False

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Commit, then let the loop cancel."""
        victim, self.victim = self.victim, None
        results = super().commit(operations)
        if victim is not None:
            if any(isinstance(op, self.kind) for op in operations):
                victim.get_loop().call_soon_threadsafe(victim.cancel)
            else:
                self.victim = victim
        return results


def test_a_block_that_is_cancelled_ends_its_turn() -> None:
    """A task that is cancelled inside the block leaves an interrupted turn and a free session."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:
            inside = asyncio.Event()

            async def block() -> None:
                async with sessions.begin_turn(CHAT, user("hi")):
                    inside.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(block())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await sessions.open_turns() == []
            async with sessions.begin_turn(CHAT, user("next"), on_busy="raise") as turn:
                await turn.finish()

    run(main)


def test_waiting_for_a_turn_can_be_cancelled() -> None:
    """Who stops waiting for a busy session leaves nothing behind: no message and no lease."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:
            async with sessions.begin_turn(CHAT, user("one")) as turn:

                async def begin() -> None:
                    await sessions.begin_turn(CHAT, user("two"), timeout=None)

                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(begin(), 0.02)
                await turn.finish(assistant("ok"))
            assert await texts(sessions) == ["one", "ok"]
            assert await sessions.open_turns() == []

    run(main)


# -- loops and the end


def test_a_manager_belongs_to_one_loop(tmp_path: Path) -> None:
    """Used from another loop it says so, for reads as for writes, instead of waiting for ever."""
    managers: list[AsyncSessionManager] = []

    async def first() -> None:
        managers.append(await palaver.aopen(tmp_path / "chat.db"))
        await managers[0].create(CHAT)

    async def second() -> None:
        with pytest.raises(RuntimeError, match="loop"):
            await managers[0].create("other")
        await managers[0].close()

    asyncio.run(first())
    asyncio.run(second())


def test_close_commits_what_was_handed_over() -> None:
    """Appends that were under way when `close` was called are stored and answered; later ones are refused."""

    async def main() -> None:
        store = GatedStore()
        kept: list[Sequence[Operation]] = []
        real = store.commit

        def keep(operations: Sequence[Operation]) -> list[Any]:
            results = real(operations)
            kept.append(operations)
            return results

        store.commit = keep  # type: ignore[method-assign]
        sessions = await palaver.aopen(store)
        session = await sessions.create(CHAT)
        store.gate.clear()
        writing = [asyncio.create_task(session.append(user(f"m{n}"))) for n in range(5)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(sessions.close())
        await asyncio.sleep(0)
        with pytest.raises(StoreClosed):
            await session.append(user("late"))
        store.gate.set()
        await closing
        assert sorted(seq for done in await asyncio.gather(*writing) for seq in done.seqs) == [1, 2, 3, 4, 5]
        assert sum(len(operations) for operations in kept) == 6
        await sessions.close()

    run(main)


def test_closing_ends_a_wait_for_a_busy_session() -> None:
    """A task that waits for another's turn is told that the store is closed."""

    async def main() -> None:
        sessions = await palaver.aopen("memory://")
        await sessions.begin_turn(CHAT, user("one"))

        async def begin() -> None:
            await sessions.begin_turn(CHAT, user("two"), timeout=None)

        waiting = asyncio.create_task(begin())
        await asyncio.sleep(0)
        await sessions.close()
        with pytest.raises(StoreClosed):
            await waiting

    run(main)


def test_a_turn_that_nobody_awaits_is_reported() -> None:
    """`begin_turn` without `await` begins nothing, and Python warns about it."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                sessions.begin_turn(CHAT, user("hi"))
            assert "never awaited" in str(caught[0].message)
            assert await sessions.list(include_empty=True) == []

    run(main)


def test_the_same_message_in_two_tasks_is_one_turn() -> None:
    """A webhook that was delivered twice at once: one task has the turn, the other is busy and then sees the reply."""

    async def main() -> None:
        async with palaver.aopen("memory://") as sessions:

            async def handle() -> str:
                turn = await sessions.begin_turn(CHAT, user("hi", id="tg-1"), timeout=None)
                if turn.replayed:
                    return f"again: {turn.reply.text if turn.reply else None}"
                await asyncio.sleep(0)
                await turn.finish(assistant("ok"))
                return "ok"

            assert sorted(await asyncio.gather(handle(), handle(), handle())) == ["again: ok", "again: ok", "ok"]
            with pytest.raises(SessionBusy):
                async with sessions.begin_turn(CHAT, user("next", id="tg-2")):
                    await sessions.begin_turn(CHAT, user("next", id="tg-2"), on_busy="raise")
            assert await texts(sessions) == ["hi", "ok", "next"]

    run(main)
