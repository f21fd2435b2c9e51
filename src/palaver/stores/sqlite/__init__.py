"""The embedded default: one SQLite file."""

from __future__ import annotations

from palaver.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
