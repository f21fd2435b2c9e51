"""Damaged and odd homes of hermes's cost at most the damaged record, and each is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver import user
from palaver.formats import check
from palaver.importers import import_path
from palaver.importers.hermes.merging import merged
from palaver.importers.hermes.records import entry_of_record
from palaver.importers.jsonl import Record, read_records
from tests.importers.hermes_home import Home, logged, opened, reasons, take, texts

KEY = "agent:main:telegram:dm:42"
NAME = "20260225_061320_0a1b2c3d"

ROWS: dict[str, tuple[dict[str, Any], list[str], int]] = {
    "a number for content": ({"content": 7}, ["one", "7", "three"], 0),
    "bytes for content": ({"content": b"by\xfftes"}, ["one", "by\ufffdtes", "three"], 0),
    "no role": ({"role": None}, ["one", "three"], 1),
    "a role that is not known": ({"role": "oracle"}, ["one", "three"], 1),
    "a role in capitals": ({"role": "Assistant"}, ["one", "two", "three"], 0),
    "no time": ({"timestamp": None}, ["one", "two", "three"], 0),
    "a time that is text": ({"timestamp": "soon"}, ["one", "two", "three"], 0),
    "a time beyond all": ({"timestamp": 9e300}, ["one", "two", "three"], 0),
    "calls that are none": ({"tool_calls": "[{torn"}, ["one", "two", "three"], 0),
    "calls that are a number": ({"tool_calls": 5}, ["one", "two", "three"], 0),
    "half a character in calls": (
        {"tool_calls": '[{"id": "c", "type": "function", "function": {"name": "\\ud83d", "arguments": "{}"}}]'},
        ["one", "two", "three"],
        0,
    ),
    "half a character in a list": (
        {"content": '\0json:[{"type": "text", "text": "\\ud83d"}]'},
        ["one", "\ufffd", "three"],
        0,
    ),
    "an infinite number": ({"token_count": float("inf")}, ["one", "two", "three"], 0),
    "bytes in another column": ({"finish_reason": b"\xff\x00"}, ["one", "two", "three"], 0),
}


UNTOLD = {"a number for content", "bytes in another column"}
"""The column makes text of the one; the other is kept as it is."""


@pytest.mark.parametrize("what", ROWS)
def test_a_bad_row_costs_itself_at_most(tmp_path: Path, what: str) -> None:
    """All others are there, in order; the report says which row, and the next message finds a legal window."""
    changes, left, skipped = ROWS[what]
    home = Home(tmp_path)
    home.session("s1", "one")
    number = home.say("s1", **{"content": "two", "role": "assistant", **changes})
    home.say("s1", "three")
    home.route(KEY, "s1")
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, "s1") == left
        assert report.count("skipped") == skipped
        told = [note for note in report.every_note() if note.action != "aside"]
        assert bool(told) == (what not in UNTOLD)
        assert all(note.line == number for note in told)
        with sessions.begin_turn(KEY, user("And now?")) as turn:
            assert not check("openai_chat", turn.window.render("openai_chat").messages)


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    """It is read as far as it can be, wherever it stands; other rows are exact."""
    home = Home(tmp_path)
    home.session("s1", "one", "zwei ✓")
    home.db.execute("UPDATE messages SET content = CAST(x'6f6eff65' AS TEXT) WHERE content = 'one'")
    home.db.execute("UPDATE sessions SET title = CAST(x'54ff' AS TEXT)")
    home.db.execute("INSERT INTO messages (session_id, role, content) VALUES (CAST(x'73ff' AS TEXT), 'user', 'stray')")
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, "s1") == ["on\ufffde", "zwei ✓"]
        assert sessions.get("hermes:s1").info().title == "T\ufffd"
        assert texts(sessions, "s\ufffd") == ["stray"]
        assert sum("no UTF-8" in reason for reason in reasons(report, "repaired")) == 3


def test_rows_of_sessions_that_are_odd(tmp_path: Path) -> None:
    """Messages without a session, sessions without messages, twice or without a name: told, and nothing lost."""
    home = Home(tmp_path)
    home.session("s1", "one", message_count=99)
    home.session("s1", title="twice")
    home.session("s2", started_at="never", title=5)
    home.row("sessions", id=None, source="cli", started_at=1)
    home.say("lost", "found")
    number = home.db.execute("SELECT max(id) FROM messages").fetchone()[0]
    home.db.execute("CREATE TABLE m2 AS SELECT * FROM messages")
    home.db.execute("DROP TABLE messages")
    home.db.execute("ALTER TABLE m2 RENAME TO messages")  # without its index, its key and its constraints
    home.db.execute("INSERT INTO messages (id, session_id, role, content) VALUES (?, NULL, 'user', 'x')", (number + 1,))
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, "s1") == ["one"]
        assert texts(sessions, "lost") == ["found"]
        assert {each.source_id for each in report.sessions} == {"s1", "s2", "lost"}
        skipped = reasons(report, "skipped")
        assert len(skipped) == 3
        assert any("no row of its own" in reason for reason in reasons(report, "repaired"))


def test_the_same_row_twice(tmp_path: Path) -> None:
    """One that was written twice, time and all, is one; what was said twice is two."""
    home = Home(tmp_path)
    home.session("s1", "yes")
    home.say("s1", "yes")
    home.say("s1", "yes", timestamp=home.time)
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, "s1") == ["yes", "yes"]
        assert reasons(report, "skipped") == ["the same row, time and all, as row 2"]


def test_titles_that_are_taken(tmp_path: Path) -> None:
    """Two homes with one title, a title that no store keeps: told, and the sessions are there."""
    first, second = Home(tmp_path / "a"), Home(tmp_path / "b")
    first.session("s1", "one", title="Tea")
    second.session("s2", "two", title="Tea")
    second.session("s3", "three", title="N\0L")
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert sessions.get("hermes:s2").info().title == "Tea #2"
        assert texts(sessions, "s3") == ["three"]
        assert any("in the metadata alone" in reason for reason in reasons(report, "repaired"))


def test_two_homes_with_one_id_and_one_key(tmp_path: Path) -> None:
    """Both sessions are there; the first has the key, and the report says how to take it over."""
    for number, folder in enumerate("ab"):
        home = Home(tmp_path / folder)
        home.session("s1", f"in {folder}", started_at=1_772_000_000 + number)
        home.route(KEY, "s1")
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert [m.text for m in sessions.resolve(KEY).messages()] == ["in a"]
        assert sessions.stats().sessions == 2
        assert any("under that key" in reason for reason in reasons(report, "repaired"))


# -- logs -----------------------------------------------------------------------------------------------------------

DAMAGE: dict[str, tuple[int, bytes]] = {
    "torn": (1, b'{"role": "assistant", "content": "tw\n'),
    "no UTF-8": (1, json.dumps(logged("one", "two")[1]).encode().replace(b"two", b"t\xffo") + b"\n"),
    "NUL bytes": (1, b"\0" * 300 + b"\n"),
    "a bare number": (1, b"7\n"),
}


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_line_of_a_log(tmp_path: Path, what: str, complete: bool) -> None:
    """If the database has its message, nothing is lost and nothing doubles; else it costs that line at most."""
    place, bad = DAMAGE[what]
    home = Home(tmp_path)
    lines: list[Any] = list(logged("one", "two", "three"))
    lines[place] = bad
    home.log(NAME, *lines)
    if complete:
        home.session(NAME, "one", "two", "three")
    with opened() as sessions:
        report = take(sessions, tmp_path)
        if complete:
            assert texts(sessions, NAME) == ["one", "two", "three"]
            assert not report.count("skipped")
            assert any("the database has its message" in reason for reason in reasons(report, "aside"))
        elif what == "no UTF-8":
            assert texts(sessions, NAME) == ["one", "t\ufffdo", "three"]
        else:
            assert texts(sessions, NAME) == ["one", "three"]
            assert [note.line for note in report.every_note() if note.action == "skipped"] == [2]


def test_a_half_character_in_a_log(tmp_path: Path) -> None:
    """It becomes U+FFFD, as in the database, and is the same message."""
    home = Home(tmp_path)
    home.session(NAME, "a \ufffd b")
    home.log(NAME, b'{"role": "user", "content": "a \\ud83d b"}\n')
    with opened() as sessions:
        take(sessions, tmp_path)
        assert texts(sessions, NAME) == ["a \ufffd b"]


def test_a_damaged_index(tmp_path: Path) -> None:
    """The entries that are whole give their keys; what names no session is told."""
    home = Home(tmp_path, None)
    other = NAME.replace("20_", "21_")
    for name in (NAME, other):
        home.log(name, *logged("one"))
    index = home.index(**{KEY: NAME, "agent:main:telegram:dm:7": other})
    whole = index.read_text()
    index.write_text(whole[: whole.index('"origin"', whole.index("dm:7"))])
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert sessions.resolve(KEY) == sessions.get(f"hermes:{NAME}")
        assert sessions.get(f"hermes:{other}").info().keys == ()
        assert any("what is whole in it is read" in reason for reason in reasons(report, "repaired"))
        index.write_text(json.dumps({"a": 5, "b": {"session_id": 9}, KEY: {"session_id": NAME, "origin": "odd"}}))
        report = import_path(sessions, tmp_path / "sessions")
        assert report.count("skipped") == 2


def entries(said: list[str]) -> list[Any]:
    """Entries that say this."""
    return [entry_of_record(Record(n, b"", {"role": "user", "content": text}), "f") for n, text in enumerate(said)]


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_what_both_have_comes_once(stored: list[str], logs: list[str]) -> None:
    """Of each text there are as many as in the one that has more; what was stored keeps its order."""
    both = merged(before := entries(stored), entries(logs))
    assert [entry for entry in both.entries if any(entry is each for each in before)] == before
    found = [entry.value["content"] for entry in both.entries]
    for text in "abc":
        assert found.count(text) == max(stored.count(text), logs.count(text))
    assert both.known + both.added == len(logs)


@given(st.lists(st.sampled_from(["one", "two"])), st.binary(max_size=60))
def test_any_line_in_a_log(said: list[str], line: bytes) -> None:
    """Whatever a log holds, what the database has stays as it was."""
    items: list[Any] = [
        record if record.error is not None else entry_of_record(record, "f")
        for record in read_records(line)
        if record.error is not None or isinstance(record.value, dict)
    ]
    both = merged(stored := entries(said), items)
    assert [entry for entry in both.entries if any(entry is each for each in stored)] == stored


def test_a_damaged_row_that_a_log_has_whole(tmp_path: Path) -> None:
    """The log mends the row, which keeps its place and its time, and is not there twice."""
    home = Home(tmp_path)
    home.session(NAME, "one", "two", "three")
    home.db.execute("UPDATE messages SET content = CAST(x'74ff6f' AS TEXT) WHERE content = 'two'")
    home.log(NAME, *logged("one", "two", "three"))
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, NAME) == ["one", "two", "three"]
        assert any("row 2 is damaged" in reason for reason in reasons(report, "repaired"))


def test_metadata_that_no_store_keeps(tmp_path: Path) -> None:
    """A column that is nested too deep costs itself, and not the message or the session."""
    deep = "[" * 300 + "]" * 300
    home = Home(tmp_path)
    home.session("s1", "one", model_config=deep)
    number = home.say("s1", "two", "assistant", reasoning_details=deep)
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, "s1") == ["one", "two"]
        assert number in [note.line for note in report.every_note() if note.action == "repaired"]
        assert not report.count("skipped")


def test_what_describes_a_session_is_kept(tmp_path: Path) -> None:
    """Should a row of that kind say something, it is in the metadata."""
    home = Home(tmp_path)
    home.session("s1", "one")
    home.say("s1", '{"tools": ["f"]}', "session_meta")
    with opened() as sessions:
        assert take(sessions, tmp_path).total("records") == 1
        assert sessions.get("hermes:s1").info().metadata["imported"]["session_meta"] == {"content": {"tools": ["f"]}}
