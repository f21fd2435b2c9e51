"""picoclaw's sessions: its legacy JSON files, and its JSON lines with a meta file beside them."""

from __future__ import annotations

from palaver.importers.picoclaw.files import find, read
from palaver.importers.picoclaw.sessions import SYSTEM

__all__ = ["SYSTEM", "find", "read"]
