"""Run an agent on one session, question after question, or store batches of items; a line for each that returned.

Arguments: the database, this writer's name, how many (0: until killed), and `run` or `add`.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import asyncio
import itertools
import sys

import palaver
from palaver.adapters.openai_agents import PalaverSession


async def main() -> None:
    """Write, and say so."""
    path, name, count, how = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    async with palaver.aopen(path) as sessions:
        session = PalaverSession("shared", sessions)
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(count) if count else itertools.count():
            text = f"{name}.{number}"
            if how == "add":
                await session.add_items([{"role": "user", "content": text}, {"role": "assistant", "content": text}])
            else:
                from agents import Runner

                from tests.adapters.agent_run import QUIET, ScriptedModel, agent

                await Runner.run(agent(ScriptedModel()), text, session=session, run_config=QUIET)
            print(text, flush=True)


asyncio.run(main())
