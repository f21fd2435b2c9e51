"""The HTTP server: against a real one in a process of its own where that matters, else inside this process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

import palaver
from palaver.handover import Handover
from palaver.server import Limits, app, serve
from palaver.server.bodies import BeginTurn
from palaver.server.guard import own_names
from palaver.server.pages import trial
from tests.e2e.asking import BASE, ORIGIN, begin, problem, texts
from tests.faults import kit

SOURCE = Path(palaver.__file__).resolve().parents[1]
PROGRAM = """
import sys
from datetime import timedelta
from palaver.server import Limits, serve

serve(sys.argv[1], port=0, **eval(sys.argv[2]))
"""
QUICK = "{'drain': timedelta(0)}"
"""Options of a server that does not wait for turns when it is stopped."""
CALL = {"role": "assistant", "content": [{"kind": "tool_call", "name": "calc", "call_id": "c1", "arguments": "{}"}]}
RESULT = {"role": "tool", "call_id": "c1", "content": "4"}


class Server:
    """A server in a process of its own."""

    def __init__(self, url: str, options: str = QUICK) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, url, options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline().strip() for _ in range(5)]
        self.base = self.said[0].partition(" on ")[2].partition(" (")[0]
        assert self.base, f"the server did not start: {self.process.wait(10)}"
        self.client = httpx2.Client(base_url=self.base, timeout=kit.PATIENCE)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Stop the process by a signal and give its exit status."""
        self.client.close()
        self.process.send_signal(number)
        status = self.process.wait(kit.PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


@contextmanager
def running(url: str, options: str = QUICK) -> Iterator[Server]:
    """A server that is stopped in the end, if it still runs."""
    server = Server(url, options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server for tests that bring their own sessions."""
    with running(f"sqlite:///{tmp_path_factory.mktemp('server')}/chat.db") as made:
        yield made


@pytest.fixture
def http() -> Iterator[TestClient]:
    """The application in this process, over an empty store."""
    with TestClient(app("memory://"), base_url=BASE) as client:
        yield client


# ---------------------------------------------------------------------- a real server
def test_what_it_prints_works(server: Server) -> None:
    """The commands that it prints when it listens begin a turn, answer it by its id, and show the session."""
    begun = run_curl(server.said[1])
    assert (begun.status_code, begun.json()["state"]) == (201, "running")
    ended = run_curl(server.said[2].replace("/ID/", f"/{begun.json()['id']}/"))
    assert (ended.status_code, ended.json()["state"]) == (200, "finished")
    listed = run_curl(server.said[3])
    assert begun.json()["session_id"] in [session["id"] for session in listed.json()["sessions"]]


def test_what_it_prints_works_twice() -> None:
    """Who gives the first command twice gets a second turn before the wait is over, and may answer it late."""
    now = datetime(2026, 1, 1, tzinfo=UTC)

    async def talk() -> list[int]:
        nonlocal now
        async with palaver.aopen("memory://", clock=lambda: now) as sessions:
            made = app(sessions)
            made.state.sessions = sessions
            transport = httpx2.ASGITransport(made)
            async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
                begun, finished, _ = trial(BASE, keyed=False)
                asked = curl_request(begun)
                first = await client.request(**asked)
                now += timedelta(seconds=BeginTurn(key="k").timeout - 1)
                second = await client.request(**asked)
                now += timedelta(minutes=1)
                late = await client.request(**curl_request(finished.replace("ID", second.json()["id"])))
        return [first.status_code, second.status_code, late.status_code]

    assert asyncio.run(talk()) == [201, 201, 200]


def curl_request(line: str) -> dict[str, Any]:
    """What a printed line with a curl command asks for."""
    words = shlex.split(line[line.index("curl -s ") :])
    headers = dict(words[i + 1].split(": ") for i, word in enumerate(words) if word == "-H")
    bodies = [words[i + 1].encode() for i, word in enumerate(words) if word == "-d"]
    assert len(words) == 3 + 2 * len(headers) + 2 * len(bodies)
    if not bodies:
        return {"method": "GET", "url": words[2], "headers": headers}
    return {"method": "POST", "url": words[2], "headers": headers, "content": bodies[0]}


def run_curl(line: str) -> httpx2.Response:
    """The answer to a printed line with a curl command."""
    return httpx2.request(**curl_request(line))


def test_a_turn_from_message_to_reply(server: Server) -> None:
    """Begin, call and result, finish: each answer has the window as it is then, and the history holds all."""
    chat = {"platform": "telegram", "chat_id": "flow"}
    turn = begin(server.client, {"role": "user", "content": "2+2?", "id": "tg-1"}, origin=chat, render="openai_chat")
    assert turn["state"] == "running"
    assert turn["session_is_new"]
    assert turn["payload"]["messages"] == [{"role": "user", "content": "2+2?"}]
    assert "telegram" in turn["context"]
    path = f"/v1/turns/{turn['id']}"
    asked = server.client.post(f"{path}/messages", json={"messages": [CALL]}).json()
    assert [m["role"] for m in asked["window"]["pending"]] == ["assistant"]
    done = server.client.post(f"{path}/messages", json={"messages": [RESULT], "render": "openai_chat"}).json()
    assert [m["role"] for m in done["payload"]["messages"]] == ["user", "assistant", "tool"]
    ended = server.client.post(f"{path}/finish", json={"message": "4", "usage": {"input_tokens": 9, "model": "m"}})
    assert ended.status_code == 200
    assert (ended.json()["state"], texts([ended.json()["reply"]])) == ("finished", ["4"])
    session = f"/v1/sessions/{turn['session_id']}"
    assert texts(server.client.get(f"{session}/messages").json()["messages"]) == ["2+2?", "", "4", "4"]
    assert server.client.get(session).json()["usage"]["input_tokens"] == 9


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    """kill -9 in the middle of a turn: after a restart the same turn id goes on where it was."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with running(url) as first:
        turn = begin(first.client, "2+2?")
        path = f"/v1/turns/{turn['id']}"
        assert first.client.post(f"{path}/messages", json={"messages": [CALL]}).status_code == 201
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    with running(url) as second:
        seen = second.client.get(path).json()
        assert seen["state"] == "running"
        assert second.client.post(f"{path}/messages", json={"messages": [RESULT]}).status_code == 201
        ended = second.client.post(f"{path}/finish", json={"message": "It is 4"})
        assert (ended.status_code, ended.json()["state"]) == (200, "finished")
        page = second.client.get(f"/v1/sessions/{turn['session_id']}/messages").json()
        assert texts(page["messages"]) == ["2+2?", "", "4", "It is 4"]


def test_a_restart_frees_no_turn(tmp_path: Path) -> None:
    """A turn over HTTP is its client's: when the server dies its lease still holds, and its open call is held back."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with running(url) as first:
        turn = begin(first.client, "2+2?")
        path = f"/v1/turns/{turn['id']}"
        assert first.client.post(f"{path}/messages", json={"messages": [CALL]}).status_code == 201
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    with running(url) as second:
        other = second.client.post("/v1/turns", json={"origin": ORIGIN, "message": "two", "on_busy": "raise"})
        assert problem(other) == (409, "session-busy")
        assert [m["role"] for m in second.client.get(path).json()["window"]["pending"]] == ["assistant"]


def test_a_restart_keeps_sessions(tmp_path: Path) -> None:
    """What a server acknowledged, the next one on the same file serves; and it stops cleanly when it is told to."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with running(url) as first:
        made = first.client.post("/v1/sessions", json={"alias": "trip", "title": "Trip", "metadata": {"a": 1}})
        assert made.status_code == 201
        turn = begin(first.client, "Hi", session_id="trip")
        first.client.post(f"/v1/turns/{turn['id']}/finish", json={"message": "Hello!"})
        etag = first.client.get("/v1/sessions/trip").headers["etag"]
        assert first.end() == 0
    with running(url) as second:
        again = second.client.get("/v1/sessions/trip", headers={"If-None-Match": etag})
        assert again.status_code == 304
        window = second.client.get("/v1/sessions/trip/window", params={"wire": "openai_chat"}).json()
        assert [m["content"] for m in window["payload"]["messages"]] == ["Hi", "Hello!"]


def test_waiting_for_a_busy_session(server: Server) -> None:
    """on_busy wait begins the turn as soon as the one before has ended."""
    first = begin(server.client, "one", key="waits")
    with ThreadPoolExecutor(1) as pool, httpx2.Client(base_url=server.base, timeout=30) as other:
        waiting = pool.submit(begin, other, "two", key="waits", timeout=30)
        server.client.post(f"/v1/turns/{first['id']}/finish", json={"message": "done"})
        assert texts(waiting.result(30)["window"]["messages"]) == ["one", "done", "two"]


def test_a_wait_ends_with_its_client(server: Server) -> None:
    """A client that goes away while it waits leaves no message and no turn behind."""
    first = begin(server.client, "one", key="leaves")
    body = json.dumps({"key": "leaves", "message": "never", "timeout": 60}).encode()
    host, port = server.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        head = f"POST /v1/turns HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        raw.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert server.client.get("/health").status_code == 200
    server.client.post(f"/v1/turns/{first['id']}/finish", json={"message": "done"})
    second = begin(server.client, "two", key="leaves", timeout=30)
    page = server.client.get(f"/v1/sessions/{second['session_id']}/messages").json()
    assert [text for text in texts(page["messages"]) if text != "never"] == texts(page["messages"])


def test_a_stopping_server_ends_waits(tmp_path: Path) -> None:
    """SIGTERM answers those who wait with 503 at once, instead of when their time is over."""
    with running(f"sqlite:///{tmp_path}/chat.db") as server:
        begin(server.client, "one", key="k")
        body = json.dumps({"key": "k", "message": "two", "timeout": 60}).encode()
        host, port = server.base.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=kit.PATIENCE) as raw:
            head = f"POST /v1/turns HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            raw.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            running_two = "palaver_http_requests_running 2"  # that one, and the one that asks
            kit.until(lambda: running_two in server.client.get("/metrics").text, "the request to be handled")
            server.end()
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"/problems/shutting-down" in answer


def test_a_large_body_is_refused_while_it_comes(server: Server) -> None:
    """A chunked body that never says its length is refused when it passes the limit."""

    def endless() -> Iterator[bytes]:
        yield b'{"key": "big", "message": "'
        for _ in range(40):
            yield b"x" * (512 * 1024)

    try:
        answer = server.client.post("/v1/turns", content=endless(), headers={"Content-Type": "application/json"})
    except httpx2.NetworkError:
        return  # the server had answered and closed before everything was sent
    assert problem(answer) == (413, "body-too-large")


def test_a_taken_port_is_said(server: Server) -> None:
    """Starting a second server on one port says which port, and what to do."""
    port = int(server.base.rpartition(":")[2])
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}.*choose another port"):
        serve("memory://", port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.7", "chat.example"])  # noqa: S104
def test_other_machines_are_kept_out(host: str) -> None:
    """A host that others reach is refused while there is no key, and the refusal says how to make one."""
    with pytest.raises(ValueError, match="palaver keys create NAME --file"):
        serve("memory://", host, 0)


# ---------------------------------------------------------------------- turns
def test_a_turn_that_nobody_was_told_of_is_free_at_once() -> None:
    """A client that is gone when its turn has begun finds it interrupted, and goes on by sending its message again."""
    body = json.dumps({"key": "k", "message": {"role": "user", "content": "Hi", "id": "m1"}}).encode()
    coming: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/v1/turns", "query_string": b""}

    async def receive() -> dict[str, Any]:
        return coming.pop() if coming else {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        """Nobody listens."""

    async def talk() -> tuple[str, bool]:
        async with palaver.aopen("memory://") as sessions:
            made = app(sessions)
            made.state.sessions = sessions
            await made({**scope, "headers": headers}, receive, send)
            [stored] = await (await sessions.resolve("k")).messages()
            turn = await sessions.begin_turn("k", palaver.user("Hi", id="m1"), on_busy="raise")
            return stored.text, turn.taken_over

    assert asyncio.run(talk()) == ("Hi", True)


def test_busy_raise_answers_at_once(http: TestClient) -> None:
    """on_busy raise, and a wait that is over, are a retryable 409 that stores nothing."""
    turn = begin(http, "one")
    for more in ({"on_busy": "raise"}, {"on_busy": "wait", "timeout": 0}):
        answer = http.post("/v1/turns", json={"origin": ORIGIN, "message": "two", **more})
        assert problem(answer) == (409, "session-busy")
        assert answer.json()["retryable"]
        assert answer.headers["retry-after"] == "1"
    assert http.get(f"/v1/sessions/{turn['session_id']}").json()["message_count"] == 1


@pytest.mark.parametrize("target", ["key", "session_id"])
def test_a_busy_session_says_how_long(http: TestClient, target: str) -> None:
    """The 409 of a busy session says when its turn began and how long the lease lasts, as members and in words."""
    turn = begin(http, "one", key="k", lease_seconds=90)
    [listed] = http.get("/v1/turns").json()["turns"]
    name = "k" if target == "key" else turn["session_id"]
    said = http.post("/v1/turns", json={target: name, "message": "two", "on_busy": "raise"}).json()
    assert (said["began_at"], said["expires_at"]) == (listed["began_at"], listed["expires_at"])
    assert seconds(said["expires_at"]) - seconds(said["began_at"]) == pytest.approx(90)
    assert said["began_at"].partition(".")[0] in said["detail"]
    assert said["expires_at"].partition(".")[0] in said["detail"]


def test_busy_says_nothing_of_other_owners(http: TestClient) -> None:
    """The times of a busy session are those of the owner's own turn, not of another's under the same key."""
    yours, mine = {"Palaver-Owner": "bo"}, {"Palaver-Owner": "ana"}
    body = {"key": "k", "message": "one", "on_busy": "raise"}
    assert http.post("/v1/turns", json={**body, "lease_seconds": 9000}, headers=yours).status_code == 201
    assert http.post("/v1/turns", json={**body, "lease_seconds": 30}, headers=mine).status_code == 201
    said = http.post("/v1/turns", json={**body, "message": "two"}, headers=mine).json()
    assert seconds(said["expires_at"]) - seconds(said["began_at"]) == pytest.approx(30)


def test_the_operator_ends_a_turn_that_nobody_can(http: TestClient) -> None:
    """The operator's list has the id of every open turn, whoever's it is; with it the session is free at once."""
    mine = {"Palaver-Owner": "ana"}
    lost = http.post("/v1/turns", json={"key": "k", "message": "one"}, headers=mine).json()
    begin(http, "two", key="k2")
    own, other = http.get("/v1/turns").json()["turns"]
    assert (own["id"], own["owner"], own["alive"]) == (lost["id"], "ana", True)
    assert other["owner"] is None
    [seen] = http.get("/v1/turns", headers=mine).json()["turns"]
    assert seen == {**own, "id": None}
    assert http.post(f"/v1/turns/{own['id']}/fail", json={"reason": "its client is gone"}).status_code == 200
    again = http.post("/v1/turns", json={"key": "k", "message": "two", "on_busy": "raise"}, headers=mine)
    assert again.status_code == 201


def test_busy_store_fills_the_inbox(http: TestClient) -> None:
    """on_busy store is 202: the message waits, and the turn that takes it from its inbox answers it."""
    turn = begin(http, "one")
    path = f"/v1/turns/{turn['id']}"
    assert http.post(f"{path}/inbox").json() == {"messages": []}
    queued = http.post("/v1/turns", json={"origin": ORIGIN, "message": "two", "on_busy": "store"})
    assert queued.status_code == 202
    assert (queued.json()["id"], queued.json()["state"], queued.json()["queued"]) == (None, "queued", True)
    assert texts(http.get(path).json()["window"]["messages"]) == ["one"]
    assert texts(http.post(f"{path}/inbox").json()["messages"]) == ["two"]
    assert http.post(f"{path}/inbox").json() == {"messages": []}
    assert texts(http.get(path).json()["window"]["messages"]) == ["one", "two"]
    assert http.post(f"{path}/finish", json={"message": "done"}).json()["waiting"] == 0
    assert problem(http.post(f"{path}/inbox")) == (409, "turn-lost")


def test_what_waits_begins_the_next_turn(http: TestClient) -> None:
    """A message that the running turn was not shown comes after its reply, and a turn without a message answers it."""
    turn = begin(http, "one")
    http.post("/v1/turns", json={"origin": ORIGIN, "message": "two", "on_busy": "store"})
    assert http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "done"}).json()["waiting"] == 1
    following = http.post("/v1/turns", json={"session_id": turn["session_id"]})
    assert following.status_code == 201
    assert texts(following.json()["window"]["messages"]) == ["one", "done", "two"]


