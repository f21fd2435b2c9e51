"""Transcripts of Claude Code: made here as it makes them, then torn, bent and continued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver.importers import commits, import_path
from palaver.importers.report import Report

SESSION = "6f2d0a11-2222-4333-8444-555555555555"
OTHER = "7a3e1b22-2222-4333-8444-555555555555"


def record(uuid: str, parent: str | None, role: str, content: Any, second: int = 0, **more: Any) -> dict[str, Any]:
    """A message, with all that Claude Code writes beside it."""
    message: dict[str, Any] = {"role": role, "content": content}
    if role == "assistant":
        used = {"input_tokens": 3, "cache_read_input_tokens": 100, "output_tokens": more.pop("out", 7)}
        message |= {"id": more.pop("answer", f"msg_{uuid}"), "type": "message", "model": "claude-test", "usage": used}
    about = {"isSidechain": False, "userType": "external", "cwd": "/work/app", "gitBranch": "main", "version": "2.0.14"}
    place = {"sessionId": SESSION, "type": role, "message": message, "uuid": uuid, "parentUuid": parent}
    return about | place | {"timestamp": f"2026-01-02T03:{second // 60:02}:{second % 60:02}.250Z"} | more


def says(text: str) -> list[dict[str, Any]]:
    """Content of one text."""
    return [{"type": "text", "text": text}]


def calls(call_id: str) -> list[dict[str, Any]]:
    """Content of one call."""
    return [{"type": "tool_use", "id": call_id, "name": "Read", "input": {"file_path": "a.py"}}]


def answers(call_id: str, text: str) -> list[dict[str, Any]]:
    """Content of one result."""
    return [{"type": "tool_result", "tool_use_id": call_id, "content": text}]


def talk() -> list[dict[str, Any]]:
    """A turn with two parallel calls, whose results hang beside the chain, and a reply."""
    thought = [{"type": "thinking", "thinking": "Two files.", "signature": "c2ln"}]
    return [
        record("u1", None, "user", "Read both", 1),
        record("a1", "u1", "assistant", thought, 2, answer="msg_1", out=1),
        record("a2", "a1", "assistant", calls("t1"), 3, answer="msg_1", out=1),
        record("r1", "a2", "user", answers("t1", "one"), 4, toolUseResult={"file": {"content": "one"}}),
        record("a3", "a2", "assistant", calls("t2"), 5, answer="msg_1", out=40),
        record("r2", "a3", "user", answers("t2", "two"), 6),
        record("a4", "r2", "assistant", says("Done."), 7),
    ]


def write(folder: Path, records: list[Any], name: str = f"{SESSION}.jsonl") -> Path:
    """A project's directory with a transcript; a record that is bytes stands there as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in records]
    (folder / name).write_bytes(b"".join(lines))
    return folder


def texts(sessions: palaver.SessionManager, name: str = SESSION) -> list[str]:
    """What the live messages of an imported session say."""
    return [message.text for message in sessions.get(f"claude-code:{name}").messages()]


def reasons(report: Report, action: str) -> list[str]:
    """Why records became what they became."""
    return [note.reason for note in report.every_note() if note.action == action]


def test_a_session_is_imported_as_the_model_saw_it(tmp_path: Path) -> None:
    """The parts of one answer are one message on the wire again, signed thought first, and both results follow."""
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, talk()))
        assert (report.total("imported"), report.total("skipped"), report.count("repaired")) == (7, 0, 0)
        session = sessions.get(f"claude-code:{SESSION}")
        payload = session.history().render("anthropic")
        kinds = [
            [b["type"] for b in m["content"]] if isinstance(m["content"], list) else "text" for m in payload.messages
        ]
        assert kinds == ["text", ["thinking", "tool_use", "tool_use"], ["tool_result"], ["tool_result"], ["text"]]
        assert not payload.repairs
        info = session.info()
        assert info.origin is not None
        assert (info.origin.platform, info.metadata["cwd"], info.metadata["gitBranch"]) == (
            "claude-code",
            "/work/app",
            "main",
        )
        first = session.messages()[0]
        assert str(first.created_at) == "2026-01-02 03:00:01.250000+00:00"


