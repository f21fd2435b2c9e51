"""nanobot's sessions, from 0.1.3 on."""

from __future__ import annotations

from palaver.importers.nanobot.files import find, read
from palaver.importers.nanobot.records import SYSTEM

__all__ = ["SYSTEM", "find", "read"]
