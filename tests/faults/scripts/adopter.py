"""Adopt a directory of nanobot's again and again, each time killed a little later.

Arguments: the directory, and where its copies go: one for each time, named by its number. Prints how many there are;
the last was not killed.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

from palaver.importers import adopt

source, copies = Path(sys.argv[1]), Path(sys.argv[2])
WATCHED = ("open", "os.rename", "os.remove", "os.mkdir", "os.scandir", "os.truncate")
"""What Python tells before it does so; commits of the index are in between."""


def adopt_until(directory: Path, last: int) -> None:
    """Adopt, and die before something of the directory is touched for the `last` time."""
    touched = 0

    def watch(event: str, given: tuple[Any, ...]) -> None:
        nonlocal touched
        if event in WATCHED and str(directory) in str(given[0]):
            touched += 1
            if touched == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    adopt(directory, zone=UTC)
    os._exit(0)


for number in itertools.count(1):
    directory = copies / str(number)
    shutil.copytree(source, directory)
    child = os.fork()
    if child == 0:
        adopt_until(directory, number * 5)
    if os.waitpid(child, 0)[1] == 0:
        print(number)
        break
