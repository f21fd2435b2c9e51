"""Rewriting and forking over HTTP, and what is kept about a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from palaver.server import app, removal
from palaver.server.routes import ENDPOINTS
from tests.e2e.asking import BASE, begin, problem, texts

TALK = [
    {"role": "user", "content": "one", "id": "m1"},
    {"role": "assistant", "content": "first"},
    {"role": "user", "content": "two", "id": "m2"},
    {"role": "assistant", "content": "second"},
]
CHANGES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/fork", {}),
    ("POST", "/rewind", {}),
    ("POST", "/redo", None),
    ("POST", "/retry", {}),
    ("POST", "/truncate", {"after": 1}),
    ("POST", "/retain", {"last": 1}),
    ("POST", "/clear", None),
    ("POST", "/replace", {"messages": TALK}),
    ("PATCH", "/messages/1", {"content": "x"}),
    ("DELETE", "/messages/1", None),
    ("POST", "/aliases", {"alias": "z"}),
    ("PATCH", "", {"title": "x"}),
]
"""Every route that rewrites, with a body that it takes."""


@pytest.fixture
def http() -> Iterator[TestClient]:
    """The application in this process, over an empty store."""
    with TestClient(app("memory://"), base_url=BASE) as client:
        yield client


@pytest.fixture
def path(http: TestClient) -> str:
    """Path of a session with two exchanges."""
    made: str = http.post("/v1/sessions", json={"alias": "talk"}).headers["location"]
    assert http.post(f"{made}/messages", json={"messages": TALK}).status_code == 201
    return made


def live(http: TestClient, path: str) -> list[str]:
    """What is live in a session."""
    return texts(http.get(f"{path}/messages").json()["messages"])


def done(answer: Any, status: int = 200) -> Any:
    """What a change answered; the ETag that it names is that of the session now."""
    assert answer.status_code == status, answer.text
    assert answer.headers["etag"]
    return answer.json()


# ---------------------------------------------------------------------- whose session it is
def test_every_rewriting_route_is_tried() -> None:
    """The cases of this module are the routes that there are, so that a new one is tried for foreign owners too."""
    beneath = "/v1/sessions/{session_id}"
    tried = {(method, beneath + end.replace("/1", "/{seq}")) for method, end, _ in CHANGES}
    older = {"/reset", "/messages", "/compact", "/compaction/withdraw"}  # see test_http.py, test_compaction.py
    older |= {"/messages/{seq}/merge", "/subagents"}  # see below, and test_subagents.py
    there = {
        (each.method, each.path)
        for each in ENDPOINTS
        if each.method != "GET" and each.path.startswith(beneath) and each.path.removeprefix(beneath) not in older
        if each not in removal.ENDPOINTS  # see test_http_removal.py
    }
    assert tried == there


@pytest.mark.parametrize(("method", "end", "body"), [*CHANGES, ("GET", "/messages/1/versions", None)])
def test_sessions_of_others_are_not_found(http: TestClient, method: str, end: str, body: dict[str, Any] | None) -> None:
    """Another owner's session is 404 by id and alias, as one that there is not; nothing of it changes."""
    ana, bo = {"Palaver-Owner": "ana"}, {"Palaver-Owner": "bo"}
    path = http.post("/v1/sessions", json={"alias": "trip"}, headers=ana).headers["location"]
    http.post(f"{path}/messages", json={"messages": TALK}, headers=ana)
    before = http.get(path, headers=ana).headers["etag"]
    for other in (path, "/v1/sessions/trip", "/v1/sessions/nobody"):
        answer = http.request(method, f"{other}{end}", json=body, headers=bo)
        assert problem(answer) == (404, "session-not-found")
    assert http.get(path, headers=ana).headers["etag"] == before
    assert http.get("/v1/sessions", headers=bo).json()["sessions"] == []


def test_a_fork_is_its_owners(http: TestClient) -> None:
    """A fork that the operator makes belongs to the owner of what it copies."""
    ana, bo = {"Palaver-Owner": "ana"}, {"Palaver-Owner": "bo"}
    path = http.post("/v1/sessions", json={}, headers=ana).headers["location"]
    http.post(f"{path}/messages", json={"messages": TALK}, headers=ana)
    fork = http.post(f"{path}/fork").headers["location"]
    assert http.get(fork, headers=ana).json()["owner"] == "ana"
    assert problem(http.get(fork, headers=bo)) == (404, "session-not-found")


