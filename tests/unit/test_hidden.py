"""Hidden sessions, as libraries, clients and people have them: left out of lists and searches, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import Origin, ResetPolicy, SessionManager, assistant, user
from palaver.cli import main
from palaver.server import app
from tests.e2e.asking import BASE, problem

NIGHTLY = Origin("cron", chat_id="nightly")
START = datetime(2026, 3, 5, 12, tzinfo=UTC)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """What time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of these tests."""
    return Clock()


@pytest.fixture(params=["sqlite", "jsonl", "memory"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[SessionManager]:
    """A manager on each store that is there, whose sessions end after a silent day."""
    urls = {"sqlite": f"sqlite:///{tmp_path}/a.db", "jsonl": f"jsonl:///{tmp_path}/a", "memory": "memory://"}
    policy = ResetPolicy(idle=timedelta(days=1))
    with palaver.open(urls[request.param], clock=clock, reset_policy=policy) as opened:
        yield opened
        assert opened.check() == []


def ids(sessions: SessionManager, **asked: Any) -> list[str]:
    """What a list has."""
    return [info.id for info in sessions.list(include_empty=True, **asked)]


def test_a_hidden_session_is_left_out(sessions: SessionManager) -> None:
    """Of lists and searches, unless they ask for it; it is found by its names, and shown again."""
    shown = sessions.create(title="Rome")
    shown.append(user("marmalade"))
    made = sessions.create(NIGHTLY, title="Nightly", alias="night")
    made.append(user("marmalade"))
    made.hide()
    assert ids(sessions) == [shown.id]
    assert set(ids(sessions, include_hidden=True)) == {shown.id, made.id}
    assert ids(sessions, hidden=True) == [made.id]
    assert ids(sessions, hidden=False, include_hidden=True) == [shown.id]
    assert [hit.session_id for hit in sessions.search("marmalade")] == [shown.id]
    assert len(sessions.search("marmalade", include_hidden=True)) == 2
    assert len(sessions.search("marmalade", session_id="night")) == 1
    assert sessions.find("nightly") == sessions.get("night") == sessions.resolve(NIGHTLY) == made
    rev = made.info().rev
    made.hide()
    assert made.info().rev == rev
    made.hide(False)
    assert set(ids(sessions)) == {shown.id, made.id}
    assert len(sessions.search("marmalade")) == 2
    assert made.info().rev == rev + 1


def test_one_is_made_hidden(sessions: SessionManager) -> None:
    """It is on no list from the beginning, and a turn in it does not show it."""
    made = sessions.create(NIGHTLY, hidden=True)
    assert made.info().hidden
    with sessions.begin_turn(NIGHTLY, user("clean up")) as turn:
        turn.finish(assistant("done"))
    assert turn.session_id == made.id
    assert ids(sessions) == []


def test_resets_stay_hidden_and_forks_do_not(sessions: SessionManager, clock: Clock) -> None:
    """By hand, by key, by a policy and by a sweep; a fork is a new conversation, which somebody made to see it."""
    made = sessions.create(NIGHTLY, hidden=True)
    made.append(user("one"))
    assert made.reset().info().hidden
    second = sessions.reset(NIGHTLY)
    assert second.info().hidden
    second.append(user("two"))
    assert not second.fork().info().hidden
    clock.now += timedelta(days=2)
    with sessions.begin_turn(NIGHTLY, user("three")) as turn:
        turn.finish(assistant("done"))
    assert turn.session_id != second.id
    assert sessions.resolve(NIGHTLY).info().hidden
    clock.now += timedelta(days=2)
    assert sessions.sweep().counts["expire"] == 1
    assert sessions.resolve(NIGHTLY).info().hidden
    sessions.resolve(NIGHTLY).hide(False)
    assert not sessions.resolve(NIGHTLY).reset().info().hidden


def test_a_hidden_fork_is_no_half_fork(sessions: SessionManager, clock: Clock) -> None:
    """A sweep takes away what a crash left of a long fork, which is hidden too, and not what somebody hid."""
    made = sessions.create(title="Rome")
    made.append(user("one"), assistant("first"))
    plain, summed_up = made.fork(), made.fork()
    plain.hide()
    summed_up.compact("they greeted", through_seq=2)
    summed_up.hide()
    clock.now += timedelta(days=400)
    assert {action.session_id for action in sessions.sweep().actions} & {plain.id, summed_up.id} == set()
    assert [plain.info().hidden, summed_up.info().hidden] == [True, True]
    assert [message.text for message in plain.messages()] == ["one", "first"]


def test_hiding_is_told_in_the_feed(sessions: SessionManager) -> None:
    """As any mark is."""
    made = sessions.create()
    made.append(user("one"))
    cursor = sessions.events().cursor
    made.hide()
    assert [(event.session_id, event.kind) for event in sessions.events(cursor)] == [(made.id, "info")]


def test_the_same_with_await(tmp_path: Path) -> None:
    """The async twin makes, hides, lists and shows."""

    async def run() -> None:
        async with palaver.aopen(f"sqlite:///{tmp_path}/a.db") as sessions:
            made = await sessions.create(NIGHTLY, hidden=True)
            await made.append(user("one"))
            assert await sessions.list() == []
            assert [info.id for info in await sessions.list(hidden=True)] == [made.id]
            await made.hide(False)
            assert [info.id for info in await sessions.list()] == [made.id]
            await made.hide()
            assert await sessions.list() == []

    asyncio.run(run())


def test_over_http(tmp_path: Path) -> None:
    """POST makes one, PATCH hides and shows, lists ask for them; and for deleted ones, which can be restored."""
    with TestClient(app(f"sqlite:///{tmp_path}/a.db"), base_url=BASE) as http:
        made = http.post("/v1/sessions", json={"key": "cron", "hidden": True}).json()
        path = f"/v1/sessions/{made['id']}"
        assert made["hidden"] is True

        def listed(**query: str) -> list[str]:
            answer = http.get("/v1/sessions", params={"include_empty": "true", **query})
            return [each["id"] for each in answer.json()["sessions"]]

        assert listed() == []
        assert listed(hidden="true") == listed(include_hidden="true") == [made["id"]]
        assert http.patch(path, json={"hidden": False}).json().get("hidden", False) is False
        assert listed() == [made["id"]]
        assert problem(http.patch(path, json={"hidden": "yes"})) == (422, "invalid-request")
        assert http.delete(path).status_code == 200
        assert listed() == []
        assert listed(include_deleted="true") == [made["id"]]
        assert listed(include_deleted="true", after=made["id"]) == []
        assert http.post(f"{path}/restore").status_code == 200


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`hide` and `create --hidden`; `ls` and `search` show them when they are asked to."""
    url = f"sqlite:///{tmp_path}/a.db"

    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main([*arguments, "--store", url]) == 0
        return capsys.readouterr().out

    def found(out: str) -> list[str]:
        return [json.loads(line)["id"] for line in out.splitlines()]

    hidden = run("create", "--key", "cron", "--hidden").strip()
    shown = run("create", "--title", "Rome").strip()
    for each in (hidden, shown):
        run("append", each, "marmalade")
    assert found(run("ls", "--json")) == [shown]
    assert found(run("ls", "--hidden", "--json")) == [hidden]
    assert "(hidden)" in run("ls", "--hidden")
    assert len(run("search", "marmalade", "--json").splitlines()) == 1
    assert len(run("search", "marmalade", "--all", "--json").splitlines()) == 2
    assert "hidden no more" in run("hide", "cron", "--undo")
    assert "Rome" not in run("hide", "rome", "cron")
    assert found(run("ls", "--json")) == []
