"""The way in, on a server that has keys: a form that takes one and keeps it in a cookie."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from palaver.server.inspector import access
from palaver.server.inspector.visits import View, Visit, page
from palaver.server.pacing import Slower

__all__ = ["VIEWS"]


def _next(text: str) -> str:
    """Where to go then: a path of this server, whatever the query says."""
    plain = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if plain and not text.startswith("/login") else "/"


async def show(visit: Visit) -> Response:
    """The form."""
    if access.keys_of(visit.request) is None:
        return RedirectResponse(_next(visit.query.get("next", "/")), 303)
    return await page(visit, "login.html", then=_next(visit.query.get("next", "/")), wrong=False, seconds=None)


async def enter(visit: Visit) -> Response:
    """Take the key, if it opens anything."""
    then = _next(visit.form.get("next", "/"))
    key = visit.form.get("key", "").strip()
    keys = access.keys_of(visit.request)
    try:
        opened = keys is None or access.opened_by(keys, key, visit.request) is not None
    except Slower as error:
        response = await page(visit, "login.html", status=429, then=then, wrong=True, seconds=error.seconds)
        response.headers.update(error.headers)
        return response
    if not opened:
        return await page(visit, "login.html", status=403, then=then, wrong=True, seconds=None)
    response = RedirectResponse(then, 303)
    if keys is not None:
        access.keep_cookie(response, visit.request, access.KEY_COOKIE, key)
    return response


async def leave(_: Visit) -> Response:
    """Forget the key."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(access.KEY_COOKIE, path="/")
    return response


VIEWS = (
    View("GET", "/login", show, open=True),
    View("POST", "/login", enter, open=True),
    View("POST", "/logout", leave, open=True),
)
