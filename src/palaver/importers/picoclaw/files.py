"""picoclaw's session files in a directory: which they are, and which belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path

from palaver.importers import openai_jsonl
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.picoclaw.records import begins_as_legacy, read_meta
from palaver.importers.picoclaw.sessions import SYSTEM, Files, read_sessions
from palaver.importers.values import SourceSession, note

__all__ = ["find", "read"]

_SUFFIXES = {".meta.json": "meta", ".json.migrated": "migrated", ".jsonl": "lines", ".json": "legacy"}
_ORDER = (".jsonl", ".meta.json", ".json", ".json.migrated")
_HASHED = re.compile(r"sk_v1_[0-9a-f]{64}")
_HEAD = 64 * 1024
_OTHERS = frozenset({"sessions.json", "conversations.json"})
"""Files of other systems, which lie where picoclaw's may lie."""


def find(folder: Folder) -> list[SourceFile]:
    """The sessions in a directory, each by its main file; the files beside that go with it."""
    stems: dict[str, dict[str, str]] = {}
    for name in folder.names:
        stem, suffix = _split(name)
        if suffix and name not in _OTHERS:
            stems.setdefault(stem, {})[suffix] = name
    marked = any(_is_marked(folder.path, stem, found) for stem, found in stems.items())
    files: list[SourceFile] = []
    for stem, found in stems.items():
        if not marked or not _is_mine(folder, stem, found):
            continue
        first = next(found[suffix] for suffix in _ORDER if suffix in found)
        files.append(folder.source(SYSTEM, first))
        folder.take(*found.values())
    return files


def _split(name: str) -> tuple[str, str]:
    return next(((name.removesuffix(suffix), suffix) for suffix in _SUFFIXES if name.endswith(suffix)), (name, ""))


def _is_marked(path: Path, stem: str, found: dict[str, str]) -> bool:
    """Whether nobody but picoclaw writes such files."""
    lines = path / f"{stem}.jsonl"
    if ".jsonl" in found and (_HASHED.fullmatch(stem) or _beside(path, stem)):
        return True
    if ".meta.json" in found and (lines.is_file() or "skip" in read_meta(_begin(path / found[".meta.json"]))[0]):
        return True
    return any(suffix in found and begins_as_legacy(_begin(path / found[suffix])) for suffix in _ORDER[2:])


def _beside(path: Path, stem: str) -> bool:
    return any((path / f"{stem}{suffix}").is_file() for suffix in (".meta.json", ".json.migrated"))


def _is_mine(folder: Folder, stem: str, found: dict[str, str]) -> bool:
    """Whether files belong to picoclaw, in a directory of its sessions: damaged ones do."""
    if ".meta.json" in found or ".json.migrated" in found:
        return True
    if ".jsonl" in found:
        records = folder.head(found[".jsonl"])
        told = [openai_jsonl.begins(record) for record in records if record.error is None]
        return bool(_HASHED.fullmatch(stem)) or not told or told[0]
    begin = _begin(folder.path / found[".json"])
    if begins_as_legacy(begin) or not begin.strip() or b'"messages"' in begin:
        return True
    return len(begin) < _HEAD and read_meta(begin)[1] != ()


def _begin(path: Path) -> bytes:
    """The head of a file; nothing where it cannot be read, which reading it says."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession]:
    """The conversation of a file and of those beside it. Raises OSError where it is gone, or cannot be read."""
    stem, _ = _split(file.path.name)
    files = Files(stem=stem)
    refused: list[tuple[str, str]] = []
    for suffix, kind in _SUFFIXES.items():
        path = file.path.with_name(stem + suffix)
        shown = file.shown.removesuffix(file.path.name) + path.name
        if path != file.path and (path.is_symlink() or not path.is_file()):
            continue
        try:
            setattr(files, kind, (shown, path.read_bytes()))
        except OSError as exc:
            if path == file.path:
                raise
            refused.append((shown, f"it cannot be read: {exc.strerror}"))
    for session in read_sessions(files, place=file.place, zone=zone):
        session.notes += [note("skipped", shown, None, reason) for shown, reason in refused]
        refused = []
        yield session
