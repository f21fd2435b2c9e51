"""Reading the change feed, and waiting for what comes."""

from __future__ import annotations

import time

from palaver.core import Core
from palaver.steps import Flow, Watch, long_call
from palaver.stores.base import ChangePage

__all__ = ["read"]

SOON = 0.05
LATER = 0.25
"""How often, in seconds, it is looked whether another process has written: at first, and after a while."""


def read(core: Core, after: str | None, *, limit: int, session_id: str | None, wait: float | None) -> Flow[ChangePage]:
    """What came after a cursor; where nothing did, what comes within `wait` seconds."""
    if wait is not None and not wait >= 0:
        msg = f"wait is {wait}; give seconds, 0 or more, or None not to wait"
        raise ValueError(msg)
    deadline = time.monotonic() + (wait or 0)
    pause = SOON
    while True:
        seen = core.store.wakes.count
        page = yield from long_call(core.store.changes, after, limit=limit, session_id=session_id, owner=core.owner)
        left = deadline - time.monotonic()
        if page or left <= 0:
            return page
        after = page.cursor
        yield Watch(seen, min(left, pause))
        pause = min(LATER, pause * 1.2)
