"""Where a conversation of a source is in the store, if it is there: by its alias, and by what it holds."""

from __future__ import annotations

import hashlib
from typing import Any

from palaver.core import Core
from palaver.errors import InvalidKey, SessionNotFound
from palaver.formats.wire import is_object
from palaver.importers.values import Note, SourceSession, note
from palaver.info import SessionInfo
from palaver.keys import explicit_key
from palaver.rows import SUBAGENT

__all__ = ["Located", "deleted", "free_key", "held", "is_there", "live_positions", "located"]

Located = tuple[str, SessionInfo | None, dict[str, int]]
"""The alias that is the session's, the session if there is one, and the positions of its messages by their ids."""

_PAGE = 1000


def located(core: Core | None, session: SourceSession, ids: set[str]) -> Located:
    """Find a source's session. `ids` are those of its messages.

    Two stores of one system may use one id: what comes from elsewhere and shares no message is another session.
    """
    tag = hashlib.sha256(session.place.encode(errors="replace")).hexdigest()[:8]
    for alias in (f"{session.alias}@{tag}", session.alias):
        info = _named(core, alias)
        if core is None or info is None:
            continue
        known = held(core, info.id)
        imported: Any = info.metadata.get("imported")
        place = imported.get("place") if is_object(imported) else None
        if alias != session.alias or place == session.place or not known or not ids or ids & known.keys():
            return alias, info, known
        return f"{session.alias}@{tag}", None, {}
    return session.alias, None, {}


def _named(core: Core | None, alias: str) -> SessionInfo | None:
    session_id = core.store.named(core.owner, alias) if core is not None else None
    return _info(core, session_id) if core is not None and session_id is not None else None


def _info(core: Core, session_id: str) -> SessionInfo | None:
    try:
        return core.store.info(session_id, core.owner, core.now())
    except SessionNotFound:
        return None


def deleted(core: Core | None, session: SourceSession, alias: str) -> str | None:
    """Why a session that is not in the store does not come into it: what was deleted here stays so. None: it does."""
    if core is None:
        return None
    if (gone := _deleted(core, alias)) is not None:
        return f"its session was deleted here: `palaver undelete {gone}` brings it back"
    if session.parent is not None and session.parent_kind == SUBAGENT:
        gone = _deleted(core, f"{session.system}:{session.parent}")
    if gone is not None:
        return f"it is a subagent's, and what it worked for was deleted here: `palaver undelete {gone}` brings it back"
    return None


def _deleted(core: Core, alias: str) -> str | None:
    """The id of a deleted session.

    The name is looked up once: looked up anew after the session, it may mean one that was stored in between.
    """
    session_id = core.store.named(core.owner, alias)
    return session_id if session_id is not None and _info(core, session_id) is None else None


def is_there(core: Core, session_id: str) -> bool:
    """Whether a session was not deleted since it was stored."""
    return _info(core, session_id) is not None


def held(core: Core, session_id: str) -> dict[str, int]:
    """Ids and positions of all messages that a session has, undone ones too."""
    found: dict[str, int] = {}
    after = 0
    while True:
        page = core.store.page(session_id, core.owner, after=after, limit=_PAGE, live=False)
        found.update((message.id, message.seq) for message in page if message.id is not None)
        last = max([*(message.seq for message in page), *page.corrupt], default=0)
        if not last:
            return found
        after = last


def live_positions(core: Core, session_id: str, *, after: int = 0, before: int | None = None) -> set[int]:
    """Where a session's messages between two positions stand that are live, also those that cannot be read."""
    found: set[int] = set()
    while before is None or after < before - 1:
        page = core.store.page(session_id, core.owner, after=after, before=before, limit=_PAGE)
        here = {*(message.seq for message in page), *page.corrupt}
        if not here:
            break
        found |= here
        after = max(here)
    return found


def free_key(core: Core | None, session: SourceSession, alias: str, text: str, notes: list[Note]) -> str | None:
    """A key that the session may get; None, with a note, for one that is taken or that no store can keep."""
    try:
        key = explicit_key(text)
    except InvalidKey as exc:
        notes.append(note("repaired", session.file, None, f"it has no key in the store: {exc}"))
        return None
    current = core.store.current(core.key_owner, key, core.now()) if core is not None else None
    if current is None:
        return key
    if _left(current, session):
        told = f"its key {key!r} pointed at {current.id}, and points at it now, as it does there"
        notes.append(note("aside", session.file, None, told))
        return key
    told = f"its key {key!r} points at {current.id} already; to continue this one, resume {alias} under that key"
    notes.append(note("repaired", session.file, None, told))
    return None


def _left(current: SessionInfo, session: SourceSession) -> bool:
    """Whether a key may leave a session: it came from the same source, and nobody went on with it here."""
    imported: Any = current.metadata.get("imported")
    if not is_object(imported):
        return False
    same = (imported.get("system"), imported.get("place")) == (session.system, session.place)
    return same and str(current.last_active_at) <= str(imported.get("updated_at") or "")