def test_a_message_that_comes_again(http: TestClient) -> None:
    """The id of an answered message gives its reply with 200; with other content it is a conflict."""
    message = {"role": "user", "content": "2+2?", "id": "tg-1"}
    turn = begin(http, message)
    http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "4"})
    again = http.post("/v1/turns", json={"origin": ORIGIN, "message": message})
    assert again.status_code == 200
    assert again.json()["replayed"]
    assert texts([again.json()["reply"]]) == ["4"]
    other = http.post("/v1/turns", json={"origin": ORIGIN, "message": {**message, "content": "3+3?"}})
    assert problem(other) == (409, "session-conflict")


def test_an_interrupted_turn_is_taken_over(http: TestClient) -> None:
    """After fail, the same message goes on with what happened, under a new turn id."""
    message = {"role": "user", "content": "2+2?", "id": "tg-1"}
    turn = begin(http, message)
    path = f"/v1/turns/{turn['id']}"
    http.post(f"{path}/messages", json={"messages": [CALL, RESULT]})
    for _ in range(2):
        failed = http.post(f"{path}/fail", json={"reason": "no model"})
        assert (failed.status_code, failed.json()["state"]) == (200, "interrupted")
    again = begin(http, message)
    assert again["taken_over"]
    assert again["id"] != turn["id"]
    assert len(again["window"]["messages"]) == 3


