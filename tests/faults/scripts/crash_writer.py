"""Turns without end from eight threads or tasks, until killed: a line for every write that was acknowledged.

Arguments: the database, `sync` or `async`, and the round. Lines: writer, text.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import threading

import palaver
from palaver import assistant, user

WRITERS = 8
STEPS = 3


def acknowledge(writer: int, text: str) -> None:
    """Tell the parent. One write, so that lines of different threads do not mix."""
    os.write(1, f"{writer} {text}\n".encode())


def write_sync(sessions: palaver.SessionManager, writer: int, run: str) -> None:
    """Turn after turn in one session."""
    for n in itertools.count():
        text = f"r{run}w{writer}n{n}"
        with sessions.begin_turn(f"writer:{writer}", user(f"{text}.0", id=text)) as turn:
            acknowledge(writer, f"{text}.0")
            for step in range(1, STEPS):
                turn.append(assistant(f"{text}.{step}"))
                acknowledge(writer, f"{text}.{step}")
            turn.finish(assistant(f"{text}.{STEPS}"))
            acknowledge(writer, f"{text}.{STEPS}")


async def write_async(sessions: palaver.AsyncSessionManager, writer: int, run: str) -> None:
    """The same on an event loop."""
    for n in itertools.count():
        text = f"r{run}w{writer}n{n}"
        async with sessions.begin_turn(f"writer:{writer}", user(f"{text}.0", id=text)) as turn:
            acknowledge(writer, f"{text}.0")
            for step in range(1, STEPS):
                await turn.append(assistant(f"{text}.{step}"))
                acknowledge(writer, f"{text}.{step}")
            await turn.finish(assistant(f"{text}.{STEPS}"))
            acknowledge(writer, f"{text}.{STEPS}")


async def run_async(path: str, run: str) -> None:
    """Eight tasks."""
    async with palaver.aopen(path) as sessions:
        await sessions.begin_turn("bystander", user(f"r{run}"))  # open when it dies, whenever that is
        await asyncio.gather(*(write_async(sessions, writer, run) for writer in range(WRITERS)))


def main() -> None:
    """Write until killed."""
    path, how, run = sys.argv[1:]
    if how == "async":
        asyncio.run(run_async(path, run))
        return
    with palaver.open(path) as sessions:
        sessions.begin_turn("bystander", user(f"r{run}"))
        threads = [threading.Thread(target=write_sync, args=(sessions, w, run)) for w in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


main()
