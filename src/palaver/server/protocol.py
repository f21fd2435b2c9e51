"""HTTP/1.1 on a socket, as uvicorn speaks it, but for five things.

A request's head may take only so long, and so may what comes after an answer: uvicorn itself waits for ever for the
rest of either. What comes after a body is no header (RFC 9110, 6.5.1: a trailer field is not merged into them), or
who stands before this server would have looked at other headers than it does. Of requests that come before the one
ahead of them is answered, each is told when the client goes away: uvicorn tells the last one. A client that takes
nothing of its answer is let go: uvicorn keeps it, and the request, as long as the client likes. And the head and the
body of an answer leave together: uvicorn writes them apart, and its transport sends what is written at once, so that
every answer is two packets, and wakes the client twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["MAX_HEAD_BYTES", "Gathered", "deadlined"]

MAX_HEAD_BYTES = 64 * 1024
GATHERED = 64 * 1024
"""Bytes that are sent at once, however soon more may follow: from here on the transport says when to wait."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Gathered(asyncio.Transport):
    """A transport that sends what is written in one step of the loop at its end, and all of it together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes | bytearray | memoryview] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data with what is written beside it."""
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)
        self._size += len(data)
        if self._size > GATHERED:
            self._send()

    def _send(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts and not self._transport.is_closing():  # the client may have gone away in this very step
            self._transport.writelines(parts)

    def close(self) -> None:
        """Close when all that was written is sent."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """As the transport does."""
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """As the transport says."""
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """As the transport says."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport says."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """As the transport does."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As the transport does."""
        self._transport.resume_reading()


class _Deadlined(HttpToolsProtocol):
    """Closes a connection whose next request has no end of its head in time, or is all head; see the module."""

    head_seconds = 15.0
    taking_seconds = 60.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._asked = False
        """Whether there was a request: uvicorn has no cycle before."""
        self._idle_bytes = 0
        """Bytes since the last head or piece of a body: of a head that has no end yet, or of trailers."""
        self._goes_on = False
        """Whether what came last held the end of a head, or some of a body."""
        self._untaken: asyncio.TimerHandle | None = None
        self._ahead: list[RequestResponseCycle] = []
        """Requests that were not answered yet when the next one came."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(Gathered(transport, self.loop))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._let_write()
        super().connection_lost(exc)
        for each in self._ahead:
            if not each.response_complete:
                each.disconnected = True
                each.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._goes_on = False
        super().data_received(data)
        if self._in_head or self.cycle.response_complete:  # uvicorn waits no more for an idle connection to end
            self._await_head()
        if self._goes_on:
            return
        self._idle_bytes += len(data)
        if self._idle_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            if not self._asked or self.cycle.response_complete:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._idle_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._asked = True
        self._progress()
        self._end()
        before = self.cycle
        super().on_headers_complete()
        if self.pipeline:
            self._ahead = [*(each for each in self._ahead if not each.response_complete), before]

    def on_body(self, body: bytes) -> None:
        self._progress()
        super().on_body(body)

    def _progress(self) -> None:
        self._goes_on = True
        self._idle_bytes = 0

    def _await_head(self) -> None:
        """The rest of a head is to come; one that comes bit by bit does not begin anew."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._late)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        self._let_write()
        super().resume_writing()

    def _watch(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._untaken = self.loop.call_later(self.taking_seconds, self._look, waiting)

    def _look(self, waiting: int) -> None:
        """Let the client go if it took nothing of what waited for it; nothing is written meanwhile."""
        if self.transport.get_write_buffer_size() < waiting:
            self._watch()
        else:
            self._untaken = None
            self.transport.abort()

    def _let_write(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def deadlined(head_seconds: float, taking_seconds: float) -> type[asyncio.Protocol]:
    """The protocol, for uvicorn's `http=`."""
    return type("Deadlined", (_Deadlined,), {"head_seconds": head_seconds, "taking_seconds": taking_seconds})
