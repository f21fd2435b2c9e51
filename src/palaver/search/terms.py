"""What somebody looks for, and whether a text has it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import msgspec

from palaver.search.words import words, words_of

__all__ = ["Match", "Term", "match", "parse", "points", "rank"]

MAX_WORDS = 64
"""Words of a query that count: nobody looks for more, but somebody pastes a page."""
POINTS = 1_000_000
"""Scores are kept as whole numbers, so that a cursor can say one exactly."""
_PIECE = re.compile(r'"([^"]*)"(\*?)|([^\s"]+)')
# Okapi BM25's usual constants. Every hit has every term, so rarity (IDF) hardly tells hits apart and is left out: a
# score then depends on the message alone, and is the same in every store.
_K1 = 1.2
_B = 0.75
_USUAL_LENGTH = 60


class Term(msgspec.Struct, frozen=True, gc=False):
    """Words that stand beside each other; with `prefix`, the last one may go on."""

    words: tuple[str, ...]
    prefix: bool = False


class Match(msgspec.Struct, frozen=True, gc=False):
    """How a text has what is looked for."""

    points: int
    spans: tuple[tuple[int, int], ...]
    """Where each occurrence begins and ends, in order."""


def parse(text: str) -> tuple[Term, ...]:
    """What a query looks for: `two words`, `"a phrase"`, `begin*`. Whatever is written, it is never an error.

    What is written without a space is one term, so that `get_or_create`, an address or Chinese text is found as it
    stands. No term: nothing can be found by it.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    found: dict[Term, None] = {}
    left = MAX_WORDS
    for phrase, star, bare in _PIECE.findall(text):
        said = words_of(bare or phrase)[:left]
        term = Term(tuple(said), bool(star) or bare.endswith("*"))
        if said and term not in found:
            found[term] = None
            left -= len(said)
    return tuple(found)


def match(terms: Sequence[Term], text: str) -> Match | None:
    """Where a text has all the terms, or None where it has not."""
    found = words(text)
    places: dict[str, list[int]] = {}
    for place, (word, _, _) in enumerate(found):
        places.setdefault(word, []).append(place)
    counts: list[int] = []
    spans: list[tuple[int, int]] = []
    for term in terms:
        begins = _occurrences(term, found, places)
        if not begins:
            return None
        counts.append(len(begins))
        last = len(term.words) - 1
        spans.extend((found[begin][1], found[begin + last][2]) for begin in begins)
    return Match(rank(counts, len(found)), tuple(sorted(spans)))


def points(terms: Sequence[Term], said: Sequence[str]) -> int | None:
    """The points of a text that was cut into these words, or None where it has not all the terms."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(said):
        places.setdefault(word, []).append(place)
    found = [(word, 0, 0) for word in said]
    counts: list[int] = []
    for term in terms:
        begins = _occurrences(term, found, places)
        if not begins:
            return None
        counts.append(len(begins))
    return rank(counts, len(said))


def _occurrences(term: Term, found: list[tuple[str, int, int]], places: dict[str, list[int]]) -> list[int]:
    first, *others = term.words
    if not others:
        if not term.prefix:
            return places.get(first, [])
        return sorted(place for word, several in places.items() if word.startswith(first) for place in several)
    return [place for place in places.get(first, ()) if _follow(others, found, place + 1, prefix=term.prefix)]


def _follow(others: list[str], found: list[tuple[str, int, int]], place: int, *, prefix: bool) -> bool:
    end = place + len(others)
    if end > len(found):
        return False
    there = [word for word, _, _ in found[place:end]]
    return there[:-1] == others[:-1] and (there[-1].startswith(others[-1]) if prefix else there[-1] == others[-1])


def rank(counts: Sequence[int], length: int) -> int:
    """Points of a text of that many words that has each term so often: more is better, and shorter is better."""
    weight = _K1 * (1 - _B + _B * length / _USUAL_LENGTH)
    return round(sum(count * (_K1 + 1) / (count + weight) for count in counts) * POINTS)
