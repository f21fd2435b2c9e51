"""HTTP/1.1 on a socket, as uvicorn speaks it, but for two things.

A request's head may take only so long: uvicorn itself waits for ever for the rest of one. And the head and the body of
an answer leave together: uvicorn writes them apart, and its transport sends what is written at once, so that every
answer is two packets, and wakes the client twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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
        if parts:
            self._transport.writelines(parts)

    def close(self) -> None:
        """Close when all that was written is sent."""
        self._send()
        self._transport.close()

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
    """Closes a connection whose next request has no end of its head in time, or is all head."""

    head_seconds = 15.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(Gathered(transport, self.loop))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        self._await_head()
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._end()
        super().on_headers_complete()

    def _await_head(self) -> None:
        """The rest of a head is to come; one that comes bit by bit does not begin anew."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._late)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def deadlined(seconds: float) -> type[asyncio.Protocol]:
    """The protocol, for uvicorn's `http=`."""
    return type("Deadlined", (_Deadlined,), {"head_seconds": seconds})
