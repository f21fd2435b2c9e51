"""Sessions of subagents, as callers, the command line and HTTP have them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from msgspec import structs
from starlette.testclient import TestClient

import palaver
from palaver import Origin, SessionConflict, SessionNotFound, user
from palaver.cli import main
from palaver.erasure import SessionTarget
from palaver.exporters import jsonl, read_whole, record_of
from palaver.importers import import_lines
from palaver.operations import BeginErasure, ClearErased, EraseMessages, EraseSession, Operation
from palaver.server import app
from palaver.testing.material import do
from tests.e2e.asking import BASE

HERE = Origin("telegram", chat_id="42", user_id="7")


def test_a_subagent_has_a_session_of_its_own(tmp_path: Path) -> None:
    """It is in no list and no search that does not ask for it, and gone with the session it worked for."""
    with palaver.open(tmp_path / "a.db") as sessions:
        session = sessions.get_or_create(HERE)
        session.append(user("Find a train to Rome"))
        helper = session.subagent(alias="task-1", title="Trains", metadata={"model": "small"})
        helper.append(user("Look for trains to Rome"))
        info = sessions.get("task-1").info()
        assert (info.parent, info.parent_kind, info.metadata) == (session.id, "subagent", {"model": "small"})
        assert [each.id for each in sessions.list()] == [session.id]
        assert [each.id for each in sessions.list(parent=session.id, include_hidden=True)] == [helper.id]
        assert {hit.session_id for hit in sessions.search("rome")} == {session.id}
        assert {hit.session_id for hit in sessions.search("rome", include_hidden=True)} == {session.id, helper.id}
        with pytest.raises(SessionConflict):
            session.subagent(alias="task-1")
        session.delete()
        with pytest.raises(SessionNotFound):
            helper.info()
        sessions.restore(session.id)
        assert [m.text for m in helper.messages()] == ["Look for trains to Rome"]


def test_a_session_that_is_not_stored_has_no_subagents() -> None:
    """There is nothing yet that they could work for."""
    with palaver.open("memory://") as sessions, pytest.raises(SessionNotFound):
        sessions.get_or_create(HERE).subagent()


@pytest.mark.parametrize("dry_run", [True, False])
def test_subagents_are_erased_with_the_session(dry_run: bool) -> None:
    """Whoever is erased: the person whose session it was, the session; others' subagents stay."""
    with palaver.open("memory://") as sessions:
        for name, what in (("7", {"user": "telegram:7"}), ("8", {"session": "s8"})):
            session = sessions.create(Origin("telegram", chat_id=name, user_id=name), alias=f"s{name}")
            session.append(user("hello"))
            below = session.subagent()
            below.append(user("look"))
            below.subagent().append(user("look closer"))
            report = sessions.erase(**what, dry_run=dry_run)  # type: ignore[arg-type]  # one of several forms
            assert (report.counts["sessions"], report.counts["messages"]) == (3, 3)
            assert len(report.sessions) == 3
        other = sessions.create(Origin("telegram", chat_id="9", user_id="9"))
        other.subagent().append(user("look"))
        assert sessions.erase(user="telegram:7", dry_run=dry_run).counts.get("messages", 0) == 3 * dry_run
        assert len(sessions.list(include_hidden=True, parent=other.id)) == 1


def test_the_async_twin(tmp_path: Path) -> None:
    """The same with await."""

    async def run() -> None:
        async with palaver.aopen(tmp_path / "a.db") as sessions:
            session = await sessions.create(alias="s")
            helper = await session.subagent(title="Trains")
            await helper.append(user("look"))
            listed = await sessions.list(parent=session.id, include_hidden=True)
            assert [each.title for each in listed] == ["Trains"]
            await session.purge()
            assert await sessions.list(include_hidden=True, include_empty=True) == []

    asyncio.run(run())


