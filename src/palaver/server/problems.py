"""Errors as the server answers them: problem documents (RFC 9457), one type for each class of error."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec
from starlette.responses import Response

from palaver.errors import (
    ContentErased,
    CorruptRecord,
    CounterUnavailable,
    CredentialRefused,
    CursorExpired,
    InvalidKey,
    InvalidMessage,
    MediaNotFound,
    PalaverError,
    SchemaMismatch,
    SessionAmbiguous,
    SessionBusy,
    SessionConflict,
    SessionEnded,
    SessionNotFound,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreUnavailable,
    TurnLost,
    UnsupportedFormat,
)
from palaver.info import SessionName

__all__ = ["KINDS", "Problem", "ProblemError", "answer", "of_error", "problem"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, as `application/problem+json`."""

    type: str
    """`/problems/<slug>`: what a program decides by. It can be read at that path."""
    title: str
    status: int
    detail: str
    """What happened this time, for a person."""
    retryable: bool = False
    """Whether the same request may succeed later without any change."""
    path: str | msgspec.UnsetType = msgspec.UNSET
    """Where in the request, such as `$.message.content[0]`."""
    outcome: str | msgspec.UnsetType = msgspec.UNSET
    """What became of the write: `not_written`, or `unknown`: then send it again with the same message id."""
    expected: Any = msgspec.UNSET
    actual: Any = msgspec.UNSET
    candidates: tuple[SessionName, ...] | msgspec.UnsetType = msgspec.UNSET
    """Of an ambiguous name: the sessions that it may mean, with their ids and titles."""
    began_at: datetime | msgspec.UnsetType = msgspec.UNSET
    """Of a busy session: when the turn began that runs in it."""
    expires_at: datetime | msgspec.UnsetType = msgspec.UNSET
    """Of a busy session: how long that turn keeps it, if there is no sign of life from it before."""
    instance: str | msgspec.UnsetType = msgspec.UNSET
    """Names this occurrence in the server's log."""


class Kind(msgspec.Struct, frozen=True):
    """One type of problem."""

    slug: str
    status: int
    title: str
    retryable: bool = False
    retry_after: int | None = None
    """Seconds."""


_UNAVAILABLE = 503
_AWAY = 5
"""Seconds after which a store whose server is away may be asked again."""
_STATUS: dict[type[PalaverError], int] = {
    SessionNotFound: 404,
    SessionBusy: 409,
    SessionAmbiguous: 409,
    SessionConflict: 409,
    SessionEnded: 409,
    MediaNotFound: 404,
    TurnLost: 409,
    CursorExpired: 410,
    InvalidKey: 422,
    InvalidMessage: 422,
    ContentErased: 410,
    CredentialRefused: 422,
    UnsupportedFormat: 422,
    CorruptRecord: 500,
    CounterUnavailable: 500,
    StoreError: 500,
    StoreBusy: 503,
    StoreUnavailable: 503,
    StoreFull: 507,
    SchemaMismatch: 500,
    StoreClosed: 503,
    PalaverError: 500,
}


# What the library's errors say of Python is said otherwise here.
_TITLES: dict[type[PalaverError], str] = {
    SessionNotFound: "No such session, key or turn for this owner: check the id and the owner.",
    TurnLost: "The turn has ended or was taken over: POST what was not stored to its session's messages to keep it.",
}


def _kind(error: type[PalaverError], status: int) -> Kind:
    slug = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", error.__name__).lower()
    title = _TITLES.get(error) or (error.__doc__ or "").partition("\n")[0]
    wait = 1 if error.retryable and status in {409, 503} else None
    return Kind(slug, status, title, error.retryable, wait)


_OF_ERROR = {error: _kind(error, status) for error, status in _STATUS.items()}

