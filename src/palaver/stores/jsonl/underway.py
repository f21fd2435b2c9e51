"""Which commit was begun last, and where the journal ends: a file that outlives the process that wrote to it.

A commit is in the files of its sessions before it is in the index. Where a process dies between the two, the next one
to commit, who may write to other files, has to read first what the index does not know; else both would take the same
place in the feed. After a power loss the file may say anything: a store that is opened reads everything anyway.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

__all__ = ["Underway"]

_FIELDS = struct.Struct("<QQ")


class Underway:
    """What everybody who commits has to know. Used by whoever holds the index's lock; never synced. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def read(self) -> tuple[int, int]:
        """The number of the newest commit that was begun, 0 for none, and where the journal ends."""
        number, end = _FIELDS.unpack(os.pread(self._open(), _FIELDS.size, 0).ljust(_FIELDS.size, b"\0"))
        return number, end

    def write(self, number: int, end: int) -> None:
        """Say so before the first byte of the commit is written, with where the journal will end."""
        os.pwrite(self._open(), _FIELDS.pack(number, end), 0)

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        return self._fd