def test_the_next_turn_goes_on(tmp_path: Path) -> None:
    """Resumed by its alias under a key, the next turn's window is the conversation, and legal for Anthropic."""
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, talk()))
        sessions.resume("local:me", f"claude-code:{SESSION}")
        with sessions.begin_turn("local:me", palaver.user("And now?")) as turn:
            payload = turn.window.render("anthropic")
            assert palaver.formats.check("anthropic", payload.messages) == []
            assert payload.messages[0]["content"] == "Read both"
            assert payload.messages[-1]["content"] == "And now?"
            assert len(turn.window.messages) == 8
            turn.finish(palaver.assistant("Nothing."))


def test_used_tokens_are_counted_once(tmp_path: Path) -> None:
    """Each record of an answer tells its usage, the last one rightly; a later import charges what is new alone."""
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, talk()))
        more = [*talk(), record("u2", "a4", "user", "More", 8), record("a5", "u2", "assistant", says("More."), 9)]
        import_path(sessions, write(tmp_path, more))
        import_path(sessions, tmp_path)
        assert sessions.stats().usage.output_tokens == 40 + 7 + 7


def test_a_way_back_leaves_what_was_given_up(tmp_path: Path) -> None:
    """What a person went back from is stored and taken back; a later way back takes back what was live before."""
    branch = [record("u2", "a4", "user", "Wrong way", 8), record("a5", "u2", "assistant", says("Wrong."), 9)]
    other = [record("u3", "a4", "user", "Right way", 10), record("a6", "u3", "assistant", says("Right."), 11)]
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, [*talk(), *branch]))
        assert texts(sessions)[-2:] == ["Wrong way", "Wrong."]
        report = import_path(sessions, write(tmp_path, [*talk(), *branch, *other]))
        assert report.total("imported") == 2
        assert texts(sessions)[-3:] == ["Done.", "Right way", "Right."]
        assert sessions.get(f"claude-code:{SESSION}").info().last_seq == 11
    with palaver.open("memory://") as sessions:
        import_path(sessions, tmp_path)
        assert texts(sessions)[-3:] == ["Done.", "Right way", "Right."]
        stored = sessions.get(f"claude-code:{SESSION}").messages(live=False)
        assert [m.text for m in stored if m.seq in (8, 9)] == ["Wrong way", "Wrong."]


def test_a_compaction_is_one(tmp_path: Path) -> None:
    """The summary stands in windows for all before it, which stays; it is no message itself."""
    boundary = {"type": "system", "subtype": "compact_boundary", "uuid": "b", "parentUuid": None, "sessionId": SESSION}
    boundary |= {"logicalParentUuid": "a4", "timestamp": "2026-01-02T03:00:20Z", "content": "Conversation compacted"}
    summary = record("s1", "b", "user", "They read two files.", 21, isCompactSummary=True)
    after = [record("u2", "s1", "user", "Go on", 22), record("a5", "u2", "assistant", says("Going."), 23)]
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, [*talk(), boundary, summary, *after]))
        assert (report.total("imported"), report.total("records")) == (9, 9)
        window = sessions.get(f"claude-code:{SESSION}").history()
        said = [message.text for message in window.messages]
        assert "They read two files." in said[0]
        assert said[1:] == ["Go on", "Going."]
        assert len(texts(sessions)) == 9
        assert palaver.formats.check("anthropic", window.render("anthropic").messages) == []


def test_subagents_are_sessions_of_their_own(tmp_path: Path) -> None:
    """In a file of their own, in the newer directory, or within the session's: linked to the session they are of."""
    side = {"isSidechain": True, "agentId": "ab12cd34"}
    inline = [
        record("s1", None, "user", "Look", 2, isSidechain=True),
        record("s2", "s1", "assistant", says("Looked."), 3, isSidechain=True),
    ]
    project = write(tmp_path, [*talk()[:1], *inline, *talk()[1:]])
    write(project, [record("x1", None, "user", "Find", 4, **side)], "agent-ab12cd34.jsonl")
    newer = {"isSidechain": True, "agentId": "ffee0011"}
    inside = write(
        project / SESSION / "subagents", [record("y1", None, "user", "Plan", 5, **newer)], "agent-ffee0011.jsonl"
    )
    (inside / "agent-ffee0011.meta.json").write_text('{"agentType": "Plan"}')
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, project)
        assert not report.notes
        home = sessions.get(f"claude-code:{SESSION}").info().id
        for name in ("sidechain-s1", "agent-ab12cd34", "agent-ffee0011"):
            info = sessions.get(f"claude-code:{SESSION}/{name}").info()
            assert (info.parent, info.parent_kind, info.hidden) == (home, "subagent", True)
        assert [info.id for info in sessions.list()] == [home]
        assert texts(sessions)[0] == "Read both"
        assert "Looked." not in texts(sessions)
        assert sessions.get(f"claude-code:{SESSION}/agent-ffee0011").info().metadata["agent"] == {"agentType": "Plan"}
        assert import_path(sessions, project).total("imported") == 0
        sessions.get(home).delete()
        assert sessions.list(include_hidden=True) == []
        write(project, [record("z1", None, "user", "Later", 6, **{**side, "agentId": "cc"})], "agent-cc.jsonl")
        report = import_path(sessions, project)
        assert {each.status for each in report.sessions} == {"refused"}
        assert sessions.list(include_hidden=True) == []  # what the new one worked for was deleted here, too


