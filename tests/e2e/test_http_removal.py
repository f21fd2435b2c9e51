"""Taking sessions away over HTTP: delete and restore, purge, erase."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from palaver.server import app
from tests.e2e.asking import BASE, begin, problem

ANA = {"Palaver-Owner": "ana"}


@pytest.fixture
def http() -> Iterator[TestClient]:
    """The application in this process, over an empty store."""
    with TestClient(app("memory://"), base_url=BASE) as client:
        yield client


def talk(http: TestClient, key: str = "k", **headers: str) -> str:
    """Path of a session with two messages."""
    path: str = http.post("/v1/sessions", json={"key": key}, headers=headers).headers["location"]
    said = [{"role": "user", "content": "one", "id": "m1"}, {"role": "assistant", "content": "first"}]
    assert http.post(f"{path}/messages", json={"messages": said}, headers=headers).status_code == 201
    return path


def test_delete_and_restore(http: TestClient) -> None:
    """A deleted session is 404, its key is free; restored it is there whole, and cannot be restored twice."""
    path = talk(http)
    answer = http.request("DELETE", path)
    assert answer.json() == {"session_id": path.rpartition("/")[2], "messages": 2, "restorable": True}
    assert problem(http.get(path)) == (404, "session-not-found")
    assert problem(http.request("DELETE", path)) == (404, "session-not-found")
    assert problem(http.post("/v1/keys/resolve", json={"key": "k"})) == (404, "session-not-found")
    restored = http.post(f"{path}/restore")
    assert (restored.status_code, restored.json()["message_count"]) == (200, 2)
    assert problem(http.post(f"{path}/restore")) == (409, "session-conflict")


def test_deleting_minds_the_version(http: TestClient) -> None:
    """With the ETag of before a change it is 412, and nothing is deleted."""
    path = talk(http)
    old = http.get(path).headers["etag"]
    http.patch(path, json={"title": "Rome"})
    assert problem(http.request("DELETE", path, headers={"If-Match": old})) == (412, "precondition-failed")
    new = http.get(path).headers["etag"]
    assert http.request("DELETE", path, headers={"If-Match": new}).status_code == 200


def test_purging_messages(http: TestClient) -> None:
    """A range goes for good, and its numbers are not given again; half a range is no range."""
    path = talk(http)
    assert problem(http.post(f"{path}/purge", json={"from_seq": 1})) == (422, "invalid-request")
    assert http.post(f"{path}/purge", json={"from_seq": 1, "through_seq": 1}).json()["messages"] == 1
    assert [m["seq"] for m in http.get(f"{path}/messages?live=false").json()["messages"]] == [2]


def test_purging_a_session_must_be_meant(http: TestClient) -> None:
    """Without its id said once more nothing happens; a deleted one can be purged, and then not restored."""
    path = talk(http)
    session_id = path.rpartition("/")[2]
    for body in ({}, {"confirm": "yes"}):
        assert problem(http.post(f"{path}/purge", json=body)) == (422, "invalid-request")
    http.request("DELETE", path)
    done = http.post(f"{path}/purge", json={"confirm": session_id}).json()
    assert done == {"session_id": session_id, "messages": 2, "restorable": False}
    assert problem(http.post(f"{path}/restore")) == (404, "session-not-found")


def test_erasing_a_person(http: TestClient) -> None:
    """First what would go, then it goes; the redelivered message is 410, and the person may begin anew."""
    turn = begin(http, {"role": "user", "content": "secret", "id": "tg-1"})
    assert problem(http.post("/v1/erase", json={})) == (422, "invalid-request")
    for user in ("telegram:7", {"platform": "telegram", "user_id": "7"}):
        told = http.post("/v1/erase", json={"user": user, "dry_run": True}).json()
        assert (told["dry_run"], told["sessions"], told["counts"]["messages"]) == (True, [turn["session_id"]], 1)
    done = http.post("/v1/erase", json={"user": "telegram:7"}).json()
    assert (done["sessions"], done["counts"]["messages"], done["scrub"]["done"]) == ([turn["session_id"]], 1, True)
    late = http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "late"})
    assert problem(late) == (404, "session-not-found")
    again = {"origin": {"platform": "telegram", "chat_id": "42", "user_id": "7"}}
    redelivered = http.post("/v1/turns", json={**again, "message": {"role": "user", "content": "secret", "id": "tg-1"}})
    assert problem(redelivered) == (410, "content-erased")
    assert begin(http, "hello")["session_id"] != turn["session_id"]
    [record] = http.get("/v1/erasures").json()["erasures"]
    assert record["ended_at"]
    assert record["scrubbed_at"]
    assert record["counts"]["messages"] == 1


def test_an_owner_erases_what_is_theirs(http: TestClient) -> None:
    """In another's name it is refused; what others have stays, and the record of it is the operator's."""
    mine, others = talk(http, **ANA), talk(http)
    refused = http.post("/v1/erase", json={"owner": "bo"}, headers=ANA)
    assert problem(refused) == (422, "invalid-request")
    assert problem(http.post("/v1/erase", json={"session": others.rpartition("/")[2]}, headers=ANA))[0] == 404
    done = http.post("/v1/erase", json={"owner": "ana", "scrub": False}, headers=ANA).json()
    assert (done["sessions"], done["scrub"]) == ([mine.rpartition("/")[2]], None)
    assert http.get("/v1/sessions", headers=ANA).json()["sessions"] == []
    assert http.get(others).status_code == 200
    assert http.get("/v1/erasures", headers=ANA).json()["erasures"] == []
    assert http.post("/v1/scrub").json()["done"]
