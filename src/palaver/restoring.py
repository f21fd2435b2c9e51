"""Bringing a store back from a backup."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from palaver.backups import Restored
from palaver.clock import Clock, utc_now
from palaver.findings import Progress

__all__ = ["restore"]


def restore(
    backup: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: Progress | None = None,
    clock: Clock = utc_now,
) -> Restored:
    """Make the store at `to` (a SQLite URL or a path) what it was when a backup was made.

    The backup is verified first and stays as it is. Where a store with content stands at `to`, it is replaced with
    `force` only, and kept beside. Whoever reads the change feed begins anew: cursors from before expire. `progress` is
    told how many pages were copied, of how many.

    Raises StoreUnavailable for a backup that is damaged or none, SchemaMismatch for one of a later version of Palaver,
    FileExistsError where there is content, StoreBusy while a process has the store open, StoreFull, ValueError for a
    URL of another kind of store.
    """
    from palaver.stores.sqlite.restoring import restore as restore_file

    return restore_file(
        Path(os.fspath(backup)).expanduser(), _file(os.fspath(to)), clock(), force=force, progress=progress
    )


def _file(url: str) -> Path:
    scheme, separator, _ = url.partition("://")
    if not separator:
        return Path(url).expanduser()
    path = unquote(urlsplit(url).path[1:])
    if scheme != "sqlite" or not path:
        msg = f"{url!r} is no SQLite store: backups are restored to sqlite:///path, or a plain path"
        raise ValueError(msg)
    return Path(path)
