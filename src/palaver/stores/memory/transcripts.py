"""What the memory store reads of one session's messages and turns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from palaver.info import Page
from palaver.operations.ranges import merged
from palaver.rows import TurnRow
from palaver.stores import views
from palaver.stores.base import WholeTurn
from palaver.stores.memory.ledger import MemoryLedger
from palaver.stores.tails import TailRow, decoded, live_ranges, read_tail
from palaver.window import Tail

__all__ = ["blobs", "page", "queued", "tail", "turn", "versions", "whole_turn"]


def tail(ledger: MemoryLedger, session_id: str, owner: str | None, now: datetime, *, limit: int) -> Tail:
    """See `Store.tail`."""
    row = ledger.require(session_id, owner)
    number = row.number
    compaction = next((c for c in ledger.compactions(number) if c.id == row.compaction), None)
    turn = ledger.last_turn(number)
    running = turn if views.held(turn, now) else None
    return read_tail(
        ledger,
        row,
        ledger.head(number),
        ledger.cuts(number),
        views.summary(compaction) if compaction is not None else None,
        limit=limit,
        anchor=turn.anchor if turn is not None else 0,
        running_from=running.steps_from if running is not None else None,
        waiting=ledger.queued(number) if running is not None else (),
    )


def page(
    ledger: MemoryLedger,
    session_id: str,
    owner: str | None,
    *,
    after: int,
    before: int | None,
    limit: int,
    newest: bool,
    live: bool,
) -> Page:
    """See `Store.page`."""
    row = ledger.require(session_id, owner)
    last = ledger.head(row.number).last_seq
    high = last if before is None else min(before - 1, last)
    ranges = live_ranges(merged(ledger.cuts(row.number)) if live else [], after + 1, high)
    rows: list[TailRow] = []
    for low, top in reversed(ranges) if newest else ranges:
        read = ledger.newest if newest else ledger.oldest
        rows.extend(read(row.number, low, top, limit - len(rows)))
    if newest:
        rows.reverse()
    return decoded(ledger, row.id, [(r[0], r[1], r[4], r[5]) for r in rows])


def turn(ledger: MemoryLedger, session_id: str, owner: str | None, first_seq: int | None) -> TurnRow | None:
    """See `Store.turn`."""
    number = ledger.require(session_id, owner).number
    return ledger.last_turn(number) if first_seq is None else ledger.turns.rows.get((number, first_seq))


def whole_turn(
    ledger: MemoryLedger, session_id: str, owner: str | None, first_seq: int, now: datetime
) -> WholeTurn | None:
    """See `Store.whole_turn`."""
    row = ledger.require(session_id, owner)
    number = row.number
    turn = ledger.turns.rows.get((number, first_seq))
    if turn is None:
        return None
    dead = merged(ledger.cuts(number))
    seqs = sorted({*ledger.turn_seqs(turn), *turn.taken})
    found = [ledger.message(number, s) for s in seqs if not any(low <= s <= high for low, high in dead)]
    stored = [(m.seq, m.kind, m.at, m.body) for m in found if m is not None]
    session = views.info(row, ledger.head(number), now, turn=ledger.last_turn(number))
    return WholeTurn(turn, session, decoded(ledger, session_id, stored))


def queued(ledger: MemoryLedger, session_id: str, owner: str | None) -> Page:
    """See `Store.queued`."""
    number = ledger.require(session_id, owner).number
    found = [ledger.message(number, seq) for seq in ledger.queued(number)]
    return decoded(ledger, session_id, [(m.seq, m.kind, m.at, m.body) for m in found if m is not None])


def versions(ledger: MemoryLedger, session_id: str, owner: str | None, seq: int) -> Page:
    """See `Store.versions`."""
    number = ledger.require(session_id, owner).number
    stored = ledger.message(number, seq)
    if stored is None:
        return Page()
    return decoded(ledger, session_id, [(seq, v.kind, stored.at, v.body) for v in ledger.versions(number, seq)])


def blobs(ledger: MemoryLedger, session_id: str, owner: str | None, addresses: Sequence[str]) -> dict[str, bytes]:
    """See `Store.blobs`."""
    number = ledger.require(session_id, owner).number
    mine = {address for address, n, _ in ledger.media_refs.rows if n == number}
    return {a: data for a in addresses if a in mine and (data := ledger.blobs.rows.get(a)) is not None}
