"""Copying a SQLite store while others write to it.

SQLite's backup interface copies pages in steps, from one snapshot: what is committed meanwhile is not in the copy and
does not make it begin anew. The copy has its name only once it was compared with the store, checked and synced, so a
process that dies on the way leaves no file that looks like a backup.

VACUUM INTO would make a smaller file, but in one statement: nothing else of this process would run for as long, it
cannot tell how far it has come, and a damaged store, which a repair copies first, it would not copy as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from palaver import ids
from palaver.backups import Backup, file_name, surplus
from palaver.errors import StoreUnavailable
from palaver.findings import Progress
from palaver.operations import Ledger, Operation
from palaver.stores.sqlite.errors import translated
from palaver.stores.sqlite.filesystem import sync_folder
from palaver.stores.sqlite.statements import Row, Statements
from palaver.times import from_micros, to_micros

__all__ = [
    "NOTE",
    "RecordBackup",
    "backup_of",
    "copy_pages",
    "destination",
    "digest",
    "file_digest_of",
    "finished",
    "made",
    "make",
    "named",
    "partial_file",
    "runs",
    "to_drop",
    "verify",
]

NOTE = "backup"
"""In `meta`: what a backup says of itself."""
_PAGES = 2_000
"""Pages that are copied in one step: 8 MiB."""
_DIGESTED = (
    "digest_sessions",
    "digest_messages",
    "digest_versions",
    "digest_media",
    "digest_keys",
    "digest_cuts",
    "digest_compactions",
    "digest_usage",
    "digest_ids",
    "digest_aliases",
    "digest_turns",
    "digest_queue",
    "digest_imports",
    "digest_todos",
    "digest_changes",
    "digest_erasures",
    "digest_erased",
    "digest_quarantine",
)


class RecordBackup(Operation, frozen=True, kw_only=True, tag="record_backup"):
    """Note that a backup was made, and which were removed. The SQLite store's own business; it is committed alone."""

    backup: Backup
    dropped: tuple[str, ...] = ()

    def apply(self, ledger: Ledger) -> None:
        mending: Any = ledger
        sql: Statements = mending.mending()
        b = self.backup
        values = (b.sessions, b.messages, b.size_bytes, b.content_digest, b.file_digest)
        sql.run("put_backup", (b.path, to_micros(b.made_at), int(b.cursor, 16), *values))
        sql.many("drop_backup", [(path,) for path in self.dropped])


def backup_of(row: Row) -> Backup:
    """A row of `backups`."""
    return Backup(
        path=row[0],
        made_at=from_micros(row[1]),
        cursor=f"{row[2]:x}",
        sessions=row[3],
        messages=row[4],
        size_bytes=row[5],
        content_digest=row[6],
        file_digest=row[7],
    )


def destination(store: str, path: str | None, at: datetime) -> Path:
    """The file that a backup goes to. Raises FileExistsError, StoreUnavailable where it cannot be written."""
    source = Path(store)
    target = Path(path).expanduser() if path is not None else source.parent / "backups"
    folder = path is None or path.endswith(("/", os.sep)) or target.is_dir()
    file = (target / file_name(source.stem, at) if folder else target).absolute()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        msg = f"no backup can be made at {file}: {exc.strerror or exc}: {exc.filename or file.parent}"
        raise StoreUnavailable(msg) from exc
    if file.exists():
        raise _exists(file)
    return file


def _exists(file: Path) -> FileExistsError:
    return FileExistsError(f"{file} exists, and a backup replaces nothing: choose another name or remove it")


def made(
    lent: Callable[[], AbstractContextManager[apsw.Connection]],
    store: str,
    path: str | None,
    at: datetime,
    *,
    sound: bool,
    progress: Progress | None,
) -> Backup:
    """Copy a store by a connection that is lent. Raises as `destination` and `make` do."""
    file = destination(store, path, at)
    with lent() as connection:
        return make(Statements(connection), file, at, sound=sound, progress=progress)


