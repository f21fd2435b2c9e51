"""Damaged and odd sources cost at most the damaged record, and each is told with its place."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver import SessionManager
from palaver.formats import check
from palaver.importers import Report, import_path
from palaver.importers.jsonl import read_records

KEY = "telegram:42"


def line(value: Any) -> bytes:
    """A record as nanobot writes it."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def head(**changes: Any) -> dict[str, Any]:
    """A record of metadata."""
    made = {"_type": "metadata", "key": KEY, "created_at": "2026-03-01T09:00:00.5", "updated_at": "2026-03-01T10:00:00"}
    return {**made, "metadata": {}, "last_consolidated": 0, **changes}


def said(number: int, **changes: Any) -> dict[str, Any]:
    """Message number `number` of a conversation."""
    role = "assistant" if number % 2 else "user"
    return {"role": role, "content": f"m{number}", "timestamp": f"2026-03-01T09:00:{number:02}.000001", **changes}


def talk(count: int = 6, **changes: Any) -> list[bytes]:
    """The lines of a conversation: metadata, then messages."""
    return [line(head(**changes)), *(line(said(number)) for number in range(count))]


def write(folder: Path, lines: list[bytes], name: str = "telegram_42.jsonl") -> Path:
    """A workspace with one session."""
    sessions = folder / "sessions"
    sessions.mkdir(parents=True, exist_ok=True)
    (sessions / name).write_bytes(b"".join(lines))
    return folder


def take(sessions: SessionManager, source: Path) -> Report:
    """Import, and see that every record is accounted for and nothing is unwell."""
    report = import_path(sessions, source)
    for each in report.sessions:
        assert each.records == each.imported + each.present + each.skipped, each
    assert not sessions.check()
    return report


def texts(sessions: SessionManager, key: str = KEY) -> list[str]:
    """What a conversation says."""
    return [message.text for message in sessions.resolve(key).messages(limit=1000)]


