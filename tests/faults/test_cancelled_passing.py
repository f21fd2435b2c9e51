"""A client that goes away while its request is taken in: the next one is answered, and nothing is stored twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from palaver import AsyncSession, AsyncSessionManager, Message, ToolCall, ToolResult, aopen, assistant, handover, user
from palaver.model import TextPart
from palaver.server import Limits
from palaver.server.passthrough.opening import Opened, opened
from palaver.server.reach import of_clients, passing
from palaver.server.table import Call
from palaver.stores.sqlite import SqliteStore
from tests.faults.cancelling import CountingLoop, HandedOverStore, InlineStore

QUESTION = user("what is 1 + 1?")
CALLS = Message(role="assistant", parts=(ToolCall(name="add", call_id="c1", arguments="{}"),))
RESULT = Message(role="tool", parts=(ToolResult(call_id="c1", parts=(TextPart(text="2"),)),))
HISTORIES: dict[str, tuple[list[Message], list[Message]]] = {
    "a question": ([], [QUESTION]),
    "an edited past": ([QUESTION, assistant("2")], [user("what is 2 + 2?"), assistant("4"), user("sure?")]),
    "results": ([], [QUESTION, CALLS, RESULT]),
}
"""What is stored, and what the request sends; with results, a turn waits for them."""


@pytest.fixture(autouse=True)
def _rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes round after every commit, not only where one task has had it for long: all moments there are."""
    monkeypatch.setattr(handover, "HOLD_SECONDS", -1.0)


async def asked(sessions: AsyncSessionManager, session: AsyncSession, messages: list[Message]) -> Opened:
    """A request with these messages."""
    application = Starlette()
    request = Request({"type": "http", "headers": [], "app": application})
    call = Call(request, sessions, {}, None, None, (), Limits())
    return await opened(call, session, messages, "auto", None)


async def attempt(path: Path, kind: type[SqliteStore], name: str, moments: list[int]) -> int:
    """One request, cancelled at some moment, and sent again; gives how many callbacks there were."""
    loop: Any = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    before, messages = HISTORIES[name]
    async with aopen(kind(str(path))) as opened_sessions:
        sessions = passing(of_clients(opened_sessions))
        session = await sessions.get_or_create("key")
        if before:
            await session.append(*before)
        if name == "results":
            waiting = await session.begin_turn(QUESTION)
            await waiting.append(CALLS)

        async def task() -> None:
            found = await asked(sessions, session, messages)
            await found.turn.fail("its client went away")  # as the exchange does, once it has the turn

        count = await loop.run_cancelling(task(), moments)
        again = await asked(sessions, session, messages)
        await again.turn.finish(assistant("done"))
        said = [message.text or message.parts for message in await session.messages()]
        assert said == [message.text or message.parts for message in (*messages, assistant("done"))], moments
        assert await sessions.open_turns() == []
        assert await sessions.check() == []
    return count


@pytest.mark.parametrize("kind", [InlineStore, HandedOverStore])
@pytest.mark.parametrize("name", HISTORIES)
def test_the_next_request_is_answered(tmp_path: Path, kind: type[SqliteStore], name: str) -> None:
    """Cancelled before whichever callback of the loop, no turn is held by nobody."""

    async def every() -> None:
        total = await attempt(tmp_path / "0.db", kind, name, [])
        assert total > 3
        for moment in range(1, total + 1):
            await attempt(tmp_path / f"{moment}.db", kind, name, [moment])

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(every())
