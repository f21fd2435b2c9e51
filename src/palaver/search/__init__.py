"""What a search finds, as functions on text: one way to cut it into words, for every store and for the query alike.

`words` cuts, `terms` reads what somebody wrote and matches it, `excerpts` shows where it was found. A store may keep an
index of the words, and must find what a plain scan by these functions would find.
"""

from __future__ import annotations

from palaver.search.excerpts import excerpt
from palaver.search.terms import Match, Term, match, parse, points, rank
from palaver.search.values import SearchHit, SearchPage, SearchQuery
from palaver.search.words import WORDS_VERSION, is_searchable, searched_text, words, words_of

__all__ = [
    "WORDS_VERSION",
    "Match",
    "SearchHit",
    "SearchPage",
    "SearchQuery",
    "Term",
    "excerpt",
    "is_searchable",
    "match",
    "parse",
    "points",
    "rank",
    "searched_text",
    "words",
    "words_of",
]
