"""Which answers say what a continuation says, or did: those that it was merged into."""

from __future__ import annotations

from collections.abc import Callable

from palaver.rows import CutRow

__all__ = ["MERGE", "answers_saying"]

MERGE = "merge"
"""Kind of a cut that took a continuation; the answer that has its content now stands just before the cut."""


def answers_saying(cuts: tuple[CutRow, ...], goes: Callable[[int], bool]) -> list[int]:
    """The answers that messages that go were merged into, and that do not go themselves; ascending.

    A merge that was undone counts: a version of the answer says what both said. So does one into an answer that was
    merged into another later; cuts are in the order that they were made in, as the text went.
    """
    found: set[int] = set()
    for cut in cuts:
        if cut.kind == MERGE and (cut.through_seq in found or goes(cut.through_seq)):
            found.add(cut.from_seq - 1)
    return sorted(seq for seq in found if not goes(seq))
