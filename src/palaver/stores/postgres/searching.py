"""The search index of the PostgreSQL store: how it is asked, and what a row of it holds.

A row has the words of a message in order, and each of them once in a `tsvector` with what it is narrowed by (owner,
beginning, role; told apart from words by a sign that no word has). The server finds where all words are, without
dictionaries, stemming or positions, whose number it limits; whether they stand beside each other, and how many points
a message has, is told from the words by `palaver.search` itself. So it is what a plain scan finds, in any script.

https://www.postgresql.org/docs/current/textsearch-limitations.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from palaver.search import SearchQuery, Term, points
from palaver.stores.searching import Candidate
from palaver.stores.sqlite.indexing import BEGINNINGS, STEP_BYTES, Index, State, Step, says, tag
from palaver.stores.sqlite.searching import narrowed
from palaver.stores.statements import Row

__all__ = ["TsvectorIndex", "expression", "indexed_rows"]

_EVERY_WORD = "#all"
"""The one word of a message with more words than a tsvector takes: it is looked at in every search."""
_MOST_BYTES = 900_000
_AT_ONCE = 2_000


def indexed_rows(rows: Iterable[tuple[int, str, str]]) -> tuple[list[int], list[str], list[str]]:
    """Messages' places, each once; their words; the lexemes that they are found by, each message's in one text."""
    found: dict[int, tuple[str, str]] = {}
    for place, tags, text in rows:
        lexemes = set(text.split(" "))
        # No text that is a quarter as long has as many bytes: words are not looked at one by one for that.
        if 4 * len(text) > _MOST_BYTES and sum(len(word.encode()) for word in lexemes) > _MOST_BYTES:
            lexemes = {_EVERY_WORD}
        found[place] = text, " ".join((*lexemes, *(f"#{each}" for each in tags.split(" "))))
    return list(found), [text for text, _ in found.values()], [lexemes for _, lexemes in found.values()]


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
    """The index as PostgreSQL keeps it. What a step takes in is read in a few round trips, for however many changes."""

    _ahead: dict[int, list[Row]]
    _scopes: dict[int, Row]

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

    # ------------------------------------------------------------------ following
    def step(self, limit: int, at: int, state: State | None = None) -> Step | None:
        self._ahead, self._scopes = {}, {}
        return super().step(limit, at, state)

    def _read_ahead(self, changes: list[Row], part: int, size: int) -> list[Row]:
        """So many changes as tell of `size` messages at least, and what they tell of, as far as one step takes it."""
        telling = 0
        for count, (_, _, kind, first, _) in enumerate(changes, 1):
            telling += says(kind, first)
            if telling == size:
                changes = changes[:count]
                break
        # Of the first one, what came before this is in the index.
        begun = part if says(changes[0][2], changes[0][3]) else 0
        asked = [
            (place, number, max(first, begun + 1) if nth == 0 else first, last)
            for nth, (place, number, kind, first, last) in enumerate(changes)
            if says(kind, first)
        ]
        self._ahead = defaultdict(list)
        if asked:
            columns = [list(column) for column in zip(*asked, strict=True)]
            for place, *message in self._sql.all("bodies_of_changes", (*columns, size, STEP_BYTES)):
                self._ahead[place].append(tuple(message))
        self._learn(sorted({number for _, number, _, _ in asked}))
        return changes

    def _bodies(self, place: int, low: int, high: int, limit: int) -> Iterable[Row]:
        del low, high, limit  # the step is full before what was read ahead is used up, or has all of it
        return self._ahead[place]

    def _scope(self, number: int) -> Row | None:
        if number not in self._scopes:
            self._learn([number])
        return self._scopes.get(number)

    def _learn(self, numbers: list[int]) -> None:
        if numbers:
            self._scopes.update((row[0], row[1:]) for row in self._sql.all("session_scopes", (numbers,)))
