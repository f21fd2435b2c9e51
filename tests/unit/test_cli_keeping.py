"""The commands that look after a store: check with a repair, backup, restore."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest

import palaver
from palaver import user
from palaver.cli import main


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with two sessions."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        sessions.create("one", alias="mine").append(user("hello"))
        sessions.create("two").append(user("there"))
    return path


@pytest.fixture
def damaged(path: Path) -> Path:
    """The same, with a wrong count in the first."""
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE sessions SET message_count = 9 WHERE number = 1")
    connection.close()
    return path


def test_a_fault_is_explained_and_repaired(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` says how to go on, `--explain` what it means, `--repair` mends it after a backup, and all is well."""
    store = ["--store", str(damaged)]
    assert main(["check", *store]) == 1
    found = capsys.readouterr()
    assert "it counts 9 messages and holds 1" in found.out
    assert "--repair" in found.err
    assert main(["check", "--explain", *store]) == 1
    assert "wrong numbers" in capsys.readouterr().out
    assert main(["check", "--repair", "--backup", str(damaged.with_name("b.db")), *store]) == 0
    done = capsys.readouterr()
    assert "counted anew" in done.out
    assert "b.db" in done.err
    assert main(["check", *store]) == 0
    assert main(["check", "--repair", "--json", *store]) == 0
    assert json.loads(capsys.readouterr().out)["backup"] is None


def test_one_session(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By id, alias or key; the other is well; one that is not there is told by the exit code."""
    store = ["--store", str(damaged)]
    assert main(["check", "one", *store]) == 1
    assert main(["check", "mine", *store]) == 1
    assert main(["check", "two", *store]) == 0
    assert main(["check", "three", *store]) == 3
    assert main(["check", "one", "--repair", *store]) == 2
    capsys.readouterr()


def test_backup_and_restore(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backup says where it is and what it holds; restoring refuses what is in the way, and keeps it when forced."""
    store = ["--store", str(path)]
    assert main(["backup", str(tmp_path / "b.db"), *store]) == 0
    made = capsys.readouterr()
    assert made.out == f"{tmp_path / 'b.db'}\n"
    assert "2 sessions, 2 messages" in made.err
    assert main(["backup", str(tmp_path / "b.db"), *store]) == 2
    assert main(["backup", str(tmp_path / "kept") + "/", "--keep", "1", "--json", *store]) == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 2
    assert main(["restore", str(tmp_path / "b.db"), *store]) == 2
    told = capsys.readouterr().err
    assert "has content: restore to another path, or say --force, which keeps it beside" in told
    assert "force=True" not in told
    assert main(["restore", str(tmp_path / "b.db"), "--force", *store]) == 0
    assert "before-restore" in capsys.readouterr().err
    assert main(["restore", str(tmp_path / "b.db"), str(tmp_path / "new.db"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] is None
    assert main(["restore", str(tmp_path / "none.db"), str(tmp_path / "other.db")]) == 4
    assert main(["restore", str(tmp_path / "b.db"), "memory://"]) == 2
    with palaver.open(tmp_path / "new.db") as sessions:
        assert sessions.resolve("one").messages()[0].text == "hello"


def test_no_backup_where_there_is_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a store nor a backup is made; a store in memory says that it has none."""
    assert main(["backup", "--store", str(tmp_path / "no.db")]) == 4
    assert main(["backup", "--store", "memory://"]) == 4
    assert list(tmp_path.iterdir()) == []
    capsys.readouterr()
