"""Where a window's exchanges may begin, and the summary in front of them."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter

from palaver.info import Summary
from palaver.model import Message, TextPart
from palaver.replay import replayable
from palaver.window.values import Tail

__all__ = ["floor_seq", "from_anchor", "spoken"]

SUMMARY_HEADING = "Summary of the conversation so far:\n"
_seq_of = attrgetter("seq")


def floor_seq(tail: Tail) -> int:
    """The first position that is neither in the head nor in the summary."""
    through = tail.head[-1].seq if tail.head else 0
    if tail.summary is not None and tail.summary.through_seq > through:
        through = tail.summary.through_seq
    return through + 1


def from_anchor(tail: Tail, *, sticky: bool) -> tuple[int, bool]:
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


def spoken(summary: Summary | None) -> tuple[Message, ...]:
    """A summary as a window shows it: one message, or none."""
    if summary is None:
        return ()
    return (Message(role="system", parts=(TextPart(text=SUMMARY_HEADING + summary.text),)),)
