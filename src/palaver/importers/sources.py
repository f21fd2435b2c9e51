"""What there is to import under a path: files are found, recognised and read here, and never written to."""

from __future__ import annotations

import os
from collections.abc import Generator
from datetime import tzinfo
from pathlib import Path

import msgspec

from palaver.importers import (
    chatgpt,
    claude_code,
    claude_export,
    codex,
    hermes,
    nanobot,
    odysseus,
    openai_jsonl,
    picoclaw,
    saved,
)
from palaver.importers.folders import Folder, SourceFile, System
from palaver.importers.values import Found, Note, note

__all__ = ["SYSTEMS", "find", "find_lines", "read"]

SYSTEMS: tuple[System, ...] = (
    saved,
    hermes,
    nanobot,
    claude_code,
    codex,
    odysseus,
    picoclaw,
    chatgpt,
    claude_export,
    openai_jsonl,
)
"""In the order in which they are shown a folder: who knows its own by a mark comes before who takes what looks it."""

_LINES: tuple[System, ...] = (saved, openai_jsonl)
_SENT = "sent"
"""The place of lines that came without a path of their own."""
_DEPTH = 8
_LEFT_ALONE = frozenset({".git", ".hg", ".venv", "__pycache__", "node_modules"})
_NOTHING = "no conversation that this version can import"
_SHOWN = (".jsonl", ".db", ".json", ".zip", ".migrated")
_LINK = "a symbolic link; name the file itself"


def find(path: Path) -> tuple[list[SourceFile], list[Note]]:
    """The files with conversations, oldest naming first, and what else there is. Raises OSError for no such path."""
    path = path.expanduser().resolve(strict=True)
    notes: list[Note] = []
    if path.is_file():
        folder = Folder(path.parent, path.parent, [path.name], [], notes, alone=True)
        alone = _taken(folder)
        if not alone and not notes:
            folder.note(path.name, _NOTHING)
        return alone, notes
    files: list[SourceFile] = []

    def failed(error: OSError) -> None:
        shown = os.path.relpath(error.filename or path, path)
        notes.append(note("skipped", shown, None, f"it cannot be read: {error.strerror}"))

    for where, folders, names in os.walk(path, onerror=failed):
        here = Path(where)
        depth = len(here.relative_to(path).parts)
        folders[:] = sorted(name for name in folders if name not in _LEFT_ALONE) if depth < _DEPTH else []
        folder = Folder(here, path, _regular(here, path, sorted(names), notes), folders, notes)
        files += _taken(folder)
        _left_over(folder)
    return files, notes


def find_lines(path: Path) -> tuple[list[SourceFile], list[Note]]:
    """A file of JSON lines that was sent from elsewhere, if it has conversations: Palaver's own, or OpenAI-style."""
    notes: list[Note] = []
    folder = Folder(path.parent, path.parent, [path.name], [], notes, alone=True)
    found = [msgspec.structs.replace(file, place=_SENT) for system in _LINES for file in system.find(folder)]
    if not found and not notes:
        folder.note(path.name, _NOTHING)
    return found, notes


def _regular(here: Path, root: Path, names: list[str], notes: list[Note]) -> list[str]:
    """The names without symbolic links: what they lead to may be anywhere."""
    links = [name for name in names if (here / name).is_symlink()]
    shown = [str((here / name).relative_to(root)) for name in links if name.endswith(_SHOWN)]
    notes += [note("skipped", name, None, _LINK) for name in shown]
    return [name for name in names if name not in links and (here / name).is_file()]


def _taken(folder: Folder) -> list[SourceFile]:
    return [file for system in SYSTEMS for file in system.find(folder)]


def _left_over(folder: Folder) -> None:
    """Say what lies there and is no conversation."""
    for name in folder.names:
        if name.endswith(".tmp"):
            folder.note(name, "a file that was never finished")
        elif name.endswith(".jsonl"):
            folder.note(name, _NOTHING)


def read(file: SourceFile, zone: tzinfo | None) -> Generator[Found]:
    """The conversations of a file, and notes on what belongs to none.

    Raises OSError where it is gone, or cannot be read.
    """
    [system] = [each for each in SYSTEMS if file.system == each.SYSTEM]
    yield from system.read(file, zone)
