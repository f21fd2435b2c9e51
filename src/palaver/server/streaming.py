"""The change feed as a stream of server-sent events (HTML Living Standard, 9.2): what a browser's EventSource reads."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palaver.aio import AsyncSessionManager
from palaver.errors import CursorExpired, PalaverError
from palaver.server.access import access_of
from palaver.server.live import Hub, Listener, framed, newest
from palaver.server.problems import of_error, problem
from palaver.stores.base import ChangePage

__all__ = ["BARRED", "SIGN_OF_LIFE", "EventStream", "Lasting", "named", "require_room"]

logger = logging.getLogger("palaver.server")

MAX_STREAMS = 20_000
"""Most who listen to one process: each has a socket, and there are only so many."""
_PAGE = 1000
_RETRY = b"retry: 2000\n\n"
SIGN_OF_LIFE = b":\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx: pass it on as it comes


def require_room(hub: Hub) -> None:
    """Refuse one who listens beside too many others. Raises ProblemError."""
    if hub.listeners >= MAX_STREAMS:
        raise problem("too-many-streams", f"{MAX_STREAMS} listen to this server already, and it takes no more")


class Lasting(Response, ABC):
    """A stream of events that lasts as long as its client listens, and the server runs. What it says, `_tell` does."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._hub = hub
        self._listener: Listener | None = None
        self._send: Send = _nowhere

    @abstractmethod
    async def _tell(self) -> None:
        """Say what there is to say, until nothing comes any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what happens until the client goes away."""
        self._send = send
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        task = asyncio.current_task()
        leaving = asyncio.ensure_future(_gone(receive, task))
        try:
            await self._write(_RETRY)
            await self._tell()
            await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if self._listener is not None and self._listener.cut:
                fields = {"wants": self._listener.wants[0]}
                logger.warning("events.cut_off %s", fields, extra={"action": "events.cut_off", **fields})
            elif not leaving.done() or leaving.cancelled():
                raise
            if task is not None:
                task.uncancel()
        except PalaverError as error:
            await self._write(named("error", of_error(error, owner=access_of(Request(scope)).owner)))
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            if self._listener is not None:
                self._hub.leave(self._listener)

    async def _write(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


class EventStream(Lasting):
    """The change feed. It begins after a cursor, else with what happens from now on.

    Every change comes once, in the order of the feed. `allowed` says whether `who` listens may still do so.
    """

    def __init__(
        self,
        hub: Hub,
        sessions: AsyncSessionManager,
        *,
        session_id: str | None,
        after: str | None,
        who: Hashable,
        allowed: Callable[[], bool],
    ) -> None:
        super().__init__(hub)
        self._sessions = sessions
        self._session_id = session_id
        self._after = after
        self._who = who
        self._allowed = allowed

    async def _tell(self) -> None:
        try:
            cursor = await self._caught_up(self._after)
            self._listener, now = await self._hub.join(
                self._sessions.owner, self._session_id, who=self._who, allowed=self._allowed
            )
            told = await self._since(now) if cursor is not None else set[str]()
            cursor = await self._bridged(cursor or now, told)
            await self._write(named("ready", {"cursor": cursor}, cursor))
            await self._follow(self._listener, told)
        except _BarredError:
            await self._write(BARRED)

    async def _caught_up(self, after: str | None) -> str | None:
        """Send what happened after a cursor until now; gives the cursor that was reached."""
        while after is not None:
            try:
                page = await self._page(after)
            except CursorExpired as error:
                after = await newest(self._sessions)
                await self._write(named("cursor-expired", of_error(error), after))
                continue
            if page:
                await self._write(b"".join(framed(change)[1] for change in page))
            after = page.cursor
            if len(page) < _PAGE:
                break
        return after

    async def _since(self, after: str) -> set[str]:
        """What is passed on although it was sent already, where the hub's reader is behind this one."""
        told: set[str] = set()
        while page := await self._page(after):
            told.update(change.cursor for change in page)
            after = page.cursor
        return told

    async def _bridged(self, after: str, told: set[str]) -> str:
        """Send what happened since then, while it is listened already; adds what may come again. Gives the cursor."""
        while True:
            page = await self._page(after)
            if page:
                await self._write(b"".join(framed(change)[1] for change in page))
                told.update(change.cursor for change in page)
            after = page.cursor
            if len(page) < _PAGE:
                return after

    async def _page(self, after: str) -> ChangePage:
        if not self._allowed():  # who is told of a long past may be barred in the middle of it
            raise _BarredError
        return await self._sessions.events(after, limit=_PAGE, session_id=self._session_id)

    async def _follow(self, listener: Listener, told: set[str]) -> None:
        """Send what comes, until the server stops or the key opens this no more."""
        while True:
            await listener.wait()
            if listener.barred:
                raise _BarredError
            if listener.expired is not None:
                cursor, listener.expired = listener.expired, None
                error = CursorExpired("changes were removed before they could be told: list the sessions anew")
                await self._write(named("cursor-expired", of_error(error), cursor))
            while listener.waiting:
                events = [listener.waiting.popleft() for _ in range(min(100, len(listener.waiting)))]
                body = b"".join(text for cursor, text in events if cursor not in told)
                if body:
                    await self._write(body)
            if listener.ended:
                await self._write(named("end", {"reason": "shutting-down"}))
                return
            if listener.beat:
                listener.beat = False
                await self._write(SIGN_OF_LIFE)


class _BarredError(Exception):
    """Who listens may do so no more."""


def named(event: str, data: object, cursor: str | None = None) -> bytes:
    """An event that is no change. With a cursor it is where the client goes on if it has to come back."""
    head = b"" if cursor is None else b"id: %b\n" % cursor.encode()
    return b"%bevent: %b\ndata: %b\n\n" % (head, event.encode(), msgspec.json.encode(data))


BARRED = named("end", {"reason": "unauthorized"})
"""The last event for whom the key opens this no more."""


async def _gone(receive: Receive, task: asyncio.Task[None] | None) -> None:
    """Wait until the client has gone away, and end what is sent to it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if task is not None:
        task.cancel()


async def _nowhere(_: object) -> None:
    """Nothing is sent before there is a client."""
