"""A file with damaged pages: `palaver export` brings out whatever stands on the others."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from starlette.testclient import TestClient

import palaver
from palaver import StoreUnavailable, assistant, codec, user
from palaver.cli import main
from palaver.clock import utc_now
from palaver.operations import Append, Appended, Operation
from palaver.reach import core_of
from palaver.server import app
from palaver.times import to_micros
from tests.e2e.asking import BASE

NAMES = ("first", "middle", "last")
MESSAGES = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with three sessions of sixty messages, each on several pages."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        for name in NAMES:
            session = sessions.create(name)
            session.append(*(user(f"{name} {number} " + "so it was said " * 20) for number in range(1, MESSAGES + 1)))
    return path


def ruin(path: Path, table: str, which: int) -> None:
    """Overwrite one page of a table's rows."""
    connection = apsw.Connection(str(path))
    found = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
    pages = [int(str(row[0])) for row in connection.execute(found, (table,))]
    (size,) = next(iter(connection.execute("PRAGMA page_size")))
    connection.close()
    with path.open("r+b") as file:
        file.seek((pages[which] - 1) * int(str(size)))
        file.write(b"\xaa" * int(str(size)))


def brought_out(path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What is exported of all that there is; the exit code says that something is missing."""
    output = path.with_name(f"saved.{form}")
    assert main(["export", "--all", "--format", form, "--output", str(output), "--store", str(path)]) == 1
    assert "could not be read" in capsys.readouterr().err
    return output.read_text(encoding="utf-8")


@pytest.mark.parametrize("which", [0, 4, 8])
@pytest.mark.parametrize("form", ["jsonl", "markdown", "sharegpt"])
def test_a_page_costs_the_messages_on_it(path: Path, which: int, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every other message is there, of the session that stands on the page too, wherever in the file the page is."""
    ruin(path, "messages", which)
    text = brought_out(path, form, capsys)
    there = [f"{name} {number} so" in text for name in NAMES for number in range(1, MESSAGES + 1)]
    lost = there.count(False)
    assert 0 < lost < 15
    begin = there.index(False)
    assert not any(there[begin : begin + lost])


@pytest.mark.parametrize("which", [0, 4, 8])
def test_what_was_brought_out_is_a_store_again(path: Path, which: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines are whole, and an import of them makes a store where only what was lost has to be marked."""
    ruin(path, "messages", which)
    brought_out(path, "jsonl", capsys)
    new = ["--store", str(path.with_name("new.db"))]
    assert main(["import", str(path.with_name("saved.jsonl")), *new]) in {0, 1}
    assert main(["check", "--repair", *new]) == 0
    with palaver.open(path.with_name("new.db")) as sessions:
        assert sum(info.message_count for info in sessions.list()) > 3 * MESSAGES - 15


@pytest.mark.parametrize("form", ["jsonl", "markdown", "sharegpt"])
def test_the_page_of_a_sessions_end(path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It costs the messages on it: what comes before them is exported, of the session that ends there too."""
    ruin(path, "messages", -1)
    text = brought_out(path, form, capsys)
    there = [f"{name} {number} so" in text for name in NAMES for number in range(1, MESSAGES + 1)]
    lost = there.count(False)
    assert 0 < lost < 15
    assert not any(there[-lost:])
    if form == "jsonl":
        assert text.count('"type":"lost"') == lost


def test_a_session_whose_end_is_damaged_is_found_and_listed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so of itself, with how far it had come; check says which messages it costs, and others are as ever."""
    ruin(path, "messages", -1)
    damaged = last_id(path)
    with palaver.open(path) as sessions:
        assert [(info.id == damaged, info.unreadable, info.message_count) for info in sessions.list()] == [
            (True, ("messages",), MESSAGES),
            (False, (), MESSAGES),
            (False, (), MESSAGES),
        ]
        assert [info.id for info in sessions.list(limit=1, title=None, pinned=False)] == [damaged]
        assert sessions.get(damaged).info().unreadable == ("messages",)
        assert sessions.resolve("last").info().last_seq == MESSAGES
        assert [message.text[:6] for message in sessions.get(damaged).messages(limit=2)] == ["last 1", "last 2"]
        with pytest.raises(StoreUnavailable, match="damaged"):
            sessions.get(damaged).append(user("more"))
        more: list[Operation] = [
            Append(at=to_micros(utc_now()), session_id=each, messages=(codec.draft(user("more")),))
            for each in (damaged, sessions.resolve("first").id)
        ]
        answers = core_of(sessions).store.commit(more)  # as others commit at the same time
        assert [type(each) for each in answers] == [StoreUnavailable, Appended]
        assert sessions.resolve("first").info().last_seq == MESSAGES + 1
        said = sessions.check(damaged)[-1].detail
        first = MESSAGES + 1 - len(lost_of(path, capsys))
        assert said.endswith(f"of session {damaged!r}, the messages at seq {first} to {MESSAGES}")
    assert main(["ls", "--store", str(path)]) == 0
    assert f"{damaged}: damaged, and not shown: messages" in capsys.readouterr().err
    with TestClient(app(path), base_url=BASE) as http:
        listed = {each["id"]: each["unreadable"] for each in http.get("/v1/sessions").json()["sessions"]}
        assert sorted(listed.values()) == [[], [], ["messages"]]
        assert listed[damaged] == ["messages"]
        assert http.get(f"/v1/sessions/{damaged}").json()["unreadable"] == ["messages"]


def lost_of(path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of an export that say what could not be read."""
    return [line for line in brought_out(path, "jsonl", capsys).splitlines() if '"type":"lost"' in line]


@pytest.mark.parametrize("table", ["turns", "versions"])
def test_a_page_of_what_is_beside_messages_costs_no_message(
    tmp_path: Path, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of turns and of earlier versions: each session is listed, and all messages are exported."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        for name in NAMES:
            for number in range(1, 21):
                with sessions.begin_turn(name, user(f"{name} {number} so")) as turn:
                    turn.finish(assistant("yes " * 40))
                sessions.resolve(name).edit(2 * number, "no " * 40)
        sessions.begin_turn("first", user("first 21 so"))
    ruin(path, table, -1)
    with palaver.open(path) as sessions:
        assert len(sessions.list()) == len(NAMES)
        assert sessions.resolve("last").messages(limit=1)[0].text == "last 1 so"
        damaged = sessions.resolve("last").info().unreadable
    assert damaged == (("turn_running",) if table == "turns" else ())
    text = brought_out(path, "jsonl", capsys)
    assert [f"{name} {number} so" in text for name in NAMES for number in range(1, 21)] == [True] * 60
    assert '"type":"lost"' in text


def last_id(path: Path) -> str:
    """The id of the session that was made last."""
    connection = apsw.Connection(str(path))
    (found,) = next(iter(connection.execute("SELECT id FROM sessions WHERE number = 3")))
    connection.close()
    return str(found)


def test_an_error_that_is_no_damage_is_not_passed_over(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that is gone is no damaged page: nothing is written, and the error says what it is."""
    connection = apsw.Connection(str(path))
    connection.execute("DROP TABLE versions")
    connection.close()
    output = path.with_name("saved.jsonl")
    assert main(["export", "--all", "--output", str(output), "--store", str(path)]) == 4
    assert "versions" in capsys.readouterr().err
    assert not output.exists()


def test_a_repair_says_which_page_it_is(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page, once, and each session that cannot be read; nothing of how the doctor looked."""
    ruin(path, "messages", 4)
    assert main(["check", "--repair", "--store", str(path)]) == 1
    said = capsys.readouterr().out
    assert said.count("messages, page ") == 1
    assert said.count("cannot be read to its end") == said.count("session number 1: it cannot be read to its end") == 1
    assert "check_" not in said
