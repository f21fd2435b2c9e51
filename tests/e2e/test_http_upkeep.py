"""Sweeping over HTTP, what is to be done before a reset, and the server's own sweeps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import user
from palaver.reset import ResetPolicy
from palaver.server import app
from palaver.settings import Settings
from tests.e2e.asking import BASE, problem

PATIENCE = 60.0


@pytest.fixture
def http() -> Iterator[TestClient]:
    """The application over an empty store, whose resets leave to-dos."""
    settings = Settings(before_reset=True)
    with TestClient(app("memory://", settings=settings), base_url=BASE) as client:
        yield client


def talked(http: TestClient, key: str) -> str:
    """A session with one message under a key; gives its id."""
    made: str = http.post("/v1/sessions", json={"key": key}).json()["id"]
    answer = http.post(f"/v1/sessions/{made}/messages", json={"messages": [{"role": "user", "content": "hi"}]})
    assert answer.status_code == 201
    return made


def test_a_sweep_and_its_dry_run(http: TestClient) -> None:
    """Both say what and why; only one does it."""
    old = talked(http, "k")
    body = {"delete_after_seconds": 0, "dry_run": True}
    dry = http.post("/v1/sweep", json=body).json()
    assert (dry["dry_run"], dry["counts"], dry["more"], dry["changed"]) == (True, {"delete": 1}, False, 0)
    [action] = dry["actions"]
    assert (action["what"], action["session_id"]) == ("delete", old)
    assert http.get(f"/v1/sessions/{old}").status_code == 200
    wet = http.post("/v1/sweep", json={**body, "dry_run": False}).json()
    assert wet["actions"] == dry["actions"]
    assert problem(http.get(f"/v1/sessions/{old}")) == (404, "session-not-found")


def test_a_sweep_without_a_body(http: TestClient) -> None:
    """Does what nobody can miss."""
    talked(http, "k")
    assert http.post("/v1/sweep").json()["actions"] == []


def test_an_owner_sweeps_their_own(http: TestClient) -> None:
    """Never what is another's."""
    talked(http, "k")
    answer = http.post("/v1/sweep", json={"delete_after_seconds": 0}, headers={"Palaver-Owner": "ann"})
    assert answer.json()["actions"] == []


@pytest.mark.parametrize(
    "wrong", [{"delete_after_seconds": -1}, {"limit": 0}, {"max_bytes": -5}, {"delete_after": 5}, {"expire": "yes"}]
)
def test_what_cannot_be_swept(http: TestClient, wrong: dict[str, object]) -> None:
    """Is refused, and nothing is done."""
    assert problem(http.post("/v1/sweep", json=wrong)) == (422, "invalid-request")


def test_a_todo_from_its_claim_to_its_end(http: TestClient) -> None:
    """Listed, claimed by one, failed, claimed again, done."""
    old = talked(http, "k")
    assert http.post(f"/v1/sessions/{old}/reset").status_code == 201
    [todo] = http.get("/v1/todos").json()["todos"]
    assert (todo["session_id"], todo["reason"], todo["through_seq"]) == (old, "manual", 1)
    path = f"/v1/todos/{old}"
    claimed = http.post(f"{path}/claim", json={"lease_seconds": 60}).json()
    assert claimed["state"] == "claimed"
    assert problem(http.post(f"{path}/claim")) == (409, "session-busy")
    assert http.get("/v1/todos").json() == {"todos": []}
    assert http.get("/v1/todos?given_up=true").json() == {"todos": []}
    assert problem(http.post(f"{path}/acknowledge", json={"token": "stolen"})) == (409, "session-conflict")
    failed = http.post(f"{path}/fail", json={"token": claimed["token"], "reason": "no model"}).json()
    assert (failed["state"], failed["failures"], failed["error"]) == ("waiting", 1, "no model")
    again = http.post(f"{path}/claim").json()
    end = {"token": again["token"], "through_seq": again["through_seq"]}
    assert http.post(f"{path}/acknowledge", json=end).json()["state"] == "done"
    assert http.post(f"{path}/acknowledge", json=end).json()["state"] == "done"
    assert problem(http.post(f"{path}/claim")) == (409, "session-conflict")
    assert problem(http.post("/v1/todos/nobody/claim")) == (404, "session-not-found")
    assert problem(http.post(f"{path}/fail", json={"token": "x", "reason": " "})) == (422, "invalid-request")


def test_the_server_sweeps_by_itself() -> None:
    """As often as it is told, by the policy that it is given."""
    store = palaver.stores.open_store("memory://")
    settings = Settings(reset_policy=ResetPolicy(idle=timedelta(milliseconds=1)))
    with palaver.open(store) as sessions:
        sessions.get_or_create("k").append(user("hi"))
        old = sessions.resolve("k").id
        with TestClient(app(store, settings=settings, sweep_every=timedelta(milliseconds=5)), base_url=BASE) as client:
            deadline = time.monotonic() + PATIENCE
            while "expired" not in [each["kind"] for each in client.get("/v1/events").json()["events"]]:
                assert time.monotonic() < deadline, "it never swept"
            assert client.get(f"/v1/sessions/{old}").json()["end_reason"] == "reset"


def test_an_interval_of_nothing() -> None:
    """Is refused before anything is opened."""
    with pytest.raises(ValueError, match="sweep_every"):
        app("memory://", sweep_every=timedelta(0))
