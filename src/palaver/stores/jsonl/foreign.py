"""Session files of nanobot's in a store's directory: recognised, so that none is taken for damage, or for nothing.

nanobot keeps a file for each session in `WORKSPACE/sessions`, before that in `~/.nanobot/sessions`, since 0.3.5 in a
directory for each workspace below its configuration. The first record says `_type`, which no line of Palaver's has.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from palaver.errors import StoreUnavailable
from palaver.stores.jsonl.names import SUFFIX

__all__ = ["ASIDE", "WORKSPACE", "begins_as_nanobot", "begins_as_own", "nanobot_files", "refusal"]

ASIDE = "adopted-from-nanobot"
"""Where adopted files are kept as they were, in the directory."""
WORKSPACE = ".workspace"
"""What nanobot puts beside the files of a workspace, since 0.3.5."""
_BEGIN = 4096
_THEIRS = re.compile(rb'"_type"\s*:\s*"(?:metadata|provider_state)"')


def begins_as_nanobot(begin: bytes) -> bool:
    """Whether the first bytes of a file are those of a session file of nanobot's."""
    return not begins_as_own(begin) and _THEIRS.search(begin[:_BEGIN]) is not None


def begins_as_own(begin: bytes) -> bool:
    """Whether the first bytes of a file are those of a line of Palaver's."""
    return begin.startswith(b'{"type":"')


def nanobot_files(root: Path, *, inside: bool) -> Iterator[Path]:
    """nanobot's files of lines in a directory, and, if `inside`, below its `sessions`; links are none.

    Raises OSError for a directory that cannot be read.
    """
    yield from _here(root)
    sessions = root / "sessions"
    if inside and sessions.is_dir():
        yield from _here(sessions)
        for folder in sorted(sessions.iterdir()):
            if (folder / WORKSPACE).is_file() and not folder.is_symlink():
                yield from _here(folder)


def _here(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.name.endswith(SUFFIX) and e.is_file(follow_symlinks=False))
    for name in names:
        with (folder / name).open("rb") as file:
            if begins_as_nanobot(file.read(_BEGIN)):
                yield folder / name


def refusal(root: Path, file: Path) -> StoreUnavailable:
    """What to say of a directory with such a file, and both ways on."""
    there = shlex.quote(str(root))
    return StoreUnavailable(
        f"jsonl:///{root}: {file} is a session file of nanobot's. Stop nanobot and run `palaver adopt {there}`, which "
        "makes a store of this directory and keeps a copy; or leave nanobot its files, name another directory for the "
        f"store, and `palaver import {there}` into it (`palaver export --format nanobot` writes them back)"
    )
