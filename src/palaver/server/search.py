"""Searching over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from palaver.model import Role
from palaver.server.answers import Hits, hit_document
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

MAX_HITS = 200
MAX_AROUND = 50
MAX_TEXT = 10_000


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for, and where."""

    text: Annotated[str, Meta(max_length=MAX_TEXT)]
    """Words, "phrases" in quotes, and beginnings*; a message has to have all of them."""
    session_id: str | None = None
    """A session's id or alias: only there."""
    platform: str | None = None
    """Only in sessions that began there; `agent` and `account` likewise."""
    agent: str | None = None
    account: str | None = None
    tag: str | None = None
    """Only in sessions that have it."""
    role: Role | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """Made before this instant."""
    limit: Annotated[int, Meta(ge=1, le=MAX_HITS)] = 20
    cursor: str | None = None
    """What `next` of the page before says."""
    around: Annotated[int, Meta(ge=0, le=MAX_AROUND)] = 0
    """How many neighbours to show on each side of a hit."""
    include_hidden: bool = False
    """Also sessions that are hidden."""


async def search(call: Call) -> Answer:
    """A page of hits."""
    query: SearchQuery = call.query
    page = await call.sessions.search(**msgspec.structs.asdict(query))
    return Answer(Hits(hits=tuple(map(hit_document, page)), next=page.next, behind=page.behind))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/search",
        "search",
        "Messages that say all that is looked for, the best first, across all sessions.",
        search,
        {200: "A page of hits."},
        Hits,
        query=SearchQuery,
        problems=("session-not-found", "cursor-expired"),
    ),
)
