"""Search finds what a plain scan by the same words finds, in every store, whatever is said and looked for."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from palaver import codec
from palaver.model import user
from palaver.operations import Append, Create, Cut, NewSession
from palaver.search import SearchQuery, Term, excerpt, match, parse, rank, searched_text, words, words_of
from palaver.stores import Store, open_store

AT = 1_700_000_000_000_000

# Few letters, so that words meet; every script that is cut in its own way; what FTS5 would take as syntax.
letters = st.sampled_from(
    [
        *"aabbc12 \n_-.\"'*()^:",
        "A",
        "\N{LATIN SMALL LETTER E WITH ACUTE}",
        "e\N{COMBINING ACUTE ACCENT}",
        "\N{LATIN SMALL LETTER SHARP S}",
        "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}",
        "\N{VULGAR FRACTION ONE HALF}",
        "\N{PARENTHESIZED DIGIT ONE}",
        *"\u4e1c\u4eac\u3002\u30ab\uff76\uff9e\uc11c\u0e17\u0e31",
        "\N{ROCKET}",
        "\N{DEVANAGARI LETTER KA}\N{DEVANAGARI VOWEL SIGN I}",
        "\N{ARABIC LETTER MEEM}\N{ARABIC FATHA}",
        " AND ",
        " NEAR(",
    ]
)
texts = st.one_of(st.lists(letters, max_size=12).map("".join), st.text(max_size=12).map(codec.clean_text))
queries = st.one_of(texts, texts.map(lambda text: f'"{text}"'), texts.map(lambda text: f"{text}*"), st.text(max_size=9))


def said(store: Store, messages: list[str]) -> None:
    """One session that holds these messages, of which the third is cut."""
    drafts = tuple(codec.draft(user(text)) for text in messages)
    operations = [
        Create(at=AT, new=NewSession(id="s", explicit=True)),
        Append(at=AT, session_id="s", messages=drafts),
        Cut(at=AT, session_id="s", from_seq=3, through_seq=3, kind="delete"),
    ]
    answers = store.commit(operations)
    assert not isinstance(answers[1], Exception)


@given(st.lists(texts, min_size=1, max_size=6), st.lists(queries, min_size=1, max_size=4))
def test_every_store_finds_what_a_plain_scan_finds(messages: list[str], looked_for: list[str]) -> None:
    """The same messages with the same scores and excerpts; what the index says is what the text says."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store("memory://") as memory,
        open_store(Path(folder) / "a.db") as sqlite,
    ):
        for store in (memory, sqlite):
            said(store, messages)
        for text in [*looked_for, *messages]:
            query = SearchQuery(text=text, limit=99)
            found = memory.search(query)
            assert {hit.seq for hit in found} == scan(memory, text)
            assert list(sqlite.search(query)) == list(found)


def scan(store: Store, text: str) -> set[int]:
    """Positions of the live messages that have what is looked for, without any store's help."""
    terms = parse(text)
    return {message.seq for message in store.page("s", None) if terms and match(terms, searched_text(message))}


@given(texts)
def test_a_text_is_cut_in_one_way(text: str) -> None:
    """With and without positions; and each word stands where it is said to stand."""
    spans = words(text)
    assert [word for word, _, _ in spans] == words_of(text)
    assert all(0 <= begin < end <= len(text) for _, begin, end in spans)
    assert [begin for _, begin, _ in spans] == sorted(begin for _, begin, _ in spans)
    for word, begin, end in spans:
        assert words_of(text[begin:end]) == [word]
        assert " " not in word
        assert all(c.isalnum() for c in word if c.isascii())


@given(texts)
def test_a_text_is_found_by_its_words(text: str) -> None:
    """Singly, as a phrase, and by their beginnings."""
    found = words_of(text)
    if not found:
        assert match(parse(text), text) is None or not parse(text)
        return
    assert match([Term(tuple(found))], text)
    assert match([Term((word,)) for word in found], text)
    assert match([Term((word[:1],), prefix=True) for word in found], text)


@given(st.lists(texts, max_size=60).map(" ".join), queries)
def test_an_excerpt_shows_what_was_found(text: str, looked_for: str) -> None:
    """On one line, of bounded length, with marks that lie in it, in order, and do not touch."""
    matched = match(parse(looked_for), text)
    if matched is None:
        return
    shown, marks = excerpt(text, matched.spans)
    assert len(shown) <= 200
    assert len(shown.splitlines()) <= 1
    flat = [edge for mark in marks for edge in mark]
    assert flat == sorted(set(flat))
    assert not flat or (flat[0] >= 0 and flat[-1] <= len(shown))
    if parse(looked_for):
        assert marks


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(1, 5000))
def test_more_is_better_and_shorter_is_better(counts: list[int], length: int) -> None:
    """Points rise with each occurrence and fall with each further word."""
    points = rank(counts, length)
    assert points > 0
    assert rank([counts[0] + 1, *counts[1:]], length) > points
    assert rank(counts, length + 10) < points
