"""odysseus's database in a directory: which it is, and how it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path

import apsw

from palaver.importers.databases import opened_copy
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.odysseus.sessions import MESSAGES, SYSTEM, read_sessions
from palaver.importers.values import Note, SourceSession, note

__all__ = ["find", "read"]

_NAME = "app.db"
_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_MAGIC = b"SQLite format 3\0"
_TABLE = MESSAGES.encode()
_SEARCHED = 1024 * 1024
"""The schema stands at the beginning of a database, or of its log where it is that young."""


def find(folder: Folder) -> list[SourceFile]:
    """`app.db`, or a database of another name that has odysseus's tables (its DATABASE_URL may name any)."""
    found: list[SourceFile] = []
    for name in list(folder.names):
        if not name.endswith(_SUFFIXES):
            continue
        try:
            mine = _is_mine(folder.path / name)
        except OSError as exc:
            mine = False
            folder.skip(name, f"it cannot be read: {exc.strerror}")
        if mine:
            found.append(folder.source(SYSTEM, name))
        elif name == _NAME:
            folder.note(name, "it is no database with odysseus's tables")
    return found


def _is_mine(path: Path) -> bool:
    with path.open("rb") as file:
        begin = file.read(_SEARCHED)
    return begin.startswith(_MAGIC) and (_TABLE in begin or _TABLE in _log(path.with_name(f"{path.name}-wal")))


def _log(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_SEARCHED)


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession | Note]:
    """The conversations of a database; its times are UTC, whatever the zone. Raises OSError where it cannot be read."""
    del zone
    try:
        with opened_copy(file.path) as (database, steady):
            if not steady:
                told = "it was written to while it was copied: import again when its program rests"
                yield note("repaired", file.shown, None, told)
            yield from read_sessions(database, file=file.shown, place=file.place)
    except apsw.Error as exc:  # damage, or tables that are none of these
        yield note("skipped", file.shown, None, f"it cannot be read: {exc}")
