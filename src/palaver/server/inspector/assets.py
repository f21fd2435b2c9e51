"""The files that the pages load: a style sheet, a script and an icon, out of the package."""

from __future__ import annotations

from starlette.responses import Response

from palaver.server.inspector.templating import asset
from palaver.server.inspector.visits import Refusal, View, Visit, page

__all__ = ["VIEWS"]


async def file(visit: Visit) -> Response:
    """One of them."""
    found = asset(visit.path["name"])
    if found is None:
        raise Refusal(404, "Not found", "There is no such file.")
    data, kind = found
    kept = "public, max-age=31536000, immutable" if "v" in visit.query else "no-cache"
    return Response(data, media_type=kind, headers={"Cache-Control": kept})


async def shortcuts(visit: Visit) -> Response:
    """The keys that the pages listen to."""
    return await page(visit, "shortcuts.html")


VIEWS = (
    View("GET", "/static/{name}", file, open=True),
    View("GET", "/shortcuts", shortcuts, open=True),
)
