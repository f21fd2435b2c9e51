"""The search index of the PostgreSQL store: how it is asked, and what a row of it holds.

A row has the words of a message in order, and each of them once in a `tsvector` with what it is narrowed by (owner,
beginning, role; told apart from words by a sign that no word has). The server finds where all words are, without
dictionaries, stemming or positions, whose number it limits; whether they stand beside each other, and how many points
a message has, is told from the words by `palaver.search` itself. So it is what a plain scan finds, in any script.

https://www.postgresql.org/docs/current/textsearch-limitations.html
"""

from __future__ import annotations

from collections.abc import Sequence

from palaver.search import SearchQuery, Term, points
from palaver.stores.searching import Candidate
from palaver.stores.sqlite.searching import BEGINNINGS, Index, narrowed, tag
from palaver.stores.statements import Row

__all__ = ["TsvectorIndex", "expression", "indexed_row"]

_EVERY_WORD = "#all"
"""The one word of a message with more words than a tsvector takes: it is looked at in every search."""
_MOST_BYTES = 900_000
_AT_ONCE = 2_000


def indexed_row(row: tuple[int, str, str]) -> tuple[int, str, list[str]]:
    """A message's place, its words, and the lexemes that it is found by."""
    place, tags, text = row
    lexemes = set(text.split(" "))
    if sum(len(word.encode()) for word in lexemes) > _MOST_BYTES:
        lexemes = {_EVERY_WORD}
    return place, text, [*lexemes, *(f"#{each}" for each in tags.split(" "))]


def expression(query: SearchQuery, terms: Sequence[Term]) -> str:
    """The search as a tsquery. Words are letters and digits, or beyond ASCII, and stand in quotes."""
    said = " & ".join(
        f"'{word}'{':*' if term.prefix and place == len(term.words) - 1 else ''}"
        for term in terms
        for place, word in enumerate(term.words)
    )
    narrow = [
        f" & '#{tag(letter, value)}'"
        for letter, value in (
            ("o", query.owner),
            *((letter, getattr(query, name)) for name, letter in BEGINNINGS.items()),
            ("r", query.role),
        )
        if value is not None
    ]
    return f"({said} | '{_EVERY_WORD}'){''.join(narrow)}"


class TsvectorIndex(Index):
    """The index as PostgreSQL keeps it."""

    def candidates(
        self, query: SearchQuery, terms: Sequence[Term], session: int | None, low: int, high: int, limit: int
    ) -> list[Candidate]:
        """Live matches, from the highest place down."""
        asked = narrowed(query, session, low, high) | {"expression": expression(query, terms), "tag": query.tag}
        found: list[Candidate] = []
        while limit < 0 or len(found) < limit:
            rows: list[Row] = self._sql.all("search", {**asked, "limit": _AT_ONCE})
            for place, text, at in rows:
                scored = points(terms, text.split(" "))
                if scored is not None:
                    found.append(Candidate(place, scored, at))
            if len(rows) < _AT_ONCE:
                break
            asked["high"] = rows[-1][0] - 1
        return found if limit < 0 else found[:limit]

    def behind(self) -> int:
        state = self._current()
        left: int = self._sql.all("changes_after", (state.position,))[0][0]
        return left + self._unwalked(state)
