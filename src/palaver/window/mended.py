"""The other path: all exchanges, made legal; then the same choice, and a list of what was mended or left out."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter

import msgspec

from palaver.annotations import WindowOptions
from palaver.budget import Budget, fill
from palaver.exchanges import Exchange, Repair
from palaver.model import Message
from palaver.replay import OmittedReason, Replay, is_delivery, replay, replayable
from palaver.tokens import tokens_of
from palaver.window.limits import floor_seq, from_anchor, spoken
from palaver.window.values import Omitted, Tail, Window

__all__ = ["mended_window"]

_seq_of = attrgetter("seq")


class _Choice(msgspec.Struct, frozen=True, gc=False):
    """Which of the exchanges a window has: all from index `begin` on, and the one at `forced` though it is before."""

    begin: int
    forced: int | None = None
    older: bool = False
    """Whether messages before those were left out for the budget, now or when the anchor was set."""
    short: bool = False


def mended_window(tail: Tail, budget: Budget, options: WindowOptions, *, sticky: bool) -> Window:
    """The window of any tail: what no provider takes is mended or left out, and listed."""
    view = replay(tail.messages, tail.running_from, options, tail.after)
    lead, skipped = _front(tail, budget)
    choice = _choose(tail, view.exchanges, lead, budget, sticky=sticky)
    chosen = view.exchanges[choice.begin :]
    anchor = chosen[0].first_seq if chosen else None
    if choice.forced is not None:
        chosen.insert(0, view.exchanges[choice.forced])
        anchor = anchor or chosen[0].first_seq
    messages, repairs = _in_line(lead, chosen, view)
    mended = chosen if view.pending is None else [*chosen, view.pending]
    seqs = {message.seq for exchange in mended for message in exchange.messages}
    repairs.extend(repair for exchange in mended for repair in exchange.repairs)
    repairs.extend(Repair("stripped", seq, "it began with a copied annotation") for seq in view.stripped & seqs)
    return Window(
        messages=messages,
        head_count=len(lead),
        repairs=tuple(sorted(repairs, key=_seq_of)),
        omitted=_with_unread((*skipped, *_omitted(tail, view, seqs, choice, anchor)), tail),
        pending=() if view.pending is None else view.pending.messages,
        anchor=anchor,
        short=choice.short,
        estimate_percent=budget.estimate_percent,
    )


def _with_unread(omitted: tuple[Omitted, ...], tail: Tail) -> tuple[Omitted, ...]:
    """Also what the tail names and does not hold."""
    if not tail.waiting and not tail.corrupt:
        return omitted
    waiting = [Omitted(seq, seq, "waiting") for seq in tail.waiting]
    corrupt = [Omitted(seq, seq, "corrupt") for seq in tail.corrupt]
    return tuple(sorted((*omitted, *waiting, *corrupt), key=attrgetter("from_seq")))


def _front(tail: Tail, budget: Budget) -> tuple[tuple[Message, ...], list[Omitted]]:
    """The instructions and the summary, as far as they fit, in order; and the instructions that are left out."""
    lead: list[Message] = []
    skipped: list[Omitted] = []
    tokens = 0
    full = False
    for message in (*tail.head, *spoken(tail.summary)):
        if message.flags and not replayable(message):
            skipped.append(Omitted(message.seq, message.seq, "hidden" if "hidden" in message.flags else "command"))
            continue
        if budget.max_tokens is not None:
            tokens += tokens_of((message,), budget.estimate_percent)
            full = full or tokens > budget.max_tokens
        full = full or len(lead) == budget.max_messages
        if not full:
            lead.append(message)
        elif message.seq:
            skipped.append(Omitted(message.seq, message.seq, "budget"))
    return tuple(lead), skipped


def _choose(
    tail: Tail, exchanges: list[Exchange], lead: tuple[Message, ...], budget: Budget, *, sticky: bool
) -> _Choice:
    """Fill the budget, newest first, then begin at a message of the user."""
    floor, reached = from_anchor(tail, sticky=sticky)
    low = 0
    if floor and tail.after:  # not in order of position: the first that is not older
        from_seq = tail.messages[floor].seq
        low = next((i for i, e in enumerate(exchanges) if e.first_seq >= from_seq), len(exchanges))
    elif floor:
        low = bisect_left(exchanges, tail.messages[floor].seq, key=attrgetter("first_seq"))
    if low == len(exchanges):  # nothing that can be shown is left of the window before
        floor, reached, low = 0, tail.complete, 0
    newest = next((i for i in range(len(exchanges) - 1, -1, -1) if exchanges[i].messages[0].role == "user"), None)
    begin, overflow = fill(budget, lead, exchanges, low, newest)
    if overflow and sticky:
        begin, _ = fill(budget, lead, exchanges, low, newest, lowered=True)
    older = overflow or floor > 0
    short = not (overflow or reached)
    if newest is None:
        return _Choice(begin, None, older, short)
    if begin > newest:
        return _Choice(begin, newest, older, short)
    while exchanges[begin].messages[0].role != "user" and not (
        is_delivery(exchanges[begin]) and exchanges[begin + 1].messages[0].role == "user"
    ):
        begin += 1
    return _Choice(begin, None, older, short)


def _in_line(
    lead: tuple[Message, ...], chosen: list[Exchange], view: Replay
) -> tuple[tuple[Message, ...], list[Repair]]:
    """All messages in order; one that continues what is not before it any more stands for itself."""
    every = list(lead)
    for exchange in chosen:
        every.extend(exchange.messages)
    repairs: list[Repair] = []
    if view.before:
        # What calls is one with what continues it, also where an empty message between them was left out.
        one = {m.seq for e in chosen for m in e.messages[1:] if m.role == "assistant"}
        for index, message in enumerate(every):
            before = view.before.get(message.seq)
            if before is None or message.seq in one or (before and index and every[index - 1].seq == before):
                continue
            every[index] = message.replace(joins=False)
            repairs.append(Repair("unjoined", message.seq, "the message that it continues is not before it"))
    return tuple(every), repairs


def _omitted(tail: Tail, view: Replay, kept: set[int], choice: _Choice, anchor: int | None) -> list[Omitted]:
    """Runs of messages that are neither in the window nor pending, each with its reason."""
    runs: list[Omitted] = []
    default: OmittedReason = "budget" if choice.older else "before_user"
    floor = floor_seq(tail)
    last = 0
    open_run = False
    for message in tail.messages:
        seq = message.seq
        if seq in kept:
            open_run = False
        else:
            reason: OmittedReason = view.reasons.get(seq, default)
            if choice.older and (anchor is None or seq < anchor):
                reason = "budget"
            if open_run and runs[-1].reason == reason:
                runs[-1] = Omitted(runs[-1].from_seq, seq, reason)
            else:  # what was not read is older than what did not fit
                first = max(floor, last + 1) if reason == "budget" else seq
                runs.append(Omitted(min(first, seq), seq, reason))
            open_run = True
        last = seq
    return runs
