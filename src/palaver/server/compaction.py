"""Compaction over HTTP: what is due, what it is made of, and the summary that stands for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from palaver.compaction import CompactionDraft, CompactionDue, CompactionPolicy
from palaver.info import Summary
from palaver.server.answers import Compacted
from palaver.server.bodies import Positive
from palaver.server.lookup import session_of
from palaver.server.messages import Body, Count, NewUsage
from palaver.server.problems import problem
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

_CENTURY = 3_155_760_000
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=_CENTURY)]
Share: TypeAlias = Annotated[float, Meta(gt=0, le=1)]


class CompactSession(Body, frozen=True, kw_only=True):
    """Lets a summary stand for everything through a position."""

    summary: str
    through_seq: Count
    """Ends an exchange outside a running turn. 0: the summary covers nothing."""
    expected: Count | None = None
    """Id of the summary that this one continues (0: none); another by now is a conflict."""
    drafted_rev: Count | None = None
    """The draft's `rev`: a conflict where a message that it shows was changed since."""
    stop_reason: str | None = None
    """Why the model stopped, as its provider says it: what was cut short is refused."""
    usage: NewUsage | None = None
    """What making the summary used."""


class WithdrawSummary(Body, frozen=True, kw_only=True):
    """Takes the newest summary back."""

    expected: Positive | None = None
    """Its id; another by now is a conflict."""


class DueQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By which policy; without any limit by the server's, which is none unless it was given one."""

    max_messages: Positive | None = None
    max_tokens: Positive | None = None
    budget_share: Share | None = None
    """Of the window's budget."""
    after_idle: Seconds | None = None
    """Whether nobody has said anything for so many seconds."""
    keep_last: Positive = 8
    """How much of the end stays as it is."""
    keep: Literal["messages", "exchanges", "turns"] = "messages"
    """What `keep_last` counts."""

    def policy(self) -> CompactionPolicy | None:
        """The policy asked for, or None."""
        if self.max_messages is self.max_tokens is self.budget_share is self.after_idle is None:
            return None
        try:
            return CompactionPolicy(
                max_messages=self.max_messages,
                max_tokens=self.max_tokens,
                budget_share=self.budget_share,
                after_idle=timedelta(seconds=self.after_idle) if self.after_idle is not None else None,
                keep_last=self.keep_last,
                keep=self.keep,
            )
        except ValueError as exc:
            raise problem("invalid-request", str(exc), path="query") from exc


class DraftQuery(DueQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By which policy, and how much at a time."""

    size: Positive = 24_000
    """Tokens of messages, at most; one exchange is always in."""
    after: Count | None = None
    """Where the piece before ended; left out: the first piece."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What should be summarised by now."""

    session_id: str
    due: CompactionDue | None
    """Null: nothing."""


class Drafted(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of what should be summarised by now."""

    session_id: str
    draft: CompactionDraft | None
    """Null: nothing is due."""
    transcript: str | None
    """Its messages as one text, for a model that is told to summarise it; long results are cut, and say so."""


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """What stands for messages now."""

    summary: Summary | None
    """Null: no summary does."""


async def read_due(call: Call) -> Answer:
    """What should be summarised by now."""
    query: DueQuery = call.query
    session = await session_of(call)
    return Answer(Due(session_id=session.id, due=await session.compaction_due(query.policy())))


async def read_draft(call: Call) -> Answer:
    """The messages of what should be summarised by now."""
    query: DraftQuery = call.query
    session = await session_of(call)
    due = await session.compaction_due(query.policy())
    if due is None:
        return Answer(Drafted(session_id=session.id, draft=None, transcript=None))
    if query.after is not None and not due.from_seq <= query.after < due.through_seq:
        raise problem("invalid-request", f"what is due has no piece after {query.after}: begin again", path="query")
    draft = await session.compaction_draft(due, after=query.after, max_tokens=query.size)
    return Answer(Drafted(session_id=session.id, draft=draft, transcript=draft.transcript()))


async def compact_session(call: Call) -> Answer:
    """Let a summary stand for messages."""
    body: CompactSession = call.body
    usage = body.usage.usage() if body.usage is not None else None
    made = await (await session_of(call)).compact(
        body.summary,
        through_seq=body.through_seq,
        expected=body.expected,
        drafted_rev=body.drafted_rev,
        usage=usage,
        stop_reason=body.stop_reason,
    )
    return Answer(Compacted(summary=made, repairs=call.cleaned or msgspec.UNSET), 201)


async def withdraw_summary(call: Call) -> Answer:
    """Take the newest summary back."""
    body: WithdrawSummary = call.body or WithdrawSummary()
    left = await (await session_of(call)).withdraw_summary(expected=body.expected)
    return Answer(Withdrawn(summary=left))


_FOUND = ("session-not-found",)

ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/compaction",
        "readCompactionDue",
        "What of a session should be summarised by now.",
        read_due,
        {200: "The range, or null."},
        Due,
        query=DueQuery,
        problems=_FOUND,
    ),
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/compaction/draft",
        "readCompactionDraft",
        "The messages of what should be summarised, oldest first, as much as a model takes at once.",
        read_draft,
        {200: "A piece of what is due, or null."},
        Drafted,
        query=DraftQuery,
        problems=_FOUND,
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/compact",
        "compactSession",
        "Let a summary stand for everything through a position; the messages stay.",
        compact_session,
        {201: "The summary."},
        Compacted,
        bodies=(CompactSession,),
        problems=(*_FOUND, "session-conflict", "session-ended"),
        example={"summary": "They added two and two.", "through_seq": 4},
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/compaction/withdraw",
        "withdrawSummary",
        "Take the newest summary back: the one before stands again, or the messages.",
        withdraw_summary,
        {200: "The summary that stands now, or null."},
        Withdrawn,
        bodies=(WithdrawSummary,),
        body_required=False,
        problems=(*_FOUND, "session-conflict", "session-ended"),
        example={"expected": 3},
    ),
)
