"""What is looked at for conversations: a directory at a time, or one file, with what stands at the head of each file.

Every system is shown a folder in turn, and takes the files that are its own; what one has taken the next does not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

import msgspec

from palaver.importers.jsonl import Record, read_records
from palaver.importers.values import Found, Note, note

__all__ = ["Folder", "SourceFile", "System"]

_SNIFFED = 256 * 1024


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file, or one directory, that holds conversations of a system."""

    system: str
    path: Path
    shown: str
    """Its name, below what was given."""
    place: str


class System(Protocol):
    """An agent whose files can be imported: a module of that shape is enough."""

    @property
    def SYSTEM(self) -> str:  # noqa: N802 - a constant of a module
        """Its name: what the aliases of its sessions begin with."""
        ...

    @property
    def find(self) -> Callable[[Folder], list[SourceFile]]:
        """Takes what is its own out of a folder (`Folder.take`), in the order in which it is to be read."""
        ...

    @property
    def read(self) -> Callable[[SourceFile, tzinfo | None], Iterator[Found]]:
        """The conversations of what it had found, and notes on what belongs to none.

        Times without a zone are of the zone that is given.

        Raises OSError where it is gone, or cannot be read.
        """
        ...


class Folder:
    """One directory below what was given, or the one file that was.

    `names` are regular files, `folders` directories that will be looked at next. Symbolic links are not among the
    files, and those among the directories are not followed. With `alone`, one file was given, and nothing beside it.
    """

    def __init__(
        self, path: Path, root: Path, names: list[str], folders: list[str], notes: list[Note], *, alone: bool = False
    ) -> None:
        self.path = path
        self.alone = alone
        self.root = root
        self.names = names
        self.folders = folders
        self.notes = notes
        self._heads: dict[str, list[Record] | None] = {}

    def shown(self, name: str) -> str:
        """A name in it, as the report has it."""
        return str((self.path / name).relative_to(self.root))

    def source(self, system: str, name: str, *, place: str | None = None) -> SourceFile:
        """Take a file for a system."""
        self.take(name)
        path = self.path / name
        return SourceFile(system=system, path=path, shown=self.shown(name), place=place or str(self.path))

    def take(self, *names: str) -> None:
        """No other system looks at these files or directories."""
        self.names = [name for name in self.names if name not in names]
        self.folders[:] = [name for name in self.folders if name not in names]

    def note(self, name: str, reason: str) -> None:
        """Say that something is none of the conversations, or lies beside them."""
        self.notes.append(note("aside", self.shown(name), None, reason))

    def skip(self, name: str, reason: str) -> None:
        """Say that something may hold conversations, and is not read."""
        self.notes.append(note("skipped", self.shown(name), None, reason))

    def head(self, name: str) -> list[Record]:
        """The first records of a file of JSON lines; none where it cannot be read, which the report then says."""
        if name not in self._heads:
            try:
                with (self.path / name).open("rb") as file:
                    begin = file.read(_SNIFFED)
                    if len(begin) == _SNIFFED:
                        begin += file.readline()
            except OSError as exc:
                self.notes.append(note("skipped", self.shown(name), None, f"it cannot be read: {exc.strerror}"))
                self._heads[name] = None
                self.take(name)
            else:
                self._heads[name] = list(read_records(begin))
        return self._heads[name] or []
