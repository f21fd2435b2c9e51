"""A real conversation, turn by turn, through the library and over HTTP: after kill -9 in the middle it is whole.

Real ones are recorded requests that a provider accepted, with the reply that it gave; beside them stands one of our
own, of the same shape. What a model is shown before each of its steps has to be exactly what it was shown then.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

import palaver
from palaver import Message
from palaver.exchanges import INTERRUPTED
from tests.e2e.scripts.drive_conversation import KEY, last_step, plan, steps, steps_and_reply
from tests.e2e.test_http import running

SCRIPT = Path(__file__).parent / "scripts" / "drive_conversation.py"
SOURCE = Path(palaver.__file__).parents[1]
PATIENCE = 60.0
WIRE = "openai_chat"
MOST = 3
"""Recorded conversations to hold; each costs a few processes."""

History: TypeAlias = list[dict[str, Any]]


def call(call_id: str, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    """An entry of `tool_calls`."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


OWN: History = [
    {"role": "system", "content": "You keep the stock list of a shop."},
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": "How many jars, lids and labels are left? ☂"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            call("call_jars", "count", '{"item": "jars"}', index=0),
            call("call_lids", "count", '{ "item":"lids" }', index=1),
            call("call_labels", "count", '{"item": "labels", "exact": 1.0}', index=2),
        ],
        "refusal": None,
    },
    {"role": "tool", "tool_call_id": "call_lids", "name": "count", "content": "11"},
    {"role": "tool", "tool_call_id": "call_jars", "name": "count", "content": [{"type": "text", "text": "12"}]},
    {"role": "tool", "tool_call_id": "call_labels", "content": ""},
    {"role": "assistant", "content": "12 jars, 11 lids and no labels.", "refusal": None, "annotations": []},
    {"role": "user", "content": [{"type": "text", "text": "Order a lid and the labels."}], "name": "ada"},
    {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [call("call_a", "order", '{"item": "lids"}'), call("call_b", "order", '{"item": "labels"')],
    },
    {"role": "tool", "tool_call_id": "call_a", "content": "ordered"},
    {"role": "tool", "tool_call_id": "call_b", "content": "the arguments are no JSON"},
    {"role": "user", "content": "Never mind the labels."},
    {"role": "assistant", "content": "Then it is one lid."},
]
"""Parallel calls twice, answered out of order; a turn that ends without a reply; keys and spellings of many kinds."""


def parallel(message: dict[str, Any]) -> bool:
    """Whether a message asks for several tools at once."""
    return len(message.get("tool_calls") or ()) >= 2


