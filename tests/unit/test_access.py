"""Who may ask the server what: every route, asked with no key, wrong ones, and keys for less than it takes.

`NEEDS` says what each route takes. One that is added is asked too, and fails here until it is in the table: whoever
adds it decides who may use it.
"""

from __future__ import annotations

import base64
import logging
import os
import shlex
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import palaver
from palaver import Origin, assistant, user
from palaver.apikeys import KeyFile, keys_path, split_key
from palaver.server import Limits, app
from palaver.server.access import Access, Keys
from palaver.server.anthropic_style import ANTHROPIC
from palaver.server.families import Families
from palaver.server.openai_style import OPENAI
from palaver.server.pacing import Buckets, Guesses, Slower
from palaver.server.pages import trial
from palaver.server.routes import ENDPOINTS
from palaver.server.style import PROBLEMS, Style
from palaver.server.table import Endpoint
from tests.e2e.asking import BASE, problem

NOW = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)
HERS = Origin("telegram", chat_id="42", user_id="7")

OPEN = ["health"]
"""Asked by machines that have no key; they tell nothing of anybody."""
NEEDS = {
    "read": """
        getConversation getItem listItems listModels
        check exportAll exportSession findSession getSession getTurn listOpenTurns listSessions readChain
        readCompactionDraft readCompactionDue readEvents readMedia readMessages readSessionEvents readStats
        readTodos readUsage readVersions readWindow resolveKey search
    """.split(),
    "write": """
        addAlias createChatCompletion createConversation createItems createMessage createResponse
        deleteConversation deleteItem updateConversation
        acknowledgeTodo appendMessages appendToTurn beginTurn claimTodo clearSession compactSession
        createSession createSubagent deleteMessage deleteSession editMessage failTodo failTurn finishTurn
        forkSession importLines mergeMessage patchSession redoSession renewTurn replaceMessages resetKey
        resetSession restoreSession resumeKey retainSession retrySession rewindSession rollBackTurn takeInbox
        truncateSession withdrawSummary
    """.split(),
    "admin": "erase purgeSession".split(),
    "operator": "listBackups listErasures makeBackup repair scrub sweep".split(),
}
NEEDED = {name: needs for needs, names in NEEDS.items() for name in names}
GUARDED = [each for each in ENDPOINTS if each.name not in OPEN]


class Door:
    """A store with Ana's session in it, and a server that asks for keys."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/chat.db"
        with palaver.open(self.url) as sessions:
            mine = sessions.for_owner("ana")
            with mine.begin_turn(HERS, user("her secret", id="m1")) as turn:
                turn.finish(assistant("to ana"))
            self.session = mine.resolve(HERS).id
            self.turn = mine.begin_turn(HERS, user("running", id="m9")).id or ""
        self.file = KeyFile(keys_path(self.url))
        self.now = 0.0
        self.keys = {
            "reader": self.made("reader", may="read"),
            "writer": self.made("writer", may="write"),
            "admin": self.made("admin", may="admin"),
            "ana": self.made("ana", may="admin", owner="ana"),
            "bo": self.made("bo", may="admin", owner="bo"),
            "revoked": self.made("revoked", may="admin"),
            "expired": self.made("expired", may="admin", expires_at=NOW - timedelta(days=1)),
        }
        self.file.revoke("revoked", now=NOW)
        ids = {name: key.split("_")[1] for name, key in self.keys.items()}
        self.keys |= {
            "nonsense": "open sesame",
            "empty": "",
            "other secret": self.keys["admin"][:-4] + "AAAA",
            "unknown": f"pal_{'0' * 12}_{'A' * 43}",
            "crossed": f"pal_{ids['admin']}_{self.keys['bo'].split('_', 2)[2]}",
        }

    def made(self, name: str, **more: Any) -> str:
        """A new key."""
        return self.file.create(name, now=NOW, **more)[1]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Door:
    """One store for all tests that change nothing."""
    return Door(tmp_path_factory.mktemp("door"))


@pytest.fixture
def http(door: Door) -> Iterator[TestClient]:
    """A server over it."""
    with TestClient(app(door.url, keys=door.file.path), base_url=BASE) as client:
        yield client


def ask(client: TestClient, door: Door, endpoint: Endpoint, key: str | None, **headers: str) -> Any:
    """Ask a route for Ana's things, with a key or without."""
    path = endpoint.path.format(
        session_id=door.session,
        turn_id=door.turn,
        seq=1,
        address="0" * 64 + "-1",
        conversation_id=f"conv_{door.session}",
        item_id="msg_1",
    )
    body = dict(endpoint.example or {}) if endpoint.bodies else {}
    for name in {"session_id", "session"} & body.keys():
        body[name] = door.session
    content: dict[str, Any] = {"json": body} if endpoint.bodies else {}
    if endpoint.takes:
        content = {"content": endpoint.example}
        headers["Content-Type"] = endpoint.takes[0]
    query = {"search": {"text": "secret"}, "findSession": {"name": door.session}}.get(endpoint.name, {})
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return client.request(endpoint.method, path, params=query, headers=headers, **content)


