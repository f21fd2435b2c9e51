"""hermes's files in a directory: a home, a directory of sessions from before the database, or one file."""

from __future__ import annotations

import mmap
from pathlib import Path

from palaver.formats.wire import is_object
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.hermes.homes import DATABASE
from palaver.importers.hermes.logs import INDEX, NAMES, is_index
from palaver.importers.hermes.sessions import SYSTEM

__all__ = ["find"]

_MAGIC = b"SQLite format 3\x00"
_MARKS = (b"parent_session_id", b"tool_call_id")
"""Columns that hermes's tables have had since the first version."""
_HOME = ".hermes"
_DATABASES = (".db", ".sqlite", ".sqlite3")


def find(folder: Folder) -> list[SourceFile]:
    """What of a folder is hermes's."""
    at_home = DATABASE in folder.names or folder.path.name == _HOME
    if at_home and "sessions" in folder.folders and (folder.path / "sessions").is_symlink():
        folder.skip("sessions", "a symbolic link; name the directory itself")
        folder.take("sessions")
    if DATABASE in folder.names and _is_database(folder.path / DATABASE, named=True):
        folder.take(DATABASE)
        return [_source(folder, DATABASE) if folder.alone else _home(folder)]
    if folder.path.name == _HOME and "sessions" in folder.folders:
        return [_home(folder)]
    if folder.alone:
        mine = [name for name in folder.names if _is_mine(folder, name)]
        folder.take(*mine)
        return [_source(folder, name) for name in mine]
    if INDEX in folder.names and is_index(folder.path / INDEX):
        names = [name for name in folder.names if name == INDEX or name.endswith((".jsonl", ".json"))]
        folder.take(*names)
        return [_source(folder, ".")]
    logs = [name for name in folder.names if _is_log(folder, name)]
    folder.take(*logs)
    return [_source(folder, ".")] if logs else []


def _is_mine(folder: Folder, name: str) -> bool:
    return (name.endswith(_DATABASES) and _is_database(folder.path / name, named=False)) or _is_log(folder, name)


def _home(folder: Folder) -> SourceFile:
    folder.take("sessions")
    if folder.path.name == _HOME or folder.path.parent.name == "profiles":
        others = [name for name in folder.folders if name != "profiles"]
        folder.take(*others)
        if others:
            folder.note("", f"{', '.join(others)}: what else hermes keeps there is no conversation")
    return _source(folder, ".")


def _source(folder: Folder, name: str) -> SourceFile:
    path = folder.path if name == "." else folder.path / name
    home = folder.path
    if home.name == "sessions" and DATABASE not in name:
        home = home.parent  # the same home, whether its sessions are named or it is
    return SourceFile(system=SYSTEM, path=path, shown=folder.shown("" if name == "." else name), place=str(home))


def _is_database(path: Path, *, named: bool) -> bool:
    """Whether a file is a database of hermes's; one called as hermes calls its own may be damaged."""
    with path.open("rb") as file:
        begin = file.read(len(_MAGIC))
    if begin != _MAGIC:
        return named
    log = Path(f"{path}-wal")
    return _has_marks(path) or (named and log.is_file() and not log.is_symlink() and _has_marks(log))


def _has_marks(path: Path) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return all(data.find(mark) >= 0 for mark in _MARKS)


def _is_log(folder: Folder, name: str) -> bool:
    """Whether a file is called as hermes's logs are, and begins with a message."""
    if NAMES.fullmatch(name) is None:
        return False
    if name.endswith(".json"):
        return b'"messages"' in (folder.path / name).read_bytes()
    return any(
        record.error is None and is_object(record.value) and "role" in record.value for record in folder.head(name)
    )
