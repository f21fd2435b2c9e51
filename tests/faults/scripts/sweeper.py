"""Sweep again and again; begin at a sign, as all others do.

Arguments: the database, how many sweeps (0: until killed), and what to do: "delete", "purge" or "expire". Prints a line
for each thing that was done; a purge says "half" after some steps, and waits to be killed.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import itertools
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import palaver
from palaver import SweepPolicy
from palaver.reset import ResetPolicy

path, count, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
policy = {
    "delete": SweepPolicy(delete_after=timedelta(days=1), purge_deleted_after=None),
    "purge": SweepPolicy(purge_deleted_after=timedelta(0)),
    "expire": SweepPolicy(),
}[what]
LATER = timedelta(days=2)
STEPS = 5


def clock() -> datetime:
    """Two days from now, so that all that is stored is old."""
    return datetime.now(UTC) + LATER


def halting(store: Any) -> None:
    """Have it stop after some commits."""
    commit, steps = store.commit, itertools.count()

    def counted(operations: Any) -> Any:
        if next(steps) == STEPS:
            print("half", flush=True)
            sys.stdin.read()
        return commit(operations)

    store.commit = counted


with palaver.open(path, clock=clock, reset_policy=ResetPolicy(idle=timedelta(days=1))) as sessions:
    print("ready", flush=True)
    sys.stdin.readline()
    if what == "purge":
        halting(sessions._core.store)
    for number in itertools.count(1):
        report = sessions.sweep(policy, limit=50)
        for action in report.actions:
            print(f"{action.what} {action.session_id}", flush=True)
        if number == count or (not count and not report.more):
            break
    print("done", flush=True)
