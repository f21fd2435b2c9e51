"""Charts as figures: where rectangles stand, for templates that draw them as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

__all__ = ["Bar", "Column", "Piece", "columns", "ribbon", "ticks"]

WIDE = 1000.0
_THIN = 3.0
"""Least width of a piece of a ribbon, or a few messages among many would not be seen."""


class Bar(msgspec.Struct, frozen=True):
    """A part of a whole."""

    name: str
    count: int
    amount: int
    percent: float


class Piece(msgspec.Struct, frozen=True):
    """A stretch of a ribbon."""

    x: float
    width: float
    name: str
    from_seq: int
    through_seq: int


class Column(msgspec.Struct, frozen=True):
    """A column of a chart, of two parts that stand on each other; heights are percent of the chart's."""

    name: str
    x: float
    width: float
    lower: float
    upper: float
    said: str


def ribbon(spans: Sequence[tuple[int, int, str]]) -> list[Piece]:
    """Positions from left to right; each piece is as wide as it has positions, and none so thin that it is lost."""
    total = sum(high - low + 1 for low, high, _ in spans)
    if not total:
        return []
    thin = min(_THIN, WIDE / len(spans))
    free = WIDE - thin * len(spans)
    out: list[Piece] = []
    x = 0.0
    for low, high, name in spans:
        width = thin + free * (high - low + 1) / total
        out.append(Piece(round(x, 2), round(width, 2), name, low, high))
        x += width
    return out


def columns(values: Sequence[tuple[str, int, int, str]], most: int) -> list[Column]:
    """Name, lower part, upper part and what is said of each column."""
    step = WIDE / max(len(values), 1)
    gap = step * 0.2
    return [
        Column(
            name,
            round(place * step + gap / 2, 2),
            round(step - gap, 2),
            round(100 * lower / max(most, 1), 3),
            round(100 * upper / max(most, 1), 3),
            said,
        )
        for place, (name, lower, upper, said) in enumerate(values)
    ]


def ticks(most: int) -> list[int]:
    """Round numbers up to one that is not below `most`; the last is the top of the chart."""
    if most <= 0:
        return [0, 1]
    step = 10 ** (len(str(most)) - 1)
    for part in (step // 5, step // 2, step, step * 2):
        if part and most <= 5 * part:
            return [part * n for n in range(-(-most // part) + 1)]
    return [0, step * 10]
