"""The plain path: most transcripts need no mending, and this sees it in one look at each message."""

from __future__ import annotations

from palaver.budget import Budget, fits, leave_free
from palaver.model import Message, TextPart, ThinkingPart, ToolCall, ToolResult
from palaver.replay import replayable
from palaver.window.limits import floor_seq, from_anchor, spoken
from palaver.window.values import Omitted, Tail, Window

__all__ = ["plain_window"]


def plain_window(tail: Tail, budget: Budget, *, sticky: bool) -> Window | None:
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
    floor, reached = from_anchor(tail, sticky=sticky)
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
