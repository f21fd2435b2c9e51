"""Databases with odysseus's tables, made for the tests."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from palaver import SessionManager
from palaver.importers import Report, import_path

SESSIONS = """
    CREATE TABLE sessions (id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, endpoint_url VARCHAR NOT NULL,
    model VARCHAR NOT NULL, owner VARCHAR, rag BOOLEAN, archived BOOLEAN, folder VARCHAR, headers JSON, extra_data JSON,
    last_accessed DATETIME, last_message_at DATETIME, is_important BOOLEAN, message_count INTEGER,
    total_input_tokens INTEGER, total_output_tokens INTEGER, mode VARCHAR, created_at DATETIME, updated_at DATETIME)
"""
MESSAGES = """
    CREATE TABLE chat_messages (id VARCHAR PRIMARY KEY, session_id VARCHAR, role VARCHAR, content TEXT, metadata TEXT,
    timestamp DATETIME)
"""
ALL = [f"m{number}" for number in range(6)]


def row(number: int, session: str = "s", **changes: Any) -> dict[str, Any]:
    """Message number `number` of a conversation."""
    role = "assistant" if number % 2 else "user"
    at = f"2026-07-01 12:00:{number:02}.000500"
    about = json.dumps({"timestamp": at.replace(" ", "T") + "Z"})
    made = {"id": f"{session}-{number}", "session_id": session, "role": role, "content": f"m{number}"}
    return {**made, "metadata": about, "timestamp": at, **changes}


def chat(session: str = "s", **changes: Any) -> dict[str, Any]:
    """A session."""
    times = {"created_at": "2026-07-01 11:00:00.000100", "updated_at": "2026-07-01 12:30:00.000000"}
    made = {"id": session, "name": f"Chat {session}", "endpoint_url": "http://localhost:11434/v1", "model": "qwen3-32b"}
    return {**made, "headers": "{}", "extra_data": "{}", "mode": "chat", **times, **changes}


def insert(connection: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    """Put rows into a table."""
    for each in rows:
        marks = ", ".join("?" * len(each))
        connection.execute(f"INSERT INTO {table} ({', '.join(each)}) VALUES ({marks})", tuple(each.values()))


def database(
    folder: Path, chats: Iterable[dict[str, Any]] = (), rows: Iterable[dict[str, Any]] = (), name: str = "app.db"
) -> Path:
    """A data directory with a database, made or added to."""
    folder.mkdir(parents=True, exist_ok=True)
    new = not (folder / name).exists()
    connection = sqlite3.connect(folder / name)
    with connection:
        if new:
            connection.execute(SESSIONS)
            connection.execute(MESSAGES)
        insert(connection, "sessions", chats)
        insert(connection, "chat_messages", rows)
    connection.close()
    return folder


def talk(folder: Path, count: int = 6, **changes: Any) -> Path:
    """A database with one conversation."""
    return database(folder, [chat(**changes)], [row(number) for number in range(count)])


def take(sessions: SessionManager, source: Path) -> Report:
    """Import, and see that every record is accounted for, nothing is unwell, and a second run brings nothing."""
    report = import_path(sessions, source)
    for each in report.sessions:
        assert each.records == each.imported + each.present + each.skipped, each
    assert not sessions.check()
    revs = [each.etag for each in sessions.list(limit=100, include_empty=True)]
    assert import_path(sessions, source).total("imported") == 0
    assert [each.etag for each in sessions.list(limit=100, include_empty=True)] == revs
    return report


def texts(sessions: SessionManager, name: str = "s") -> list[str]:
    """What a conversation says."""
    return [message.text for message in sessions.get(f"odysseus:{name}").messages(limit=1000)]
