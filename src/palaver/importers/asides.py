"""Records that are no messages, counted by their kind: a source may hold more of them than of anything else."""

from __future__ import annotations

from palaver.importers.values import Note, note

__all__ = ["Asides"]


class Asides:
    """How many records of each kind were left where they are; one note for each kind, not one for each record."""

    def __init__(self) -> None:
        self._met: dict[str, tuple[int, int]] = {}

    def add(self, kind: str, line: int) -> None:
        """Count one."""
        count, first = self._met.get(kind, (0, line))
        self._met[kind] = (count + 1, first)

    def notes(self, file: str) -> list[Note]:
        """What was counted, in the order in which the kinds were met."""
        return [
            note("aside", file, first, f"{count} of {kind}" if count > 1 else f"one of {kind}")
            for kind, (count, first) in self._met.items()
        ]
