"""What a process that is killed leaves of a directory: a copy of it at every moment at which it is changed.

Everything that was written is there, synced or not: the system goes on. Of what SQLite writes, what it has committed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from palaver.stores.sqlite.statements import Statements

__all__ = ["images_of"]

CHANGES = {"write", "pwrite", "ftruncate", "rename", "replace", "unlink", "link", "mkdir", "rmdir", "utime"}


def images_of(act: Callable[[], object], root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Do something in a directory; gives its copies, one as it was, those of each moment, and one as it is then."""
    found: list[Path] = []
    state: list[tuple[str, int, int]] = []

    def take() -> None:
        nonlocal state
        now = [(str(p), p.lstat().st_size, p.lstat().st_mtime_ns) for p in sorted(root.rglob("*"))]
        if now != state:
            state = now
            found.append(folder / str(len(found)) / root.name)
            shutil.copytree(root, found[-1], ignore=shutil.ignore_patterns("*-shm"))

    def watch(_frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called.__module__ == "posix" and called.__name__ in CHANGES:
            take()

    script = Statements.script

    def seen(statements: Statements, text: str) -> None:
        if text == "COMMIT":
            take()
        script(statements, text)

    take()
    with monkeypatch.context() as patched:
        patched.setattr(Statements, "script", seen)
        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            act()
        finally:
            sys.setprofile(before)
    take()
    return found
