"""Moving from one store to another: everything, verified, while the source is in use; `palaver copy` does it."""

from __future__ import annotations

from palaver.moving.copying import Copier
from palaver.moving.values import CopyReport, Problem, ProblemKind

__all__ = ["Copier", "CopyReport", "Problem", "ProblemKind"]
