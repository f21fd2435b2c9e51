"""Disks that are soon full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["mounted"]


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