def refused(answer: Any, endpoint: Endpoint) -> tuple[int, str]:
    """What a refusal says, in the words that the clients of the route's API read."""
    if endpoint.style is PROBLEMS:
        return problem(answer)
    error = answer.json()["error"]
    assert error["message"]
    if endpoint.style is OPENAI:
        return answer.status_code, error["code"]
    return answer.status_code, {"authentication_error": "unauthorized", "permission_error": "forbidden"}[error["type"]]


def named(endpoint: Endpoint) -> str:
    """The name of a test's case."""
    return endpoint.name


def test_every_route_has_its_place() -> None:
    """What each route takes is decided in `NEEDS`, and is what the route itself says."""
    assert {each.name: each.needs for each in GUARDED} == NEEDED


@pytest.mark.parametrize("endpoint", GUARDED, ids=named)
def test_no_route_is_open_without_a_key(http: TestClient, door: Door, endpoint: Endpoint) -> None:
    """No key, and every kind of wrong one: 401, whatever the route is, and nothing of what is stored."""
    assert refused(ask(http, door, endpoint, None), endpoint) == (401, "unauthorized")
    for kind in ("nonsense", "empty", "other secret", "unknown", "crossed", "revoked", "expired"):
        other = TestClient(http.app, base_url=BASE, client=(f"{kind}-{endpoint.name}", 1))
        answer = ask(other, door, endpoint, door.keys[kind])
        assert refused(answer, endpoint) == (401, "unauthorized"), kind
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("path", "style"),
    [
        ("/v1/chat/completions", OPENAI),
        ("/chat/completions", OPENAI),
        ("/v1/v1/responses", OPENAI),
        ("/v1/conversations/conv_1/items/msg_1", OPENAI),
        ("/v1/conversations/conv_1/nothing", OPENAI),
        ("/v1/messages/count_tokens", ANTHROPIC),
        ("/v1/v1/messages", ANTHROPIC),
        ("/v1/conversationsx", PROBLEMS),
        ("/v1/sessions/messages", PROBLEMS),
        ("/v1", PROBLEMS),
        ("/", PROBLEMS),
    ],
)
def test_a_path_is_of_an_api_also_where_nothing_answers(path: str, style: Style) -> None:
    """Errors are spelled as the client that asks there reads them."""
    assert Families(ENDPOINTS).style_of(path) is style


def test_a_base_url_that_is_not_quite_right_is_told_what_it_should_be(http: TestClient, door: Door) -> None:
    """One `/v1` too many, as Anthropic's client has it, or one too few; and a method that a path does not take."""
    key = {"X-Api-Key": door.keys["admin"]}
    twice = http.post("/v1/v1/messages", headers=key)
    assert twice.status_code == 404
    assert twice.json()["error"]["type"] == "not_found_error"
    assert "without it as its base URL" in twice.json()["error"]["message"]
    never = http.post("/chat/completions", headers=key)
    assert never.status_code == 404
    assert "ends in /v1" in never.json()["error"]["message"]
    wrong = http.delete("/v1/chat/completions", headers=key)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["error"]["code"] == "method_not_allowed"
    unnamed = http.post("/v1/conversations", headers={**key, "Idempotency-Key": "k" * 256}, json={})
    assert (unnamed.status_code, unnamed.json()["error"]["code"]) == (400, "bad_request")
    foreign = http.post("/v1/responses", headers={**key, "Host": "evil.example"})
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "host_not_allowed")


