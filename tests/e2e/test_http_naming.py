"""Finding and naming sessions over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from palaver.server import app
from tests.e2e.asking import BASE, problem


@pytest.fixture
def http() -> Iterator[TestClient]:
    """The application in this process, over an empty store."""
    with TestClient(app("memory://"), base_url=BASE) as client:
        yield client


def refused(answer: Any, status: int, slug: str) -> dict[str, Any]:
    """The problem that a request was answered with."""
    assert problem(answer) == (status, slug)
    told: dict[str, Any] = answer.json()
    return told


def made(http: TestClient, title: str) -> str:
    """Id of a new session of that title."""
    answer = http.post("/v1/sessions", json={"title": title})
    assert answer.status_code == 201
    session_id: str = answer.json()["id"]
    return session_id


def test_a_session_is_found_by_its_name(http: TestClient) -> None:
    """By title and by beginning; of several, all are named for a program and a person."""
    rome, oslo = made(http, "Trip to Rome"), made(http, "Trip to Oslo")
    for name, wanted in (("trip to rome", rome), ("Trip to O", oslo), (rome[:-1], rome), (oslo, oslo)):
        answer = http.get("/v1/find", params={"name": name})
        assert (answer.status_code, answer.json()["id"]) == (200, wanted)
    told = refused(http.get("/v1/find", params={"name": "trip"}), 409, "session-ambiguous")
    assert {each["id"]: each["title"] for each in told["candidates"]} == {rome: "Trip to Rome", oslo: "Trip to Oslo"}
    refused(http.get("/v1/find", params={"name": "Paris"}), 404, "session-not-found")
    refused(
        http.get("/v1/find", params={"name": "trip to rome"}, headers={"Palaver-Owner": "ann"}),
        404,
        "session-not-found",
    )
    assert http.get(f"/v1/sessions/{rome[:-1]}").status_code == 404, "paths name sessions by whole ids only"


def test_a_session_is_given_aliases(http: TestClient) -> None:
    """One more each time, said twice it is one; another session's is refused, and so is a blank one."""
    rome, oslo = made(http, "Rome"), made(http, "Oslo")
    for name in ("trip", "a/b", "trip"):
        answer = http.post(f"/v1/sessions/{rome}/aliases", json={"alias": name})
        assert (answer.status_code, answer.json()["id"]) == (200, rome)
    assert answer.headers["ETag"] == http.get("/v1/sessions/trip").headers["ETag"]
    told = http.get("/v1/sessions/a%2Fb").json()
    assert (told["id"], told["aliases"]) == (rome, ["a/b", "trip"])
    taken = refused(http.post(f"/v1/sessions/{oslo}/aliases", json={"alias": "trip"}), 409, "session-conflict")
    assert rome in taken["detail"]
    refused(http.post(f"/v1/sessions/{oslo}/aliases", json={"alias": " "}), 422, "invalid-request")
    refused(http.post(f"/v1/sessions/{oslo}/aliases", json={"alias": "a\0"}), 422, "invalid-key")
    assert http.get(f"/v1/sessions/{oslo}").json()["aliases"] == []


def test_lists_are_narrowed(http: TestClient) -> None:
    """By tag, title, platform and marks."""
    path = f"/v1/sessions/{made(http, 'Trip to Rome')}"
    made(http, "Taxes")
    http.patch(path, json={"tags": ["travel"], "pinned": True})
    for query in ({"tag": "travel"}, {"title": "rome"}, {"pinned": "true"}):
        listed = http.get("/v1/sessions", params={**query, "include_empty": "true"}).json()["sessions"]
        assert [session["title"] for session in listed] == ["Trip to Rome"]
    nothing = http.get("/v1/sessions", params={"platform": "telegram", "include_empty": "true"})
    assert nothing.json()["sessions"] == []


def test_a_key_resumes_by_name(http: TestClient) -> None:
    """As a person would say it in a chat; a key is no name."""
    rome = made(http, "Trip to Rome")
    answer = http.post("/v1/keys/resume", json={"key": "k", "session_id": "trip to"})
    assert (answer.status_code, answer.json()["id"], answer.json()["keys"]) == (200, rome, ["k"])
    told = refused(http.post("/v1/keys/resume", json={"key": "j", "session_id": "k"}), 404, "session-not-found")
    assert "POST /v1/keys/resolve" in told["detail"]


def test_titles_are_numbered_and_know_their_source(http: TestClient) -> None:
    """A taken one is refused with the next that is free; a generated one gives way to the user's own."""
    made(http, "Rome")
    path = f"/v1/sessions/{made(http, 'Oslo')}"
    told = refused(http.patch(path, json={"title": "Rome"}), 409, "session-conflict")
    assert "'Rome #2', which is free" in told["detail"]
    assert http.patch(path, json={"title": "Rome", "title_numbered": True}).json()["title"] == "Rome #2"
    kept = http.patch(path, json={"title": "A guess", "title_source": "generated"}).json()
    assert (kept["title"], kept["title_source"]) == ("Rome #2", "user")
    assert http.patch(path, json={"title_numbered": True}).status_code == 422
