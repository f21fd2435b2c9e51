"""Searching all conversations."""

from __future__ import annotations

import msgspec

from palaver.core import Core
from palaver.errors import SessionNotFound
from palaver.flows.sessions import known
from palaver.model import Message
from palaver.rows import MOST
from palaver.search import SearchHit, SearchPage, SearchQuery
from palaver.steps import Flow, long_call

__all__ = ["index", "search"]


def search(core: Core, query: SearchQuery, around: int) -> Flow[SearchPage]:
    """A page of hits, each with its neighbours."""
    if around < 0:
        msg = f"around is {around}; ask for 0 neighbours or more on each side"
        raise ValueError(msg)
    if query.session_id is not None:
        query = msgspec.structs.replace(query, session_id=(yield from known(core, query.session_id)))
    page = yield from long_call(core.store.search, query)
    if around:
        for place, hit in enumerate(page):
            messages = yield from _neighbours(core, hit, min(around, MOST - 1))
            page[place] = msgspec.structs.replace(hit, messages=messages)
    return page


def _neighbours(core: Core, hit: SearchHit, around: int) -> Flow[tuple[Message, ...]]:
    """The live messages beside a hit, and itself; none where it was purged since it was found."""
    page = core.store.page
    try:
        before = yield from long_call(page, hit.session_id, core.owner, before=hit.seq, limit=around, newest=True)
        after = yield from long_call(page, hit.session_id, core.owner, after=hit.seq - 1, limit=around + 1)
    except SessionNotFound:
        return ()
    return (*before, *after)


def index(core: Core, *, anew: bool, limit: int) -> Flow[int]:
    """Follow what is new, or begin anew; gives how many changes are left."""
    if anew:
        yield from long_call(core.store.reindex)
    return (yield from long_call(core.store.index, limit=limit))
