"""Live updates: a stream that says when there is something new to show, and an answer that waits for it.

The pages listen to the stream (`Accept: text/event-stream`), which costs no read while nothing happens; where it cannot
be had, as behind a proxy that holds it back, they ask, and ask again.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec
from starlette.responses import Response

from palaver.aio import AsyncSessionManager
from palaver.errors import SessionNotFound
from palaver.server.access import Access
from palaver.server.inspector.access import visitor_of
from palaver.server.inspector.listing import PAGE, Filter, fingerprint, listed, scoped
from palaver.server.inspector.stored import watch
from palaver.server.inspector.visits import View, Visit
from palaver.server.live import Hub, Listener
from palaver.server.reach import commits_of, session_handle
from palaver.server.streaming import BARRED, SIGN_OF_LIFE, Lasting, require_room

__all__ = ["VIEWS"]

WAIT = 25.0
"""Seconds, after which the answer comes anyway: proxies give up on a silent request not much later."""
_SOON, _LATER = 0.25, 1.0
"""How often it is looked whether another process has written: at first, and after a while."""
_APART, _CLOSE = 0.5, 0.1
"""Seconds between two looks at the list, at least, however much is written; and between two at a session."""
_SHARE = 10
"""And so many times as long as a look takes: a filter may have to look through many sessions."""


class News(msgspec.Struct, frozen=True):
    """What a page would know now."""

    seen: str


class _Look(NamedTuple):
    """What there is to be seen."""

    seen: str
    """What a page would say that it knows; nothing of a session that is gone."""
    restless: bool = False
    """Whether it may change without a change in the store: a lease ends, or a session is too long ago."""


class _Sight:
    """What a page shows: a session, or a list."""

    def __init__(self, visit: Visit) -> None:
        self.session_id = visit.query.get("session")
        self._wanted = Filter.of(visit)
        self.sessions: AsyncSessionManager | None = visit.sessions
        if self.session_id is None:
            self.sessions = scoped(visit, self._wanted)

    async def look(self) -> _Look:
        """Look at it."""
        if self.sessions is None:
            return _Look(fingerprint([]))
        if self.session_id is not None:
            try:
                info = await session_handle(self.sessions, self.session_id).info()
            except SessionNotFound:
                return _Look("")
            return _Look(f"{info.etag}.{int(info.turn_running)}", info.turn_running)
        rows, _ = await listed(self.sessions, self._wanted, None, limit=PAGE)
        return _Look(fingerprint(rows), bool(self._wanted.since) or any(row.turn_running for row in rows))


class _Bell(Lasting):
    """Says what is to be seen, and again whenever that is another thing."""

    def __init__(self, hub: Hub, visit: Visit, sight: _Sight, sessions: AsyncSessionManager) -> None:
        super().__init__(hub)
        self._visit = visit
        self._sight = sight
        self._sessions = sessions
        self._apart = _APART if sight.session_id is None else _CLOSE

    async def _tell(self) -> None:
        access = Access(id=self._visit.visitor.name)
        keys = self._visit.request.app.state.keys
        listener, _ = await self._hub.join(
            self._sessions.owner,
            self._sight.session_id,
            who=access,
            allowed=lambda: keys is None or keys.still(access),
            bell=True,
        )
        self._listener = listener
        clock = asyncio.get_running_loop().time
        known: str | None = None
        while not listener.barred:
            began = clock()
            found = await self._sight.look()
            if found.seen != known:
                known = found.seen
                await self._write(b"data: %b\n\n" % msgspec.json.encode(News(known)))
            if not known or listener.ended:  # it is said once while the server stops: the page comes back, and hears it
                return
            await asyncio.sleep(max(self._apart, _SHARE * (clock() - began)))
            await self._rung(listener, restless=found.restless)
        if listener.barred:
            await self._write(BARRED)

    async def _rung(self, listener: Listener, *, restless: bool) -> None:
        """Wait until it is time to look again."""
        while True:
            await listener.wait()
            if listener.beat:
                await self._write(SIGN_OF_LIFE)
            over = listener.ended or listener.barred
            look = over or listener.rung or listener.expired is not None or (listener.beat and restless)
            listener.rung = listener.beat = False
            listener.expired = None
            if look:
                return


async def live(visit: Visit) -> Response:
    """Say what is new."""
    sight = _Sight(visit)
    if "text/event-stream" not in visit.request.headers.get("accept", ""):
        return await _waited(visit, sight)
    hub: Hub = visit.request.app.state.live
    require_room(hub)
    return _Bell(hub, visit, sight, visit.sessions if sight.sessions is None else sight.sessions)


async def _waited(visit: Visit, sight: _Sight) -> Response:
    """Answer when what is to be seen is not what was `seen`, or after a while."""
    known = visit.query.get("seen", "")
    clock = asyncio.get_running_loop().time
    deadline = clock() + WAIT
    pause = _SOON
    state = visit.request.app.state
    while True:
        commits = commits_of(visit.sessions)
        began = clock()
        now = (await sight.look()).seen
        took = clock() - began
        left = deadline - clock()
        # Who may not look any more is answered too: the page asks again, and is told to ask for a key.
        over = left <= 0 or getattr(state, "closing", False) or visitor_of(visit.request) is None
        if now != known or over or await visit.request.is_disconnected():
            return Response(msgspec.json.encode(News(now)), media_type="application/json")
        await watch(visit.sessions, commits, min(left, pause))
        pause = min(_LATER, pause * 1.3)
        if sight.session_id is None:
            await asyncio.sleep(max(_APART, _SHARE * took))


VIEWS = (View("GET", "/live", live),)
