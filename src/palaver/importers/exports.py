"""Data exports of chat services: a .zip as it was sent, or the directory that somebody made of it.

Nothing is unpacked to disk, and no name in an archive is ever used as a path. What an archive says of sizes is held
against it: members that claim to be many times what they are packed in are refused, as are media beyond a limit.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, Protocol

from palaver.importers.folders import Folder, SourceFile
from palaver.importers.json_stream import Readable

__all__ = ["MOST_MEDIA", "Export", "find", "opened", "says"]

MOST_MEDIA = 64 * 1024 * 1024
"""Largest file that is taken along with a message."""
_RATIO = 200
_SMALL = 10 * 1024 * 1024
"""Members below this may be packed as well as they like."""
_NAMED = re.compile(r"conversations([-_]\d+)?\.json$")
_SNIFFED = 256 * 1024
_DEPTH = 3
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError)
"""What reading a damaged, encrypted or strangely packed archive raises."""


class Export(Protocol):
    """What is in an export, by name."""

    @property
    def conversations(self) -> list[str]:
        """The files with conversations, in order."""
        ...

    @property
    def others(self) -> list[str]:
        """All other files."""
        ...

    def open(self, name: str) -> AbstractContextManager[Readable]:
        """Read a file. Raises OSError."""
        ...

    def media(self, name: str) -> bytes | None:
        """The content of a file; None where it is too large, or cannot be read."""
        ...


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        self.conversations, self.others = _parted(self._members)

    @contextmanager
    def open(self, name: str) -> Generator[Readable]:
        info = self._members[name]
        if (why := _refused(info)) is not None:
            raise OSError(None, f"{name}: {why}")
        try:
            file = self._archive.open(info)
        except _BROKEN as exc:
            raise _damaged(name, exc) from exc
        with file:
            yield _Member(name, file)

    def media(self, name: str) -> bytes | None:
        info = self._members[name]
        if info.file_size > MOST_MEDIA or _refused(info) is not None:
            return None
        try:
            return self._archive.read(info)
        except _BROKEN:
            return None


class _Member:
    """A member of an archive, whose damage is an OSError as that of a file."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self._name = name
        self._file = file

    def read(self, n: int, /) -> bytes:
        try:
            return self._file.read(n)
        except _BROKEN as exc:
            raise _damaged(self._name, exc) from exc


def _damaged(name: str, exc: Exception) -> OSError:
    return OSError(None, f"{name}: the archive is damaged there, or cannot be read: {exc}")


def _refused(info: zipfile.ZipInfo) -> str | None:
    """Why a member is not read."""
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.file_size > max(_SMALL, info.compress_size * _RATIO):
        return f"it would be {info.file_size} bytes, more than {_RATIO} times what it is packed in"
    return None


class _Directory:
    """A directory with an unpacked export, of which one file was found."""

    def __init__(self, path: Path) -> None:
        self._root = path.parent
        self.conversations = [path.name]
        self.others = [name for name in _below(self._root) if name != path.name]

    def open(self, name: str) -> AbstractContextManager[Readable]:
        file: BinaryIO = (self._root / name).open("rb")
        return file

    def media(self, name: str) -> bytes | None:
        path = self._root / name
        try:
            return path.read_bytes() if path.stat().st_size <= MOST_MEDIA else None
        except OSError:
            return None


def _below(root: Path) -> Iterator[str]:
    """The files under a directory that are no symbolic links and not behind one."""
    for where, folders, names in os.walk(root):
        here = Path(where)
        if len(here.relative_to(root).parts) >= _DEPTH:
            folders.clear()
        for name in sorted(names):
            if not (here / name).is_symlink():
                yield (here / name).relative_to(root).as_posix()


def _parted(names: Iterator[str] | dict[str, zipfile.ZipInfo]) -> tuple[list[str], list[str]]:
    """The files with conversations, which lie at the top or in the one directory there, and the others."""
    found: list[str] = []
    others: list[str] = []
    for name in names:
        path = PurePosixPath(name)
        (found if _NAMED.fullmatch(path.name) and len(path.parts) <= 2 else others).append(name)
    return sorted(found), others


@contextmanager
def opened(path: Path) -> Generator[Export]:
    """The export that a file is, or is a part of. Raises OSError."""
    if path.suffix.lower() != ".zip":
        yield _Directory(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except _BROKEN as exc:
        raise _damaged(path.name, exc) from exc
    with archive:
        yield _Zip(archive)


def find(folder: Folder, system: str, mark: bytes) -> list[SourceFile]:
    """The exports in a folder whose conversations have the key `mark`; what else is in them is told."""
    found: list[SourceFile] = []
    for name in list(folder.names):
        lower = name.lower()
        if lower.endswith(".zip") or (lower.endswith(".json") and (folder.alone or _NAMED.fullmatch(name))):
            try:
                beside = _recognised(folder.path / name, mark)
            except OSError as exc:
                folder.skip(name, f"it cannot be read: {exc.strerror or exc}")
                folder.take(name)
                continue
            if beside is not None:
                found.append(folder.source(system, name, place=system))
                for each in beside:
                    folder.note(name, f"it holds {each}, which is no conversation")
    return found


def _recognised(path: Path, mark: bytes) -> list[str] | None:
    """Whether this is an export with such conversations: then the records beside them. Raises OSError."""
    with opened(path) as export:
        for name in export.conversations:
            with export.open(name) as file:
                if mark in file.read(_SNIFFED):
                    if not isinstance(export, _Zip):
                        return []
                    return [each for each in export.others if each.endswith((".json", ".html"))]
    return None


def says(value: Any) -> bool:
    """Whether a key of a record says anything; exports have many that do not."""
    return bool(value) or (isinstance(value, (int, float)) and value is not False)
