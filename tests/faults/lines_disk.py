"""A power cut on a directory of files: what the JSONL store asks of the system, recorded, and what a cut leaves of it.

The file layer runs on real files; every write, truncation, new name, renaming, removal and sync is recorded, in order.
`image` then makes a directory as a power cut leaves it after any of these: all that was synced, and of the rest
nothing, anything, or whatever part of it: sectors of 512 bytes, names, and lengths without the bytes that belong there.
A name is safe when its directory was synced, a file's bytes when the file was; one does not bring the other along.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from palaver.stores.jsonl import files, journal
from palaver.stores.sqlite import filesystem

__all__ = ["RecordingFolder", "image"]

SECTOR = 512
INDEX = "index.db"
Event = tuple[str, str, int, Any]
"""What happened, the path (in the directory) or what was acknowledged, a file's number or an offset, and data."""


class RecordingFolder:
    """Stands for `os` in the store's file layer; `events` is what happened below the directory."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.events: list[Event] = []
        self._open: dict[int, tuple[str, int]] = {}
        self._named: dict[str, int] = {}
        self._files = 0
        folder = self
        replace, unlink, mkdir = Path.replace, Path.unlink, Path.mkdir

        def replaced(path: Path, target: Path) -> Path:
            made = replace(path, target)
            if folder._watches(path):
                folder._named[folder._name(target)] = folder._named.pop(folder._name(path))
                folder.events.append(("rename", folder._name(path), 0, folder._name(target)))
            return made

        def unlinked(path: Path, missing_ok: bool = False) -> None:
            was = path.exists()
            unlink(path, missing_ok)
            if was and folder._watches(path):
                folder._named.pop(folder._name(path), None)
                folder.events.append(("unlink", folder._name(path), 0, b""))

        def made(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
            was = path.exists()
            mkdir(path, mode, parents, exist_ok)
            if not was and folder._watches(path):
                folder.events.append(("mkdir", folder._name(path), 0, b""))

        monkeypatch.setattr(Path, "replace", replaced)
        monkeypatch.setattr(Path, "unlink", unlinked)
        monkeypatch.setattr(Path, "mkdir", made)
        monkeypatch.setattr(files, "os", self)
        monkeypatch.setattr(journal, "os", self)
        monkeypatch.setattr(filesystem, "os", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _watches(self, path: Path) -> bool:
        return path.is_relative_to(self.root) and INDEX not in path.name

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        """Open, and note a file that is new."""
        was = path.exists()
        fd = os.open(path, flags, mode)
        if self._watches(path):
            name = self._name(path)
            if not was:
                self._files += 1
                self._named[name] = self._files
                self.events.append(("create", name, self._files, b""))
            self._open[fd] = name, self._named.get(name, 0)
        return fd

    def close(self, fd: int) -> None:
        """Close."""
        self._open.pop(fd, None)
        os.close(fd)

    def write(self, fd: int, data: bytes) -> int:
        """Write, and note where it went."""
        done = os.write(fd, data)
        if fd in self._open:
            end = os.lseek(fd, 0, os.SEEK_CUR)
            self.events.append(("write", "", self._open[fd][1], (end - done, bytes(data[:done]), self._changed(fd))))
        return done

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Write to a place, and note it."""
        done = os.pwrite(fd, data, offset)
        if fd in self._open:
            self.events.append(("write", "", self._open[fd][1], (offset, bytes(data[:done]), self._changed(fd))))
        return done

    def ftruncate(self, fd: int, size: int) -> None:
        """Cut off."""
        os.ftruncate(fd, size)
        if fd in self._open:
            self.events.append(("truncate", "", self._open[fd][1], (size, self._changed(fd))))

    def utime(self, fd: int, ns: tuple[int, int]) -> None:
        """Set when a file was changed."""
        os.utime(fd, ns=ns)
        if fd in self._open:
            self.events.append(("touch", "", self._open[fd][1], ns[1]))

    def fsync(self, fd: int) -> None:
        """Note that a file is safe, or the names in a directory."""
        if fd in self._open:
            name, number = self._open[fd]
            self.events.append(("sync", name, number, b""))

    fdatasync = fsync

    def acknowledged(self, what: str) -> None:
        """From here on no power cut may take it. The index as it is now may be there after one."""
        hidden = self.root / ".palaver"
        index = {path.name: path.read_bytes() for path in hidden.glob(f"{INDEX}*") if not path.name.endswith("-shm")}
        self.events.append(("acknowledged", what, 0, index))

    def _changed(self, fd: int) -> int:
        return os.fstat(fd).st_mtime_ns


