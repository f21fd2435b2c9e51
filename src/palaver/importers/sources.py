"""What there is to import under a path: files are found, recognised and read here, and never written to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from palaver.formats.wire import is_object
from palaver.importers import nanobot, openai_jsonl
from palaver.importers.jsonl import read_records
from palaver.importers.values import Note, SourceSession, note

__all__ = ["SourceFile", "find", "read"]

System: TypeAlias = Literal["nanobot", "openai"]

_DEPTH = 8
_SNIFFED = 256 * 1024
_LEFT_ALONE = frozenset({".git", ".hg", ".venv", "__pycache__", "node_modules"})
_FOREIGN = {"state.db": "hermes", "sessions.json": "hermes", "app.db": "odysseus"}


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that holds conversations."""

    system: System
    path: Path
    shown: str
    """Its name, below what was given."""
    place: str


def find(path: Path) -> tuple[list[SourceFile], list[Note]]:
    """The files with conversations, oldest naming first, and what else there is. Raises OSError for no such path."""
    path = path.expanduser().resolve(strict=True)
    if path.is_file():
        system = _sniffed(path)
        made = [_file(path, path.name, system)] if system else []
        return made, [] if made else [note("aside", path.name, None, "no conversation that this version can import")]
    files: list[SourceFile] = []
    notes: list[Note] = []

    def failed(error: OSError) -> None:
        shown = os.path.relpath(error.filename or path, path)
        notes.append(note("skipped", shown, None, f"it cannot be read: {error.strerror}"))

    for folder, folders, names in os.walk(path, onerror=failed):
        here = Path(folder)
        depth = len(here.relative_to(path).parts)
        folders[:] = sorted(name for name in folders if name not in _LEFT_ALONE) if depth < _DEPTH else []
        if ".migration-conflicts" in folders:
            folders.remove(".migration-conflicts")
            shown = str((here / ".migration-conflicts").relative_to(path))
            notes.append(note("aside", shown, None, "what nanobot put away when it moved files"))
        _take(here, sorted(names), path, files, notes)
    return files, notes


def _take(here: Path, names: list[str], root: Path, files: list[SourceFile], notes: list[Note]) -> None:
    """The conversations in one directory."""
    foreign = next((_FOREIGN[name] for name in names if name in _FOREIGN), None)
    if any(name.endswith(".meta.json") for name in names):
        foreign = "picoclaw"
    kinds: dict[str, System | None] = {}
    for name in names:
        shown = str((here / name).relative_to(root))
        if name.endswith((".jsonl.tmp", ".tmp")):
            notes.append(note("aside", shown, None, "a file that was never finished"))
        if not name.endswith(".jsonl"):
            continue
        if (here / name).is_symlink():
            notes.append(note("skipped", shown, None, "a symbolic link; name the file itself"))
            continue
        try:
            kinds[name] = _sniffed(here / name)
        except OSError as exc:
            notes.append(note("skipped", shown, None, f"it cannot be read: {exc.strerror}"))
    nanobots = "nanobot" in kinds.values() or ".workspace" in names
    found: list[SourceFile] = []
    for name, kind in kinds.items():
        shown = str((here / name).relative_to(root))
        if (
            kind == "nanobot"
            or (nanobots and name != "history.jsonl")
            or (kind is None and nanobot.canonical_key(name.removesuffix(".jsonl")))
        ):
            found.append(_file(here / name, shown, "nanobot"))
        elif foreign is not None:
            notes.append(note("aside", shown, None, f"of {foreign}, which this version cannot import"))
        elif kind == "openai":
            found.append(_file(here / name, shown, "openai"))
        else:
            notes.append(note("aside", shown, None, "no conversation that this version can import"))
    # Where a key has a file of each naming, the later one goes on where the earlier ended.
    files += sorted(found, key=lambda each: nanobot.canonical_key(each.path.stem) is not None)


def _file(path: Path, shown: str, system: System) -> SourceFile:
    folder = path.parent
    workspace = (folder / ".workspace").is_file()  # since 0.3.5 the directory is called after the workspace
    return SourceFile(system=system, path=path, shown=shown, place=folder.name if workspace else str(folder))


def _sniffed(path: Path) -> System | None:
    """What a file is, by its first records."""
    with path.open("rb") as file:
        begin = file.read(_SNIFFED)
        if len(begin) == _SNIFFED:
            begin += file.readline()
    for record in read_records(begin):
        if record.error is not None:
            if b'"_type": "metadata"' in record.raw:
                return "nanobot"
            continue
        if is_object(record.value) and record.value.get("_type") in ("metadata", "provider_state"):
            return "nanobot"
        if openai_jsonl.is_message(record.value) or openai_jsonl.is_conversation(record.value):
            return "openai"
        if is_object(record.value):
            return None
    return None


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession]:
    """The conversations of a file. Raises OSError where it is gone, or cannot be read."""
    data = file.path.read_bytes()
    stem = file.path.stem
    if file.system == "openai":
        yield from openai_jsonl.read_file(data, file=file.shown, stem=stem, place=file.place, zone=zone)
        return
    beside = file.path.with_name(f"{stem}.checkpoint.json")
    checkpoint = beside.read_bytes() if beside.is_file() and not beside.is_symlink() else None
    yield nanobot.read_session(data, file=file.shown, stem=stem, place=file.place, zone=zone, checkpoint=checkpoint)
