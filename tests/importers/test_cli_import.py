"""`palaver import`, as a person and as a program use it; and one that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver.cli import main
from palaver.importers import commits, import_path

KEY = "telegram:42"


def workspace(folder: Path, count: int = 6) -> Path:
    """A workspace of nanobot's with one conversation."""
    head = {"_type": "metadata", "key": KEY, "created_at": "2026-03-01T09:00:00", "metadata": {}}
    lines: list[dict[str, Any]] = [head]
    for number in range(count):
        stamp = f"2026-03-01T09:{number // 60:02}:{number % 60:02}.5"
        lines.append({"role": "assistant" if number % 2 else "user", "content": f"m{number}", "timestamp": stamp})
    (folder / "sessions").mkdir(parents=True)
    path = folder / "sessions" / "telegram_42.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_person_imports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each session is named, and the totals are told beside; the second time nothing is new."""
    source, store = workspace(tmp_path / "w"), f"sqlite:///{tmp_path}/chat.db"
    assert main(["import", str(source), "--store", store, "--timezone", "America/Sao_Paulo"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"new {KEY} (")
    assert "6 imported, 0 there already, 0 skipped" in said.err
    assert main(["import", str(source), "--store", store]) == 0
    assert "0 imported, 6 there already" in capsys.readouterr().err
    with palaver.open(store) as sessions:
        first = sessions.resolve(KEY).messages()[0].created_at
        assert first is not None
        assert first.hour == 12


def test_a_session_without_a_key_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whose, which, what it is called and in which file: by an id alone nobody knows a conversation again."""
    (tmp_path / "in").mkdir()
    session = "3f0c9c36-6a0e-4e0b-9e4d-2f6f3a1b7c11"
    record: dict[str, Any] = {
        "type": "user",
        "uuid": "u1",
        "parentUuid": None,
        "sessionId": session,
        "isSidechain": False,
    }
    record |= {"timestamp": "2026-03-01T10:00:00Z", "message": {"role": "user", "content": "Fix the tests"}}
    named = {"type": "custom-title", "customTitle": "The tests", "sessionId": session}
    lines = "".join(f"{json.dumps(each)}\n" for each in (record, named))
    (tmp_path / "in" / f"{session}.jsonl").write_text(lines)
    assert main(["import", str(tmp_path / "in"), "--store", str(tmp_path / "a.db")]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    begin = f"new claude-code {session} 'The tests' in {session}.jsonl ("
    assert line.startswith(begin)
    assert line.endswith("): 1 message")
    assert main(["import", str(tmp_path / "in"), "--store", str(tmp_path / "a.db"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (told["title"], told["source_id"], told["file"]) == ("The tests", session, f"{session}.jsonl")


def test_a_dry_run_makes_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells what would come, and leaves no file."""
    store = tmp_path / "chat.db"
    assert main(["import", str(workspace(tmp_path / "w")), "--store", str(store), "--dry-run"]) == 0
    assert "6 would be imported" in capsys.readouterr().err
    assert not store.exists()


def test_a_program_reads_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json: a line for each session, one for each file that is none, and the totals; skips show in the code."""
    source = workspace(tmp_path / "w")
    with (source / "sessions" / "telegram_42.jsonl").open("a") as file:
        file.write('{"role": "us')
    (source / "notes.jsonl").write_text('{"a": 1}\n')
    assert main(["import", str(source), "--store", f"{tmp_path}/chat.db", "--json"]) == 1
    session, note, report = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (session["type"], session["key"], session["imported"], session["skipped"]) == ("session", KEY, 6, 1)
    assert session["notes"][0]["line"] == 8
    assert (note["type"], note["action"], note["file"]) == ("note", "aside", "notes.jsonl")
    assert (report["type"], report["records"], report["skips"]) == ("report", 7, 1)


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--timezone", "Mars/Base"], 2), (["--store", ""], 2), (["--store", "nothing://x"], 2)]
)
def test_wrong_options(tmp_path: Path, arguments: list[str], code: int) -> None:
    """What the command line cannot mean is refused before anything is stored."""
    store = [] if "--store" in arguments else ["--store", f"{tmp_path}/chat.db"]
    assert main(["import", str(workspace(tmp_path / "w")), *store, *arguments]) == code


def test_nothing_to_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path without conversations, and one that is not there, are told on one line."""
    assert main(["import", str(tmp_path), "--store", f"{tmp_path}/chat.db"]) == 2
    assert main(["import", str(tmp_path / "none"), "--store", f"{tmp_path}/chat.db"]) != 0
    assert "No such file" in capsys.readouterr().err


def test_owners_keep_theirs(tmp_path: Path) -> None:
    """An import for an owner is that owner's; another may import the same."""
    source, store = workspace(tmp_path / "w"), f"{tmp_path}/chat.db"
    for owner in ("ann", "bob"):
        assert main(["import", str(source), "--store", store, "--owner", owner]) == 0
    with palaver.open(store) as sessions:
        assert sessions.stats().sessions == 2
        assert sessions.for_owner("ann").resolve(KEY).info().message_count == 6


KILLED = """
import os, sys, palaver
from palaver.importers import commits, import_path
commits.CHUNK = 7
done = 0
real = commits.committed
def dying(core, *operations):
    global done
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), 9)
    done += 1
    return real(core, *operations)
commits.committed = dying
with palaver.open(sys.argv[1]) as sessions:
    import_path(sessions, sys.argv[2])
"""


@pytest.mark.parametrize("operations", [1, 2, 4])
def test_a_killed_import_goes_on(tmp_path: Path, operations: int) -> None:
    """kill -9 between any two operations: the next run brings the rest, in order, and nothing twice."""
    source, store = workspace(tmp_path / "w", 40), tmp_path / "chat.db"
    died = subprocess.run([sys.executable, "-c", KILLED, store, source, str(operations)], check=False)
    assert died.returncode == -9
    with palaver.open(store) as sessions:
        stored = sessions.stats().messages
        assert stored == 7 * operations
        [report] = import_path(sessions, source).sessions
        assert (report.imported, report.present) == (40 - stored, stored)
        assert [m.text for m in sessions.resolve(KEY).messages()] == [f"m{n}" for n in range(40)]
        assert commits.CHUNK > 7
        assert not sessions.check()


def test_a_store_is_no_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who gives a store of Palaver's is told how to open it, and how to bring what is in it elsewhere."""
    with palaver.open(tmp_path / "old.db") as sessions:
        sessions.create("one").append(palaver.user("hello"))
    assert main(["import", str(tmp_path / "old.db"), "--store", str(tmp_path / "new.db")]) == 2
    told = capsys.readouterr().err
    assert "a store of Palaver's" in told
    assert "palaver export --all" in told
