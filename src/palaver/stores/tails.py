"""What a window is made of, read in one bounded way from any store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from palaver import codec
from palaver.errors import CorruptRecord
from palaver.info import Page, Summary
from palaver.operations.ranges import merged
from palaver.rows import ROLE_MASK, UNSEEN, USER_KIND, CutRow, Head, SessionRow, StoredMessage
from palaver.window import Tail

__all__ = ["TailRow", "TailSource", "decoded", "live_ranges", "read_tail"]

TailRow: TypeAlias = tuple[int, int, int, bytes]
"""seq, kind, back, body."""

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
) -> Tail:
    """See `Store.tail`."""
    number = row.number
    dead = merged(cuts) if cuts else []
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
    first = decoded(source, row.id, [(r[0], r[3]) for r in leading])
    rest = decoded(source, row.id, [(r[0], r[3]) for r in rows])
    return Tail(
        head=tuple(first),
        messages=tuple(rest),
        summary=summary,
        anchor=anchor if anchor and not any(low <= anchor <= high for low, high in dead) else None,
        running_from=running_from,
        complete=complete,
        corrupt=(*first.corrupt, *rest.corrupt),
    )


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
                return stored.seq, stored.kind, stored.back, stored.body
            seq -= stored.back
    return None


def decoded(source: TailSource, session_id: str, rows: Sequence[tuple[int, bytes]]) -> Page:
    """The messages of stored bodies; those that cannot be decoded are reported to the source and named."""
    if not rows:
        return Page()
    try:
        return Page(codec.decode_many([body for _, body in rows]))
    except CorruptRecord:
        page = Page()
        corrupt: list[str] = []
        for seq, body in rows:
            location = f"session {session_id} seq {seq}"
            try:
                page.append(codec.decode(body, store=source.name, location=location))
            except CorruptRecord:
                corrupt.append(location)
                source.set_aside(location, body)
        page.corrupt = tuple(corrupt)
        return page
