"""The window: what a model sees of a transcript, legal whatever happened to the transcript.

One function decides it, for reading, trimming and forking alike. A window is a view: exchanges, newest first into the
budget, behind the leading instructions and the summary, beginning at a message of the user. What no provider takes is
mended or left out, and listed; valid messages are never given up to make the rest legal, and input never changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from palaver.annotations import WindowOptions
from palaver.budget import Budget, fill, fits, leave_free
from palaver.exchanges import Exchange, Repair
from palaver.info import Summary
from palaver.model import Message, TextPart, ThinkingPart, ToolCall, ToolResult, Wire
from palaver.replay import OmittedReason, Replay, is_delivery, replay, replayable
from palaver.tokens import tokens_of

if TYPE_CHECKING:
    from palaver.formats import Rendered

__all__ = [
    "Budget",
    "Omitted",
    "OmittedReason",
    "Repair",
    "Tail",
    "Window",
    "WindowOptions",
    "floor_seq",
    "legal_window",
    "spoken",
]

SUMMARY_HEADING = "Summary of the conversation so far:\n"
_seq_of = attrgetter("seq")


class Tail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest part of a live transcript, as one read gives it."""

    messages: tuple[Message, ...] = ()
    """Ordered by seq, strictly increasing; without `head` and without what the summary covers. The newest message
    of the user comes first where the rest does not reach back to it, or the summary covers it."""
    head: tuple[Message, ...] = ()
    """The system and developer messages that the transcript begins with."""
    summary: Summary | None = None
    """The current summary; not a stale one."""
    anchor: int | None = None
    """Where the window before began (`Window.anchor`); None where that has lost its meaning, as after a cut."""
    running_from: int | None = None
    """Position of the first message of the running turn; None: no turn is running."""
    complete: bool = True
    """Whether `messages` reach back to the beginning, or to the summary; otherwise older ones were not read."""
    after: tuple[tuple[int, int], ...] = ()
    """Messages that were stored while a turn ran that was not shown them: position, and that of the turn's last
    message, which they come after."""
    waiting: tuple[int, ...] = ()
    """Positions of messages that the running turn was not shown; they are not in `messages`."""
    corrupt: tuple[int, ...] = ()
    """Positions of messages that could not be decoded; they are not in `messages`."""

    def at(self, seq: int) -> Message | None:
        """The message at a position, where it is one of `messages`."""
        place = bisect_left(self.messages, seq, key=_seq_of)
        found = self.messages[place] if place < len(self.messages) else None
        return found if found is not None and found.seq == seq else None

    @classmethod
    def of(cls, messages: Iterable[Message]) -> Tail:
        """A whole transcript as a tail. Messages are numbered from 1 if any has no position yet."""
        every = tuple(messages)
        if any(not message.seq for message in every):
            every = tuple(message.replace(seq=number) for number, message in enumerate(every, 1))
        begin = 0
        while begin < len(every) and every[begin].role in {"system", "developer"}:
            begin += 1
        return cls(head=every[:begin], messages=every[begin:])


class Omitted(msgspec.Struct, frozen=True, gc=False):
    """Messages that the window leaves out."""

    from_seq: int
    through_seq: int
    reason: OmittedReason


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model may see of a session: `messages`, and what was done to make it so."""

    messages: tuple[Message, ...] = ()
    """The instructions, the summary (seq 0), then the exchanges. Unmended messages are the very objects of the tail."""
    head_count: int = 0
    """How many messages stand before the first exchange."""
    repairs: tuple[Repair, ...] = ()
    omitted: tuple[Omitted, ...] = ()
    """In order of position, each message that is neither in the window nor pending. Older than what was read: too."""
    pending: tuple[Message, ...] = ()
    """The running turn's last exchange, held back until all of its calls are answered."""
    anchor: int | None = None
    """Position of the first exchange; where the running turn is cut short behind its user message, of the first one
    after the gap. Give it back as `Tail.anchor`. None: there is no exchange."""
    short: bool = False
    """Everything read fits and older messages were not read: read more and compute again."""
    estimate_percent: int = 100
    """What the budget multiplied estimates by; see `Budget.estimate_percent`."""

    @property
    def tokens(self) -> int:
        """Size of the window in tokens, estimated where nobody counted."""
        return tokens_of(self.messages, self.estimate_percent)

    def render(self, wire: Wire) -> Rendered:
        """The payload for a provider's wire format. Raises UnsupportedFormat, naming those that are known."""
        from palaver import formats  # a window is of use without any format

        return formats.render(wire, self.messages)


_IDLE = WindowOptions()


def legal_window(
    tail: Tail,
    budget: Budget = Budget(),  # noqa: B008  # frozen
    *,
    sticky: bool = False,
    options: WindowOptions = _IDLE,
) -> Window:
    """The window that a tail gives within a budget.

    The newest message of the user is always in. Exchanges enter newest first, as far as they fit, and those before
    the first message of the user leave again (a `delivery` just before it stays). Where the newest turn alone is too
    long, its oldest exchanges go; where no user ever wrote, the window begins at the oldest exchange that fits.

    With `sticky` it begins where the one before did (`tail.anchor`) while that fits, and else so that a quarter of
    the budget stays free: payloads share their beginning, and prompt caches hold. Without, it fills the budget.
    """
    if options is _IDLE or options.idle:
        window = _plain_window(tail, budget, sticky=sticky)
        if window is not None:
            return window
    return _mended_window(tail, budget, options, sticky=sticky)


