"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is answered again and not done again.

For what has no id of its own: a message has one, and is kept apart by it for ever. Keys are remembered by the process,
for a day; a request that was refused is not remembered, as it did nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palaver.server.access import OWNER_HEADER, access_of
from palaver.server.families import Families
from palaver.server.headers import first_of
from palaver.server.inspector.mounting import is_page
from palaver.server.limits import Limits
from palaver.server.problems import ProblemError, problem
from palaver.server.reading import read_body

__all__ = ["IDEMPOTENCY_HEADER", "Idempotent", "note_failed"]

IDEMPOTENCY_HEADER = "Idempotency-Key"
KEPT_SECONDS = 86_400
_MOST_BYTES = 64 * 1024 * 1024
_LARGEST = 1024 * 1024
_LONGEST_KEY = 255
_FAILED = "palaver.failed"

_Name = tuple[Any, ...]


def note_failed(scope: Scope) -> None:
    """An answer that began well has failed: who sends its request again wants another one."""
    scope[_FAILED] = True


class _Kept:
    """An answer that is remembered, or that others wait for."""

    __slots__ = ("at", "body", "digest", "done", "headers", "status")

    def __init__(self, digest: bytes, at: float) -> None:
        self.digest = digest
        self.at = at
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.done = asyncio.Event()


class Idempotent:
    """ASGI middleware; see the module. Requests without the header pass at no cost."""

    def __init__(self, app: ASGIApp, *, limits: Limits, families: Families, seconds: Callable[[], float]) -> None:
        self._app = app
        self._families = families
        self._limits = limits
        self._seconds = seconds
        self._kept: OrderedDict[_Name, _Kept] = OrderedDict()
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as before, or for the first time."""
        key = first_of(scope, b"idempotency-key") if scope["type"] == "http" else None
        if key is None or scope["method"] != "POST" or is_page(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
                detail = f"{IDEMPOTENCY_HEADER} is 1 to {_LONGEST_KEY} characters, without control characters"
                raise problem("bad-request", detail, path=IDEMPOTENCY_HEADER)
            request = Request(scope, receive)
            body = await self._body(request)
            name = (access_of(request).id, request.headers.get(OWNER_HEADER), scope["path"], key)
            await self._once(name, body, scope, receive, send)
        except ClientDisconnect:
            return
        except ProblemError as error:
            style = self._families.style_of(scope["path"])
            await style.answer(error.problem, None)(scope, receive, send)

    async def _body(self, request: Request) -> bytes:
        """All of it, in memory: another body under the same key is refused before anything is done with it."""
        try:
            return await read_body(request, self._limits.max_body_bytes, self._limits.body_seconds)
        except ProblemError as error:
            if error.problem.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            detail = (
                f"with {IDEMPOTENCY_HEADER} a body has at most {self._limits.max_body_bytes} bytes, as it is kept in "
                "memory; a larger import goes without, and stores nothing twice either when it is sent again"
            )
            raise problem("body-too-large", detail) from error

    async def _once(self, name: _Name, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        said = [b"%b: %b" % (each, value) for each, value in scope["headers"] if each.startswith(b"palaver-")]
        digest = hashlib.sha256(b"\0".join((body, scope["query_string"], *sorted(said)))).digest()
        while (found := self._found(name)) is not None:
            if found.digest != digest:
                detail = f"{IDEMPOTENCY_HEADER} came with another request before: take a new one for each"
                raise problem("idempotency-key-reused", detail, path=IDEMPOTENCY_HEADER)
            await found.done.wait()
            if found.status:
                headers = [*found.headers, (b"idempotency-replayed", b"true")]
                await send({"type": "http.response.start", "status": found.status, "headers": headers})
                await send({"type": "http.response.body", "body": found.body})
                return
        made = self._kept[name] = _Kept(digest, self._seconds())
        told = False

        async def again() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        started: dict[str, Any] = {}
        parts: list[bytes] = []
        size = 0

        async def noticed(message: Message) -> None:
            nonlocal size
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                size += len(message.get("body", b""))
                if size <= _LARGEST:
                    parts.append(message.get("body", b""))
                    if not message.get("more_body", False) and not scope.get(_FAILED):
                        self._keep(name, made, started, b"".join(parts))
            await send(message)

        try:
            await self._app(scope, again, noticed)
        finally:
            if not made.status:
                self._kept.pop(name, None)
            made.done.set()

    def _found(self, name: _Name) -> _Kept | None:
        found = self._kept.get(name)
        if found is None or not found.done.is_set() or self._seconds() - found.at < KEPT_SECONDS:
            return found
        self._forget(name)
        return None

    def _keep(self, name: _Name, made: _Kept, started: dict[str, Any], body: bytes) -> None:
        if not 200 <= started["status"] < 300:
            return
        made.status, made.headers, made.body = started["status"], list(started["headers"]), body
        made.done.set()
        self._bytes += len(body)
        while self._bytes > _MOST_BYTES or len(self._kept) > 100_000:
            oldest = next((each for each, kept in self._kept.items() if kept.done.is_set() and each != name), None)
            if oldest is None:
                return
            self._forget(oldest)

    def _forget(self, name: _Name) -> None:
        self._bytes -= len(self._kept.pop(name).body)
