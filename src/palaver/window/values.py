"""What a window is made of, and the window: values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from palaver.exchanges import Repair
from palaver.info import Summary
from palaver.model import Message, Wire
from palaver.replay import OmittedReason
from palaver.tokens import tokens_of

if TYPE_CHECKING:
    from palaver.formats import Rendered

__all__ = ["Omitted", "Tail", "Window"]

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
