"""Live updates: an answer that waits until there is something new to show."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.responses import Response

from palaver.errors import SessionNotFound
from palaver.server.inspector.access import visitor_of
from palaver.server.inspector.listing import PAGE, Filter, fingerprint, listed, scoped
from palaver.server.inspector.stored import watch
from palaver.server.inspector.visits import View, Visit
from palaver.server.reach import commits_of, session_handle

__all__ = ["VIEWS"]

WAIT = 25.0
"""Seconds, after which the answer comes anyway: proxies give up on a silent request not much later."""
_SOON, _LATER = 0.25, 1.0
"""How often it is looked whether another process has written: at first, and after a while."""
_APART = 0.5
"""Seconds between two looks at the list, at least, however much is written."""
_SHARE = 10
"""And so many times as long as a look takes: a filter may have to look through many sessions."""


class News(msgspec.Struct, frozen=True):
    """What a page would know now."""

    seen: str


async def _seen(visit: Visit) -> str:
    """What a page of this session, or of this list, would say that it knows; nothing of a session that is gone."""
    if "session" in visit.query:
        try:
            info = await session_handle(visit.sessions, visit.query["session"]).info()
        except SessionNotFound:
            return ""
        return f"{info.etag}.{int(info.turn_running)}"
    wanted = Filter.of(visit)
    sessions = scoped(visit, wanted)
    rows = (await listed(sessions, wanted, None, limit=PAGE))[0] if sessions is not None else []
    return fingerprint(rows)


async def wait(visit: Visit) -> Response:
    """Answer when what is to be seen is not what was `seen`, or after a while."""
    known = visit.query.get("seen", "")
    clock = asyncio.get_running_loop().time
    deadline = clock() + WAIT
    pause = _SOON
    state = visit.request.app.state
    while True:
        commits = commits_of(visit.sessions)
        began = clock()
        now = await _seen(visit)
        took = clock() - began
        left = deadline - clock()
        # Who may not look any more is answered too: the page asks again, and is told to ask for a key.
        over = left <= 0 or getattr(state, "closing", False) or visitor_of(visit.request) is None
        if now != known or over or await visit.request.is_disconnected():
            return Response(msgspec.json.encode(News(now)), media_type="application/json")
        await watch(visit.sessions, commits, min(left, pause))
        pause = min(_LATER, pause * 1.3)
        if "session" not in visit.query:
            await asyncio.sleep(max(_APART, _SHARE * took))


VIEWS = (View("GET", "/live", wait),)
