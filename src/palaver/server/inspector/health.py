"""How the store is: what it holds, what the doctor finds, what is open, which backups there are."""

from __future__ import annotations

from starlette.responses import Response

import palaver
from palaver.server.inspector.stored import now_of
from palaver.server.inspector.visits import View, Visit, page
from palaver.server.reach import found_in, stats_of
from palaver.times import from_micros

__all__ = ["VIEWS"]


async def show(visit: Visit) -> Response:
    """The figures; with `check`, also what the doctor finds, which takes as long as the store is large."""
    checked = visit.query.get("check") == "yes"
    sessions = visit.sessions
    findings = await found_in(sessions, notes=visit.query.get("notes") == "yes") if checked else []
    return await page(
        visit,
        "health.html",
        stats=await stats_of(sessions),
        turns=await sessions.open_turns(),
        backups=list(reversed(await sessions.backups())) if visit.visitor.owner is None else [],
        erasures=[(each, from_micros(each.began_at)) for each in reversed(await sessions.erasures())],
        findings=findings,
        checked=checked,
        version=palaver.__version__,
        now=now_of(sessions),
    )


VIEWS = (View("GET", "/doctor", show, administers=True),)
