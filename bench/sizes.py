"""How much each workload does."""

from __future__ import annotations

import msgspec

__all__ = ["FULL", "SMALL", "TINY", "Sizes"]


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of messages, sessions and so on."""

    appends: int = 2_000
    """Appended one at a time."""
    messages: int = 10_000
    """In the session that windows are read from, and that turns run in."""
    short: int = 500
    """In the session that it is compared with."""
    load: int = 10_000
    """Loaded at once."""
    sessions: int = 5_000
    """Listed from."""
    few_sessions: int = 500
    """The same, to see growth."""
    workers: int = 64
    """Tasks, or threads."""
    per_worker: int = 50
    """Appends of each."""
    processes: int = 4
    per_process: int = 500
    turns: int = 200
    repeats: int = 200
    """Of a read."""
    imports: int = 5
    payload: int = 10_000
    """Messages that are parsed and rendered at once."""
    searched: int = 20_000
    """Messages in the store that is searched."""
    unindexed: int = 10_000
    """Of them, those that came since the last search."""
    imported: int = 5_000
    """Messages that each other system left."""


SMALL = Sizes()
FULL = Sizes(
    appends=100_000,
    messages=1_000_000,
    short=10_000,
    sessions=500_000,
    few_sessions=5_000,
    turns=1_000,
    searched=1_000_000,
    imported=200_000,
)
TINY = Sizes(
    appends=40,
    messages=60,
    short=20,
    load=60,
    sessions=12,
    few_sessions=6,
    workers=3,
    per_worker=4,
    processes=2,
    per_process=5,
    turns=4,
    repeats=3,
    imports=1,
    payload=40,
    searched=60,
    unindexed=30,
    imported=40,
)
