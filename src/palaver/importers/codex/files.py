"""Where Codex CLI keeps its rollouts, and how they are known: by their name, or by how they begin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any

from palaver.formats.wire import is_object
from palaver.importers.codex.rollouts import SYSTEM, read_rollout
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.jsonl import Record, read_records
from palaver.importers.values import SourceSession

__all__ = ["SYSTEM", "find", "read"]

_ARCHIVED = "archived_sessions"
_INDEX = "session_index.jsonl"
_KINDS = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted"})
_PACKED = "compressed by Codex; unpack it beside itself (`unzstd FILE`), and import again"


def find(folder: Folder) -> list[SourceFile]:
    """The rollouts in a folder, oldest first: their names begin with the time."""
    found: list[str] = []
    for name in list(folder.names):
        if name.startswith("rollout-") and name.endswith(".jsonl.zst"):
            if name.removesuffix(".zst") not in folder.names:
                folder.skip(name, _PACKED)
            folder.take(name)
        elif name == _INDEX and (folder.path / "sessions").is_dir():
            folder.take(name)
            folder.note(name, "Codex's index of threads; it tells their titles")
        elif name.endswith(".jsonl") and _is_mine(folder, name):
            found.append(name)
    return [folder.source(SYSTEM, name, place=SYSTEM) for name in found]


def _is_mine(folder: Folder, name: str) -> bool:
    named = name.startswith("rollout-")
    for record in folder.head(name):
        if record.error is None and is_object(record.value):
            return _is_record(record) or (named and _is_bare_head(record.value))
    return named and bool(folder.head(name))


def _is_record(record: Record) -> bool:
    value = record.value
    kind = value.get("type") if is_object(value) and is_object(value.get("payload")) else None
    return isinstance(kind, str) and kind in _KINDS


def _is_bare_head(value: dict[str, Any]) -> bool:
    return isinstance(value.get("id"), str) and "timestamp" in value


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession]:  # noqa: ARG001 - all its times have one
    """The conversation of a file. Raises OSError where it is gone, or cannot be read."""
    path = file.path
    session = read_rollout(path.read_bytes(), file=file.shown, stem=path.stem)
    home = next((each for each in path.parents if each.name in ("sessions", _ARCHIVED)), None)
    if home is not None:
        session.archived = home.name == _ARCHIVED
        index = home.with_name(_INDEX)
        if index.is_file() and not index.is_symlink():
            session.title = _titles(index, index.stat().st_mtime_ns).get(session.id)
    yield session


@lru_cache(maxsize=1)
def _titles(index: Path, written: int) -> dict[str, str]:  # noqa: ARG001 - what was read at one time is no answer later
    """What the threads are called; the last word is the one that counts."""
    out: dict[str, str] = {}
    for record in read_records(index.read_bytes()):
        value = record.value
        if is_object(value) and isinstance(value.get("id"), str):
            name = value.get("thread_name")
            if isinstance(name, str) and name.strip():
                out[value["id"]] = name
    return out
