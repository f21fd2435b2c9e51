"""A conversation read with the sessions that it goes on from: each message once, whatever was carried over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

import palaver
from palaver import CursorExpired, Origin, ResetPolicy, Session, SessionManager, assistant, system, user
from palaver.cli import main
from palaver.importers import import_path
from palaver.server import app
from tests.e2e.asking import BASE
from tests.importers.hermes_home import Home

KEY = "telegram:dm:42"


@pytest.fixture
def sessions() -> Iterator[SessionManager]:
    """An empty store."""
    with palaver.open("memory://") as opened:
        yield opened


def said(session: Session, *names: str) -> Session:
    """A turn for each name."""
    for name in names:
        session.append(user(f"q{name}"), assistant(f"a{name}"))
    return session


def told(session: Session, limit: int = 1_000) -> list[str]:
    """All of the chain, page by page."""
    out: list[str] = []
    before: str | None = None
    while True:
        page = session.chain(limit=limit, before=before)
        assert len(page) <= limit
        assert all(each.message.seq for each in page)
        out[:0] = [each.message.text for each in page]
        before = page.before
        if before is None:
            return out


def test_through_resets(sessions: SessionManager) -> None:
    """What was said before each of them, with the session where it was said."""
    first = said(sessions.create(KEY), "1")
    second = said(sessions.reset(KEY), "2")
    third = said(sessions.reset(KEY), "3")
    assert told(third) == ["q1", "a1", "q2", "a2", "q3", "a3"]
    assert [each.session_id for each in third.chain()] == [s.id for s in (first, second, third) for _ in range(2)]
    assert [each.message.text for each in third.chain(limit=3)] == ["a2", "q3", "a3"]
    assert told(second) == ["q1", "a1", "q2", "a2"]


@pytest.mark.parametrize("limit", [1, 2, 3, 1_000])
@pytest.mark.parametrize("carry", [1, 2, 5, "summary"])
def test_what_was_carried_over_is_told_once(carry: Any, limit: int) -> None:
    """The session before tells what came before the copies, and so does the one before that."""
    with palaver.open("memory://", reset_policy=ResetPolicy(carry_over=carry)) as sessions:
        first = sessions.create(KEY)
        first.append(system("be kind"))
        said(first, "1", "2")
        said(sessions.reset(KEY), "3")
        third = said(sessions.reset(KEY), "4")
        expected = ["be kind", *(f"{who}{n}" for n in range(1, 5) for who in "qa")]
        assert told(third, limit) == expected


def test_a_fork_tells_what_it_was_made_of(sessions: SessionManager) -> None:
    """Not what the other says since; and what was before that is told too."""
    said(sessions.create(KEY), "0")
    parent = said(sessions.reset(KEY), "1", "2", "3")
    fork = said(parent.fork(at=4), "x")
    fork.edit(1, "otherwise")
    said(parent, "4")
    assert told(fork) == ["q0", "a0", "otherwise", "a1", "q2", "a2", "qx", "ax"]
    assert told(fork.fork()) == told(fork)
    assert told(parent.fork(at=0)) == []


def test_a_subagent_has_no_past(sessions: SessionManager) -> None:
    """What its parent was told was not told to it."""
    parent = said(sessions.create(KEY), "1")
    assert told(said(parent.subagent(), "2")) == ["q2", "a2"]


def test_a_thread_goes_on_from_its_chat() -> None:
    """Through what it was seeded with, and before."""
    with palaver.open("memory://", seed_threads=True, budget=palaver.Budget(max_messages=2)) as sessions:
        said(sessions.get_or_create(Origin("telegram", chat_id="42", user_id="7")), "1", "2")
        thread = Origin("telegram", chat_id="42", user_id="7", thread_id="9")
        with sessions.begin_turn(thread, user("here")) as turn:
            turn.finish(assistant("yes"))
        said(sessions.resolve(Origin("telegram", chat_id="42", user_id="7")), "3")
        assert told(sessions.resolve(thread)) == ["q1", "a1", "q2", "a2", "here", "yes"]


def test_what_is_missing_is_named(sessions: SessionManager) -> None:
    """A parent that was deleted; one that is another owner's cannot be."""
    first = said(sessions.create(KEY), "1")
    second = said(sessions.reset(KEY), "2")
    first.delete()
    page = second.chain()
    assert ([each.message.text for each in page], page.missing, page.before) == (["q2", "a2"], first.id, None)
    for wrong in ("x", "~~", f"{second.id}~-1~0", f"{second.id}~1", ""):
        with pytest.raises(CursorExpired, match="no cursor"):
            second.chain(before=wrong)
    assert second.chain(before=f"{second.id}~99~10000").missing is None  # so many sessions: they may form a circle
    with pytest.raises(ValueError, match="at least one"):
        second.chain(limit=0)
    assert sessions.get_or_create("new").chain() == []


