"""Workloads of many writers: tasks, threads, processes. Each gives its figures by name; see `bench.gates`."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

import palaver
from bench.material import Place, Reference, payloads, spoken
from bench.plain import Plain
from bench.sizes import Sizes
from bench.writing import ENDS, ROOT, Figures, percentile
from palaver import PalaverError

__all__ = ["w5", "w5t", "w6", "w6_writer"]


def w5(place: Place, sizes: Sizes) -> Figures:
    """Many tasks, each appending to a session of its own."""
    return asyncio.run(_w5(place, sizes))


async def _w5(place: Place, sizes: Sizes) -> Figures:
    said = spoken(sizes.per_worker)
    reference = Reference(place.directory)
    reference.sample(ENDS)
    times: list[float] = []
    failed = 0
    url = place.within("store").url
    async with palaver.aopen(url) as sessions:
        own = [await sessions.create(f"bench:{i}") for i in range(sizes.workers)]

        async def work(session: palaver.AsyncSession) -> None:
            nonlocal failed
            for message in said:
                begun = time.perf_counter()
                try:
                    await session.append(message)
                except PalaverError:
                    failed += 1
                else:
                    times.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        await asyncio.gather(*(work(session) for session in own))
        rate = len(times) / (time.perf_counter() - begun)
        kept = [await session.messages(limit=2 * sizes.per_worker) for session in own]

    plain_rate = await _plain_rate(place, sizes)
    reference.sample(ENDS)
    reference.close()
    return {
        "reference_us": reference.median * 1e6,
        "rate": rate,
        "over_plain": rate / plain_rate,
        "over_disk": rate / reference.rate,
        "p99_of_sync": percentile(times, 0.99) / reference.median,
        "errors": failed,
        "lost": len(times) - sum(map(len, kept)),
    }


async def _plain_rate(place: Place, sizes: Sizes) -> float:
    """Appends per second of as many tasks on the plain store, which has no other way to serve many."""
    plain = Plain(place.directory / "plain.db")
    written = payloads(sizes.per_worker)

    async def work(number: int) -> None:
        for payload in written:
            await plain.aadd(f"s{number}", payload)

    begun = time.perf_counter()
    await asyncio.gather(*(work(i) for i in range(sizes.workers)))
    rate = sizes.workers * sizes.per_worker / (time.perf_counter() - begun)
    plain.close()
    return rate


def w5t(place: Place, sizes: Sizes) -> Figures:
    """Many threads on the sync API, each appending to a session of its own."""
    said = spoken(sizes.per_worker)
    reference = Reference(place.directory)
    reference.sample(ENDS)
    with palaver.open(place.within("store").url) as sessions, ThreadPoolExecutor(sizes.workers) as threads:
        own = [sessions.create(f"bench:{i}") for i in range(sizes.workers)]

        def work(session: palaver.Session) -> tuple[list[float], int]:
            times: list[float] = []
            failed = 0
            for message in said:
                begun = time.perf_counter()
                try:
                    session.append(message)
                except PalaverError:
                    failed += 1
                else:
                    times.append(time.perf_counter() - begun)
            return times, failed

        begun = time.perf_counter()
        done = list(threads.map(work, own))
        seconds = time.perf_counter() - begun
        times = list(itertools.chain.from_iterable(times for times, _ in done))
        rate = len(times) / seconds
        kept = sum(len(session.messages(limit=2 * sizes.per_worker)) for session in own)
    plain_rate = asyncio.run(_plain_rate(place, sizes))
    reference.sample(ENDS)
    reference.close()
    return {
        "reference_us": reference.median * 1e6,
        "rate": rate,
        "over_plain": rate / plain_rate,
        "p99_of_sync": percentile(times, 0.99) / reference.median,
        "errors": sum(failed for _, failed in done),
        "lost": len(times) - kept,
    }


def w6(place: Place, sizes: Sizes) -> Figures:
    """Several processes append to one store at once."""
    reference = Reference(place.directory)
    reference.sample(ENDS)
    stored = place.within("store")
    with palaver.open(stored.url):
        pass  # the schema is there before they race
    times, failed, rate = _race(stored, sizes, "palaver")
    with palaver.open(stored.url) as sessions:
        keys = [f"bench:{i}" for i in range(sizes.processes)]
        kept = sum(len(sessions.resolve(key).messages(limit=2 * sizes.per_process)) for key in keys)
    plain = place.within("plain")
    Plain(plain.file).close()
    _, _, plain_rate = _race(plain, sizes, "plain")
    reference.sample(ENDS)
    reference.close()
    return {
        "reference_us": reference.median * 1e6,
        "rate": rate,
        "over_plain": rate / plain_rate,
        "p99_of_sync": percentile(times, 0.99) / reference.median,
        "longest_ms": max(times) * 1e3,
        "errors": failed,
        "lost": len(times) - kept,
    }


class _Written(msgspec.Struct):
    """What one of several processes did; times of day in seconds, and the seconds of each append."""

    begun: float
    ended: float
    times: list[float]
    failed: int


def _race(place: Place, sizes: Sizes, writer: str) -> tuple[list[float], int, float]:
    """Seconds of each append, errors, and appends per second of all writers together."""
    command = [sys.executable, "-m", "bench.child", "w6_writer"]
    specs = [
        json.dumps({"writer": writer, "kind": place.kind, "to": str(place.directory), "key": f"bench:{i}"})
        for i in range(sizes.processes)
    ]
    running = [
        subprocess.Popen(
            [*command, spec, str(sizes.per_process)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for spec in specs
    ]
    try:
        for process in running:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError(f"a {writer} writer did not start; its own words are above")
        done: list[_Written] = []
        for process in running:
            if process.stdin is not None:
                process.stdin.write("go\n")
                process.stdin.flush()
        for process in running:
            out, _ = process.communicate()
            if process.returncode:
                raise RuntimeError(f"a {writer} writer ended with {process.returncode}; its own words are above")
            done.append(msgspec.json.decode(out, type=_Written))
    finally:
        for process in running:
            process.kill()
            process.wait()
    times = list(itertools.chain.from_iterable(d.times for d in done))
    span = max(d.ended for d in done) - min(d.begun for d in done)
    return times, sum(d.failed for d in done), len(times) / span


def w6_writer(spec: dict[str, str], count: int) -> None:
    """One of the processes: says `ready`, waits for a line, appends, and prints what it took as JSON."""
    place = Place(spec["kind"], Path(spec["to"]))
    times: list[float] = []
    failed = 0
    if spec["writer"] == "plain":
        plain = Plain(place.file)
        loop = asyncio.Runner()

        def add(payload: dict[str, Any]) -> None:
            loop.run(plain.aadd(spec["key"], payload))

        def close() -> None:
            loop.close()
            plain.close()

        add(payloads(1, seed=1)[0])  # its thread and its loop are there before the race
        work: list[Callable[[], object]] = [partial(add, payload) for payload in payloads(count)]
    else:
        sessions = palaver.open(place.url)
        session = sessions.create(spec["key"])
        work = [partial(session.append, message) for message in spoken(count)]

        def close() -> None:
            sessions.close()

    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.time()  # the wall clock: it is compared between processes
    for step in work:
        started = time.perf_counter()
        try:
            step()
        except (PalaverError, sqlite3.Error):
            failed += 1
        else:
            times.append(time.perf_counter() - started)
    ended = time.time()
    close()
    print(msgspec.json.encode(_Written(begun, ended, times, failed)).decode(), flush=True)
