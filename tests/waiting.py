"""Waiting for what another thread, process or server will do: as long as it takes, within reason."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PATIENCE", "until"]

PATIENCE = 60.0
"""Seconds that something may take on a busy machine before it counts as hung."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another thread or process will do."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.002)
