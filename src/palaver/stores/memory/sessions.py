"""Which sessions the memory store has: found by a name, and listed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from palaver.info import SessionInfo, SessionName
from palaver.stores import views
from palaver.stores.base import OpenTurn, SessionQuery
from palaver.stores.memory.ledger import MemoryLedger
from palaver.times import from_micros, to_micros
from palaver.titles import folded

__all__ = ["beginning", "bound", "current", "info", "named", "open_turns", "sessions"]


def current(ledger: MemoryLedger, owner: str, key: str, now: datetime) -> SessionInfo | None:
    """See `Store.current`."""
    binding = ledger.binding(owner, key)
    if binding is None:
        return None
    number = binding.session
    return views.info(
        ledger.session(number),
        ledger.head(number),
        now,
        turn=ledger.last_turn(number),
        bound_at=binding.since,
    )


def bound(ledger: MemoryLedger, owner: str, key: str) -> str | None:
    """See `Store.bound`."""
    binding = ledger.binding(owner, key)
    return ledger.session(binding.session).id if binding is not None else None


def named(ledger: MemoryLedger, owner: str | None, alias: str) -> str | None:
    """See `Store.named`."""
    number = ledger.alias(owner or "", alias)
    return ledger.session(number).id if number is not None else None


def beginning(
    ledger: MemoryLedger, owner: str | None, text: str, *, by: Literal["title", "id"], limit: int
) -> list[SessionName]:
    """See `Store.beginning`."""
    rows = [r for r in ledger.sessions.rows.values() if r is not None and r.deleted_at is None]
    named = [(r.id if by == "id" else folded(r.title or ""), r) for r in rows if by == "id" or r.title]
    found = [(name, r) for name, r in named if name.startswith(text) and owner in {None, r.owner}]
    found.sort(key=lambda pair: (pair[0], pair[1].number))
    return [SessionName(id=r.id, title=r.title, owner=r.owner or None) for _, r in found[:limit]]


def info(ledger: MemoryLedger, session_id: str, owner: str | None, now: datetime) -> SessionInfo:
    """See `Store.info`."""
    row = ledger.require(session_id, owner)
    used = [u for u in ledger.used() if u.session == row.number]
    return views.info(
        row,
        ledger.head(row.number),
        now,
        turn=ledger.last_turn(row.number),
        keys=ledger.keys_in_order(row.number),
        aliases=ledger.alias_names(row.number),
        usage=views.usage_total(used),
    )


def sessions(ledger: MemoryLedger, query: SessionQuery, now: datetime) -> list[SessionInfo]:
    """See `Store.sessions`."""
    order = (1 << 62, 1 << 62)
    if query.after is not None:
        before = ledger.require(query.after, query.owner, deleted=query.include_deleted)
        order = ledger.head(before.number).last_active, before.number
    since = to_micros(query.active_since) if query.active_since is not None else -(1 << 62)
    found: list[tuple[int, int]] = []
    for number, row in ledger.sessions.rows.items():
        if row is None:
            continue
        head = ledger.head(number)
        if (
            (query.owner is None or row.owner == query.owner)
            and since <= head.last_active
            and (head.last_active, number) < order
            and (query.include_deleted or row.deleted_at is None)
            and (query.include_archived or query.archived or not row.archived)
            and (query.include_hidden or query.hidden or not row.hidden)
            and (query.include_ended or row.ended_at is None)
            and (query.include_empty or head.last_seq > 0)
            and (not query.narrowed or views.is_wanted(row, query))
        ):
            found.append((head.last_active, number))
    found.sort(reverse=True)
    return [
        views.info(ledger.session(n), ledger.head(n), now, turn=ledger.last_turn(n), keys=ledger.keys_in_order(n))
        for _, n in found[: query.limit]
    ]


def open_turns(ledger: MemoryLedger, owner: str | None, now: datetime) -> list[OpenTurn]:
    """See `Store.open_turns`."""
    out: list[OpenTurn] = []
    for turn in ledger.turns.rows.values():
        if turn is None or turn.state != "running":
            continue
        row = ledger.session(turn.session)
        if row.deleted_at is None and (owner is None or row.owner == owner):
            out.append(
                OpenTurn(
                    session_id=row.id,
                    owner=row.owner,
                    first_seq=turn.first_seq,
                    began_at=from_micros(turn.began_at),
                    expires_at=from_micros(turn.expires_at),
                    alive=views.held(turn, now),
                )
            )
    return sorted(out, key=lambda t: t.began_at)
