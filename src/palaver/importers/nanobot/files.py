"""nanobot's session files in a directory: which they are, and in what order they are read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from palaver.formats.wire import is_object
from palaver.importers import openai_jsonl
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.nanobot.records import SYSTEM, canonical_key, read_session
from palaver.importers.values import SourceSession

__all__ = ["find", "read"]

_PUT_AWAY = ".migration-conflicts"


def find(folder: Folder) -> list[SourceFile]:
    """nanobot's files, oldest naming first."""
    if _PUT_AWAY in folder.folders:
        folder.take(_PUT_AWAY)
        folder.note(_PUT_AWAY, "what nanobot put away when it moved files")
    kinds = {name: _is_session(folder, name) for name in list(folder.names) if name.endswith(".jsonl")}
    alone = (folder.path / ".workspace").is_file()
    place = folder.path.name if alone else None  # since 0.3.5 the directory is called after the workspace
    if not alone and not any(kinds.values()):
        mine = [name for name, kind in kinds.items() if kind is None and canonical_key(name.removesuffix(".jsonl"))]
    else:
        mine = [name for name, kind in kinds.items() if kind or name != "history.jsonl"]
    # Where a key has a file of each naming, the later one goes on where the earlier ended.
    mine.sort(key=lambda name: canonical_key(name.removesuffix(".jsonl")) is not None)
    return [folder.source(SYSTEM, name, place=place) for name in mine if name in folder.names]


def _is_session(folder: Folder, name: str) -> bool | None:
    """Whether a file begins as nanobot's do; None where nothing can be said."""
    for record in folder.head(name):
        if record.error is not None:
            if b'"_type": "metadata"' in record.raw:
                return True
            continue
        if is_object(record.value) and record.value.get("_type") in ("metadata", "provider_state"):
            return True
        if openai_jsonl.begins(record):
            return False
        if is_object(record.value):
            return None
    return None


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession]:
    """The conversation of a file. Raises OSError where it is gone, or cannot be read."""
    data = file.path.read_bytes()
    stem = file.path.stem
    beside = file.path.with_name(f"{stem}.checkpoint.json")
    checkpoint = beside.read_bytes() if beside.is_file() and not beside.is_symlink() else None
    yield read_session(data, file=file.shown, stem=stem, place=file.place, zone=zone, checkpoint=checkpoint)
