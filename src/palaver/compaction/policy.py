"""When a summary is due, and through where it may reach: read off a tail, the same for the same transcript."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, cast, get_args

import msgspec

from palaver.annotations import WindowOptions
from palaver.budget import Budget, fits
from palaver.exchanges import Exchange, boundaries, group
from palaver.info import Summary
from palaver.model import Message
from palaver.replay import is_delivery, replay, replayable
from palaver.tokens import tokens_of
from palaver.window import Tail, floor_seq, spoken

__all__ = ["CompactionDue", "CompactionPolicy", "CompactionReason", "compaction_due", "starts_turn"]

Unit: TypeAlias = Literal["messages", "exchanges", "turns"]
CompactionReason: TypeAlias = Literal["messages", "tokens", "budget", "idle"]
"""`messages`, `tokens`: there are more than the policy allows; `budget`: they take more of the window's budget than the
policy's share, or do not fit in it any more; `idle`: nobody has said anything for as long as the policy says."""


class CompactionPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When messages shall be summarised, and how many stay as they are. Without any limit: never.

    Limits count messages that a model may see and that no summary stands for. With any of them a summary is due, at
    the latest, when messages do not fit in the window any more: nobody would see them. Raises ValueError for a limit
    below 1, or one that leaves nothing to summarise.
    """

    max_messages: int | None = None
    max_tokens: int | None = None
    """By `Message.tokens`, estimated where nobody counted."""
    budget_share: float | None = None
    """Of the window's budget, above 0 and at most 1; instructions and summary count."""
    after_idle: timedelta | None = None
    """When the newest message is so old, however few there are: who comes back is met by a summary. Of
    `Session.compaction_due` and Compactors, which know the time; no turn is ever idle."""
    keep_last: int = 8
    """How much of the end always stays as it is: so many of what `keep` says, and at least the newest turn."""
    keep: Unit = "messages"

    def __post_init__(self) -> None:
        for name in ("max_messages", "max_tokens", "keep_last"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"a compaction policy's {name} is at least 1, not {value!r}")
        share = self.budget_share
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"budget_share is {share!r}; give a share such as 0.75")
        if self.after_idle is not None and self.after_idle <= timedelta(0):
            raise ValueError(f"after_idle is {self.after_idle}; give a length of time, such as timedelta(hours=8)")
        if cast("object", self.keep) not in get_args(Unit):
            raise ValueError(f"keep is {self.keep!r}; use 'messages', 'exchanges' or 'turns'")
        if self.keep == "messages" and self.max_messages is not None and self.keep_last >= self.max_messages:
            raise ValueError(
                f"keep_last is {self.keep_last}, and max_messages {self.max_messages}: keep fewer than are too many"
            )

    @property
    def active(self) -> bool:
        """Whether there is any limit."""
        limits = (self.max_messages, self.max_tokens, self.budget_share, self.after_idle)
        return any(limit is not None for limit in limits)


