"""Incognito: the same verbs, and no trace of what was said."""

from __future__ import annotations

import asyncio
import inspect
import logging
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import (
    ImagePart,
    Origin,
    SessionConflict,
    SessionManager,
    SessionNotFound,
    StoreClosed,
    Usage,
    assistant,
    user,
)
from palaver.media import as_text
from palaver.server import app
from tests.e2e.asking import BASE, begin, problem

HERE = Origin("telegram", chat_id="4242424242", user_id="7171717171")
SECRET = "xyzzyquux"
ASKED = {"Palaver-Incognito": "true"}


def converse(sessions: SessionManager) -> str:
    """A turn with everything in it that might be kept; gives the session's id."""
    picture = ImagePart(media_type="image/png", data=as_text(SECRET.encode() * 5_000))
    with sessions.begin_turn(HERE, user([f"{SECRET} one", picture], id=f"{SECRET}-1", sender=SECRET)) as turn:
        turn.finish(assistant(f"{SECRET} two"), usage=Usage(input_tokens=5, model=SECRET))
    session = sessions.resolve(HERE)
    session.rename(f"{SECRET} title")
    session.tag(SECRET)
    session.set_metadata({SECRET: SECRET})
    session.edit(2, f"{SECRET} three")
    session.fork(title=f"{SECRET} fork")
    assert len(sessions.search(SECRET)) == 2
    with session.retry() as turn:
        turn.fail(SECRET)
    return session.id


def test_nothing_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No byte of it in any file, no line of a log, nothing in lists, searches, the feed or the figures."""
    caplog.set_level(logging.DEBUG)
    with palaver.open(tmp_path / "a.db") as sessions:
        sessions.create(title="kept").append(user("hello"))
        before = [sessions.stats(), sessions.events(), sessions.usage(), sessions.list(include_hidden=True)]
        session_id = converse(sessions.incognito())
        assert before == [sessions.stats(), sessions.events(), sessions.usage(), sessions.list(include_hidden=True)]
        assert (list(sessions.search(SECRET)), sessions.open_turns()) == ([], [])
        for look in (sessions.get, sessions.find, sessions.restore):
            with pytest.raises(SessionNotFound):
                look(session_id)
        with pytest.raises(SessionNotFound):
            sessions.resolve(HERE)
        traces = (SECRET.encode(), session_id.encode(), b"4242424242", b"7171717171")
        for path in tmp_path.iterdir():
            assert not [trace for trace in traces if trace in path.read_bytes()], path
    for path in tmp_path.iterdir():
        assert not [trace for trace in traces if trace in path.read_bytes()], path
    assert not [trace for trace in traces if trace.decode() in caplog.text]


def test_it_is_the_same_conversation_until_the_manager_closes() -> None:
    """Every call gives the same ones, with ids of their own; then they are gone."""
    with palaver.open("memory://") as sessions:
        session_id = converse(sessions.incognito())
        assert session_id.startswith("incognito-")
        assert [i.id for i in sessions.incognito().list()].count(session_id) == 1
        assert sessions.incognito().incognito().get(session_id).id == session_id
        assert not sessions.create().id.startswith("incognito-")
        private = sessions.incognito()
    for late in (sessions.incognito, lambda: private.get(session_id)):
        with pytest.raises(StoreClosed):
            late()


def test_it_can_be_forgotten_before() -> None:
    """Closing what `incognito` gave forgets it, and leaves the manager open."""
    with palaver.open("memory://") as sessions, sessions.begin_turn("k", user("a")) as turn:
        with sessions.incognito() as private:
            session_id = private.create(title="plans").id
        assert sessions.incognito().list(include_empty=True) == []
        with pytest.raises(SessionNotFound):
            sessions.incognito().get(session_id)
        turn.finish(assistant("b"))


def test_owners_are_apart_there_too() -> None:
    """What one keeps from the store, another does not see either."""
    with palaver.open("memory://") as sessions:
        session = sessions.for_owner("ann").incognito().create(title="plans")
        with pytest.raises(SessionNotFound):
            sessions.for_owner("bob").incognito().get(session.id)
        with pytest.raises(SessionConflict):
            sessions.incognito().for_owner("ann").create(title="plans")


def test_the_same_with_await(tmp_path: Path) -> None:
    """Also with several at once, whose commits are handed over together."""

    async def story() -> list[str]:
        async with palaver.aopen(tmp_path / "a.db") as sessions:
            private = sessions.incognito()
            session = await private.create()
            await asyncio.gather(*[session.append(user(f"{SECRET} {n}")) for n in range(40)])
            assert len(await sessions.incognito().search(SECRET, limit=100)) == 40
            assert await sessions.list(include_empty=True) == []
            return [session.id]

    [session_id] = asyncio.run(story())
    assert session_id.startswith("incognito-")
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_over_http(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A header asks for it, for each request; without it nothing of it is there."""
    caplog.set_level(logging.DEBUG, "palaver")
    with TestClient(app(tmp_path / "a.db"), base_url=BASE) as http:
        http.headers.update(ASKED)
        turn = begin(http, SECRET)
        assert turn["session_id"].startswith("incognito-")
        assert http.post(f"/v1/turns/{turn['id']}/finish", json={"message": SECRET}).status_code == 200
        assert len(http.get("/v1/search", params={"text": SECRET}).json()["hits"]) == 2
        assert problem(http.get("/v1/sessions", headers={"Palaver-Incognito": "maybe"})) == (400, "bad-request")
        http.headers.pop("Palaver-Incognito")
        assert problem(http.get(f"/v1/sessions/{turn['session_id']}")) == (404, "session-not-found")
        for path in ("/v1/sessions", "/v1/events", "/v1/turns", f"/v1/search?text={SECRET}"):
            assert turn["session_id"] not in http.get(path).text
        assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert SECRET not in caplog.text


def test_a_server_of_several_processes_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why, however it was told of its processes; other requests are answered."""
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    for made in (app("memory://", workers=3), app("memory://")):
        with TestClient(made, base_url=BASE) as http:
            assert problem(http.get("/v1/sessions", headers=ASKED)) == (409, "incognito-unavailable")
            assert http.get("/v1/sessions").status_code == 200
    with TestClient(app("memory://", workers=1), base_url=BASE) as http:
        assert http.get("/v1/sessions", headers=ASKED).status_code == 200


def test_every_verb_of_the_manager_works_on_it() -> None:
    """What `incognito` gives is a manager like any other: nothing is missing, and nothing is another's."""
    with palaver.open("memory://") as sessions:
        private = sessions.incognito()
        assert type(private) is type(sessions)
        assert {n for n, _ in inspect.getmembers(private)} == {n for n, _ in inspect.getmembers(sessions)}
