"""The commands that take things away: what they do, what they ask, and what they say of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import Origin, Sender, assistant, user
from palaver.cli import main

KEY = "telegram:dm:42"
ORIGIN = Origin("telegram", chat_id="42", user_id="7")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with one session of two turns."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        for asked, answered in (("one", "first"), ("two", "marmalade")):
            with sessions.begin_turn(ORIGIN, user(asked)) as turn:
                turn.finish(assistant(answered))
    return url


def live(url: str) -> list[str]:
    """What is live in the session."""
    with palaver.open(url) as sessions:
        return [message.text for message in sessions.resolve(ORIGIN).messages()]


def session_id(url: str) -> str:
    """The session's id."""
    with palaver.open(url) as sessions:
        return sessions.resolve(ORIGIN).id


def record(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one line of JSON that was written."""
    return json.loads(capsys.readouterr().out)


def test_clear_truncate_and_edit(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What they take back `redo` brings back; what was said before an edit is kept."""
    assert main(["edit", KEY, "1", "One?", "--store", url]) == 0
    assert main(["truncate", KEY, "--after", "2", "--store", url]) == 0
    assert live(url) == ["One?", "first"]
    assert main(["clear", KEY, "--store", url]) == 0
    assert live(url) == []
    assert main(["redo", KEY, "--store", url]) == 0
    assert live(url) == ["One?", "first"]
    capsys.readouterr()
    assert main(["truncate", KEY, "--after", "1", "--store", url, "--json"]) == 0
    assert record(capsys)["message_count"] == 1


def test_an_edit_from_standard_input(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text is piped in."""
    monkeypatch.setattr("sys.stdin", io.StringIO("One\nand a half"))
    assert main(["edit", KEY, "1", "-", "--store", url]) == 0
    assert live(url)[0] == "One\nand a half"


def test_delete_and_restore(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`delete` writes the id that `restore` takes; deleted, it is no such session."""
    assert main(["delete", KEY, "--store", url]) == 0
    deleted = capsys.readouterr().out.strip()
    assert main(["show", KEY, "--store", url]) == 3
    assert main(["delete", KEY, "--store", url]) == 3
    assert main(["undelete", deleted, "--store", url]) == 0
    assert main(["show", deleted, "--store", url]) == 0
    assert main(["undelete", deleted, "--store", url]) == 6


def test_purging_asks_first(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can answer it says what to say; the answer no changes nothing."""
    assert main(["purge", KEY, "--store", url]) == 2
    assert "say --yes" in capsys.readouterr().err
    answers = io.StringIO("no\nyes\n")
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", answers)
    assert main(["purge", KEY, "--store", url]) == 2
    assert len(live(url)) == 4
    assert main(["purge", KEY, "--from", "1", "--through", "2", "--store", url]) == 0
    assert live(url) == ["two", "marmalade"]


def test_purging_a_deleted_session(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the id that it had; one that there is not is said so."""
    deleted = session_id(url)
    main(["delete", KEY, "--store", url])
    capsys.readouterr()
    assert main(["purge", deleted, "--yes", "--store", url, "--json"]) == 0
    assert record(capsys) == {"session_id": deleted, "messages": 4, "restorable": False}
    assert main(["undelete", deleted, "--store", url]) == 3
    assert main(["purge", "nobody", "--yes", "--store", url]) == 3
    assert main(["purge", KEY, "--from", "1", "--yes", "--store", url]) == 2


def test_purging_takes_no_title(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What begins like the title of a session that is gone would remove another for good."""
    with palaver.open(url) as sessions:
        sessions.resolve(ORIGIN).rename("Kyoto weekend")
        sessions.create("other:1", title="Kyo")
    assert main(["delete", "Kyo", "--store", url]) == 0
    assert "deleted 'Kyo'" in capsys.readouterr().err
    for name in ("Kyo", "Kyoto weekend"):
        assert main(["purge", name, "--yes", "--store", url]) == 3
        assert "a title is not enough" in capsys.readouterr().err
    assert len(live(url)) == 4
    assert main(["undelete", "Kyo", "--store", url]) == 3
    assert "`palaver ls --deleted` has the ids" in capsys.readouterr().err


def test_erasing_a_person(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run tells, --yes does it, and the file says nothing of it afterwards."""
    erased = session_id(url)
    assert main(["erase", "--user", "telegram:7", "--dry-run", "--store", url]) == 0
    assert f"would be erased {erased}" in capsys.readouterr().out
    assert main(["erase", "--user", "telegram:7", "--store", url]) == 2
    assert "4 messages" in capsys.readouterr().err
    assert main(["erase", "--user", "telegram:7", "--yes", "--store", url, "--json"]) == 0
    done = record(capsys)
    assert (done["sessions"], done["counts"]["messages"], done["scrub"]["done"]) == ([erased], 4, True)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"marmalade" not in files


def test_erasing_wants_one_thing(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing, two things, and what names nobody are refused; what there is not is not found."""
    assert main(["erase", "--yes", "--store", url]) == 2
    assert main(["erase", "--owner", "a", "--session", "b", "--yes", "--store", url]) == 2
    assert main(["erase", "--user", "7", "--yes", "--store", url]) == 2
    assert "telegram:7" in capsys.readouterr().err
    assert main(["erase", "--session", "nobody", "--yes", "--store", url]) == 3
    assert len(live(url)) == 4


def test_scrubbing_later(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Until then the files hold it, and the command says so."""
    assert main(["erase", "--session", session_id(url), "--yes", "--no-scrub", "--store", url]) == 0
    assert "palaver scrub" in capsys.readouterr().err
    assert main(["scrub", "--store", url]) == 0
    assert b"marmalade" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_an_erasure_tells_what_stays(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What went is counted in words, and what nobody can tell apart is not among it."""
    with palaver.open(url) as sessions:
        group = sessions.get_or_create(Origin("telegram", chat_type="thread", chat_id="-1", thread_id="2"))
        group.append(user("hers", sender=Sender(id="70")), assistant("to her"), user("whose?"))
    for option in ("--dry-run", "--yes"):
        assert main(["erase", "--user", "telegram:70", option, "--store", url]) == 0
        told = capsys.readouterr()
        assert "\n2 messages\n" in told.out
        assert "3 messages in conversations that others take part in" in told.err  # with two of the direct chat


def test_an_answer_is_merged_with_its_continuation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By their numbers; `redo` makes them two again."""
    store = ["--store", str(tmp_path / "chat.db")]
    with palaver.open(tmp_path / "chat.db") as sessions:
        session = sessions.create("key")
        session.append(user("count"), assistant("one"), user("go on"), assistant("two"))
    assert main(["merge", "key", "2", "4", "--separator", ", ", *store]) == 0
    assert "#2 says what #4 said" in capsys.readouterr().out
    assert main(["merge", "key", "2", "4", "--json", *store]) != 0
    with palaver.open(tmp_path / "chat.db") as sessions:
        assert [m.text for m in sessions.get(session.id).messages()] == ["count", "one, two"]
    assert main(["redo", "key", *store]) == 0
    with palaver.open(tmp_path / "chat.db") as sessions:
        assert len(sessions.get(session.id).messages()) == 4
