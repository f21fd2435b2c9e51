"""What every request passes before it is routed: it has a key where one is asked for, and does not come too often."""

from __future__ import annotations

import math
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from palaver.server.access import OPERATOR, Access, Keys, key_in, require
from palaver.server.families import Families
from palaver.server.inspector.access import shown_key
from palaver.server.inspector.mounting import is_page
from palaver.server.limits import Limits
from palaver.server.observed import record_of
from palaver.server.pacing import Buckets, Slower, slower
from palaver.server.problems import ProblemError, problem
from palaver.server.style import Style

__all__ = ["Gate"]

OPEN = frozenset({"/health", "/healthz", "/readyz", "/openapi.json", "/docs"})
"""What tells nothing of anybody, and is asked by machines and people that have no key."""

UNCOUNTED = frozenset({"/healthz", "/readyz"})
"""What asks whether the server lives: who is answered 429 there, often beside others of its address, ends it."""

READING_POSTS = frozenset({"/v1/keys/resolve"})
"""What a key that may only read may POST: a question with a body."""


class Gate:
    """ASGI middleware; see the module. Without `keys`, whoever asks is the operator."""

    def __init__(
        self, app: ASGIApp, *, keys: Keys | None, limits: Limits, families: Families, seconds: Callable[[], float]
    ) -> None:
        self._app = app
        self._families = families
        self._keys = keys
        rate = limits.requests_per_second
        self._requests = None if rate is None else Buckets(rate, limits.burst or max(1, math.ceil(rate * 2)), seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer who may not ask, and pass the others on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        address = scope["client"][0] if scope.get("client") else ""
        try:
            access = self._access(scope, path, address)
            if self._requests is not None and path not in UNCOUNTED:
                self._count(self._requests, access.id or self._visitor(scope, path) or address)
            if access.id is not None and not _is_open(path):
                reads = scope["method"] in {"GET", "HEAD", "OPTIONS"} or path in READING_POSTS
                require(access, "read" if reads else "write")
        except ProblemError as error:
            await _refusal(error, path, self._families.style_of(path))(scope, receive, send)
            return
        scope["palaver.access"] = access
        record_of(scope).key = access.id
        await self._app(scope, receive, send)

    def _access(self, scope: Scope, path: str, address: str) -> Access:
        keys = self._keys
        if keys is None or _is_open(path) or not keys.required:
            return OPERATOR
        given = key_in(Headers(scope=scope))
        if given is None:
            raise problem("unauthorized", "send a key: Authorization: Bearer pal_…; `palaver keys create` makes one")
        access = keys.admit(given, address)
        if access is None:
            detail = "this key is not one that this server knows, or it was revoked or has expired"
            raise problem("unauthorized", detail)
        return access

    def _visitor(self, scope: Scope, path: str) -> str | None:
        """Id of the key that a visitor of the inspector has, who is let in by the page: many share an address."""
        if self._keys is None or not is_page(path) or not self._keys.required:
            return None
        found = self._keys.find(shown_key(Request(scope)))
        return found.id if found is not None else None

    @staticmethod
    def _count(requests: Buckets, name: str) -> None:
        wait = requests.wait(name)
        if wait:
            raise slower("requests come faster than this server takes them", wait)


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith("/problems/") or is_page(path)


def _refusal(error: ProblemError, path: str, style: Style) -> Response:
    headers: dict[str, str] = {}
    if error.problem.status == 401:
        # A browser shows its dialog for pages; programs are told what they are to send.
        headers["WWW-Authenticate"] = 'Bearer realm="palaver"' if path.startswith("/v1/") else 'Basic realm="palaver"'
    if isinstance(error, Slower):
        headers |= error.headers
    return style.answer(error.problem, headers)
