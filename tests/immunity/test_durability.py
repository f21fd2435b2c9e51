"""Bugs that five agents' session layers had: what is kept. One test each; docs/features.md lists them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

import palaver
from palaver import SessionManager, assistant, user
from palaver.errors import InvalidMessage, SessionEnded, SessionNotFound, StoreError
from palaver.importers import import_path
from palaver.model import ToolCall, tool
from tests.immunity.stores import texts
from tests.waiting import PATIENCE

MANY = 40
WRITER = """
import sys, palaver
with palaver.open(sys.argv[1]) as sessions:
    for number in range(int(sys.argv[3])):
        sessions.get_or_create("k").append(palaver.user(f"{sys.argv[2]}-{number}"))
"""


def broken(path: Path, body: bytes, seq: int) -> None:
    """Put other bytes in the place of a stored message."""
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE messages SET body = ? WHERE id & 4294967295 = ?", (body, seq))
    connection.close()


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]", b"null", b'{"role":"user","parts":"no"}', b""])
def test_06_damage_costs_at_most_the_damaged_record(url: str, folder: Path, body: bytes) -> None:
    """The others are read, the damaged one is named, and its bytes are kept aside before anything is written."""
    with palaver.open(url) as sessions:
        sessions.get_or_create("k").append(user("one"), user("two"), user("three"))
    broken(folder / "chat.db", body, 2)
    with palaver.open(url) as sessions:
        page = sessions.resolve("k").messages()
        assert ([m.text for m in page], page.corrupt) == (["one", "three"], (2,))
        sessions.resolve("k").append(user("four"))
        assert [f.kind for f in sessions.check()] == ["corrupt"]
    connection = apsw.Connection(str(folder / "chat.db"))
    kept = [bytes(row[0]) for row in connection.execute("SELECT body FROM quarantine")]
    connection.close()
    assert kept == [body]


def test_07_a_replacement_is_all_or_nothing(sessions: SessionManager) -> None:
    """One message that cannot be stored, and the transcript is as it was; no file is left beside the store."""
    session = sessions.get_or_create("k")
    session.append(user("one"), assistant("two"))
    with pytest.raises(InvalidMessage):
        session.replace(user("new"), user("half \ud800"))
    assert texts(session) == ["one", "two"]
    session.replace(user("new"))
    assert texts(session) == ["new"]


def test_08_what_is_derived_follows_what_is_stored(sessions: SessionManager, folder: Path) -> None:
    """One transaction has the messages, their count and their place in lists; the index can be thrown away."""
    session = sessions.get_or_create("k")
    session.append(user("red"), assistant("well"), user("green"))
    session.rewind()
    assert sessions.list()[0].message_count == len(texts(session)) == 2
    sessions.index(anew=True)
    assert [hit.snippet for hit in sessions.search("red")] == ["red"]
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"chat.db"}


def test_09_processes_lose_nothing_and_hide_no_error(url: str) -> None:
    """Several write to one session at once: nothing is lost, nothing doubles, nobody sees a lock."""
    command = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen([*command, str(n), str(MANY)], stderr=subprocess.PIPE) for n in range(3)]
    try:
        assert [writer.communicate(timeout=PATIENCE)[1] for writer in writers] == [b""] * 3
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    with palaver.open(url) as sessions:
        found = texts(sessions.resolve("k"))
    assert sorted(found) == sorted(f"{n}-{number}" for n in range(3) for number in range(MANY))
    for n in range(3):
        mine = [text for text in found if text.startswith(f"{n}-")]
        assert mine == [f"{n}-{number}" for number in range(MANY)]


def test_10_unreadable_is_not_empty(url: str, folder: Path) -> None:
    """Absent is SessionNotFound, empty is an empty page, and what cannot be read is an error that names the file."""
    with palaver.open(url) as sessions:
        with pytest.raises(SessionNotFound):
            sessions.resolve("nobody")
        assert texts(sessions.create()) == []
        sessions.get_or_create("k").append(user("one"))
    for path in folder.glob("chat.db-*"):
        path.unlink()
    whole = (folder / "chat.db").read_bytes()
    (folder / "chat.db").write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError, match=r"chat\.db"):
        palaver.open(url)
    (folder / "chat.db").write_bytes(whole)
    with palaver.open(url) as sessions:
        assert texts(sessions.resolve("k")) == ["one"]


def test_11_half_a_character_is_found_at_the_door(sessions: SessionManager) -> None:
    """A lone surrogate is refused with the remedy, which works; a NUL is kept as it came."""
    session = sessions.get_or_create("k")
    with pytest.raises(InvalidMessage, match="clean_text"):
        session.append(user("torn \ud83d emoji"))
    session.append(user(palaver.clean_text("torn \ud83d emoji")), user("a\0b"))
    assert texts(session) == ["torn \ufffd emoji", "a\0b"]


def test_12_long_lines_break_nothing(sessions: SessionManager) -> None:
    """A tool result of several megabytes comes back whole, and so does what stands around it."""
    session = sessions.get_or_create("k")
    long = "é" * 4_000_000
    session.append(user("go"), assistant(None, ToolCall(name="f", call_id="c")), tool("c", long), assistant("done"))
    assert texts(session) == ["go", "", long, "done"]
    assert sessions.list()[0].message_count == 4


def test_13_an_import_changes_no_source_and_doubles_nothing(sessions: SessionManager, folder: Path) -> None:
    """Idempotent, verified, the source untouched, symbolic links refused."""
    source = folder / "w" / "sessions"
    source.mkdir(parents=True)
    head = {"_type": "metadata", "key": "telegram:42", "created_at": "2026-03-01T09:00:00", "metadata": {}}
    said = {"role": "user", "content": "hi", "timestamp": "2026-03-01T09:00:01"}
    path = source / "telegram_42.jsonl"
    path.write_text(f"{json.dumps(head)}\n{json.dumps(said)}\n")
    (source / "link.jsonl").symlink_to(path)
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(source.iterdir()))
    first, second = (import_path(sessions, folder / "w") for _ in range(2))
    assert (first.total("imported"), second.total("imported"), second.total("present")) == (1, 0, 1)
    assert any("symbolic link" in note.reason for note in first.notes)
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(source.iterdir())) == before
    assert texts(sessions.resolve("telegram:42")) == ["hi"]


def test_14_a_handle_from_before_a_reset_is_not_the_new_session(sessions: SessionManager) -> None:
    """It holds no copy: it says that its session has ended, and the key leads to the new one."""
    session = sessions.get_or_create("k")
    session.append(user("old"))
    fresh = sessions.reset("k")
    with pytest.raises(SessionEnded):
        session.append(user("late"))
    assert session.info().ended_at is not None
    sessions.get_or_create("k").append(user("new"))
    assert (texts(session), texts(fresh)) == (["old"], ["new"])
