"""`python -m bench [w1 w2 ...]`: run the workloads, print their figures beside their gates. Exits with 0."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import apsw
import msgspec

import palaver
from bench import databases, gates
from bench.child import SERVER, SERVER_ALONE, WORKLOADS
from bench.sizes import FULL, SMALL, TINY, Sizes
from bench.writing import ROOT, Figures

__all__ = ["main"]

_IN_MEMORY_US = 15.0
"""No disk syncs faster; a file system in memory does."""
_ALONE = frozenset({"w6"})
"""What a store that no other process sees cannot do."""


def run(workload: str, kind: str, directory: Path, sizes: Sizes) -> Figures:
    """One repetition in a fresh process."""
    command = [sys.executable, "-m", "bench.child", workload, kind, str(directory), msgspec.json.encode(sizes).decode()]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def medians(runs: list[Figures]) -> Figures:
    """The median of each figure."""
    return {name: statistics.median(figures[name] for figures in runs) for name in runs[0]}


def report(workload: str, runs: list[Figures], kind: str) -> None:
    """Print a workload's rows, with the gates of that kind of store."""
    figures = medians(runs)
    print(f"\n{workload.upper():<3} {gates.TITLES[workload]}")
    for row, value in gates.rows(workload, figures, kind):
        print(row.line(value))
    if 0 < figures.get("reference_us", 1e9) < _IN_MEMORY_US:
        print("    (this directory is in memory: nothing is synced to a disk there; choose another with --dir)")


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"of {', '.join(WORKLOADS)}; all of them unless said otherwise")
    parser.add_argument(
        "--store", default="sqlite", help="sqlite, memory, jsonl, a server's URL, or postgresql, which starts a server"
    )
    parser.add_argument("--reps", type=int, default=3, help="repetitions, each in a fresh process (3)")
    parser.add_argument("--full", action="store_true", help="the sizes of a release: up to 1,000,000 messages")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--dir", type=Path, help="a directory on the disk to measure (the system's temporary one)")
    parser.add_argument("--json", type=Path, help="write all figures of all repetitions to this file")
    options = parser.parse_args(arguments)
    chosen: list[str] = options.workloads or list(WORKLOADS)
    unknown = sorted(set(chosen) - set(WORKLOADS))
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    with databases.server(options.store) as kind:
        return measure(kind, possible(chosen, kind, parser.error, explicit=bool(options.workloads)), options)


def possible(chosen: list[str], kind: str, refuse: Callable[[str], NoReturn], *, explicit: bool) -> list[str]:
    """The workloads that a kind of store can do; refused are others that were asked for."""
    able = SERVER if "://" in kind else frozenset(WORKLOADS) - SERVER_ALONE
    able -= _ALONE if kind == "memory" else frozenset()
    left = [workload for workload in chosen if workload not in able]
    if explicit and left:
        refuse(f"{', '.join(left)} cannot be measured on this store; it can: {', '.join(sorted(able))}")
    return [workload for workload in chosen if workload in able]


def measure(kind: str, chosen: list[str], options: argparse.Namespace) -> int:
    """Run what was chosen, and print what came of it."""
    sizes = TINY if options.tiny else FULL if options.full else SMALL
    store = databases.shown(kind)
    print(
        f"Palaver {palaver.__version__}, store {store}, Python {platform.python_version()}, "
        f"SQLite {apsw.sqlite_lib_version()}, {platform.platform()}; medians of {options.reps}"
    )
    runs: dict[str, list[Figures]] = {workload: [] for workload in chosen}
    began = time.monotonic()
    # Files stay until all is done: deleting many slows what comes after on some file systems.
    with tempfile.TemporaryDirectory(prefix="palaver-bench-", dir=options.dir) as directory:
        for repetition in range(options.reps):
            for workload in chosen:
                print(f"  {workload} {repetition + 1}/{options.reps} ", end="\r", file=sys.stderr, flush=True)
                place = Path(directory) / f"{workload}-{repetition}"
                place.mkdir()
                runs[workload].append(run(workload, kind, place, sizes))
        for workload in chosen:
            report(workload, runs[workload], kind)
    print(f"\n{time.monotonic() - began:.0f} s. Gates and what they mean: docs/benchmarks.md")
    if options.json is not None:
        write(options.json, store, sizes, runs)
    return 0


def write(path: Path, store: str, sizes: Sizes, runs: dict[str, list[Figures]]) -> None:
    """All figures as JSON: `runs` in order, and their `medians`."""
    found: dict[str, Any] = {
        "palaver": palaver.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sqlite": apsw.sqlite_lib_version(),
        "store": store,
        "sizes": msgspec.to_builtins(sizes),
        "runs": runs,
        "medians": {workload: medians(figures) for workload, figures in runs.items()},
    }
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
