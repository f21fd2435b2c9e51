"""Where a session comes from and what came of it: resets, forks and threads as a tree."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from palaver.aio import AsyncSessionManager
from palaver.errors import SessionNotFound
from palaver.info import SessionInfo
from palaver.redact import clean
from palaver.server.inspector.conversation import found
from palaver.server.inspector.stored import record_of
from palaver.server.inspector.visits import View, Visit, page
from palaver.server.reach import session_handle

__all__ = ["VIEWS", "Node", "tree_of"]

ANCESTORS = 100
LOOKED_AT = 5_000
"""Sessions that are looked through for those that follow one of the tree: no store has them by their parent."""
_PIECE = 500
_HOW = {"fork": "forked", "reset": "reset", "thread": "thread begun", "import": "imported", "subagent": "subagent"}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A session in the tree."""

    id: str
    name: str
    info: SessionInfo | None
    """None: it is gone, or somebody else's."""
    how: str
    here: bool
    children: tuple[Node, ...]


async def show(visit: Visit) -> Response:
    """The tree that the session stands in."""
    session, info = await found(visit)
    line, lost = await _ancestors(visit.sessions, info)
    known, whole = await _followers(visit.sessions)
    for each in line:
        known[each.id] = each
    record = await record_of(visit.sessions, session.id)
    return await page(
        visit,
        "lineage.html",
        info=info,
        tree=tree_of(line[0], known, info.id),
        lost=lost,
        whole=whole,
        looked_at=LOOKED_AT,
        compactions=record.compactions,
        standing=record.row.compaction,
    )


async def _ancestors(sessions: AsyncSessionManager, info: SessionInfo) -> tuple[list[SessionInfo], str | None]:
    """The session and those before it, the oldest first; and the id of a parent that is not there."""
    line = [info]
    seen = {info.id}
    while (parent := line[0].parent) is not None and len(line) < ANCESTORS:
        if parent in seen:  # a circle, which the doctor finds
            return line, None
        try:
            line.insert(0, await session_handle(sessions, parent).info())
        except SessionNotFound:
            return line, parent
        seen.add(parent)
    return line, None


async def _followers(sessions: AsyncSessionManager) -> tuple[dict[str, SessionInfo], bool]:
    """Sessions that have a parent, among those used last; and whether all were looked at."""
    known: dict[str, SessionInfo] = {}
    after: str | None = None
    looked_at = 0
    while looked_at < LOOKED_AT:
        rows = await sessions.list(
            limit=_PIECE, after=after, include_archived=True, include_empty=True, include_hidden=True
        )
        known.update((row.id, row) for row in rows if row.parent is not None)
        looked_at += len(rows)
        if len(rows) < _PIECE:
            return known, True
        after = rows[-1].id
    return known, False


def tree_of(root: SessionInfo, known: dict[str, SessionInfo], here: str) -> Node:
    """The root with all that follows it."""
    children: dict[str, list[SessionInfo]] = {}
    for each in known.values():
        if each.parent is not None and each.id != root.id:
            children.setdefault(each.parent, []).append(each)

    made: set[str] = set()

    def node(info: SessionInfo, depth: int) -> Node:
        made.add(info.id)
        following = sorted(children.get(info.id, ()), key=lambda each: each.created_at) if depth < ANCESTORS else []
        return Node(
            id=info.id,
            name=clean(info.title or info.preview or "") or info.id,
            info=info,
            how=_HOW.get(info.parent_kind or "", "") if info.parent is not None else "",
            here=info.id == here,
            children=tuple(node(each, depth + 1) for each in following if each.id not in made),
        )

    return node(root, 0)


VIEWS = (View("GET", "/sessions/{session_id}/lineage", show),)