class _File:
    """What is safe of a file, and what was done to it since."""

    def __init__(self) -> None:
        self.safe = bytearray()
        self.pending: list[tuple[Any, ...]] = []
        self.changed = 0

    def sync(self) -> None:
        for step in self.pending:
            self._do(self.safe, step)
        self.pending.clear()

    def left(self, chance: random.Random, survive: float) -> bytes:
        out = bytearray(self.safe)
        for step in self.pending:
            if len(step) == 1:
                if chance.random() < survive:
                    self._do(out, step)
                continue
            offset, data = step
            if chance.random() < survive:  # its length is told, whatever of it is there
                out.extend(bytes(max(0, offset + len(data) - len(out))))
            start = offset
            while start < offset + len(data):
                end = min((start // SECTOR + 1) * SECTOR, offset + len(data))
                if chance.random() < survive:
                    self._do(out, (start, data[start - offset : end - offset]))
                start = end
        return bytes(out)

    @staticmethod
    def _do(contents: bytearray, step: tuple[Any, ...]) -> None:
        if len(step) == 1:
            del contents[step[0] :]
            contents.extend(bytes(step[0] - len(contents)))
            return
        offset, data = step
        contents.extend(bytes(max(0, offset - len(contents))))
        contents[offset : offset + len(data)] = data


class _Disk:
    """What is safe after some events, and what is not."""

    def __init__(self, events: list[Event]) -> None:
        self.files: dict[int, _File] = {}
        self.names: dict[str, int] = {}
        self.pending: list[Event] = []
        self.acknowledged: list[str] = []
        self.index: dict[str, bytes] = {}
        for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        kind, name, number, data = event
        if kind == "acknowledged":
            self.acknowledged.append(name)
            self.index = data
        elif kind in ("create", "rename", "unlink", "mkdir"):
            if kind == "create":
                self.files[number] = _File()
            self.pending.append(event)
        elif kind == "sync" and number:
            self.files[number].sync()
        elif kind == "sync":
            mine = [each for each in self.pending if str(Path(each[1]).parent) == name]
            self.pending = [each for each in self.pending if each not in mine]
            for each in mine:
                self.rename(each)
        elif kind == "touch":
            self.files[number].changed = data
        else:
            *step, self.files[number].changed = data
            self.files[number].pending.append(tuple(step))

    def rename(self, event: Event) -> None:
        """Let a change of names be safe."""
        kind, name, number, target = event
        if kind in ("create", "mkdir"):
            self.names[name] = number
        elif kind == "unlink":
            self.names.pop(name, None)
        elif name in self.names:
            self.names[target] = self.names.pop(name)


def image(events: list[Event], folder: Path, chance: random.Random, survive: float) -> list[str]:
    """Write into `folder` what a power cut after these events leaves; gives what had been acknowledged."""
    disk = _Disk(events)
    for each in disk.pending:
        if chance.random() < survive:
            disk.rename(each)
    for name, number in disk.names.items():
        if all(str(parent) in disk.names for parent in Path(name).parents if str(parent) != "."):
            (folder / name).parent.mkdir(exist_ok=True)
            if not number:
                (folder / name).mkdir(exist_ok=True)
                continue
            (folder / name).write_bytes(disk.files[number].left(chance, survive))
            os.utime(folder / name, ns=(0, disk.files[number].changed))
    if chance.random() < survive:
        (folder / ".palaver").mkdir(exist_ok=True)
        for name, data in disk.index.items():
            (folder / ".palaver" / name).write_bytes(data)
    return disk.acknowledged
