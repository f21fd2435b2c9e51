"""Bringing a SQLite store back from a backup.

The backup is verified, copied beside the store, synced, and takes the store's name in one step: a process that dies on
the way leaves the store that was there, or the restored one. What was there before is kept.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import apsw
import msgspec

from palaver.backups import Backup, Restored
from palaver.erasure import EraseReport
from palaver.errors import StoreBusy, StoreUnavailable
from palaver.findings import Progress
from palaver.stores.sqlite.backup import NOTE, backup_of, copy_pages, digest, named, partial_file
from palaver.stores.sqlite.connection import Opener
from palaver.stores.sqlite.errors import translated
from palaver.stores.sqlite.filesystem import sync_folder
from palaver.stores.sqlite.statements import Row, Statements

__all__ = ["LEAP", "EraseAgain", "Past", "apart", "held", "refused", "restore", "verified"]

LEAP = 1 << 32
"""How far the feed's positions move on: no cursor that the lost time gave out is reached again; all of them expire."""


EraseAgain: TypeAlias = Callable[[Path], EraseReport]
"""Erases in a store's file what was erased from it before, by the marks that are in it."""
_SECRET = "erasure_secret"  # noqa: S105 - the name of a row in `meta`


class Past(msgspec.Struct, frozen=True):
    """What the restored store has to know of the one that stood in its place."""

    position: int = 0
    """Of the feed."""
    backups: tuple[Row, ...] = ()
    secret: str | None = None
    """What its marks of erasures are keyed with; None: nothing was erased there."""
    erasures: tuple[Row, ...] = ()
    is_readable: bool = True
    """False: it is too damaged to say what was erased from it."""


def verified(path: Path) -> Backup | None:
    """What a backup says of itself, having looked whether it is so; None for a sound store that says nothing.

    Raises StoreUnavailable for what is no store, or is damaged, and SchemaMismatch for one of a later version.
    """
    name = f"the backup {path}"
    if not path.is_file():
        msg = f"{name} is no file"
        raise StoreUnavailable(msg)
    if not path.stat().st_size:
        msg = f"{name} holds no store: it is empty"
        raise StoreUnavailable(msg)
    with translated(name):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            Opener(str(path), name=name, read_only=True).check_schema(connection)
            sql = Statements(connection)
            said = [str(row[0]) for row in sql.all("check_integrity")]
            if said != ["ok"]:
                msg = f"{name} is damaged ({said[0]}): take another; nothing was restored"
                raise StoreUnavailable(msg)
            row = sql.one("meta", (NOTE,))
            if row is None:
                return None
            made = msgspec.json.decode(row[0], type=Backup)
            if digest(sql) != made.content_digest:
                msg = f"{name} holds other content than when it was made: take another; nothing was restored"
                raise StoreUnavailable(msg)
        except msgspec.MsgspecError as exc:
            msg = f"{name} does not say what it is: {exc}; nothing was restored"
            raise StoreUnavailable(msg) from exc
        finally:
            connection.close()
    return made