def test_a_turn_that_is_rolled_back_is_gone(http: TestClient) -> None:
    """rollback leaves no live message, may be sent twice, and lets the message begin anew."""
    message = {"role": "user", "content": "2+2?", "id": "tg-1"}
    turn = begin(http, message)
    for _ in range(2):
        rolled = http.post(f"/v1/turns/{turn['id']}/rollback")
        assert (rolled.status_code, rolled.json()["state"]) == (200, "rolled_back")
    assert http.get(f"/v1/sessions/{turn['session_id']}/messages").json()["messages"] == []
    assert not begin(http, message)["taken_over"]


def test_finishing_twice(http: TestClient) -> None:
    """The same finish again gives the same answer and stores nothing; another reply is a conflict."""
    turn = begin(http)
    path = f"/v1/turns/{turn['id']}"
    answers = [http.post(f"{path}/finish", json={"message": "4", "usage": {"input_tokens": 5}}) for _ in range(2)]
    assert [a.status_code for a in answers] == [200, 200]
    assert [a.json()["reply"]["seq"] for a in answers] == [2, 2]
    session = http.get(f"/v1/sessions/{turn['session_id']}").json()
    assert (session["message_count"], session["usage"]["input_tokens"]) == (2, 5)
    assert problem(http.post(f"{path}/finish", json={"message": "5"})) == (409, "session-conflict")
    assert problem(http.post(f"{path}/messages", json={"messages": [CALL]})) == (409, "turn-lost")
    assert problem(http.post(f"{path}/fail")) == (409, "turn-lost")


