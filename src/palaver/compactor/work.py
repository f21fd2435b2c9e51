"""What a Compactor does, once for both APIs: it yields what it wants done, and is sent the outcome."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

import msgspec

from palaver.aio.session import AsyncSession
from palaver.compaction import CompactionDraft, CompactionDue, CompactionPolicy, summary_text
from palaver.compactor.values import Compaction, Outcome, summarised
from palaver.errors import InvalidMessage, SessionConflict, SessionEnded, SessionNotFound
from palaver.info import Summary
from palaver.model import Message, Usage
from palaver.operations import CompactedMeanwhile
from palaver.session import Session

__all__ = ["Ask", "Do", "Plan", "Wait", "Work", "work"]

ROUNDS = 3
"""Times that a run begins anew where messages changed while the model read them."""


class Do(msgspec.Struct, frozen=True):
    """A verb of the session."""

    verb: Callable[[], Any]


class Ask(msgspec.Struct, frozen=True):
    """A call of the model."""

    messages: tuple[Message, ...]
    previous: str | None


class Wait(msgspec.Struct, frozen=True):
    """A pause, in seconds."""

    seconds: float


Work: TypeAlias = Generator[Do | Ask | Wait, Any, Compaction]
Steps: TypeAlias = Generator[Do | Ask | Wait, Any, Any]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a Compactor works."""

    policy: CompactionPolicy | None
    max_tokens: int
    attempts: int
    pause: float


class _Log:
    """What has happened so far."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.summaries: list[Summary] = []
        self.calls = 0
        self.failures: list[str] = []
        self.usage: Usage | None = None

    def used(self, usage: Usage) -> None:
        """Add to what the calls used."""
        had = self.usage or Usage()
        sums = {
            name: getattr(had, name) + getattr(usage, name)
            for name in ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
        }
        cost = None if had.cost is usage.cost is None else (had.cost or 0) + (usage.cost or 0)
        self.usage = msgspec.structs.replace(usage, prompt_tokens=None, cost=cost, **sums)

    def ended(self, outcome: Outcome) -> Compaction:
        """The end."""
        return Compaction(
            session_id=self.session_id,
            outcome=outcome,
            summaries=tuple(self.summaries),
            calls=self.calls,
            failures=tuple(self.failures),
            usage=self.usage,
        )


def work(session: Session | AsyncSession, plan: Plan) -> Work:
    """Summarise what is due in a session. What another writer does meanwhile is an outcome, and no error."""
    log = _Log(session.id)
    try:
        for _ in range(ROUNDS):
            due: CompactionDue | None = yield Do(lambda: session.compaction_due(plan.policy))
            if due is None:
                return log.ended("compacted" if log.summaries else "nothing_due")
            outcome: Outcome = yield from _summarise(session, plan, due, log)
            if outcome != "changed":
                return log.ended(outcome)
        return log.ended("changed")
    except (SessionNotFound, SessionEnded) as error:
        log.failures.append(str(error))
        return log.ended("gone")


def _summarise(session: Session | AsyncSession, plan: Plan, due: CompactionDue, log: _Log) -> Steps:
    """One piece after another: each summary is told to the next piece, and committed where a turn ends."""
    text = due.previous.text if due.previous is not None else None
    after: int | None = None
    rev: int | None = None
    while True:
        draft: CompactionDraft = yield from _draft(session, plan, due, after)
        rev = draft.rev if rev is None else rev  # of the first piece that the summary tells of
        if draft.messages:
            told = yield from _ask(session, plan, draft, text, log)
            if told is None:
                return "gave_up"
            text = told
        if draft.may_commit and text is not None:
            made = yield from _commit(session, due, draft, text, rev, log)
            if not isinstance(made, Summary):
                return made
            due = msgspec.structs.replace(due, from_seq=made.through_seq + 1, previous=made)
            rev = None
        if draft.ends:
            return "compacted"
        after = draft.through_seq


def _draft(session: Session | AsyncSession, plan: Plan, due: CompactionDue, after: int | None) -> Steps:
    return (yield Do(lambda: session.compaction_draft(due, after=after, max_tokens=plan.max_tokens)))


def _ask(session: Session | AsyncSession, plan: Plan, draft: CompactionDraft, previous: str | None, log: _Log) -> Steps:
    """The text of a summary, or None where the model gave none however often it was asked."""
    for attempt in range(plan.attempts):
        if attempt:
            yield Wait(plan.pause * 2 ** (attempt - 1))
        log.calls += 1
        try:
            given = yield Ask(draft.messages, previous)
        except Exception as error:  # noqa: BLE001 - how a model's library fails is its own affair; it is told
            log.failures.append(f"{type(error).__name__}: {error}")
            continue
        answer = summarised(given)
        usage = answer.usage
        if usage is not None:  # at once: the call was made and paid for, whatever becomes of its summary
            log.used(usage)
            yield from _record(session, usage)
        try:
            return summary_text(answer.text, answer.stop_reason)
        except InvalidMessage as error:
            log.failures.append(str(error))
    return None


def _record(session: Session | AsyncSession, usage: Usage) -> Steps:
    yield Do(lambda: session.record_usage(usage))


def _commit(
    session: Session | AsyncSession, due: CompactionDue, draft: CompactionDraft, text: str, rev: int, log: _Log
) -> Steps:
    """The summary as it stands now; or `superseded`, or `changed`."""
    try:
        made: Summary = yield Do(
            lambda: session.compact(text, through_seq=draft.through_seq, expected=due.expected, drafted_rev=rev)
        )
    except CompactedMeanwhile as error:
        log.failures.append(str(error))
        # A higher number is another's summary; a lower one, that a change made the one before stale.
        return "superseded" if error.actual > error.expected else "changed"
    except SessionConflict as error:
        log.failures.append(str(error))
        return "changed"
    log.summaries.append(made)
    return made
