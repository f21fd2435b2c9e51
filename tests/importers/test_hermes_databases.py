"""hermes's database as a file: what belongs to it, damage to it, what only looks like it; imports that end early."""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver.importers import import_path, sources
from palaver.importers.databases import opened_copy
from tests.importers.hermes_home import Home, logged, opened, reasons, take, texts

KEY = "agent:main:telegram:dm:42"
NAME = "20260225_061320_0a1b2c3d"


def test_a_log_that_is_not_in_the_database_yet(tmp_path: Path) -> None:
    """What the write-ahead log alone holds is imported; no file changes, appears or is touched."""
    home = Home(tmp_path / ".hermes")
    home.db.execute("PRAGMA journal_mode=WAL")
    home.db.execute("PRAGMA wal_autocheckpoint=0")
    home.session("s1", "one", "two")
    frozen = tmp_path / "frozen" / ".hermes"
    frozen.mkdir(parents=True)
    for name in ("state.db", "state.db-wal"):  # as after kill -9
        shutil.copy(home.path / name, frozen / name)

    def seen() -> dict[str, tuple[int, bytes]]:
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in frozen.rglob("*") if path.is_file()}

    before = seen()
    with opened() as sessions:
        assert take(sessions, frozen.parent).total("imported") == 2
        assert seen() == before
        assert import_path(sessions, frozen / "state.db").total("present") == 2
        assert seen() == before


def test_a_crash_in_the_middle_of_a_transaction(tmp_path: Path) -> None:
    """A rollback journal that lies beside the database is heeded, and left where it is."""
    home = Home(tmp_path / "live" / ".hermes")
    home.session("s1", *(f"m{n}" for n in range(300)))
    home.db.execute("PRAGMA cache_size=2")
    home.db.execute("BEGIN")
    home.db.execute("UPDATE messages SET content = 'never committed' || content")
    frozen = tmp_path / "frozen" / ".hermes"
    shutil.copytree(home.path, frozen)
    assert (frozen / "state.db-journal").stat().st_size
    home.db.execute("ROLLBACK")
    with opened() as sessions:
        take(sessions, frozen)
        assert texts(sessions, "s1") == [f"m{n}" for n in range(300)]
        assert (frozen / "state.db-journal").stat().st_size


def test_a_damaged_database_gives_what_can_be_read(tmp_path: Path) -> None:
    """Pages that are overwritten cost the rows on them, which are told by their numbers; all others are there."""
    home = Home(tmp_path)
    for name in ("s1", "s2", "s3"):
        home.session(name, *(f"{name} {n} {'x' * 400}" for n in range(100)))
    home.db.execute("CREATE INDEX by_session ON messages(session_id)")
    home.db.close()
    path = tmp_path / "state.db"
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    place = data.index(b"s2 50 ") // size * size
    data[place : place + size] = b"\xa5" * size
    path.write_bytes(data)
    with opened() as sessions:
        report = take(sessions, tmp_path)
        counts = {name: len(texts(sessions, name)) for name in ("s1", "s2", "s3")}
        assert (counts["s1"], counts["s3"]) == (100, 100)
        assert 80 <= counts["s2"] < 100
        [note] = [note for note in report.every_note() if note.action == "skipped"]
        assert "rows" in note.reason
        assert note.line is not None
        assert 100 < note.line <= 151


@pytest.mark.parametrize(
    "bad", [b"", b"no database at all, but long enough to look at", b"SQLite format 3\0 parent_session_id tool_call_id"]
)
def test_a_database_that_is_none(tmp_path: Path, bad: bytes) -> None:
    """It is told, and the logs beside it are imported all the same."""
    home = Home(tmp_path, None)
    (tmp_path / "state.db").write_bytes(bad)
    home.log(NAME, *logged("one", "two"))
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, NAME) == ["one", "two"]
        assert any(note.file == "state.db" for note in report.notes)


def test_a_schema_that_makes_no_sense(tmp_path: Path) -> None:
    """An index that cannot be understood hides no message."""
    home = Home(tmp_path)
    home.session("s1", "one")
    home.db.execute("CREATE VIRTUAL TABLE messages_fts USING fts5(content)")
    home.db.execute("PRAGMA writable_schema=ON")
    home.db.execute(
        "UPDATE sqlite_master SET sql = 'CREATE VIRTUAL TABLE messages_fts USING gone(' WHERE name = 'messages_fts'"
    )
    home.db.close()
    with opened() as sessions:
        take(sessions, tmp_path)
        assert texts(sessions, "s1") == ["one"]


