"""Homes of hermes's, made by SQL and files of our own: its tables at several versions, logs, and an index of keys."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import palaver
from palaver import SessionManager
from palaver.importers import Report, import_path

BEGAN = 1_772_000_000.25

SESSIONS = {
    6: "source TEXT NOT NULL, user_id TEXT, model TEXT, model_config TEXT, system_prompt TEXT, parent_session_id TEXT,"
    " started_at REAL, ended_at REAL, end_reason TEXT, message_count INTEGER DEFAULT 0, input_tokens INTEGER DEFAULT 0,"
    " output_tokens INTEGER DEFAULT 0, cache_read_tokens INTEGER DEFAULT 0, cache_write_tokens INTEGER DEFAULT 0,"
    " reasoning_tokens INTEGER DEFAULT 0, billing_provider TEXT, estimated_cost_usd REAL, actual_cost_usd REAL,"
    " cost_status TEXT, title TEXT",
}
SESSIONS[14] = SESSIONS[6] + ", archived INTEGER NOT NULL DEFAULT 0, rewind_count INTEGER NOT NULL DEFAULT 0"
SESSIONS[22] = SESSIONS[14] + ", session_key TEXT, origin_json TEXT, profile_name TEXT"
SESSIONS[40] = SESSIONS[22] + (
    ", pinned INTEGER DEFAULT 0, hidden INTEGER DEFAULT 0, system_prompt_hash TEXT, mood TEXT DEFAULT 'calm'"
)
MESSAGES = {
    6: "session_id TEXT NOT NULL, role TEXT, content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT,"
    " timestamp REAL, token_count INTEGER, finish_reason TEXT, reasoning TEXT, reasoning_details TEXT",
}
MESSAGES[14] = MESSAGES[6] + (
    ", reasoning_content TEXT, platform_message_id TEXT, observed INTEGER DEFAULT 0, active INTEGER NOT NULL DEFAULT 1"
)
MESSAGES[22] = MESSAGES[14] + ", compacted INTEGER NOT NULL DEFAULT 0, api_content TEXT"
MESSAGES[40] = MESSAGES[22] + ", display_kind TEXT, _compressed_summary INTEGER, weather TEXT, wind REAL DEFAULT 0.0"
MODELS = (
    "CREATE TABLE session_model_usage (session_id TEXT, model TEXT, billing_provider TEXT, input_tokens INTEGER,"
    " output_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER,"
    " estimated_cost_usd REAL, actual_cost_usd REAL, cost_status TEXT)"
)
ROUTING = "CREATE TABLE gateway_routing (scope TEXT, session_key TEXT, entry_json TEXT, updated_at REAL)"
SUMMARY = "[CONTEXT COMPACTION — REFERENCE ONLY] Earlier turns were compacted. Avoid repeating it:\n"


class Home:
    """A directory such as hermes leaves it."""

    def __init__(self, path: Path, version: int | None = 22) -> None:
        self.path = path
        self.logs = path / "sessions"
        self.logs.mkdir(parents=True)
        self.time = BEGAN
        if version is None:
            return
        self.db = sqlite3.connect(path / "state.db", isolation_level=None)
        self.db.execute(f"CREATE TABLE sessions (id TEXT, {SESSIONS[version]})")
        self.db.execute(f"CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, {MESSAGES[version]})")
        if version >= 22:
            self.db.execute(MODELS)
            self.db.execute(ROUTING)

    def row(self, table: str, **values: Any) -> int:
        """A row of a table; gives its number."""
        names = ", ".join(values)
        marks = ", ".join("?" for _ in values)
        made = self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
        return made.lastrowid or 0

    def session(self, name: str, *said: str, **values: Any) -> str:
        """A session, with what the user and the model said in turn."""
        self.row("sessions", **{"id": name, "source": "telegram", "started_at": BEGAN, **values})
        for number, text in enumerate(said):
            self.say(name, text, "assistant" if number % 2 else "user")
        return name

    def say(self, session: str | None, content: Any, role: Any = "user", **values: Any) -> int:
        """A message; gives its number."""
        self.time += 1
        return self.row(
            "messages", **{"session_id": session, "role": role, "content": content, "timestamp": self.time, **values}
        )

    def log(self, name: str, *records: Any) -> Path:
        """A log: what is no bytes is written as JSON."""
        lines = [each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in records]
        path = self.logs / f"{name}.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    def index(self, **routes: str) -> Path:
        """An index of keys, `telegram:dm:42` for `agent:main:telegram:dm:42`."""
        entries = {key: entry(key, session) for key, session in routes.items()}
        path = self.logs / "sessions.json"
        path.write_text(json.dumps({"_README": "a mirror", **entries}))
        return path

    def route(self, key: str, session: str, at: float = BEGAN) -> None:
        """A route in the table."""
        self.row(
            "gateway_routing", scope="/x", session_key=key, entry_json=json.dumps(entry(key, session)), updated_at=at
        )


def entry(key: str, session: str) -> dict[str, Any]:
    """What the index says of a key."""
    _, agent, platform, kind, chat = (*key.split(":"), "", "", "", "")[:5]
    origin = {"platform": platform, "chat_type": kind, "chat_id": chat, "user_id": chat, "thread_id": None}
    made: dict[str, Any] = {"session_key": key, "session_id": session, "created_at": "2026-02-25T06:13:20"}
    return {**made, "platform": platform, "memory_flushed": False, "agent": agent, "origin": origin}


def logged(*said: str) -> list[dict[str, Any]]:
    """Lines of a log, with the one time that hermes gave to a turn."""
    roles = ("user", "assistant")
    stamp = "2026-02-25T06:13:30.5"
    return [{"role": roles[n % 2], "content": text, "timestamp": stamp} for n, text in enumerate(said)]


def take(sessions: SessionManager, source: Path) -> Report:
    """Import; every record is accounted for, a second run finds nothing new, and nothing is unwell."""
    report = import_path(sessions, source)
    again = import_path(sessions, source)
    for each in (*report.sessions, *again.sessions):
        assert each.records == each.imported + each.present + each.skipped, each
    assert again.total("imported") == 0
    assert {each.status for each in again.sessions} <= {"unchanged", "refused"}
    assert not sessions.check()
    return report


def texts(sessions: SessionManager, name: str, **options: Any) -> list[str]:
    """What a session of hermes's says."""
    return [message.text for message in sessions.get(f"hermes:{name}").messages(limit=1000, **options)]


def window(sessions: SessionManager, name: str) -> list[str]:
    """What a model sees of it."""
    return [message.text for message in sessions.get(f"hermes:{name}").history().messages]


def reasons(report: Report, action: str) -> list[str]:
    """What the report says of a kind."""
    return [note.reason for note in report.every_note() if note.action == action]


def opened() -> SessionManager:
    """A store of its own."""
    return palaver.open("memory://", key_policy=palaver.KeyPolicy.hermes())