def make(source: Statements, file: Path, at: datetime, *, sound: bool, progress: Progress | None = None) -> Backup:
    """Copy what a connection sees to a file. The connection's snapshot, which this begins, is the moment of the copy.

    Raises StoreUnavailable where the copy is not what the store is, or, unless not `sound`, where it is damaged.
    """
    with partial_file(file) as partial, translated(f"the backup {file}"):
        source.script("BEGIN")
        try:
            [(position,)] = source.all("highest_change")
            copy_pages(source.connection, partial, progress)
            [(sessions, _, messages)] = source.all("totals", {"owner": None})
            wanted = digest(source)
        finally:
            source.script("COMMIT")
        made = Backup(
            path=str(file),
            made_at=at,
            cursor=f"{position or 0:x}",
            sessions=sessions,
            messages=messages,
            size_bytes=0,
            content_digest=wanted,
        )
        return finished(partial, file, made, sound=sound)


def finished(partial: Path, file: Path, made: Backup, *, sound: bool) -> Backup:
    """Check what was copied, and give the file its name; what there is to know of it then. Raises as `make`."""
    verify(partial, made, sound=sound)
    made = msgspec.structs.replace(made, size_bytes=partial.stat().st_size, file_digest=file_digest_of(partial))
    named(partial, file)
    return made


def copy_pages(source: apsw.Connection, target: Path, progress: Progress | None = None) -> None:
    """Copy a database to a file of its own that needs no log, in bounded steps."""
    copy = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        sql = Statements(copy)
        sql.pragma("PRAGMA journal_mode=OFF")  # nothing has to survive before it is whole: then it is synced
        sql.pragma("PRAGMA synchronous=OFF")
        with copy.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(_PAGES)
                if progress is not None:
                    progress(pages.page_count - pages.remaining, pages.page_count)
        sql.pragma("PRAGMA journal_mode=DELETE")  # the copied header says WAL, which would need two more files
    finally:
        copy.close()


def verify(partial: Path, made: Backup, *, sound: bool) -> None:
    """Compare the copy with the store, note in it what it is, and sync it."""
    copy = apsw.Connection(str(partial), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        sql = Statements(copy)
        said = [str(row[0]) for row in sql.all("check_integrity")] if sound else []
        if said not in ([], ["ok"]):
            msg = f"the store is damaged, and so is its copy ({said[0]}): run `palaver check`; no backup was made"
            raise StoreUnavailable(msg)
        if digest(sql) != made.content_digest:
            msg = f"the copy at {partial} is not what the store holds; is the disk failing? No backup was made"
            raise StoreUnavailable(msg)
        sql.pragma("PRAGMA synchronous=FULL")
        sql.run("put_meta", (NOTE, msgspec.json.encode(made).decode()))
    finally:
        copy.close()
    fd = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def digest(sql: Statements) -> str:
    """sha256 over what a store holds: every table that is not made of the others."""
    total = hashlib.sha256()
    pack = msgspec.msgpack.Encoder().encode
    for name in _DIGESTED:
        total.update(name.encode())
        for row in sql.each(name):
            total.update(pack(row))
    return total.hexdigest()


def file_digest_of(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def partial_file(file: Path) -> Generator[Path]:
    """A new file for this user alone beside `file`, gone when the block is left; those of dead processes go too."""
    for left in file.parent.glob(f".{file.name}.*.partial*"):
        pid = left.name.removeprefix(f".{file.name}.").partition("-")[0]
        if pid.isdecimal() and not runs(int(pid)):
            left.unlink(missing_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}-{ids.token()}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as exc:
        msg = f"nothing can be written at {file.parent}: {exc.strerror or exc}"
        raise StoreUnavailable(msg) from exc
    try:
        yield partial
    finally:
        for name in (partial, Path(f"{partial}-journal"), Path(f"{partial}-wal"), Path(f"{partial}-shm")):
            name.unlink(missing_ok=True)


def runs(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def named(partial: Path, file: Path) -> None:
    """Give a finished file its name, durably; where another has that name, FileExistsError."""
    try:
        os.link(partial, file)
    except FileExistsError:
        raise _exists(file) from None
    except OSError:  # a file system without links: the look and the renaming are two steps there
        if file.exists():
            raise _exists(file) from None
        partial.rename(file)
    sync_folder(file.parent)


def to_drop(known: list[Backup], made: Backup, keep: int | None) -> tuple[str, ...]:
    """Remove what is more than `keep` backups of the store in that directory; gives the paths of what is gone."""
    here = [b for b in (*known, made) if Path(b.path).parent == Path(made.path).parent and Path(b.path).exists()]
    dropped = [b.path for b in surplus(here, keep)] if keep is not None else []
    for path in dropped:
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
    return tuple(dropped)