def test_another_programs_database(tmp_path: Path) -> None:
    """One that only is called alike is left alone, and its own code does not run."""
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("CREATE TABLE sessions (id TEXT, parent_session_id TEXT, tool_call_id TEXT)")
        db.execute("CREATE VIEW messages AS SELECT id AS session_id, load_extension('/tmp/x') AS role FROM sessions")
    db.close()
    with opened() as sessions:
        report = import_path(sessions, tmp_path)
        assert not report.sessions
        assert reasons(report, "aside") == ["a database, but none of hermes's"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither to a database, nor to a log, nor to a directory of them."""
    outside = Home(tmp_path / "outside")
    outside.session("s1", "secret")
    outside.log(NAME, *logged("secret"))
    inside = tmp_path / "inside" / ".hermes"
    inside.mkdir(parents=True)
    (inside / "state.db").symlink_to(outside.path / "state.db")
    (inside / "sessions").symlink_to(outside.logs)
    lone = tmp_path / "lone" / ".hermes"
    lone.mkdir(parents=True)
    (lone / "sessions").symlink_to(outside.logs)
    other = Home(tmp_path / "inside" / "other")
    other.session("s2", "ours")
    (other.logs / f"{NAME}.jsonl").symlink_to(outside.logs / f"{NAME}.jsonl")
    with opened() as sessions:
        report = take(sessions, tmp_path / "inside")
        assert {each.source_id for each in report.sessions} == {"s2"}
        assert sum("symbolic link" in reason for reason in reasons(report, "skipped")) == 3
        assert [note.file for note in import_path(sessions, lone).every_note()] == ["sessions"]


def test_a_database_under_another_name(tmp_path: Path) -> None:
    """A copy that someone made is imported when it is named, and is of the same home."""
    home = Home(tmp_path)
    home.session("s1", "one")
    home.db.close()
    copy = tmp_path / "before-the-update.db"
    shutil.copy(tmp_path / "state.db", copy)
    with opened() as sessions:
        assert take(sessions, copy).total("imported") == 1
        assert import_path(sessions, tmp_path).total("present") == 1


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe would never end."""
    home = Home(tmp_path / ".hermes", None)
    os.mkfifo(home.path / "state.db")
    os.mkfifo(home.logs / "20260225_061329_0a1b2c3d.jsonl")
    home.log(NAME, *logged("one"))
    with opened() as sessions:
        assert take(sessions, tmp_path).total("imported") == 1


def test_a_schema_that_needs_what_is_not_there(tmp_path: Path) -> None:
    """A column that calls a function which is nowhere hides nothing else."""
    home = Home(tmp_path)
    home.db.create_function("own", 1, str, deterministic=True)
    home.db.execute("DROP TABLE sessions")
    home.db.execute(
        "CREATE TABLE sessions (id TEXT, made TEXT AS (own(id)), source TEXT, started_at REAL, parent_session_id TEXT)"
    )
    home.session("s1", "one")
    with opened() as sessions:
        take(sessions, tmp_path)
        assert texts(sessions, "s1") == ["one"]


# -- runs that end early --------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("operations", range(1, 5))
def test_a_killed_import_goes_on(tmp_path: Path, operations: int) -> None:
    """kill -9 between any two operations: the next run brings the rest, and charges, cuts and marks once."""
    home = Home(tmp_path / ".hermes")
    home.session("s1", *(f"m{n}" for n in range(20)), title="Tea", archived=1, input_tokens=10, model="m")
    home.say("s1", "undone", active=0)
    home.say("s1", "undone too", active=0)
    home.route(KEY, "s1")
    store = tmp_path / "chat.db"
    died = subprocess.run([sys.executable, "-c", KILLED, store, home.path, str(operations)], check=False)
    assert died.returncode == -9
    with palaver.open(store) as sessions:
        take(sessions, home.path)
        info = sessions.resolve(KEY).info()
        assert texts(sessions, "s1") == [f"m{n}" for n in range(20)]
        assert (info.title, info.archived, info.message_count) == ("Tea", True, 20)
        assert info.usage is not None
        assert info.usage.input_tokens == 10


def test_a_dry_run_and_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells what would come and stores nothing; no copy of the database is left, and nobody else could read it."""
    home = Home(tmp_path / ".hermes")
    home.session("s1", "one", "two")
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    with opened() as sessions:
        report = import_path(sessions, home.path, dry_run=True)
        assert (report.total("imported"), sessions.stats().sessions) == (2, 0)
    assert not list(room.iterdir())
    [file], _ = sources.find(home.path)
    found = sources.read(file, None)
    next(found)
    [copy] = room.iterdir()
    assert copy.stat().st_mode & 0o777 == 0o700
    found.close()
    assert not list(room.iterdir())


@functools.cache
def sound() -> bytes:
    """A small database of hermes's."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home", 40)
        for number in range(4):
            parent = {"parent_session_id": f"s{number - 1}"} if number else {}
            home.session(f"s{number}", *(f"{n} {'x' * 150}" for n in range(20)), title=f"t{number}", **parent)
        home.route(KEY, "s1")
        home.db.close()
        return (home.path / "state.db").read_bytes()


@given(
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=64)), min_size=1, max_size=12),
    st.floats(0.3, 1),
)
def test_any_damage_to_a_database(damage: list[tuple[float, bytes]], length: float) -> None:
    """Whatever is overwritten or cut off: what is read is stored soundly, once, and accounted for."""
    data = bytearray(sound())
    for place, bad in damage:
        begin = int(place * (len(data) - len(bad)))
        data[begin : begin + len(bad)] = bad
    with tempfile.TemporaryDirectory() as folder, opened() as sessions:
        path = Path(folder) / "state.db"
        path.write_bytes(data[: int(length * len(data))])
        take(sessions, path)


def test_what_a_killed_import_left_behind_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one removes copies that nobody uses any more, and leaves those alone that somebody uses."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "palaver-import-left"
    left.mkdir()
    (left / "in-use").touch()
    (left / "copy.db").write_bytes(b"a secret")
    path = tmp_path / "state.db"
    path.write_bytes(sound())
    with opened_copy(path):
        assert not left.exists()
        [mine] = tmp_path.glob("palaver-import-*")
        with opened_copy(path):
            assert mine.exists()
    assert not list(tmp_path.glob("palaver-import-*"))
