"""What the server says of the whole store, and of itself."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

import palaver
from palaver.errors import SessionNotFound
from palaver.flows.usage import By
from palaver.server.answers import Health, UsageReport, usage_document
from palaver.server.reach import stats_of
from palaver.server.table import Answer, Call, Endpoint
from palaver.stores.base import Stats

__all__ = ["ENDPOINTS"]


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which usage, and summed up by what."""

    by: By | None = None
    """Without it, a line for each session, day and model."""
    session_id: str | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    """From this day (UTC) on."""
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """Before this day (UTC)."""


async def usage(call: Call) -> Answer:
    """What was used."""
    query: UsageQuery = call.query
    lines = await call.sessions.usage(session_id=query.session_id, since=query.since, until=query.until, by=query.by)
    return Answer(UsageReport(lines=tuple(map(usage_document, lines))))


async def stats(call: Call) -> Answer:
    """How much is stored."""
    return Answer(await stats_of(call.sessions))


async def health(call: Call) -> Answer:
    """One look into an index: the store can be read."""
    with contextlib.suppress(SessionNotFound):  # nobody's key: that it is not found was read from the store
        await call.sessions.resolve("palaver:health")
    return Answer(Health(status="ok", version=palaver.__version__))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/usage",
        "readUsage",
        "What was used, and what it cost as far as that is known; summed up by model, owner, day or session.",
        usage,
        {200: "A line for each."},
        UsageReport,
        query=UsageQuery,
    ),
    Endpoint(
        "GET",
        "/v1/stats",
        "readStats",
        "How much is stored.",
        stats,
        {200: "Counts and sizes."},
        Stats,
    ),
    Endpoint(
        "GET",
        "/health",
        "health",
        "Whether the server answers and its store can be read; quick.",
        health,
        {200: "All is well."},
        Health,
        problems=("store-unavailable",),
    ),
)
