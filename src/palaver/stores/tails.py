"""What a window is made of, read in one bounded way from any store."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import le
from typing import Any, Protocol, TypeAlias

from palaver import codec
from palaver.errors import CorruptRecord
from palaver.info import Page, Summary
from palaver.operations.ranges import joined, merged
from palaver.rows import ROLE_MASK, UNSEEN, USER_KIND, CutRow, Head, SessionRow, StoredMessage
from palaver.window import Tail

__all__ = ["StoredRow", "TailRow", "TailSource", "decoded", "live_ranges", "read_tail", "stored_meanwhile"]

TailRow: TypeAlias = tuple[int, int, int, int, int, bytes]
"""seq, kind, back, turn, at, body."""

StoredRow: TypeAlias = tuple[Any, ...]
"""Begins with seq, kind, at and body: what a message is restored from."""

_MAX_LEADING = 64


class TailSource(Protocol):
    """How a store reads messages of one session, inside one snapshot."""

    name: str

    def newest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        """The last `limit` messages with low <= seq <= high, newest first."""
        ...

    def oldest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        """The first `limit` messages with low <= seq <= high."""
        ...

    def one(self, number: int, seq: int) -> StoredMessage | None:
        """One message."""
        ...

    def set_aside(self, location: str, body: bytes) -> None:
        """Keep the bytes of a message that cannot be decoded, as they were found."""
        ...


def read_tail(
    source: TailSource,
    row: SessionRow,
    head: Head,
    cuts: tuple[CutRow, ...],
    summary: Summary | None,
    *,
    limit: int,
    anchor: int,
    running_from: int | None,
    waiting: tuple[int, ...] = (),
) -> Tail:
    """See `Store.tail`. `waiting` are messages that the running turn was not shown."""
    number = row.number
    dead = merged(cuts) if cuts else []
    if waiting:
        dead = joined([*dead, *((seq, seq) for seq in waiting)])
    floor = max(row.leading_seq, summary.through_seq if summary is not None else 0)
    rows: list[TailRow] = []
    complete = True
    for low, high in reversed(live_ranges(dead, floor + 1, head.last_seq)):
        need = limit - len(rows)
        if need <= 0:
            complete = False
            break
        got = source.newest(number, low, high, need)
        rows.extend(got)
        if len(got) == need and got[-1][0] > low:
            complete = False
            break
    rows.reverse()
    if not any(r[1] & (ROLE_MASK | UNSEEN) == USER_KIND for r in rows):
        found = _newest_user(source, number, rows[-1][0] if rows else head.last_seq, dead)
        if found is not None:
            rows.insert(0, found)
    leading: list[TailRow] = []
    if row.leading_seq:
        for low, high in live_ranges(dead, 1, row.leading_seq):
            leading.extend(source.oldest(number, low, high, _MAX_LEADING - len(leading)))
            if len(leading) >= _MAX_LEADING:
                break
    first = decoded(source, row.id, [_stored(r) for r in leading])
    rest = decoded(source, row.id, [_stored(r) for r in rows])
    return Tail(
        head=tuple(first),
        messages=tuple(rest),
        summary=summary,
        anchor=anchor if anchor and not any(low <= anchor <= high for low, high in dead) else None,
        running_from=running_from,
        complete=complete,
        after=stored_meanwhile([(r[0], r[3]) for r in rows]),
        waiting=waiting,
        corrupt=(*first.corrupt, *rest.corrupt),
    )


def stored_meanwhile(rows: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Messages that were stored while a turn ran that they do not belong to, with that turn's last message.

    `rows` are position and turn (see `StoredMessage.turn`). A message that nobody had been shown yet when the turn's
    answer was given comes after that answer, or the model would find nothing to answer.
    """
    owns = [seq - turn + 1 if turn else seq for seq, turn in rows]
    if all(map(le, owns, owns[1:])):  # whole turns one after another: all but always
        return ()
    last = {own: seq for own, (seq, turn) in zip(owns, rows, strict=True) if turn}
    firsts = sorted(last)
    ends = list(accumulate((last[first] for first in firsts), max))
    out: list[tuple[int, int]] = []
    for own, (seq, _) in zip(owns, rows, strict=True):
        before = bisect_left(firsts, own)
        if before and ends[before - 1] > seq:
            out.append((seq, ends[before - 1]))
    return tuple(out)


def live_ranges(dead: list[tuple[int, int]], low: int, high: int) -> list[tuple[int, int]]:
    """What is left of low..high between the dead ranges (disjoint, ascending)."""
    out: list[tuple[int, int]] = []
    for start, end in dead:
        if end < low:
            continue
        if start > high:
            break
        if start > low:
            out.append((low, start - 1))
        low = end + 1
    if low <= high:
        out.append((low, high))
    return out


def _newest_user(source: TailSource, number: int, seq: int, dead: list[tuple[int, int]]) -> TailRow | None:
    """The newest live replayable user message at or before `seq`, by the back pointers."""
    while seq > 0:
        for low, high in reversed(dead):
            if low <= seq <= high:
                seq = low - 1
                break
        else:
            stored = source.one(number, seq)
            if stored is None or stored.back < 0:
                return None
            if stored.back == 0:
                return stored.seq, stored.kind, stored.back, stored.turn, stored.at, stored.body
            seq -= stored.back
    return None


def _stored(row: TailRow) -> StoredRow:
    return row[0], row[1], row[4], row[5]


def decoded(source: TailSource, session_id: str, rows: Sequence[StoredRow]) -> Page:
    """The messages of stored rows; those that cannot be decoded are reported to the source and named."""
    if not rows:
        return Page()
    try:
        return Page(codec.restore_many(rows))
    except CorruptRecord:
        page = Page()
        corrupt: list[int] = []
        for seq, kind, at, body, *_ in rows:
            location = f"session {session_id} seq {seq}"
            try:
                page.append(codec.restore(seq, kind, at, body, store=source.name, location=location))
            except CorruptRecord:
                corrupt.append(seq)
                source.set_aside(location, body)
        page.corrupt = tuple(corrupt)
        return page
