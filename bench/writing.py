"""Workloads of one writer. Each gives its figures by name; what they should be is in `bench.gates`."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import palaver
from bench.material import Place, Reference, SyncCounter, payloads, spoken
from bench.plain import Plain
from bench.sizes import Sizes
from palaver import Message, Origin
from palaver.stores.sqlite import SqliteStore

__all__ = ["ENDS", "ROOT", "Figures", "chunks", "fill", "percentile", "t1", "timed", "timed_async", "w1"]

ROOT = Path(__file__).resolve().parents[1]
Figures: TypeAlias = dict[str, float]
T = TypeVar("T")
_CHUNK = 250
"""Appended to one file before the next has its turn: going to and fro between files costs a disk extra."""
_WARM = 50
ENDS = 200
"""Messages at either end of a session whose cost is compared."""


def chunks(items: Sequence[T], size: int = _CHUNK) -> Iterable[Sequence[T]]:
    """The items, some at a time."""
    return (items[i : i + size] for i in range(0, len(items), size))


def timed(do: Callable[[T], Any], items: Iterable[T], into: list[float]) -> None:
    """Do something with each item and note the seconds that each took."""
    for item in items:
        begun = time.perf_counter()
        do(item)
        into.append(time.perf_counter() - begun)


async def timed_async(do: Callable[[T], Awaitable[Any]], items: Iterable[T], into: list[float]) -> None:
    """The same with `await`."""
    for item in items:
        begun = time.perf_counter()
        await do(item)
        into.append(time.perf_counter() - begun)


def percentile(seconds: Sequence[float], share: float) -> float:
    """The value that this share of them stays below."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]


def w1(place: Place, sizes: Sizes) -> Figures:
    """One session, one append at a time: sync, async, plain and the disk alone, in turns."""
    return asyncio.run(_w1(place, sizes))


async def _w1(place: Place, sizes: Sizes) -> Figures:
    said, written = spoken(sizes.appends), payloads(sizes.appends)
    reference = Reference(place.directory)
    plain = Plain(place.directory / "plain.db")
    sync_times: list[float] = []
    async_times: list[float] = []
    plain_times: list[float] = []
    reference.sample(_WARM)
    reference.seconds.clear()
    with palaver.open(place.within("sync").url) as sessions:
        async with palaver.aopen(place.within("async").url) as asessions:
            warm, awarm = sessions.create("bench:warm"), await asessions.create("bench:warm")
            for message in said[:_WARM]:  # statements prepared, pages in the cache
                warm.append(message)
                await awarm.append(message)
            one, aone = sessions.create("bench:one"), await asessions.create("bench:one")
            for messages, dicts in zip(chunks(said), chunks(written), strict=True):
                timed(one.append, messages, sync_times)
                reference.sample(len(messages))
                await timed_async(aone.append, messages, async_times)
                await timed_async(lambda m: plain.aadd("one", m), dicts, plain_times)
            stored = len(one.messages(limit=2 * sizes.appends))
            stored += len(await aone.messages(limit=2 * sizes.appends))
    plain.close()
    reference.close()
    alone = reference.seconds
    ends = min(ENDS, sizes.appends // 4)
    grown = statistics.median(sync_times[-ends:]) / statistics.median(sync_times[:ends])
    drift = statistics.median(alone[-ends:]) / statistics.median(alone[:ends])
    per_sync, per_async = statistics.mean(sync_times), statistics.mean(async_times)
    figures = {
        "reference_us": reference.median * 1e6,
        "sync_rate": 1 / per_sync,
        "async_rate": 1 / per_async,
        "sync_of_disk": 1 / per_sync / reference.rate,
        "async_of_disk": 1 / per_async / reference.rate,
        "over_plain": statistics.mean(plain_times) / max(per_sync, per_async),
        "growth": grown / drift,
        "p99_ms": percentile(sync_times, 0.99) * 1e3,
        "lost": 2 * sizes.appends - stored,
    }
    if place.kind == "sqlite":
        figures["syncs_per_append"] = _syncs_per_append(place.within("counted"), said[:ENDS])
    return figures


def _syncs_per_append(place: Place, messages: Sequence[Message]) -> float:
    counter = SyncCounter()
    with palaver.open(SqliteStore(str(place.file), vfs="bench-syncs")) as sessions:
        one = sessions.create("bench:one")
        before = counter.commits
        for message in messages:
            one.append(message)
        return (counter.commits - before) / len(messages)


def t1(place: Place, sizes: Sizes) -> Figures:
    """A whole turn in a long session, in turns with lone appends and the disk alone."""
    reference = Reference(place.directory)
    origin = Origin("bench", chat_id="42", user_id="7")
    said = spoken(3 * sizes.turns)
    numbers = itertools.count()
    with palaver.open(place.within("store").url) as sessions:
        fill(sessions.get_or_create(origin), sizes.messages)
        alone = sessions.create("bench:alone")

        def turn(message: Message) -> None:
            number = next(numbers)
            asked = palaver.user(message.text, id=f"in-{number}")
            with sessions.begin_turn(origin, asked, max_messages=50) as running:
                if not running.window.messages:
                    raise RuntimeError("the window of a long session is empty")
                running.finish(palaver.assistant(message.text))

        timed(turn, said[:10], [])
        turns: list[float] = []
        appends: list[float] = []
        for messages in chunks(said, 150):
            timed(turn, messages[::3], turns)
            timed(alone.append, messages, appends)
            reference.sample(len(messages))
    reference.close()
    per_turn, per_append = statistics.mean(turns), statistics.mean(appends)
    figures = {
        "reference_us": reference.median * 1e6,
        "rate": 1 / per_turn,
        "of_appends": per_append / per_turn,
        "of_disk": 1 / per_turn / reference.rate,
        "p99_ms": percentile(turns, 0.99) * 1e3,
    }
    if place.kind == "sqlite":
        figures["syncs_per_turn"] = _syncs_per_turn(place.within("counted"), origin)
    return figures


def _syncs_per_turn(place: Place, origin: Origin, turns: int = 50) -> float:
    counter = SyncCounter()
    with palaver.open(SqliteStore(str(place.file), vfs="bench-syncs")) as sessions:
        fill(sessions.get_or_create(origin), 100)
        before = counter.commits
        for number in range(turns):
            with sessions.begin_turn(origin, palaver.user("and now?", id=f"in-{number}")) as running:
                running.finish(palaver.assistant("this"))
        return (counter.commits - before) / turns


def fill(session: palaver.Session, count: int) -> None:
    """Append that many messages, many at a time."""
    said = spoken(min(count, 10_000))
    while count > 0:
        for messages in chunks(said[:count], 500):
            session.append(*messages)
        count -= len(said)
