"""Workloads of PostgreSQL beside psycopg alone: one row and one commit for each message, on the same server.

What is written there is the least that keeps a message: no idempotence, no lineage, no order within a session.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

import palaver
from bench.material import Place, payloads, spoken
from bench.sizes import Sizes
from bench.writing import Figures, chunks, percentile, timed, timed_async
from palaver import PalaverError

__all__ = ["p1", "p5"]

_TABLE = "CREATE TABLE said (id bigserial PRIMARY KEY, session text NOT NULL, body text NOT NULL)"
_INSERT = "INSERT INTO said (session, body) VALUES (%s, %s)"
_POOL = 16
_WARM = 50


def p1(place: Place, sizes: Sizes) -> Figures:
    """One session, one append at a time, in turns with psycopg, with both APIs."""
    return asyncio.run(_p1(place, sizes))


async def _p1(place: Place, sizes: Sizes) -> Figures:
    import psycopg

    said, written = spoken(sizes.appends), payloads(sizes.appends)
    times: dict[str, list[float]] = {"raw": [], "araw": [], "sync": [], "async": []}
    url = place.within("raw").url
    with psycopg.connect(url, autocommit=True) as raw, palaver.open(place.within("sync").url) as sessions:
        raw.execute(_TABLE)
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as araw,
            palaver.aopen(place.within("async").url) as asessions,
        ):
            one, aone = sessions.create("bench:one"), await asessions.create("bench:one")

            def insert(payload: dict[str, Any]) -> None:
                raw.execute(_INSERT, ("one", json.dumps(payload)))

            async def ainsert(payload: dict[str, Any]) -> None:
                await araw.execute(_INSERT, ("one", json.dumps(payload)))

            for message, payload in zip(said[:_WARM], written[:_WARM], strict=True):
                one.append(message)
                await aone.append(message)
                insert(payload)
                await ainsert(payload)
            for messages, dicts in zip(chunks(said), chunks(written), strict=True):
                timed(one.append, messages, times["sync"])
                timed(insert, dicts, times["raw"])
                await timed_async(aone.append, messages, times["async"])
                await timed_async(ainsert, dicts, times["araw"])
            limit = 2 * (sizes.appends + _WARM)
            stored = len(one.messages(limit=limit)) + len(await aone.messages(limit=limit))
    per = {name: statistics.mean(seconds) for name, seconds in times.items()}
    return {
        "raw_rate": 1 / per["raw"],
        "sync_rate": 1 / per["sync"],
        "async_rate": 1 / per["async"],
        "sync_of_raw": per["raw"] / per["sync"],
        "async_of_raw": per["araw"] / per["async"],
        "errors": 0,
        "lost": 2 * (sizes.appends + min(_WARM, sizes.appends)) - stored,
    }


def p5(place: Place, sizes: Sizes) -> Figures:
    """Many tasks, each appending to a session of its own; and as many on a pool of psycopg."""
    return asyncio.run(_p5(place, sizes))


async def _p5(place: Place, sizes: Sizes) -> Figures:
    said = spoken(sizes.per_worker)
    times: list[float] = []
    failed = 0
    raw_rate = await _pool_rate(place, sizes)
    async with palaver.aopen(place.within("store").url) as sessions:
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
    return {
        "raw_rate": raw_rate,
        "rate": rate,
        "over_raw": rate / raw_rate,
        "p99_ms": percentile(times, 0.99) * 1e3,
        "errors": failed,
        "lost": len(times) - sum(map(len, kept)),
    }


async def _pool_rate(place: Place, sizes: Sizes) -> float:
    from psycopg_pool import AsyncConnectionPool

    written = payloads(sizes.per_worker)
    async with AsyncConnectionPool(
        place.within("raw").url, min_size=_POOL, max_size=_POOL, kwargs={"autocommit": True}, open=False
    ) as pool:
        await pool.wait(60.0)
        async with pool.connection() as connection:
            await connection.execute(_TABLE)

        async def work(number: int) -> None:
            for payload in written:
                async with pool.connection() as connection:
                    await connection.execute(_INSERT, (f"s{number}", json.dumps(payload)))

        begun = time.perf_counter()
        await asyncio.gather(*(work(i) for i in range(sizes.workers)))
        return sizes.workers * sizes.per_worker / (time.perf_counter() - begun)
