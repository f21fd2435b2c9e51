"""How the search index of the SQLite store is asked; how it follows the transcript is in `indexing`.

The index is an FTS5 table without content, by the messages' own ids: of a message it has the words, and tags to
narrow it by. A session's own tags do change: the sessions that have one are looked up first. What FTS5's ascii
tokenizer leaves alone is what `palaver.search` gives: letters and digits without case, and everything beyond ASCII.

Contentless with pre-cut text is what was measured best: half the time and a quarter of the size of trigrams, and it
finds single Chinese characters, which they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import apsw

from palaver.model import Message
from palaver.rows import kind_of
from palaver.search import SearchQuery, Term, rank
from palaver.stores.searching import Candidate, Found
from palaver.stores.sqlite.indexing import BEGINNINGS, Index, tag
from palaver.stores.sqlite.rows import LAST
from palaver.stores.sqlite.statements import Statements as SqliteStatements
from palaver.stores.statements import Statements
from palaver.times import EARLIEST, LATEST, to_micros

__all__ = ["FullText", "Searched", "expression", "narrowed", "register"]

_FEW = 50
"""Sessions that are searched one by one, whatever the others have."""


def register(connection: apsw.Connection) -> None:
    """Teach a connection to rank; see `palaver.search.rank`."""

    def points(api: Any, terms: int) -> int:
        counts = [len(api.phrase_column_offsets(phrase, 1)) for phrase in range(terms)]
        return rank(counts, api.column_size(1))

    untyped: Any = connection
    untyped.register_fts5_function("palaver_points", points)


def expression(query: SearchQuery, terms: Sequence[Term]) -> str:
    """The search in FTS5's language. The terms come first, so that they are phrases 0 and on.

    Words are letters and digits, or beyond ASCII, and stand in quotes: nothing that is looked for can be syntax.
    """
    said = " AND ".join(f'"{" ".join(term.words)}"{" *" if term.prefix else ""}' for term in terms)
    narrowed = [
        tag(letter, value)
        for letter, value in (
            ("o", query.owner),
            *((letter, getattr(query, name)) for name, letter in BEGINNINGS.items()),
            ("r", query.role),
        )
        if value is not None
    ]
    whole = f"text : ({said})"
    return whole if not narrowed else f"{whole} AND tags : ({' AND '.join(narrowed)})"


class FullText(Index):
    """The index as SQLite's FTS5 keeps it."""

    def __init__(self, sql: SqliteStatements, name: str) -> None:
        super().__init__(sql, name)
        self._connection = sql.connection
        self._ranks = False

    def candidates(
        self, query: SearchQuery, terms: Sequence[Term], session: int | None, low: int, high: int, limit: int
    ) -> list[Candidate]:
        """Live matches, from the highest id down."""
        if not self._ranks:
            register(self._connection)
            self._ranks = True
        values = narrowed(query, session, low, high)
        values |= {"expression": expression(query, terms), "terms": len(terms), "limit": limit}
        if query.tag is None:
            return [Candidate(*row) for row in self._sql.all("search", values)]
        return self._tagged(query.tag, terms, values)

    def _tagged(self, label: str, terms: Sequence[Term], values: dict[str, Any]) -> list[Candidate]:
        """The same in sessions that have a tag: one by one where they are few, else from the last to the first.

        A beginning is not looked up session by session: FTS5 gathers all words that begin so for every one of them.
        """
        scope = {"owner": values["owner"], "low": values["low"] >> 32, "high": values["high"] >> 32, "tag": label}
        numbers = [row[0] for row in self._sql.all("tagged", scope)]
        if not numbers:
            return []
        if len(numbers) <= _FEW and not any(term.prefix for term in terms):
            return self._each(numbers, values)
        values["low"] = max(values["low"], numbers[0] << 32)
        values["high"] = min(values["high"], numbers[-1] << 32 | LAST)
        values["sessions"] = f"[{','.join(map(str, numbers))}]"
        return [Candidate(*row) for row in self._sql.all("search_tagged", values)]

    def _each(self, numbers: list[int], values: dict[str, Any]) -> list[Candidate]:
        """Live matches of each of these sessions, from the last to the first."""
        found: list[Candidate] = []
        low, high, limit = values["low"], values["high"], values["limit"]
        for number in reversed(numbers):
            values["low"], values["high"] = max(low, number << 32), min(high, number << 32 | LAST)
            values["limit"] = limit - len(found) if limit >= 0 else limit
            found += [Candidate(*row) for row in self._sql.all("search", values)]
            if len(found) == limit:
                break
        return found


def narrowed(query: SearchQuery, session: int | None, low: int, high: int) -> dict[str, Any]:
    """What candidates are compared with, besides their words."""
    if session is not None:
        low, high = max(low, session << 32), min(high, session << 32 | LAST)
    return {
        "low": low,
        "high": high,
        "owner": query.owner,
        "platform": query.platform,
        "agent": query.agent,
        "account": query.account,
        "role": kind_of(Message(role=query.role)) if query.role is not None else None,
        "since": to_micros(query.since) if query.since is not None else EARLIEST,
        "until": to_micros(query.until) if query.until is not None else LATEST + 1,
        "hidden": query.include_hidden or session is not None,
    }


class Keeper(Protocol):
    """Who keeps what cannot be decoded."""

    name: str
    sql: Statements

    def set_aside(self, location: str, body: bytes) -> None:
        """Keep the bytes of a message as they were found."""
        ...


class Searched:
    """The store as one search sees it; see `palaver.stores.searching.Source`."""

    def __init__(self, keeper: Keeper, index: Index, session: int | None) -> None:
        self.name = keeper.name
        self._keeper = keeper
        self._index = index
        self._session = session

    def candidates(self, query: SearchQuery, terms: Sequence[Term], low: int, high: int, limit: int) -> list[Candidate]:
        """Live matches, from the highest id down."""
        return self._index.candidates(query, terms, self._session, low, high, limit)

    def found(self, place: int) -> Found | None:
        """The message with this id."""
        row = self._keeper.sql.one("search_hit", (place,))
        return Found(*row) if row is not None else None

    def set_aside(self, location: str, body: bytes) -> None:
        """Keep the bytes of a message that cannot be decoded, as they were found."""
        self._keeper.set_aside(location, body)
