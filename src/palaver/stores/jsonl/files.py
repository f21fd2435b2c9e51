"""The directory of a JSONL store: lines are appended and synced, never changed; a torn end is cut off and kept aside.

A commit that writes to one file syncs that file. One that writes to several is written to a journal first, as one
line, which is synced: until the files are synced themselves, the journal says what belongs at which place in them.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import itertools
import os
import re
from collections import OrderedDict
from pathlib import Path

import msgspec

from palaver.errors import Outcome, StoreFull, StoreUnavailable
from palaver.ids import token
from palaver.stores.jsonl.foreign import WORKSPACE
from palaver.stores.jsonl.names import SUFFIX
from palaver.stores.jsonl.underway import Underway
from palaver.stores.sqlite.filesystem import sync_folder

__all__ = ["Directory", "has_lost_sectors", "make_folder"]

_OPEN = 128
"""Files that are kept open."""
_JOURNAL = 4 * 1024 * 1024
"""From here on the journal is folded into the files."""
_SECTOR = 512
_ZEROS = re.compile(rb"\0+")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _Entry(msgspec.Struct):
    """What a commit wrote to one file."""

    file: str
    offset: int
    text: bytes


_entries = msgspec.json.Decoder(list[_Entry])


class Directory:
    """Files of one store. Used by whoever holds the index's lock."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.sessions = root / "sessions"
        self.media = root / "media"
        self.hidden = root / ".palaver"
        self.quarantine = root / "quarantine"
        self.index = self.hidden / "index.db"
        self._journal = self.hidden / "journal"
        self._underway = Underway(self.hidden / "underway")
        self.name = name
        self._fds: OrderedDict[str, int] = OrderedDict()
        self._new_names = False
        self._appended: list[tuple[Path, int]] = []
        """What the last append wrote to, and how long that was before."""
        self.foreign: list[Path] = []
        """What was found among the sessions, when it was last looked, that is another program's."""

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

    def append(self, texts: dict[str, bytes]) -> None:
        """Append to each file, durably, all or nothing. Raises StoreFull, StoreUnavailable (with the outcome)."""
        self._appended = [(self.sessions / file, self.size(file)[0]) for file in texts]
        if len(texts) == 1:
            [(file, text)] = texts.items()
            self._write(file, text)
            self._sync(file)
            return
        entries = [_Entry(file, self.size(file)[0], text) for file, text in texts.items()]
        before = self._journal.stat().st_size if self._journal.exists() else 0
        self._to_journal(entries)
        self._appended.append((self._journal, before))
        for entry in entries:
            try:
                self._write(entry.file, entry.text)
            except (StoreFull, StoreUnavailable) as exc:  # the journal has it: what it holds will be written
                msg = f"{exc}; opening the store again completes it"
                raise StoreUnavailable(msg, outcome="unknown") from exc
        if self._journal.stat().st_size > _JOURNAL:
            self.fold()

    def settle(self) -> None:
        """The last append stays."""
        self._appended = []

    def take_back(self) -> bool:
        """Undo the last append, which nobody was answered for. False: what is there now is not known.

        The journal first: what it does not say is not written again.
        """
        try:
            for path, size in reversed(self._appended):
                if path.exists():
                    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        os.ftruncate(fd, size)
                        os.fsync(fd)
                    finally:
                        os.close(fd)
        except OSError:
            return False
        self._appended = []
        return True

    def _write(self, file: str, text: bytes) -> None:
        fd = self._fd(file)
        before = os.fstat(fd).st_size
        try:
            left = memoryview(text)
            while left:
                left = left[os.write(fd, left) :]
        except OSError as exc:
            try:
                os.ftruncate(fd, before)
            except OSError as worse:
                raise self._error(worse, "unknown") from exc
            raise self._error(exc, "not_written") from exc

    def _sync(self, file: str) -> None:
        try:
            os.fdatasync(self._fd(file))
            if self._new_names:
                sync_folder(self.sessions)
                self._new_names = False
        except OSError as exc:  # what is on the disk is not known any more, and a second sync would not tell
            raise self._error(exc, "unknown") from exc

    def _fd(self, file: str) -> int:
        fd = self._fds.get(file)
        if fd is not None:
            self._fds.move_to_end(file)
            return fd
        path = self.sessions / file
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            try:
                fd = os.open(path, flags)
            except FileNotFoundError:
                fd = os.open(path, flags | os.O_CREAT, 0o600)
                self._new_names = True
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
            return self._underway.newest()
        except OSError as exc:
            raise self._error(exc, "not_written") from exc

    def begin(self, number: int) -> None:
        """A commit is about to be written; see `palaver.stores.jsonl.underway`."""
        try:
            self._underway.begin(number)
        except OSError as exc:
            raise self._error(exc, "not_written") from exc

    # ------------------------------------------------------------------ the journal
    def _to_journal(self, entries: list[_Entry]) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        text = msgspec.json.encode(entries) + b"\n"
        outcome = "not_written"
        try:
            fresh = not self._journal.exists()
            fd = os.open(self._journal, flags, 0o600)
            try:
                before = os.fstat(fd).st_size
                try:
                    left = memoryview(text)
                    while left:
                        left = left[os.write(fd, left) :]
                except OSError:
                    os.ftruncate(fd, before)
                    raise
                outcome = "unknown"
                os.fdatasync(fd)
                if fresh:
                    sync_folder(self.hidden)
            finally:
                os.close(fd)
        except OSError as exc:
            raise self._error(exc, outcome) from exc

    def replay(self) -> None:
        """Bring the files to what the journal says, after a crash, and empty it."""
        for entry in self._journaled():
            fd = self._fd(entry.file)
            size = os.fstat(fd).st_size
            if entry.offset <= size < entry.offset + len(entry.text):
                os.ftruncate(fd, entry.offset)
                self._write(entry.file, entry.text)
            elif has_lost_sectors(os.pread(fd, len(entry.text), entry.offset), entry.offset):
                self._write_over(entry)
        self.fold()

    def _write_over(self, entry: _Entry) -> None:
        """Put a text to its place in a file that has the length for it, but not the bytes."""
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

    def _journaled(self) -> list[_Entry]:
        try:
            lines = self._journal.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise self._error(exc, "not_written") from exc
        found: list[_Entry] = []
        for line in lines[:-1]:
            try:
                found += _entries.decode(line)
            except msgspec.MsgspecError:
                continue  # a torn line: it was never answered for
        return [entry for entry in found if Path(entry.file).name == entry.file]

    def fold(self) -> None:
        """Sync the files that the journal stands for, and empty it."""
        files = {entry.file for entry in self._journaled()}
        if not files:
            return
        try:
            for file in sorted(files):
                os.fdatasync(self._fd(file))
            sync_folder(self.sessions)
            self._new_names = False
            fd = os.open(self._journal, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.ftruncate(fd, 0)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as exc:
            raise self._error(exc, "unknown") from exc

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
            self.set_aside(f"{file.removesuffix(SUFFIX)}-{size}.torn", torn)
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

    def drop_aside(self, file: str) -> None:
        """Remove what of a file was kept aside."""
        stem = file.removesuffix(SUFFIX)
        if self.quarantine.is_dir():
            for path in self.quarantine.glob(f"{glob.escape(stem)}[-.]*"):
                path.unlink(missing_ok=True)

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

    def read(self, file: str, offset: int = 0) -> bytes:
        """A file from a place on."""
        try:
            with (self.sessions / file).open("rb") as opened:
                opened.seek(offset)
                return opened.read()
        except OSError as exc:
            raise self._error(exc, "not_written") from exc

    def bytes_held(self) -> int:
        """What all the files take up."""
        files = [*self.sessions.iterdir(), *self.media.iterdir(), *self.hidden.iterdir()]
        return sum(path.stat().st_size for path in files if path.is_file())

    def forget(self) -> None:
        """Close the files; they are opened again when they are needed."""
        self._underway.close()
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


def has_lost_sectors(data: bytes, offset: int) -> bool:
    """Whether sectors of what was read from there never reached the disk: it had the length when the power went.

    They read as zeros up to where a sector ends, or what was read. No line has a zero byte: one that came there
    otherwise is damage.
    """
    runs = _ZEROS.finditer(data) if b"\0" in data else ()
    return any((offset + run.end()) % _SECTOR == 0 or run.end() == len(data) for run in runs)


def make_folder(folder: Path) -> None:
    """Make a directory for this user alone, and those above it, durably. Raises OSError."""
    missing = list(itertools.takewhile(lambda each: not each.exists(), (folder, *folder.parents)))
    if missing:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in missing:
            sync_folder(each.parent)
