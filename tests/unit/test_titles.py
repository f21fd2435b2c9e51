"""Titles: how they are compared, numbered, tidied and suggested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver import Message, assistant, suggested_title, system, titles, user

names = st.text(st.characters(codec="utf-8"), max_size=6)


@given(names, names)
def test_the_end_of_a_prefix_bounds_what_begins_so(prefix: str, rest: str) -> None:
    """Everything that begins so is less than the end, and what is less than the end and not less than it begins so."""
    end = titles.end_of_prefix(prefix)
    assert end is None or prefix <= prefix + rest < end
    if end is not None:
        assert rest.startswith(prefix) == (prefix <= rest < end)


@given(st.integers(1, 300), st.integers(1, 300))
def test_the_next_title_is_free(taken: int, asked: int) -> None:
    """However many there are and whichever is asked for: it was not taken, and is the next where none is missing."""
    have = {"x", *[f"x #{n}" for n in range(2, taken + 1)]}
    title = "x" if asked == 1 else f"x #{asked}"
    free = titles.next_free(title, have.__contains__)
    assert free not in have
    assert free == (title if asked > taken else f"x #{taken + 1}")


@pytest.mark.parametrize(
    ("title", "parts"),
    [
        ("Rome", ("Rome", 1)),
        ("Rome #2", ("Rome", 2)),
        ("Rome #02", ("Rome #02", 1)),
        ("#2", ("#2", 1)),
        ("a #2 #3", ("a #2", 3)),
        ("issue#2", ("issue#2", 1)),
        ("x #9999999999", ("x #9999999999", 1)),
    ],
)
def test_lineage(title: str, parts: tuple[str, int]) -> None:
    """Only what was numbered by Palaver counts as numbered."""
    assert titles.lineage(title) == parts


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ([user("How do I get to Rome? By train, I mean.")], "How do I get to Rome?"),
        ([system("Be kind."), user("/new", flags=("command",)), user("Rome!\nAnd Oslo.")], "Rome!"),
        ([user("..."), user("a  b\tc")], "a b c"),
        ([user("\u65c5\u884c\u306e\u8a71\u3002\u7d9a\u304d")], "\u65c5\u884c\u306e\u8a71\u3002"),
        ([user("\u202eRome\u200b \x07bell")], "Rome bell"),
        ([assistant("Hello")], None),
        ([], None),
    ],
)
def test_a_title_is_suggested_from_the_first_words_of_a_person(said: list[Message], title: str | None) -> None:
    """Its first sentence; instructions, commands and what cannot be seen do not count."""
    assert suggested_title(said) == title


@given(st.text(max_size=300))
def test_a_suggestion_is_short_and_on_one_line(text: str) -> None:
    """Whatever was said."""
    title = suggested_title([user(text)])
    assert title is None or (0 < len(title) <= 60 and title.split() == title.split(" "))


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('"Trip to Rome"\n', "Trip to Rome"),
        ("**Trip to Rome**", "Trip to Rome"),
        ("x" * 200, "x" * 99 + "\N{HORIZONTAL ELLIPSIS}"),
        ("word " * 40, "word " * 18 + "word\N{HORIZONTAL ELLIPSIS}"),
        ("\u200b", None),
        ("Trip\u202e to\x07\nRo\u200bme", "Trip to Rome"),
    ],
)
def test_what_a_model_says_is_made_a_title(text: str, title: str | None) -> None:
    """Without the quotes and marks that models put around titles, on one visible line, and not too long."""
    assert titles.tidy(text) == title


def test_near_names() -> None:
    """What contains the text comes before what looks like it; others are not named."""
    known = ["Trip to Rome", "A trip", "Trap", "Taxes"]
    assert titles.near("trip", known) == ["Trip to Rome", "A trip", "Trap"]
    assert titles.near("zzz", known) == []