def test_a_resumed_session_copies_the_one_before(tmp_path: Path) -> None:
    """Old versions began a new file with the old messages: these are copies, not counted again, and it is a fork."""
    write(tmp_path, talk())
    mine = {"sessionId": OTHER}
    more = [
        record("u9", "a4", "user", "Later", 30, **mine),
        record("a9", "u9", "assistant", says("Later."), 31, **mine),
    ]
    write(tmp_path, [*talk(), *more], f"{OTHER}.jsonl")
    with palaver.open("memory://") as sessions:
        import_path(sessions, tmp_path)
        info = sessions.get(f"claude-code:{OTHER}").info()
        assert (info.parent, info.parent_kind) == (sessions.get(f"claude-code:{SESSION}").id, "fork")
        copied = [m.copied_from is not None for m in sessions.get(f"claude-code:{OTHER}").messages()]
        assert copied == [True] * 7 + [False] * 2
        assert sessions.stats().usage.output_tokens == 40 + 7 + 7


def test_titles_notes_and_flags(tmp_path: Path) -> None:
    """A title is the user's, else a summary of this very session; notes are counted; what is no speech is flagged."""
    notes = [
        {"type": "summary", "summary": "Of another session", "leafUuid": "elsewhere"},
        {"type": "file-history-snapshot", "messageId": "m", "snapshot": {}},
        {"type": "file-history-snapshot", "messageId": "m2", "snapshot": {}},
        {"type": "queue-operation", "operation": "enqueue", "sessionId": SESSION},
    ]
    queued: dict[str, Any] = {"type": "attachment", "uuid": "q1", "parentUuid": "a4", "sessionId": SESSION}
    queued |= {"timestamp": "2026-01-02T03:01:00Z", "attachment": {"type": "queued_command", "prompt": "Also this"}}
    meta = record("u2", "q1", "user", "Caveat: ...", 62, isMeta=True)
    failed = record("a8", "u2", "assistant", says("API Error"), 63, isApiErrorMessage=True)
    own = {"type": "summary", "summary": "Two files", "leafUuid": "a4"}
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, [*notes, *talk(), queued, meta, failed, own]))
        session = sessions.get(f"claude-code:{SESSION}")
        assert session.info().title == "Two files"
        assert [(m.text, m.flags) for m in session.messages()[-3:]] == [
            ("Also this", ()),
            ("Caveat: ...", ("injected",)),
            ("API Error", ("hidden",)),
        ]
        assert any("2 of the program's own notes of type file-history-snapshot" in r for r in reasons(report, "aside"))
        titled = {"type": "custom-title", "customTitle": "Mine", "sessionId": SESSION}
        import_path(sessions, write(tmp_path, [*notes, *talk(), queued, meta, failed, own, titled]))
        assert session.info().title == "Mine"


@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize(
    "damage", [b'{"type":"user","uuid":"\n', b"\xff\xfe\x00garbage\n", b"[]\n", b'"text"\n', b"\x00\x00\n"]
)
def test_a_damaged_record_costs_that_record(tmp_path: Path, place: int, damage: bytes) -> None:
    """Wherever a record is replaced by noise, every other one is live, and the window is legal."""
    records: list[Any] = [*talk()]
    lost = records[place]
    records[place] = damage
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, records))
        assert (report.total("records"), report.total("imported"), report.total("skipped")) == (7, 6, 1)
        session = sessions.get(f"claude-code:{SESSION}")
        assert {m.id for m in session.messages()} == {each["uuid"] for each in talk()} - {lost["uuid"]}
        assert palaver.formats.check("anthropic", session.history().render("anthropic").messages) == []
        assert import_path(sessions, tmp_path).total("imported") == 0


