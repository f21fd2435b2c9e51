"""picoclaw's files in every state that its own bugs, crashes and disks leave them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver import KeyPolicy, Origin, SessionManager, user
from palaver.formats import check
from palaver.importers import Report, import_path, sources
from palaver.importers.picoclaw.records import read_legacy, read_lines, read_meta
from palaver.keys import session_key
from palaver.model import ImagePart

KEY = "telegram:42"
NAME = "telegram_42"
ALL = [f"m{number}" for number in range(6)]


def said(number: int, **changes: Any) -> dict[str, Any]:
    """Message number `number` of a conversation, as JSON lines have it since May 2026."""
    role = "assistant" if number % 2 else "user"
    return {"role": role, "content": f"m{number}", "created_at": f"2026-06-01T09:00:{number:02}.1-03:00", **changes}


def untimed(number: int) -> dict[str, Any]:
    """The same, as it was before."""
    return {name: value for name, value in said(number).items() if name != "created_at"}


def line(value: Any) -> bytes:
    """A record as picoclaw writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def meta(**changes: Any) -> bytes:
    """A meta file."""
    times = {"created_at": "2026-06-01T12:00:00.123456789Z", "updated_at": "2026-06-01T13:00:00Z"}
    return json.dumps({"key": KEY, "summary": "", "skip": 0, "count": 6, **times, **changes}, indent=2).encode()


def legacy(count: int = 6, **changes: Any) -> bytes:
    """A file of the legacy manager."""
    value = {"key": KEY, "messages": [untimed(n) for n in range(count)], "created": "2026-02-01T12:00:00Z", **changes}
    return json.dumps({**value, "updated": "2026-02-01T13:00:00Z"}, indent=2, ensure_ascii=False).encode()


def put(folder: Path, files: dict[str, bytes]) -> Path:
    """Files by what follows their session's name; a name with a dot in front of it is whole."""
    sessions = folder / "sessions"
    sessions.mkdir(parents=True, exist_ok=True)
    for suffix, data in files.items():
        (sessions / (NAME + suffix if suffix.startswith(".") else suffix)).write_bytes(data)
    return folder


def take(sessions: SessionManager, source: Path) -> Report:
    """Import, and see that every record is accounted for, nothing is unwell, and a second run brings nothing."""
    report = import_path(sessions, source)
    for each in report.sessions:
        assert each.records == each.imported + each.present + each.skipped, each
    assert not sessions.check()
    revs = [each.etag for each in sessions.list(limit=100, include_empty=True)]
    again = import_path(sessions, source)
    assert again.total("imported") == 0
    assert [each.etag for each in sessions.list(limit=100, include_empty=True)] == revs
    return report


def texts(sessions: SessionManager, key: str = KEY, *, live: bool = True) -> list[str]:
    """What a conversation says."""
    return [message.text for message in sessions.resolve(key).messages(limit=1000, live=live)]


def shown(sessions: SessionManager, key: str = KEY) -> list[str]:
    """What a model sees of it."""
    return [message.text for message in sessions.resolve(key).history().messages if message.seq]


