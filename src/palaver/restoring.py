"""Bringing a store back from a backup."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from palaver.backups import Restored
from palaver.clock import Clock, utc_now
from palaver.erasure import EraseReport
from palaver.findings import Progress
from palaver.opening import open as open_store
from palaver.stores.base import Store

__all__ = ["restore"]


def restore(
    backup: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: Progress | None = None,
    clock: Clock = utc_now,
) -> Restored:
    """Make the store at `to` (a SQLite or JSONL URL, or a path of a SQLite file) what it was when a backup was made.

    The backup is verified first and stays as it is. Where a store with content stands at `to`, it is replaced with
    `force` only, and kept beside. What was erased from that store since the backup was made does not come back: it is
    erased again before the copy takes the store's place. Whoever reads the change feed begins anew: cursors from before
    expire. `progress` is told how many pages (JSONL: messages) were copied, of how many.

    Raises StoreUnavailable for a backup that is damaged or none, SchemaMismatch for one of a later version of Palaver,
    FileExistsError where there is content (with `force`: where it
    and the backup were erased from apart), StoreBusy while a process has the store open, StoreFull, ValueError for a
    URL of another kind of store.
    """
    path = Path(os.fspath(backup)).expanduser()
    scheme, place = _place(os.fspath(to))
    if scheme == "jsonl":
        from palaver.moving.restoring import restore_lines

        def erase_again_from(store: Store) -> EraseReport:
            with open_store(store, clock=clock) as sessions:
                return sessions.erase_again()

        return restore_lines(path, place, clock, erase_again=erase_again_from, force=force, progress=progress)

    from palaver.stores.sqlite.restoring import restore as restore_file

    def erase_again(file: Path) -> EraseReport:
        with open_store(file, clock=clock) as sessions:
            return sessions.erase_again()

    return restore_file(path, place, clock(), erase_again=erase_again, force=force, progress=progress)


def _place(url: str) -> tuple[str, Path]:
    """The scheme of a store with files, and where it is. Raises ValueError."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        return "sqlite", Path(url).expanduser()
    if scheme in {"postgresql", "postgres"}:
        msg = "a backup is a SQLite store: copy it into an empty database, `palaver copy BACKUP postgresql://…`"
        raise ValueError(msg)
    parts = urlsplit(url)
    path = unquote(parts.path[1:])
    if scheme not in {"sqlite", "jsonl"} or parts.netloc or not path:
        msg = f"{url!r} cannot be restored to: there are sqlite:///path, jsonl:///directory, and a plain path is SQLite"
        raise ValueError(msg)
    return scheme, Path(path)