def test_commands_to_try_have_a_key_where_one_is_asked_for(http: TestClient, door: Door) -> None:
    """As they stand on the page of the API: with a key in its place they work, and an open server's have none."""
    said = http.get("/docs").text
    for command in trial(BASE, keyed=True):
        assert command in said
    words = shlex.split(trial(BASE, keyed=True)[2].replace("KEY", door.keys["ana"]))
    name, _, value = words[words.index("-H") + 1].partition(": ")
    assert http.get(words[-1], headers={name: value}).status_code == 200
    shown = http.get("/docs", headers={"Accept": "text/html"}).text
    assert shown.count("Bearer KEY") == 3
    with TestClient(app(door.url), base_url=BASE) as client:
        assert "Bearer KEY" not in client.get("/docs").text


@pytest.mark.parametrize("endpoint", [each for each in GUARDED if each.needs != "read"], ids=named)
def test_less_is_not_enough(http: TestClient, door: Door, endpoint: Endpoint) -> None:
    """A key that may read writes nowhere, one that may write removes nothing for good, an owner's is no operator's."""
    assert refused(ask(http, door, endpoint, door.keys["reader"]), endpoint) == (403, "forbidden")
    if endpoint.needs in {"admin", "operator"}:
        assert refused(ask(http, door, endpoint, door.keys["writer"]), endpoint) == (403, "forbidden")
    if endpoint.needs == "operator":
        assert problem(ask(http, door, endpoint, door.keys["ana"])) == (403, "forbidden")


@pytest.mark.parametrize("endpoint", GUARDED, ids=named)
def test_a_key_of_one_owner_finds_nothing_of_another(http: TestClient, door: Door, endpoint: Endpoint) -> None:
    """With Ana's ids and Bo's key: not found, or an answer that names nothing of hers; her name is not his to give."""
    if endpoint.needs == "operator":
        return  # refused, as the test before shows
    answer = ask(http, door, endpoint, door.keys["bo"])
    if any(each in endpoint.path for each in ("{session_id}", "{turn_id}", "{conversation_id}")):
        assert answer.status_code == 404, answer.text
    assert answer.status_code < 500
    said = answer.text.replace(door.session, "<id>") if answer.status_code >= 400 else answer.text
    assert not [each for each in (door.session, "her secret", "to ana") if each in said]
    other = ask(http, door, endpoint, door.keys["bo"], **{"Palaver-Owner": "ana"})
    assert refused(other, endpoint) == (403, "forbidden")


def test_an_owner_sees_only_its_own(http: TestClient, door: Door) -> None:
    """A key for an owner needs no header, and may say its own name in one; a key for all may name anybody."""

    def seen(key: str, **headers: str) -> list[str]:
        headers["Authorization"] = f"Bearer {door.keys[key]}"
        return [each["id"] for each in http.get("/v1/sessions", headers=headers).json()["sessions"]]

    assert door.session in seen("ana")
    assert door.session in seen("ana", **{"Palaver-Owner": "ana"})
    assert door.session not in seen("bo")
    assert door.session in seen("reader")
    assert door.session not in seen("reader", **{"Palaver-Owner": "bo"})


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/metrics", "/%68ealth", "/health/"])
def test_what_is_not_open_asks_for_a_key(http: TestClient, path: str) -> None:
    """Paths that are no route of the table, too: they tell a stranger nothing, not even whether they are there."""
    assert problem(http.get(path)) == (401, "unauthorized")


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz", "/openapi.json", "/docs", "/problems/turn-lost"])
def test_what_is_open(http: TestClient, path: str) -> None:
    """What tells nothing of anybody is answered without a key, and with a wrong one."""
    assert http.get(path).status_code == 200
    assert http.get(path, headers={"Authorization": "Bearer nonsense"}).status_code == 200


def test_three_ways_to_say_a_key(http: TestClient, door: Door) -> None:
    """As a bearer token, as X-Api-Key, and as the password of the dialog that a browser shows."""
    key = door.keys["reader"]
    basic = base64.b64encode(f"me:{key}".encode()).decode()
    for headers in ({"Authorization": f"bearer {key}"}, {"X-Api-Key": key}, {"Authorization": f"Basic {basic}"}):
        assert http.get("/v1/sessions", headers=headers).status_code == 200