LINES = [line(said(number)) for number in range(6)]
DAMAGE: dict[str, tuple[int, bytes, list[str], int]] = {
    "torn": (2, LINES[2][:30] + b"\n", ["m0", "m1", "m3", "m4", "m5"], 1),
    "torn, and the next one behind it": (2, LINES[2][:30], ["m0", "m1", "m3", "m4", "m5"], 1),
    "the last is torn": (5, LINES[5][:-9], ALL[:5], 1),
    "two on one line": (2, LINES[2][:-1], ALL, 0),
    "no UTF-8": (2, LINES[2].replace(b"m2", b"m\xff2"), ["m0", "m1", "m\ufffd2", "m3", "m4", "m5"], 0),
    "half a character": (2, LINES[2].replace(b"m2", b"\\ud83d"), ["m0", "m1", "\ufffd", "m3", "m4", "m5"], 0),
    "NUL bytes": (2, b"\x00" * 500 + b"\n", ["m0", "m1", "m3", "m4", "m5"], 1),
    "a bare string": (2, b'"m2"\n', ["m0", "m1", "m3", "m4", "m5"], 1),
    "no role": (2, line({"content": "m2"}), ["m0", "m1", "m3", "m4", "m5"], 1),
    "a role that is a number": (2, line(said(2, role=7)), ["m0", "m1", "m3", "m4", "m5"], 1),
    "a number for content": (2, line(said(2, content=7)), ["m0", "m1", "7", "m3", "m4", "m5"], 0),
    "a time that is none": (2, line(said(2, created_at="soon")), ALL, 0),
    "calls that are a text": (3, line(said(3, tool_calls="run")), ALL, 0),
    "nested too deep": (
        2,
        LINES[2].replace(b'"m2"', b"[" * 99_999 + b"]" * 99_999),
        ["m0", "m1", "m3", "m4", "m5"],
        1,
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_costs_one_record_at_most(tmp_path: Path, what: str) -> None:
    """All others are there, in order, and the report says which line; the window is legal."""
    place, bad, left, skipped = DAMAGE[what]
    lines = list(LINES)
    lines[place] = bad
    source = put(tmp_path, {".jsonl": b"".join(lines), ".meta.json": meta()})
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert texts(sessions) == left
        assert report.count("skipped") == skipped
        assert skipped or report.count("repaired")
        assert all(note.line in (place + 1, place + 2) for note in report.every_note())
        with sessions.begin_turn(KEY, user("And now?")) as turn:
            assert not check("openai_chat", turn.window.render("openai_chat").messages)


@pytest.mark.parametrize("begin", [b"", b"\n\n", b"   \n"])
def test_skip_counts_lines_and_not_messages(tmp_path: Path, begin: bytes) -> None:
    """Lines that are damaged now, and empty ones, do not move what picoclaw hides: no message more, and none less."""
    lines = [begin, LINES[0], b"{torn\n", b"\xff\xfe\n", *LINES[3:]]
    source = put(tmp_path, {".jsonl": b"".join(lines), ".meta.json": meta(skip=4, summary="So far.")})
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        assert shown(sessions) == ["m4", "m5"]
        assert "So far." in sessions.resolve(KEY).history().messages[0].text
        assert texts(sessions) == ["m0", "m3", "m4", "m5"]


@pytest.mark.parametrize("skip", [7, -1, True, 2.0, "3", None])
def test_a_skip_that_cannot_be_hides_nothing(tmp_path: Path, skip: Any) -> None:
    """picoclaw shows an empty history for a skip beyond the lines; here it counts as none, and that is told."""
    source = put(tmp_path, {".jsonl": b"".join(LINES), ".meta.json": meta(skip=skip, count=99)})
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert shown(sessions) == ALL
        assert report.count("repaired") == 1


def test_what_picoclaw_forgot_without_a_summary_stays_forgotten(tmp_path: Path) -> None:
    """Lines before skip are kept and can be brought back, but no model sees them, as none did."""
    source = put(tmp_path, {".jsonl": b"".join(LINES), ".meta.json": meta(skip=4)})
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        assert shown(sessions) == texts(sessions) == ["m4", "m5"]
        assert texts(sessions, live=False) == ALL


@pytest.mark.parametrize("bad", [None, b"", b"{", b'{"key": "telegram:42", "summ', b"[1]", b"\xff\xff"])
def test_a_corrupt_meta_file_costs_what_it_said(tmp_path: Path, bad: bytes | None) -> None:
    """picoclaw cannot read such a session at all, and does not list it; here all messages are there under its key."""
    files = {".jsonl": b"".join(LINES), "cli_x.jsonl": LINES[0], "cli_x.meta.json": meta(key="cli:x")}
    source = put(tmp_path, files if bad is None else {**files, ".meta.json": bad})
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert texts(sessions) == shown(sessions) == ALL
        assert any("meta" in f"{note.file} {note.reason}" for note in report.every_note())
        assert texts(sessions, "cli:x") == ["m0"]


def test_a_torn_meta_file_keeps_its_key_and_summary(tmp_path: Path) -> None:
    """What still stands in it counts."""
    torn = meta(key="tele_gram:4_2", summary="So far.")[:-40]
    with palaver.open("memory://") as sessions:
        take(sessions, put(tmp_path, {".jsonl": b"".join(LINES), ".meta.json": torn}))
        assert shown(sessions, "tele_gram:4_2") == ALL
        assert "So far." in sessions.resolve("tele_gram:4_2").history().messages[0].text


def test_wrong_types_in_a_meta_file(tmp_path: Path) -> None:
    """Each costs itself and is told; unknown keys are kept."""
    wrong = meta(summary=7, aliases="x", scope=[1], created_at="soon", updated_at=None, mood="fine", key=5)
    with palaver.open("memory://") as sessions:
        report = take(sessions, put(tmp_path, {".jsonl": b"".join(LINES), ".meta.json": wrong}))
        assert texts(sessions) == ALL
        assert report.count("repaired") == 4
        assert sessions.resolve(KEY).info().metadata["imported"]["other"] == {"mood": "fine"}


def test_names_that_collide_are_two_conversations(tmp_path: Path) -> None:
    """`a:b` and `a_b` share a file name in picoclaw; where their files lie side by side both are there."""
    other = legacy(2, key="telegram_42").replace(b"m0", b"other")
    with palaver.open("memory://") as sessions:
        report = take(sessions, put(tmp_path, {".jsonl": b"".join(LINES), ".meta.json": meta(), ".json": other}))
        assert {session.key for session in report.sessions} == {KEY, "telegram_42"}
        assert texts(sessions) == ALL
        assert texts(sessions, "telegram_42") == ["other", "m1"]


def test_a_stale_legacy_file_beside_longer_lines(tmp_path: Path) -> None:
    """picoclaw would overwrite five messages by the three of the stale file; here they stay five, and not eight."""
    files = {".jsonl": b"".join(LINES[:5]), ".meta.json": meta(), ".json": legacy(3)}
    with palaver.open("memory://") as sessions:
        report = take(sessions, put(tmp_path, files))
        assert texts(sessions) == ALL[:5]
        assert report.total("records") == 5
        assert any("all of its 3 messages" in note.reason for note in report.every_note())


def test_a_legacy_file_with_more_than_the_lines(tmp_path: Path) -> None:
    """What only it has is not lost, and stands where it belongs; without a summary nothing hides it."""
    files = {".jsonl": b"".join([LINES[2], LINES[3]]), ".meta.json": meta(), ".json": legacy(6)}
    with palaver.open("memory://") as sessions:
        report = take(sessions, put(tmp_path, files))
        assert texts(sessions) == shown(sessions) == ALL
        assert report.total("records") == 6


def test_a_backup_holds_what_was_compacted_away(tmp_path: Path) -> None:
    """picoclaw deletes what it has summarised; what its migration left of it is found again, behind the summary."""
    files = {".jsonl": b"".join(LINES[4:]), ".meta.json": meta(summary="So far."), ".json.migrated": legacy(5)}
    with palaver.open("memory://") as sessions:
        take(sessions, put(tmp_path, files))
        assert texts(sessions) == ALL
        assert shown(sessions) == ["m4", "m5"]


def test_a_backup_of_a_history_that_was_cleared(tmp_path: Path) -> None:
    """It is kept, and no model sees it again."""
    files = {".jsonl": b"", ".meta.json": meta(), ".json.migrated": legacy(4)}
    with palaver.open("memory://") as sessions:
        take(sessions, put(tmp_path, files))
        assert shown(sessions) == []
        assert texts(sessions, live=False) == ALL[:4]


@pytest.mark.parametrize("beside", [{}, {".meta.json": meta(skip=0)}])
def test_a_backup_alone_is_a_conversation(tmp_path: Path, beside: dict[str, bytes]) -> None:
    """Where the lines are lost, the backup is what is left."""
    source = put(tmp_path, {".json.migrated": legacy(4), **beside})
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        assert shown(sessions) == ALL[:4]


LEGACY: dict[str, tuple[bytes, list[str], int]] = {
    "torn in the last message": (legacy().split(b'"m5"')[0], ALL[:5], 1),
    "torn in a message": (legacy().split(b'"m3"')[0], ALL[:3], 1),
    "torn behind the messages": (legacy()[:-50], ALL, 0),
    "a broken message between": (legacy().replace(b'"content": "m2"', b'"content": "m2'), ["m0", "m1", *ALL[3:]], 1),
    "no UTF-8": (legacy().replace(b"m2", b"m\xff2"), ["m0", "m1", "m\ufffd2", *ALL[3:]], 0),
    "a scalar among them": (legacy(messages=[untimed(0), "m1", None, untimed(3)]), ["m0", "m3"], 2),
    "messages that are none": (legacy(messages={"a": 1}), [], 0),
    "NaN": (legacy(messages=[untimed(0), {**untimed(1), "score": float("nan")}]), ["m0", "m1"], 0),
}


@pytest.mark.parametrize("what", LEGACY)
def test_a_damaged_legacy_file(tmp_path: Path, what: str) -> None:
    """picoclaw skips such a file as a whole, silently; here it costs the damaged messages."""
    data, left, skipped = LEGACY[what]
    source = put(tmp_path, {".json": data, "cli_x.json": legacy(1, key="cli:x")})
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert texts(sessions) == left
        assert report.count("skipped") == skipped
        assert skipped or report.count("repaired")


@pytest.mark.parametrize("data", [b"", b"{", b"\x00" * 300, b"nothing", b"[]"])
def test_a_legacy_file_of_noise(tmp_path: Path, data: bytes) -> None:
    """It is told, and harms no other."""
    source = put(tmp_path, {".json": data, "cli_x.json": legacy(1, key="cli:x")})
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert texts(sessions, "cli:x") == ["m0"]
        assert NAME in {Path(note.file).name.partition(".")[0] for note in report.every_note()}


def test_null_messages_and_times_of_zero(tmp_path: Path) -> None:
    """Go writes an empty list as null, and no time as the year 1."""
    zero = "0001-01-01T00:00:00Z"
    empty = legacy(0, messages=None, created=zero)
    lines = b"".join(line(said(n, created_at=zero)) for n in range(2))
    source = put(tmp_path, {"cli_x.json": empty, ".jsonl": lines, ".meta.json": meta(created_at=zero)})
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert report.count("repaired") == report.count("skipped") == 0
        assert [m.created_at for m in sessions.resolve(KEY).messages()] == [sessions.resolve(KEY).info().created_at] * 2


def test_times_of_a_conversation_that_has_some(tmp_path: Path) -> None:
    """A message without one was there by the time of the next that has one; the order stays the file's."""
    source = put(
        tmp_path, {".jsonl": b"".join([*(line(untimed(n)) for n in range(4)), *LINES[4:]]), ".meta.json": meta()}
    )
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        page = sessions.resolve(KEY).messages()
        assert [message.text for message in page] == ALL
        assert {message.created_at for message in page[:5]} == {page[4].created_at}


def test_reasoning_alone_is_kept_and_not_shown(tmp_path: Path) -> None:
    """picoclaw drops such messages when it reads; they are stored, and hidden."""
    thought = {"role": "assistant", "content": "", "reasoning_content": "Hm.", "created_at": said(1)["created_at"]}
    source = put(tmp_path, {".jsonl": LINES[0] + line(thought) + LINES[2], ".meta.json": meta()})
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        assert [m.flags for m in sessions.resolve(KEY).messages()] == [(), ("hidden",), ()]
        assert shown(sessions) == ["m0", "m2"]


def test_files_that_came_with_a_message(tmp_path: Path) -> None:
    """Content is kept, links stay links, and the rest is known by name; nothing is there twice."""
    media = ["data:image/png;base64,iVBORw0KGgo=", "/home/ana/a.jpg", "https://example.org/b.ogg", "data:image/png,no"]
    attachments = [
        {"type": "image", "ref": "/home/ana/a.jpg", "filename": "a.jpg"},
        {"type": "file", "url": "https://example.org/c", "filename": "c.pdf", "content_type": "application/pdf"},
        "what",
    ]
    message = said(0, media=media, attachments=attachments)
    with palaver.open("memory://") as sessions:
        take(sessions, put(tmp_path, {".jsonl": line(message), ".meta.json": meta()}))
        [stored] = sessions.resolve(KEY).messages()
        parts = [part for part in stored.parts if isinstance(part, (ImagePart, palaver.AudioPart, palaver.FilePart))]
        assert [(p.media_type, p.data, p.url, p.name) for p in parts] == [
            ("image/png", "iVBORw0KGgo=", None, None),
            ("image/jpeg", None, None, "/home/ana/a.jpg"),
            ("audio/ogg", None, "https://example.org/b.ogg", None),
            ("image/png", None, None, "data:image/png,no"),
            ("application/pdf", None, "https://example.org/c", "c.pdf"),
        ]
        assert stored.metadata["attachments"] == attachments


def test_a_line_beyond_what_picoclaw_reads(tmp_path: Path) -> None:
    """One line above 10 MB makes a session unreadable there; here it is a message like others."""
    big = "x" * 11_000_000
    call = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    lines = [LINES[0], line(said(1, content="", tool_calls=[call]))]
    lines += [line(said(2, role="tool", content=big, tool_call_id="c1")), line(said(3))]
    with palaver.open("memory://") as sessions:
        take(sessions, put(tmp_path, {".jsonl": b"".join(lines), ".meta.json": meta()}))
        assert [len(text) for text in texts(sessions)] == [2, 0, len(big), 2]


def test_aliases_lead_to_the_session(tmp_path: Path) -> None:
    """All of them; one that two sessions have is the first's, which the other's report says. Later ones are added."""
    shared = "agent:main:main"
    one = {"one.jsonl": LINES[0], "one.meta.json": meta(key="k1", aliases=[shared, "agent:main:direct:42", 7, ""])}
    two = {"two.jsonl": LINES[0], "two.meta.json": meta(key="k2", aliases=[shared])}
    source = put(tmp_path, {**one, **two})
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert sessions.get(shared) == sessions.get("agent:main:direct:42") == sessions.resolve("k1")
        assert [s.key for s in report.sessions if any(shared in note.reason for note in s.notes)] == ["k2"]
        put(tmp_path, {"two.meta.json": meta(key="k2", aliases=[shared, "later"])})
        take(sessions, source)
        assert sessions.get("later") == sessions.resolve("k2")


def test_hashed_names_are_keys(tmp_path: Path) -> None:
    """A file called after its key needs nothing beside it; and the origin leads there."""
    origin = Origin("telegram", chat_id="42")
    policy = KeyPolicy.picoclaw()
    key = session_key(origin, policy)
    with palaver.open("memory://", key_policy=policy) as sessions:
        take(sessions, put(tmp_path, {f"{key}.jsonl": b"".join(LINES)}))
        with sessions.begin_turn(origin, user("And now?")) as turn:
            assert [message.text for message in turn.window.messages] == [*ALL, "And now?"]


def test_compaction_between_two_imports(tmp_path: Path) -> None:
    """What picoclaw has summarised and deleted since stays here, behind the new summary; what is new comes behind."""
    files = {".jsonl": b"".join(LINES), ".meta.json": meta(skip=2, summary="One.")}
    with palaver.open("memory://") as sessions:
        take(sessions, put(tmp_path, files))
        assert shown(sessions) == ALL[2:]
        later = {".jsonl": b"".join([*LINES[4:], line(said(6))]), ".meta.json": meta(summary="Two.")}
        take(sessions, put(tmp_path, later))
        assert texts(sessions) == [*ALL, "m6"]
        assert shown(sessions) == ["m4", "m5", "m6"]
        assert "Two." in sessions.resolve(KEY).history().messages[0].text


def test_the_migration_between_two_imports(tmp_path: Path) -> None:
    """picoclaw's migration gives messages a time; they are the same messages, and only what is new comes."""
    source = put(tmp_path, {".json": legacy(4)})
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        (source / "sessions" / f"{NAME}.json").rename(source / "sessions" / f"{NAME}.json.migrated")
        put(tmp_path, {".jsonl": b"".join(LINES), ".meta.json": meta()})
        report = take(sessions, source)
        assert report.total("imported") == 2
        assert texts(sessions) == ALL


def test_the_same_words_again_and_again(tmp_path: Path) -> None:
    """Messages that say the same are as many as there are; a later run knows them apart by their times."""
    lines = [line(said(n, content="ok")) for n in range(6)]
    with palaver.open("memory://") as sessions:
        take(sessions, put(tmp_path, {".jsonl": b"".join(lines[:4]), ".meta.json": meta()}))
        take(sessions, put(tmp_path, {".jsonl": b"".join(lines[2:]), ".meta.json": meta()}))
        assert texts(sessions) == ["ok"] * 6


def test_leftovers_and_links_are_told(tmp_path: Path) -> None:
    """Unfinished files are left aside, symbolic links not followed; other JSON is nobody's business."""
    source = put(
        tmp_path, {".jsonl": LINES[0], ".meta.json": meta(), "session-1.tmp": b"{", "config.json": b'{"a": 1}'}
    )
    where = source / "sessions"
    (where / "link.json").symlink_to(where / f"{NAME}.meta.json")
    (where / "link.jsonl").symlink_to(where / f"{NAME}.jsonl")
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert len(report.sessions) == 1
        assert sorted((note.action, Path(note.file).name) for note in report.notes) == [
            ("aside", "session-1.tmp"),
            ("skipped", "link.json"),
            ("skipped", "link.jsonl"),
        ]


def test_a_link_beside_a_session_is_not_followed(tmp_path: Path) -> None:
    """A meta file that is a link is none."""
    source = put(tmp_path, {".jsonl": b"".join(LINES), ".json.migrated": legacy(2)})
    (tmp_path / "elsewhere").write_bytes(meta(key="stolen"))
    (source / "sessions" / f"{NAME}.meta.json").symlink_to(tmp_path / "elsewhere")
    with palaver.open("memory://") as sessions:
        [session] = take(sessions, source).sessions
        assert session.key == KEY


def test_what_is_gone_is_not_empty(tmp_path: Path) -> None:
    """A file that cannot be read any more is an error, and no session without messages."""
    source = put(tmp_path, {".jsonl": LINES[0], ".meta.json": meta()})
    [file], _ = sources.find(source)
    (source / "sessions" / f"{NAME}.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        list(sources.read(file, None))


@pytest.mark.parametrize("name", [".jsonl", ".meta.json", ".json", ".json.migrated"])
def test_one_file_stands_for_its_session(tmp_path: Path, name: str) -> None:
    """Whichever of a session's files is named, all of them are read."""
    files = {".jsonl": b"".join(LINES), ".meta.json": meta(), ".json": legacy(3), ".json.migrated": legacy(2)}
    source = put(tmp_path, files)
    with palaver.open("memory://") as sessions:
        take(sessions, source / "sessions" / (NAME + name))
        assert texts(sessions) == ALL


def test_a_dry_run_tells_the_same(tmp_path: Path) -> None:
    """It stores nothing, and says what the import then does."""
    source = put(tmp_path, {".jsonl": b"".join(LINES), ".meta.json": meta(), "cli_x.json": legacy(2, key="cli:x")})
    with palaver.open("memory://") as sessions:
        dry = import_path(sessions, source, dry_run=True)
        assert sessions.stats().sessions == 0
        wet = import_path(sessions, source)
        assert [(s.status, s.imported, s.key) for s in dry.sessions] == [
            (s.status, s.imported, s.key) for s in wet.sessions
        ]


@given(st.binary(max_size=300), st.integers(0, 700))
def test_any_bytes_can_be_read(noise: bytes, place: int) -> None:
    """Whatever is written over a file, reading it ends, and says something of what it met."""
    for whole in (b"".join(LINES), legacy(), meta()):
        data = whole[:place] + noise + whole[place:]
        assert all(
            entry.record.error or entry.record.value is not None or entry.record.raw for entry in read_lines(data, "f")
        )
        found = read_legacy(data, "f")
        assert found.entries or found.faults or not found.about.get("messages")
        assert read_meta(data) is not None
