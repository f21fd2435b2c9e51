"""The directory of a JSONL store: lines are appended and synced, never changed; a torn end is cut off and kept aside.

A commit is written to a journal first, as one record, which is synced; then to the files. Until these are synced
themselves, the journal says what belongs at which place in them. Much text for one file goes without the journal.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import logging
import os
import re
import time
from collections import OrderedDict
from pathlib import Path

from palaver.errors import Outcome, StoreFull, StoreUnavailable
from palaver.ids import token
from palaver.stores.jsonl.foreign import WORKSPACE
from palaver.stores.jsonl.journal import Entry, Journal, has_lost_sectors, record_of, sync_all
from palaver.stores.jsonl.names import SUFFIX, torn_name, whose_aside
from palaver.stores.jsonl.underway import Underway
from palaver.stores.sqlite.filesystem import sync_folder

__all__ = ["Directory", "make_folder"]

_log = logging.getLogger(__name__)
JOURNAL = "~journal"
"""How names of what was set aside of it begin; those of no session's file begin so."""
_RECORD = re.compile(rf"{JOURNAL}-\d+-[0-9a-f]{{8}}\.record")
_OPEN = 128
"""Files that are kept open."""
_JOURNAL = 8 * 1024 * 1024
"""From here on the journal is folded into the files."""
_MUCH = 256 * 1024
"""A commit that appends more than that to one file syncs that file."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Directory:
    """Files of one store. Used by whoever holds the index's lock."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.sessions = root / "sessions"
        self.media = root / "media"
        self.hidden = root / ".palaver"
        self.quarantine = root / "quarantine"
        self.index = self.hidden / "index.db"
        self._journal = Journal(self.hidden / "journal")
        self._end = 0
        """Where the journal ends, as of the last look."""
        self._underway = Underway(self.hidden / "underway")
        self.name = name
        self._fds: OrderedDict[str, int] = OrderedDict()
        self._appended: list[Entry] = []
        """What the last append wrote, and where."""
        self._is_secure = True
        """Whether the journal's last record was synced, or needs not be."""
        self._keeps_times: bool | None = None
        """Whether the file system keeps times to the nanosecond; None: not known yet."""
        self.foreign: list[Path] = []
        """What was found among the sessions, when it was last looked, that is another program's."""

    def exists(self) -> bool:
        """Whether there is a store: its files, or what is left of one beside them."""
        return self.sessions.is_dir() or self.hidden.is_dir()

    def prepare(self) -> None:
        """Make the directories, for this user alone. Raises StoreUnavailable."""
        try:
            for folder in (self.root, self.sessions, self.media, self.hidden):
                make_folder(folder)
        except OSError as exc:
            raise self._error(exc, "not_written") from exc

    # ------------------------------------------------------------------ lines
    def size(self, file: str) -> tuple[int, int]:
        """Bytes of a file, and when it was changed; (0, 0) where there is none."""
        fd = self._fds.get(file)
        try:
            found = os.fstat(fd) if fd is not None else (self.sessions / file).stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_size, found.st_mtime_ns

    def size_by_name(self, file: str) -> tuple[int, int]:
        """The same of what has that name now, for whoever does not hold the lock."""
        try:
            found = (self.sessions / file).stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_size, found.st_mtime_ns

    def length(self, file: str) -> int:
        """Bytes of a file."""
        fd = self._fds.get(file)
        return os.lseek(fd, 0, os.SEEK_END) if fd is not None else self.size(file)[0]

    def stamp(self, file: str) -> tuple[int, int]:
        """Bytes of a file that was written to, and when it was changed: now.

        Who asks Linux for a file's times gets finer ones for all that is written after it, each of them another
        (multigrain timestamps, since 6.13): ext4 without a journal then writes the inode of what is synced each time
        (measured: 155 µs a sync instead of 105). Times that are set cost nothing of the kind, where they are kept.
        """
        now = time.time_ns()
        fd = self._fd(file)
        try:
            os.utime(fd, ns=(now, now))
            if self._keeps_times is None:
                self._keeps_times = os.fstat(fd).st_mtime_ns == now
            if self._keeps_times:
                return os.lseek(fd, 0, os.SEEK_END), now
        except OSError as exc:
            raise self._error(exc, "not_written") from exc
        return self.size(file)  # to the second, say

    def append(self, number: int, entries: list[Entry]) -> None:
        """Append a commit's lines, all or nothing, where the files end; `secure` makes it durable.

        Lines of one file may be there before the journal is synced: without the last of them they do not count. What is
        in several files must not be in some of them alone, so that the journal has it first.
        Raises StoreFull, StoreUnavailable: unless the outcome is unknown, `take_back` undoes what was done.
        """
        self._appended = entries
        if len(entries) == 1 and len(entries[0].text) > _MUCH:
            self.begin(number)
            self._write(entries[0])
            self._sync(entries[0].file)
            return
        record = record_of(entries)
        try:
            self._underway.write(number, self._end + len(record))
            self._journal.write(record, self._end)
        except OSError as exc:
            raise self._error(exc, "not_written") from exc
        self._is_secure = False
        if len(entries) > 1:
            self.secure()
        for entry in entries:
            self._write(entry)
        if self._end + len(record) > _JOURNAL:
            self.fold()

    def secure(self) -> None:
        """Make the last append durable. Raises StoreUnavailable, with the outcome unknown."""
        if self._is_secure:
            return
        try:
            self._journal.sync()
        except OSError as exc:  # what is on the disk then is not known, and a second sync would not tell
            raise self._error(exc, "unknown") from exc
        finally:
            self._is_secure = True

    def settle(self) -> None:
        """The last append stays."""
        self._appended = []

    def take_back(self) -> bool:
        """Undo the last append, which nobody was answered for. False: what is there now is not known.

        The journal first: what it does not say is not written again.
        """
        try:
            if self._appended:
                self._journal.cut(self._end)
            for entry in self._appended:
                path = self.sessions / entry.file
                if path.exists():
                    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        os.ftruncate(fd, entry.offset)
                        os.fsync(fd)
                    finally:
                        os.close(fd)
        except OSError:
            return False
        self._appended = []
        return True

    def _write(self, entry: Entry) -> None:
        fd = self._fd(entry.file)
        try:
            done = os.write(fd, entry.text)
            while done < len(entry.text):
                done += os.write(fd, memoryview(entry.text)[done:])
        except OSError as exc:
            try:
                os.ftruncate(fd, entry.offset)
            except OSError as worse:
                raise self._error(worse, "unknown") from exc
            raise self._error(exc, "not_written") from exc

    def _sync(self, file: str) -> None:
        try:
            os.fdatasync(self._fd(file))
            sync_folder(self.sessions)  # its name may be known from the journal alone
        except OSError as exc:
            raise self._error(exc, "unknown") from exc

    def _fd(self, file: str) -> int:
        fd = self._fds.get(file)
        if fd is not None:
            self._fds.move_to_end(file)
            return fd
        path = self.sessions / file
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o600)
        except OSError as exc:
            raise self._error(exc, "not_written") from exc
        self._fds[file] = fd
        if len(self._fds) > _OPEN:
            _, old = self._fds.popitem(last=False)
            os.close(old)
        return fd

    def begun(self) -> int:
        """The number of the newest commit that any process began to write."""
        try:
            number, self._end = self._underway.read()
        except OSError as exc:
            raise self._error(exc, "not_written") from exc
        return number

    def begin(self, number: int) -> None:
        """A commit is about to be written; see `palaver.stores.jsonl.underway`."""
        try:
            self._underway.write(number, self._end)
        except OSError as exc:
            raise self._error(exc, "not_written") from exc

    # ------------------------------------------------------------------ the journal
    def replay(self) -> None:
        """Bring the files to what the journal says, after a crash, and empty it."""
        for entry in self._journaled():
            size, changed = self.size(entry.file)
            if entry.offset > size:
                continue  # somebody took the file away, or put an older one in its place
            fd = self._fd(entry.file)
            found = os.pread(fd, len(entry.text), entry.offset)
            if len(found) < len(entry.text):
                os.ftruncate(fd, entry.offset)
                self._write(entry)
            elif has_lost_sectors(found, entry.offset):
                self._write_over(entry)
            elif found == entry.text:
                # Where a sync has failed, it may be in memory alone, and taken for written: now it is not.
                self._write_over(entry)
                os.utime(fd, ns=(changed, changed))
        self.fold()

    def _write_over(self, entry: Entry) -> None:
        """Put a text to its place in a file that has the length for it."""
        try:
            fd = os.open(self.sessions / entry.file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)  # one that may go back
            try:
                done = 0
                while done < len(entry.text):
                    done += os.pwrite(fd, entry.text[done:], entry.offset + done)
            finally:
                os.close(fd)
        except OSError as exc:
            raise self._error(exc, "not_written") from exc

    def _journaled(self) -> list[Entry]:
        try:
            return list(self._journal.entries())
        except OSError as exc:
            raise self._error(exc, "not_written") from exc

    def fold(self) -> None:
        """Sync the files that the journal stands for, and empty it: of what it held, nothing is left there."""
        try:
            files = self._journal.files()
            if self._journal.damaged:  # which files it was for is not known
                self._keep_damage()
                files |= {path.name for path in self.sessions.glob(f"*{SUFFIX}")}
            if files:
                sync_all([self.sessions / file for file in sorted(files)])
                sync_folder(self.sessions)
            self._journal.cut(0)
            number, end = self._underway.read()
            if end:
                self._underway.write(number, 0)
        except OSError as exc:
            self._doubt()
            raise self._error(exc, "unknown") from exc
        self._end = 0
        self._is_secure = True  # the files have it

    def _keep_damage(self) -> None:
        """Put what could not be read of the journal aside, as it is, before that is emptied."""
        for place, data in self._journal.damaged:
            name = f"{JOURNAL}-{place}-{hashlib.sha256(data).hexdigest()[:8]}.record"
            self.set_aside(name, data)
            _log.error(
                "%s: the journal at byte %d could not be read; the bytes were set aside as %s, run `palaver check`",
                self.name,
                place,
                name,
                extra={"action": "journal_damaged", "file": name},
            )

    def _doubt(self) -> None:
        """Have the next who commits write anew what the journal says.

        A sync that failed here would succeed there, although the bytes were dropped.
        """
        with contextlib.suppress(OSError):  # whoever opens the store does so anyway
            number, end = self._underway.read()
            self._underway.write(number + 1, end)

    # ------------------------------------------------------------------ whole files
    def replace(self, file: str, text: bytes) -> None:
        """Put another content in the place of a file, durably; the journal must be empty."""
        self._close(file)
        self._put(self.sessions / file, text)

    def put_media(self, address: str, data: bytes) -> None:
        """Keep content, durably, before a line refers to it."""
        path = self.media / address
        try:
            if path.read_bytes() == data:
                return
        except OSError:
            pass  # it is written now
        self._put(path, data)

    def get_media(self, address: str) -> bytes | None:
        """Content, as it lies there; None where it does not."""
        try:
            return (self.media / address).read_bytes()
        except OSError:
            return None

    def drop_media(self, address: str) -> None:
        """Remove content that no message refers to."""
        (self.media / address).unlink(missing_ok=True)

    def _put(self, path: Path, data: bytes) -> None:
        draft = path.with_name(f".{token()}.tmp")
        try:
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(fd, left) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            draft.replace(path)
            sync_folder(path.parent)
        except OSError as exc:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise self._error(exc, "not_written") from exc

    def cut_off(self, file: str, size: int) -> None:
        """Keep what stands in a file after this many bytes aside, and cut it off: it was never answered for."""
        fd = self._fd(file)
        torn = os.pread(fd, max(0, os.fstat(fd).st_size - size), size)
        if torn:
            self.set_aside(torn_name(file, size), torn)
            os.ftruncate(fd, size)
            os.fsync(fd)

    def set_aside(self, name: str, data: bytes) -> None:
        """Keep bytes that could not be read as they were found."""
        try:
            make_folder(self.quarantine)
        except OSError as exc:
            raise self._error(exc, "not_written") from exc
        path = self.quarantine / name[-200:]
        if not path.exists():
            self._put(path, data)

    def drop_aside(self, file: str, *, lost: bool = True) -> None:
        """Remove what of a file was kept aside, and what may be of it: nobody knows whose a damaged record is.

        `lost`: also what can still be put back.
        """
        if not self.quarantine.is_dir():
            return
        try:
            for path in self.quarantine.iterdir():
                if whose_aside(path.name) != file and not _RECORD.fullmatch(path.name):
                    continue
                if lost or path.suffix != ".lost":
                    path.unlink(missing_ok=True)
        except OSError as exc:
            raise self._error(exc, "unknown") from exc

    # ------------------------------------------------------------------ the rest
    def listed(self) -> dict[str, tuple[int, int]]:
        """All files of sessions: bytes, and when they were changed."""
        found: dict[str, tuple[int, int]] = {}
        self.foreign = []
        try:
            with os.scandir(self.sessions) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                        stat = entry.stat(follow_symlinks=False)
                        found[entry.name] = stat.st_size, stat.st_mtime_ns
                    elif entry.name.endswith(".tmp"):
                        Path(entry.path).unlink(missing_ok=True)
                    elif entry.is_dir(follow_symlinks=False) and Path(entry.path, WORKSPACE).is_file():
                        self.foreign += sorted(Path(entry.path).glob(f"*{SUFFIX}"))
        except OSError as exc:
            raise self._error(exc, "not_written") from exc
        return found

    def read(self, file: str, offset: int = 0, length: int = -1) -> bytes:
        """A file from a place on, or so many bytes of it."""
        try:
            with (self.sessions / file).open("rb") as opened:
                opened.seek(offset)
                return opened.read(length)
        except OSError as exc:
            raise self._error(exc, "not_written") from exc

    def bytes_held(self) -> int:
        """What all the files take up."""
        files = [*self.sessions.iterdir(), *self.media.iterdir(), *self.hidden.iterdir()]
        return sum(path.stat().st_size for path in files if path.is_file())

    def forget(self) -> None:
        """Close all files; they are opened again when they are needed."""
        self._journal.close()
        self._underway.close()
        self.forget_lines()

    def forget_lines(self) -> None:
        """Close the files of sessions: another process may have put others in their places."""
        while self._fds:
            os.close(self._fds.popitem()[1])

    def _close(self, file: str) -> None:
        fd = self._fds.pop(file, None)
        if fd is not None:
            os.close(fd)

    def _error(self, exc: OSError, outcome: str) -> StoreFull | StoreUnavailable:
        where = f"{self.name}: {exc.strerror or exc}: {exc.filename or self.root}"
        known: Outcome = "unknown" if outcome == "unknown" else "not_written"
        if exc.errno in _NO_ROOM:
            return StoreFull(f"{where}; free some room and try again", outcome=known)
        return StoreUnavailable(where, outcome=known)


def make_folder(folder: Path) -> None:
    """Make a directory for this user alone, and those above it, durably. Raises OSError."""
    missing = list(itertools.takewhile(lambda each: not each.exists(), (folder, *folder.parents)))
    if missing:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in missing:
            sync_folder(each.parent)
