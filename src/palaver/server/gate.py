"""What every request passes before it is routed: it has a key where one is asked for, and does not come too often."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from palaver.server.access import OPERATOR, Access, Keys, key_in, require
from palaver.server.families import Families
from palaver.server.inspector.mounting import is_page
from palaver.server.limits import Limits
from palaver.server.observed import record_of
from palaver.server.problems import ProblemError, problem
from palaver.server.style import Style

__all__ = ["Buckets", "Gate"]

OPEN = frozenset({"/health", "/healthz", "/readyz", "/openapi.json", "/docs"})
"""What tells nothing of anybody, and is asked by machines and people that have no key."""

READING_POSTS = frozenset({"/v1/keys/resolve"})
"""What a key that may only read may POST: a question with a body."""

_GUESSES, _GUESSES_PER_SECOND = 20, 1.0
"""Wrong keys from one address: so many at once, and then so many a second."""
_BUCKETS = 10_000


class Buckets:
    """Token buckets by name: `size` at once, `rate` a second after that. Those unused longest are forgotten first."""

    def __init__(self, rate: float, size: int, seconds: Callable[[], float]) -> None:
        self._rate = rate
        self._size = size
        self._seconds = seconds
        self._level: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str) -> float:
        """Seconds until there is a token, 0 if there is one; it is taken then."""
        now = self._seconds()
        level, since = self._level.get(name, (float(self._size), now))
        level = min(self._size, level + (now - since) * self._rate)
        if level < 1:
            return (1 - level) / self._rate
        self._level[name] = (level - 1, now)
        self._level.move_to_end(name)
        if len(self._level) > _BUCKETS:
            self._level.popitem(last=False)
        return 0.0


class Gate:
    """ASGI middleware; see the module. Without `keys`, whoever asks is the operator."""

    def __init__(
        self, app: ASGIApp, *, keys: Keys | None, limits: Limits, families: Families, seconds: Callable[[], float]
    ) -> None:
        self._app = app
        self._families = families
        self._keys = keys
        self._guesses = Buckets(_GUESSES_PER_SECOND, _GUESSES, seconds)
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
            self._count(access.id or address)
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
        access = keys.find(given)
        if access is not None:  # whoever guesses beside it: many have one address, behind a proxy
            return access
        wait = self._guesses.wait(address)
        if wait:
            raise _slower("too many wrong keys came from this address", wait)
        raise problem("unauthorized", "this key is not one that this server knows, or it was revoked or has expired")

    def _count(self, name: str) -> None:
        wait = self._requests.wait(name) if self._requests is not None else 0.0
        if wait:
            raise _slower("requests come faster than this server takes them", wait)


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith("/problems/") or is_page(path)


class _Slower(ProblemError):
    """Too many requests, and after how many seconds the next may come."""

    seconds = 1


def _slower(why: str, wait: float) -> _Slower:
    seconds = max(1, math.ceil(wait))
    made = _Slower(problem("rate-limited", f"{why}: try again in {seconds} s").problem)
    made.seconds = seconds
    return made


def _refusal(error: ProblemError, path: str, style: Style) -> Response:
    headers: dict[str, str] = {}
    if error.problem.status == 401:
        # A browser shows its dialog for pages; programs are told what they are to send.
        headers["WWW-Authenticate"] = 'Bearer realm="palaver"' if path.startswith("/v1/") else 'Basic realm="palaver"'
    if isinstance(error, _Slower):
        headers["Retry-After"] = str(error.seconds)
    return style.answer(error.problem, headers)
