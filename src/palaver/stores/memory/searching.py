"""Searching the memory store: a scan, which is what every index is held against."""

from __future__ import annotations

from collections.abc import Sequence

from palaver import codec
from palaver.errors import CorruptRecord
from palaver.operations.ranges import merged
from palaver.rows import MOST, SessionRow, StoredMessage
from palaver.search import SearchQuery, Term, is_searchable, match, searched_text
from palaver.stores import views
from palaver.stores.memory.ledger import MemoryLedger
from palaver.stores.searching import Candidate, Found
from palaver.times import EARLIEST, LATEST, to_micros

__all__ = ["Scan"]


class Scan:
    """See `palaver.stores.searching.Source`."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self.name = ledger.name
        self.set_aside = ledger.set_aside

    def candidates(self, query: SearchQuery, terms: Sequence[Term], low: int, high: int, limit: int) -> list[Candidate]:
        rows = self._ledger.messages.rows
        since = to_micros(query.since) if query.since is not None else EARLIEST
        until = to_micros(query.until) if query.until is not None else LATEST + 1
        sessions = {n: r for n, r in self._ledger.sessions.rows.items() if r is not None and _is_searched(r, query)}
        out: list[Candidate] = []
        for number, seq in sorted(rows, reverse=True):
            place = number << 32 | seq
            stored = rows[number, seq]
            if number not in sessions or stored is None or not low <= place <= high or not since <= stored.at < until:
                continue
            points = _points(stored, query, terms)
            if points and not any(lo <= seq <= hi for lo, hi in merged(self._ledger.cuts(number))):
                out.append(Candidate(place, points, stored.at))
            if len(out) == limit:
                break
        return out

    def found(self, place: int) -> Found | None:
        row = self._ledger.session(place >> 32)
        stored = self._ledger.messages.rows.get((place >> 32, place & MOST))
        if stored is None:
            return None
        return Found(row.id, row.owner, row.title, stored.kind, stored.at, stored.body)


def _points(stored: StoredMessage, query: SearchQuery, terms: Sequence[Term]) -> int:
    """How well a message has what is looked for; 0: not at all, or it is not to be found."""
    if not is_searchable(stored.kind):
        return 0
    try:
        message = codec.decode(stored.body)
    except CorruptRecord:
        return 0
    if query.role not in (None, message.role):
        return 0
    matched = match(terms, searched_text(message))
    return matched.points if matched is not None else 0


def _is_searched(row: SessionRow, query: SearchQuery) -> bool:
    """Whether messages of a session may be found."""
    return (
        row.deleted_at is None
        and query.owner in (None, row.owner)
        and query.session_id in (None, row.id)
        and (query.include_hidden or query.session_id is not None or not row.hidden)
        and views.is_of(row, query)
    )
