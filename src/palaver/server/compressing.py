"""Answers that are compressed, for who takes that."""

from __future__ import annotations

from starlette.middleware.gzip import GZipResponder
from starlette.types import ASGIApp, Receive, Scope, Send

from palaver.server.headers import all_of

__all__ = ["Compressed", "takes_gzip"]

_SMALL = 1024
"""Bytes below which an answer is sent as it is: compressed it would be no fewer packets."""
_LEVEL = 5
_NAMES = frozenset({"gzip", "x-gzip"})
"""One coding of two names (RFC 9110, 8.4.1.3)."""


def takes_gzip(accepted: str) -> bool:
    """Whether gzip is among what `Accept-Encoding` says is accepted (RFC 9110, 12.5.3).

    A coding with the weight 0 is not accepted, also where `*` is; `*` alone means every coding that is not named.
    A weight that cannot be read refuses: as it is, an answer can be read by everybody.
    """
    named: bool | None = None
    others = False
    for each in accepted.split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        if name in _NAMES:
            named = bool(named) or _is_accepted(parameters)
        elif name == "*":
            others = _is_accepted(parameters)
    return others if named is None else named


def _is_accepted(parameters: list[str]) -> bool:
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            try:
                return 0 < float(value) <= 1
            except ValueError:
                return False
    return True


class Compressed:
    """ASGI middleware: compresses for who takes it; others pass without a wrapper around their answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, compressed if it asks for that and its answer is worth it."""
        app = self._app
        if scope["type"] == "http":
            accepted = all_of(scope, b"accept-encoding")
            if accepted and takes_gzip(",".join(accepted)):
                app = GZipResponder(app, _SMALL, compresslevel=_LEVEL)
        await app(scope, receive, send)
