"""Claude's data exports: the .zip, or the `conversations.json` that was in it."""

from __future__ import annotations

from palaver.importers.claude_export.files import SYSTEM, find, read

__all__ = ["SYSTEM", "find", "read"]
