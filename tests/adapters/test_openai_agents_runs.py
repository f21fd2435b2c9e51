"""Runs of the OpenAI Agents SDK on a session in Palaver: its own runner, two processes, and a kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from agents import RunConfig, Runner
from agents.memory import SessionSettings

import palaver
from palaver import formats
from palaver.adapters.openai_agents import PalaverSession
from tests.adapters.agent_run import QUIET, ScriptedModel, agent
from tests.faults import kit

SCRIPT = Path(__file__).parent / "scripts" / "agents_writer.py"
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def writer(path: Path, name: str, count: int, how: str) -> Iterator[subprocess.Popen[str]]:
    """A process that writes to the shared session, once it is told to."""
    running = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(path), name, str(count), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(kit.SOURCE), str(ROOT)])},
    )
    try:
        assert kit.pipe(running.stdout).readline() == "ready\n"
        yield running
    finally:
        running.kill()
        running.wait(kit.PATIENCE)
        kit.pipe(running.stdout).close()
        kit.pipe(running.stdin).close()


async def items_of(path: Path) -> list[Any]:
    """Every item of the shared session."""
    async with palaver.aopen(path) as sessions:
        return await PalaverSession("shared", sessions, legal=False).get_items()


def kinds(items: list[Any]) -> list[str]:
    """What each item is."""
    return [item.get("type", item.get("role")) for item in items]


ONE_RUN = ["user", "function_call", "function_call_output", "message"]


@pytest.mark.parametrize("streamed", [False, True])
def test_runs_go_on_where_the_last_one_ended(tmp_path: Path, streamed: bool) -> None:
    """The model sees all that was said and done before, exactly as the SDK stored it, also after a reopening."""

    async def main() -> None:
        model = ScriptedModel()
        for number in (1, 2, 3):
            async with palaver.aopen(tmp_path / "chat.db") as sessions:
                session = PalaverSession("shared", sessions)
                if streamed:
                    stream = Runner.run_streamed(agent(model), f"question {number}", session=session, run_config=QUIET)
                    async for _ in stream.stream_events():
                        pass
                    said = stream.final_output
                else:
                    result = await Runner.run(agent(model), f"question {number}", session=session, run_config=QUIET)
                    said = result.final_output
                assert said == f"answer {number}"
                stored = await session.get_items()
                assert kinds(stored) == ONE_RUN * number
                assert formats.check("openai_responses", stored) == []
        assert [len(given) for given in model.inputs] == [1, 3, 5, 7, 9, 11]
        assert model.inputs[-1] == json.loads(json.dumps(stored[:-1]))

    asyncio.run(main())


def test_a_limit_of_the_session_holds_in_a_run(tmp_path: Path) -> None:
    """The model sees whole exchanges, at most so many items, and the new question."""

    async def main() -> None:
        model = ScriptedModel()
        async with palaver.aopen(tmp_path / "chat.db") as sessions:
            session = PalaverSession("shared", sessions, session_settings=SessionSettings(limit=2))
            for number in range(3):
                await Runner.run(agent(model), f"question {number}", session=session, run_config=QUIET)
            assert kinds(await session.get_items(100)) == ONE_RUN * 3
        for given in model.inputs:
            assert formats.check("openai_responses", given) == []
            assert "function_call_output" not in kinds(given[:1])
        assert [len(given) for given in model.inputs] == [1, 3, 2, 4, 2, 4]

    asyncio.run(main())


def test_a_limit_of_the_run_gives_the_newest(tmp_path: Path) -> None:
    """The SDK takes the newest items itself and mends them its own way."""

    async def main() -> None:
        model = ScriptedModel()
        config = RunConfig(tracing_disabled=True, session_settings=SessionSettings(limit=4))
        async with palaver.aopen(tmp_path / "chat.db") as sessions:
            session = PalaverSession("shared", sessions)
            for number in range(3):
                await Runner.run(agent(model), f"question {number}", session=session, run_config=config)
        assert [len(given) for given in model.inputs] == [1, 3, 5, 7, 5, 7]

    asyncio.run(main())


def test_a_run_that_broke_off_does_no_harm(tmp_path: Path) -> None:
    """A model that fails after a call: the next run sees a call that is answered, and goes on."""

    class Failing(ScriptedModel):
        def _output(self, given: Any) -> list[Any]:
            out = super()._output(given)
            if len(self.inputs) == 2:
                raise ConnectionError("the line is dead")
            return out

    async def main() -> None:
        model = Failing()
        async with palaver.aopen(tmp_path / "chat.db") as sessions:
            session = PalaverSession("shared", sessions)
            with pytest.raises(ConnectionError):
                await Runner.run(agent(model), "question", session=session, run_config=QUIET)
            await session.pop_item()  # as where the process died before the tool was done
            await Runner.run(agent(model), "again", session=session, run_config=QUIET)
            assert formats.check("openai_responses", await session.get_items()) == []
            assert [item["content"] for item in await session.get_items() if item.get("role") == "user"][-1] == "again"

    asyncio.run(main())


@pytest.mark.parametrize(("how", "count"), [("add", 60), ("run", 8)])
def test_two_processes_share_a_session(tmp_path: Path, how: str, count: int) -> None:
    """Every batch of both is there, once, in its writer's order, and in one piece."""
    path = tmp_path / "chat.db"
    with writer(path, "a", count, how) as one, writer(path, "b", count, how) as other:
        for process in (one, other):
            kit.say(process, "go")
        for process, name in ((one, "a"), (other, "b")):
            acknowledged = kit.pipe(process.stdout).read().split()
            assert process.wait(kit.PATIENCE) == 0
            assert acknowledged == [f"{name}.{n}" for n in range(count)]
    items = asyncio.run(items_of(path))
    for name in "ab":
        asked = [item["content"] for item in items if item.get("role") == "user" and item["content"][0] == name]
        assert asked == [f"{name}.{n}" for n in range(count)]
    if how == "add":
        texts = [item["content"] for item in items]
        assert texts[::2] == texts[1::2]
    else:
        assert len(items) == 2 * count * len(ONE_RUN)


@pytest.mark.parametrize("how", ["add", "run"])
def test_what_returned_survives_kill_9(tmp_path: Path, how: str) -> None:
    """Each time, all that was acknowledged is there, no batch by half, and the history is legal."""
    path = tmp_path / "chat.db"
    acknowledged: list[str] = []
    for number in range(3):
        with writer(path, f"r{number}", 0, how) as process:
            kit.say(process, "go")
            lines = [kit.pipe(process.stdout).readline() for _ in range(25 if how == "add" else 4)]
            kit.kill(process)
            lines += kit.pipe(process.stdout)
        acknowledged += [line.strip() for line in lines if line.endswith("\n")]

        async def look() -> list[str]:
            async with palaver.aopen(path) as sessions:
                assert await sessions.check() == []
                session = PalaverSession("shared", sessions)
                assert formats.check("openai_responses", await session.get_items()) == []
                return [item["content"] for item in await session.get_items(10**6) if item.get("role") == "user"]

        kit.once_each(asyncio.run(look()), acknowledged)
    if how == "add":
        texts = [item["content"] for item in asyncio.run(items_of(path))]
        assert texts[::2] == texts[1::2]
