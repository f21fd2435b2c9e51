"""A directory of nanobot's, made into a JSONL store where it lies.

The files are copied aside first, synced, and imported from the copies. Only when all of that is done do they leave
their places. Until then the store cannot be opened otherwise, so an adoption that was cut short is never taken for a
finished one; run again, it finds its copies, stores nothing twice, and goes on.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import tzinfo
from pathlib import Path
from typing import Any

import msgspec

from palaver import ids
from palaver.importers import nanobot
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.report import Report
from palaver.importers.running import run
from palaver.importers.values import Note
from palaver.opening import open as open_store
from palaver.stores.jsonl import JsonlStore
from palaver.stores.jsonl.foreign import ASIDE, WORKSPACE, begins_as_nanobot, begins_as_own
from palaver.stores.sqlite.filesystem import sync_folder

try:
    import fcntl as _locks
except ImportError:  # Windows: two who adopt in the same moment are on their own
    _locks = None  # type: ignore[assignment]

__all__ = ["adopt"]

fcntl: Any = _locks
Told = Callable[[int, int, str], None] | None
_BEGIN = 4096


class _Kept(msgspec.Struct):
    """A session's file, what lies beside it, and where their copies are."""

    source: SourceFile
    files: list[Path]
    copies: list[Path] = []
    digests: list[bytes] = []


def adopt(
    directory: str | os.PathLike[str], *, owner: str | None = None, zone: tzinfo | None = None, progress: Told = None
) -> Report:
    """Make a JSONL store of a directory with nanobot's session files, in it or in its `sessions`.

    What was there is kept, as it was, in `adopted-from-nanobot` in the same directory. `zone` is where times without a
    zone were written (None: this machine's); `owner` whose the sessions become. `progress` is told how many files are
    done, of how many, and which one is next. nanobot must not run meanwhile. A directory without such files is no
    error: the report is empty; so is that of an adoption that waited for another one's end.

    Raises OSError for a directory that is missing, cannot be read or written to, and StoreError.
    """
    root = Path(directory).expanduser().resolve(strict=True)
    with _alone(root):
        return _adopt(root, owner, zone, progress)


@contextmanager
def _alone(root: Path) -> Generator[None]:
    """No other process adopts a directory: two would take each other's files away."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(root, os.O_RDONLY)
    try:
        with suppress(OSError):  # no locks on this file system: a store that needs them is refused when it is opened
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _adopt(root: Path, owner: str | None, zone: tzinfo | None, progress: Told) -> Report:
    notes: list[Note] = []
    if (root / ".palaver").is_dir():  # one that was killed may have left a file of the store's that is still empty
        JsonlStore(str(root), beside_nanobot=True).close()
    found = list(_found(root, notes))
    report = Report(source=str(root), notes=notes)
    if not found:
        return report
    for left in (root / ASIDE).rglob(".*.tmp"):  # of one that was killed
        left.unlink(missing_ok=True)
    for kept in found:
        _keep(root, kept)
    with open_store(JsonlStore(str(root), beside_nanobot=True)) as sessions:
        manager = sessions.for_owner(owner) if owner is not None else sessions
        run(manager, [_as_copied(kept) for kept in found], report, zone, progress)
        # Those that are told at sight go last: while one of them is there, the store says that this is not done.
        for kept in sorted(found, key=lambda each: _is_plain(each.files[0])):
            if _leave(kept):  # nanobot still wrote to it
                run(manager, [_as_copied(kept)], report, zone, None)
    return report


def _found(root: Path, notes: list[Note]) -> Iterator[_Kept]:
    sessions = root / "sessions"
    folders = [root, sessions]
    if sessions.is_dir():
        folders += sorted(f for f in sessions.iterdir() if (f / WORKSPACE).is_file() and not f.is_symlink())
    for path in folders:
        if not path.is_dir() or path.is_symlink():
            continue
        names = [e.name for e in sorted(path.iterdir()) if e.is_file() and not e.is_symlink() and not _is_own(e)]
        if not any(_is_plain(path / name) for name in names if name.endswith(".jsonl")):
            continue
        for source in nanobot.find(Folder(path, root, names, [], notes)):
            beside = (source.path.with_name(f"{source.path.stem}.checkpoint.json"), path / WORKSPACE)
            yield _Kept(source, [source.path, *(each for each in beside if each.is_file() and not each.is_symlink())])


def _is_own(path: Path) -> bool:
    """Whether it is a file of the store's."""
    return path.suffix == ".jsonl" and begins_as_own(_begin(path))


def _is_plain(path: Path) -> bool:
    """Whether a file is told at sight to be nanobot's."""
    return begins_as_nanobot(_begin(path))


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_BEGIN)


def _keep(root: Path, kept: _Kept) -> None:
    """Copy a session's files aside, durably, or find the copies that are there: another content is never replaced."""
    contents = [path.read_bytes() for path in kept.files]
    kept.digests = [hashlib.sha256(data).digest() for data in contents]
    number = 1
    while True:
        kept.copies = [root / ASIDE / str(number) / path.relative_to(root) for path in kept.files]
        pairs = list(zip(kept.copies, contents, strict=True))
        if all(not copy.exists() or copy.read_bytes() == data for copy, data in pairs):
            break
        number += 1
    for copy, data in pairs:
        if not copy.exists():
            _write(root, copy, data)


def _write(root: Path, copy: Path, data: bytes) -> None:
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = copy.with_name(f".{ids.token()}.tmp")
    try:
        draft.touch(mode=0o600, exist_ok=False)
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(copy)
    finally:
        draft.unlink(missing_ok=True)
    for folder in itertools.takewhile(lambda each: each != root.parent, copy.parents):
        sync_folder(folder)


def _as_copied(kept: _Kept) -> SourceFile:
    """The file to read is the copy; it is called and placed as the one that was there."""
    return msgspec.structs.replace(kept.source, path=kept.copies[0])


def _leave(kept: _Kept) -> bool:
    """Move a session's files onto their copies; whether something else had come to stand there meanwhile."""
    changed = False
    for path, copy, digest in zip(kept.files, kept.copies, kept.digests, strict=True):
        if path.name == WORKSPACE:  # it says which workspace the files were of that are still there
            continue
        try:
            path.replace(copy)
        except FileNotFoundError:  # another adoption was here
            continue
        changed = changed or hashlib.sha256(copy.read_bytes()).digest() != digest
        sync_folder(path.parent)
        sync_folder(copy.parent)
    return changed
