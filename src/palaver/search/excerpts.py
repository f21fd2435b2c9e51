"""What a person is shown of a message that was found."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["excerpt"]

WIDTH = 160
"""Characters of an excerpt, about."""
_BEFORE = 40
"""Characters before the first thing found."""
_NEARLY = 16
"""A cut goes to the next space within so many characters, so that words stay whole."""
_CUT = "\N{HORIZONTAL ELLIPSIS}"
_BLANK = re.compile(r"\s")


def excerpt(text: str, spans: Sequence[tuple[int, int]]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The stretch of a text that has most of what was found, on one line, and where in it that stands.

    `spans` are in order. An ellipsis stands where text was left out.
    """
    low, high = _stretch(text, spans)
    head, tail = _CUT if low > 0 else "", _CUT if high < len(text) else ""
    shown = head + _BLANK.sub(" ", text[low:high]) + tail
    shift = len(head) - low
    marks: list[tuple[int, int]] = []
    for begin, end in spans:
        if begin >= high or end <= low:
            continue
        begin, end = max(begin, low) + shift, min(end, high) + shift  # noqa: PLW2901 - the same span, as it is shown
        if marks and begin <= marks[-1][1]:
            marks[-1] = (marks[-1][0], max(end, marks[-1][1]))
        else:
            marks.append((begin, end))
    return shown, tuple(marks)


def _stretch(text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    if len(text) <= WIDTH:
        return 0, len(text)
    best, most, last = 0, 0, 0
    for first, (begin, _) in enumerate(spans):
        last = max(last, first)
        while last < len(spans) and spans[last][1] <= begin + WIDTH - _BEFORE:
            last += 1
        if last - first > most:
            best, most = first, last - first
    start = spans[best][0] if spans else 0
    low = max(0, min(start - _BEFORE, len(text) - WIDTH))
    if low > 0:
        space = _BLANK.search(text, low, min(low + _NEARLY, start))
        low = space.end() if space else low
    high = min(len(text), low + WIDTH)
    if high < len(text):
        space = _BLANK.search(text, high, high + _NEARLY)
        high = space.start() if space else high
    return low, high
