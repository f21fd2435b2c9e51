"""Passing an answer back: whole, or as a stream whose bytes go on as they come."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palaver.errors import InvalidMessage, PalaverError
from palaver.formats import Accumulator
from palaver.server.access import access_of
from palaver.server.idempotency import note_failed
from palaver.server.passthrough.engine import Exchange, answered, gone, log
from palaver.server.passthrough.frames import Frame, Frames
from palaver.server.passthrough.upstream import passed_back
from palaver.server.problems import ProblemError, problem

__all__ = ["Relay", "whole"]


async def whole(exchange: Exchange, response: Any) -> Response:
    """An answer that is no stream: stored, and passed back as it came. Raises ProblemError, PalaverError."""
    try:
        content: bytes = await response.aread()
    except exchange.exchanges.provider.broken as exc:
        raise exchange.exchanges.provider.failed(exc) from exc
    status: int = response.status_code
    if status >= 300:
        await exchange.refuse(status, f"the upstream answered {status}")
    else:
        try:
            raw = msgspec.json.decode(content, type=dict[str, Any])
            messages, usage = exchange.dialect.reply(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidMessage) as exc:
            detail = "the upstream's answer is none that this API gives: it was not stored"
            raise problem("upstream-failed", detail) from exc
        await exchange.store(messages, usage, exchange.dialect.name(raw))
    return Response(content, status, {**passed_back(response.headers), **exchange.headers})


class Relay:
    """An answer on its way from the upstream to a client."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ready: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._left = asyncio.Event()
        self._whole = asyncio.Event()

    async def ready(self) -> Response:
        """What to answer with, as soon as the upstream has begun to."""
        return await asyncio.shield(self._ready)

    async def run(self, exchange: Exchange, body: dict[str, Any]) -> None:
        """Answer the request; a failure before the first byte is raised, and one after it is told in the stream."""
        try:
            await exchange.run(body, self._pass)
        except (ProblemError, PalaverError) as error:
            if not self._ready.done():
                raise
            self._tell(exchange, error)
        except Exception as error:  # the last resort: the client must not wait for ever
            if not self._ready.done():
                raise
            log(logging.ERROR, "passthrough.error", {"error": type(error).__name__})
            self._tell(exchange, problem("internal-error", "the server failed in the middle of the answer"))
        finally:
            self._queue.put_nowait(None)

    async def _pass(self, exchange: Exchange, response: Any) -> None:
        kind = response.headers.get("content-type", "")
        if response.status_code >= 300 or not kind.startswith("text/event-stream"):
            self._ready.set_result(await whole(exchange, response))
            return
        headers = {**passed_back(response.headers), **exchange.headers, "X-Accel-Buffering": "no"}
        self._ready.set_result(_Stream(self._queue, self._left, self._whole, response.status_code, headers))
        reading = _Reading(exchange, self._put, self._whole)
        task = asyncio.create_task(reading.read(response))
        leaving = asyncio.create_task(self._left.wait())
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the server stops: what came is stored
            await _stop(task)
            await reading.settle(left=True)
            raise
        finally:
            leaving.cancel()
        await _stop(task)
        await reading.settle(left=self._left.is_set())

    def _put(self, data: bytes) -> None:
        self._queue.put_nowait(data)

    def _tell(self, exchange: Exchange, error: Exception) -> None:
        note_failed(exchange.call.request.scope)
        self._put(_told(exchange, error))


class _Reading:
    """Reads a stream, passes it on, and knows what it says."""

    def __init__(self, exchange: Exchange, put: Any, whole: asyncio.Event) -> None:
        self._exchange = exchange
        self._put = put
        self._whole = whole
        self._stream = Accumulator(exchange.dialect.wire)
        self._held: list[bytes] = []
        """What tells the client that the answer is complete: it is sent when that is stored."""
        self._failure: Exception | None = None
        self._name: str | None = None
        self._ended = False

    async def read(self, response: Any) -> None:
        """Read to the end, or until the connection breaks."""
        frames = Frames()
        try:
            async for chunk in response.aiter_bytes():
                for frame in frames.feed(chunk):
                    self._take(frame)
            rest = frames.finish()
            if rest is not None:
                self._take(rest)
            self._ended = True
        except self._exchange.exchanges.provider.broken as exc:
            self._failure = self._exchange.exchanges.provider.failed(exc)
        except InvalidMessage as exc:
            self._failure = exc

    def _take(self, frame: Frame) -> None:
        event = frame.event
        if event is not None:
            self._stream.feed(event)
            self._name = self._exchange.dialect.name(event) or self._name
            if self._exchange.dialect.unasked(self._exchange.asked, event):
                return
        if self._held or self._exchange.dialect.closes(frame, event):
            self._held.append(frame.raw)
        else:
            self._put(frame.raw)

    async def settle(self, *, left: bool) -> None:
        """Store what came, and let the client know how it ended. Raises ProblemError, PalaverError."""
        stream = self._stream
        stream.finish()
        said = stream.messages
        if self._ended and stream.stop_reason is not None and stream.error is None:
            await self._exchange.store(said, stream.usage, self._name)
            for raw in self._held:
                self._put(raw)
            self._whole.set()
            return
        if left:
            await self._exchange.keep(said, "its client went away")
            return
        if stream.error is not None:
            await self._exchange.keep(said, "the upstream failed in the middle of its answer")
            note_failed(self._exchange.call.request.scope)
            for raw in self._held:
                self._put(raw)
            return
        await self._exchange.keep(said, "the upstream broke off in the middle of its answer")
        raise answered(
            self._failure or problem("upstream-failed", "the upstream broke off in the middle of its answer")
        )


async def _stop(task: asyncio.Task[None]) -> None:
    """Let a task end, now. Raises what it raised."""
    if not task.done():
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _told(exchange: Exchange, error: Exception) -> bytes:
    """An error as an event of the stream, in the words of its API."""
    owner = access_of(exchange.call.request).owner
    answer = exchange.dialect.style.answer(answered(error, owner).problem, None)
    return exchange.dialect.error(msgspec.json.decode(answer.body))


class _Stream(Response):
    """What of an answer has come, until it ends.

    A client may go away before: the rest is said all the same, to whoever keeps answers for another try. It is little,
    as the upstream's work ends then; and only an answer that is whole is given an end.
    """

    def __init__(
        self,
        queue: asyncio.Queue[bytes | None],
        left: asyncio.Event,
        whole: asyncio.Event,
        status: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(b"", status, headers)
        del self.headers["content-length"]
        self._queue = queue
        self._left = left
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        leaving = asyncio.create_task(gone(receive))
        leaving.add_done_callback(lambda _: self._left.set())
        try:
            while (data := await self._queue.get()) is not None:
                await self._say(send, data, more=True)
            if self._whole.is_set() or not (leaving.done() or self._left.is_set()):
                await self._say(send, b"", more=False)
        finally:
            leaving.cancel()
            self._left.set()

    async def _say(self, send: Send, data: bytes, *, more: bool) -> None:
        try:
            await send({"type": "http.response.body", "body": data, "more_body": more})
        except OSError:  # the client went away
            self._left.set()