def test_leases(http: TestClient) -> None:
    """lease_seconds is how long the lease lasts from each request that says it."""

    def lasts() -> float:
        [turn] = http.get("/v1/turns").json()["turns"]
        began, expires = (seconds(turn[name]) for name in ("began_at", "expires_at"))
        return expires - began

    turn = begin(http, lease_seconds=60)
    assert lasts() == pytest.approx(60)
    http.post(f"/v1/turns/{turn['id']}/renew", json={"lease_seconds": 7200})
    assert lasts() >= 7200
    http.post(f"/v1/turns/{turn['id']}/messages", json={"messages": [CALL], "lease_seconds": 20_000})
    assert lasts() >= 20_000
    http.post(f"/v1/turns/{turn['id']}/renew")
    assert 600 <= lasts() < 7200


def seconds(text: str) -> float:
    """Seconds of a time as the server writes it."""
    return datetime.fromisoformat(text).timestamp()


def test_budgets(http: TestClient) -> None:
    """max_messages bounds the window (which leaves a quarter free when it moves), and what is left out is listed."""
    for number in range(3):
        turn = begin(http, f"question {number}")
        http.post(f"/v1/turns/{turn['id']}/finish", json={"message": f"answer {number}"})
    turn = begin(http, "question 3", max_messages=4)
    assert texts(turn["window"]["messages"]) == ["question 2", "answer 2", "question 3"]
    assert turn["window"]["omitted"][0]["from_seq"] == 1


def test_messages_of_a_provider(http: TestClient) -> None:
    """With `wire`, messages come as the provider has them, and go back exactly so."""
    question = {"role": "user", "content": [{"type": "text", "text": "2+2?"}], "x_trace": "t1"}
    call = {"id": "c1", "type": "function", "function": {"name": "calc", "arguments": '{"a": 2}'}}
    reply = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}
    body = {"origin": ORIGIN, "wire": "openai_chat", "message": question, "message_id": "tg-1"}
    turn = http.post("/v1/turns", json=body).json()
    assert turn["message"]["id"] == "tg-1"
    result = {"role": "tool", "tool_call_id": "c1", "content": "4"}
    more = {"wire": "openai_chat", "messages": [reply, result], "render": "openai_chat"}
    shown = http.post(f"/v1/turns/{turn['id']}/messages", json=more)
    assert shown.json()["payload"]["messages"] == [question, reply, result]
    ended = http.post(
        f"/v1/turns/{turn['id']}/finish", json={"wire": "openai_chat", "message": {"role": "assistant", "content": "4"}}
    )
    assert ended.json()["state"] == "finished"


@pytest.mark.parametrize("where", ["render", "wire"])
def test_an_unknown_wire_stores_nothing(http: TestClient, where: str) -> None:
    """A format that is not known is said before anything is stored."""
    body = {"origin": ORIGIN, "message": {"role": "user", "content": "x"}, where: "no_such_wire"}
    assert problem(http.post("/v1/turns", json=body)) == (422, "unsupported-format")
    assert http.get("/v1/stats").json()["messages"] == 0


@pytest.mark.parametrize("path", ["", "/inbox"])
@pytest.mark.parametrize("turn_id", ["x", "a~1~b", "~", "a~99999999999~b", "%E2%82%AC", "a%2Fb"])
def test_a_turn_that_there_is_not(http: TestClient, turn_id: str, path: str) -> None:
    """Anything that is no turn's id is 404."""
    ask = http.post if path else http.get
    assert problem(ask(f"/v1/turns/{turn_id}{path}")) == (404, "session-not-found")


# ---------------------------------------------------------------------- sessions
def test_owners_do_not_meet(http: TestClient) -> None:
    """One key of two owners is two sessions; sessions, turns and events of another are not found."""
    mine, yours = {"Palaver-Owner": "ana"}, {"Palaver-Owner": "bo"}
    body = {"key": "shared", "message": "from ana"}
    turn = http.post("/v1/turns", json=body, headers=mine).json()
    other = http.post("/v1/turns", json={**body, "message": "from bo"}, headers=yours).json()
    assert turn["session_id"] != other["session_id"]
    for path in (f"/v1/sessions/{turn['session_id']}", f"/v1/turns/{turn['id']}"):
        assert http.get(path, headers=mine).status_code == 200
        assert problem(http.get(path, headers=yours)) == (404, "session-not-found")
    finish = http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "no"}, headers=yours)
    assert problem(finish) == (404, "session-not-found")
    assert [s["owner"] for s in http.get("/v1/sessions", headers=yours).json()["sessions"]] == ["bo"]
    seen = {e["session_id"] for e in http.get("/v1/events", headers=yours).json()["events"]}
    assert seen == {other["session_id"]}
    assert len(http.get("/v1/sessions").json()["sessions"]) == 2


@pytest.mark.parametrize("owner", [b"", b"a\xffb", b"x" * 257, b"a\tb"])
def test_an_owner_that_is_none(server: Server, owner: bytes) -> None:
    """An owner that cannot be read never becomes the operator's view of all."""
    answer = server.client.get("/v1/sessions", headers={b"Palaver-Owner": owner})
    assert problem(answer) == (400, "bad-request")


def test_etags(http: TestClient) -> None:
    """A session's ETag answers 304 while nothing changed, and moves with messages, metadata and turns."""
    made = http.post("/v1/sessions", json={"key": "k"})
    path = made.headers["location"]
    seen = [made.headers["etag"]]
    assert http.get(path, headers={"If-None-Match": f'"other", W/{seen[0]}'}).status_code == 304

    def moved() -> None:
        answer = http.get(path, headers={"If-None-Match": seen[-1]})
        assert answer.status_code == 200
        assert answer.headers["etag"] not in seen
        seen.append(answer.headers["etag"])

    http.post(f"{path}/messages", json={"messages": [{"role": "user", "content": "Hi"}]})
    moved()
    http.patch(path, json={"metadata": {"a": 1}})
    moved()
    turn = begin(http, "x", key="k")
    moved()
    http.post(f"/v1/turns/{turn['id']}/finish")
    moved()