def test_over_http() -> None:
    """They are made under their session, listed by it, and deleted with it."""
    with TestClient(app("memory://"), base_url=BASE) as http:
        path = http.post("/v1/sessions", json={"alias": "s"}).headers["location"]
        made = http.post(f"{path}/subagents", json={"title": "Trains", "metadata": {"model": "small"}})
        assert made.status_code == 201
        document = made.json()
        assert (document["parent_kind"], document["hidden"], document["title"]) == ("subagent", True, "Trains")
        assert http.post(f"{path}/subagents").status_code == 201
        query = {"parent": document["parent"], "include_hidden": True, "include_empty": True}
        assert len(http.get("/v1/sessions", params=query).json()["sessions"]) == 2
        assert http.delete(path).status_code < 300
        assert http.get(made.headers["location"]).status_code == 404
        assert http.post(f"{path}/subagents").status_code == 404


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ls --parent SESSION --all` lists them, and `show` says whose they are."""
    store = ["--store", str(tmp_path / "a.db"), "--json"]
    with palaver.open(tmp_path / "a.db") as sessions:
        session = sessions.create(alias="s")
        session.append(user("hello"))
        helper = session.subagent()
        helper.append(user("look"))
        sessions.create().append(user("else"))
    assert main(["subagent", "s", "--alias", "x", "--title", "Trains", *store]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["parent_kind"], made["title"], made["hidden"]) == ("subagent", "Trains", True)
    assert main(["delete", "x", *store]) == 0
    capsys.readouterr()
    assert main(["ls", "--parent", "s", *store]) == 0
    assert capsys.readouterr().out == ""
    assert main(["ls", "--parent", "s", "--all", *store]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["id"] == helper.id


def _reversed(sessions: palaver.SessionManager, path: Path, *, owner_of_last: str | None = None) -> str:
    """A session whose subagents, three deep, an import stored before it; gives its id."""
    with palaver.open("memory://") as there:
        made = [there.create()]
        made[0].append(user("root"))
        for name in ("one", "two", "three"):
            made.append(made[-1].subagent())
            made[-1].append(user(name))
        infos = [session.info() for session in made]
        if owner_of_last is not None:
            infos[-1] = structs.replace(infos[-1], owner=owner_of_last)
        lines = [
            line
            for info in reversed(infos)
            for line in jsonl.lines(
                info, read_whole(there, record_of(there, info.id)), record=record_of(there, info.id)
            )
        ]
        path.write_text("".join(lines))
    assert [each.status for each in import_lines(sessions, path).sessions] == ["new"] * 4
    return infos[0].id


@pytest.mark.parametrize("dry_run", [True, False])
def test_subagents_that_were_imported_before_their_session_are_erased_with_it(tmp_path: Path, *, dry_run: bool) -> None:
    """In whichever order they came, and however deep."""
    with palaver.open("memory://") as sessions:
        root = _reversed(sessions, tmp_path / "x.jsonl")
        report = sessions.erase(session=root, dry_run=dry_run)
        assert (len(report.sessions), report.counts["messages"]) == (4, 4)
        assert len(sessions.list(include_hidden=True)) == (4 if dry_run else 0)


def test_what_only_calls_itself_a_subagents_session_is_its_owners(tmp_path: Path) -> None:
    """Anybody can import lines that name another's session as the parent."""
    with palaver.open("memory://") as sessions:
        root = _reversed(sessions, tmp_path / "x.jsonl", owner_of_last="bo")
        assert len(sessions.erase(session=root).sessions) == 3
        assert [info.owner for info in sessions.list(include_hidden=True)] == ["bo"]


def test_an_erasure_that_was_killed_goes_on_with_subagents_of_subagents(tmp_path: Path) -> None:
    """What the dead process had erased leads on to what it had not."""
    with palaver.open(tmp_path / "a.db") as sessions:
        root = sessions.create()
        one = root.subagent()
        two = one.subagent()
        for session in (root, one, two):
            session.append(user("hello"))
        other = sessions.create()
        core = sessions._core  # pyright: ignore[reportPrivateUsage] - half an erasure, by hand
        at = core.at()
        began = BeginErasure(at=at, erasure_id="e", target=SessionTarget(root.id), secret=bytes(32))
        steps: list[Operation] = [began]
        for each in (root.id, one.id):
            steps += [
                EraseSession(at=at, erasure_id="e", session_id=each),
                EraseMessages(at=at, erasure_id="e", session_id=each, from_seq=1, through_seq=1),
                ClearErased(at=at, erasure_id="e", session_id=each),
            ]
        for step in steps:
            do(core.store, step)
        assert two.info().message_count == 1
        assert sessions.erase(session=other.id).unfinished == 1
        with pytest.raises(SessionNotFound):
            two.info()