def restore(
    path: Path,
    to: Path,
    at: datetime,
    *,
    erase_again: EraseAgain,
    force: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Put a copy of a backup where a store is, or was.

    A store with content is replaced with `force` only, and kept beside under a name with the time. Cursors of the
    change feed from before expire, so that readers notice. What was erased from the store since the backup was made is
    erased from the copy, before that takes the store's place.

    Raises as `verified` does; FileExistsError for a store with content; StoreBusy where a process has it open,
    StoreFull.
    """
    backup = verified(path)
    to = to.absolute()
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept: Path | None = None
    erased: EraseReport | None = None
    with partial_file(to) as partial, held(to, force=force) as (past, before):
        _copy(path, partial, progress)
        _settle(partial, past, before, to)
        if past is not None and past.secret is not None:
            erased = erase_again(partial)
        _sync(partial)
        if past is None:
            named(partial, to)
        else:
            kept = to.with_name(f"{to.name}.before-restore-{at:%Y%m%dT%H%M%S%fZ}")
            os.link(to, kept)
            for suffix in ("-wal", "-journal"):  # of a store too damaged to be closed: its log is not the new one's
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{to}{suffix}").rename(f"{kept}{suffix}")
            Path(f"{to}-shm").unlink(missing_ok=True)
            sync_folder(to.parent)
            partial.replace(to)
            sync_folder(to.parent)
    return Restored(
        path=str(to),
        backup=backup,
        kept=str(kept) if kept is not None else None,
        erased=erased,
        erasures_lost=past is not None and not past.is_readable,
    )


@contextmanager
def held(to: Path, *, force: bool, name: Path | None = None) -> Generator[tuple[Past | None, Statements | None]]:
    """Nobody else has the store while the block runs. Gives what is to be known of it, and itself; None: none is.

    `name`: what it is called, where its database is but a part of it. Raises StoreBusy, FileExistsError.
    """
    name = name if name is not None else to
    if not to.exists() or (to.is_file() and not to.stat().st_size):
        to.unlink(missing_ok=True)
        yield None, None
        return
    connection = apsw.Connection(str(to), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        sql = Statements(connection)
        try:
            # Only the one process that has a database open can take it out of WAL mode: then it is one file.
            sql.pragma("PRAGMA journal_mode=DELETE")  # raises while another connection has it open
            sql.script("BEGIN EXCLUSIVE")
            past = _past(sql)
        except (apsw.BusyError, apsw.LockedError) as exc:
            msg = f"a process has {name} open: stop everything that uses this store (servers, agents) and try again"
            raise StoreBusy(msg) from exc
        except (apsw.NotADBError, apsw.CorruptError, apsw.SQLError):
            if not force:
                raise refused(name) from None
            past = Past(is_readable=False)
        if past.position and not force:
            raise refused(name)
        yield past, sql
    finally:
        connection.close()


def refused(to: Path) -> FileExistsError:
    """What is said of a store with content that nobody has given up."""
    return FileExistsError(f"{to} has content: restore to another path, or say force=True, which keeps it beside")


def _past(sql: Statements) -> Past:
    [(position,)] = sql.all("highest_change")
    secret = sql.one("meta", (_SECRET,))
    for _ in sql.each("every_erased"):  # one that is damaged there shows itself before anything is copied
        pass
    return Past(
        position or 0,
        tuple(sql.all("backups")),
        secret[0] if secret is not None else None,
        tuple(sql.all("erasures")),
    )


def _copy(path: Path, partial: Path, progress: Progress | None) -> None:
    with translated(f"the copy of {path}"):
        source = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            copy_pages(source, partial, progress)
        finally:
            source.close()


def _settle(partial: Path, past: Past | None, before: Statements | None, to: Path) -> None:
    """Make a store of a copy: it is no backup any more, and knows what the one before it knew."""
    connection = apsw.Connection(str(partial), flags=apsw.SQLITE_OPEN_READWRITE)
    with translated(f"the copy {partial}"):
        try:
            sql = Statements(connection)
            sql.pragma("PRAGMA synchronous=FULL")
            sql.script("BEGIN IMMEDIATE")
            [(position,)] = sql.all("highest_change")
            mark = max(position or 0, past.position if past is not None else 0) + LEAP
            sql.run("mend_search_moved", {"was": position or 0, "now": mark})
            sql.run("put_meta", ("pruned", str(mark)))
            sql.run("drop_meta", (NOTE,))
            for row in past.backups if past is not None else ():
                backup = backup_of(row)
                if Path(backup.path).exists():
                    sql.run("put_backup", row)
            if past is not None and past.secret is not None and before is not None:
                _take_erasures(sql, past, before, to)
            sql.script("COMMIT")
        finally:
            connection.close()


def _take_erasures(sql: Statements, past: Past, before: Statements, to: Path) -> None:
    """Take over what stands for what was erased. Raises FileExistsError where the backup has marks of its own key."""
    own = sql.one("meta", (_SECRET,))
    if own is not None and own[0] != past.secret:
        raise apart(to)
    sql.run("put_meta", (_SECRET, past.secret))
    for row in past.erasures:
        sql.run("put_erasure", row)
    sql.many("put_erased", before.each("every_erased"))


def apart(to: Path) -> FileExistsError:
    """What is said where the store and the backup have marks of erasures under keys of their own."""
    return FileExistsError(
        f"{to} and the backup were erased from apart, and neither can say what the other lost: restore to another "
        f"path, or move {to} away first and erase again from what is restored"
    )


def _sync(partial: Path) -> None:
    """Leave one file, which is on disk: it takes a name without its log."""
    connection = apsw.Connection(str(partial), flags=apsw.SQLITE_OPEN_READWRITE)
    with translated(f"the copy {partial}"):
        try:
            Statements(connection).pragma("PRAGMA journal_mode=DELETE")
        finally:
            connection.close()
    fd = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
