"""Tails that were read before, and what tells whether they still are what a read would give.

A gateway reads the same conversation again at each turn, longer by a message or two. What is kept here is checked
against the session's row on every use: every change of what a session holds, appends apart, moves `rev`, and
appends move the newest position. So it saves reading and decoding, and can never be stale.
"""

from __future__ import annotations

from collections import OrderedDict
from operator import attrgetter

import msgspec

from palaver.model import Message
from palaver.window import Tail

__all__ = ["KeptTail", "TailCache"]

_metadata = attrgetter("metadata")

MAX_SESSIONS = 256
MAX_MESSAGES = 20_000
"""Over all sessions: some ten megabytes."""


class KeptTail(msgspec.Struct, frozen=True, gc=False):
    """A tail, and the state of the session that it was read in."""

    number: int
    owner: str
    rev: int
    last_seq: int
    tail: Tail
    turn: int = 0
    """The newest message's turn, where everything since it began belongs to it; 0: none, or not known."""

    def grown(self, new: tuple[Message, ...], last_seq: int, limit: int, turn: int) -> KeptTail | None:
        """The tail with newer messages at its end; None where it has to be read anew."""
        if not self.tail.messages:  # what comes may belong to the head
            return None
        summary = self.tail.summary
        covered = summary is not None and self.tail.messages[0].seq <= summary.through_seq
        if covered and any(m.role == "user" for m in new):  # then the covered one is needed no more
            return None
        messages = (*self.tail.messages, *new)
        complete = self.tail.complete
        if len(messages) > limit:
            messages = messages[-limit:]
            complete = False
        replayable = (m for m in reversed(messages) if m.role == "user")
        if not any("hidden" not in m.flags and "command" not in m.flags for m in replayable):
            return None
        return KeptTail(
            self.number,
            self.owner,
            self.rev,
            last_seq,
            msgspec.structs.replace(self.tail, messages=messages, complete=complete),
            turn,
        )


class TailCache:
    """The tails read last, by session and length. Shared by all readers of a store; entries are values."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], KeptTail] = OrderedDict()
        self._messages = 0

    def get(self, session_id: str, limit: int) -> KeptTail | None:
        """What is kept, in whatever state it was read."""
        return self._kept.get((session_id, limit))

    def put(self, session_id: str, limit: int, kept: KeptTail) -> None:
        """Keep a tail, and let the oldest go where there are too many."""
        was = self._kept.pop((session_id, limit), None)
        if was is not None:
            self._messages -= len(was.tail.messages)
        if len(kept.tail.messages) > MAX_MESSAGES // 8 or kept.tail.corrupt:
            return
        if any(map(_metadata, kept.tail.messages)):  # a reader may change that dict, and only its own
            return
        self._kept[session_id, limit] = kept
        self._messages += len(kept.tail.messages)
        while self._messages > MAX_MESSAGES or len(self._kept) > MAX_SESSIONS:
            try:
                _, old = self._kept.popitem(last=False)
            except KeyError:  # another thread has emptied it
                self._messages = 0
                return
            self._messages -= len(old.tail.messages)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._messages = 0
