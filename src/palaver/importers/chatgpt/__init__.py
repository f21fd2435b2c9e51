"""ChatGPT's data exports: the .zip, or the `conversations.json` (or `conversations-000.json`, …) that was in it."""

from __future__ import annotations

from palaver.importers.chatgpt.files import SYSTEM, find, read

__all__ = ["SYSTEM", "find", "read"]
