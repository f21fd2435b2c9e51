"""A window laid over its transcript: for each position whether the model sees it, and if not, why not."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec

from palaver.model import Message
from palaver.operations.ranges import joined
from palaver.records import SessionRecord
from palaver.rows import GONE, CompactionRow
from palaver.tokens import tokens_of
from palaver.window import Window

__all__ = ["SAYS", "Group", "Share", "Span", "State", "counts_of", "shares_of", "spans_of", "summary_in"]

State: TypeAlias = Literal[
    "inside",
    "pending",
    "compacted",
    "budget",
    "before_user",
    "orphan",
    "hidden",
    "command",
    "empty",
    "reasoning",
    "waiting",
    "corrupt",
    "undone",
    "gone",
    "unread",
]

SAYS: dict[State, tuple[str, str]] = {
    "inside": ("seen", "The model sees these."),
    "pending": ("held back", "The running turn's last exchange: it is held back until all of its calls are answered."),
    "compacted": ("summarised", "The summary stands for these."),
    "budget": ("over budget", "They do not fit into the budget, or are older than what does."),
    "before_user": ("before a user", "They stand before the first message of the user, where a window must begin."),
    "orphan": ("orphan", "Results that answer no call; providers refuse them."),
    "hidden": ("hidden", "Kept, and never shown to a model."),
    "command": ("command", "Commands to the agent; they are never shown to a model."),
    "empty": ("empty", "The assistant says nothing there; providers refuse such messages."),
    "reasoning": ("bare reasoning", "Reasoning alone and unsigned, which a model would read as speech."),
    "waiting": ("waiting", "They came while a turn runs that was not shown them; the next turn sees them."),
    "corrupt": ("unreadable", "Their records cannot be decoded; see Health."),
    "undone": ("undone", "Rewound, deleted, replaced or cleared: stored, and no part of the conversation any more."),
    "gone": ("purged", "Removed for good; only their positions are left."),
    "unread": ("not read", "They are neither in the window nor listed as left out."),
}
"""Each state in a word, and what it means."""

Group: TypeAlias = Literal["instructions", "summary", "user", "assistant", "tool"]


class Span(msgspec.Struct, frozen=True):
    """Positions that have one thing in common."""

    from_seq: int
    through_seq: int
    state: State

    @property
    def count(self) -> int:
        """How many positions."""
        return self.through_seq - self.from_seq + 1


class Share(msgspec.Struct, frozen=True):
    """What a part of the window takes of it."""

    group: Group
    messages: int
    tokens: int


_Range: TypeAlias = tuple[int, int, State]


def summary_in(record: SessionRecord) -> CompactionRow | None:
    """The summary that holds; None: there is none."""
    return next((each for each in record.compactions if each.id == record.row.compaction), None)


def spans_of(window: Window, record: SessionRecord) -> list[Span]:
    """Every position of the session, in order, by what becomes of it."""
    last = record.head.last_seq
    cuts = [cut for cut in record.cuts if not cut.lifted]
    summary = summary_in(record)
    layers: list[list[_Range]] = [
        _runs((message.seq for message in window.messages if message.seq), "inside"),
        _runs((message.seq for message in window.pending if message.seq), "pending"),
        [(*each, "gone") for each in joined([(c.from_seq, c.through_seq) for c in cuts if c.kind in GONE])],
        [(*each, "undone") for each in joined([(c.from_seq, c.through_seq) for c in cuts if c.kind not in GONE])],
        sorted((each.from_seq, each.through_seq, each.reason) for each in window.omitted),
        [(1, summary.through_seq, "compacted")] if summary is not None and summary.through_seq else [],
        [(1, last, "unread")],
    ]
    return _painted(layers, last)


def _runs(seqs: Iterable[int], state: State) -> list[_Range]:
    return [(low, high, state) for low, high in joined([(seq, seq) for seq in seqs])]


def _painted(layers: Sequence[list[_Range]], last: int) -> list[Span]:
    """Each position by the first layer that has it."""
    starts = [[low for low, _, _ in layer] for layer in layers]
    edges = {1, last + 1}
    for layer in layers:
        for low, high, _ in layer:
            edges.update((low, high + 1))
    places = sorted(edge for edge in edges if 1 <= edge <= last + 1)
    out: list[Span] = []
    for low, following in pairwise(places):
        for layer, begins in zip(layers, starts, strict=True):
            place = bisect_right(begins, low) - 1
            if place >= 0 and layer[place][1] >= low:
                state = layer[place][2]
                break
        else:
            continue
        if out and out[-1].state == state and out[-1].through_seq == low - 1:
            out[-1] = Span(out[-1].from_seq, following - 1, state)
        else:
            out.append(Span(low, following - 1, state))
    return out


def counts_of(spans: Iterable[Span]) -> dict[State, int]:
    """How many positions are in each state, in the order of `SAYS`."""
    sums: dict[State, int] = {}
    for span in spans:
        sums[span.state] = sums.get(span.state, 0) + span.count
    return {state: sums[state] for state in SAYS if state in sums}


def shares_of(window: Window) -> list[Share]:
    """What the window is made of."""
    sums: dict[Group, tuple[int, int]] = {}
    for place, message in enumerate(window.messages):
        group = _group(message, is_lead=place < window.head_count)
        messages, tokens = sums.get(group, (0, 0))
        sums[group] = messages + 1, tokens + tokens_of((message,), window.estimate_percent)
    order: tuple[Group, ...] = ("instructions", "summary", "user", "assistant", "tool")
    return [Share(group, *sums[group]) for group in order if group in sums]


def _group(message: Message, *, is_lead: bool) -> Group:
    if is_lead:
        return "instructions" if message.seq else "summary"
    if message.role in {"system", "developer"}:
        return "instructions"
    return "user" if message.role == "user" else ("tool" if message.role == "tool" else "assistant")