def test_pages_have_a_door_of_their_own(http: TestClient, door: Door) -> None:
    """Without a key a page leads to the form that takes one, and with it to what that key may see."""
    http.headers["Accept"] = "text/html"
    answer = http.get(f"/sessions/{door.session}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login")
    for kind, status in (("ana", 200), ("reader", 200), ("bo", 404)):
        http.cookies.set("palaver_key", door.keys[kind])
        assert http.get(f"/sessions/{door.session}", follow_redirects=False).status_code == status
    for kind in ("revoked", "expired", "nonsense"):
        http.cookies.set("palaver_key", door.keys[kind])
        assert http.get(f"/sessions/{door.session}", follow_redirects=False).status_code == 303


def watched(file: KeyFile, **more: Any) -> tuple[Keys, Callable[[float], None]]:
    """The keys of a file as a server sees them, and the passing of time."""
    at = [0.0]
    keys = Keys(file, required=False, seconds=lambda: at[0], clock=lambda: NOW, **more)

    def passes(seconds: float) -> None:
        at[0] += seconds

    return keys, passes


def test_a_server_sees_what_another_process_does(tmp_path: Path) -> None:
    """A first key closes the server, a revoked one opens it no more: within a second, without a restart."""
    file = KeyFile(tmp_path / "chat.db.keys")
    keys, passes = watched(file)
    assert [keys.required] == [False]
    made, text = KeyFile(file.path).create("bot", now=NOW, owner="ana")
    passes(1.1)
    assert keys.required
    assert keys.find(text) == Access(id=made.id, may="write", owner="ana")
    KeyFile(file.path).revoke("bot", now=NOW)
    passes(1.1)
    assert keys.find(text) is None
    file.path.unlink()
    passes(1.1)
    assert keys.required, "a file that goes away opens nothing"


