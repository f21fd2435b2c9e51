"""Ports for servers of the tests that cannot choose one by themselves, or have to come again on the one they had."""

from __future__ import annotations

import itertools
import os
import socket

__all__ = ["free_port"]

FIRST, EACH = 10_000, 200
"""Below those that systems give away by themselves (Linux: from 32768 on, others: from 49152 on)."""
_numbers = itertools.count()


def free_port() -> int:
    """A port that nobody listens on, and that nobody gets by chance while its server is not up, or is down.

    What the system chooses (port 0) it may give to the next connection as well. Each process of a run has a range of
    its own.
    """
    mine = FIRST + os.getpid() % 100 * EACH
    for _ in range(EACH):
        port = mine + next(_numbers) % EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"no free port from {mine} to {mine + EACH - 1}")
