"""Which process holds a lease, and whether it still runs.

On one machine the lease of a dead process is free at once. A process is known by its machine's boot, its process-id
namespace (two containers may share a volume), its pid, and its start time, because pids are reused.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

from palaver.rows import Holder

__all__ = ["alive", "closed", "current", "of", "opened"]

_instances: set[str] = set()
_cached: tuple[int, Holder] | None = None


def current() -> Holder:
    """This process. Looked up anew after a fork."""
    global _cached  # noqa: PLW0603 - one process, one answer, renewed after fork
    pid = os.getpid()
    if _cached is None or _cached[0] != pid:
        _cached = pid, Holder(_host(), pid, _started(pid) or "?")
    return _cached[1]


def of(instance: str) -> Holder:
    """This process, as the one with that open manager."""
    here = current()
    return Holder(here.host, here.pid, here.started, instance)


def opened(instance: str) -> None:
    """A manager of this process was opened."""
    _instances.add(instance)


def closed(instance: str) -> None:
    """It was closed: the leases that it held are free."""
    _instances.discard(instance)


def alive(holder: Holder | None) -> bool:
    """Whether that process may still be running: False only where this machine can tell that it is not."""
    if holder is None or holder.host != _host():
        return True
    if holder.pid == os.getpid():
        return holder.started == current().started and (not holder.instance or holder.instance in _instances)
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, under another user
    started = _started(holder.pid)
    return started is None or holder.started in ("?", started)


@lru_cache(maxsize=1)
def _host() -> str:
    """The same for every process that can see this one's pid, and for no other."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        from uuid import getnode  # slow to import, and for systems without /proc only

        return f"{sys.platform}-{getnode():x}"


def _started(pid: int) -> str | None:
    """When the process started, in the system's own words; None: the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _started_by_ps(pid)
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return "zombie" if fields[0] in "ZX" else fields[19]  # 22nd field: starttime, in clock ticks after boot


def _started_by_ps(pid: int) -> str | None:
    import subprocess  # as above

    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with a number
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
