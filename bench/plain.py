"""What is usually written: one SQLite table through the standard library, one synced commit per message.

It stands for the best durable session stores in wide use, which do just this behind `asyncio.to_thread`: JSON text in
a row, a row for the session that every append touches, WAL, synchronous=FULL. How near it comes to them is in
docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

__all__ = ["Plain"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, updated_at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL REFERENCES sessions (id),
    body TEXT NOT NULL,
    created_at TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS messages_session ON messages (session, id);
"""


class Plain:
    """The store of the reference."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=60.0)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)

    def add(self, session: str, *messages: dict[str, Any]) -> None:
        """Store messages; they are on disk when this returns."""
        rows = [(session, json.dumps(message)) for message in messages]
        with self._lock, self._connection as connection:
            connection.execute("INSERT OR IGNORE INTO sessions (id) VALUES (?)", (session,))
            connection.executemany("INSERT INTO messages (session, body) VALUES (?, ?)", rows)
            connection.execute("UPDATE sessions SET updated_at = CURRENT_TIMESTAMP WHERE id = ?", (session,))

    def read(self, session: str, limit: int = -1) -> list[dict[str, Any]]:
        """The newest messages, oldest first; all of them without a limit."""
        query = "SELECT body FROM messages WHERE session = ? ORDER BY id DESC LIMIT ?"
        with self._lock:
            rows = self._connection.execute(query, (session, limit)).fetchall()
        return [json.loads(row[0]) for row in reversed(rows)]

    async def aadd(self, session: str, *messages: dict[str, Any]) -> None:
        """See `add`."""
        await asyncio.to_thread(self.add, session, *messages)

    async def aread(self, session: str, limit: int = -1) -> list[dict[str, Any]]:
        """See `read`."""
        return await asyncio.to_thread(self.read, session, limit)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