def _from_anchor(tail: Tail, *, sticky: bool) -> tuple[int, bool]:
    """Index of the first message that a sticky window may have, and whether all from there on was read."""
    messages = tail.messages
    anchor = tail.anchor
    if not sticky or anchor is None or not messages:
        return 0, tail.complete
    floor = bisect_left(messages, anchor, key=_seq_of)
    if floor == len(messages):  # nothing is left of that window
        return 0, tail.complete
    if tail.complete or floor > 1:
        return floor, True
    # Behind a first message that is the newest of the user there may be others that were not read.
    if any(message.role == "user" and replayable(message) for message in reversed(messages[1:])):
        return floor, floor == 1 or messages[0].seq == anchor
    return floor, (floor == 1 or messages[0].role != "user") and messages[floor].seq == anchor


def floor_seq(tail: Tail) -> int:
    """The first position that is neither in the head nor in the summary."""
    through = tail.head[-1].seq if tail.head else 0
    if tail.summary is not None and tail.summary.through_seq > through:
        through = tail.summary.through_seq
    return through + 1


def spoken(summary: Summary | None) -> tuple[Message, ...]:
    """A summary as a window shows it: one message, or none."""
    if summary is None:
        return ()
    return (Message(role="system", parts=(TextPart(text=SUMMARY_HEADING + summary.text),)),)


# -- the plain path: most transcripts need no mending, and this sees it in one look at each message


def _plain_window(tail: Tail, budget: Budget, *, sticky: bool) -> Window | None:
    """The window of a tail that needs no mending and whose newest turn fits; None for every other."""
    if tail.after or tail.waiting or tail.corrupt:
        return None
    messages = tail.messages
    head = tail.head
    for message in head:
        if message.flags and not replayable(message):
            return None
    front = len(head) if tail.summary is None else len(head) + 1
    count = len(messages)
    floor, reached = _from_anchor(tail, sticky=sticky)
    low = count - budget.max_messages + front
    overflow = low > floor
    # One message more than fits is looked at: if it had to be left out, an older one might fit.
    look = low - 1 if overflow else floor
    if not overflow:
        low = floor
    elif sticky:
        low = count - leave_free(budget.max_messages, front) + front
    start = _plain_start(messages, floor, look, low)
    if start < 0:
        return None
    if look and tail.running_from is not None and messages[look].seq > tail.running_from:
        return None  # further back, calls of the running turn may still wait
    lead = (*head, *spoken(tail.summary))
    if (budget.max_turns is not None or budget.max_tokens is not None) and (
        (sticky and overflow) or not fits(budget, lead + messages[low:])
    ):
        return None
    omitted: tuple[Omitted, ...] = ()
    if start:
        through = messages[start - 1].seq
        if overflow or floor:
            omitted = (Omitted(min(floor_seq(tail), messages[0].seq), through, "budget"),)
        else:
            omitted = (Omitted(messages[0].seq, through, "before_user"),)
    return Window(
        messages=lead + messages[start:],
        head_count=front,
        omitted=omitted,
        anchor=messages[start].seq,
        short=not (overflow or reached),
        estimate_percent=budget.estimate_percent,
    )


def _plain_start(messages: tuple[Message, ...], floor: int, look: int, low: int) -> int:  # noqa: C901, PLR0912
    """Where the window begins, at index `low` or after; -1 if anything from `look` on needs mending."""
    start = -1
    index = len(messages)
    waiting: list[str] = []
    while True:
        for message in reversed(messages[look:index]):
            index -= 1
            role = message.role
            if message.joins or (message.flags and not replayable(message)):
                return -1
            if role == "user":
                if waiting:
                    return -1
                if index >= low:
                    start = index
            elif role == "assistant":
                says = False
                ids: list[str] | None = None
                for part in message.parts:
                    if type(part) is TextPart:
                        text = part.text
                        if text and not text.isspace():
                            says = True
                    elif type(part) is ToolCall:
                        if ids is None:
                            ids = [part.call_id]
                        else:
                            ids.append(part.call_id)
                    elif type(part) is not ThinkingPart or part.signature or part.redacted:
                        says = True
                if ids is None:
                    if waiting or not says:
                        return -1
                elif len(ids) == 1:
                    if ids != waiting or not ids[0]:
                        return -1
                    waiting = []
                else:
                    if not all(ids) or len(set(ids)) != len(ids) or sorted(ids) != sorted(waiting):
                        return -1
                    waiting = []
            elif role == "tool":
                if not message.parts:
                    return -1
                for part in message.parts:
                    if type(part) is not ToolResult:
                        return -1
                    waiting.append(part.call_id)
            elif waiting:
                return -1
        if not waiting:
            break
        if look <= floor:
            return -1
        look -= 1
    if start > low:
        first = messages[start - 1]
        if first.flags and "delivery" in first.flags and first.role == "assistant" and not first.tool_calls:
            start -= 1
    return start


# -- the other path: all exchanges, made legal; then the same choice


class _Choice(msgspec.Struct, frozen=True, gc=False):
    """Which of the exchanges a window has: all from index `begin` on, and the one at `forced` though it is before."""

    begin: int
    forced: int | None = None
    older: bool = False
    """Whether messages before those were left out for the budget, now or when the anchor was set."""
    short: bool = False


def _mended_window(tail: Tail, budget: Budget, options: WindowOptions, *, sticky: bool) -> Window:
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
    floor, reached = _from_anchor(tail, sticky=sticky)
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
