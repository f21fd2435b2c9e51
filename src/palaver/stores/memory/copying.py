"""What the memory store gives of a session for a copy of it."""

from __future__ import annotations

import msgspec

from palaver.records import Chunk, KeyRecord, SessionRecord
from palaver.rows import StoredMessage
from palaver.stores.memory.ledger import MemoryLedger
from palaver.stores.recording import chunk_of, fitting, portable, portable_todo

__all__ = ["chunk", "record"]


def record(ledger: MemoryLedger, session_id: str, owner: str | None) -> SessionRecord:
    """See `Store.record`."""
    row = ledger.require(session_id, owner, deleted=True)
    number = row.number
    keys: list[KeyRecord] = []
    for whose, key in ledger.keys(number):
        bound = ledger.binding(whose, key)
        if bound is not None:
            before = ledger.session(bound.previous).id if bound.previous else None
            keys.append(KeyRecord(owner=whose, key=key, since=bound.since, previous=before))
    used = [u for u in ledger.used() if u.session == number]
    purged = [
        (seq, message_id)
        for (n, message_id), seq in ledger.message_ids.rows.items()
        if n == number and seq is not None and ledger.message(number, seq) is None
    ]
    return SessionRecord(
        row=portable(row),
        head=ledger.head(number),
        keys=tuple(sorted(keys, key=lambda each: (each.since, each.key))),
        aliases=ledger.alias_names(number),
        cuts=ledger.cuts(number),
        compactions=ledger.compactions(number),
        queued=ledger.queued(number),
        usage=tuple(
            msgspec.structs.replace(u, session=0) for u in sorted(used, key=lambda each: (each.day, each.model))
        ),
        purged_ids=tuple((message_id, seq) for seq, message_id in sorted(purged)),
        todo=portable_todo(ledger.todo(number)),
    )


def chunk(ledger: MemoryLedger, session_id: str, owner: str | None, *, after: int, limit: int, media: bool) -> Chunk:
    """See `Store.chunk`."""
    number = ledger.require(session_id, owner, deleted=True).number
    last = ledger.head(number).last_seq
    found = [StoredMessage(*row) for row in ledger.oldest(number, after + 1, last, limit)]
    rows = fitting(found)
    whole = len(rows) == len(found) and len(found) < limit
    through = last if whole else rows[-1].seq
    turns = sorted(place for place in ledger.turns.rows if place[0] == number and after < place[1] <= through)
    return chunk_of(
        rows,
        after=after,
        through=through,
        holders_of=lambda ids: {each: ledger.message_seq(number, each) for each in ids},
        versions={row.seq: ledger.versions(number, row.seq) for row in rows},
        turns=[msgspec.structs.replace(t, session=0) for place in turns if (t := ledger.turns.rows[place]) is not None],
        blob=ledger.blobs.rows.get if media else None,
    )
