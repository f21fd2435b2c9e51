"""odysseus's database with damaged rows and pages: each costs itself at most."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import user
from palaver.formats import check
from palaver.importers import import_path
from tests.importers.odysseus_store import ALL, chat, database, row, take, talk, texts

DAMAGE: dict[str, tuple[dict[str, Any], list[str], int]] = {
    "metadata that is no JSON": ({"metadata": '{"a": '}, ALL, 0),
    "metadata that is a list": ({"metadata": "[1]"}, ALL, 0),
    "metadata that is a number": ({"metadata": 7}, ALL, 0),
    "metadata that is NaN": ({"metadata": '{"score": NaN}'}, ALL, 0),
    "no role": ({"role": None}, ["m0", "m1", "m3", "m4", "m5"], 1),
    "an unknown role": ({"role": "narrator"}, ["m0", "m1", "m3", "m4", "m5"], 1),
    "a role in capitals": ({"role": "User"}, ALL, 0),
    "no time": ({"timestamp": None, "metadata": None}, ALL, 0),
    "a time that is none": ({"timestamp": "soon", "metadata": None}, ALL, 0),
    "no id": ({"id": None}, ALL, 0),
    "an id that looks like one of the store's": ({"id": "~3"}, ALL, 0),
    "half a character": (
        {"metadata": '{"note": "\\ud83d"}'},
        ALL,
        0,
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_costs_one_record_at_most(tmp_path: Path, what: str) -> None:
    """All others are there, in order, and the report names the row; the window is legal."""
    changes, left, skipped = DAMAGE[what]
    rows = [row(number, **(changes if number == 2 else {})) for number in range(6)]
    source = database(tmp_path, [chat()], rows)
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert texts(sessions) == left
        assert report.count("skipped") == skipped
        assert skipped or report.count("repaired")
        assert {note.line for note in report.every_note()} == {3}
        sessions.resume("here", "odysseus:s")
        with sessions.begin_turn("here", user("And now?")) as turn:
            assert not check("openai_chat", turn.window.render("openai_chat").messages)


def corrupt(path: Path, needle: bytes) -> None:
    """Overwrite the page that holds some bytes, as a bad sector does."""
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    begin = data.index(needle) // size * size
    data[begin : begin + size] = b"\xff" * size
    path.write_bytes(data)


def test_a_damaged_page_costs_what_is_on_it(tmp_path: Path) -> None:
    """The rows before and behind it are read, and the report says where it is."""
    rows = [row(number, content=f"m{number} " + "x" * 300, timestamp="2026-07-01 12:00:00") for number in range(400)]
    source = database(tmp_path, [chat()], rows)
    corrupt(source / "app.db", b"m200 x")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, source)
        left = [int(text.split()[0][1:]) for text in texts(sessions)]
        assert 380 < len(left) < 400
        assert 0 in left
        assert 399 in left
        assert 200 not in left
        assert left == sorted(left)
        assert any("damaged" in note.reason for note in report.every_note())
        assert not sessions.check()
        assert import_path(sessions, source).total("imported") == 0


def test_two_damaged_pages(tmp_path: Path) -> None:
    """What lies between them is read too."""
    rows = [row(number, content=f"m{number} " + "x" * 300, timestamp="2026-07-01 12:00:00") for number in range(400)]
    source = database(tmp_path, [chat()], rows)
    corrupt(source / "app.db", b"m100 x")
    corrupt(source / "app.db", b"m300 x")
    with palaver.open("memory://") as sessions:
        import_path(sessions, source)
        left = {int(text.split()[0][1:]) for text in texts(sessions)}
        assert {0, 200, 399} <= left
        assert len(left) > 360


def test_a_long_row_that_is_damaged(tmp_path: Path) -> None:
    """A message that fills pages of its own is lost alone, and its row is named."""
    big = "".join(f"b{number:05}" for number in range(4000))
    source = database(tmp_path, [chat()], [row(0), row(1, content=big), row(2)])
    corrupt(source / "app.db", b"b02000")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, source)
        assert texts(sessions) == ["m0", "m2"]
        assert [note.line for note in report.every_note() if note.action == "skipped"] == [2]


def test_lost_rows_of_sessions(tmp_path: Path) -> None:
    """Where the table of sessions is damaged, messages without one are a conversation that lost its row."""
    chats = [chat(f"c{number}", extra_data=json.dumps({"x": "y" * 900})) for number in range(40)]
    source = database(tmp_path, chats, [row(0, f"c{number}") for number in range(40)])
    corrupt(source / "app.db", b"Chat c20")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, source)
        assert sessions.stats().sessions == 40
        assert texts(sessions, "c20") == ["m0"]
        assert any("its row in sessions is lost" in note.reason for note in report.every_note())


@pytest.mark.parametrize("keep", [0, 50, 100, 3000])
def test_a_database_that_is_cut_off(tmp_path: Path, keep: int) -> None:
    """It is told and stores nothing that is not there; nothing crashes."""
    source = talk(tmp_path)
    data = (source / "app.db").read_bytes()
    (source / "app.db").write_bytes(data[:keep])
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, source)
        assert not report.total("imported")
        assert list(report.every_note())
