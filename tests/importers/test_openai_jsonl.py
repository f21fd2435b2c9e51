"""JSON lines of OpenAI-style messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import palaver
from palaver.importers import import_path

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1+1?", "id": "tg-1", "timestamp": 1_772_000_000},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "2"},
    {"role": "assistant", "content": "2.", "model": "m"},
]


def put(path: Path, *records: Any) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_one_message_a_line(tmp_path: Path) -> None:
    """A file of messages is one session, rendered as it came; keys that no provider takes are metadata."""
    source = put(tmp_path / "chat.jsonl", *TALK)
    with palaver.open("memory://") as sessions:
        [report] = import_path(sessions, source).sessions
        session = sessions.get(report.session_id or "")
        page = session.messages()
        plain = [{k: v for k, v in each.items() if k not in {"id", "timestamp", "model"}} for each in TALK]
        assert palaver.render("openai_chat", page).messages == plain
        assert (page[1].id, page[1].created_at is not None, page[4].metadata) == ("tg-1", True, {"model": "m"})
        put(source, *TALK, {"role": "user", "content": "Thanks"})
        [again] = import_path(sessions, source).sessions
        assert (again.session_id, again.status, again.imported, again.present) == (session.id, "grown", 1, 5)


def test_one_conversation_a_line(tmp_path: Path) -> None:
    """A line with `messages` is a session of its own, known by its id or by what it says."""
    lines = [{"messages": TALK, "id": "t-1", "split": "train"}, {"messages": TALK[:2]}, TALK[:2]]
    source = put(tmp_path / "train.jsonl", *lines)
    with palaver.open("memory://") as sessions:
        first = import_path(sessions, source)
        assert [(each.status, each.imported) for each in first.sessions] == [("new", 5), ("new", 2), ("new", 2)]
        assert sessions.get("openai:t-1").info().metadata["split"] == "train"
        assert import_path(sessions, source).total("imported") == 0


def test_ids_that_come_twice(tmp_path: Path) -> None:
    """The same record is stored once; another with its id gets one of its own; all are accounted for."""
    one, other = {"role": "user", "content": "a", "id": "x"}, {"role": "user", "content": "b", "id": "x"}
    source = put(tmp_path / "chat.jsonl", one, one, other)
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, source)
        [session] = report.sessions
        assert [m.text for m in sessions.get(session.session_id or "").messages()] == ["a", "b"]
        assert (session.records, session.imported, session.skipped) == (3, 2, 1)
        assert [(note.action, note.line) for note in report.every_note()] == [("skipped", 2), ("repaired", 3)]
        assert import_path(sessions, source).total("imported") == 0


def test_stores_of_others_are_not_taken_for_plain_messages(tmp_path: Path) -> None:
    """Lines that another system's file stands beside are that system's, under its names."""
    put(tmp_path / "agent_main.jsonl", *TALK)
    (tmp_path / "agent_main.meta.json").write_text("{}")
    with palaver.open("memory://") as sessions:
        [report] = import_path(sessions, tmp_path).sessions
        assert (report.system, report.key) == ("picoclaw", "agent:main")
