"""The workload that searches. It gives its figures by name; see `bench.gates`."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from itertools import accumulate

import palaver
from bench.material import Place, spoken
from bench.reading import require
from bench.sizes import Sizes
from bench.writing import Figures, timed
from palaver.model import Message

__all__ = ["s1"]

_HITS = 20
_WORDS = 20_000
_TALK = 60
"""Words of a message in letters, or characters of one in Chinese: about 400 bytes of JSON."""
_HAN = 0x4E00
_CHUNK = 1_000
_SESSION = 5_000
_LETTERS = "bcdfghjklmnprstvz"
_VOWELS = "aeiou"


class Talk:
    """Messages whose words are as unequally common as people's are (Zipf), half of them in Chinese."""

    def __init__(self, seed: int = 5) -> None:
        self._chance = random.Random(seed)
        syllables = [a + b for a in _LETTERS for b in _VOWELS]
        self.words = ["".join(self._chance.choices(syllables, k=1 + n % 4)) + str(n)[-1] for n in range(_WORDS)]
        self._common = list(accumulate(1 / (n + 2) for n in range(_WORDS)))
        self.han = [chr(_HAN + n) for n in range(3_000)]
        self._common_han = list(accumulate(1 / (n + 2) for n in range(3_000)))

    def messages(self, count: int) -> Iterator[list[Message]]:
        """So many messages, a chunk at a time."""
        for start in range(0, count, _CHUNK):
            yield [self._message(n) for n in range(start, min(count, start + _CHUNK))]

    def _message(self, number: int) -> Message:
        say = palaver.assistant if number % 3 else palaver.user
        if number % 2:
            return say("".join(self._chance.choices(self.han, cum_weights=self._common_han, k=2 * _TALK)))
        return say(" ".join(self._chance.choices(self.words, cum_weights=self._common, k=_TALK)))

    def queries(self) -> dict[str, str]:
        """What is looked for: from what nearly every message has to what hardly one has."""
        words, han = self.words, self.han
        return {
            "common": words[0],
            "several": f"{words[0]} {words[2]} {words[30]}",
            "phrase": f'"{words[1]} {words[3]}"',
            "prefix": f"{words[40][:3]}*",
            "rare": words[_WORDS - 7],
            "one_han": han[5],
            "two_han": han[3] + han[8],
        }


def s1(place: Place, sizes: Sizes) -> Figures:
    """Search a long store; append to it; search it again when much is new."""
    figures: Figures = {}
    talk = Talk()
    searched = place.within("searched")
    with palaver.open(searched.url) as sessions, palaver.open(place.within("plain").url) as others:
        session = sessions.create()
        stored = 0
        for chunk in talk.messages(sizes.searched):
            if stored % _SESSION == 0:
                session = sessions.create()
            session.append(*chunk)
            stored += len(chunk)
        before = searched.size
        begun = time.perf_counter()
        while sessions.search("nothing has this").behind:
            pass
        figures["index_us"] = (time.perf_counter() - begun) / stored * 1e6
        for name, text in talk.queries().items():
            figures[f"{name}_ms"] = _search_ms(sessions, text)
        figures["worst_ms"] = max(figures[f"{name}_ms"] for name in talk.queries())
        figures["appends"] = _appends(sessions.create("bench:indexed"), others.create("bench:plain"), sizes.turns)
        for chunk in talk.messages(sizes.unindexed):
            session.append(*chunk)
        begun = time.perf_counter()
        page = sessions.search(talk.words[0], limit=_HITS)
        figures["catch_up_ms"] = (time.perf_counter() - begun) * 1e3
        require(0 < len(page) <= _HITS, f"a search for the commonest word found {len(page)} messages")
    if place.shared:
        figures["index_bytes"] = (searched.size - before) / stored
    return figures


def _appends(indexed: palaver.Session, plain: palaver.Session, count: int) -> float:
    """How fast appends are beside an index, of how fast they are without; in turns, so that the disk is the same."""
    seconds: list[float] = []
    reference: list[float] = []
    for message in spoken(count):
        timed(plain.append, [message], reference)
        timed(indexed.append, [message], seconds)
    return statistics.median(reference) / statistics.median(seconds)


def _search_ms(sessions: palaver.SessionManager, text: str) -> float:
    seconds: list[float] = []
    timed(lambda _: sessions.search(text, limit=_HITS), range(5), seconds)
    return statistics.median(seconds) * 1e3