DAMAGE: dict[str, tuple[int, bytes, list[str], int]] = {
    "torn": (3, line(said(2))[:30] + b"\n", ["m0", "m1", "m3", "m4", "m5"], 1),
    "torn, and the next one behind it": (3, line(said(2))[:30], ["m0", "m1", "m3", "m4", "m5"], 1),
    "the last is torn": (6, line(said(5))[:-9], ["m0", "m1", "m2", "m3", "m4"], 1),
    "two on one line": (3, line(said(2))[:-1], ["m0", "m1", "m2", "m3", "m4", "m5"], 0),
    "no UTF-8": (3, line(said(2)).replace(b"m2", b"m\xff2"), ["m0", "m1", "m\ufffd2", "m3", "m4", "m5"], 0),
    "half a character": (3, line(said(2)).replace(b"m2", b"\\ud83d"), ["m0", "m1", "\ufffd", "m3", "m4", "m5"], 0),
    "NUL bytes": (3, b"\x00" * 500 + b"\n", ["m0", "m1", "m3", "m4", "m5"], 1),
    "NUL bytes before": (3, b"\x00" * 500 + line(said(2)), ["m0", "m1", "m2", "m3", "m4", "m5"], 0),
    "a bare string": (3, b'"m2"\n', ["m0", "m1", "m3", "m4", "m5"], 1),
    "no role": (3, line({"content": "m2"}), ["m0", "m1", "m3", "m4", "m5"], 1),
    "a role that is a list": (3, line(said(2, role=["user"])), ["m0", "m1", "m3", "m4", "m5"], 1),
    "a role in capitals": (3, line(said(2, role="User")), ["m0", "m1", "m2", "m3", "m4", "m5"], 0),
    "a number for content": (3, line(said(2, content=7)), ["m0", "m1", "7", "m3", "m4", "m5"], 0),
    "a text among blocks": (3, line(said(2, content=["m2"])), ["m0", "m1", "m2", "m3", "m4", "m5"], 0),
    "no time": (3, line({"role": "user", "content": "m2"}), ["m0", "m1", "m2", "m3", "m4", "m5"], 0),
    "a time that is none": (3, line(said(2, timestamp="soon")), ["m0", "m1", "m2", "m3", "m4", "m5"], 0),
    "calls that are a text": (4, line(said(3, tool_calls="run")), ["m0", "m1", "m2", "m3", "m4", "m5"], 0),
    "NaN": (3, line(said(2, score=float("nan"))), ["m0", "m1", "m2", "m3", "m4", "m5"], 0),
    "nested too deep": (
        3,
        line(said(2)).replace(b'"m2"', b"[" * 99_999 + b"]" * 99_999),
        ["m0", "m1", "m3", "m4", "m5"],
        1,
    ),
    "written twice": (3, line(said(2)) + line(said(2)), ["m0", "m1", "m2", "m3", "m4", "m5"], 1),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_costs_one_record_at_most(tmp_path: Path, what: str) -> None:
    """All others are there, in order; the report says which line, and a second run finds nothing new."""
    place, bad, left, skipped = DAMAGE[what]
    lines = talk()
    lines[place] = bad
    source = write(tmp_path, lines)
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert texts(sessions) == left
        assert report.count("skipped") == skipped
        assert skipped or report.count("repaired")
        assert all(note.line == place + 1 or note.line == place + 2 for note in report.every_note())
        assert take(sessions, source).total("imported") == 0
        with sessions.begin_turn(KEY, palaver.user("And now?")) as turn:
            assert not check("openai_chat", turn.window.render("openai_chat").messages)


def test_a_damaged_record_before_the_cursor_counts(tmp_path: Path) -> None:
    """What nanobot had archived stays archived when lines before its cursor are lost: no live message is hidden."""
    lines = talk(8, last_consolidated=4, metadata={"_last_summary": {"text": "So far."}})
    lines[2], lines[3] = b"{torn\n", b"\xff\xfe\n"
    with palaver.open("memory://") as sessions:
        take(sessions, write(tmp_path, lines))
        window = sessions.resolve(KEY).history()
        assert [message.text for message in window.messages[1:]] == ["m4", "m5", "m6", "m7"]
        assert "So far." in window.messages[0].text


@pytest.mark.parametrize("cursor", [-1, True, 2.0, "3", None, 99])
def test_a_cursor_that_cannot_be_hides_nothing(tmp_path: Path, cursor: Any) -> None:
    """A cursor of a wrong type, or out of range, counts as none, and that is told."""
    lines = talk(6, last_consolidated=cursor, metadata={"_last_summary": {"text": "So far."}})
    with palaver.open("memory://") as sessions:
        report = take(sessions, write(tmp_path, lines))
        assert report.count("repaired") == 1
        assert [m.text for m in sessions.resolve(KEY).history().messages[1:]] == [f"m{n}" for n in range(6)]


@pytest.mark.parametrize("bad", [b"", b'{"_type": "metadata", "key": "telegram:42", "crea\n', b"\xff\xff\n"])
def test_without_metadata_the_name_tells_the_key(tmp_path: Path, bad: bytes) -> None:
    """A session whose first record is lost keeps its key and all messages."""
    write(tmp_path, [bad, *talk()[1:]])
    write(tmp_path, talk(2, key="telegram:7"), "telegram_7.jsonl")
    with palaver.open("memory://") as sessions:
        take(sessions, tmp_path)
        assert texts(sessions) == [f"m{n}" for n in range(6)]


def test_wrong_types_of_metadata(tmp_path: Path) -> None:
    """Metadata of wrong types costs what it said, not the conversation."""
    lines = talk(2, created_at=None, updated_at=7.5, metadata=["x"])
    with palaver.open("memory://") as sessions:
        report = take(sessions, write(tmp_path, lines))
        assert texts(sessions) == ["m0", "m1"]
        assert report.count("repaired") == 2


def test_metadata_that_no_store_can_keep(tmp_path: Path) -> None:
    """A key with a NUL is none here, and what is nested too deep is left out; the conversation is there."""
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    write(tmp_path, talk(2, key="a\0b", metadata={"deep": deep, "title": "T\0"}))
    with palaver.open("memory://") as sessions:
        [report] = take(sessions, tmp_path).sessions
        session = sessions.get(report.session_id or "")
        assert (report.key, session.info().message_count) == (None, 2)
        assert session.info().metadata["title"] == "T\0"
        assert sessions.get("nanobot:a\N{REPLACEMENT CHARACTER}b") == session
        assert take(sessions, tmp_path).total("imported") == 0


@pytest.mark.parametrize("kind", [{}, ["x"], None, "meta"])
def test_a_record_type_that_is_none(tmp_path: Path, kind: Any) -> None:
    """Metadata is known by what it holds, and a message by its role, whatever their type says."""
    lines = [line(head(_type=kind)), line(said(0)), line(said(1, _type=kind))]
    write(tmp_path, lines)
    write(tmp_path, talk(2, key="telegram:7"), "telegram_7.jsonl")
    with palaver.open("memory://") as sessions:
        take(sessions, tmp_path)
        assert texts(sessions) == ["m0", "m1"]


def test_a_file_of_noise_makes_no_session(tmp_path: Path) -> None:
    """What cannot be read at all is told, and leaves nothing behind under a key."""
    write(tmp_path, talk(2))
    write(tmp_path, [b"\x00\xff noise\n"] * 3, "telegram_7.jsonl")
    with palaver.open("memory://") as sessions:
        report = take(sessions, tmp_path)
        assert {session.status for session in report.sessions} == {"new", "refused"}
        assert report.total("skipped") == 3
        assert sessions.stats().sessions == 1


def test_two_namings_of_one_key_are_one_conversation(tmp_path: Path) -> None:
    """A file that nanobot left under the old name and the one it went on with do not double, and none is lost."""
    write(tmp_path, talk(4))
    new = base64.urlsafe_b64encode(KEY.encode()).rstrip(b"=").decode()
    write(tmp_path, talk(8), f"{new}.jsonl")
    with palaver.open("memory://") as sessions:
        take(sessions, tmp_path)
        assert texts(sessions) == [f"m{n}" for n in range(8)]
        revs = [each.etag for each in sessions.list()]
        assert take(sessions, tmp_path).total("imported") == 0
        assert [each.etag for each in sessions.list()] == revs


def test_two_workspaces_with_one_key_are_two_conversations(tmp_path: Path) -> None:
    """The second gets no key, and its report says how to come to it; it grows in its own place."""
    write(tmp_path / "one", talk(4))
    other = [line(head()), *(line(said(n, content=f"other {n}")) for n in range(4))]
    write(tmp_path / "two", other)
    with palaver.open("memory://") as sessions:
        report = take(sessions, tmp_path)
        assert [each.key for each in report.sessions] == [KEY, None]
        assert texts(sessions) == ["m0", "m1", "m2", "m3"]
        write(tmp_path / "two", [*other, line(said(9))])
        report = take(sessions, tmp_path)
        assert [(each.status, each.imported) for each in report.sessions] == [("unchanged", 0), ("grown", 1)]
        assert sessions.stats().sessions == 2


def test_a_key_in_use_stays_where_it_points(tmp_path: Path) -> None:
    """Who talked through Palaver before the import keeps that conversation, and finds the old one by its alias."""
    with palaver.open("memory://") as sessions:
        sessions.get_or_create(KEY).append(palaver.user("already here"))
        report = take(sessions, write(tmp_path, talk()))
        assert texts(sessions) == ["already here"]
        assert report.sessions[0].key is None
        assert sessions.get(f"nanobot:{KEY}").info().message_count == 6
        assert any("resume" in note.reason for note in report.every_note())


def test_a_later_run_brings_what_is_new(tmp_path: Path) -> None:
    """New messages follow those of both worlds; what nanobot cut away stays."""
    with palaver.open("memory://") as sessions:
        take(sessions, write(tmp_path, talk(4)))
        sessions.resolve(KEY).append(palaver.user("by Palaver"))
        grown = [line(head(updated_at="2026-03-02T10:00:00", metadata={"title": "Tea"}))]
        report = take(sessions, write(tmp_path, [*grown, *(line(said(n)) for n in range(2, 6))]))
        assert (report.sessions[0].status, report.sessions[0].imported) == ("grown", 2)
        assert texts(sessions) == ["m0", "m1", "m2", "m3", "by Palaver", "m4", "m5"]
        assert sessions.resolve(KEY).info().title == "Tea"


def test_an_ended_session_is_told(tmp_path: Path) -> None:
    """What is new of a conversation that was reset in the store is not lost silently."""
    with palaver.open("memory://") as sessions:
        take(sessions, write(tmp_path, talk(4)))
        sessions.reset(KEY)
        report = take(sessions, write(tmp_path, talk(6)))
        assert report.sessions[0].status == "refused"
        assert any("resume it" in note.reason for note in report.every_note())


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_was_deleted_here_stays_deleted(tmp_path: Path, dry_run: bool) -> None:
    """The source has it still: that is told, with how to have it back, and the others come."""
    with palaver.open(tmp_path / "a.db") as sessions:
        source = tmp_path / "source"
        source.mkdir()
        take(sessions, write(source, talk(4)))
        session = sessions.resolve(KEY)
        session.delete()
        write(source, talk(2, key="telegram:7"), "telegram_7.jsonl")
        report = import_path(sessions, write(source, talk(6)), dry_run=dry_run)
        assert sorted(each.status for each in report.sessions) == ["new", "refused"]
        assert sum(each.imported + each.present + each.skipped - each.records for each in report.sessions) == 0
        assert any(f"palaver undelete {session.id}" in note.reason for note in report.every_note())
        sessions.restore(session.id)
        sessions.resume(KEY, session.id)
        assert import_path(sessions, source).total("skipped") == 0
        assert len(session.messages()) == 6


def test_a_dry_run_tells_the_same(tmp_path: Path) -> None:
    """It stores nothing, and says what the import then does."""
    source = write(tmp_path, talk())
    write(tmp_path, talk(2, key="telegram:7"), "telegram_7.jsonl")
    with palaver.open("memory://") as sessions:
        dry = import_path(sessions, source, dry_run=True)
        assert sessions.stats().sessions == 0
        wet = import_path(sessions, source)
        assert [(s.status, s.imported, s.key) for s in dry.sessions] == [
            (s.status, s.imported, s.key) for s in wet.sessions
        ]
        assert import_path(sessions, source, dry_run=True).total("imported") == 0
    assert import_path(None, source, dry_run=True).total("imported") == 8


def test_equal_titles_are_numbered(tmp_path: Path) -> None:
    """Titles are unique to an owner: the second of two is numbered, in later runs too."""
    for number in (1, 2):
        lines = talk(2, key=f"telegram:{number}", metadata={"title": "Tea"})
        write(tmp_path, lines, f"telegram_{number}.jsonl")
    with palaver.open("memory://") as sessions:
        take(sessions, tmp_path)
        take(sessions, tmp_path)
        assert sorted(each.title or "" for each in sessions.list()) == ["Tea", "Tea #2"]


def test_links_and_leftovers_are_told(tmp_path: Path) -> None:
    """Symbolic links are not followed, unfinished files not read; both are in the report."""
    source = write(tmp_path / "w", talk(2))
    (source / "sessions" / "x.jsonl.tmp").write_bytes(b"{")
    (source / "sessions" / "link.jsonl").symlink_to(source / "sessions" / "telegram_42.jsonl")
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert len(report.sessions) == 1
        assert {(note.action, note.file) for note in report.notes} == {
            ("aside", "sessions/x.jsonl.tmp"),
            ("skipped", "sessions/link.jsonl"),
        }


def test_memory_is_no_conversation(tmp_path: Path) -> None:
    """What nanobot remembers across conversations stays where it is; its log is named in the report."""
    source = write(tmp_path / "w", talk(2))
    memory = source / "memory"
    memory.mkdir()
    (memory / "MEMORY.md").write_text("# They like tea\n")
    (memory / "history.jsonl").write_bytes(
        line({"cursor": 1, "timestamp": "2026-03-01 09:00", "content": "They met."}) + b"\n"
    )
    before = {path.name: path.read_bytes() for path in memory.iterdir()}
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert [(note.action, note.file) for note in report.notes] == [("aside", "memory/history.jsonl")]
        assert len(sessions.list()) == len(report.sessions) == 1
    assert {path.name: path.read_bytes() for path in memory.iterdir()} == before


@given(st.binary(max_size=400), st.integers(0, 600))
def test_any_bytes_can_be_read(noise: bytes, place: int) -> None:
    """Whatever is written over a file, reading it ends, and the records on whole lines elsewhere are there."""
    whole = b"".join(talk(4))
    found = list(read_records(whole[:place] + b"\n" + noise + b"\n" + whole[place:]))
    values = [record.value for record in found if record.error is None]
    cut = whole[:place].count(b"\n")
    for number in range(4):
        if number + 1 != cut:
            assert said(number) in values
