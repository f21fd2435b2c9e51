"""The Compactor, for both APIs."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

from palaver.aio.manager import AsyncSessionManager
from palaver.aio.session import AsyncSession
from palaver.compaction import CompactionPolicy
from palaver.compactor.values import Compaction, Summariser
from palaver.compactor.work import Ask, Do, Plan, Wait, work
from palaver.manager import SessionManager
from palaver.session import Session

__all__ = ["AsyncCompactor", "Compactor"]

REMEMBERED = 1_000
"""Sessions whose failures are remembered."""
LONGEST_REST = 3_600.0
PAGE = 200


class CompactorBase:
    """What a Compactor is in both APIs: a model, a plan, and a memory of which sessions to leave alone for a while."""

    def __init__(
        self,
        summarise: Summariser,
        *,
        policy: CompactionPolicy | None = None,
        max_tokens: int = 24_000,
        attempts: int = 3,
        pause: float = 1.0,
        rest: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_tokens < 1 or attempts < 1 or pause < 0 or rest < 0:
            raise ValueError("max_tokens and attempts are at least 1, pause and rest at least 0 seconds")
        self._summarise = summarise
        self._plan = Plan(policy=policy, max_tokens=max_tokens, attempts=attempts, pause=pause)
        self._rest = rest
        self._clock = clock
        self._failed: dict[str, tuple[int, float]] = {}
        """How many runs in a row gave up on a session, and until when it is left alone."""

    def _resting(self, session_id: str) -> Compaction | None:
        failed, until = self._failed.get(session_id, (0, 0.0))
        left = until - self._clock()
        if not failed or left <= 0:
            return None
        why = f"the model gave no summary in {failed} run(s): it is asked again in {left:.0f} seconds"
        return Compaction(session_id=session_id, outcome="resting", failures=(why,))

    def _ended(self, done: Compaction) -> Compaction:
        failed, _ = self._failed.pop(done.session_id, (0, 0.0))
        if done.outcome == "gave_up":
            rest = min(self._rest * 2**failed, max(LONGEST_REST, self._rest))
            while len(self._failed) >= REMEMBERED:
                self._failed.pop(next(iter(self._failed)), None)
            self._failed[done.session_id] = failed + 1, self._clock() + rest
        return done


class Compactor(CompactorBase):
    """Summarises what is due in sessions, with a model of the caller's.

    `summarise(messages, previous_summary)` gives the new summary: its text, a Message, either with a Usage, or a
    `Summarised`. It is given at most about `max_tokens` of messages at a time, and what it cannot be given at once goes
    piece by piece, each with the summary of those before. It is asked up to `attempts` times, `pause` seconds apart
    and then twice as long each time; a session on which that fails is left alone for `rest` seconds, then twice as
    long, up to an hour. `policy` is that of the manager unless given.

    Nothing changes before a whole summary is committed, so that a crash, at any time, costs the calls that were made
    and nothing else. Messages that come meanwhile stay as they are. Of two Compactors one wins.
    """

    def run(self, session: Session) -> Compaction:
        """Summarise what is due in a session, and say what became of it.

        Raises StoreError, and TypeError for an answer of a kind that is none.
        """
        resting = self._resting(session.id)
        if resting is not None:
            return resting
        steps = work(session, self._plan)
        try:
            step = next(steps)
            while True:
                try:
                    outcome = self._do(step)
                except Exception as error:  # noqa: BLE001 - the work decides what becomes of it
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as stop:
            done: Compaction = stop.value
            return self._ended(done)

    def run_all(self, sessions: SessionManager, *, limit: int = 100) -> list[Compaction]:
        """Summarise what is due in all sessions that go on, newest activity first; what became of each that had any.

        For a task that runs now and then, with a policy of `after_idle` for instance. It looks at each session's end,
        and stops after `limit` of them had something due. Hidden and archived sessions are left alone. Raises as `run`.
        """
        done: list[Compaction] = []
        after: str | None = None
        while page := sessions.list(limit=PAGE, after=after, include_ended=False):
            for info in page:
                one = self.run(sessions.get(info.id))
                if one.outcome != "nothing_due":
                    done.append(one)
                if len(done) >= limit:
                    return done
            after = page[-1].id
        return done

    def _do(self, step: Do | Ask | Wait) -> Any:
        if isinstance(step, Ask):
            return self._summarise(step.messages, step.previous)
        if isinstance(step, Do):
            return step.verb()
        return time.sleep(step.seconds)


class AsyncCompactor(CompactorBase):
    """The same with `await`; `summarise` may be async, and runs on another thread where it is not."""

    async def run(self, session: AsyncSession) -> Compaction:
        """See `Compactor.run`. Cancelled, it has changed nothing but what it had committed."""
        resting = self._resting(session.id)
        if resting is not None:
            return resting
        steps = work(session, self._plan)
        try:
            step = next(steps)
            while True:
                try:
                    outcome = await self._do(step)
                except Exception as error:  # noqa: BLE001 - the work decides what becomes of it
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as stop:
            done: Compaction = stop.value
            return self._ended(done)

    async def run_all(self, sessions: AsyncSessionManager, *, limit: int = 100) -> list[Compaction]:
        """See `Compactor.run_all`."""
        done: list[Compaction] = []
        after: str | None = None
        while page := await sessions.list(limit=PAGE, after=after, include_ended=False):
            for info in page:
                one = await self.run(await sessions.get(info.id))
                if one.outcome != "nothing_due":
                    done.append(one)
                if len(done) >= limit:
                    return done
            after = page[-1].id
        return done

    async def _do(self, step: Do | Ask | Wait) -> Any:
        if isinstance(step, Wait):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, Do):
            return await step.verb()
        given: Any
        if inspect.iscoroutinefunction(self._summarise):
            given = self._summarise(step.messages, step.previous)
        else:
            given = await asyncio.to_thread(self._summarise, step.messages, step.previous)
        return await given if inspect.isawaitable(given) else given
