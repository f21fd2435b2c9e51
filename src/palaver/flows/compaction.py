"""What the verbs of compaction do: what is due, what it is made of, and the summary that stands for it."""

from __future__ import annotations

from typing import Any

from palaver.budget import calibrated
from palaver.compaction import CompactionDraft, CompactionDue, CompactionPolicy, compaction_due, drafted, summary_text
from palaver.core import Core
from palaver.errors import InvalidMessage, SessionConflict
from palaver.exchanges import group
from palaver.flows.history import SLACK, calibration_of
from palaver.flows.sessions import record_usage, turns_around
from palaver.info import Summary
from palaver.model import Message, Usage
from palaver.operations import Compact, RecordUsage, Withdraw
from palaver.rows import MOST, CompactionRow
from palaver.steps import Flow, call, commit, long_call, write
from palaver.stores import views
from palaver.tokens import tokens_of

__all__ = ["compact", "draft", "due", "withdraw"]

_PAGE = 200
_FARTHEST = 100_000


def due(core: Core, session_id: str, policy: CompactionPolicy | None) -> Flow[CompactionDue | None]:
    """What should be summarised by now, or None. One bounded read, unless the end of a long turn has to be found."""
    policy = policy or core.settings.compaction_policy
    if not policy.active:
        return None
    turn = yield from call(core.store.turn, session_id, core.owner)
    budget = calibrated(core.settings.budget, calibration_of(turn))
    before = turn.first_seq if turn is not None and turn.state == "running" else None
    limit = min(max(budget.max_messages, policy.keep_last), MOST) + SLACK
    while True:
        tail = yield from long_call(core.store.tail, session_id, core.owner, core.now(), limit=limit)
        found = compaction_due(policy, tail, budget, before=before, now=core.now())
        if found is not None or tail.complete or limit > _FARTHEST:
            return found
        limit *= 4


def draft(
    core: Core, session_id: str, wanted: CompactionDue, *, after: int | None, max_tokens: int
) -> Flow[CompactionDraft]:
    """The next piece of what is due, after a position (None: the first piece)."""
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; a piece has at least one message, whatever its size")
    # Read before the messages: what changes after this is found when the summary is committed.
    info = yield from call(core.store.info, session_id, core.owner, core.now())
    last = wanted.from_seq - 1 if after is None else after
    from_seq = last + 1
    messages: list[Message] = []
    corrupt: list[int] = []
    size = 0
    while True:
        page = yield from long_call(
            core.store.page, session_id, core.owner, after=last, before=wanted.through_seq + 1, limit=_PAGE
        )
        messages += page
        corrupt += page.corrupt
        size += tokens_of(page)
        whole = len(page) + len(page.corrupt) < _PAGE
        last = max([last, *(m.seq for m in page[-1:]), *page.corrupt])
        if not whole and size <= max_tokens:
            continue
        made = drafted(
            messages, wanted, from_seq=from_seq, max_tokens=max_tokens, whole=whole, rev=info.rev, corrupt=corrupt
        )
        if made is not None:
            return made


def compact(
    core: Core,
    session_id: str,
    summary: str | Message,
    *,
    through_seq: int,
    expected: int | None = None,
    drafted_rev: int | None = None,
    usage: Usage | None = None,
    stop_reason: str | None = None,
) -> Flow[Summary]:
    """Let a summary stand for everything through `through_seq`."""
    try:
        text = summary_text(summary, stop_reason)
    except InvalidMessage:
        if usage is not None:  # the call was made and paid for, whether its summary is used or not
            yield from record_usage(core, session_id, usage, None)
        raise
    if expected is None:
        tail = yield from call(core.store.tail, session_id, core.owner, core.now(), limit=1)
        expected = tail.summary.id if tail.summary is not None else 0
    around = yield from turns_around(core, session_id, through_seq)
    for exchange in group(around):
        first, last = exchange.first_seq, exchange.last_seq
        if exchange.messages and first <= through_seq < last:
            msg = (
                f"seq {through_seq} lies inside an exchange of session {session_id!r} that goes from seq {first} "
                f"to {last}: end the summary at {first - 1} or {last}"
            )
            raise SessionConflict(msg, expected=through_seq, actual=(first, last))
    operations: list[Any] = []
    if usage is not None:  # first: a crash between the two must not leave a summary that nobody paid for
        charged = core.priced(usage) or usage
        operations.append(RecordUsage(at=core.at(), owner=core.owner, session_id=session_id, usage=charged))
    operations.append(
        Compact(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            through_seq=through_seq,
            text=text,
            expected=expected,
            drafted_rev=drafted_rev,
        )
    )
    made = (yield from commit(*operations))[-1]
    if not isinstance(made, CompactionRow):
        raise made
    return views.summary(made)


def withdraw(core: Core, session_id: str, expected: int | None) -> Flow[Summary | None]:
    """Take the newest summary back; gives the one that stands now."""
    if expected is None:
        tail = yield from call(core.store.tail, session_id, core.owner, core.now(), limit=1)
        expected = tail.summary.id if tail.summary is not None else 0
    row: CompactionRow | None = yield from write(
        Withdraw(at=core.at(), owner=core.owner, session_id=session_id, expected=expected)
    )
    return views.summary(row) if row is not None else None