def test_a_compressed_line_of_hermes(tmp_path: Path) -> None:
    """The session before tells all of it; copies that the next one begins with are left out, its summary is not."""
    home = Home(tmp_path)
    home.session("s1", "one", "two", "three", "four", end_reason="compression")
    home.session("s2", "[CONTEXT SUMMARY]: So far.", parent_session_id="s1")
    for role, text in (("user", "three"), ("assistant", "four"), ("user", "five")):
        home.say("s2", text, role)
    with palaver.open("memory://") as sessions:
        import_path(sessions, tmp_path)
        summary, *rest = [m.text for m in sessions.get("hermes:s2").messages()]
        assert rest == ["three", "four", "five"]
        for limit in (1, 3, 100):
            assert told(sessions.get("hermes:s2"), limit) == ["one", "two", "three", "four", summary, "five"]
        sessions.get("hermes:s1").delete()  # what both had is told by the one that is left
        assert told(sessions.get("hermes:s2")) == [summary, *rest]
        assert sessions.get("hermes:s2").chain().missing == sessions.get("hermes:s2").info().parent


@given(
    steps=st.lists(st.sampled_from(("say", "say", "reset", "fork", "rewind")), max_size=12),
    carry=st.sampled_from((None, 1, 2)),
    limit=st.integers(1, 5),
)
def test_pages_are_the_whole(steps: list[str], carry: int | None, limit: int) -> None:
    """However a conversation came about: the pages are what one page would be, nothing twice, the newest at the end."""
    policy = ResetPolicy(carry_over=carry) if carry is not None else ResetPolicy()
    with palaver.open("memory://", reset_policy=policy) as sessions:
        session = sessions.create(KEY)
        for number, step in enumerate(steps):
            if step == "say":
                said(session, str(number))
            elif step == "reset":
                session = sessions.reset(KEY)
            elif step == "rewind":
                session.rewind()
            else:
                session = sessions.resume(KEY, session.fork().id)
        whole = told(session)
        assert told(session, limit) == whole
        assert len(whole) == len(set(whole))
        live = [m.text for m in session.messages(limit=1_000)]
        assert whole[len(whole) - len(live) :] == live


def test_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With await, over HTTP and on the command line."""
    url = f"sqlite:///{tmp_path}/a.db"
    with palaver.open(url) as sessions:
        first = said(sessions.create(KEY), "1")
        second = said(sessions.reset(KEY), "2")

    async def run() -> list[str]:
        async with palaver.aopen(url) as opened:
            return [each.message.text for each in await (await opened.get(second.id)).chain()]

    everything = ["q1", "a1", "q2", "a2"]
    assert asyncio.run(run()) == everything
    with TestClient(app(url), base_url=BASE) as http:
        path = f"/v1/sessions/{second.id}/chain"
        page = http.get(path, params={"limit": 3}).json()
        assert [each["session_id"] for each in page["messages"]] == [first.id, second.id, second.id]
        rest = http.get(path, params={"before": page["next"]}).json()
        assert [each["message"]["seq"] for each in rest["messages"]] == [1]
        assert (rest["next"], rest["missing"], rest["corrupt"]) == (None, None, [])
        assert http.get(path, params={"before": "x"}).status_code == 410
    store = ["--store", url]
    assert main(["show", second.id, "--ancestors", *store]) == 0
    shown = capsys.readouterr().out
    assert shown.index(f"-- {first.id} --") < shown.index("q1") < shown.index(f"-- {second.id} --") < shown.index("q2")
    assert main(["show", second.id, "--ancestors", "--json", *store]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines if line["type"] == "message"] == everything
    assert main(["show", second.id, "--ancestors", "--window", *store]) == 2
