"""What a copy of a store into another tells."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from palaver.erasure import ScrubReport

__all__ = ["CopyReport", "Problem", "ProblemKind"]

ProblemKind: TypeAlias = Literal["refused", "taken", "differs"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why the target does not have a session as the source has it."""

    session_id: str
    kind: ProblemKind
    """`refused`: it was changed, purged or erased in the target, or is another one there. `taken`: another session
    there has its key, alias or title. `differs`: it was copied, and is other than in the source."""
    reason: str


class CopyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied, or (`dry_run`) would be."""

    source: str
    target: str
    dry_run: bool = False
    sessions: int = 0
    """Sessions of the source that were looked at."""
    copied: int = 0
    """Sessions that were written to the target."""
    unchanged: int = 0
    """Sessions that the target had already, just so."""
    messages: int = 0
    """Messages in what was written."""
    compared: int = 0
    """Messages that were compared after that, with all that belongs to them."""
    changes: int = 0
    """Changes that came while it was copied, and were taken along."""
    erasures: int = 0
    """Records of erasures that the target has now."""
    caught_up: bool = False
    """Whether nothing was left to do when it last looked."""
    problems: tuple[Problem, ...] = ()
    scrub: ScrubReport | None = None
    """Where something had been copied before it was erased: what became of the room that it had taken up."""

    @property
    def is_equal(self) -> bool:
        """Whether the target has all that the source had when it last looked."""
        return self.caught_up and not self.problems
