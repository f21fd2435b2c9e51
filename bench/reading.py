"""Workloads that read, and what a store takes up. Each gives its figures by name; see `bench.gates`."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import palaver
from bench.material import Place, payloads, spoken
from bench.plain import Plain
from bench.sizes import Sizes
from bench.writing import ROOT, Figures, fill, timed
from palaver import Origin

__all__ = ["w2", "w3", "w4", "w7", "w7_listing"]

_WINDOW = 50
_MANY_AT_ONCE = 500


def median(do: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after one that is not counted."""
    seconds: list[float] = []
    do()
    timed(lambda _: do(), range(repeats), seconds)
    return statistics.median(seconds)


def require(condition: bool, what: str) -> None:  # noqa: FBT001 - it is the condition
    """A figure of work that was not done is none."""
    if not condition:
        raise RuntimeError(f"the workload did not do what it measures: {what}")


def w2(place: Place, sizes: Sizes) -> Figures:
    """The newest 50 messages of a long session: again and again, and from a store that was just opened."""
    opened, warm = _windows(place.within("long"), sizes.messages, sizes)
    _, short = _windows(place.within("short"), sizes.short, sizes)
    plain_opened, plain_warm = asyncio.run(_plain_windows(place.within("plain").file, sizes))
    return {
        "warm_ms": warm * 1e3,
        "cold_ms": opened * 1e3,
        "warm_over_plain": plain_warm / warm,
        "cold_over_plain": plain_opened / opened,
        "growth": warm / short,
    }


def _windows(place: Place, count: int, sizes: Sizes) -> tuple[float, float]:
    """Median seconds of a window of 50, opening the store included and not."""
    with palaver.open(place.url) as sessions:
        fill(sessions.create("bench:long"), count)
        if not place.shared:
            session = sessions.resolve("bench:long")
            warm = median(lambda: session.history(max_messages=_WINDOW), sizes.repeats)
            return warm, warm

    cold: list[float] = []
    for _ in range(min(15, sizes.repeats)):
        begun = time.perf_counter()
        sessions = palaver.open(place.url)
        got = sessions.resolve("bench:long").history(max_messages=_WINDOW).messages
        cold.append(time.perf_counter() - begun)
        require(0 < len(got) <= _WINDOW, f"a window of {_WINDOW} has {len(got)} messages")
        sessions.close()
    with palaver.open(place.url) as sessions:
        session = sessions.resolve("bench:long")
        warm = median(lambda: session.history(max_messages=_WINDOW), sizes.repeats)
    return statistics.median(cold), warm


async def _plain_windows(path: Path, sizes: Sizes) -> tuple[float, float]:
    plain = Plain(path)
    written = payloads(min(sizes.messages, 10_000))
    for start in range(0, sizes.messages, len(written)):
        plain.add("long", *written[: sizes.messages - start])
    plain.close()
    cold: list[float] = []
    for _ in range(min(15, sizes.repeats)):
        begun = time.perf_counter()
        plain = Plain(path)
        await plain.aread("long", _WINDOW)
        cold.append(time.perf_counter() - begun)
        plain.close()
    plain = Plain(path)
    warm: list[float] = []
    for _ in range(sizes.repeats):
        begun = time.perf_counter()
        await plain.aread("long", _WINDOW)
        warm.append(time.perf_counter() - begun)
    plain.close()
    return statistics.median(cold), statistics.median(warm)


