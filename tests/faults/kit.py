"""What the tests of faults share: subprocesses that are certain to end, and a look at what survived."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import apsw

import palaver
from palaver import SessionManager
from tests.waiting import PATIENCE, until

__all__ = [
    "PATIENCE",
    "SCRIPTS",
    "SOURCE",
    "finished",
    "kill",
    "once_each",
    "pipe",
    "process",
    "raw",
    "say",
    "texts",
    "until",
    "wal_bytes",
]

SCRIPTS = Path(__file__).parent / "scripts"
SOURCE = Path(palaver.__file__).parents[1]


@contextmanager
def process(script: str, *arguments: object, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A script of `scripts/`, killed when the block is left."""
    running = subprocess.Popen(
        [sys.executable, str(SCRIPTS / script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **(env or {})},
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait(PATIENCE)
        pipe(running.stdout).close()
        pipe(running.stdin).close()


def finished(
    script: str, *arguments: object, env: dict[str, str] | None = None, patience: float = PATIENCE
) -> list[str]:
    """The lines that a script prints. Fails unless it ends well and in time."""
    running = subprocess.Popen(
        [sys.executable, str(SCRIPTS / script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **(env or {})},
    )
    try:
        printed, complaints = running.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)  # with what it forked
        running.communicate()
        raise
    said = "".join(line for line in printed.splitlines(keepends=True) if "failed" in line)
    assert running.returncode == 0, f"{script} ended with {running.returncode}:\n{said}{complaints}"
    return printed.splitlines()


def pipe(stream: IO[str] | None) -> IO[str]:
    """A pipe that is there because it was asked for."""
    assert stream is not None
    return stream


def say(running: subprocess.Popen[str], line: str) -> None:
    """Write one line to a process."""
    stream = pipe(running.stdin)
    stream.write(line + "\n")
    stream.flush()


def kill(running: subprocess.Popen[str]) -> None:
    """Kill it as a crash would: it gets to do nothing more."""
    running.send_signal(signal.SIGKILL)
    running.wait(PATIENCE)


def texts(sessions: SessionManager, key: str) -> list[str]:
    """Everything that is stored under a key, in order, read page by page."""
    session = sessions.resolve(key)
    found: list[str] = []
    after = 0
    while page := session.messages(after=after, limit=500, live=False):
        found += [m.text for m in page]
        after = page[-1].seq
    return found


def wal_bytes(path: Path) -> int:
    """Size of the write-ahead log."""
    log = path.with_name(path.name + "-wal")
    return log.stat().st_size if log.exists() else 0


@contextmanager
def raw(path: Path) -> Iterator[apsw.Connection]:
    """The database itself, as another program sees it."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    try:
        yield connection
    finally:
        connection.close()


def once_each(found: Sequence[str], acknowledged: Sequence[str]) -> None:
    """Assert that all that was acknowledged is there, in order, and nothing twice."""
    assert len(set(found)) == len(found), f"stored twice: {sorted({t for t in found if found.count(t) > 1})[:5]}"
    kept = [t for t in found if t in set(acknowledged)]
    missing = [t for t in acknowledged if t not in set(found)]
    assert not missing, f"acknowledged and lost: {missing[:5]} ({len(missing)} in all)"
    assert kept == list(acknowledged)
