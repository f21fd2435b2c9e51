"""`palaver sweep`: what it does and says, and what it asks before it deletes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import palaver
from palaver import assistant, user
from palaver.cli import main
from palaver.reset import ResetPolicy

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with an old session, a new one and an old empty one."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url, clock=lambda: LONG_AGO) as sessions:
        with sessions.begin_turn("old", user("hi")) as turn:
            turn.finish(assistant("hello"))
        sessions.create("empty")
    with palaver.open(url) as sessions:
        sessions.get_or_create("new").append(user("hi"))
    return url


def keys(url: str) -> set[str]:
    """The keys that lead to a session."""
    with palaver.open(url) as sessions:
        return {key for info in sessions.list(include_empty=True, include_archived=True) for key in info.keys}


def test_by_itself_it_takes_what_nobody_can_miss(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says the same and changes nothing."""
    assert main(["sweep", "--dry-run", "--store", url]) == 0
    dry = capsys.readouterr()
    assert keys(url) == {"old", "new", "empty"}
    assert main(["sweep", "--store", url]) == 0
    wet = capsys.readouterr()
    assert keys(url) == {"old", "new"}
    assert dry.out == wet.out
    assert wet.out.startswith("purge")
    assert "empty since 2024-01-01" in wet.out
    assert "1 purged" in wet.err
    assert main(["sweep", "--store", url]) == 0
    assert "nothing to sweep" in capsys.readouterr().err


def test_archiving_and_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each thing, and one for the whole."""
    assert main(["sweep", "--archive-after", "90d", "--empty-after", "never", "--json", "--store", url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["action", "report"]
    assert (lines[0]["what"], lines[0]["owner"]) == ("archive", None)
    assert lines[1] == {"type": "report", "dry_run": False, "counts": {"archive": 1}, "more": False, "changed": 0}
    assert keys(url) == {"old", "new", "empty"}


@pytest.mark.parametrize("retention", [["--delete-after", "90d"], ["--max-size", "150"]])
def test_it_asks_before_it_deletes(url: str, capsys: pytest.CaptureFixture[str], retention: list[str]) -> None:
    """Where nobody can be asked, it wants --yes; where nothing would be deleted, it asks nobody."""
    assert main(["sweep", *retention, "--store", url]) == 2
    assert "1 session would be deleted" in capsys.readouterr().err
    assert keys(url) == {"old", "new", "empty"}
    assert main(["sweep", *retention, "--dry-run", "--store", url]) == 0
    assert main(["sweep", *retention, "--yes", "--store", url]) == 0
    assert keys(url) == {"new"}
    assert main(["sweep", *retention, "--store", url]) == 0


def test_a_limit(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It does no more, and says that there is more."""
    assert main(["sweep", "--archive-after", "1d", "--limit", "1", "--store", url]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert "more to sweep" in captured.err


def test_a_todo_that_was_given_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told, and the exit code says so."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url, before_reset=True, reset_policy=ResetPolicy(idle=timedelta(days=1))) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("hi"))
        sessions.reset("k")
        for _ in range(3):
            sessions.fail(sessions.claim(session.id), "no model")
    assert main(["sweep", "--store", url]) == 1
    assert f"given up {session.id}: its to-do failed 3 times, at last: no model" in capsys.readouterr().out
    assert main(["sweep", "--json", "--store", url]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[0])["type"] == "given_up"
    assert main(["check", "--store", url]) == 1


@pytest.mark.parametrize(
    "wrong", [["--delete-after", "soon"], ["--max-size", "big"], ["--limit", "0"], ["--empty-after", ""]]
)
def test_what_cannot_be_is_refused(url: str, wrong: list[str]) -> None:
    """Before anything is done."""
    assert main(["sweep", *wrong, "--store", url]) == 2
    assert keys(url) == {"old", "new", "empty"}


@pytest.mark.parametrize("every", ["soon", "0s"])
def test_an_interval_that_cannot_be(tmp_path: Path, every: str) -> None:
    """`serve` does not begin with it."""
    assert main(["serve", "--port", "0", "--sweep-every", every, "--store", f"sqlite:///{tmp_path}/chat.db"]) == 2


def test_no_store_to_sweep(tmp_path: Path) -> None:
    """None is made."""
    assert main(["sweep", "--store", f"sqlite:///{tmp_path}/none.db"]) == 4
    assert main(["sweep", "--dry-run", "--store", f"sqlite:///{tmp_path}/none.db"]) == 4
    assert list(tmp_path.iterdir()) == []
