"""All pages, as routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from palaver.server.inspector import (
    actions,
    assets,
    conversation,
    exporting,
    health,
    lineage,
    listing,
    live,
    login,
    sight,
    usage,
)
from palaver.server.inspector.visits import responder
from palaver.server.limits import Limits

__all__ = ["VIEWS", "is_page", "pages"]

VIEWS = (
    *listing.VIEWS,
    *conversation.VIEWS,
    *sight.VIEWS,
    *lineage.VIEWS,
    *actions.VIEWS,
    *exporting.VIEWS,
    *usage.VIEWS,
    *health.VIEWS,
    *live.VIEWS,
    *login.VIEWS,
    *assets.VIEWS,
)
"""Every page, and every form that one may send."""

_PATHS = tuple(compile_path(view.path)[0] for view in VIEWS)

Respond = Callable[[Request], Awaitable[Response]]


def is_page(path: str) -> bool:
    """Whether this is one of the inspector's, which looks by itself who comes: by a cookie, or asks for a key."""
    return not path.startswith("/v1/") and any(pattern.match(path) for pattern in _PATHS)


def pages(limits: Limits) -> dict[str, dict[str, Respond]]:
    """What answers, by path and method. Where the server asks for keys, they do too."""
    out: dict[str, dict[str, Respond]] = {}
    for view in VIEWS:
        out.setdefault(view.path, {})[view.method] = responder(view, limits)
    return out