def test_patching_what_changed(http: TestClient) -> None:
    """If-Match guards metadata against changes meanwhile, not against messages; null removes a key."""
    made = http.post("/v1/sessions", json={"metadata": {"a": 1, "b": 2}})
    path, etag = made.headers["location"], made.headers["etag"]
    http.post(f"{path}/messages", json={"messages": [{"role": "user", "content": "Hi"}]})
    first = http.patch(path, json={"metadata": {"a": None}}, headers={"If-Match": etag})
    assert first.status_code == 200
    assert first.json()["metadata"] == {"b": 2}
    stale = http.patch(path, json={"metadata": {"b": 3}}, headers={"If-Match": etag})
    assert problem(stale) == (412, "precondition-failed")
    assert http.patch(path, json={"metadata": {"b": 3}}, headers={"If-Match": first.headers["etag"]}).status_code == 200
    assert problem(http.patch(path, json={"metadata": {}}, headers={"If-Match": "x"})) == (400, "bad-request")


def test_reset_and_resume(http: TestClient) -> None:
    """A reset leads the key elsewhere and keeps the old session, which can be resumed by its id."""
    turn = begin(http, "remember")
    old = turn["session_id"]
    http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "yes"})
    new = http.post(f"/v1/sessions/{old}/reset")
    assert (new.status_code, new.json()["parent"]) == (201, old)
    target = {"origin": ORIGIN}
    assert http.post("/v1/keys/resolve", json=target).json()["id"] == new.json()["id"]
    ended = http.post(f"/v1/sessions/{old}/messages", json={"messages": [{"role": "user", "content": "x"}]})
    assert problem(ended) == (409, "session-ended")
    back = http.post("/v1/keys/resume", json={**target, "session_id": old})
    assert (back.status_code, back.json()["id"], back.json()["ended_at"]) == (200, old, None)
    again = http.post("/v1/keys/reset", json=target)
    assert (again.status_code, again.json()["parent"]) == (201, old)
    nobody = http.post("/v1/keys/resolve", json={"key": "nobody's"})
    assert problem(nobody) == (404, "session-not-found")


def test_appending_and_paging(http: TestClient) -> None:
    """Messages are stored in order, once for each id, guarded by expected_seq, and read in pages both ways."""
    path = http.post("/v1/sessions", json={}).headers["location"]
    messages = [{"role": "user", "content": str(n), "id": f"m{n}"} for n in range(5)]
    first = http.post(f"{path}/messages", json={"messages": messages, "expected_seq": 0})
    assert (first.status_code, first.json()["seqs"]) == (201, [1, 2, 3, 4, 5])
    again = http.post(f"{path}/messages", json={"messages": messages})
    assert (again.status_code, again.json()["seqs"], again.json()["fresh"]) == (200, [1, 2, 3, 4, 5], False)
    late = http.post(f"{path}/messages", json={"messages": [{"role": "user", "content": "x"}], "expected_seq": 3})
    assert problem(late) == (409, "session-conflict")
    assert late.json()["actual"] == 5
    forward: list[str] = []
    after: int | None = 0
    while after is not None:
        page = http.get(f"{path}/messages", params={"limit": 2, "after": after}).json()
        forward += texts(page["messages"])
        after = page["next"]
    assert forward == ["0", "1", "2", "3", "4"]
    newest = http.get(f"{path}/messages", params={"limit": 2, "newest": "true"}).json()
    assert texts(newest["messages"]) == ["3", "4"]
    older = http.get(f"{path}/messages", params={"limit": 2, "newest": "true", "before": newest["next"]}).json()
    assert texts(older["messages"]) == ["1", "2"]


@pytest.mark.parametrize("reference", ["nobody", "%00", "a%2Fb", "0", "%E2%82%AC"])
def test_appending_to_no_session(http: TestClient, reference: str) -> None:
    """Messages for an id that is none, or another owner's, are 404 and stored nowhere."""
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    assert problem(http.post(f"/v1/sessions/{reference}/messages", json=body)) == (404, "session-not-found")
    path = http.post("/v1/sessions", json={"alias": "trip"}, headers={"Palaver-Owner": "ana"}).headers["location"]
    for other in (path, "/v1/sessions/trip"):
        answer = http.post(f"{other}/messages", json=body, headers={"Palaver-Owner": "bo"})
        assert problem(answer) == (404, "session-not-found")
    assert http.get("/v1/stats").json()["messages"] == 0


def test_a_corrupt_message_is_named(tmp_path: Path) -> None:
    """A page names the position of a message that cannot be decoded, and paging goes on past it both ways."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        session = sessions.create("k")
        session.append(*(palaver.user(str(n)) for n in range(1, 6)))
    with kit.raw(path) as connection:
        connection.execute("UPDATE messages SET body = x'00ff' WHERE id & 0xffffffff IN (2, 4)")
        assert connection.changes() == 2
    with TestClient(app(path), base_url=BASE) as client:
        messages = f"/v1/sessions/{session.id}/messages"
        whole = client.get(messages).json()
        assert (texts(whole["messages"]), whole["corrupt"], whole["next"]) == (["1", "3", "5"], [2, 4], None)
        first = client.get(messages, params={"limit": 2}).json()
        assert (texts(first["messages"]), first["corrupt"], first["next"]) == (["1"], [2], 2)
        newest = client.get(messages, params={"limit": 2, "newest": "true"}).json()
        assert (texts(newest["messages"]), newest["corrupt"], newest["next"]) == (["5"], [4], 4)
        window = client.get(f"/v1/sessions/{session.id}/window").json()["window"]
        assert [o["from_seq"] for o in window["omitted"] if o["reason"] == "corrupt"] == [2, 4]


@pytest.mark.parametrize(
    ("reference", "hinted"),
    [("telegram:dm:42", True), ("telegram:dm:43", True), ("my own", True), ("nobody", False), ("%00", False)],
)
def test_a_key_is_no_session_id(http: TestClient, reference: str, hinted: bool) -> None:
    """Where a key is given as a session's id, known or not, the 404 says where keys are looked up."""
    begin(http)
    begin(http, key="my own")
    answers = [
        http.get(f"/v1/sessions/{reference}"),
        http.post("/v1/turns", json={"session_id": unquote(reference), "message": "x"}),
        http.post("/v1/keys/resume", json={"key": "k", "session_id": unquote(reference)}),
    ]
    for answer in answers:
        assert problem(answer) == (404, "session-not-found")
        assert ("POST /v1/keys/resolve" in answer.json()["detail"]) is hinted


def test_listing_in_pages(http: TestClient) -> None:
    """The list of sessions goes on after `next`, to the last one."""
    made = [begin(http, "Hi", key=f"k{n}")["session_id"] for n in range(5)]
    found: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = http.get("/v1/sessions", params=params).json()
        found += [session["id"] for session in page["sessions"]]
        if page["next"] is None:
            break
        params["after"] = page["next"]
    assert sorted(found) == sorted(made)
    assert len(found) == 5


