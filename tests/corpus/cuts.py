"""Ways in which a history is cut: budgets, a crash after any message, a compaction at any legal point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from palaver.budget import Budget
from palaver.exchanges import boundary
from palaver.info import Summary
from palaver.model import Message, user
from palaver.window import Tail, Window, legal_window

__all__ = ["KINDS", "Cut", "crashed", "every_cut", "some_cuts"]

KINDS = ("messages", "tokens", "crash", "compaction")
_TOKENS = (8, 64, 512, 4096)
_ALL = Budget(1_000_000)


class Cut(NamedTuple):
    """A window, and how it came about."""

    how: str
    window: Window


def some_cuts(messages: Sequence[Message], kind: str) -> Iterator[Cut]:
    """All cuts of one kind, each alone."""
    tail = Tail.of(messages)
    if kind == "messages":
        for limit in range(1, len(messages) + 1):
            yield Cut(f"the last {limit} messages", legal_window(tail, Budget(limit)))
    elif kind == "tokens":
        for tokens in _TOKENS:
            yield Cut(f"{tokens} tokens", legal_window(tail, Budget(1_000_000, max_tokens=tokens)))
        for turns in (1, 2):
            yield Cut(f"{turns} turns", legal_window(tail, Budget(1_000_000, max_turns=turns)))
    else:
        for how, broken in crashed(messages) if kind == "crash" else compacted(tail):
            yield Cut(how, legal_window(broken, _ALL))


def every_cut(messages: Sequence[Message]) -> Iterator[Cut]:
    """The product: each crash, each compaction of what it left, each budget, sticky or not."""
    for crash, left in crashed(messages):
        for summed_up, tail in [("", left), *compacted(left)]:
            count = len(tail.messages) + len(tail.head) + 1
            budgets = [Budget(limit) for limit in range(1, count + 1)]
            budgets += [Budget(1_000_000, max_tokens=tokens) for tokens in _TOKENS]
            budgets += [Budget(max(count // 2, 1), max_tokens=tokens, max_turns=2) for tokens in _TOKENS]
            for budget, sticky in product(budgets, (False, True)):
                anchored = tail if not sticky else _anchored(tail)
                how = f"{crash}; {summed_up or 'not compacted'}; {budget}{', sticky' * sticky}"
                yield Cut(how, legal_window(anchored, budget, sticky=sticky))


def _anchored(tail: Tail) -> Tail:
    """The same, with a window before that began in its middle."""
    seqs = [message.seq for message in tail.messages]
    return Tail(
        head=tail.head,
        messages=tail.messages,
        summary=tail.summary,
        anchor=seqs[len(seqs) // 2] if seqs else None,
        running_from=tail.running_from,
    )


def crashed(messages: Sequence[Message]) -> Iterator[tuple[str, Tail]]:
    """The history as it is after a crash behind each of its messages: at once, in the turn, and when the user wrote on.

    The whole one is among them: the last message was stored.
    """
    for count in range(1, len(messages) + 1):
        left = messages[:count]
        yield f"a crash after {count}", Tail.of(left)
        whole = Tail.of([*left, user("Are you still there?")])
        yield f"a crash after {count}, and the user wrote on", whole
        users = [message.seq for message in Tail.of(left).messages if message.role == "user"]
        if users:
            idle = Tail.of(left)
            running = Tail(head=idle.head, messages=idle.messages, running_from=users[-1])
            yield f"in the turn, at {count}", running


def compacted(tail: Tail) -> Iterator[tuple[str, Tail]]:
    """The tail after a compaction at each point where one may be: the end of an exchange that tears no other."""
    ends = sorted({boundary(tail.messages, message.seq) for message in tail.messages} - {0})
    for end in ends:
        rest = [message for message in tail.messages if message.seq > end]
        if not any(message.role == "user" for message in rest):
            covered = [message for message in tail.messages if message.seq <= end and message.role == "user"]
            rest = [*covered[-1:], *rest]  # the newest message of the user is read whatever covers it
        first = tail.messages[0].seq
        summary = Summary(id=1, text="They looked at shelves.", from_seq=first, through_seq=end)
        yield (
            f"a summary through {end}",
            Tail(head=tail.head, messages=tuple(rest), summary=summary, running_from=tail.running_from),
        )
