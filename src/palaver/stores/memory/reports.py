"""What the memory store says of itself: what it holds, what was used, what is wrong."""

from __future__ import annotations

from datetime import datetime

from palaver.codec import CODEC_VERSION
from palaver.findings import Finding, Findings, finding
from palaver.model import Usage
from palaver.operations.ranges import merged
from palaver.stores import views
from palaver.stores.base import Stats, UsageLine
from palaver.stores.erasing import unfinished
from palaver.stores.memory.erasing import erasures
from palaver.stores.memory.ledger import MemoryLedger
from palaver.stores.memory.upkeep import todos
from palaver.stores.tails import decoded, live_ranges
from palaver.times import SECOND, from_micros, to_micros

__all__ = ["check", "stats", "usage"]


def usage(
    ledger: MemoryLedger, owner: str | None, *, session_id: str | None, since: datetime | None
) -> list[UsageLine]:
    """See `Store.usage`."""
    day = to_micros(since) // (86_400 * SECOND) if since is not None else 0
    out: list[UsageLine] = []
    for used in sorted(ledger.used(), key=lambda u: (u.day, u.session, u.model)):
        row = ledger.session(used.session)
        if used.day >= day and (owner is None or row.owner == owner) and (session_id is None or row.id == session_id):
            out.append(views.usage_line(row.id, row.owner, used))
    return out


def stats(ledger: MemoryLedger, owner: str | None) -> Stats:
    """See `Store.stats`."""
    rows = [
        r
        for r in ledger.sessions.rows.values()
        if r is not None and r.deleted_at is None and (owner is None or r.owner == owner)
    ]
    numbers = {r.number for r in rows}
    mine = [u for u in ledger.used() if owner is None or ledger.session(u.session).owner == owner]
    total = views.usage_total(mine) or Usage()  # what deleted sessions have used was used
    return Stats(
        store=ledger.name,
        sessions=len(rows),
        messages=sum(ledger.head(r.number).message_count for r in rows),
        open_turns=sum(
            t is not None and t.state == "running" and t.session in numbers for t in ledger.turns.rows.values()
        ),
        owners=len({r.owner for r in rows}),
        size_bytes=sum(len(m.body) for m in ledger.messages.rows.values() if m is not None)
        + sum(len(data) for data in ledger.blobs.rows.values() if data is not None),
        usage=Usage(
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            cached_tokens=total.cached_tokens,
            cache_write_tokens=total.cache_write_tokens,
            reasoning_tokens=total.reasoning_tokens,
            cost=total.cost,
        ),
        calls=sum(used.calls for used in mine),
        priced_calls=sum(used.priced for used in mine),
        schema=0,
        codec=CODEC_VERSION,
    )


def check(ledger: MemoryLedger, owner: str | None, session_id: str | None) -> list[Finding]:
    """See `Store.check`."""
    if session_id is not None:
        ledger.require(session_id, owner, deleted=True)
    found = Findings(ledger.name)
    if owner is None and session_id is None:
        for each in unfinished(erasures(ledger)):
            found.add(each)
    for number, row in ledger.sessions.rows.items():
        if row is None or owner not in {None, row.owner} or session_id not in {None, row.id}:
            continue
        head = ledger.head(number)
        ranges = live_ranges(merged(ledger.cuts(number)), 1, head.last_seq)
        count = sum((number, s) in ledger.messages.rows for low, top in ranges for s in range(low, top + 1))
        bodies = [
            (s, m.kind, m.at, m.body) for (n, s), m in ledger.messages.rows.items() if n == number and m is not None
        ]
        where = f"session {row.id}"
        for seq in decoded(ledger, row.id, bodies).corrupt:
            detail = "cannot be decoded"
            found.add(finding("message_undecodable", f"{where}, seq {seq}", detail, session_id=row.id, seq=seq))
        if count != head.message_count:
            detail = f"it counts {head.message_count} messages and holds {count}"
            found.add(finding("count", where, detail, session_id=row.id))
    given_up = todos(ledger, owner, "given_up", from_micros(0))
    for todo in given_up:
        if session_id in {None, todo.session_id}:
            found.add(views.given_up(todo))
    return found.all()