def test_who_has_not_seen_the_session_as_it_is_takes_nothing_back(http: TestClient, path: str) -> None:
    """If-Match guards a rewind, a redo and a truncation too."""
    old = http.get(path).headers["etag"]
    assert http.patch(path, json={"title": "Rome"}).status_code == 200
    for end, body in (("rewind", {}), ("truncate", {"after": 1}), ("redo", None)):
        answer = http.post(f"{path}/{end}", json=body, headers={"If-Match": old})
        assert problem(answer) == (412, "precondition-failed")
    assert live(http, path) == ["one", "first", "two", "second"]
    now = http.get(path).headers["etag"]
    assert http.post(f"{path}/rewind", headers={"If-Match": now}).status_code == 200
    assert live(http, path) == ["one", "first"]


# ---------------------------------------------------------------------- forks
def test_a_fork_shares_nothing(http: TestClient, path: str) -> None:
    """A fork has copies through a position, and its own life after; without a body it has all."""
    fork = http.post(f"{path}/fork", json={"at": 2, "title": "By train"})
    made = done(fork, 201)
    assert (made["title"], made["parent_kind"]) == ("By train", "fork")
    there = fork.headers["location"]
    assert there == f"/v1/sessions/{made['id']}"
    assert live(http, there) == ["one", "first"]
    http.post(f"{there}/messages", json={"messages": [{"role": "user", "content": "mine"}]})
    assert live(http, path) == ["one", "first", "two", "second"]
    assert live(http, http.post(f"{path}/fork").headers["location"]) == ["one", "first", "two", "second"]
    assert problem(http.post(f"{path}/fork", json={"title": "By train"})) == (409, "session-conflict")


# ---------------------------------------------------------------------- what is live
def test_rewind_and_redo(http: TestClient, path: str) -> None:
    """The newest turn is taken back and named, and brought back; then there is nothing to bring back."""
    taken = done(http.post(f"{path}/rewind"))
    assert texts(taken["messages"]) == ["two", "second"]
    assert live(http, path) == ["one", "first"]
    assert done(http.post(f"{path}/redo")) == {"from_seq": 3, "through_seq": 4, "count": 2}
    assert live(http, path) == ["one", "first", "two", "second"]
    assert problem(http.post(f"{path}/redo")) == (409, "session-conflict")
    assert texts(done(http.post(f"{path}/rewind", json={"turns": 9}))["messages"])[0] == "one"
    assert done(http.post(f"{path}/rewind"))["messages"] == []


@pytest.mark.parametrize(
    ("verb", "body", "left"),
    [
        ("truncate", {"after": 3}, ["one", "first", "two"]),
        ("truncate", {"after": 0}, []),
        ("truncate", {"after": 2**53}, ["one", "first", "two", "second"]),
        ("retain", {"last": 3}, ["two", "second"]),
        ("retain", {"last": 2**53}, ["one", "first", "two", "second"]),
        ("clear", None, []),
    ],
)
def test_cuts(http: TestClient, path: str, verb: str, body: dict[str, Any] | None, left: list[str]) -> None:
    """What is kept is live, the rest is stored; the answer is the session with its new count."""
    said = done(http.post(f"{path}/{verb}", json=body))
    assert said["message_count"] == len(left)
    assert live(http, path) == left
    assert len(http.get(f"{path}/messages", params={"live": "false"}).json()["messages"]) == 4


def test_replacing_all(http: TestClient, path: str) -> None:
    """Messages stand in the place of all that was live, guarded by the position that the caller has seen."""
    body = {"messages": [{"role": "user", "content": "anew", "id": "m1"}], "expected_seq": 4}
    assert done(http.post(f"{path}/replace", json=body), 201)["seqs"] == [5]
    assert live(http, path) == ["anew"]
    late = http.post(f"{path}/replace", json=body)
    assert problem(late) == (409, "session-conflict")
    assert late.json()["actual"] == 5
    on_wire = {"wire": "openai_chat", "messages": [{"role": "user", "content": "by wire"}]}
    assert done(http.post(f"{path}/replace", json=on_wire), 201)["seqs"] == [6]
    assert live(http, path) == ["by wire"]


# ---------------------------------------------------------------------- one message
def test_editing_keeps_versions(http: TestClient, path: str) -> None:
    """An edit changes what a message says and nothing else of it; what it said before is a version."""
    assert http.get(f"{path}/messages/3/versions").json() == {"messages": [], "corrupt": []}
    said = done(http.patch(f"{path}/messages/3", json={"content": "zwei"}))["message"]
    assert (said["seq"], said["id"], texts([said])) == (3, "m2", ["zwei"])
    parts = [{"kind": "text", "text": "drei"}]
    assert done(http.patch(f"{path}/messages/3", json={"content": parts}))["message"]["parts"] == parts
    assert live(http, path) == ["one", "first", "drei", "second"]
    assert texts(http.get(f"{path}/messages/3/versions").json()["messages"]) == ["two", "zwei"]


