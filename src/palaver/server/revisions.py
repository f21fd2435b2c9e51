"""Versions of a session over HTTP: the ETag that it is answered with, and the If-Match that guards a change."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from palaver.aio import AsyncSession
from palaver.errors import SessionConflict
from palaver.server.answers import SessionDocument, session_document
from palaver.server.problems import problem
from palaver.server.table import Answer, Call

__all__ = ["guarded", "shown", "tagged"]


async def shown(session: AsyncSession, call: Call, status: int = 200) -> Answer:
    """The session as it is now, with its ETag."""
    document = session_document(await session.info(), call.cleaned)
    headers = _headers(document)
    if status == 201:
        headers["Location"] = f"/v1/sessions/{document.id}"
    return Answer(document, status, headers)


async def tagged(session: AsyncSession) -> dict[str, str]:
    """Headers of an answer that is not the session: what changed in it changed its ETag, which is wanted next."""
    return _headers(session_document(await session.info()))


def _headers(document: SessionDocument) -> dict[str, str]:
    return {"ETag": _etag(document), "Cache-Control": "no-cache"}


def _etag(document: SessionDocument) -> str:
    """`rev.last_seq.checksum`: a turn that ends, or a hold that runs out, moves neither number."""
    return f'"{document.etag}.{zlib.crc32(msgspec.json.encode(document)):08x}"'


@asynccontextmanager
async def guarded(call: Call, session: AsyncSession) -> AsyncGenerator[int | None]:
    """The version that If-Match names, for the change within: 412 where the session has another by now."""
    expected = _expected_rev(call)
    try:
        yield expected
    except SessionConflict as error:
        if expected is None:
            raise
        rev = (await session.info()).rev
        if rev == expected:  # it is as the caller knows it: something else is in the way, such as a title that is taken
            raise
        msg = f"session {session.id!r} has rev {rev}, not {expected}: read it again and retry"
        raise problem("precondition-failed", msg, path="If-Match") from error


def _expected_rev(call: Call) -> int | None:
    """The version that If-Match names. Only `rev` counts: messages that came meanwhile change no metadata."""
    said = call.request.headers.get("if-match")
    if said is None or said.strip() == "*":
        return None
    rev = said.strip().strip('"').partition(".")[0]
    if not rev.isdecimal() or len(rev) > 15:
        raise problem("bad-request", f"If-Match is {said!r}; send one ETag, as the session came with", path="If-Match")
    return int(rev)
