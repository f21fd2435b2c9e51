"""The server's own sweeps: now and then, for as long as it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from palaver.aio import AsyncSessionManager
from palaver.errors import StoreClosed, StoreError
from palaver.sweeping import SweepPolicy

__all__ = ["sweeping"]

logger = logging.getLogger("palaver.server")


@asynccontextmanager
async def sweeping(
    sessions: AsyncSessionManager, every: timedelta | None, policy: SweepPolicy | None
) -> AsyncGenerator[None]:
    """Sweep at this interval while the block runs, first after one interval; None: not at all.

    A sweep that fails is told in the log, without what it was about, and the next one comes in its time.
    """
    if every is None:
        yield
        return
    task = asyncio.create_task(_sweep(sessions, every, policy), name="palaver-sweep")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep(sessions: AsyncSessionManager, every: timedelta, policy: SweepPolicy | None) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        try:
            report = await sessions.sweep(policy)
        except StoreClosed:
            return
        except Exception as error:  # noqa: BLE001 - the last resort: else nobody would sweep any more, and nobody know
            why = f"{type(error).__name__}: {error}" if isinstance(error, StoreError) else type(error).__name__
            logger.error("sweep.failed %s", why, extra={"action": "sweep.failed", "error": type(error).__name__})  # noqa: TRY400 - a trace may quote what is stored
            continue
        if report.actions or report.given_up:
            fields = {"counts": report.counts, "more": report.more, "given_up": len(report.given_up)}
            logger.info("sweep.done %s", fields, extra={"action": "sweep.done", **fields})
        for todo in report.given_up:
            told = {"session_id": todo.session_id, "failures": todo.failures}
            logger.warning("sweep.given_up %s", told, extra={"action": "sweep.given_up", **told})
