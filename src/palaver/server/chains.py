"""A conversation with what it goes on from, over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from palaver.info import ChainMessage
from palaver.server.limits import MAX_PAGE
from palaver.server.lookup import session_of
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]


class ChainQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many, and before which."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 100
    before: str | None = None
    """What `next` of the page after says."""


class ChainPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a message stands."""

    session_id: str
    seq: int


class ChainAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a session and of those that it goes on from, oldest first."""

    messages: tuple[ChainMessage, ...]
    next: str | None
    """Give it as `before` for older ones; null: there are none."""
    missing: str | None
    """A session before these that is not found: it was deleted, purged, or never imported."""
    corrupt: tuple[ChainPlace, ...]
    """Where records cannot be decoded: their messages are missing, and all others are here."""


async def read_chain(call: Call) -> Answer:
    """The newest messages of a session and of those before it."""
    query: ChainQuery = call.query
    found = await (await session_of(call)).chain(limit=query.limit, before=query.before)
    corrupt = tuple(ChainPlace(session_id=session_id, seq=seq) for session_id, seq in found.corrupt)
    return Answer(
        ChainAnswer(messages=tuple(found), next=found.before, missing=found.missing, corrupt=corrupt),
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/chain",
        "readChain",
        "The newest messages of a session and of those that it goes on from: resets, forks, threads.",
        read_chain,
        {200: "Messages, oldest first."},
        ChainAnswer,
        query=ChainQuery,
        problems=("session-not-found", "cursor-expired"),
    ),
)
