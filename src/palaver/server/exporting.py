"""Exports over HTTP: written while they are read, so that neither their length nor a slow reader holds anything up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from palaver import config
from palaver.aio import AsyncSessionManager
from palaver.errors import CorruptRecord, SessionNotFound, StoreUnavailable
from palaver.exporters import Wanted, ids_of_all, nanobot, text_of
from palaver.exports import Format
from palaver.manager import SessionManager
from palaver.server.lookup import session_of
from palaver.server.problems import problem
from palaver.server.reach import blocking, in_thread
from palaver.server.table import Call, Endpoint, Stream

__all__ = ["ENDPOINTS", "sent"]

CHUNK = 256 * 1024
"""Characters that are read before they are sent."""
LINES = "application/jsonl"
_TYPES = {
    Format.jsonl: LINES,
    Format.markdown: "text/markdown",
    Format.html: "text/html",
    Format.text: "text/plain",
    Format.nanobot: LINES,
}


class ExportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an export looks like."""

    format: Format = Format.jsonl
    redact: bool = False
    """Hide ids, names, phone numbers, addresses and credentials, as far as rules can."""
    undone: bool = False
    """In pages also what was undone, replaced or edited; jsonl always has it."""
    limit: Annotated[int, Meta(ge=1)] | None = None
    """Of a provider's payload: how many of the newest messages."""


class ExportAllQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How all sessions are exported."""

    redact: bool = False
    """Hide ids, names, phone numbers, addresses and credentials, as far as rules can."""


async def export_session(call: Call) -> Stream:
    """One session in any form."""
    query: ExportQuery = call.query
    wanted = Wanted(format=query.format, undone=query.undone, limit=query.limit)
    refusal = wanted.refusal()
    if refusal is not None:
        raise problem("invalid-request", refusal, path="query")
    info = await (await session_of(call)).info()
    manager = blocking(call.sessions)

    def pieces() -> Iterator[str]:
        yield from text_of(manager, info, _redacted(wanted, hide=query.redact), seen=set(), damaged=_damaged)

    kind = _TYPES.get(query.format, "application/json")
    name = nanobot.file_name(info) if query.format is Format.nanobot else f"{info.id}{query.format.suffix}"
    return Stream(await sent(call.sessions, pieces()), kind, _saved_as(name))


async def export_all(call: Call) -> Stream:
    """All sessions, one after the other."""
    query: ExportAllQuery = call.query
    manager = blocking(call.sessions)
    pieces = _whole(manager, Wanted(format=Format.jsonl), hide=query.redact)
    return Stream(await sent(call.sessions, pieces), LINES, _saved_as("palaver.jsonl"))


def _whole(manager: SessionManager, wanted: Wanted, *, hide: bool) -> Iterator[str]:
    wanted = _redacted(wanted, hide=hide)
    seen: set[str] = set()
    for session_id in sorted(ids_of_all(manager, _damaged)):  # in the order of their making, as they refer to others
        try:
            yield from text_of(manager, manager.get(session_id).info(), wanted, seen=seen, damaged=_damaged)
        except SessionNotFound:  # deleted since they were listed
            continue


def _redacted(wanted: Wanted, *, hide: bool) -> Wanted:
    return msgspec.structs.replace(wanted, secret=config.install_secret()) if hide else wanted


def _damaged(error: StoreUnavailable | CorruptRecord) -> None:
    """What can be saved of a damaged file `palaver export` saves, and says so; an answer that has begun cannot."""
    raise error


def _saved_as(name: str) -> dict[str, str]:
    """Pages hold what others wrote: a browser is to save them, and not to show them as if they were the server's."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


async def sent(sessions: AsyncSessionManager, pieces: Iterator[str]) -> AsyncIterator[bytes]:
    """Text as it is sent. What fails before the first of it is raised at once."""

    def some() -> bytes:
        out: list[str] = []
        size = 0
        for piece in pieces:
            out.append(piece)
            size += len(piece)
            if size >= CHUNK:
                break
        return "".join(out).encode()

    first = await in_thread(sessions, some)

    async def chunks() -> AsyncIterator[bytes]:
        chunk = first
        while chunk:
            yield chunk
            chunk = await in_thread(sessions, some)

    return chunks()


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/export",
        "exportSession",
        "A session for other programs, for reading, for a provider or to train with; jsonl can be imported again.",
        export_session,
        {200: "The session in the form that was asked for."},
        str,
        query=ExportQuery,
        problems=("session-not-found", "store-unavailable"),
        gives=(LINES, "text/markdown", "text/html", "text/plain", "application/json"),
    ),
    Endpoint(
        "GET",
        "/v1/export",
        "exportAll",
        "All sessions as lines of JSON, which can be imported again.",
        export_all,
        {200: "The sessions, in the order that they were made."},
        str,
        query=ExportAllQuery,
        problems=("store-unavailable",),
        gives=(LINES,),
    ),
)
