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
    """What was copied, or (`dry_run`) would be.

    `sessions` are `copied`, `unchanged` and `left_out` together: each counts once, as the first look at it left it, and
    moves from `left_out` to `copied` if it could be copied after all.
    """

    source: str
    target: str
    dry_run: bool = False
    sessions: int = 0
    """Sessions of the source that were looked at, those that came meanwhile too."""
    copied: int = 0
    """Sessions that were written to the target, whole or what it lacked of them."""
    unchanged: int = 0
    """Sessions that the target had already, just so."""
    left_out: int = 0
    """Sessions that the target does not have, or not as the source has them: `problems` says why."""
    messages: int = 0
    """Messages that were new in the target. Of a dry run: at most so many; of purged ones nothing would be copied."""
    compared: int = 0
    """Messages that were read back and compared, with all that belongs to them, each time that this was done: of a
    session that is written, also those that the target had already."""
    changes: int = 0
    """Changes that the source's feed told meanwhile."""
    updated: int = 0
    """How often a session that was counted before was brought up to date, because of them."""
    erasures: int = 0
    """Records of erasures that the target has now."""
    caught_up: bool = False
    """Whether nothing was left to do when it last looked."""
    problems: tuple[Problem, ...] = ()
    """Those that stand, also of sessions that were copied, or there already, and cannot follow the source any more."""
    scrub: ScrubReport | None = None
    """Where something had been copied before it was erased: what became of the room that it had taken up."""

    @property
    def is_equal(self) -> bool:
        """Whether the target has all that the source had when it last looked."""
        return self.caught_up and not self.problems
