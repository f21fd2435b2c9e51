"""Disks that are soon full, and disks that fail to sync."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["failing_sync", "mounted"]


@contextmanager
def mounted(place: Path, size: str) -> Iterator[None]:
    """A file system of a size, such as "3m", at a folder. Skips the test where none can be mounted."""
    done = subprocess.run(
        ["/usr/bin/mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        # Lazily: a test that failed may still hold files there, and a mount that stays would be in everybody's way.
        subprocess.run(["/usr/bin/umount", "--lazy", str(place)], check=True)


def failing_sync(folder: Path) -> Path:
    """The library of `faults/failing_sync.c`, to be preloaded, made in a folder. Skips the test where it cannot be."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("a library is built and preloaded, and finds the names of files in /proc")
    library = folder / "failing_sync.so"
    source = Path(__file__).parent / "faults" / "failing_sync.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library
