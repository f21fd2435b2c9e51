"""Whether the index can be believed: it is written without syncs, and made anew after the machine stopped meanwhile.

A file beside it has the boot of the machine in which somebody began to write to the index. In that boot what was
written is there, whoever died. In any other it may be there in parts: then the index is dropped, for all of it is in
the files. Who closes the store as the last one syncs the index and empties the mark.

Everybody who has the store open holds a shared lock on the mark; who changes it holds it alone.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from palaver.stores.holders import boot
from palaver.stores.sqlite.filesystem import sync_folder

try:
    import fcntl as _locks
except ImportError:  # Windows: the index is synced, as far as SQLite does it without being told
    _locks = None  # type: ignore[assignment]

__all__ = ["Unsynced"]

fcntl: Any = _locks
_LOG = ("-wal", "-shm")
"""What SQLite has beside a database that is open."""
_LONGEST = 200


class Unsynced:
    """The mark of one index. Raises OSError."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._path = index.with_name("unsynced")
        self._fd: int | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether the machine stopped while the index was written; for whoever only reads."""
        try:
            said = self._path.read_bytes()
        except OSError:
            return False
        return said not in {b"", _boot()}

    def take(self) -> tuple[bool, bool]:
        """Mark the index, before anything is written to it without a sync, until `leave`.

        Says whether that could be done, else it must be synced, and whether the index was dropped that was there.
        """
        now, dropped = _boot(), False
        if now is None or fcntl is None:
            return False, self._drop_doubtful()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = self._fd = os.open(self._path, flags, 0o600)
        try:
            while True:
                fcntl.flock(fd, fcntl.LOCK_SH)
                if os.pread(fd, _LONGEST, 0) == now:
                    return True, dropped
                fcntl.flock(fd, fcntl.LOCK_EX)  # not in one step: another may have been quicker, and so below
                said = os.pread(fd, _LONGEST, 0)
                if said != now:
                    if said:
                        self._drop()
                        dropped = True
                    os.ftruncate(fd, 0)
                    os.pwrite(fd, now, 0)
                    os.fsync(fd)
                    sync_folder(self._path.parent)
        except BaseException:
            self.let_go()
            raise

    def leave(self) -> None:
        """Make the index safe and take the mark away, unless somebody else has the store open.

        Nothing of the index may be open in this process. Where it cannot be done the mark stays: that costs time alone.
        """
        if self._fd is None:
            return
        try:
            with contextlib.suppress(OSError):  # it is held, or cannot be synced
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not self._beside()[0].exists():
                    self._sync()
                    os.ftruncate(self._fd, 0)
                    os.fsync(self._fd)
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Hold the mark no more, and leave it as it is: before a fork, or where the store is broken."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _sync(self) -> None:
        fd = os.open(self._index, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(self._index.parent)  # the log is gone: an old one must not come back

    def _beside(self) -> list[Path]:
        return [self._index.with_name(f"{self._index.name}{end}") for end in _LOG]

    def _drop(self) -> None:
        """Empty it, so that whoever waits for the mark finds a file."""
        for path in self._beside():
            path.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self._index, 0)

    def _drop_doubtful(self) -> bool:
        """The same where the index is synced from now on; whether it was dropped."""
        if not self.is_doubtful:
            return False
        self._drop()
        self._path.unlink(missing_ok=True)
        return True


def _boot() -> bytes | None:
    said = boot()
    return said.encode() if said is not None else None