def recorded(shared: Path) -> list[History]:
    """Recorded conversations of several turns with parallel calls: the request, and the reply to it."""
    found: list[History] = []
    with (shared / "corpus" / "accepted.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            if record["wire"] != WIRE or not record["response_messages"]:
                continue
            history = [*record["messages"], *record["response_messages"]]
            if sum(m["role"] == "user" for m in history) >= 2 and any(map(parallel, record["messages"])):
                found.append(history)
    assert found, "no recorded conversation has several turns and parallel calls"
    return found[:MOST]


def exact(value: Any) -> str:
    """JSON text, to compare by: 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


def shown(history: History, stored: int, taken_over: int = 0) -> tuple[History, int, int]:
    """What a model sees when so many messages are stored, how many are held back from it, and how many are made up.

    Calls that wait for their results are held back with all that belongs to them. Those of a dead process, in a turn
    that was taken over when `taken_over` messages were stored, wait no longer: what is missing is made up.
    """
    asked = max((i for i in range(stored) if history[i]["role"] == "assistant"), default=0)
    answers = {message.get("tool_call_id") for message in history[asked:stored]}
    missing = [each["id"] for each in history[asked].get("tool_calls") or () if each["id"] not in answers]
    if not missing:
        return history[:stored], 0, 0
    if asked >= taken_over:
        return history[:asked], stored - asked, 0
    made_up: History = [{"role": "tool", "tool_call_id": each, "content": INTERRUPTED} for each in missing]
    return history[:stored] + made_up, 0, len(made_up)


def crucial(history: History) -> list[str]:
    """The steps around the first parallel calls: asked and not answered, half answered, and all answered."""
    asked = next(i for i, message in enumerate(history) if parallel(message))
    answers = len(history[asked]["tool_calls"])
    assert all(m["role"] == "tool" for m in history[asked + 1 : asked + 1 + answers])
    return [f"m{asked}", f"m{asked + 1}", f"m{asked + answers}"]


# ---------------------------------------------------------------------- the library
@contextmanager
def agent(path: Path, history: History, stop: str) -> Iterator[subprocess.Popen[str]]:
    """The script in a process of its own, killed when the block is left."""
    file = path.with_suffix(".json")
    file.write_text(json.dumps(history), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(SCRIPT), str(path), str(file), stop],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def talk(path: Path, history: History, stop: str = "-") -> list[dict[str, Any]]:
    """Hold the conversation until a step and kill the agent there, or to the end; gives what it told."""
    told: list[dict[str, Any]] = []
    with agent(path, history, stop) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(json.loads(line))
            if told[-1]["step"] == stop:
                process.send_signal(signal.SIGKILL)
                break
        status = process.wait(PATIENCE)
    assert told
    assert status == (0 if stop == "-" else -signal.SIGKILL)
    assert stop in ("-", told[-1]["step"])
    return told


def count_stored(done: Collection[str]) -> int:
    """How many messages these steps stored."""
    return sum(step.startswith("m") for step in done)


def kill_and_go_on(path: Path, history: History, kills: list[str]) -> None:
    """Hold the conversation in as many processes as it takes, each but the last killed after one of these steps."""
    turns = {str(turn[0].id): turn for turn in plan(history).turns}
    done: set[str] = set()
    for stop in [*kills, "-"]:
        earlier = frozenset(done)
        before = count_stored(earlier)
        for said in talk(path, history, stop):
            step = said["step"]
            done.add(step)
            stored = count_stored(done)
            if "payload" in said:
                found = (said["payload"], said["pending"], said["interrupted"])
                taken_over = before if said["taken_over"] else 0
                assert exact(found) == exact(shown(history, stored, taken_over)), step
            if step in turns:
                turn = turns[step]
                assert said["replayed"] == (last_step(turn) in earlier), step
                assert said["taken_over"] == (step in earlier and last_step(turn) not in earlier), step
                assert said["had"] == [message.id for message in turn if message.id in done], step
    assert done == set(steps(plan(history)))


def came_back_whole(sessions: palaver.SessionManager, history: History) -> None:
    """Assert that the store holds this conversation and nothing else, each message once, and finds no fault."""
    session = sessions.resolve(KEY)
    stored = session.messages(limit=1000, live=False)
    assert [message.seq for message in stored] == list(range(1, len(history) + 1))
    for repair in (True, False):
        rendered = palaver.render(WIRE, stored, repair=repair)
        assert exact(rendered.messages) == exact(history)
        assert rendered.repairs == ()
    window = session.history()
    assert exact(window.render(WIRE).messages) == exact(history)
    assert (window.repairs, window.omitted, window.pending) == ((), (), ())
    assert session.info().message_count == len(history)
    assert [info.id for info in sessions.list()] == [session.id]
    assert sessions.open_turns() == []
    assert sessions.check() == []


@pytest.mark.parametrize("place", range(3), ids=["asked", "half answered", "answered"])
def test_an_agent_killed_around_its_calls_goes_on(tmp_path: Path, place: int) -> None:
    """kill -9 before, between and after the results of parallel calls: the next process goes on with the turn."""
    path = tmp_path / "chat.db"
    kill_and_go_on(path, OWN, [crucial(OWN)[place]])
    with palaver.open(path) as sessions:
        came_back_whole(sessions, OWN)


def test_an_agent_killed_after_every_step_goes_on(tmp_path: Path) -> None:
    """Processes that are each killed when one more step is stored: nothing is lost, and nothing is there twice."""
    path = tmp_path / "chat.db"
    kill_and_go_on(path, OWN, steps(plan(OWN)))
    with palaver.open(path) as sessions:
        came_back_whole(sessions, OWN)


def test_recorded_conversations_survive_kills(tmp_path: Path, shared_dir: Path) -> None:
    """Recorded conversations come back whole from agents killed before, between and after the results."""
    for number, history in enumerate(recorded(shared_dir)):
        path = tmp_path / f"{number}.db"
        kill_and_go_on(path, history, crucial(history))
        with palaver.open(path) as sessions:
            came_back_whole(sessions, history)


# ---------------------------------------------------------------------- asyncio
async def hold_async(sessions: palaver.AsyncSessionManager, history: History) -> None:
    """The whole conversation without a kill; what the model is shown is checked before each step."""
    conversation = plan(history)
    session = await sessions.get_or_create(KEY)
    for message in conversation.head:
        await session.append(message)
    stored = len(conversation.head)
    for first, *rest in conversation.turns:
        async with sessions.begin_turn(KEY, first, on_busy="raise") as turn:
            stored += 1
            appended, reply = steps_and_reply([first, *rest])
            for message in appended:
                assert exact(turn.window.render(WIRE).messages) == exact(shown(history, stored)[0])
                await turn.append(message)
                stored += 1
            assert exact(turn.window.render(WIRE).messages) == exact(shown(history, stored)[0])
            await turn.finish(*reply)
            stored += len(reply)


def hold_and_check_async(path: Path, history: History) -> None:
    """The same on a loop of its own, and what is stored then, as a manager of each kind reads it."""

    async def run() -> list[Message]:
        async with palaver.aopen(path) as sessions:
            await hold_async(sessions, history)
            return list(await (await sessions.resolve(KEY)).messages(limit=1000, live=False))

    stored = asyncio.run(run())
    assert exact(palaver.render(WIRE, stored).messages) == exact(history)
    with palaver.open(path) as sessions:
        came_back_whole(sessions, history)


def test_an_async_agent_holds_it(tmp_path: Path) -> None:
    """The same conversation through the async manager, step by step, is shown and stored as it was."""
    hold_and_check_async(tmp_path / "chat.db", OWN)


def test_an_async_agent_holds_a_recorded_one(tmp_path: Path, shared_dir: Path) -> None:
    """A recorded conversation through the async manager is shown and stored as it was."""
    hold_and_check_async(tmp_path / "chat.db", recorded(shared_dir)[0])


# ---------------------------------------------------------------------- HTTP
class Remote:
    """An agent that talks to a server, which is killed after some steps, and goes on with the next server."""

    def __init__(self, path: Path, history: History, kills: list[str], stack: ExitStack) -> None:
        self.url = f"sqlite:///{path}"
        self.history = history
        self.kills = kills
        self.stack = stack
        self.server = stack.enter_context(running(self.url))
        self.stored = 0
        self.killed: list[str] = []

    def request(self, method: str, path: str, status: int, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to a request that must succeed in this way."""
        answer = self.server.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def restart(self) -> None:
        """Kill the server as a crash would, and start another on the same file."""
        assert self.server.end(signal.SIGKILL) == -signal.SIGKILL
        self.server = self.stack.enter_context(running(self.url))

    def see(self, turn: dict[str, Any]) -> None:
        """Assert that a running turn shows what a model saw at this point."""
        assert turn["state"] == "running"
        found = (turn["payload"]["messages"], len(turn["window"]["pending"]), len(turn["window"]["repairs"]))
        assert exact(found) == exact(shown(self.history, self.stored))
        assert turn["payload"]["repairs"] == []

    def after(self, turn: dict[str, Any]) -> None:
        """Look at what a step answered; where the server is to be killed now, find the turn in the next one."""
        self.see(turn)
        if (step := f"m{self.stored - 1}") in self.kills:
            self.restart()
            self.killed.append(step)
            again = self.request("GET", f"/v1/turns/{turn['id']}?render={WIRE}", 200)
            assert again["id"] == turn["id"]
            self.see(again)

    def hold(self) -> str:
        """The whole conversation; gives the session's id."""
        conversation = plan(self.history)
        session: str = self.request("POST", "/v1/sessions", 201, {"key": KEY})["id"]
        if head := self.history[: len(conversation.head)]:
            self.request("POST", f"/v1/sessions/{session}/messages", 201, {"wire": WIRE, "messages": head})
            self.stored = len(head)
        for each in conversation.turns:
            self.turn(each)
        assert self.killed == self.kills
        return session

    def turn(self, each: list[Message]) -> None:
        """One turn, from the user's message to its end."""
        appended, reply = steps_and_reply(each)
        said = {
            "key": KEY,
            "wire": WIRE,
            "render": WIRE,
            "message": self.history[self.stored],
            "message_id": each[0].id,
        }
        turn = self.request("POST", "/v1/turns", 201, {**said, "on_busy": "raise"})
        self.stored += 1
        self.after(turn)
        path = f"/v1/turns/{turn['id']}"
        for _ in appended:
            given = [self.history[self.stored]]
            turn = self.request("POST", f"{path}/messages", 201, {"wire": WIRE, "messages": given, "render": WIRE})
            self.stored += 1
            self.after(turn)
        end = {"wire": WIRE, "message": self.history[self.stored]} if reply else None
        ended = self.request("POST", f"{path}/finish", 200, end)
        assert ended["state"] == "finished"
        assert self.request("POST", f"{path}/finish", 200, end)["messages"] == ended["messages"]
        self.stored += len(reply)
        again = self.request("POST", "/v1/turns", 200, said)
        assert (again["id"], again["replayed"], again["seq"]) == (turn["id"], True, turn["seq"])


def hold_over_http(path: Path, history: History, kills: list[str]) -> None:
    """Hold a conversation with a server that dies after these steps, and read all of it back from the last one."""
    with ExitStack() as stack:
        remote = Remote(path, history, kills, stack)
        session = remote.hold()
        page = remote.request("GET", f"/v1/sessions/{session}/messages?limit=1000&live=false", 200)
        stored = msgspec.convert(page["messages"], list[Message])
        assert exact(palaver.render(WIRE, stored).messages) == exact(history)
        assert (page["next"], page["corrupt"]) == (None, [])
        window = remote.request("GET", f"/v1/sessions/{session}/window?wire={WIRE}", 200)
        assert exact(window["payload"]["messages"]) == exact(history)
        assert (window["payload"]["repairs"], window["window"]["repairs"], window["window"]["omitted"]) == ([], [], [])
        assert remote.request("GET", "/v1/turns", 200)["turns"] == []
        assert len(remote.request("GET", "/v1/sessions", 200)["sessions"]) == 1
    with palaver.open(path) as sessions:
        came_back_whole(sessions, history)


def test_a_killed_server_goes_on(tmp_path: Path) -> None:
    """kill -9 of the server before, between and after the results: the same turn id goes on in the next server."""
    hold_over_http(tmp_path / "chat.db", OWN, crucial(OWN))


def test_recorded_conversations_survive_a_killed_server(tmp_path: Path, shared_dir: Path) -> None:
    """Recorded conversations come back whole over HTTP from a server killed between the results of parallel calls."""
    for number, history in enumerate(recorded(shared_dir)):
        hold_over_http(tmp_path / f"{number}.db", history, crucial(history)[1:2])
