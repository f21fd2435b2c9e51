"""Listening to the server inside this process: what its tests of streams share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.waiting import PATIENCE


class Event(NamedTuple):
    """One server-sent event."""

    id: str | None
    kind: str
    data: Any


async def eventually(reached: Callable[[], bool]) -> None:
    """Wait until something is true that tells nobody of itself."""
    for _ in range(6000):
        if reached():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


class Listening:
    """One who listens to an ASGI application, as fast as it is told to."""

    def __init__(self, application: Any, path: str = "/v1/events", query: str = "", **headers: str) -> None:
        self.status = 0
        self.body = b""
        self.reads = asyncio.Event()
        self.reads.set()
        self.waits = False
        """Whether it is sent something that it does not read."""
        self.done = False
        self._gone = asyncio.Event()
        given = {"host": "localhost", "accept": "text/event-stream", **headers}
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
            "client": ("test", 1),
        }
        self.task = asyncio.ensure_future(application(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.waits = True
        await self.reads.wait()
        self.waits = False
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")
            self.done = not message.get("more_body", False)

    @property
    def events(self) -> list[Event]:
        """What has come so far, without signs of life."""
        out: list[Event] = []
        for block in self.body.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "data" in fields:
                out.append(Event(fields.get("id"), fields.get("event", "message"), json.loads(fields["data"])))
        return out

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The changes that have come so far."""
        return [event.data for event in self.events if event.kind == "message"]

    @property
    def last(self) -> str:
        """What a browser would come back with."""
        return [event.id for event in self.events if event.id is not None][-1]

    async def until(self, reached: Callable[[Listening], bool]) -> Listening:
        """Wait until something is true of what has come."""
        async with asyncio.timeout(PATIENCE):
            while not reached(self):
                if self.task.done():
                    self.task.result()
                    assert reached(self), f"it ended before that: {self.events[-3:]}"
                    break
                await asyncio.sleep(0.005)
        return self

    async def heard(self, count: int) -> Listening:
        """Wait until so many changes have come."""
        return await self.until(lambda each: len(each.changes) >= count)

    async def ready(self) -> Listening:
        """Wait until everything that happens from now on will come."""
        return await self.until(lambda each: any(event.kind == "ready" for event in each.events))

    async def leave(self) -> None:
        """Go away."""
        self._gone.set()
        await self.task
