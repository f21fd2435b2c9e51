"""The change feed as it happens: one reader for the whole process, who passes what comes to everybody that listens.

A listener costs a few kilobytes and no read of the store while nothing happens; what is passed on is encoded once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager

import msgspec

from palaver.aio import AsyncSessionManager
from palaver.errors import CursorExpired, SessionNotFound, StoreClosed
from palaver.server.reach import owner_of
from palaver.stores.base import Change, ChangePage

__all__ = ["Hub", "Listener", "framed", "listening", "newest"]

logger = logging.getLogger("palaver.server")

_PAGE = 1000
_WAIT = 30.0
_LOOK = 0.5
"""Seconds after which it is looked again whether who listens still may."""
_OWNERS_KNOWN = 50_000
_NOBODY = "no session has this id"
"""Asked for, the feed is looked through to its end, and nothing of it is given."""

Event = tuple[str, bytes]
"""A change's cursor, and the change as it is sent."""


def framed(change: Change) -> Event:
    """A change as an event of the stream."""
    return change.cursor, b"id: %b\ndata: %b\n\n" % (change.cursor.encode(), msgspec.json.encode(change))


async def newest(sessions: AsyncSessionManager) -> str:
    """The cursor after which nothing has happened yet."""
    return (await sessions.events(limit=1, session_id=_NOBODY)).cursor


class Listener:
    """What waits for one who listens."""

    __slots__ = (
        "_woken",
        "barred",
        "beat",
        "bell",
        "cut",
        "ended",
        "expired",
        "rung",
        "task",
        "waiting",
        "wants",
        "who",
    )

    def __init__(self, owner: str | None, session_id: str | None, *, who: Hashable = None, bell: bool = False) -> None:
        self.who = who
        self.bell = bell
        """Whether it is told that something happens, and not what."""
        self.rung = False
        self.barred = False
        """Whether it may listen no more."""
        self.wants = ("session", session_id) if session_id is not None else ("owner", owner or "")
        self.waiting: deque[Event] = deque()
        self.beat = False
        """Whether it is time for a sign of life."""
        self.expired: str | None = None
        """The cursor to go on from, where changes were pruned before they could be passed on."""
        self.ended = False
        """Whether the server stops."""
        self.cut = False
        """Whether it was too slow."""
        self.task: asyncio.Task[object] | None = asyncio.current_task()
        self._woken: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Wait until something is there for it."""
        if self.waiting or self.rung or self.beat or self.ended or self.barred or self.cut or self.expired is not None:
            return
        self._woken = asyncio.get_running_loop().create_future()
        try:
            await self._woken
        finally:
            self._woken = None

    def wake(self) -> None:
        """Something is there."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)


