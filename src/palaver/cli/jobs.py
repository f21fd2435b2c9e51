"""What `palaver export` can be asked for. Apart from its work, so that the other commands need not load that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from palaver.exports import Format

__all__ = ["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line asked for."""

    references: Sequence[str]
    everything: bool
    format: Format
    output: str | None
    undone: bool = False
    force: bool = False
    limit: int | None = None
    secret: bytes | None = None
    """With it, the export is redacted."""

    @property
    def is_directory(self) -> bool:
        """Whether `output` names a directory, which gets a file for each session."""
        return self.output is not None and (self.output.endswith("/") or Path(self.output).is_dir())
