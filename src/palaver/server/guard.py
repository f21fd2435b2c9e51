"""What every request passes first: the server is asked under its own name, and not by another site's page.

Without this check any web page could reach a server on 127.0.0.1 through the visitor's browser: under the page's own
name, where its DNS says 127.0.0.1 (rebinding), or with a plain form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palaver.server.families import Families
from palaver.server.headers import all_of
from palaver.server.problems import ProblemError, problem

__all__ = ["Guard", "own_names", "own_origins"]

_HOST = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::[0-9]*)?")
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


def own_names(names: Iterable[str]) -> frozenset[str]:
    """The names that the server answers to: this machine's, and these. Without ports; ValueError for one with more."""
    out: set[str] = set(LOOPBACK)
    for name in names:
        text = name.strip().lower()
        if ":" in text and not text.startswith("["):
            text = f"[{text}]" if text.count(":") > 1 else text
        if not text or "/" in text or not _HOST.fullmatch(text) or (":" in text and not text.endswith("]")):
            msg = f"{name!r} is no host name; give it without scheme and port, such as 'chat.example'"
            raise ValueError(msg)
        out.add(text)
    return frozenset(out)


def own_origins(origins: Iterable[str]) -> frozenset[str]:
    """Whose pages may ask, such as `https://chat.example`. Raises ValueError for one that is no origin."""
    out: set[str] = set()
    for origin in origins:
        parts = urlsplit(origin.strip().lower())
        if (
            parts.scheme not in {"http", "https"}
            or not parts.netloc
            or parts.path
            or parts.query
            or "@" in parts.netloc
        ):
            msg = f"{origin!r} is no origin; give scheme and host, such as 'https://chat.example'"
            raise ValueError(msg)
        out.add(f"{parts.scheme}://{parts.netloc}")
    return frozenset(out)


class Guard:
    """ASGI middleware; see the module. It also routes by the path as it was sent, so that an id may hold `%2F`."""

    def __init__(
        self, app: ASGIApp, *, names: frozenset[str], families: Families, origins: frozenset[str] = frozenset()
    ) -> None:
        self._app = app
        self._families = families
        self._names = names
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may not be, and pass the others on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                message["headers"] = headers + [each for each in _HEADERS if each[0] not in there]
            await send(message)

        try:
            self._check(scope)
        except ProblemError as error:
            style = self._families.style_of(scope["path"])
            await style.answer(error.problem, None)(scope, receive, headed)
            return
        raw = scope.get("raw_path")
        if raw is not None:
            scope = {**scope, "path": raw.decode("latin-1")}
        await self._app(scope, receive, headed)

    def _check(self, scope: Scope) -> None:
        hosts = all_of(scope, b"host")
        if len(hosts) != 1 or not hosts[0]:
            raise problem("bad-request", "a request has one Host header", path="Host")
        host = hosts[0].lower()
        if _name(host) not in self._names:
            raise problem(
                "host-not-allowed",
                f"the server does not answer as {host!r}; name it in allowed_hosts if it is this server",
                path="Host",
            )
        for origin in all_of(scope, b"origin"):
            if _netloc(origin) != host and origin.lower() not in self._origins:
                raise problem("host-not-allowed", f"pages of {origin!r} may not use this server", path="Origin")


def _netloc(origin: str) -> str | None:
    """Host and port of an origin, which may be anything that somebody sent."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # a bracket that is not closed, for instance
        return None


def _name(host: str) -> str | None:
    """Host without its port and final dot; None for what is no host and port (RFC 9110, 7.2)."""
    found = _HOST.fullmatch(host)
    return found[1].removesuffix(".") if found else None
