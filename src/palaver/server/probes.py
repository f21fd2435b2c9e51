"""What machines ask that look after the server: whether it lives, whether it takes requests, and its figures."""

from __future__ import annotations

import contextlib
import time

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from palaver.errors import PalaverError, SessionNotFound
from palaver.server.access import access_of
from palaver.server.problems import answer, problem
from palaver.server.reach import commits_of, feed_lag_of

__all__ = ["PROBES"]


async def alive(_: Request) -> Response:
    """The process answers. Not whether its store does: a restart would not mend that."""
    return PlainTextResponse("ok\n")


async def ready(request: Request) -> Response:
    """Whether requests should come here: 503 while it stops, and where the store cannot be read.

    It is asked without a key, so it says what was asked of the store and what came of that, and not which store it is.
    """
    state = request.app.state
    if getattr(state, "draining", False) or getattr(state, "closing", False):
        return _told(f"stopping\nturns that began here and have not ended: {len(state.turns)}\nstore: not asked", 503)
    began = time.monotonic()
    try:
        with contextlib.suppress(SessionNotFound):  # nobody's key: that it is not found was read from the store
            await state.sessions.resolve("palaver:health")
    except PalaverError as error:
        what = "it may be back in a moment" if error.retryable else "it will not come back by itself: see the log"
        return _told(f"not ready\nstore: asked for a key, {type(error).__name__} after {_since(began)}; {what}", 503)
    return _told(f"ok\nstore: asked for a key, and answered in {_since(began)}")


def _told(text: str, status: int = 200) -> Response:
    return PlainTextResponse(f"{text}\n", status, headers={"Cache-Control": "no-store"})


def _since(began: float) -> str:
    return f"{(time.monotonic() - began) * 1000:.1f} ms"


async def metrics(request: Request) -> Response:
    """The figures of this process, for Prometheus."""
    if access_of(request).owner is not None:
        return answer(problem("forbidden", "the figures are of the whole server: take a key without an owner").problem)
    state = request.app.state
    gauges = [
        ("palaver_commits_total", "counter", "Commits of this process.", commits_of(state.sessions)),
        ("palaver_feed_listeners", "gauge", "Who listens to the change feed.", state.live.listeners),
        ("palaver_feed_lag_seconds", "gauge", "How long changes wait to be passed on.", state.live.lag),
    ]
    with contextlib.suppress(PalaverError):  # a store that cannot be read is what the other figures are looked at for
        count = len(await state.sessions.open_turns())
        gauges.append(("palaver_open_turns", "gauge", "Turns in the store that have not ended.", count))
        held = await feed_lag_of(state.sessions)
        what = "Changes that are committed, and not told while an older transaction is under way."
        gauges.append(("palaver_feed_held_changes", "gauge", what, held.changes))
        if held.seconds is not None:
            what = "Age of the oldest transaction that holds changes back."
            gauges.append(("palaver_feed_held_seconds", "gauge", what, held.seconds))
    return PlainTextResponse(state.meter.text(gauges), media_type="text/plain; version=0.0.4")


PROBES = {"/healthz": alive, "/readyz": ready, "/metrics": metrics}