_OWN = (
    Kind("bad-request", 400, "The request is not one that can be understood."),
    Kind("invalid-json", 400, "The body is not JSON in UTF-8."),
    Kind("unauthorized", 401, "The server asks for a key, and this request has none that it knows."),
    Kind("forbidden", 403, "This key does not allow that."),
    Kind("host-not-allowed", 403, "The server is asked under a name, or by a page, that it does not answer."),
    Kind("operator-only", 403, "This is about the whole store: ask for it without naming an owner."),
    Kind("not-found", 404, "There is nothing at this path."),
    Kind("item-not-found", 404, "The conversation has no such item, or not any more."),
    Kind("method-not-allowed", 405, "This path does not take this method; Allow names those it takes."),
    Kind("precondition-failed", 412, "The session has changed: read it again, and send its new ETag."),
    Kind("incognito-unavailable", 409, "This server keeps no incognito sessions: it has several processes."),
    Kind("body-too-slow", 408, "The body took longer than the server waits."),
    Kind("body-too-large", 413, "The body is larger than the server takes."),
    Kind("unsupported-media-type", 415, "Bodies are JSON: send Content-Type: application/json."),
    Kind("invalid-request", 422, "The request is well-formed but not what this path takes."),
    Kind("session-required", 400, "The request does not say which conversation it belongs to."),
    Kind("no-upstream", 404, "The server has no upstream: start it with one, to pass requests on."),
    Kind("nothing-to-answer", 400, "All that the request says is stored, and answered."),
    Kind("not-legal", 400, "The messages are none that a model takes."),
    Kind("previous-response-not-found", 400, "There is no such response that the request could go on from."),
    Kind("upstream-failed", 502, "The upstream cannot be reached, or its answer cannot be read.", retryable=True),
    Kind("upstream-timeout", 504, "The upstream did not answer in time.", retryable=True),
    Kind("idempotency-key-reused", 422, "This Idempotency-Key came with another request before."),
    Kind("rate-limited", 429, "Requests come too fast: wait as long as Retry-After says.", retryable=True),
    Kind("internal-error", 500, "The server failed; its log says how."),
    Kind("too-many-streams", 503, "So many listen to this server that it takes no more.", retryable=True),
    Kind(
        "shutting-down",
        503,
        "The server is being stopped: send the request again in a moment.",
        retryable=True,
        retry_after=1,
    ),
)

KINDS: dict[str, Kind] = {kind.slug: kind for kind in (*_OF_ERROR.values(), *_OWN)}
"""Every type of problem, by its slug."""


class ProblemError(Exception):
    """A problem that the server found itself; it is answered as it is."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found.detail)
        self.problem = found


def problem(slug: str, detail: str, *, path: str | None = None) -> ProblemError:
    """A problem of one of the server's own types."""
    kind = KINDS[slug]
    return ProblemError(_made(kind, detail, path=msgspec.UNSET if path is None else path))


def _made(kind: Kind, detail: str, **fields: Any) -> Problem:
    return Problem(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=fields.pop("status", kind.status),
        detail=detail,
        retryable=fields.pop("retryable", kind.retryable),
        **fields,
    )


def of_error(error: PalaverError, *, path: str | None = None, owner: str | None = None) -> Problem:
    """The problem that an error of the library is.

    `owner`: whose sessions the asker's key opens, and no others. What such a one asks is no reason to be told where the
    store lies, as its errors say, or what cannot be read in it.
    """
    kind = next(_OF_ERROR[cls] for cls in type(error).__mro__ if cls in _OF_ERROR)
    fields: dict[str, Any] = {}
    if path is not None:
        fields["path"] = path
    if isinstance(error, SessionConflict) and (error.expected is not None or error.actual is not None):
        fields["expected"], fields["actual"] = error.expected, error.actual
    if isinstance(error, SessionAmbiguous):
        fields["candidates"] = error.candidates
    if isinstance(error, StoreError):
        fields["outcome"] = error.outcome
        fields["retryable"] = error.retryable
        if error.outcome == "unknown":  # the status must not promise that nothing was written
            fields["status"] = 500
    hidden = owner is not None and isinstance(error, (CorruptRecord, StoreError))
    return _made(kind, kind.title if hidden else str(error), **fields)


def retry_after(found: Problem) -> dict[str, str]:
    """The header that says when a request may be sent again, where that is all that it needs."""
    kind = KINDS[found.type.rpartition("/")[2]]
    if found.status != kind.status:
        return {}
    if kind.retry_after is not None:
        return {"Retry-After": str(kind.retry_after)}
    return {"Retry-After": str(_AWAY)} if found.retryable and found.status == _UNAVAILABLE else {}


def answer(found: Problem, headers: dict[str, str] | None = None) -> Response:
    """A problem as a response."""
    out = dict(headers or {})
    out |= retry_after(found)
    if found.status in {408, 413}:
        out["Connection"] = "close"  # what is left of the body is not read
    return Response(
        msgspec.json.encode(found), status_code=found.status, headers=out, media_type="application/problem+json"
    )
