"""What is set aside of JSONL files: each piece is known to be of one file, and goes with it alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver import SessionManager, user
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.names import file_name, line_name, lost_name, torn_name, unreadable_name, whose_aside
from tests.faults import kit

_ODD = st.from_regex(r"[a-z]{0,2}(-[0-9a-f]{1,8}|\.line|\.lost|\.torn|\.jsonl|\.unreadable){0,4}", fullmatch=True)


def opened(root: Path) -> SessionManager:
    """The store, open."""
    return palaver.open(f"jsonl:///{root}")


@given(_ODD | st.text(max_size=12), st.integers(0, 10**12), st.binary(max_size=3))
def test_every_piece_says_whose_it_is(session_id: str, place: int, data: bytes) -> None:
    """Also where an id ends as the names of pieces do."""
    try:
        file = file_name(session_id)
    except UnicodeEncodeError:  # no store keeps half a character in an id
        return
    for name in (
        line_name(file, place, data),
        lost_name(file, place, data),
        torn_name(file, place),
        unreadable_name(file),
    ):
        assert whose_aside(name) == file


def test_what_is_of_another_session_stays(tmp_path: Path) -> None:
    """A name that begins with another's, or with another's and a place."""
    directory = Directory(tmp_path, "a store")
    files = [file_name(each) for each in ("chat", "chat-2", "chat-2-0123abcd", "chat.jsonl", "chat-2.torn", "cha")]
    pieces = {
        name: file
        for file in files
        for name in (
            line_name(file, 7, b"x"),
            lost_name(file, 12345678, b"x"),
            torn_name(file, 12345678),
            unreadable_name(file),
        )
    }
    for name in (*pieces, "~journal-0-0123abcd.record", "chat-notes.txt"):
        directory.set_aside(name, b"x")
    directory.drop_aside("chat.jsonl")
    left = {path.name for path in directory.quarantine.iterdir()}
    assert left == {name for name, file in pieces.items() if file != "chat.jsonl"} | {"chat-notes.txt"}


def test_a_purge_of_one_session_leaves_what_is_of_another(tmp_path: Path) -> None:
    """Of two files that lost something, each is put back, or purged, for itself."""
    ids: list[str] = []
    for key in ("k", "other"):
        with opened(tmp_path) as sessions:
            sessions.get_or_create(key).append(user("one"))
            sessions.resolve(key).append(user("two"))
            ids.append(sessions.resolve(key).id)
    for each in ids:
        path = tmp_path / "sessions" / f"{each}.jsonl"
        os.truncate(path, path.stat().st_size - 5)
    with opened(tmp_path) as sessions:
        sessions.resolve("k").purge(1, 1)
        [kept] = (tmp_path / "quarantine").glob("*.lost")
        assert kept.name.startswith(ids[1])
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert kit.texts(sessions, "other") == ["one", "two"]


@pytest.mark.parametrize("place", ["", "backups/", "elsewhere/"])
def test_backups_are_named_after_the_directory(tmp_path: Path, place: str) -> None:
    """As those of a file are after the file; `keep` finds those with the older name of an index, too."""
    root = tmp_path / "conversations.v2"
    folder = tmp_path / place if place == "elsewhere/" else root / "backups"
    to = None if not place else f"{folder}/"
    with opened(root) as sessions:
        sessions.get_or_create("k").append(user("one"))
        older = sessions.backup(f"{folder}/index-20260101T000000000000Z.db")
        made = sessions.backup(to)
        assert Path(made.path).parent == folder
        assert re.fullmatch(r"conversations\.v2-\d{8}T\d{12}Z\.db", Path(made.path).name)
        assert sessions.backups() == [older, made]
        newest = sessions.backup(to, keep=2)
        assert sessions.backups() == [made, newest]
    palaver.restore(older.path if Path(older.path).exists() else made.path, tmp_path / "restored.db")
    with palaver.open(tmp_path / "restored.db") as sessions:
        assert kit.texts(sessions, "k") == ["one"]
