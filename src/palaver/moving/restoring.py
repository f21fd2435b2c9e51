"""Bringing a store of lines back from a backup, which is a SQLite store: by copying it, as `palaver copy` does.

The directory is made beside the one that it is to be, and takes its name when everything in it was compared and synced.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import apsw

from palaver import ids
from palaver.backups import Restored
from palaver.clock import Clock
from palaver.erasure import EraseReport
from palaver.errors import PalaverError, SessionConflict, StoreUnavailable
from palaver.findings import Progress
from palaver.moving.copying import Copier
from palaver.operations import TakeErasures
from palaver.stores.base import Store
from palaver.stores.jsonl import JsonlStore
from palaver.stores.jsonl.files import make_folder
from palaver.stores.jsonl.standing import settle, take_place
from palaver.stores.sqlite import SqliteStore
from palaver.stores.sqlite.backup import backup_of, runs
from palaver.stores.sqlite.errors import translated
from palaver.stores.sqlite.filesystem import sync_folder
from palaver.stores.sqlite.restoring import LEAP, Past, apart, held, verified
from palaver.stores.sqlite.rows import erasure_row
from palaver.stores.sqlite.statements import Statements
from palaver.stores.sqlite.upkeep import Prune
from palaver.times import to_micros

__all__ = ["EraseAgain", "restore_lines"]

EraseAgain: TypeAlias = Callable[[Store], EraseReport]
"""Erases from a store what was erased before, by the marks that are in it, and closes it."""
_MARKS = 1000
_NOBODY = "\x00"
"""No session has this id."""


def restore_lines(
    path: Path,
    to: Path,
    clock: Clock,
    *,
    erase_again: EraseAgain,
    force: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Put what a backup holds where a directory of lines is, or was.

    A store with content is replaced with `force` only, and kept beside under a name with the time, but for its
    `backups`, which stay. As with SQLite, cursors of the feed from before expire, and what was erased from the store
    since the backup was made is erased from the copy, before that takes the store's place.

    Raises StoreUnavailable, SchemaMismatch, FileExistsError (also for a directory that is no store), StoreBusy,
    StoreFull.
    """
    backup = verified(path)
    to = to.absolute()
    settle(to)
    _require_store(to)
    try:
        make_folder(to.parent)
    except OSError as exc:
        msg = f"nothing can be written at {to.parent}: {exc.strerror or exc}"
        raise StoreUnavailable(msg) from exc
    kept: Path | None = None
    erased: EraseReport | None = None
    index = to / ".palaver" / "index.db"
    if (to / ".palaver").is_dir() or (to / "sessions").is_dir():
        JsonlStore(str(to)).close()  # the index says what is in the files now, which it need not have done
    with _partial(to) as partial, held(index, force=force, name=to) as (past, before):
        _copy(path, partial, past, clock, progress)
        if past is not None and past.secret is not None and before is not None:
            _take_erasures(partial, past, before, to, clock)
            erased = erase_again(JsonlStore(str(partial)))
        if past is not None:
            _remember(partial, past)
            kept = to.with_name(f"{to.name}.before-restore-{clock():%Y%m%dT%H%M%S%fZ}")
            take_place(partial, to, kept)
        else:
            partial.rename(to)
            sync_folder(to.parent)
    return Restored(path=str(to), backup=backup, kept=str(kept) if kept is not None else None, erased=erased)


def _require_store(to: Path) -> None:
    """Refuse to put a store in the place of what is none."""
    if not to.exists():
        return
    if not to.is_dir():
        raise FileExistsError(f"{to} is a file, and a store of lines is a directory: restore to another path")
    if any(to.iterdir()) and not ((to / ".palaver").is_dir() or (to / "sessions").is_dir()):
        raise FileExistsError(f"{to} holds something that is no store: restore to another path")


@contextmanager
def _partial(to: Path) -> Generator[Path]:
    """A new directory for this user alone, gone when the block is left; those of dead processes go too."""
    for left in to.parent.glob(f".{glob.escape(to.name)}.*.partial"):
        pid = left.name.removeprefix(f".{to.name}.").partition("-")[0]
        if pid.isdecimal() and not runs(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    partial = to.with_name(f".{to.name}.{os.getpid()}-{ids.token()}.partial")
    try:
        partial.mkdir(mode=0o700)
    except OSError as exc:
        msg = f"nothing can be written at {to.parent}: {exc.strerror or exc}"
        raise StoreUnavailable(msg) from exc
    try:
        yield partial
    finally:
        with contextlib.suppress(FileNotFoundError):  # it has its name
            shutil.rmtree(partial)


def _copy(path: Path, partial: Path, past: Past | None, clock: Clock, progress: Progress | None) -> None:
    """Everything, compared. Raises StoreUnavailable where it is not the same in the end."""
    with SqliteStore(str(path), read_only=True) as source, JsonlStore(str(partial)) as target:
        position = int(source.changes(None, limit=1, session_id=_NOBODY).cursor or "0", 16)
        mark = max(position, past.position if past is not None else 0) + LEAP
        _done(target, Prune(at=to_micros(clock()), through=mark))
        report = Copier(source, target, progress=progress, clock=clock).copy()
    if not report.is_equal:
        said = "; ".join(f"{each.session_id}: {each.reason}" for each in report.problems[:3])
        msg = f"the copy of {path} is not what the backup holds ({said}): nothing was restored"
        raise StoreUnavailable(msg)


def _take_erasures(partial: Path, past: Past, before: Statements, to: Path, clock: Clock) -> None:
    """Take over what stands for what was erased. Raises FileExistsError where the backup has marks of its own key."""
    secret = bytes.fromhex(past.secret or "")
    erasures = tuple(erasure_row(row) for row in past.erasures)
    marks = ((row[0], row[1]) for row in before.each("every_erased"))
    with JsonlStore(str(partial)) as target:
        try:
            _done(target, TakeErasures(at=to_micros(clock()), secret=secret, erasures=erasures))
        except SessionConflict as exc:
            raise apart(to) from exc
        while page := tuple(itertools.islice(marks, _MARKS)):
            _done(target, TakeErasures(at=to_micros(clock()), secret=secret, marks=page))


def _done(store: Store, operation: Prune | TakeErasures) -> None:
    [answer] = store.commit([operation])
    if isinstance(answer, PalaverError):
        raise answer


def _remember(partial: Path, past: Past) -> None:
    """The backups that the store knew. Only the index says where they are, so this has no line."""
    index = partial / ".palaver" / "index.db"
    connection = apsw.Connection(str(index), flags=apsw.SQLITE_OPEN_READWRITE)
    with translated(f"the copy {partial}"):
        try:
            sql = Statements(connection)
            for row in past.backups:
                if Path(backup_of(row).path).exists():
                    sql.run("put_backup", row)
        finally:
            connection.close()
