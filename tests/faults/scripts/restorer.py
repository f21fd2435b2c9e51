"""Restore a backup into a directory of lines again and again, each time killed a little later.

Arguments: the backup, a folder with the directory, and where copies of that folder go: one for each time, named by its
number. Prints how many there are; the last was not killed.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import palaver

backup, source, copies = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
WATCHED = ("os.rename", "os.link", "os.remove", "shutil.rmtree", "shutil.copytree")
"""What Python tells before it does so."""


def restore_until(folder: Path, last: int) -> None:
    """Restore, and die before something beside the directory, or of its backups, is changed for the `last` time."""
    touched = 0

    def watch(event: str, given: tuple[Any, ...]) -> None:
        nonlocal touched
        if event not in WATCHED:
            return
        path = Path(os.fspath(given[0]))
        if path.parent == folder or "backups" in path.parts or path.name == "replaces":
            touched += 1
            if touched == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    palaver.restore(backup, f"jsonl:///{folder}/lines", force=True)
    os._exit(0)


for number in itertools.count(1):
    folder = copies / str(number)
    shutil.copytree(source, folder)
    child = os.fork()
    if child == 0:
        restore_until(folder, number)
    if os.waitpid(child, 0)[1] == 0:
        print(number)
        break
