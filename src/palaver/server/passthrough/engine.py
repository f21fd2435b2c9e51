"""One request from beginning to end: its turn, the upstream's answer, and what is stored of it.

Each request is answered by a task of its own, which outlives its client: a client that goes away ends the upstream's
work, and what came until then is stored before the task ends. So whatever happens the history is legal, and no turn
stays open but one that waits for the results of its calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette

from palaver.aio import AsyncSession, AsyncTurn
from palaver.errors import InvalidMessage, PalaverError, TurnLost
from palaver.model import Message, Usage
from palaver.resending import Claim
from palaver.server.draining import note_begun
from palaver.server.passthrough.answers import ANSWER, Answers
from palaver.server.passthrough.dialect import Asked, Dialect
from palaver.server.passthrough.opening import LEASE, Opened, opened
from palaver.server.passthrough.upstream import Provider, Upstream
from palaver.server.problems import ProblemError, of_error, problem
from palaver.server.table import Call

__all__ = ["Exchange", "Exchanges", "answered", "exchanging", "gone", "log"]

logger = logging.getLogger("palaver.server")

T = TypeVar("T")
_TRANSIENT = frozenset({408, 409, 425, 429})
"""Refusals that have nothing to do with what was asked."""


class Exchanges:
    """What a server passes on at the moment."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.answers = Answers()
        self._sessions: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that is waited for when the server stops."""
        task = asyncio.create_task(work, name="palaver-passthrough")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @asynccontextmanager
    async def alone(self, *names: str) -> AsyncGenerator[None]:
        """Keep a session for one request of this process. Raises ProblemError where another has it.

        It is known by its id, and by the name that it is asked under: its first request is what makes it. Other
        processes are kept out by the lease of the turn, which this closes the gap before.
        """
        if not self._sessions.isdisjoint(names):
            raise problem("session-busy", "another request is being answered in this session: wait for it")
        self._sessions.update(names)
        try:
            yield
        finally:
            self._sessions.difference_update(names)

    async def close(self) -> None:
        """Break off what is left, and store it as far as it came."""
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await self.provider.close()


@asynccontextmanager
async def exchanging(application: Starlette, upstream: Upstream | None) -> AsyncGenerator[None]:
    """Pass requests on while the block runs. Raises ModuleNotFoundError, ValueError; see `Provider`."""
    application.state.exchanges = None
    if upstream is None:
        yield
        return
    exchanges = Exchanges(Provider(upstream))
    application.state.exchanges = exchanges
    try:
        yield
    finally:
        await exchanges.close()


class Exchange:
    """One request to the upstream, and what becomes of its turn."""

    def __init__(
        self,
        call: Call,
        dialect: Dialect,
        asked: Asked,
        session: AsyncSession,
        *,
        name: str,
        claim: Claim,
        after: int | None,
    ) -> None:
        self.call = call
        self.exchanges: Exchanges = call.request.app.state.exchanges
        self.dialect = dialect
        self.asked = asked
        self.session = session
        self.name = name
        self.claim: Claim = claim
        self.after = after
        self._opened: Opened | None = None
        self._settled = False

    @property
    def turn(self) -> AsyncTurn:
        """The turn that is answered."""
        return self._found.turn

    @property
    def _found(self) -> Opened:
        if self._opened is None:
            msg = "the exchange has not begun"
            raise RuntimeError(msg)
        return self._opened

    @property
    def headers(self) -> dict[str, str]:
        """What the client is told of its session."""
        found = self._found
        return {"Palaver-Session": found.turn.session_id, "Palaver-History": found.report}

    async def run(self, body: dict[str, Any], answer: Callable[[Exchange, Any], Awaitable[T]]) -> T:
        """Begin the turn, ask the upstream, and give what `answer` makes of it; whatever fails ends the turn.

        Raises ProblemError, PalaverError.
        """
        async with self.exchanges.alone(self.session.id, f"{self.call.sessions.owner or ''}\0{self.name}"):
            self._opened = await opened(self.call, self.session, self.asked.messages, self.claim, self.after)
            note_begun(self.call, self.turn, LEASE.total_seconds())
            renewing = asyncio.create_task(self._renew(), name="palaver-passthrough-lease")
            try:
                sent = self.dialect.body(body, self.asked, self.turn.window)
                response = await self.exchanges.provider.ask(
                    self.dialect.wire, self.dialect.path, msgspec.json.encode(sent), self.call.request.headers
                )
                try:
                    return await answer(self, response)
                finally:
                    await response.aclose()
            except asyncio.CancelledError:
                await self.fail("it was broken off: its client went away, or the server stopped")
                raise
            except BaseException as error:
                await self.fail(_reason(error))
                raise
            finally:
                renewing.cancel()
                await self.fail("it was not answered")
                if self.turn.ended:
                    self.call.request.app.state.turns.ended(self.turn.id)

    async def fail(self, reason: str, *, undo: bool = False) -> None:
        """End the turn without an answer, if it has not ended: what happened stays, unless it is to be undone."""
        if self._settled or self._opened is None:
            return
        self._settled = True
        try:
            if undo and self._found.began:
                await self.turn.rollback()
            else:
                await self.turn.fail(reason)
        except TurnLost:
            pass  # somebody else ended it
        except PalaverError as error:
            log(logging.ERROR, "passthrough.not_closed", {"error": type(error).__name__})
        else:
            log(logging.WARNING, "passthrough.failed", {**self._told(), "undone": undo, "reason": reason})

    async def refuse(self, status: int, reason: str) -> None:
        """The upstream refused: what it cannot take is not kept; what it could take another time is."""
        await self.fail(reason, undo=400 <= status < 500 and status not in _TRANSIENT)

    async def store(self, messages: Sequence[Message], usage: Usage | None, name: str | None) -> None:
        """Store the answer. With calls the turn stays open: their results come with another request.

        `name` is what a later request may call it by.
        """
        turn = self.turn
        if name is not None and messages:
            *before, last = messages
            messages = (*before, last.replace(metadata={**last.metadata, ANSWER: name}))
        if usage is not None:
            usage = msgspec.structs.replace(usage, prompt_tokens=usage.input_tokens)
        if any(message.tool_calls for message in messages):
            stored = await turn.append(*messages)
            if usage is not None:
                await self.session.record_usage(usage, id=f"passed-on~{stored[-1].seq}")
        else:
            await turn.finish(*messages, usage=usage)
        self._settled = True
        if name is not None:
            self.exchanges.answers.note(name, turn.session_id)
        fields = self._told()
        if usage is not None:
            fields |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "model": usage.model}
        log(logging.INFO, "passthrough.stored", fields)

    async def keep(self, messages: Sequence[Message], reason: str) -> None:
        """Store an answer that broke off, as far as it came, and end the turn as interrupted."""
        if not self._settled and messages:
            with suppress(TurnLost):  # somebody else ended it; `fail` finds out
                await self.turn.append(*messages)
        await self.fail(reason)

    def _told(self) -> dict[str, Any]:
        found = self._found
        cut = None if found.cut is None else list(found.cut)
        return {
            "session_id": found.turn.session_id,
            "matched": found.done.matched,
            "new": len(found.done.new),
            "cut": cut,
        }

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            try:
                await self.turn.renew()
            except PalaverError as error:  # whoever stores the answer finds out, and says so
                log(logging.WARNING, "passthrough.not_renewed", {"error": type(error).__name__})
                return


def _reason(error: BaseException) -> str:
    if isinstance(error, ProblemError):
        return f"the upstream did not answer: {error.problem.type.rpartition('/')[2]}"
    return f"it could not be answered: {type(error).__name__}"


async def gone(receive: Callable[[], Awaitable[Any]]) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def log(level: int, action: str, fields: dict[str, Any]) -> None:
    """Tell the log what happened; never what was said."""
    logger.log(level, "%s %s", action, fields, extra={"action": action, **fields})


def answered(error: Exception, owner: str | None = None) -> ProblemError:
    """An error as it is answered; `owner` as in `of_error`."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, InvalidMessage):
        return problem("upstream-failed", f"the upstream's answer cannot be read: {error}")
    if isinstance(error, PalaverError):
        return ProblemError(of_error(error, owner=owner))
    return problem("upstream-failed", "the upstream's answer could not be passed on")
