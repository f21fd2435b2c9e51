"""Keeping a store in order over HTTP: sweeping, and what is to be done before a reset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from palaver.info import Todo
from palaver.server.limits import MAX_LEASE_SECONDS, MAX_PAGE
from palaver.server.messages import Body, Count
from palaver.server.table import Answer, Call, Endpoint
from palaver.sweeping import SweepAction, SweepPolicy

__all__ = ["ENDPOINTS"]

MAX_ACTIONS = 10_000
_NEVER = 10_000 * 365 * 86_400
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=_NEVER)]
Steps: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_ACTIONS)]
LeaseSeconds: TypeAlias = Annotated[float, Meta(ge=1, le=MAX_LEASE_SECONDS)]
TodoCount: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Reason: TypeAlias = Annotated[str, Meta(pattern=r"\S")]


class SweepBody(Body, frozen=True, kw_only=True):
    """What to sweep. What is left out is as the library's SweepPolicy has it; null is never."""

    dry_run: bool = False
    """Change nothing, and say what would be done."""
    limit: Steps = 1000
    """The most that is done; `more` says that there is more."""
    empty_after_seconds: Seconds | UnsetType | None = UNSET
    """How long an empty session stays."""
    purge_deleted_after_seconds: Seconds | UnsetType | None = UNSET
    """How long a deleted session can be restored."""
    archive_after_seconds: Seconds | UnsetType | None = UNSET
    """How long a session is silent before it is archived."""
    delete_after_seconds: Seconds | UnsetType | None = UNSET
    """How long a session is silent before it is deleted."""
    max_bytes: Count | UnsetType | None = UNSET
    """Room for all sessions; the ones that were silent longest go first."""
    keep_changes: Count | UnsetType | None = UNSET
    """How many of the newest lines of the change feed stay."""
    expire: bool | UnsetType = UNSET
    """Whether sessions that the server's reset policy says are over are reset."""
    orphans: bool | UnsetType = UNSET
    """Whether what belongs to nothing is removed."""

    def policy(self) -> SweepPolicy:
        """The same as the library's value."""
        given: dict[str, Any] = {}
        for name, value in msgspec.structs.asdict(self).items():
            if name in ("dry_run", "limit") or value is UNSET:
                continue
            short = name.removesuffix("_seconds")
            given[short] = timedelta(seconds=value) if short != name and value is not None else value
        return SweepPolicy(**given)


class SweepDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep did; in a dry run, what it would do."""

    dry_run: bool
    actions: tuple[SweepAction, ...]
    counts: dict[str, int]
    """How many actions of each kind."""
    more: bool
    """Whether `limit` ended it: sweep again."""
    changed: int
    """Sessions that were in use again when their turn came, and were left alone."""
    given_up: tuple[Todo, ...]
    """To-dos whose third attempt failed."""


class TodoQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which to-dos to list, and how many."""

    limit: TodoCount = 100
    given_up: bool = False
    """Those that failed three times, instead of those that wait to be claimed."""


class Todos(msgspec.Struct, frozen=True, kw_only=True):
    """To-dos, oldest first."""

    todos: tuple[Todo, ...]


class ClaimBody(Body, frozen=True, kw_only=True):
    """For how long a to-do is taken."""

    lease_seconds: LeaseSeconds = 600


class AcknowledgeBody(Body, frozen=True, kw_only=True):
    """Which claim is done, and what it was about."""

    token: str = ""
    """Of the claim; empty takes a to-do off the table that was given up."""
    through_seq: Count = 0
    """As the claim said."""


class FailBody(Body, frozen=True, kw_only=True):
    """Which claim has failed, and why."""

    token: str
    reason: Reason


async def sweep(call: Call) -> Answer:
    """Sweep, or say what a sweep would do."""
    body: SweepBody = call.body or SweepBody()
    report = await call.sessions.sweep(body.policy(), dry_run=body.dry_run, limit=body.limit)
    return Answer(
        SweepDocument(
            dry_run=report.dry_run,
            actions=report.actions,
            counts={str(what): count for what, count in report.counts.items()},
            more=report.more,
            changed=report.changed,
            given_up=report.given_up,
        )
    )


async def due(call: Call) -> Answer:
    """To-dos that wait to be claimed."""
    query: TodoQuery = call.query
    return Answer(Todos(todos=tuple(await call.sessions.due(limit=query.limit, given_up=query.given_up))))


async def claim(call: Call) -> Answer:
    """Take a to-do."""
    body: ClaimBody = call.body or ClaimBody()
    lease = timedelta(seconds=body.lease_seconds)
    return Answer(await call.sessions.claim(call.path["session_id"], lease=lease))


async def acknowledge(call: Call) -> Answer:
    """A to-do is done."""
    body: AcknowledgeBody = call.body or AcknowledgeBody()
    return Answer(await call.sessions.acknowledge(_named(call, body.token, body.through_seq)))


async def fail(call: Call) -> Answer:
    """A to-do could not be done."""
    body: FailBody = call.body
    return Answer(await call.sessions.fail(_named(call, body.token, 0), body.reason))


def _named(call: Call, token: str, through_seq: int) -> Todo:
    """As much of a to-do as its end asks for."""
    return Todo(
        session_id=call.path["session_id"],
        reason="",
        state="claimed" if token else "given_up",
        made_at=datetime.fromtimestamp(0, UTC),
        token=token,
        through_seq=through_seq,
    )


_PROBLEMS = ("session-not-found", "session-conflict")

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/sweep",
        "sweep",
        "Reset what is over, archive and remove what the policy says; `dry_run` only says what it would do.",
        sweep,
        {200: "What was done, and why."},
        SweepDocument,
        bodies=(SweepBody,),
        body_required=False,
        example={"dry_run": True, "delete_after_seconds": 7776000},
        asks="operator",
    ),
    Endpoint(
        "GET",
        "/v1/todos",
        "readTodos",
        "What is to be done before sessions are reset for good, oldest first.",
        due,
        {200: "To-dos that wait to be claimed, or that were given up."},
        Todos,
        query=TodoQuery,
    ),
    Endpoint(
        "POST",
        "/v1/todos/{session_id}/claim",
        "claimTodo",
        "Take a session's to-do, so that no other worker does it.",
        claim,
        {200: "The to-do, with the claim's token."},
        Todo,
        bodies=(ClaimBody,),
        body_required=False,
        problems=(*_PROBLEMS, "session-busy"),
        example={"lease_seconds": 600},
    ),
    Endpoint(
        "POST",
        "/v1/todos/{session_id}/acknowledge",
        "acknowledgeTodo",
        "Say that a claimed to-do is done.",
        acknowledge,
        {200: "The to-do."},
        Todo,
        bodies=(AcknowledgeBody,),
        body_required=False,
        problems=_PROBLEMS,
        example={"token": "9mc4h2v0k7rt", "through_seq": 12},
    ),
    Endpoint(
        "POST",
        "/v1/todos/{session_id}/fail",
        "failTodo",
        "Say that a claimed to-do could not be done; after the third time it is given up.",
        fail,
        {200: "The to-do."},
        Todo,
        bodies=(FailBody,),
        problems=_PROBLEMS,
        example={"token": "9mc4h2v0k7rt", "reason": "the model did not answer"},
    ),
)
