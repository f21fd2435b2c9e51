"""Incognito: conversations that are kept in this process's memory alone, beside the store of the same manager.

They have a store of their own, so nothing that reads, indexes, feeds or copies the manager's store can meet them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from palaver import ids
from palaver.core import Core

__all__ = ["PREFIX", "incognito_core"]

PREFIX = "incognito-"
"""What the ids of incognito sessions begin with; others never do."""


def incognito_core(core: Core) -> Core:
    """The same settings, clock and owner, over the manager's memory store. Of such a core: itself."""
    if core.private is None:
        return core
    return replace(core, store=core.private.opened(), new_id=_session_id, private=None, windows=core.private.windows)


def _session_id(at: datetime) -> str:
    return PREFIX + ids.session_id(at)
