"""Answering a message again, as callers do it: in Python, with await, and over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import (
    ImagePart,
    Origin,
    Session,
    SessionBusy,
    SessionConflict,
    SessionManager,
    ToolCall,
    TurnLost,
    assistant,
    tool,
    user,
)
from palaver.media import as_text
from palaver.server import app
from tests.e2e.asking import BASE, begin, problem

HERE = Origin("telegram", chat_id="42", user_id="7")


@pytest.fixture(params=["sqlite", "memory"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionManager]:
    """A manager on each store that is there."""
    with palaver.open(f"sqlite:///{tmp_path}/a.db" if request.param == "sqlite" else "memory://") as opened:
        yield opened
        assert opened.check() == []


def talk(sessions: SessionManager) -> Session:
    """Two turns; the second called a tool."""
    for n in (1, 2):
        with sessions.begin_turn(HERE, user(f"question {n}", id=f"m{n}")) as turn:
            if n == 2:
                turn.append(assistant(ToolCall(call_id="c1", name="look", arguments="{}")), tool("c1", "seen"))
            turn.finish(assistant(f"answer {n}"))
    return sessions.resolve(HERE)


def texts(session: Session) -> list[str]:
    """What is live."""
    return [message.text for message in session.messages(limit=1_000)]


def test_the_model_sees_what_it_saw_the_first_time(sessions: SessionManager) -> None:
    """The window of the new turn is that of the first, and nothing of the answer before is in it."""
    session = talk(sessions)
    with session.retry() as turn:
        assert [m.text for m in turn.window.messages] == ["question 1", "answer 1", "question 2"]
        assert turn.message is not None
        assert turn.message.text == "question 2"
        assert (turn.state, turn.session_is_new, turn.notice) == ("running", False, None)
        turn.finish(assistant("better"))
    assert texts(session)[2:] == ["question 2", "better"]
    with sessions.begin_turn(HERE, user("question 2", id="m2")) as again:
        assert again.replayed
        assert again.reply is not None
        assert again.reply.text == "better"
    assert session.redo().count == 4
    assert texts(session)[2:] == ["question 2", "", "seen", "answer 2"]


def test_a_retry_that_breaks_off_can_be_taken_back(sessions: SessionManager) -> None:
    """A model that fails costs nothing: rollback, or redo after a crash, and the answer before is there."""
    session = talk(sessions)
    before = session.messages()
    with session.retry() as turn:
        turn.append(assistant("I"))
        turn.rollback()
    assert session.messages() == before
    with pytest.raises(RuntimeError, match="no model"), session.retry():
        raise RuntimeError("no model")
    assert texts(session)[-1] == "question 2"
    session.redo()
    assert session.messages() == before


def test_a_retry_is_one_turn_among_others(sessions: SessionManager) -> None:
    """It waits for a running one, or says that the session is busy; a turn that lost its lease stores nothing."""
    session = talk(sessions)
    first = session.retry()
    with pytest.raises(SessionBusy):
        session.retry(timeout=0)
    with pytest.raises(SessionBusy):
        session.redo()
    first.finish(assistant("first"))
    with session.retry() as second:
        with pytest.raises(TurnLost):
            first.append(assistant("late"))
        second.finish(assistant("second"))
    assert texts(session)[-1] == "second"
    with pytest.raises(SessionConflict, match="no message of the user"):
        sessions.create().retry()


def test_an_image_is_answered_again(sessions: SessionManager) -> None:
    """Content that is kept out of line is shown to the model again."""
    picture = ImagePart(media_type="image/png", data=as_text(b"y" * 20_000))
    with sessions.begin_turn(HERE, user(["what is it?", picture])) as turn:
        turn.finish(assistant("a cat"))
    with sessions.resolve(HERE).retry() as turn:
        [message] = turn.window.messages
        part = message.parts[1]
        assert isinstance(part, ImagePart)
        assert part.data == picture.data
        turn.finish(assistant("a dog"))


def test_the_same_with_await(tmp_path: Path) -> None:
    """The async handle begins the turn alike."""

    async def story() -> list[str]:
        async with palaver.aopen(tmp_path / "a.db") as sessions:
            session = await sessions.create()
            await session.append(user("a"), assistant("b"))
            async with session.retry() as turn:
                await turn.finish(assistant("c"))
            await session.redo()
            return [m.text for m in await session.messages()]

    assert asyncio.run(story()) == ["a", "b"]


def test_over_http() -> None:
    """The turn is answered as any other; a busy session says until when, and redo goes back."""
    with TestClient(app("memory://"), base_url=BASE) as http:
        turn = begin(http, {"role": "user", "content": "one", "id": "m1"})
        path = f"/v1/sessions/{turn['session_id']}"
        assert problem(http.post(f"{path}/retry")) == (409, "session-busy")
        http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "first"})
        again = http.post(f"{path}/retry", json={"render": "openai_chat"})
        assert again.status_code == 201
        assert again.json()["payload"]["messages"] == [{"role": "user", "content": "one"}]
        finished = http.post(f"/v1/turns/{again.json()['id']}/finish", json={"message": "second"}).json()
        assert finished["reply"]["parts"][0]["text"] == "second"
        assert http.post(f"{path}/redo").json()["count"] == 2
        listed = http.get(f"{path}/messages").json()["messages"]
        assert [m["parts"][0]["text"] for m in listed] == ["one", "first"]
        empty = http.post("/v1/sessions", json={}).json()["id"]
        assert problem(http.post(f"/v1/sessions/{empty}/retry")) == (409, "session-conflict")
        assert problem(http.post("/v1/sessions/none/retry")) == (404, "session-not-found")