def test_searching_in_pages(http: TestClient) -> None:
    """Hits with what was found marked, neighbours on request, page after page; an owner's own only."""
    for n in range(3):
        begin(http, f"plum {n}", key=f"k{n}", on_busy="raise")
    theirs = http.post("/v1/sessions", json={}, headers={"X-Palaver-Owner": "ann"}).json()["id"]
    found: list[str] = []
    params: dict[str, Any] = {"text": "PLU*", "limit": 2, "around": 1}
    while True:
        page = http.get("/v1/search", params=params).json()
        assert page["behind"] == 0
        for hit in page["hits"]:
            begun, ended = hit["highlights"][0]
            assert hit["snippet"][begun:ended] == "plum"
            assert [message["seq"] for message in hit["messages"]] == [1]
            assert (hit["role"], hit["title"], hit["owner"]) == ("user", None, None)
            found.append(hit["session_id"])
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert len(set(found)) == 3
    assert http.get("/v1/search", params={"text": "plum", "session_id": found[0]}).json()["hits"][0]["seq"] == 1
    assert http.patch(f"/v1/sessions/{found[0]}", json={"tags": ["fruit"]}).status_code == 200
    for narrowed, hits in (({"tag": "fruit"}, 1), ({"tag": "tree"}, 0), ({"agent": "no"}, 0), ({"account": "no"}, 0)):
        assert len(http.get("/v1/search", params={"text": "plum", **narrowed}).json()["hits"]) == hits
    assert problem(http.get("/v1/search", params={"text": "x", "session_id": "nobody"})) == (404, "session-not-found")
    assert problem(http.get("/v1/search", params={"text": "x", "cursor": "strange"}))[1] == "cursor-expired"
    for wrong in ("", "text=x&limit=0", "text=x&role=robot", "text=x&since=2026-01-01T00:00:00", "q=x"):
        assert http.get(f"/v1/search?{wrong}").status_code == 422, wrong
    for strange in ('"', "NEAR(", "*", "\x00"):
        assert http.get("/v1/search", params={"text": strange}).json()["hits"] == []
    assert theirs not in found


def test_compaction(http: TestClient) -> None:
    """A summary stands in the window for what it covers; one that tears an exchange is a conflict."""
    path = http.post("/v1/sessions", json={}).headers["location"]
    history = [{"role": "user", "content": "2+2?"}, CALL, RESULT, {"role": "user", "content": "and now?"}]
    http.post(f"{path}/messages", json={"messages": history})
    torn = http.post(f"{path}/compact", json={"summary": "They added.", "through_seq": 2})
    assert problem(torn) == (409, "session-conflict")
    made = http.post(f"{path}/compact", json={"summary": "They added.", "through_seq": 3})
    assert (made.status_code, made.json()["summary"]["through_seq"]) == (201, 3)
    window = http.get(f"{path}/window").json()["window"]
    assert [text.splitlines()[-1] for text in texts(window["messages"])] == ["They added.", "and now?"]
    assert len(http.get(f"{path}/messages").json()["messages"]) == 4


def test_an_alias_with_a_slash(http: TestClient) -> None:
    """An alias is found by its percent-encoded form, whatever it holds."""
    assert http.post("/v1/sessions", json={"alias": "rome/2026 ä?"}).status_code == 201
    path = "/v1/sessions/rome%2F2026%20%C3%A4%3F"
    assert http.get(path).status_code == 200
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    stored = http.post(f"{path}/messages", json={**body, "expected_seq": 0})
    assert (stored.status_code, stored.json()["seqs"]) == (201, [1])
    assert texts(http.get(f"{path}/messages").json()["messages"]) == ["Hi"]
    assert problem(http.get("/v1/sessions/rome/2026")) == (404, "not-found")


def test_events_go_on_from_the_cursor(http: TestClient) -> None:
    """Reading from each cursor on gives every change once, and the last cursor nothing."""
    begin(http)
    whole = http.get("/v1/events").json()["events"]
    seen: list[Any] = []
    params: dict[str, Any] = {"limit": 1}
    while events := (answer := http.get("/v1/events", params=params).json())["events"]:
        seen += events
        params["after"] = answer["cursor"]
    assert seen == whole
    assert answer["cursor"] == whole[-1]["cursor"]
    assert problem(http.get("/v1/events", params={"after": "nonsense"})) == (410, "cursor-expired")


# ---------------------------------------------------------------------- what requests may be
@pytest.mark.parametrize(
    ("body", "status", "slug", "path"),
    [
        (b"", 400, "invalid-json", None),
        (b"{", 400, "invalid-json", None),
        (b'{"key": "k", "message": "\xff"}', 400, "invalid-json", None),
        (b'{"key": "k", "message": "\xed\xa0\x80"}', 400, "invalid-json", None),
        (b'{"key": "\\ud83d', 400, "invalid-json", None),
        (b'{"key": "k", "message": {"role": "user", "metadata": ' + b"[" * 100_000, 400, "invalid-json", None),
        (b'{"key": "k", "message": "\\ud83d", "x": ' + b"[" * 100_000, 400, "invalid-json", None),
        (b'{"key": "k", "wire": "openai_chat", "message": {"a": ' + b'{"a":' * 100_000, 400, "invalid-json", None),
        (b"[]", 422, "invalid-request", "$"),
        (b"null", 422, "invalid-request", "$"),
        (b"{}", 422, "invalid-request", "$"),
        (b'{"key": "k", "session_id": "s"}', 422, "invalid-request", "$"),
        (b'{"key": "k", "mesage": "x"}', 422, "invalid-request", "$"),
        (b'{"key": "k", "message": {"role": "human"}}', 422, "invalid-request", "$.message.role"),
        (b'{"key": "k", "message": {"role": "user", "parts": [{"kind": "txt"}]}}', 422, "invalid-request", None),
        (
            b'{"key": "k", "message": {"role": "user", "content": [{"kind": "text", "text": "x", "y": 1}]}}',
            422,
            "invalid-request",
            "$.message.content[0]",
        ),
        (b'{"key": "k", "message": {"role": "user", "content": "x", "seq": 4}}', 422, "invalid-request", "$.message"),
        (b'{"key": "k", "message": {"role": "user", "content": "x", "id": "~1"}}', 422, "invalid-message", None),
        (b'{"key": "k", "message": {"role": "tool", "content": "x", "is_error": true}}', 422, "invalid-request", None),
        (b'{"key": "k", "message": "x", "timeout": 61}', 422, "invalid-request", "$.timeout"),
        (b'{"key": "k", "message": "x", "max_messages": 0}', 422, "invalid-request", "$.max_messages"),
        (b'{"key": "k", "message": {}, "wire": null}', 422, "invalid-request", "$.wire"),
        (b'{"key": "", "message": "x"}', 422, "invalid-key", None),
        (b'{"key": "k\\u0000", "message": "x"}', 422, "invalid-key", None),
        (b'{"key": "k\\ud83d", "message": "x"}', 422, "invalid-request", "$.key"),
        (b'{"origin": {"platform": ""}, "message": "x"}', 422, "invalid-key", "$.origin"),
        (b'{"origin": {"platform": "telegram"}, "message": "x"}', 422, "invalid-key", None),
        (b'{"origin": {"platform": "x", "chat_id": 42}, "message": "x"}', 422, "invalid-request", "$.origin.chat_id"),
        (b'{"key": "k", "message": {"role": "user", "content": "x", "created_at": "2026-01-01T00:00:00"}}', 422,
         "invalid-message", None),
        (b'{"key": "k"}', 409, "session-conflict", None),
        (b'{"session_id": "no", "message": "x"}', 404, "session-not-found", None),
    ],
)  # fmt: skip
def test_bodies_that_are_refused(http: TestClient, body: bytes, status: int, slug: str, path: str | None) -> None:
    """What is no JSON is 400, what this path does not take is 422 and says where; nothing is stored."""
    answer = http.post("/v1/turns", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer) == (status, slug)
    assert path is None or answer.json()["path"] == path
    assert http.get("/v1/stats").json()["messages"] == 0


