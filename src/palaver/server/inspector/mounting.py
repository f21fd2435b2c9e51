"""All pages, as routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from palaver.server.inspector import assets, conversation, listing, live, sight
from palaver.server.inspector.access import Check
from palaver.server.inspector.visits import responder
from palaver.server.limits import Limits

__all__ = ["VIEWS", "pages"]

VIEWS = (
    *listing.VIEWS,
    *conversation.VIEWS,
    *sight.VIEWS,
    *live.VIEWS,
    *assets.VIEWS,
)
"""Every page, and every form that one may send."""

Respond = Callable[[Request], Awaitable[Response]]


def pages(limits: Limits, check: Check | None = None) -> dict[str, dict[str, Respond]]:
    """What answers, by path and method. With `check`, visitors show a key first."""
    out: dict[str, dict[str, Respond]] = {}
    for view in VIEWS:
        out.setdefault(view.path, {})[view.method] = responder(view, limits, check)
    return out
