"""Taking sessions away over HTTP: so that they can be brought back, for good, or everywhere."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from palaver.erasure import EraseReport, Erasure, ScrubReport
from palaver.server.answers import SessionDocument
from palaver.server.bodies import NewOrigin, Positive
from palaver.server.lookup import session_of
from palaver.server.messages import Body
from palaver.server.problems import problem
from palaver.server.reach import session_handle
from palaver.server.revisions import guarded, shown
from palaver.server.table import Answer, Call, Endpoint
from palaver.times import from_micros

__all__ = ["ENDPOINTS"]

Name = Annotated[str, Meta(min_length=1)]


class PurgeSession(Body, frozen=True, kw_only=True):
    """What to remove: a range of messages, or the whole session, whose id must be said once more."""

    from_seq: Positive | None = None
    through_seq: Positive | None = None
    confirm: str | None = None
    """The session's id, to remove all of it."""


class Erase(Body, frozen=True, kw_only=True):
    """What to erase: one of the three."""

    owner: Name | None = None
    user: Name | NewOrigin | None = None
    """A person: `platform:id`, or an origin with a `user_id`."""
    session: Name | None = None
    dry_run: bool = False
    """Tell what would go, and change nothing."""
    scrub: bool = True
    """Write the store's files anew afterwards; others wait to write meanwhile."""


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is not found any more."""

    session_id: str
    messages: int
    """How many messages went, undone ones not counted where they can be had back."""
    restorable: bool
    """Whether they can be had back. False: they were removed for good."""


class ErasureDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure, by numbers alone."""

    id: str
    began_at: str
    ended_at: str | None
    """None: it was interrupted, or is under way; the next erasure finishes it."""
    scrubbed_at: str | None
    counts: dict[str, int]


class Erasures(msgspec.Struct, frozen=True, kw_only=True):
    """Every erasure, oldest first; none for an owner, who cannot see them."""

    erasures: tuple[ErasureDocument, ...]


async def delete_session(call: Call) -> Answer:
    """Make a session not found."""
    session = await session_of(call)
    count = (await session.info()).message_count
    async with guarded(call, session) as expected:
        await session.delete(expected_rev=expected)
    return Answer(Removed(session_id=session.id, messages=count, restorable=True))


async def restore_session(call: Call) -> Answer:
    """Bring a deleted session back."""
    return await shown(await call.sessions.restore(call.path["session_id"]), call)


async def purge_session(call: Call) -> Answer:
    """Remove messages, or a session, for good."""
    body: PurgeSession = call.body
    session_id = call.path["session_id"]
    whole = body.from_seq is None and body.through_seq is None
    if whole:
        if body.confirm != session_id:
            raise problem("invalid-request", "to remove a whole session, say its id in `confirm`", path="$.confirm")
        session = session_handle(call.sessions, session_id)  # also one that was deleted before, which is not found
        return Answer(Removed(session_id=session_id, messages=await session.purge(), restorable=False))
    if body.from_seq is None or body.through_seq is None:
        raise problem("invalid-request", "give both from_seq and through_seq, or neither", path="$.through_seq")
    found = await session_of(call)
    async with guarded(call, found) as expected:
        gone = await found.purge(body.from_seq, body.through_seq, expected_rev=expected)
    return Answer(Removed(session_id=found.id, messages=gone, restorable=False))


async def erase(call: Call) -> Answer:
    """Erase an owner, a person or a session."""
    body: Erase = call.body
    user = body.user.origin() if isinstance(body.user, NewOrigin) else body.user
    try:
        report = await call.sessions.erase(
            owner=body.owner, user=user, session=body.session, dry_run=body.dry_run, scrub=body.scrub
        )
    except ValueError as exc:
        raise problem("invalid-request", str(exc), path="$") from exc
    return Answer(report)


async def list_erasures(call: Call) -> Answer:
    """What was erased, and when."""
    return Answer(Erasures(erasures=tuple(_document(row) for row in await call.sessions.erasures())))


async def scrub(call: Call) -> Answer:
    """Clean the store's files."""
    return Answer(await call.sessions.scrub())


def _document(row: Erasure) -> ErasureDocument:
    return ErasureDocument(
        id=row.id,
        began_at=from_micros(row.began_at).isoformat(),
        ended_at=_moment(row.ended_at),
        scrubbed_at=_moment(row.scrubbed_at),
        counts=row.counts,
    )


def _moment(micros: int | None) -> str | None:
    return from_micros(micros).isoformat() if micros is not None else None


_IF_MATCH = {"If-Match": "The ETag that the session had; its messages may have grown meanwhile."}

ENDPOINTS = (
    Endpoint(
        "DELETE",
        "/v1/sessions/{session_id}",
        "deleteSession",
        "Make a session not found; all of it stays, and can be restored until it is purged.",
        delete_session,
        {200: "It is not found any more."},
        Removed,
        problems=("session-not-found", "session-conflict", "precondition-failed"),
        headers=_IF_MATCH,
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/restore",
        "restoreSession",
        "Bring a deleted session back, by its id; it has ended, and no key points at it.",
        restore_session,
        {200: "The session as it is now."},
        SessionDocument,
        problems=("session-not-found", "session-conflict"),
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/purge",
        "purgeSession",
        "Remove messages for good, or, with its id in `confirm`, a whole session, also a deleted one.",
        purge_session,
        {200: "What was removed."},
        Removed,
        bodies=(PurgeSession,),
        problems=("session-not-found", "session-conflict", "precondition-failed"),
        example={"from_seq": 3, "through_seq": 4},
        headers=_IF_MATCH,
        asks="admin",
    ),
    Endpoint(
        "POST",
        "/v1/erase",
        "erase",
        "Erase all that belongs to an owner, a person or a session, everywhere in the store, and report it.",
        erase,
        {200: "What was erased, and what could not be reached."},
        EraseReport,
        bodies=(Erase,),
        problems=("session-not-found",),
        example={"user": "telegram:7", "dry_run": True},
        asks="admin",
    ),
    Endpoint(
        "GET",
        "/v1/erasures",
        "listErasures",
        "Every erasure, by numbers alone.",
        list_erasures,
        {200: "The erasures, oldest first."},
        Erasures,
        asks="operator",
    ),
    Endpoint(
        "POST",
        "/v1/scrub",
        "scrub",
        "Write the store's files anew, so that free space holds nothing of what was removed.",
        scrub,
        {200: "Whether it is done."},
        ScrubReport,
        problems=("store-busy", "store-full"),
        asks="operator",
    ),
)
