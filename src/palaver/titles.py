"""Titles of sessions: how they are compared, numbered and suggested. Pure.

A person finds a conversation again by its title, so two of one owner never have the same. What goes on from another
conversation takes its title with the next number: `Trip to Rome`, `Trip to Rome #2` (as hermes-agent does).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from palaver.model import Message

__all__ = ["end_of_prefix", "folded", "lineage", "near", "next_free", "suggested_title", "tidy"]

LONGEST = 100
"""Characters of a title that a model made (hermes-agent's limit)."""
SUGGESTED = 60
"""Characters of a title that is suggested from what was said."""
MOST = 999_999_999
_NUMBERED = re.compile(r"(.*\S) #([1-9]\d{0,8})", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s|(?<=[\u3002\uff01\uff1f])|\n")
_LAST = "\U0010ffff"
_QUOTES = "\"'`*_\u201c\u201d\u201e\u00ab\u00bb"
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co"})
_JOINERS = "\u200c\u200d"
"""They shape Persian words and emoji: the only invisible characters that a title keeps."""
_GUESSES = 3


def folded(title: str) -> str:
    """A title as it is looked for: without regard to case, width and spaces."""
    return " ".join(unicodedata.normalize("NFKC", title).casefold().split())


def lineage(title: str) -> tuple[str, int]:
    """What stands before ` #n`, and n; a title without a number is the first."""
    found = _NUMBERED.fullmatch(title)
    return (found[1], int(found[2])) if found else (title, 1)


def next_free(title: str, taken: Callable[[str], bool]) -> str:
    """The title, or where it is taken the same with the next number that is free.

    Asks about twice the logarithm of how many are taken: a number in between that became free may stay unused.
    """
    if not taken(title):
        return title
    base, low = lineage(title)
    high = low * 2
    while taken(f"{base} #{high}"):
        low, high = high, high * 2
        if high > MOST:
            msg = f"the titles that begin with {base!r} have no number left; choose another"
            raise ValueError(msg)
    while high - low > 1:
        middle = (low + high) // 2
        if taken(f"{base} #{middle}"):
            low = middle
        else:
            high = middle
    return f"{base} #{high}"


def end_of_prefix(prefix: str) -> str | None:
    """The least text that is greater than all that begin with this, by code points; None: there is none."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # between them are no characters


def near(text: str, names: Iterable[str]) -> list[str]:
    """A few of these names that somebody who wrote `text` may have meant, the likeliest first."""
    wanted = folded(text)
    by_key: dict[str, str] = {}
    for name in names:
        by_key.setdefault(folded(name), name)
    inside = [key for key in by_key if wanted and wanted in key]
    import difflib  # only what was misspelt needs it

    like = difflib.get_close_matches(wanted, by_key, n=_GUESSES, cutoff=0.6)
    return [by_key[key] for key in dict.fromkeys((*inside, *like))][:_GUESSES]


def tidy(text: str, longest: int = LONGEST) -> str | None:
    """A title as a person can read and type it; None where nothing is left.

    On one line, without what cannot be seen and without the quotation marks that models put around titles; one that
    is too long ends at a word, with an ellipsis.
    """
    spaced = "".join(c if c in _JOINERS or unicodedata.category(c) not in _UNSEEN or c.isspace() else "" for c in text)
    line = " ".join(spaced.split())
    bare = line.strip(_QUOTES).strip()
    if len(bare) <= longest:
        return bare or None
    cut = bare[: longest - 1]
    word, space, _ = cut.rpartition(" ")
    return f"{(word if space and len(word) > longest // 2 else cut).rstrip(' ,;:-')}\N{HORIZONTAL ELLIPSIS}"


def suggested_title(messages: Sequence[Message]) -> str | None:
    """A title from the first thing that a person said: its first sentence, at most 60 characters.

    None where nobody has said anything with words: hidden messages, commands and copies from elsewhere do not count.
    """
    for message in messages:
        if message.role != "user" or message.copied_from is not None or {"hidden", "command"} & {*message.flags}:
            continue
        for sentence in _SENTENCE.split(message.text):
            if any(c.isalnum() for c in sentence):
                return tidy(sentence, SUGGESTED)
    return None
