"""Room at the end of the write-ahead log, so that a commit changes bytes of the file and not its length.

A sync of a file that has grown has to write the file system's journal too, which takes as long again. SQLite ends its
log where a frame is not one: so zeros behind it are no part of it.
"""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["Headroom"]

LEAST, MOST_AT_ONCE = 256 * 1024, 1024 * 1024
"""Bytes that the file grows by: as many as it has, within these bounds."""
AHEAD = 64 * 1024
"""A lone commit never needs more."""
MOST = 20 * 1024 * 1024
"""From here on SQLite lets the log grow by itself: it is about to be written from its beginning again."""
_QUIET = 8
"""Commits of a process before the first step: a command that stores one message need not pay for it."""
_HEADER, _FRAME = 32, 24 + 4096


class Headroom:
    """For one connection. What cannot be done is left to SQLite: this saves time and promises nothing."""

    def __init__(self, path: str) -> None:
        self._path = f"{path}-wal"
        self._fd: int | None = None
        self._commits = 0
        self._size = 0

    def keep(self, pages: int) -> None:
        """Called by who holds the write lock, before it writes: nobody else changes the log meanwhile.

        `pages`: how many frames the log had after this connection's last commit. Others may have written since, so the
        file's length is asked before it is added to.
        """
        self._commits += 1
        end = _HEADER + pages * _FRAME
        if end + AHEAD <= self._size or self._commits <= _QUIET or end > MOST:
            return
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
            self._size = os.fstat(self._fd).st_size
            if end + AHEAD > self._size:
                step = min(max(self._size, LEAST), MOST_AT_ONCE)
                self._size += os.pwrite(self._fd, bytes(step), self._size)
        except OSError:  # a full disk, a limit: the commit itself will meet it, and say so
            self._commits = -1_000

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = None