def w3(place: Place, sizes: Sizes) -> Figures:
    """A whole session, decoded, from a store that was just opened."""
    stored = place.within("store")
    plain_path = place.directory / "plain.db"
    plain = Plain(plain_path)
    plain.add("long", *payloads(sizes.load))
    plain.close()
    keeper = palaver.open(stored.url)  # a store in memory lasts no longer than its manager
    fill(keeper.create("bench:long"), sizes.load)
    if stored.shared:
        keeper.close()

    def load() -> None:
        sessions = palaver.open(stored.url) if stored.shared else keeper
        got = sessions.resolve("bench:long").messages(limit=2 * sizes.load)
        require(len(got) == sizes.load, f"{len(got)} of {sizes.load} messages were loaded")
        if stored.shared:
            sessions.close()

    def load_plainly() -> None:
        plain = Plain(plain_path)
        plain.read("long")
        plain.close()

    repeats = min(5, sizes.repeats)
    seconds = median(load, repeats)
    plain_seconds = median(load_plainly, repeats)
    keeper.close()
    return {"load_ms": seconds * 1e3, "over_plain": plain_seconds / seconds}


def w4(place: Place, sizes: Sizes) -> Figures:
    """The newest 50 of many sessions, with title, preview and counts; and of few."""
    many = _listing(place.within("many"), sizes.sessions, sizes)
    few = _listing(place.within("few"), sizes.few_sessions, sizes)
    return {"list_ms": many * 1e3, "growth": many / few}


def _listing(place: Place, count: int, sizes: Sizes) -> float:
    if place.shared:
        asyncio.run(many_sessions(place, count))
        sessions = palaver.open(place.url)
    else:
        sessions = palaver.open(place.url)
        for number in range(count):
            sessions.get_or_create(_chat(number)).append(palaver.user(f"What of order {number}?"))
    with sessions:
        got = sessions.list(limit=_WINDOW)
        require(len(got) == min(count, _WINDOW), f"{len(got)} sessions are listed")
        require(all(info.preview and info.message_count for info in got), "a listed session has no preview or count")
        return median(lambda: sessions.list(limit=_WINDOW), sizes.repeats)


def _chat(number: int) -> Origin:
    return Origin("bench", chat_id=str(number), user_id="7")


async def many_sessions(place: Place, count: int) -> None:
    """Make sessions of one message, many at a time."""
    async with palaver.aopen(place.url) as sessions:

        async def one(number: int) -> None:
            session = await sessions.get_or_create(_chat(number))
            await session.append(palaver.user(f"What of order {number}?"))

        for start in range(0, count, _MANY_AT_ONCE):
            await asyncio.gather(*(one(i) for i in range(start, min(count, start + _MANY_AT_ONCE))))


def w7(place: Place, sizes: Sizes) -> Figures:
    """What a message takes on disk, what importing takes, and memory with many sessions listed."""
    figures: Figures = {}
    if place.shared:
        stored = place.within("store")
        with palaver.open(stored.url) as sessions:
            session = sessions.create("bench:long")
            for message in spoken(sizes.load):
                session.append(message)
        given = sum(len(json.dumps(payload, separators=(",", ":"))) for payload in payloads(sizes.load))
        figures["bytes_per_message"] = stored.size / sizes.load
        figures["bytes_of_json"] = stored.size / given
        listed = place.within("listed")
        asyncio.run(many_sessions(listed, sizes.sessions))
        command = [sys.executable, "-m", "bench.child", "w7_listing"]
        spec = [listed.kind, str(listed.directory), str(sizes.sessions)]
        out = subprocess.run([*command, *spec], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        figures["listed_mb"] = json.loads(out)
    bare: list[float] = []
    imported: list[float] = []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(place.directory / "bytecode")  # compiled once, as an installer does

    def start(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)

    start("import palaver")
    for _ in range(sizes.imports):
        timed(start, ["pass"], bare)
        timed(start, ["import palaver"], imported)
    figures["import_ms"] = (statistics.median(imported) - statistics.median(bare)) * 1e3
    return figures


def w7_listing(kind: str, directory: str, count: int) -> None:
    """Print the greatest memory, in MB, of a process that lists that many sessions."""
    with palaver.open(Place(kind, Path(directory)).url) as sessions:
        require(len(sessions.list(limit=count)) == count, "not all sessions are listed")
    print(json.dumps(peak_memory()))


def peak_memory() -> float:
    """The most memory that this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent had before it became this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
