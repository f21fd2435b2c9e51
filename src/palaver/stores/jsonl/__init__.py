"""The JSONL store: a file of lines for each session, which people read, and an index made from them."""

from __future__ import annotations

from palaver.stores.jsonl.store import JsonlStore

__all__ = ["JsonlStore"]