@pytest.mark.parametrize("damage", ["garbage", "writable"])
def test_a_file_that_cannot_be_trusted_opens_nothing(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Damaged or writable by others while the server runs: every key is refused, and the log says why."""
    file = KeyFile(tmp_path / "keys")
    _, text = file.create("bot", now=NOW)
    keys, passes = watched(file)
    assert keys.find(text) is not None
    if damage == "garbage":
        file.path.write_bytes(b"{")
    else:
        file.path.chmod(0o666)
        os.utime(file.path, (1, 1))
    passes(1.1)
    with caplog.at_level(logging.ERROR):
        assert keys.find(text) is None
    assert keys.required
    assert [record.__dict__["action"] for record in caplog.records] == ["keys.unreadable"]


def test_the_file_holds_no_key(tmp_path: Path) -> None:
    """It is for its owner alone, and has a hash where the key has its secret."""
    file = KeyFile(tmp_path / "deep" / "keys")
    _, text = file.create("bot", now=NOW)
    parts = split_key(text)
    assert parts is not None
    assert parts[1].encode() not in file.path.read_bytes()
    assert file.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValueError, match="revoke it first"):
        file.create("bot", now=NOW)
    assert file.revoke(parts[0], now=NOW).state(NOW) == "revoked"
    with pytest.raises(LookupError):
        file.revoke("bot", now=NOW)
    assert file.create("bot", now=NOW)[1] != text


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a/chat.db", "a/chat.db.keys"),
        ("sqlite:////a/my%20chat.db?mode=ro", "/a/my chat.db.keys"),
        ("chat.db", "chat.db.keys"),
        ("jsonl:///a/log/", "a/log.keys"),
        ("memory://", "/home/ana/.local/share/palaver/server.keys"),
        ("postgresql://u:p@host/name", "/home/ana/.local/share/palaver/server.keys"),
    ],
)
def test_where_keys_are(url: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a store that is a file, else in the data directory; a variable says otherwise."""
    monkeypatch.setattr("sys.platform", "linux")
    assert keys_path(url, {"HOME": "/home/ana"}) == Path(path)
    assert keys_path(url, {"PALAVER_KEYS": "/run/keys"}) == Path("/run/keys")


def test_guessing_is_slow(door: Door) -> None:
    """After twenty wrong keys an address waits; who has one that is right is answered, though others guess beside."""
    application = app(door.url, keys=door.file.path)
    with TestClient(application, base_url=BASE, client=("10.0.0.1", 1)) as client:
        for _ in range(20):
            assert client.get("/v1/sessions", headers={"Authorization": "Bearer guess"}).status_code == 401
        slowed = client.get("/v1/sessions", headers={"Authorization": "Bearer guess"})
        assert problem(slowed) == (429, "rate-limited")
        assert int(slowed.headers["retry-after"]) >= 1
        good = {"Authorization": f"Bearer {door.keys['reader']}"}
        assert client.get("/v1/sessions", headers=good).status_code == 200
        other = TestClient(application, base_url=BASE, client=("10.0.0.2", 1))
        assert problem(other.get("/v1/sessions", headers={"Authorization": "Bearer guess"})) == (401, "unauthorized")


def test_guessing_is_slow_for_a_crowd() -> None:
    """Whoever has many addresses waits for all of them together; of IPv6, a customer's whole network is one."""
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for number in range(1000):
        guesses.count(f"10.{number // 250}.0.{number % 250}")
    with pytest.raises(Slower, match="this server"):
        guesses.count("10.9.9.9")
    now[0] = 60.0
    for number in range(20):
        guesses.count(f"2001:db8::{number:x}")
    with pytest.raises(Slower, match="this address") as caught:
        guesses.count("2001:db8::ffff%eth0")
    assert caught.value.seconds == 1
    guesses.count("2001:db8:0:1::1")
    guesses.count("not:an:address")
    now[0] += caught.value.seconds
    guesses.count("2001:db8::1")


def test_guesses_fill_no_memory() -> None:
    """However many addresses guess, those that did it longest ago are forgotten."""
    bucket = Buckets(1.0, 20, lambda: 0.0)
    for number in range(30_000):
        bucket.wait(str(number))
    assert len(bucket) == 10_000


def test_long_addresses_fill_no_memory() -> None:
    """What a proxy passes on as an address may be as long as a head; its beginning is told from others alone."""
    guesses = Guesses(lambda: 0.0)
    tracemalloc.start()
    try:
        for number in range(500):
            guesses.count(f"{number:03}{'x' * 60_000}")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000
    for _ in range(19):
        guesses.count(f"000{'x' * 60_000}")
    with pytest.raises(Slower):
        guesses.count(f"000{'x' * 60_000}")


def test_a_stranger_fills_no_memory(door: Door) -> None:
    """A form of somebody without a key is small; with one it may hold a long message. Neither is kept by a key."""
    large = {"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "k"}
    body = b"text=" + b"x" * 100_000
    with TestClient(app(door.url, keys=door.file.path), base_url=BASE) as client:
        for path in ("/login", f"/sessions/{door.session}/edit"):
            assert client.post(path, content=body, headers=large).status_code == 413
        known = {**large, "Authorization": f"Bearer {door.keys['writer']}"}
        refused = client.post(f"/sessions/{door.session}/edit", content=body, headers=known)
        assert refused.status_code == 403
        assert "This form was not taken" in refused.text


def test_a_key_that_asks_too_often_waits(door: Door) -> None:
    """A limit is for each key: who is over it is told when to come again, and nobody else waits."""
    limits = Limits(requests_per_second=0.001, burst=2)
    with TestClient(app(door.url, keys=door.file.path, limits=limits), base_url=BASE) as client:

        def asked(key: str) -> int:
            headers = {"Authorization": f"Bearer {door.keys[key]}"}
            return client.get("/v1/sessions", headers=headers).status_code

        assert [asked("reader"), asked("reader"), asked("reader"), asked("admin")] == [200, 200, 429, 200]


def test_a_visitor_of_the_inspector_is_known_by_the_key(door: Door) -> None:
    """Pages count for the key in the header or the cookie, as the API does: who shares an address does not wait."""
    limits = Limits(requests_per_second=0.001, burst=2)
    with TestClient(app(door.url, keys=door.file.path, limits=limits), base_url=BASE) as client:

        def asked(headers: dict[str, str], path: str = "/") -> int:
            return client.get(path, headers=headers, follow_redirects=False).status_code

        def cookie(key: str) -> dict[str, str]:
            return {"Cookie": f"palaver_key={key}"}

        reader, admin = door.keys["reader"], door.keys["admin"]
        assert [asked(cookie(reader)) for _ in range(3)] == [200, 200, 429]
        assert asked({"Authorization": f"Bearer {reader}"}, "/v1/sessions") == 429
        assert [asked({"Authorization": f"Bearer {admin}"}, path) for path in ("/v1/sessions", "/", "/")] == [
            200,
            200,
            429,
        ]
        guesses = [asked(cookie("pal_guess"), path) for path in ("/", "/login", "/login")]
        assert guesses == [401, 200, 429]  # who has no key is an address


def test_probes_never_wait(tmp_path: Path) -> None:
    """A server is not taken for dead because others ask too often from the address of who looks whether it lives."""
    limits = Limits(requests_per_second=0.001, burst=1)
    with TestClient(app(f"sqlite:///{tmp_path}/chat.db", limits=limits), base_url=BASE) as client:
        assert [client.get("/v1/stats").status_code for _ in range(2)] == [200, 429]
        assert [client.get(path).status_code for path in ("/healthz", "/readyz") * 2] == [200] * 4
        assert [client.get(path).status_code for path in ("/health", "/docs")] == [429, 429]


def test_a_bucket_fills_again() -> None:
    """So many at once, then one for each moment that passes, and never more than it holds."""
    now = [0.0]
    bucket = Buckets(2.0, 3, lambda: now[0])
    assert [bucket.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.wait("b") == 0
    now[0] = 0.5
    assert [bucket.wait("a"), bucket.wait("a")] == [0, 0.5]
    now[0] = 1000.0
    assert [bucket.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]


# ---------------------------------------------------------------------- what is told to whom
def test_where_the_store_lies_is_told_to_its_operator_alone(tmp_path: Path) -> None:
    """A store that fails says its path; who may see one owner's sessions is told what kind of failure it is."""
    door = Door(tmp_path)
    application = app(door.url, keys=door.file.path)
    with TestClient(application, base_url=BASE) as client:
        assert client.portal is not None
        client.portal.call(application.state.sessions.close)
        for path in ("/v1/sessions", "/"):
            told = {
                name: client.get(path, headers={"Authorization": f"Bearer {door.keys[name]}"})
                for name in ("ana", "admin")
            }
            assert told["ana"].status_code == told["admin"].status_code == 503
            assert str(tmp_path) in told["admin"].text
            assert str(tmp_path) not in told["ana"].text


def test_an_owner_is_not_told_where_the_store_lies(tmp_path: Path) -> None:
    """Neither by figures nor by what is found wrong; who looks after the store is."""
    door = Door(tmp_path)
    with TestClient(app(door.url, keys=door.file.path), base_url=BASE) as client:
        for path in ("/v1/stats", "/v1/check?notes=true", "/doctor?check=yes&notes=yes"):
            told = {
                name: client.get(path, headers={"Authorization": f"Bearer {door.keys[name]}"})
                for name in ("ana", "admin")
            }
            assert [each.status_code for each in told.values()] == [200, 200]
            assert str(tmp_path) not in told["ana"].text
            assert (str(tmp_path) in told["admin"].text) == ("check?" not in path)


def test_what_the_inspector_says_it_said_itself(tmp_path: Path) -> None:
    """Text in the cookie of another page of the same host is not shown, nor a form that it brings along."""
    said = b'{"text": "Your key has expired.", "action": "/sessions/x/erase"}'
    forged = base64.urlsafe_b64encode(said).decode()
    with TestClient(app(f"sqlite:///{tmp_path}/chat.db"), base_url=BASE) as client:
        made = client.post("/v1/sessions", json={}).json()["id"]
        client.get("/")
        for mark in ("", ".", "." + "0" * 64, ".\u00e9"):
            cookie = f"palaver_form={client.cookies['palaver_form']}; palaver_said={forged}{mark}"
            assert "has expired" not in client.get("/", headers={b"Cookie": cookie.encode("latin-1")}).text
        form = client.get(f"/sessions/{made}/manage").text.partition('name="token" value="')[2].partition('"')[0]
        moved = client.post(f"/sessions/{made}/rename", data={"token": form, "title": "Plans"})
        assert "It is called &#39;Plans&#39; now." in moved.text