def test_editing_on_a_wire(http: TestClient, path: str) -> None:
    """A provider's message takes the place of one of the same role, and of no other."""
    message = {"role": "assistant", "content": "erstens"}
    body = {"wire": "openai_chat", "message": message}
    assert texts([done(http.patch(f"{path}/messages/2", json=body))["message"]]) == ["erstens"]
    payload = http.get(f"{path}/window", params={"wire": "openai_chat"}).json()["payload"]
    assert payload["messages"][1] == message
    assert problem(http.patch(f"{path}/messages/1", json=body)) == (422, "invalid-message")


def test_half_characters_in_an_edit_are_listed(http: TestClient, path: str) -> None:
    """What had to be mended is said, as everywhere."""
    answer = http.patch(
        f"{path}/messages/1", content=rb'{"content": "x\ud83d"}', headers={"Content-Type": "application/json"}
    )
    assert texts([answer.json()["message"]]) == ["x\ufffd"]
    assert [each["path"] for each in answer.json()["repairs"]] == ["$.content"]


def test_deleting_a_message(http: TestClient, path: str) -> None:
    """A deleted message is live no more and comes back with redo; the session is answered, with its new ETag."""
    answer = http.delete(f"{path}/messages/2")
    assert done(answer)["message_count"] == 3
    assert live(http, path) == ["one", "two", "second"]
    assert http.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    http.post(f"{path}/redo")
    assert live(http, path) == ["one", "first", "two", "second"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_changing_a_message_that_changed(http: TestClient, path: str, method: str) -> None:
    """If-Match guards an edit and a deletion: by a version that is gone nothing is changed, also where nothing is."""
    old = http.get(path).headers["etag"]
    new = http.patch(f"{path}/messages/1", json={"content": "eins"}, headers={"If-Match": old}).headers["etag"]
    body = {"content": "uno"} if method == "PATCH" else None

    def change(seq: int, etag: str) -> Any:
        return http.request(method, f"{path}/messages/{seq}", json=body, headers={"If-Match": etag})

    assert problem(change(1, old)) == (412, "precondition-failed")
    assert problem(change(9, old)) == (412, "precondition-failed")
    assert problem(change(9, new)) == (409, "session-conflict")
    assert problem(change(1, "x")) == (400, "bad-request")
    assert live(http, path)[0] == "eins"
    assert change(1, new).status_code == 200


@pytest.mark.parametrize("seq", ["0", "-1", "x", "1.0", "9" * 30, "%D9%A1"])
def test_positions_that_are_none(http: TestClient, path: str, seq: str) -> None:
    """What is no position is refused, wherever one is named."""
    for method, end, body in (("PATCH", "", {"content": "x"}), ("DELETE", "", None), ("GET", "/versions", None)):
        answer = http.request(method, f"{path}/messages/{seq}{end}", json=body)
        assert problem(answer) == (422, "invalid-request")
        assert answer.json()["path"] == "seq"


def test_a_continuation_is_merged(http: TestClient, path: str) -> None:
    """Into the answer, for whoever knows how the session is; redo makes them two again."""
    url = f"{path}/messages/2/merge"
    assert problem(http.post(url, json={"continuation": 4}, headers={"If-Match": '"9.9"'}))[0] == 412
    answer = done(http.post(url, json={"continuation": 4, "separator": ", "}))
    assert (answer["message"]["seq"], answer["message"]["parts"][0]["text"]) == (2, "first, second")
    assert live(http, path) == ["one", "first, second"]
    assert done(http.post(f"{path}/redo"))["count"] == 2
    assert live(http, path) == ["one", "first", "two", "second"]
    assert problem(http.post(url, json={"continuation": 3})) == (409, "session-conflict")
    assert problem(http.post(url, json={})) == (422, "invalid-request")
    assert problem(http.post(f"{path}/messages/x/merge", json={"continuation": 4})) == (422, "invalid-request")


# ---------------------------------------------------------------------- what is in the way
@pytest.mark.parametrize(
    ("method", "end", "body"),
    [each for each in CHANGES if each[1] in {"/rewind", "/clear", "/replace"} or each[1].startswith("/messages")],
)
def test_a_running_turn_is_in_the_way(http: TestClient, method: str, end: str, body: dict[str, Any] | None) -> None:
    """What a running turn works on is not changed beneath it, and the answer says how long it may last."""
    turn = begin(http, "one", key="k")
    path = f"/v1/sessions/{turn['session_id']}"
    answer = http.request(method, f"{path}{end}", json=body)
    assert problem(answer) == (409, "session-busy")
    assert answer.json()["expires_at"]
    assert live(http, path) == ["one"]


def test_an_ended_session_is_not_rewritten(http: TestClient) -> None:
    """A session that was left is 409 for every change of its transcript; it can be forked and named."""
    path = http.post("/v1/sessions", json={"key": "k"}).headers["location"]
    http.post(f"{path}/messages", json={"messages": TALK})
    http.post(f"{path}/reset")
    for method, end, body in CHANGES:
        answer = http.request(method, f"{path}{end}", json=body)
        if end in {"", "/fork", "/aliases"}:
            assert answer.status_code in {200, 201}
        else:
            assert problem(answer) == (409, "session-ended"), end


@pytest.mark.parametrize(
    ("end", "body"),
    [
        ("/rewind", {"turns": 0}),
        ("/truncate", {}),
        ("/truncate", {"after": -1}),
        ("/retain", {"last": 0}),
        ("/replace", {"messages": []}),
        ("/fork", {"at": -1}),
        ("/fork", {"title": " "}),
        ("/clear", {"all": True}),
    ],
)
def test_changes_that_are_refused(http: TestClient, path: str, end: str, body: dict[str, Any]) -> None:
    """What cannot be meant is refused before anything changes."""
    assert problem(http.post(f"{path}{end}", json=body)) == (422, "invalid-request")
    assert len(live(http, path)) == 4


# ---------------------------------------------------------------------- what is kept about a session
def test_patching_all_at_once(http: TestClient, path: str) -> None:
    """Title, tags, archived, pinned and metadata change together, in one version; what is left out stays."""
    before = http.get(path).json()["rev"]
    body = {"title": "Rome", "tags": ["trip", "trip", "rail"], "archived": True, "pinned": True, "metadata": {"a": 1}}
    made = done(http.patch(path, json=body))
    assert made["rev"] == before + 1
    assert {name: made[name] for name in body} == {**body, "tags": ["trip", "rail"]}
    assert http.get("/v1/sessions").json()["sessions"] == []
    later = done(http.patch(path, json={"archived": False, "title": None}))
    assert {name: later[name] for name in body} == {**body, "tags": ["trip", "rail"], "archived": False, "title": None}


def test_a_title_that_is_taken(http: TestClient, path: str) -> None:
    """Another session's title is a conflict that changes nothing, and no failed precondition."""
    http.post("/v1/sessions", json={"title": "Rome"})
    etag = http.get(path).headers["etag"]
    answer = http.patch(path, json={"title": "Rome", "pinned": True}, headers={"If-Match": etag})
    assert problem(answer) == (409, "session-conflict")
    assert http.get(path).headers["etag"] == etag


@pytest.mark.parametrize(
    "body",
    [{}, {"metadata": None}, {"title": ""}, {"title": " \n"}, {"tags": None}, {"tags": [""]}, {"archived": 1}],
)
def test_patches_that_are_refused(http: TestClient, path: str, body: dict[str, Any]) -> None:
    """What changes nothing, or cannot be, is refused."""
    assert problem(http.patch(path, json=body)) == (422, "invalid-request")


@pytest.mark.parametrize("body", [{"title": "a\x00b"}, {"tags": ["a\x00b"]}])
def test_names_that_no_store_could_keep(http: TestClient, path: str, body: dict[str, Any]) -> None:
    """A NUL in a title or a tag is refused as in a key."""
    assert problem(http.patch(path, json=body)) == (422, "invalid-key")


# ---------------------------------------------------------------------- whatever comes
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
counts = st.integers(-1, 9) | json_values
likely = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("at", "turns", "after", "last", "expected_seq"), counts),
        **dict.fromkeys(("title", "tags", "archived", "pinned", "metadata", "content"), json_values),
        "messages": st.just(TALK) | json_values,
        "message": st.just(TALK[1]) | json_values,
        "wire": st.just("openai_chat") | json_values,
    },
)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[TestClient]:
    """One application for all examples of a property."""
    with TestClient(app("memory://"), base_url=BASE) as client:
        yield client


@given(change=st.sampled_from(CHANGES), body=likely | json_values)
def test_no_body_is_a_fault_of_the_server(
    fuzzed: TestClient, change: tuple[str, str, dict[str, Any] | None], body: Any
) -> None:
    """Whatever JSON comes, the answer is the change or a problem of the request, and a model may see what is left."""
    method, end, _ = change
    path = fuzzed.post("/v1/sessions", json={}).headers["location"]
    fuzzed.post(f"{path}/messages", json={"messages": TALK})
    content = json.dumps(body).encode()
    answer = fuzzed.request(method, f"{path}{end}", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, answer.text
    assert answer.status_code < 300 or problem(answer)
    assert fuzzed.get(f"{path}/window", params={"wire": "openai_chat"}).status_code == 200
