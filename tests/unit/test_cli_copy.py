"""`palaver copy`: what it does, what it says, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

import palaver
from palaver import user
from palaver.cli import main


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A store with two sessions."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        for key in ("local:one", "local:two"):
            sessions.get_or_create(key).append(user(f"hello from {key}"))
    return url


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written as JSON."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_it_copies_and_says_so(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a store that it makes; a second time there is nothing to do."""
    target = f"jsonl:///{tmp_path}/new/lines"
    assert main(["copy", source, target]) == 0
    told = capsys.readouterr()
    assert "2 sessions: 2 copied, 0 there already, 0 left out; 2 new messages" in told.err
    assert "2 messages compared with the source\n" in told.err
    assert told.out == ""
    with palaver.open(target) as sessions:
        assert [m.text for m in sessions.resolve("local:one").messages()] == ["hello from local:one"]
    assert main(["copy", source, target, "--json", "--verify"]) == 0
    [report] = records(capsys)
    assert (report["type"], report["copied"], report["unchanged"], report["compared"]) == ("report", 0, 2, 2)
    assert (report["problems"], report["caught_up"], report["dry_run"]) == (0, True, False)


def test_a_name_that_is_no_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told how to write it, by commands that read and by those that write; no file is looked for."""
    for command in (["ls"], ["check"], ["append", "k", "x"]):
        assert main(["--store", "jsonl:sw", *command]) == 2
        assert "write jsonl:///sw" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_a_server_needs_a_name(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line is wrong without: it says what to give, and not the password."""
    with palaver.open(postgres_url) as sessions:
        sessions.get_or_create("k").append(user("x"))
    password = urlsplit(postgres_url).password
    assert password
    assert main(["--store", postgres_url, "backup"]) == 2
    told = capsys.readouterr().err
    assert "palaver backup FILE" in told
    assert password not in told
    assert main(["--store", postgres_url, "backup", f"{tmp_path}/kept.db"]) == 0


def test_a_dry_run_makes_nothing(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a store, nor the folder for it."""
    assert main(["copy", source, f"{tmp_path}/new/other.db", "--dry-run"]) == 0
    told = "2 sessions: 2 would be copied, 0 there already, 0 left out; at most 2 new messages"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_dry_run_makes_no_directory(source: str, tmp_path: Path) -> None:
    """Of a store of lines neither."""
    assert main(["copy", source, f"jsonl:///{tmp_path}/lines", "--dry-run"]) == 0
    assert not (tmp_path / "lines").exists()


def test_a_dry_run_makes_no_schema(source: str, postgres_url: str) -> None:
    """Nor one in a database."""
    assert main(["copy", source, postgres_url, "--dry-run"]) == 0
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regnamespace('palaver')").fetchone() == (None,)


def test_a_source_that_is_not_there_is_not_made(
    tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that was mistyped is told, and not copied as an empty store; without the password."""
    for missing in (f"jsonl:///{tmp_path}/lines", postgres_url):
        assert main(["copy", missing, f"{tmp_path}/other.db"]) == 4
        assert main(["--store", missing, "ls"]) == 4
        assert capsys.readouterr().err.count("there is no store at ") == 2
    assert list(tmp_path.iterdir()) == []
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regnamespace('palaver')").fetchone() == (None,)


def test_a_store_is_not_copied_into_itself(postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """However it is written; and no password is shown."""
    palaver.open(postgres_url).close()
    password = urlsplit(postgres_url).password
    assert password
    assert main(["copy", postgres_url, f"{postgres_url}?timeout=5"]) == 2
    told = capsys.readouterr().err
    assert "is both of them: name another" in told
    assert password not in told


def test_what_is_left_out_is_told(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With an exit code of its own: the copy went on in the target."""
    target = f"{tmp_path}/other.db"
    assert main(["copy", source, target]) == 0
    with palaver.open(target) as sessions:
        went_on = sessions.resolve("local:two")
        went_on.append(user("more"))
    capsys.readouterr()
    assert main(["copy", source, target]) == 1
    assert capsys.readouterr().out.startswith(f"refused: {went_on.id}: ")
    assert main(["copy", source, target, "--json"]) == 1
    problem, report = records(capsys)
    assert (problem["type"], problem["kind"], problem["session_id"]) == ("problem", "refused", went_on.id)
    assert (report["sessions"], report["copied"], report["unchanged"], report["left_out"]) == (2, 0, 1, 1)
    assert (report["problems"], report["messages"]) == (1, 0)
    assert main(["copy", source, target]) == 1
    assert "2 sessions: 0 copied, 1 there already, 1 left out; 0 new messages" in capsys.readouterr().err


def test_a_new_message_is_told_as_one(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not as all of its session, which is compared again."""
    target = f"{tmp_path}/other.db"
    with palaver.open(source) as sessions:
        sessions.resolve("local:one").append(*[user(str(number)) for number in range(20)])
        assert main(["copy", source, target]) == 0
        sessions.resolve("local:one").append(user("more"))
    capsys.readouterr()
    assert main(["copy", source, target]) == 0
    told = capsys.readouterr().err
    assert "2 sessions: 1 copied, 1 there already, 0 left out; 1 new message\n" in told
    assert "22 messages compared with the source: new ones, and others of the same sessions" in told


def test_what_cannot_be(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No source; a URL of nothing; a store that keeps nothing, or into itself; erasures of its own in the target."""
    assert main(["copy", f"{tmp_path}/missing.db", f"{tmp_path}/b.db"]) == 4
    assert not (tmp_path / "b.db").exists()
    told = capsys.readouterr().err
    assert "give another SOURCE" in told
    assert "--store" not in told
    assert main(["copy", source, "gopher://x"]) == 2
    for pair in ((source, "memory://"), ("memory://", source)):
        assert main(["copy", *pair]) == 2
        assert "memory:// keeps nothing" in capsys.readouterr().err
    for pair in ((source, "jsonl:sw"), ("jsonl:sw", source)):
        assert main(["copy", *pair]) == 2
        assert "write jsonl:///sw" in capsys.readouterr().err
    assert main(["copy", source, source]) == 2
    target = f"{tmp_path}/erased.db"
    for url in (source, target):
        with palaver.open(url) as sessions:
            session = sessions.create("local:x")
            session.append(user("x"))
            sessions.erase(session=session.id)
    capsys.readouterr()
    assert main(["copy", source, target]) == 6
    assert "copy into an empty store" in capsys.readouterr().err