class Hub:
    """Reads the feed while somebody listens, and passes it on. Used from one event loop."""

    def __init__(
        self, sessions: Callable[[], AsyncSessionManager], *, heartbeat: float = 15.0, backlog: int = 4 * _PAGE
    ) -> None:
        self._sessions = sessions
        self._heartbeat = heartbeat
        self._backlog = backlog
        self._listeners: set[Listener] = set()
        self._by: dict[tuple[str, str], set[Listener]] = {}
        """Who listens to all, to an owner, to a session: a change looks up who wants it."""
        self._who: dict[Hashable, tuple[Callable[[], bool], set[Listener]]] = {}
        """Who they are, and how it is found out whether they still may: by the key, of which there are few."""
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: asyncio.Future[None] | None = None
        self._owners: dict[str, str | None] = {}
        self._reached: float | None = None
        self.cursor = ""
        self.closed = False

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def lag(self) -> float:
        """For how many seconds there has been something that was not passed on yet."""
        return 0.0 if self._reached is None else asyncio.get_running_loop().time() - self._reached

    async def join(
        self,
        owner: str | None,
        session_id: str | None,
        *,
        who: Hashable = None,
        allowed: Callable[[], bool] = lambda: True,
        bell: bool = False,
    ) -> tuple[Listener, str]:
        """Listen from now on; gives the cursor after which everything comes. Raises StoreError.

        `allowed` is asked about twice a second, once for all of whom it is the same `who`.
        """
        while not self.closed:
            if not self._tasks:
                loop = asyncio.get_running_loop()
                self._ready = loop.create_future()
                self._tasks = [
                    loop.create_task(self._run(), name="palaver-feed"),
                    loop.create_task(self._beat()),
                    loop.create_task(self._look()),
                ]
            ready = self._ready
            if ready is not None:
                await asyncio.shield(ready)
            if self._tasks and self._ready is ready:  # else the last who listened has left, and the reader with them
                break
        listener = Listener(owner, session_id, who=who, bell=bell)
        listener.ended = self.closed
        self._listeners.add(listener)
        self._who.setdefault(who, (allowed, set()))[1].add(listener)
        self._by.setdefault(listener.wants, set()).add(listener)
        return listener, self.cursor

    def leave(self, listener: Listener) -> None:
        """Listen no more. Nobody reads for nobody."""
        self._listeners.discard(listener)
        alike = self._by.get(listener.wants, set())
        alike.discard(listener)
        if not alike:
            self._by.pop(listener.wants, None)
        known = self._who.get(listener.who)
        if known is not None:
            known[1].discard(listener)
            if not known[1]:
                del self._who[listener.who]
        if not self._listeners:
            self._stop()

    def close(self) -> None:
        """Let everybody go: the server stops."""
        self.closed = True
        for each in self._listeners:
            each.ended = True
            each.wake()
        self._stop()

    def open(self) -> None:
        """Let people listen, also after a stop."""
        self.closed = False
        self._owners.clear()

    async def aclose(self) -> None:
        """The same as `close`, and wait for the reader."""
        tasks = self._tasks
        self.close()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._reached = None
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            for each in self._listeners:
                each.beat = True
                each.wake()

    async def _look(self) -> None:
        """Let those go who may listen no more: their key was revoked, or has expired."""
        while True:
            await asyncio.sleep(_LOOK)
            for allowed, alike in list(self._who.values()):
                if allowed():
                    continue
                for each in alike:
                    each.barred = True
                    each.wake()

    def _reads(self) -> bool:
        """Whether this task is the one that reads; its cancellation may be lost in a wait (CPython, before 3.12)."""
        return asyncio.current_task() in self._tasks

    async def _run(self) -> None:
        while self._reads():
            try:
                await self._read()
            except CursorExpired:
                await self._go_on_from_now()
            except StoreClosed:
                self.close()
                return
            except Exception as error:  # noqa: BLE001 - the last resort: else nobody would hear anything any more
                fields = {"error": type(error).__name__}
                logger.error("feed.failed %s", fields, extra={"action": "feed.failed", **fields})  # noqa: TRY400 - a trace may quote what is stored
                await asyncio.sleep(1)

    async def _read(self) -> None:
        sessions = self._sessions()
        if self._ready is not None and not self._ready.done():
            cursor = await newest(sessions)
            if not self._reads():
                return
            self.cursor = cursor
            self._ready.set_result(None)
        loop = asyncio.get_running_loop()
        while True:
            self._reached = None
            page = await sessions.events(self.cursor, limit=_PAGE, wait=_WAIT)
            if not self._reads():
                return
            self._reached = loop.time()
            await self._pass_on(sessions, page)
            self.cursor = page.cursor

    async def _go_on_from_now(self) -> None:
        """Changes are gone that nobody was told of: say so to everybody."""
        self.cursor = await newest(self._sessions())
        for each in self._listeners:
            each.waiting.clear()
            each.expired = self.cursor
            each.wake()

    async def _pass_on(self, sessions: AsyncSessionManager, page: ChangePage) -> None:
        scoped = {name for kind, name in self._by if kind == "owner" and name}
        owners = await self._whose(sessions, page, scoped) if scoped else {}
        for change in page:
            wanted = {("owner", ""), ("session", change.session_id), ("owner", owners.get(change.cursor) or "")}
            event = framed(change)
            for each in [listener for one in wanted for listener in self._by.get(one, ())]:
                self._give(each, event)
        for each in self._listeners:
            if each.waiting or each.rung:
                each.wake()

    def _give(self, listener: Listener, event: Event) -> None:
        if listener.bell:
            listener.rung = True
            return
        if listener.cut:
            return
        if len(listener.waiting) < self._backlog:
            listener.waiting.append(event)
            return
        listener.cut = True  # it reads slower than things happen: it comes back with the cursor that it has
        listener.waiting.clear()
        if listener.task is not None:
            listener.task.cancel()

    async def _whose(self, sessions: AsyncSessionManager, page: ChangePage, scoped: set[str]) -> dict[str, str | None]:
        """The owner of each change, by its cursor; of sessions that are gone for good, by asking the feed itself."""
        gone = False
        for session_id in {change.session_id for change in page}:
            if session_id in self._owners:
                continue
            if len(self._owners) >= _OWNERS_KNOWN:
                self._owners.clear()
            try:
                self._owners[session_id] = await owner_of(sessions, session_id)
            except SessionNotFound:
                gone = True
        owners = {change.cursor: self._owners.get(change.session_id) for change in page}
        if gone:
            for owner in scoped:
                hers = await sessions.for_owner(owner).events(self.cursor, limit=len(page))
                owners |= {change.cursor: owner for change in hers if change.cursor in owners}
        return owners


@asynccontextmanager
async def listening(hub: Hub) -> AsyncGenerator[None]:
    """Let people listen while the block runs, also where the application runs a second time."""
    hub.open()
    try:
        yield
    finally:
        await hub.aclose()
