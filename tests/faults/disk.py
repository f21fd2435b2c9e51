"""A disk whose power can be cut: a VFS that records what reaches it, and images of what would be left of it.

SQLite runs on real files through it; every write, truncation, deletion and sync is recorded in order. `image` then
makes the files that a power cut after any of these leaves: all that was synced, and of the rest nothing, anything, or
whatever part of it, in sectors of 512 bytes.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import apsw

__all__ = ["Event", "RecordingDisk", "image"]

SECTOR = 512
Kind = Literal["write", "truncate", "sync", "directory", "delete", "acknowledged"]
Event = tuple[Kind, str, int, bytes]
"""What happened, the file's name (or what was acknowledged), an offset, size or flag, data."""


class RecordingDisk(apsw.VFS):
    """A VFS by the name it is given; `events` is what happened, `syncs` counts by file name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[Event] = []
        self.syncs: Counter[str] = Counter()
        self.failing: str | None = None
        """Name of the file whose syncs fail, as those of a broken disk do."""
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        """Open the real file behind a recorder."""
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete; without `syncdir` a power cut may undo it."""
        super().xDelete(filename, syncdir)
        self.events.append(("delete", Path(filename).name, int(syncdir), b""))

    def before(self, kind: Kind, name: str) -> None:
        """Called before a write or a sync reaches the file; a disk of its own kind may hold it up or refuse it."""

    def acknowledged(self, what: str) -> None:
        """Note that the store has answered for something: from here on no power cut may take it."""
        self.events.append(("acknowledged", what, 0, b""))


class _File(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path).name if path else ""
        self._new_entry = self._name.endswith(("-wal", "-journal"))
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.before("write", self._name)
        super().xWrite(data, offset)
        self._disk.events.append(("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._disk.events.append(("truncate", self._name, newsize, b""))

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._disk.failing is not None and self._name.endswith(self._disk.failing):
            raise apsw.IOError(f"the disk failed to sync {self._name}")
        self._disk.before("sync", self._name)
        super().xSync(flags)
        self._disk.syncs[self._name] += 1
        self._disk.events.append(("sync", self._name, flags, b""))
        if self._new_entry:  # SQLite's own VFS syncs the directory with the first sync of a log or journal
            self._new_entry = False
            self._disk.events.append(("directory", "", 0, b""))


def image(events: list[Event], folder: Path, chance: random.Random, survive: float) -> list[str]:
    """Write into `folder` what a power cut after these events leaves; gives what had been acknowledged.

    `survive` is how probably something that was not synced survives nevertheless, sector by sector.
    """
    files: dict[str, _Contents] = {}
    acknowledged: list[str] = []
    for kind, name, number, data in events:
        if kind == "acknowledged":
            acknowledged.append(name)
            continue
        if kind == "directory":
            files = {known: contents for known, contents in files.items() if not contents.deleted}
            continue
        contents = files.setdefault(name, _Contents())
        if kind == "delete":
            contents.deleted = True
            if number:
                del files[name]
        elif contents.deleted:  # made anew: what was deleted is certainly gone
            files[name] = contents = _Contents()
        if kind == "sync":
            contents.sync()
        elif kind != "delete":
            contents.pending.append((kind, number, data))
    for name, contents in files.items():
        if not contents.deleted or chance.random() >= survive:
            (folder / name).write_bytes(contents.after_a_cut(chance, survive))
    return acknowledged


class _Contents:
    """One file: what is safe, and what was done to it since."""

    def __init__(self) -> None:
        self.safe = bytearray()
        self.pending: list[tuple[Kind, int, bytes]] = []
        self.deleted = False

    def sync(self) -> None:
        for kind, number, data in self.pending:
            _apply(self.safe, kind, number, data)
        self.pending.clear()

    def after_a_cut(self, chance: random.Random, survive: float) -> bytes:
        left = bytearray(self.safe)
        for kind, number, data in self.pending:
            if kind == "truncate":
                if chance.random() < survive:
                    _apply(left, kind, number, data)
                continue
            for start in range(0, len(data), SECTOR):
                if chance.random() < survive:
                    _apply(left, kind, number + start, data[start : start + SECTOR])
        return bytes(left)


def _apply(contents: bytearray, kind: Kind, number: int, data: bytes) -> None:
    if kind == "truncate":
        del contents[number:]
        contents.extend(bytes(number - len(contents)))
        return
    if len(contents) < number:
        contents.extend(bytes(number - len(contents)))
    contents[number : number + len(data)] = data
