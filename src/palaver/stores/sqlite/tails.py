"""Reads of tails: what was read before, and what tells whether it still is what a read would give.

A gateway reads the same conversation again at each turn, longer by a message or two. What is kept here is checked
against the session's row on every use: every change of what a session holds, appends apart, moves `rev`, and
appends move the newest position. So it saves reading and decoding, and can never be stale.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec

from palaver import codec
from palaver.model import Message
from palaver.operations import Begun
from palaver.rows import StoredMessage, TurnRow
from palaver.stores import views
from palaver.stores.sqlite.rows import LAST, compaction_row
from palaver.stores.sqlite.source import RowSource
from palaver.stores.statements import Row
from palaver.stores.tables import Table
from palaver.stores.tails import decoded, read_tail, stored_meanwhile
from palaver.window import Tail

__all__ = ["TailCache", "TailReads"]

_metadata = attrgetter("metadata")

MAX_SESSIONS = 256
MAX_MESSAGES = 20_000
"""Over all sessions: some ten megabytes."""
MAX_SINCE = 32
"""So many messages of one session are kept for a tail that may come to need them; nobody asked for it, then."""


class KeptTail(msgspec.Struct, frozen=True, gc=False):
    """A tail, and the state of the session that it was read in."""

    number: int
    owner: str
    rev: int
    last_seq: int
    tail: Tail
    turn: int = 0
    """The newest message's turn, where everything since it began belongs to it; 0: none, or not known."""
    mark: Any = None
    """What the store says of where it was read; see `TailReads`."""

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
            self.mark,
        )

    def during(self, turn: TurnRow | None, running_from: int | None) -> KeptTail | None:
        """The tail while a turn is the newest one; None where the turn's anchor is not in it: it may have been cut."""
        tail = self.tail
        anchor = (turn.anchor if turn is not None else 0) or None
        if tail.anchor == anchor and tail.running_from == running_from:
            return self
        if anchor is not None and anchor != tail.anchor and tail.at(anchor) is None:
            return None
        tail = msgspec.structs.replace(tail, anchor=anchor, running_from=running_from)
        return msgspec.structs.replace(self, tail=tail)


