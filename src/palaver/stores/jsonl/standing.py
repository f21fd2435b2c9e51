"""How a directory of lines takes the place of another: whoever dies meanwhile leaves one of them there, whole.

No system has one step for it. So the new one is made ready under a name of its own, with what the old one will be
called in it; then the old one is renamed, then the new. Where the second is missing, the next who comes does it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from palaver.errors import StoreUnavailable
from palaver.stores.sqlite.filesystem import sync_folder

__all__ = ["settle", "take_place"]

NOTE = Path(".palaver") / "replaces"


def take_place(new: Path, to: Path, kept: Path) -> None:
    """Put a directory where another is, which is called `kept` from then on, but for its backups, which stay.

    The caller has the old one for itself. Raises OSError; then the old one is where it was.
    """
    _share_backups(to, new)
    note = new / NOTE
    with note.open("w", encoding="utf-8") as file:
        file.write(kept.name)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(note.parent)
    ready = _ready(to)
    if ready.exists():  # of one who died before the old one was renamed
        shutil.rmtree(ready)
    new.rename(ready)
    sync_folder(to.parent)
    try:
        to.rename(kept)
    except OSError:
        ready.rename(new)
        raise
    sync_folder(to.parent)
    settle(to)
    if (kept / "backups").is_dir():
        shutil.rmtree(kept / "backups")


def settle(root: Path) -> None:
    """Where one died between the two renames, do the second. Raises StoreUnavailable where it cannot be done."""
    if root.exists():
        return
    ready = _ready(root)
    try:
        kept = (ready / NOTE).read_text(encoding="utf-8")
        if not root.with_name(kept).is_dir():  # who made it died before the first, and what was there went otherwise
            return
        ready.rename(root)
        sync_folder(root.parent)
        (root / NOTE).unlink()
    except FileNotFoundError:  # nobody did, or another was quicker
        return
    except OSError as exc:
        msg = f"restoring {root} was broken off: rename {ready} to {root} ({exc.strerror or exc})"
        raise StoreUnavailable(msg) from exc


def _ready(root: Path) -> Path:
    return root.with_name(f".{root.name}.restored")


def _share_backups(old: Path, new: Path) -> None:
    """The same files in both, so that they are there whichever of the two stands in the end."""
    if not (old / "backups").is_dir():
        return
    shutil.copytree(old / "backups", new / "backups", copy_function=_shared)
    (new / "backups").chmod(0o700)
    sync_folder(new / "backups")
    sync_folder(new)


def _shared(source: str, target: str) -> str:
    with suppress(OSError):  # a file system without links
        os.link(source, target)
        return target
    shutil.copy2(source, target)
    with open(target, "rb") as file:  # noqa: PTH123 - as copytree calls it
        os.fsync(file.fileno())
    return target