def test_a_torn_record_with_another_behind_it(tmp_path: Path) -> None:
    """A writer died within a line, and the next one wrote on: the second record is read."""
    torn = json.dumps(record("u2", "a4", "user", "lost", 8)).encode()[:60]
    whole = json.dumps(record("u3", "a4", "user", "kept", 9)).encode() + b"\n"
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, [*talk(), torn + whole]))
        assert (report.total("imported"), report.total("skipped")) == (8, 1)
        assert texts(sessions)[-1] == "kept"


@pytest.mark.parametrize(
    ("changes", "imported"),
    [
        ({"parentUuid": "a4"}, 7),  # the first record follows the last: a circle
        ({"parentUuid": "u1"}, 7),  # it follows itself
        ({"parentUuid": "nowhere"}, 7),
        ({"parentUuid": 7}, 7),
        ({"timestamp": "soon"}, 7),
        ({"timestamp": None}, 7),
        ({"uuid": None}, 7),
        ({"message": None}, 6),
        ({"message": {"role": "user"}}, 6),
        ({"message": {"role": "wizard", "content": "Read both"}}, 7),
        ({"message": {"role": "user", "content": 5}}, 7),
        ({"message": {"role": "user", "content": ["Read", {"type": "text", "text": "both"}]}}, 7),
        ({"message": "Read both"}, 7),
        ({"sessionId": None}, 7),
    ],
)
def test_wrong_types_cost_nothing_else(tmp_path: Path, changes: dict[str, Any], imported: int) -> None:
    """A record with a key of a wrong type is mended or skipped; all others are live, and the report says so."""
    records = talk()
    records[0] |= changes
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, records))
        assert (report.total("imported"), report.total("skipped")) == (imported, 7 - imported)
        assert sessions.get(f"claude-code:{SESSION}").info().message_count == imported
        assert texts(sessions)[-1] == "Done."
        assert import_path(sessions, tmp_path).total("imported") == 0


def test_a_link_in_the_middle_that_is_wrong_costs_no_message(tmp_path: Path) -> None:
    """A circle or a lost parent halfway is bridged by the order of the file."""
    for wrong in ("a4", "nowhere"):
        records = talk()
        records[2] = records[2] | {"parentUuid": wrong}
        with palaver.open("memory://") as sessions:
            report = import_path(sessions, write(tmp_path, records))
            assert len(texts(sessions)) == 7
            assert report.count("repaired") == 1


def test_records_that_come_twice(tmp_path: Path) -> None:
    """The very same record once more is skipped; another one with its id gets its own."""
    again = record("u1", "a4", "user", "another", 9)
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, [*talk(), talk()[0], again]))
        assert (report.total("records"), report.total("imported"), report.total("skipped")) == (9, 8, 1)
        assert texts(sessions)[-1] == "another"


def test_notes_without_messages_and_links_make_no_session(tmp_path: Path) -> None:
    """A file of other sessions' titles is told and is no session; symbolic links are refused."""
    write(tmp_path, [{"type": "summary", "summary": "Elsewhere", "leafUuid": "x"}])
    (tmp_path / f"{OTHER}.jsonl").symlink_to(tmp_path / f"{SESSION}.jsonl")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert not report.sessions
        assert {(note.action, note.file) for note in report.notes} == {
            ("aside", f"{SESSION}.jsonl"),
            ("skipped", f"{OTHER}.jsonl"),
        }


def test_a_dry_run_tells_the_same(tmp_path: Path) -> None:
    """It stores nothing, and says what the import then does."""
    write(tmp_path, talk())
    with palaver.open("memory://") as sessions:
        dry = import_path(sessions, tmp_path, dry_run=True)
        assert sessions.stats().sessions == 0
        wet = import_path(sessions, tmp_path)
        told = [[(s.status, s.imported, s.skipped) for s in each.sessions] for each in (dry, wet)]
        assert told[0] == told[1]


def test_an_import_that_was_cut_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run before this one stored of a session is found, and the rest follows in order."""
    monkeypatch.setattr(commits, "CHUNK", 2)
    write(tmp_path, talk()[:3])
    with palaver.open("memory://") as sessions:
        import_path(sessions, tmp_path)
        write(tmp_path, talk())
        assert import_path(sessions, tmp_path).total("present") == 3
        session = sessions.get(f"claude-code:{SESSION}")
        assert session.info().message_count == 7
        assert palaver.formats.check("anthropic", session.history().render("anthropic").messages) == []