class TailCache:
    """The tails read last, by session and length. Shared by all readers of a store; entries are values."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], KeptTail] = OrderedDict()
        self._since: dict[int, list[StoredMessage]] = {}
        """What this process has stored since, by session. With a gap where another process has: then it is read."""
        self._messages = 0

    def get(self, session_id: str, limit: int) -> KeptTail | None:
        """What is kept, in whatever state it was read."""
        return self._kept.get((session_id, limit))

    def put(self, session_id: str, limit: int, kept: KeptTail) -> None:
        """Keep a tail, and let the oldest go where there are too many."""
        was = self._kept.pop((session_id, limit), None)
        if was is not None:
            self._messages -= len(was.tail.messages)
        since = self._since.pop(kept.number, [])
        if len(kept.tail.messages) > MAX_MESSAGES // 8 or kept.tail.corrupt:
            return
        if any(map(_metadata, kept.tail.messages)):  # a reader may change that dict, and only its own
            return
        self._since[kept.number] = [m for m in since if m.seq > kept.last_seq]
        self._kept[session_id, limit] = kept
        self._messages += len(kept.tail.messages)
        while self._messages > MAX_MESSAGES or len(self._kept) > MAX_SESSIONS:
            try:
                _, old = self._kept.popitem(last=False)
            except KeyError:  # another thread has emptied it
                self._messages = 0
                return
            self._messages -= len(old.tail.messages)
            self._since.pop(old.number, None)

    def note(self, messages: Table[tuple[int, int], StoredMessage]) -> None:
        """Messages that this process has just stored: kept tails may come to need them."""
        if not self._since:
            return
        for key in messages.dirty:
            since, message = self._since.get(key[0]), messages.rows[key]
            if since is not None and message is not None:
                since.append(message)
                if len(since) > MAX_SINCE:
                    since.clear()

    def begun(self, session_id: str, limit: int, begun: Begun) -> Tail | None:
        """The tail of a turn that this process has just begun; None where it has to be read.

        The commit found the session at that version, and what was stored since the kept tail is known here.
        """
        kept, turn = self.get(session_id, limit), begun.turn
        if kept is None or turn is None or kept.rev != begun.rev or kept.number != turn.session:
            return None
        since = self._since.get(kept.number, ())
        # One that a turn took was stored twice: two of it must not hide one that another process has stored.
        known = {m.seq: (m.seq, m.kind, m.at, m.body, m.turn) for m in since if kept.last_seq < m.seq <= begun.seq}
        if not 0 < begun.seq - kept.last_seq == len(known) <= limit:
            return None
        rows = sorted(known.values())
        grown = _longer(kept, rows, codec.restore_many(rows), limit)
        now = grown.during(turn, turn.steps_from) if grown is not None else None
        if now is None:
            return None
        self.put(session_id, limit, now)
        return now.tail

    def clear(self) -> None:
        """Forget everything."""
        self._since.clear()
        self._kept.clear()
        self._messages = 0


class TailReads(RowSource):
    """The reads of tails."""

    _tails: TailCache
    """Shared with the other connections of the store; see `RowReads`."""

    def tail(self, session_id: str, owner: str | None, now: datetime, *, limit: int) -> Tail:
        kept = self._tails.get(session_id, limit)
        if kept is not None:
            tail = self._kept_tail(kept, session_id, owner, now, limit)
            if tail is not None:
                return tail
        with self.snapshot():
            session, head, turn = self._found(session_id, owner)
            number = session.number
            mark = self._mark()
            summary = None
            if session.compaction:
                row = self.sql.one("compaction", (number, session.compaction))
                summary = views.summary(compaction_row(row)) if row is not None else None
            running = turn if views.held(turn, self.lease_time(now)) else None
            tail = read_tail(
                self,
                session,
                head,
                self.cuts_of(session),
                summary,
                limit=limit,
                anchor=turn.anchor if turn is not None else 0,
                running_from=running.steps_from if running is not None else None,
                waiting=self._queued(number) if running is not None else (),
            )
        if not tail.after and not tail.waiting:
            newest = turn.first_seq if turn is not None and turn.first_seq == head.last_seq else 0
            kept = KeptTail(number, session.owner, session.rev, head.last_seq, tail, newest, mark)
            self._tails.put(session_id, limit, kept)
        return tail

    def _kept_tail(self, kept: KeptTail, session_id: str, owner: str | None, now: datetime, limit: int) -> Tail | None:
        """The kept tail as it is now; None where the session has changed otherwise than by growing."""
        found = kept
        state = self._tail_state(session_id, kept, limit)
        if state is None or state[0] != kept.rev or state[1] is not None:
            return None
        if owner is not None and owner != kept.owner:
            return None
        turn = self.turn_of(state[3:]) if state[3] is not None else None
        last = state[2] & LAST if state[2] is not None else 0
        if last != kept.last_seq:
            new = last - kept.last_seq
            if not 0 < new <= limit:
                return None
            rows = self._bodies(kept, last)
            grown = _longer(kept, rows, decoded(self, session_id, rows), limit) if len(rows) == new else None
            if grown is None:
                return None
            kept = grown
        running = turn.steps_from if turn is not None and views.held(turn, self.lease_time(now)) else None
        if running is not None and self._waits(kept.number):
            return None
        now_kept = kept.during(turn, running)
        if now_kept is None:
            return None
        if now_kept is not found:
            self._tails.put(session_id, limit, now_kept)
        return now_kept.tail

    def _mark(self) -> Any:
        """What has to be as it was for a tail that is kept to be looked at, besides the session; None: nothing."""
        return None

    def _tail_state(self, session_id: str, kept: KeptTail, limit: int) -> Row | None:
        """See `tail_state`. `limit`: a session that has more new messages than that is read anew."""
        del session_id, limit
        base = kept.number << 32
        return self.sql.one("tail_state", (base, base | LAST, base, base | LAST, kept.number))

    def _bodies(self, kept: KeptTail, last: int) -> Sequence[Row]:
        """What came after a kept tail, up to a position."""
        base = kept.number << 32
        return self.sql.all("bodies", (base | (kept.last_seq + 1), base | last, last - kept.last_seq))

    def _waits(self, number: int) -> bool:
        """Whether messages wait in a session."""
        return bool(self._queued(number))


def _longer(kept: KeptTail, rows: Sequence[Row], new: Sequence[Message], limit: int) -> KeptTail | None:
    """A kept tail with all that was stored since; None where it has to be read anew."""
    first = _newest_turn(rows, kept)
    return kept.grown(tuple(new), rows[-1][0], limit, first) if first is not None and len(new) == len(rows) else None


def _newest_turn(rows: Sequence[Row], kept: KeptTail) -> int | None:
    """The turn of the newest message (0: none); None where one of these may have another place in the window.

    What is stored while a turn runs that it does not belong to comes after that turn (`tails.stored_meanwhile`). So
    these may follow what is kept where they do not interleave, and no turn that had ended goes on.
    """
    if stored_meanwhile([(r[0], r[4]) for r in rows]):
        return None
    owns = [r[0] - r[4] + 1 for r in rows if r[4]]
    if any(own <= kept.last_seq and own != kept.turn for own in owns):
        return None
    return owns[-1] if rows[-1][4] else 0