class CompactionDue(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that a summary should stand for. Nothing is done about it: that is the caller's, with its own model."""

    from_seq: int
    """The first position to summarise: after the leading instructions, and after what the summary before covers."""
    through_seq: int
    """The last position to summarise: it ends an exchange, and before a turn."""
    reason: CompactionReason
    messages: int
    """How many of the messages that were read it covers; older ones may not have been read."""
    tokens: int
    """Their size."""
    kept: int
    """How many messages stay as they are."""
    previous: Summary | None = None
    """What the new summary continues: its text belongs in front of the messages."""

    @property
    def expected(self) -> int:
        """What `Session.compact` takes as `expected`: the id of the summary before, or 0."""
        return self.previous.id if self.previous is not None else 0


def compaction_due(
    policy: CompactionPolicy,
    tail: Tail,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    *,
    before: int | None = None,
    now: datetime | None = None,
) -> CompactionDue | None:
    """What should be summarised of a session by now, or None.

    It ends before a turn, so that what stays is a legal window that begins at a message of the user, and never reaches
    to the newest one. Users' messages without an answer between them stay together. `before` is where the running turn
    begins, where that is known better than by `tail.running_from`. Without `now` nobody is idle. A tail that does not
    reach far enough (it is not `complete`) may hide where a summary could end: then read more and ask again.
    """
    if not policy.active:
        return None
    floor = floor_seq(tail)
    raw = [m for m in tail.messages if m.seq >= floor and replayable(m)]
    limit = before if before is not None else tail.running_from
    reason = _reason(policy, tail, raw, budget) or (_idle(policy, tail, now) if limit is None else None)
    if reason is None:
        return None
    every = replay(tail.messages, tail.running_from, WindowOptions(), tail.after).exchanges
    addressed = any(e.messages[0].role == "user" for e in every)
    exchanges = [e for e in every if e.first_seq >= floor]
    index = _begin_of_rest(policy, exchanges, _ends(tail, limit), addressed=addressed)
    if not index:
        return None
    covered = [m for e in exchanges[:index] for m in e.messages if m.seq]
    return CompactionDue(
        from_seq=floor,
        through_seq=max(e.last_seq for e in exchanges[:index]),
        reason=reason,
        messages=len(covered),
        tokens=tokens_of(covered, budget.estimate_percent),
        kept=sum(bool(m.seq) for e in exchanges[index:] for m in e.messages),
        previous=tail.summary,
    )


def _reason(policy: CompactionPolicy, tail: Tail, raw: Sequence[Message], budget: Budget) -> CompactionReason | None:
    if policy.max_messages is not None and len(raw) > policy.max_messages:
        return "messages"
    if policy.max_tokens is not None and tokens_of(raw, budget.estimate_percent) > policy.max_tokens:
        return "tokens"
    share = policy.budget_share or 1
    smaller = msgspec.structs.replace(
        budget,
        max_messages=max(1, int(budget.max_messages * share)),
        max_tokens=max(1, int(budget.max_tokens * share)) if budget.max_tokens is not None else None,
        max_turns=max(1, int(budget.max_turns * share)) if budget.max_turns is not None else None,
    )
    if not tail.complete or not fits(smaller, [*filter(replayable, tail.head), *spoken(tail.summary), *raw]):
        return "budget"
    return None


def _idle(policy: CompactionPolicy, tail: Tail, now: datetime | None) -> CompactionReason | None:
    """`idle`, where nobody has said anything for long; hidden messages and commands were said too."""
    said = [m.created_at for m in tail.messages if m.created_at is not None]
    if policy.after_idle is None or now is None or not said:
        return None
    return "idle" if now - max(said) >= policy.after_idle else None


def _ends(tail: Tail, before: int | None) -> frozenset[int]:
    """Positions after which no exchange is torn; hidden messages have a say here too."""
    lost = 0
    if not tail.complete:  # the call that it answers may not have been read
        lost = max((e.last_seq for e in group(tail.messages) if not e.messages), default=0)
    return frozenset(end for end in boundaries(tail.messages) if end >= lost and (before is None or end < before))


def _begin_of_rest(
    policy: CompactionPolicy, exchanges: Sequence[Exchange], ends: frozenset[int], *, addressed: bool
) -> int:
    """Index of the first exchange that stays: the newest that may, with enough after it; 0: none."""
    reach: list[int] = []
    for exchange in exchanges:
        reach.append(max(exchange.last_seq, reach[-1] if reach else 0))
    kept = 0
    first = 1 << 62
    for index in range(len(exchanges) - 1, 0, -1):
        begins = starts_turn(exchanges, index)
        first = min(first, exchanges[index].first_seq)
        match policy.keep:
            case "messages":
                kept += sum(bool(m.seq) for m in exchanges[index].messages)
            case "exchanges":
                kept += 1
            case "turns":
                kept += begins
        end = reach[index - 1]  # all that stands before is older than all from here on, and nothing is torn
        if kept >= policy.keep_last and (begins or not addressed) and end < first and end in ends:
            return index
    return 0


def starts_turn(exchanges: Sequence[Exchange], index: int) -> bool:
    """Whether a turn begins at an exchange: a message of the user that follows something else.

    A delivery just before it belongs to it: the user may be answering that.
    """
    exchange = exchanges[index]
    before = exchanges[index - 1] if index else None
    if exchange.messages[0].role == "user":
        return before is None or not (before.messages[0].role == "user" or is_delivery(before))
    return (
        is_delivery(exchange)
        and (before is None or before.messages[0].role != "user")
        and index + 1 < len(exchanges)
        and exchanges[index + 1].messages[0].role == "user"
    )
