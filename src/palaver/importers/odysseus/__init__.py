"""odysseus's conversations: the tables `sessions` and `chat_messages` of its `app.db`."""

from __future__ import annotations

from palaver.importers.odysseus.files import find, read
from palaver.importers.odysseus.sessions import SYSTEM

__all__ = ["SYSTEM", "find", "read"]
