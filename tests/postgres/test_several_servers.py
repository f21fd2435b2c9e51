"""Three `palaver serve` processes on one PostgreSQL, behind a balancer that sends each request to the next of them."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest

import palaver
from tests.e2e.asking import begin
from tests.e2e.serving import SOURCE, Served, palaver_server
from tests.faults import kit
from tests.postgres.balancer import Balancer
from tests.servers.postgres import databases
from tests.waiting import until

SERVERS = 3
# So long do they wait for their turns when they are told to stop: longer than a test has patience.
PATIENT = "{'drain': __import__('datetime').timedelta(hours=1)}"


class Service(NamedTuple):
    """What the tests have of it."""

    url: str
    servers: list[Served]
    base: str
    keys: Path

    def client(self, **headers: str) -> httpx2.Client:
        """One who makes a connection for each request, so that each goes to another server."""
        return httpx2.Client(base_url=self.base, headers={"Connection": "close", **headers}, timeout=30)

    def direct(self, number: int) -> httpx2.Client:
        """One who asks a certain server."""
        return httpx2.Client(base_url=self.servers[number].base, timeout=30)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The servers, their balancer, and where their keys are."""
    there = databases()
    url = there.new()
    keys = tmp_path_factory.mktemp("keys") / "keys"
    with ExitStack() as stack:
        servers = [stack.enter_context(palaver_server(url, PATIENT, PALAVER_KEYS=str(keys))) for _ in range(SERVERS)]
        balancer = Balancer([urlsplit(server.base).port or 0 for server in servers])
        stack.callback(balancer.close)
        yield Service(url, servers, f"http://127.0.0.1:{balancer.port}", keys)
    there.drop(url)


def message(text: str, message_id: str | None = None) -> dict[str, Any]:
    """What a person said, with an id."""
    return {"role": "user", "parts": [{"kind": "text", "text": text}], "id": message_id or text}


def stored(client: httpx2.Client, session_id: str) -> list[str]:
    """The texts of a session."""
    answer = client.get(f"/v1/sessions/{session_id}/messages?limit=1000")
    assert answer.status_code == 200, answer.text
    return ["".join(part.get("text", "") for part in each["parts"]) for each in answer.json()["messages"]]


def test_a_turn_goes_from_server_to_server(service: Service) -> None:
    """Begun on one, gone on with on another, ended on the third; all hold to its lease and replay its answer."""
    hi = message("hi", "m1")
    with service.client() as http:
        turn = begin(http, hi, key="turn")
        said = http.post(f"/v1/turns/{turn['id']}/messages", json={"messages": [message("one")]})
        assert said.status_code in {200, 201}, said.text
        for _ in range(SERVERS):  # each of them: it is busy
            busy = http.post("/v1/turns", json={"key": "turn", "message": "more", "on_busy": "raise"})
            assert (busy.status_code, busy.json()["type"]) == (409, "/problems/session-busy")
        done = http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "yes"})
        assert done.status_code == 200, done.text
        for _ in range(SERVERS):
            again = http.post("/v1/turns", json={"key": "turn", "message": hi})
            assert again.status_code == 200, again.text
            assert again.json()["replayed"]
        assert stored(http, turn["session_id"]) == ["hi", "one", "yes"]


def test_a_message_with_an_id_is_stored_once_wherever_it_comes(service: Service) -> None:
    """That is the store's; an `Idempotency-Key` is each server's own, as the docs say."""
    with service.client() as http:
        session_id = http.post("/v1/sessions", json={"key": "once"}).json()["id"]
        body = {"messages": [message("hi", "x1")]}
        answers = [http.post(f"/v1/sessions/{session_id}/messages", json=body).json() for _ in range(2 * SERVERS)]
        assert [each["seqs"] for each in answers] == [[1]] * len(answers), answers
        assert stored(http, session_id) == ["hi"]
    made = {"Idempotency-Key": "k1"}
    with service.direct(0) as one, service.direct(1) as two:
        first, again, elsewhere = (
            client.post("/v1/sessions", json={}, headers=made).json()["id"] for client in (one, one, two)
        )
    assert first == again != elsewhere


