"""All pages, as routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

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

_BEGINNINGS = frozenset(view.path.split("/")[1] for view in VIEWS if view.path != "/")

Respond = Callable[[Request], Awaitable[Response]]


def pages(limits: Limits) -> dict[str, dict[str, Respond]]:
    """What answers, by path and method. Where the application's state has a `door`, visitors show it a key."""
    out: dict[str, dict[str, Respond]] = {}
    for view in VIEWS:
        out.setdefault(view.path, {})[view.method] = responder(view, limits)
    return out


def is_page(path: str) -> bool:
    """Whether a path is the inspector's: its visitors show their keys at its own door."""
    return path == "/" or (path.startswith("/") and path.split("/")[1] in _BEGINNINGS)
