"""How the pages of a search are made, the same for every store: what is found, in which order, and where it goes on.

A store finds candidates: the newest matches first, session by session from the one that was made last. The first 1,000
of them are ranked and given page by page, then the next 1,000, and so on: so a search costs what it shows, however many
messages have the word, and where fewer match, all of them are ranked against each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from palaver import codec
from palaver.errors import CorruptRecord, CursorExpired
from palaver.rows import MOST
from palaver.search import SearchHit, SearchPage, SearchQuery, Term, excerpt, is_searchable, match, searched_text
from palaver.search.terms import POINTS
from palaver.times import EARLIEST, from_micros

__all__ = ["Candidate", "Found", "Source", "search_page"]

POOL = 1_000
"""Candidates that are ranked against each other."""
_EVERYWHERE = 1 << 62
_CURSOR = re.compile("([0-9a-f]{1,16})(?:-([0-9a-f]{1,16})-([0-9a-f]{1,12})-([0-9a-f]{1,16})-([0-9a-f]{1,16}))?")


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A message that may be shown: its place (session number << 32 | seq), its points, and when it was made."""

    place: int
    points: int
    at: int


class Found(msgspec.Struct, frozen=True, gc=False):
    """A stored message with what is told of its session."""

    session_id: str
    owner: str
    title: str | None
    kind: int
    at: int
    body: bytes


class Source(Protocol):
    """How a store answers, inside one snapshot."""

    name: str

    def candidates(self, query: SearchQuery, terms: Sequence[Term], low: int, high: int, limit: int) -> list[Candidate]:
        """The first `limit` live matches with low <= place <= high, from the highest place down; -1: all of them."""
        ...

    def found(self, place: int) -> Found | None:
        """The message at a place."""
        ...

    def set_aside(self, location: str, body: bytes) -> None:
        """Keep the bytes of a message that cannot be decoded, as they were found."""
        ...


class _Mark(msgspec.Struct, frozen=True):
    """Where a page begins: in the candidates up to `high`; after one of them, where those down to `low` are ranked."""

    high: int = _EVERYWHERE
    low: int = -1
    """-1: not known yet."""
    last: tuple[int, int, int] | None = None


def search_page(source: Source, query: SearchQuery, terms: Sequence[Term]) -> SearchPage:
    """A page of hits. Raises CursorExpired for a cursor of no search."""
    page = SearchPage()
    mark = _mark(query.cursor)
    if not terms or query.limit < 1:
        return page
    while True:
        pool = source.candidates(query, terms, max(mark.low, 0), mark.high, -1 if mark.low >= 0 else POOL)
        high = min(mark.high, pool[0].place if pool else mark.high)
        low = mark.low if mark.low >= 0 else pool[-1].place if len(pool) == POOL else 0
        before = mark.last
        for candidate in sorted(pool, key=_order):
            order = _order(candidate)
            if mark.last is not None and order <= mark.last:
                continue
            if len(page) == query.limit and before is not None:
                page.next = _cursor(_Mark(high, low, before))
                return page
            before = order
            hit = _hit(source, candidate, terms)
            if hit is not None:
                page.append(hit)
        if low <= 0:
            return page
        mark = _Mark(low - 1)
        if len(page) == query.limit:
            page.next = _cursor(mark)
            return page


def _order(candidate: Candidate) -> tuple[int, int, int]:
    """More points first; then what is newer."""
    return -candidate.points, -candidate.at, -candidate.place


def _hit(source: Source, candidate: Candidate, terms: Sequence[Term]) -> SearchHit | None:
    """What is shown of a candidate; None where the message does not have the terms, whatever an index says."""
    found = source.found(candidate.place)
    if found is None or not is_searchable(found.kind):
        return None
    seq = candidate.place & MOST
    location = f"session {found.session_id} seq {seq}"
    try:
        message = codec.decode(found.body, store=source.name, location=location)
    except CorruptRecord:
        source.set_aside(location, found.body)
        return None
    text = searched_text(message)
    matched = match(terms, text)
    if matched is None:
        return None
    snippet, highlights = excerpt(text, matched.spans)
    return SearchHit(
        session_id=found.session_id,
        owner=found.owner or None,
        title=found.title,
        seq=seq,
        role=message.role,
        created_at=from_micros(found.at),
        snippet=snippet,
        highlights=highlights,
        score=matched.points / POINTS,
    )


def _cursor(mark: _Mark) -> str:
    if mark.last is None:
        return f"{mark.high:x}"
    points, at, place = mark.last
    return f"{mark.high:x}-{mark.low:x}-{-points:x}-{-at - EARLIEST:x}-{-place:x}"


def _mark(cursor: str | None) -> _Mark:
    if cursor is None:
        return _Mark()
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        msg = f"{cursor!r} is no cursor of a search: take it from `next` of a page, or leave it out to begin anew"
        raise CursorExpired(msg)
    high, *others = (int(each, 16) for each in found.groups() if each is not None)
    if not others:
        return _Mark(min(high, _EVERYWHERE))
    low, points, at, place = others
    return _Mark(min(high, _EVERYWHERE), min(low, _EVERYWHERE), (-points, -at - EARLIEST, -place))