@pytest.mark.parametrize(
    ("message", "hinted"),
    [
        ({"content": [{"type": "text", "text": "x"}]}, True),
        ({"parts": [{"type": "text", "text": "x"}]}, True),
        ({"content": [{"kind": "image_url", "url": "https://x.example/"}]}, True),
        ({"content": [{"kind": "text", "type": "text", "text": "x"}]}, True),
        ({"tool_calls": []}, True),
        ({"content": 5}, False),
        ({"content": "x", "contents": "y"}, False),
    ],
)
def test_a_providers_message_without_its_wire(http: TestClient, message: dict[str, Any], hinted: bool) -> None:
    """A message in the shape of a provider is refused with both remedies: `kind`, and `wire`."""
    one = {"role": "user", **message}
    path = http.post("/v1/sessions", json={}).headers["location"]
    begun = http.post("/v1/turns", json={"key": "k", "message": one})
    appended = http.post(f"{path}/messages", json={"messages": [{"role": "user", "content": "fine"}, one]})
    for answer in (begun, appended):
        assert problem(answer) == (422, "invalid-request")
        assert ('"kind"' in answer.json()["detail"]) is hinted
        assert ('"wire": "openai_chat"' in answer.json()["detail"]) is hinted


@pytest.mark.parametrize(
    ("content_type", "accepted"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ("application/json; charset=latin-1", False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("application/merge-patch+json", False),
        (None, False),
    ],
)
def test_content_types(http: TestClient, content_type: str | None, accepted: bool) -> None:
    """A body says that it is JSON, in UTF-8: what a plain form could send is refused."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = http.post("/v1/turns", content=b'{"key": "k", "message": "x"}', headers=headers)
    assert (answer.status_code == 201) is accepted
    assert accepted or problem(answer) == (415, "unsupported-media-type")


def test_half_characters_are_mended_and_listed(http: TestClient) -> None:
    """A lone surrogate in a text becomes U+FFFD and the answer says where; a whole pair is left as it is."""
    body = rb'{"key": "k", "message": {"role": "user", "content": ["cut \ud83d", "whole \ud83d\ude00"]}}'
    answer = http.post("/v1/turns", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201
    assert answer.json()["repairs"] == [{"path": "$.message.content[0]", "kind": "lone_surrogate_replaced"}]
    assert texts([answer.json()["message"]]) == ["cut \ufffdwhole \U0001f600"]
    assert "repairs" not in begin(http, "whole \U0001f600", key="k2")


def test_the_size_limit() -> None:
    """A body of the limit is taken, one byte more is 413, whether it tells its length or not."""
    body = b'{"key": "k", "message": "x", "on_busy": "store"}'
    headers = {"Content-Type": "application/json"}
    for limit, status in ((len(body), 201), (len(body) - 1, 413)):
        with TestClient(app("memory://", limits=Limits(max_body_bytes=limit)), base_url=BASE) as client:
            assert client.post("/v1/turns", content=body, headers=headers).status_code == status
            in_pieces = client.post("/v1/turns", content=iter((body[:5], body[5:])), headers=headers)
            assert (in_pieces.status_code == 413) is (status == 413)
            assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=5", 200),
        ("limit=0", 422),
        ("limit=1001", 422),
        ("limit=x", 422),
        ("limits=5", 422),
        ("limit=5&limit=6", 400),
        ("limit", 400),
        ("after=%ff", 400),
        ("include_ended=false&include_empty=1", 200),
        ("active_since=2026-01-01T00:00:00Z", 200),
        ("active_since=2026-01-01T00:00:00", 422),
        ("after=nobody", 404),
    ],
)
def test_queries(http: TestClient, query: str, status: int) -> None:
    """Query parameters are checked as bodies are, and unknown ones refused."""
    answer = http.get(f"/v1/sessions?{query}")
    assert answer.status_code == status
    assert status == 200 or problem(answer)


def test_an_unknown_parameter_is_told_which_there_are(http: TestClient) -> None:
    """By their names; also where a route takes none."""
    told = http.get("/v1/search?q=rome").json()
    assert told["type"].endswith("/invalid-request")
    assert told["detail"].startswith("there is no query parameter `q`: there are text, ")
    assert "session_id" in told["detail"]
    told = http.get("/health?q=1").json()
    assert told["detail"] == "there is no query parameter `q`: this route takes none"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("DELETE", "/v1/turns", 405, "GET, HEAD, POST"),
        ("PUT", "/v1/sessions/x", 405, "DELETE, GET, HEAD, PATCH"),
        ("GET", "/v1/keys/reset", 405, "POST"),
        ("OPTIONS", "/v1/turns", 405, "GET, HEAD, POST"),
        ("GET", "/v1/nothing", 404, None),
        ("GET", "/v1/sessions/", 404, None),
        ("GET", "//v1/sessions", 404, None),
    ],
)
def test_paths_and_methods(http: TestClient, method: str, path: str, status: int, allow: str | None) -> None:
    """Unknown paths are 404 and wrong methods 405 with every method that there is; both are problem documents."""
    answer = http.request(method, f"{BASE}{path}")
    assert problem(answer)[0] == status
    assert answer.headers.get("allow") == allow


def test_head_is_get_without_a_body(server: Server) -> None:
    """HEAD has the headers of GET, and no body."""
    head, get = server.client.head("/v1/turns"), server.client.get("/v1/turns")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_a_body_where_none_is_taken(http: TestClient) -> None:
    """What would be ignored is refused."""
    path = http.post("/v1/sessions", json={"key": "k"}).headers["location"]
    assert problem(http.post(f"{path}/reset", json={"key": "other"})) == (422, "invalid-request")


@pytest.mark.parametrize(
    ("headers", "slug"),
    [
        ({"Host": "evil.example"}, "host-not-allowed"),
        ({"Host": "evil.example:8080"}, "host-not-allowed"),
        ({"Host": "127.0.0.1.evil.example"}, "host-not-allowed"),
        ({"Host": "[::2]"}, "host-not-allowed"),
        ({"Host": "[::1]evil.example"}, "host-not-allowed"),
        ({"Host": "[::1]:80.evil.example"}, "host-not-allowed"),
        ({"Host": "localhost:evil"}, "host-not-allowed"),
        ({"Origin": "https://evil.example"}, "host-not-allowed"),
        ({"Origin": "null"}, "host-not-allowed"),
        ({"Origin": "http://["}, "host-not-allowed"),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, "host-not-allowed"),
        ({"Host": "localhost:8080"}, None),
        ({"Host": "LOCALHOST."}, None),
        ({"Host": "[::1]:8080"}, None),
        ({"Host": "chat.example:443"}, None),
        ({"Host": "chat.example", "Origin": "https://chat.example"}, None),
    ],
)
def test_other_sites_are_kept_out(headers: dict[str, str], slug: str | None) -> None:
    """The server answers under its own names, and to no page of another site."""
    with TestClient(app("memory://", allowed_hosts=("chat.example",)), base_url=BASE) as client:
        answer = client.get("/v1/stats", headers=headers)
    assert answer.status_code == 200 if slug is None else problem(answer) == (403, slug)


@pytest.mark.parametrize("name", ["", "https://chat.example", "chat.example:80", "a/b"])
def test_allowed_hosts_are_names(name: str) -> None:
    """What could never match is refused when the server is made."""
    with pytest.raises(ValueError, match="host name"):
        own_names([name])


# ---------------------------------------------------------------------- the server itself
def test_a_manager_stays_the_callers() -> None:
    """A manager that was open before is used, not closed; settings beside it are refused."""
    with palaver.open("memory://") as sessions:
        core = sessions._core
        made = palaver.AsyncSessionManager(core, Handover(core.store))
        with TestClient(app(made), base_url=BASE) as client:
            begin(client, "Hi", key="k")
        assert sessions.resolve("k").info().message_count == 1
        with pytest.raises(ValueError, match="settings"):
            app(made, settings=palaver.Settings())


def test_health_says_when_the_store_is_gone() -> None:
    """health is 503 as soon as the store cannot be read."""
    sessions = palaver.open("memory://")
    with TestClient(app(sessions._core.store), base_url=BASE) as client:
        assert client.get("/health").json()["status"] == "ok"
        sessions.close()
        assert problem(client.get("/health")) == (503, "store-closed")


def test_a_fault_of_the_server_is_a_problem(caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody expected is a 500 that shows nothing of itself, and is found in the log by its number."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            msg = "secret text"
            raise RuntimeError(msg)

    made = app("memory://")
    with TestClient(made, base_url=BASE) as client:
        made.state.sessions = Broken()
        with caplog.at_level(logging.ERROR, "palaver.server"):
            answer = client.get("/v1/stats")
    assert problem(answer) == (500, "internal-error")
    assert "secret" not in answer.text
    [record] = caplog.records
    assert (record.__dict__["action"], record.__dict__["operation"]) == ("http.error", "readStats")
    assert record.__dict__["error_id"] == answer.json()["instance"].removeprefix("urn:uuid:").replace("-", "")
    assert "secret" not in caplog.text


def test_the_log_has_no_content(http: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """A request is logged with its action, route and status, and nothing of what it says."""
    with caplog.at_level(logging.INFO, "palaver.server"):
        begin(http, "my secret", key="k")
    [record] = [r for r in caplog.records if r.name == "palaver.server"]
    assert (record.__dict__["action"], record.__dict__["route"], record.__dict__["status"]) == (
        "http.request",
        "/v1/turns",
        201,
    )
    assert "secret" not in caplog.text


def test_pages_about_itself(http: TestClient) -> None:
    """/ is a page of its own files alone, /docs the routes as text, /openapi.json the document, /problems/… types."""
    front = http.get("/")
    assert front.headers["content-type"].startswith("text/html")
    assert "http" not in front.text.replace(f"{BASE}/v1/turns", "").replace("HTTP", "")
    assert "default-src 'none'" in front.headers["content-security-policy"]
    assert "/v1/turns/{turn_id}/finish" in http.get("/docs").text
    assert http.get("/openapi.json").json()["openapi"] == "3.1.0"
    assert http.get("/problems/turn-lost").json()["status"] == 409
    assert problem(http.get("/problems/nothing")) == (404, "not-found")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
likely = st.fixed_dictionaries(
    {},
    optional={
        "key": json_values | st.just("k"),
        "origin": json_values | st.just(ORIGIN),
        "session_id": json_values,
        "message": json_values
        | st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "tool", "system", "x"])},
            optional=dict.fromkeys(("content", "parts", "metadata", "usage", "id", "flags", "tokens"), json_values),
        ),
        "wire": st.just("openai_chat") | json_values,
        "on_busy": st.just("store"),
        "timeout": st.just(0),
        "render": st.just("openai_chat") | json_values,
    },
)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[TestClient]:
    """One application for all examples of a property."""
    with TestClient(app("memory://"), base_url=BASE, raise_server_exceptions=True) as client:
        yield client


@given(body=likely | json_values)
def test_no_body_is_a_fault_of_the_server(fuzzed: TestClient, body: Any) -> None:
    """Whatever JSON comes, the answer is a turn or a problem of the request, never a 5xx; and reads still work."""
    answer = fuzzed.post("/v1/turns", content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code < 500
    assert answer.status_code < 300 or problem(answer)
    if answer.status_code == 201:
        turn = answer.json()
        shown = fuzzed.get(f"/v1/sessions/{turn['session_id']}/window", params={"wire": "openai_chat"})
        assert shown.status_code == 200
        assert fuzzed.post(f"/v1/turns/{turn['id']}/finish").status_code == 200
