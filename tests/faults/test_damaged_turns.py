"""Turns whose row is damaged: the session goes on, check names the turn, and a repair sets the damage aside."""

from __future__ import annotations

from pathlib import Path

import apsw
import psycopg
import pytest
from psycopg import sql

import palaver
from palaver import CorruptRecord, Origin, SessionManager, assistant, user
from palaver.cli import main
from palaver.model import Usage
from palaver.reach import core_of
from tests.faults import kit

HERE = Origin("telegram", chat_id="b")
NOISE = [
    ("holder", "noise"),
    ("taken", "{"),
    ("notice", "["),
    ("budget", "!"),
    ("calibration", "3"),
    ("usage", "[]"),
]
STRUCTURE = ("holder", "taken")
"""What a turn cannot be read without; the rest is text to the store."""


@pytest.fixture(params=["sqlite", "jsonl", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of a kind whose rows somebody can write noise into."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "chat.db") if request.param == "sqlite" else f"jsonl:///{tmp_path / 'lines'}"


def ruin(url: str, field: str, value: str, state: str) -> None:
    """Put noise into a field of every turn that is in this state."""
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            statement = "UPDATE palaver.turns SET {} = %s WHERE state = %s"
            assert connection.execute(sql.SQL(statement).format(sql.Identifier(field)), (value, state)).rowcount == 1
        return
    path = Path(url.removeprefix("jsonl:///")) / ".palaver" / "index.db" if "://" in url else Path(url)
    with kit.raw(path) as connection:
        connection.execute(f"UPDATE turns SET {field} = ? WHERE state = ?", (value, state))
        assert connection.changes() == 1


def fill(sessions: SessionManager) -> None:
    """Two conversations, each with a turn that has ended."""
    for chat in "ab":
        with sessions.begin_turn(Origin("telegram", chat_id=chat), user(f"hi {chat}", id=f"m-{chat}")) as turn:
            turn.finish(assistant("hello"), usage=Usage(input_tokens=1, model="m"))


def finished_only(url: str) -> None:
    """Leave one turn that has ended: that of the second conversation, which `ruin` then meets."""
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            oldest = "(SELECT min(session) FROM palaver.turns)"
            connection.execute(f"UPDATE palaver.turns SET state = 'interrupted' WHERE session = {oldest}")
        return
    path = Path(url.removeprefix("jsonl:///")) / ".palaver" / "index.db" if "://" in url else Path(url)
    with kit.raw(path) as connection:
        connection.execute("UPDATE turns SET state = 'interrupted' WHERE id >> 32 = 1")


@pytest.mark.parametrize(("field", "value"), NOISE)
def test_a_turn_that_has_ended_hinders_nobody(url: str, field: str, value: str, tmp_path: Path) -> None:
    """Its session is listed, read and written to, as is every other; check names the turn, and a repair mends it."""
    with palaver.open(url) as sessions:
        fill(sessions)
        finished_only(url)
        ruin(url, field, value, "finished")
    with palaver.open(url) as sessions:
        assert len(sessions.list()) == 2
        session = sessions.resolve(HERE)
        assert [m.text for m in session.history().messages] == ["hi b", "hello"]
        assert session.info().last_seq == 2
        found = sessions.check(session_id=session.id)
        assert [(each.problem, each.seq, field in each.detail) for each in found] == [("turn_undecodable", 1, True)]
        with sessions.begin_turn(HERE, user("more")) as turn:
            assert [m.text for m in turn.window.messages][-1] == "more"
            turn.finish(assistant("yes"))
        sessions.resolve(Origin("telegram", chat_id="a")).append(user("me too"))
        assert sessions.list(limit=1)[0].unreadable == ()
        done = sessions.repair(str(tmp_path / "before.db"))
        assert [each.problem for each in done.repaired] == ["turn_undecodable"]
        assert done.left == ()
        assert [m.text for m in session.history().messages] == ["hi b", "hello", "more", "yes"]


@pytest.mark.parametrize(("field", "value"), [("holder", "noise"), ("taken", "{")])
def test_a_turn_that_runs_ends_with_its_lease(url: str, field: str, value: str) -> None:
    """It is held until the lease runs out; then the next one begins, and what was damaged is kept as it was."""
    with palaver.open(url) as sessions:
        fill(sessions)
        sessions.begin_turn(HERE, user("slowly"))
        ruin(url, field, value, "running")
        assert sessions.resolve(HERE).info().turn_running
        assert [each.turn_running for each in sessions.list()] == [True, False]
        assert [each.session_id for each in sessions.open_turns()] == [sessions.resolve(HERE).id]
    with palaver.open(url) as sessions:
        lapse(url)
        with sessions.begin_turn(HERE, user("next")) as turn:
            turn.finish(assistant("done"))
        assert [m.text for m in sessions.resolve(HERE).messages()] == ["hi b", "hello", "slowly", "next", "done"]
        assert [each for each in sessions.check() if each.problem != "quarantined"] == []
        [kept] = [each for each in sessions.check(notes=True) if each.problem == "quarantined"]
        assert kept.where.endswith(f"turn 3, {field}")


def lapse(url: str) -> None:
    """Let the lease of every turn be over."""
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE palaver.turns SET expires_at = 1")
        return
    path = Path(url.removeprefix("jsonl:///")) / ".palaver" / "index.db" if "://" in url else Path(url)
    with kit.raw(path) as connection:
        connection.execute("UPDATE turns SET expires_at = 1")


def test_who_asks_for_the_turn_is_told(url: str, tmp_path: Path) -> None:
    """Its messages are not known any more: the error names the turn and the remedy, which helps."""
    with palaver.open(url) as sessions:
        fill(sessions)
        finished_only(url)
        ruin(url, "taken", "{", "finished")
    with palaver.open(url) as sessions:
        said = r"turn at seq 1 of session '.*'.*check --repair"
        with pytest.raises(CorruptRecord, match=said):
            sessions.begin_turn(HERE, user("hi b", id="m-b"))  # it comes a second time
        sessions.repair(str(tmp_path / "before.db"))
        assert sessions.begin_turn(HERE, user("hi b", id="m-b")).replayed


def test_the_usage_of_a_turn_is_asked_for(url: str) -> None:
    """The turn is there, and only who asks what it used is told."""
    with palaver.open(url) as sessions:
        fill(sessions)
        finished_only(url)
        ruin(url, "usage", "{", "finished")
        turn = sessions.begin_turn(HERE, user("hi b", id="m-b"))
        assert turn.replayed
        assert [m.text for m in turn.messages] == ["hi b", "hello"]
        with pytest.raises(CorruptRecord, match=r"usage of session .* turn 1 .*check --repair"):
            _ = turn.usage


def test_an_export_has_the_rest_and_names_it(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All messages and the turn without what is damaged, and a line for that; a copy refuses the session alone."""
    with palaver.open(url) as sessions:
        fill(sessions)
        finished_only(url)
        ruin(url, "taken", "{", "finished")
        ids = [info.id for info in sessions.list()]
    output = tmp_path / "saved.jsonl"
    assert main(["export", "--all", "--output", str(output), "--store", url]) == 1
    assert "1 stored things could not be read" in capsys.readouterr().err
    text = output.read_text()
    assert text.count('"type":"message"') == 4
    assert text.count('"type":"lost","seq":1,"what":"the taken of the turn at seq 1"') == 1
    assert main(["import", str(output), "--store", str(tmp_path / "again.db")]) in {0, 1}
    assert main(["copy", url, str(tmp_path / "copy.db")]) == 1
    said = capsys.readouterr()
    assert "the taken of the turn at seq 1" in said.out + said.err
    with palaver.open(tmp_path / "copy.db") as copied:
        assert [info.id for info in copied.list()] == ids[1:]


@pytest.mark.parametrize("field", ["holder", "taken", "reason", "token", "state"])
def test_text_that_is_no_utf_8(tmp_path: Path, field: str) -> None:
    """The driver gives nothing of such a row: the session is read in parts, and can be written to again when mended."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        fill(sessions)
    connection = apsw.Connection(str(path))
    connection.execute(f"UPDATE turns SET {field} = CAST(x'22ff22' AS TEXT) WHERE id >> 32 = 2")
    connection.close()
    with palaver.open(path) as sessions:
        assert [info.preview for info in sessions.list()] == ["hi b", "hi a"]
        session = sessions.resolve(HERE)
        assert [m.text for m in session.history().messages] == ["hi b", "hello"]
        sessions.get_or_create(Origin("telegram", chat_id="a")).append(user("me too"))
        assert {each.problem for each in sessions.check(session_id=session.id)} <= {"turn_undecodable", "turn_state"}
        assert sessions.check(session_id=session.id) != []
        with pytest.raises(CorruptRecord, match=f"session {session.id} is no text any more.*check --repair"):
            sessions.begin_turn(HERE, user("more"))
        sessions.repair()
        assert sessions.check() == []
        with sessions.begin_turn(HERE, user("more")) as turn:
            turn.finish(assistant("yes"))
        assert core_of(sessions).store.turn(session.id, None) is not None