def test_what_one_server_writes_is_heard_through_another(service: Service) -> None:
    """Each change once and in order, by who listens through whichever; and who comes back elsewhere misses none."""

    def heard(cursor: str, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        headers = {"accept": "text/event-stream", "last-event-id": cursor}
        with service.client() as http, http.stream("GET", "/v1/events", headers=headers) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:") and "kind" in (data := json.loads(line[5:])):
                    found.append(data)
                    if len(found) == count:
                        break
        return found

    with service.client() as http:
        cursor = http.get("/v1/events?limit=1000").json()["cursor"]
        listening = [list[dict[str, Any]]() for _ in range(SERVERS)]
        threads = [threading.Thread(target=lambda into=into: into.extend(heard(cursor, 7))) for into in listening]
        for thread in threads:
            thread.start()
        for number in range(3):
            turn = begin(http, f"q{number}", key="heard")
            assert http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "a"}).status_code == 200
        for thread in threads:
            thread.join(60)
        assert listening[0] == listening[1] == listening[2]
        assert [each["kind"] for each in listening[0]] == ["created", *["turn_begun", "turn_finished"] * 3]
        assert heard(listening[0][3]["cursor"], 3) == listening[0][4:]


def test_one_of_them_dies(service: Service) -> None:
    """Killed while all write: clients try again elsewhere, and every message that was answered for is there, once."""
    acknowledged: dict[str, list[str]] = {f"dies:{number}": [] for number in range(4)}
    ending = threading.Event()

    failed: list[BaseException] = []

    def send(http: httpx2.Client, path: str, body: dict[str, Any]) -> Any:
        """Until it is answered for."""
        while True:
            with suppress(httpx2.TransportError):
                answer = http.post(path, json=body)
                if answer.status_code != 503:
                    assert answer.status_code in {200, 201}, answer.text
                    return answer.json()

    def write(key: str) -> None:
        try:
            with service.client() as http:
                session_id = send(http, "/v1/sessions", {"key": key})["id"]
                for number in itertools.count():
                    text = f"{key}.{number}"
                    send(http, f"/v1/sessions/{session_id}/messages", {"messages": [message(text)]})
                    acknowledged[key].append(text)
                    if ending.is_set():
                        return
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    threads = [threading.Thread(target=write, args=(key,)) for key in acknowledged]
    for thread in threads:
        thread.start()

    def go_on(count: int) -> None:
        goals = {key: len(texts) + count for key, texts in acknowledged.items()}
        until(
            lambda: bool(failed) or all(len(acknowledged[key]) >= goal for key, goal in goals.items()),
            "the writers to go on",
        )

    go_on(10)
    service.servers[1].process.send_signal(signal.SIGKILL)
    service.servers[1].process.wait(60)
    go_on(15)
    ending.set()
    for thread in threads:
        thread.join(60)
    assert failed == []
    with palaver.open(service.url) as sessions:
        for key, texts in acknowledged.items():
            assert kit.texts(sessions, key) == texts
        assert sessions.check() == []


def test_a_server_does_not_wait_for_turns_that_were_ended_elsewhere(service: Service) -> None:
    """One that is told to stop goes on while a turn that began there runs, and not longer, wherever it was ended."""
    with ExitStack() as stack:
        server = stack.enter_context(palaver_server(service.url, PATIENT))
        one = stack.enter_context(httpx2.Client(base_url=server.base, timeout=30))
        another = stack.enter_context(service.direct(0))
        turn = begin(one, "hi", key="elsewhere")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: one.get("/readyz").status_code == 503, "the server to be told")
        assert server.process.poll() is None
        assert another.post(f"/v1/turns/{turn['id']}/finish", json={"message": "yes"}).status_code == 200
        assert server.process.wait(60) == 0


def test_keys_are_known_to_all(service: Service) -> None:
    """Made and revoked by `palaver keys` while they run; the file is theirs together."""

    def keys(*arguments: str) -> str:
        command = [sys.executable, "-m", "palaver", "keys", *arguments, "--file", str(service.keys)]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    running = (0, 2)

    def statuses(authorization: str) -> set[int]:
        found = set[int]()
        for number in running:
            with service.direct(number) as http:
                found.add(http.get("/v1/sessions", headers={"authorization": authorization}).status_code)
        return found

    assert statuses("") == {200}
    found = re.search(r"pal_[0-9a-z]{12}_[\w-]{43}", keys("create", "bot", "--may", "write"))
    assert found is not None
    authorization = f"Bearer {found[0]}"
    until(lambda: statuses("") == {401}, "all servers to ask for keys")
    assert statuses(authorization) == {200}
    keys("revoke", "bot")
    until(lambda: statuses(authorization) == {401}, "all servers to know that it is revoked")
