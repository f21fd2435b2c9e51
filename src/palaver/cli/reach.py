"""The one place where the command line reaches behind the public API.

For copies, which are a verb of two stores; for claims that outlive this process; for sessions that no lookup finds.
"""

from __future__ import annotations

from dataclasses import replace

from palaver.manager import SessionManager
from palaver.reach import core_of
from palaver.session import Session
from palaver.stores.base import Store

__all__ = ["deleted_session", "of_nobody", "store_of"]


def store_of(manager: SessionManager) -> Store:
    """The store behind a manager."""
    return core_of(manager).store


def of_nobody(manager: SessionManager) -> SessionManager:
    """The same sessions; what is claimed is no process's, since this one ends before the work begins."""
    return SessionManager(replace(core_of(manager), holder=lambda: None))


def deleted_session(manager: SessionManager, session_id: str) -> Session:
    """A handle on a session that was deleted, which no lookup finds. Raises SessionNotFound where there is none."""
    core = core_of(manager)
    core.store.record(session_id, core.owner)
    return Session(core, session_id)
