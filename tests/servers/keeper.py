"""A process that runs servers for the tests, and ends them and removes their files when whoever asked is gone.

Not imported: started as a script by `keeping.py`, which talks to it through pipes, a line of JSON each way.
However the tests end (also by kill -9), that pipe is closed then. Should this process be killed itself, the kernel ends
the servers where it can (Linux); their files are then left to the next run's sweep.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LAST_WORDS = 5.0
"""Seconds that a server has to end when it is told to, before it is killed."""


def _die_with_keeper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


class Keeper:
    """What it runs, and what it has to remove."""

    def __init__(self) -> None:
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.folders: list[str] = []

    def myself(self) -> int:
        """Its own process id."""
        return os.getpid()

    def run(self, *, argv: list[str], log: str, user: list[int] | None, env: dict[str, str]) -> int:
        """Start a program with a session of its own; its process id."""
        who: dict[str, Any] = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
        with Path(log).open("ab") as written:
            started = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                cwd="/",
                env={"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", os.defpath), **env},
                start_new_session=True,
                preexec_fn=_die_with_keeper,  # noqa: PLW1509 - this process has one thread
                **who,
            )
        self.running[started.pid] = started
        return started.pid

    def wait(self, *, pid: int, seconds: float) -> int | None:
        """How a program ended; None while it runs."""
        deadline = time.monotonic() + seconds
        while True:
            self._reap()
            code = self.running[pid].returncode
            if code is not None or time.monotonic() >= deadline:
                return code
            time.sleep(0.002)

    def _reap(self) -> None:
        """Learn who has ended; also what a server that was killed had started, which is this process's then."""
        with suppress(ChildProcessError):  # there is none
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] in self.running:
                    self.running[ended[0]].returncode = os.waitstatus_to_exitcode(ended[1])

    def remove(self, *, folder: str) -> None:
        """Remove a folder in the end."""
        self.folders.append(folder)

    def end(self) -> None:
        """End all that runs, the newest first, and remove what is to be removed."""
        self._reap()
        left = [pid for pid, started in reversed(self.running.items()) if started.returncode is None]
        for pid in left:
            os.kill(pid, signal.SIGCONT)  # a test may have stopped it
            os.kill(pid, signal.SIGQUIT)  # PostgreSQL: at once, without a checkpoint
        deadline = time.monotonic() + LAST_WORDS
        for pid in left:
            if self.wait(pid=pid, seconds=deadline - time.monotonic()) is None:
                os.killpg(pid, signal.SIGKILL)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Do what is asked for until nobody is there to ask."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # what ends the tests ends the pipe
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper = Keeper()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                answer = {"value": getattr(keeper, asked.pop("do"))(**asked)}
            except OSError as problem:
                answer = {"error": str(problem)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    except BrokenPipeError:
        pass
    finally:
        keeper.end()


main()
