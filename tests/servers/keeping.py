"""Servers that tests start: run by a keeper process, so that nothing of them is left however the tests end."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["Kept", "free_folder", "keeper", "shut_down", "start"]

PREFIX = "palaver-servers-"


class Kept:
    """A program that the keeper runs."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log

    def ended(self, seconds: float = 0.0) -> int | None:
        """How it ended, waiting so long for that; None while it runs."""
        code: int | None = _ask("wait", pid=self.pid, seconds=seconds)
        return code

    def signal(self, number: int) -> None:
        """Send it a signal. One that has ended gets none."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def stop(self, number: int, seconds: float = 60.0) -> None:
        """Send it a signal, and wait for its end."""
        self.signal(number)
        if self.ended(seconds) is None:
            raise TimeoutError(f"process {self.pid} did not end in {seconds} seconds after signal {number}; {self.log}")


class _Link:
    """The keeper of this process, and the folder that goes with it."""

    process: subprocess.Popen[str] | None = None
    owner = 0
    folder: Path | None = None


def start(argv: list[str], log: Path, user: tuple[int, int] | None = None, env: dict[str, str] | None = None) -> Kept:
    """Run a program until it is stopped, or this process ends. Raises OSError."""
    return Kept(_ask("run", argv=argv, log=str(log), user=user, env=env or {}), log)


def free_folder(name: str, user: tuple[int, int] | None = None) -> Path:
    """A new folder that other users' programs get to as well, removed when this process ends.

    `user` owns it then. pytest's own folders can be entered by nobody but the user who runs the tests.
    """
    if _Link.folder is None or _Link.owner != os.getpid():
        _Link.folder = _new_base()
        _ask("remove", folder=str(_Link.folder))
    made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_Link.folder))
    if user is not None:
        os.chown(made, *user)
    return made


def keeper() -> int:
    """Process id of the keeper."""
    pid: int = _ask("myself")
    return pid


def shut_down() -> None:
    """End all that was started, and wait for it. What is asked for later starts anew."""
    running, _Link.process, _Link.folder = _Link.process, None, None
    if running is None or _Link.owner != os.getpid():
        return
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.close()
    running.stdout.close()
    running.wait(60)


def _new_base() -> Path:
    for place in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp")):
        if os.access(place, os.W_OK) and all(part.stat().st_mode & 0o001 for part in (place, *place.parents)):
            _sweep(place)
            made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
            made.chmod(0o711)
            return made
    raise OSError(f"no folder for servers: {tempfile.gettempdir()}, /var/tmp and /tmp cannot be entered by all users")


def _sweep(place: Path) -> None:
    """Remove what a run left behind whose keeper was killed. Its servers died with it."""
    for left in place.glob(f"{PREFIX}*-*"):
        with suppress(OSError, ValueError):
            owner = int(left.name.removeprefix(PREFIX).partition("-")[0])
            old = time.time() - left.stat().st_mtime > 24 * 3600
            if left.stat().st_uid == os.geteuid() and old and not _alive(owner):
                shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ask(verb: str, **arguments: object) -> Any:
    if _Link.process is None or _Link.owner != os.getpid():  # a forked child gets a keeper of its own
        _Link.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _Link.owner = os.getpid()
        atexit.register(shut_down)
    running = _Link.process
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(json.dumps({"do": verb, **arguments}) + "\n")
    running.stdin.flush()
    answer = json.loads(running.stdout.readline())
    if "error" in answer:
        raise OSError(answer["error"])
    return answer["value"]
