"""The memory store: its tables, reads over them, and the store that locks them."""

from __future__ import annotations

from palaver.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
