"""What a sweep reads in the memory store."""

from __future__ import annotations

from datetime import datetime

from palaver.errors import SessionNotFound
from palaver.info import Todo, TodoState
from palaver.operations.removal import NOTHING_LEFT
from palaver.rows import SessionRow
from palaver.stores import views
from palaver.stores.memory.ledger import MemoryLedger
from palaver.sweeping import Standing, SweepQuery
from palaver.times import to_micros

__all__ = ["standings", "todos"]


def standings(ledger: MemoryLedger, query: SweepQuery, now: datetime) -> list[Standing]:
    """See `Store.standings`."""
    after = 0
    if query.after is not None:
        found = ledger.find(query.after)
        if found is None or query.owner not in (None, found.owner):
            msg = f"no session {query.after!r}: check the id and the owner"
            raise SessionNotFound(msg)
        after = found.number
    before = to_micros(query.active_before) if query.active_before is not None else None
    out: list[Standing] = []
    for number in sorted(ledger.sessions.rows):
        row = ledger.sessions.rows[number]
        if row is None or number <= after or row.end_reason in NOTHING_LEFT or query.owner not in (None, row.owner):
            continue
        head = ledger.head(number)
        sought = row.deleted_at is not None or head.last_seq == 0 or (row.hidden and row.parent_kind == "fork")
        if before is not None and head.last_active >= before and not sought:
            continue
        out.append(_standing(ledger, row, now, sizes=query.sizes))
        if len(out) == query.limit:
            break
    return out


def todos(ledger: MemoryLedger, owner: str | None, state: TodoState, now: datetime) -> list[Todo]:
    """See `Store.todos`."""
    rows = [t for t in ledger.todos.rows.values() if t is not None and t.state == state != "done"]
    out: list[Todo] = []
    for row in sorted(rows, key=lambda t: (t.made_at, t.session)):
        session = ledger.session(row.session)
        if views.claimed(row, now) if state == "claimed" else row.until > to_micros(now):
            continue
        if session.deleted_at is None and owner in (None, session.owner):
            out.append(views.todo(row, session.id, session.owner))
    return out


def _standing(ledger: MemoryLedger, row: SessionRow, now: datetime, *, sizes: bool) -> Standing:
    number = row.number
    head = ledger.head(number)
    keys = ledger.keys(number)
    since = {key: bound.since if (bound := ledger.bindings.rows.get(key)) is not None else 0 for key in keys}
    newest = ledger.message(number, head.last_seq)
    size = 0
    if sizes:
        size += sum(len(m.body) for (n, _), m in ledger.messages.rows.items() if n == number and m is not None)
        shown = [address for (address, n, _), held in ledger.media_refs.rows.items() if n == number and held]
        size += sum(len(ledger.blobs.rows.get(address) or b"") for address in shown)
    return views.standing(
        row,
        head,
        now,
        running=views.held(ledger.last_turn(number), now),
        keys=tuple(key for _, key in sorted(keys, key=lambda key: (since[key], key[1]))),
        bound_at=max(since.values(), default=None),
        waiting=bool(ledger.queued(number)),
        newest_kind=newest.kind if newest is not None else 0,
        to_do=ledger.todo(number),
        imported=ledger.import_mark(number) is not None,
        size=size,
    )
