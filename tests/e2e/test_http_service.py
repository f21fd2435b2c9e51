"""What a server does beside answering: its figures, its log, its limits, and how it stops."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

import palaver
from palaver.server import Limits, app
from palaver.server.families import Families
from palaver.server.guard import own_origins
from palaver.server.idempotency import Idempotent
from palaver.server.logs import JsonLines
from palaver.server.observed import tracer
from palaver.server.protocol import MAX_HEAD_BYTES
from palaver.server.routes import ENDPOINTS
from palaver.server.table import Endpoint
from tests.e2e.asking import BASE, begin, problem
from tests.e2e.test_http import Server, running
from tests.waiting import PATIENCE, until

CLIENTS = 64


@pytest.fixture
def http() -> Iterator[TestClient]:
    """The application in this process, over an empty store."""
    with TestClient(app("memory://"), base_url=BASE) as client:
        yield client


# ---------------------------------------------------------------------- what is noticed
@pytest.mark.parametrize(("given", "kept"), [("req-1.a:b/c", True), ("a b", False), ("x" * 200, False), ("ü", False)])
def test_every_answer_has_a_number(http: TestClient, given: str, kept: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The caller's if it is fit for a log, else a new one; the same in the log, of refusals too."""
    with caplog.at_level(logging.INFO, "palaver.server"):
        answers = [http.get(path, headers=[(b"X-Request-Id", given.encode())]) for path in ("/v1/stats", "/v1/nothing")]
    for answer, record in zip(answers, caplog.records, strict=True):
        number = answer.headers["x-request-id"]
        assert (number == given) == kept
        assert record.__dict__["request_id"] == number
    assert answers[0].headers["x-request-id"] == given or len({a.headers["x-request-id"] for a in answers}) == 2


def test_figures(http: TestClient) -> None:
    """Prometheus reads them: requests by route and status, how long they took, commits, open turns."""
    turn = begin(http, "one", key="secret-key")
    begin(http, "two", key="other")
    assert http.post(f"/v1/turns/{turn['id']}/finish", json={"message": "yes"}).status_code == 200
    assert http.get("/v1/sessions/secret-id").status_code == 404
    assert http.get("/secret/path").status_code == 404
    said = http.get("/metrics")
    assert said.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(said.text)
        for sample in family.samples
    }

    def count(method: str, route: str, status: int) -> float:
        labels = {"method": method, "route": route, "status": str(status)}
        return samples["palaver_http_requests_total", tuple(sorted(labels.items()))]

    assert count("POST", "/v1/turns", 201) == 2
    assert count("GET", "/v1/sessions/{session_id}", 404) == 1
    assert count("GET", "other", 404) == 1
    assert samples["palaver_http_request_seconds_bucket", (("le", "+Inf"), ("route", "/v1/turns"))] == 2
    assert samples["palaver_open_turns", ()] == 1
    assert samples["palaver_feed_held_changes", ()] == samples["palaver_feed_held_seconds", ()] == 0
    assert samples["palaver_commits_total", ()] >= 3
    assert "secret" not in said.text


def test_the_log_in_json_has_no_content() -> None:
    """Each line is JSON with the action's fields; of an error the kind and the places, not the text."""
    records: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(JsonLines().format(record))

    logger = logging.getLogger("palaver.server")
    handler = Kept()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with TestClient(app("memory://"), base_url=BASE) as client:
            begin(client, "my secret", key="secret")
        try:
            json.loads("secret")
        except ValueError:
            logger.exception("failed", extra={"action": "failed"})
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    asked, failed = map(json.loads, records)
    assert {"time", "level", "operation", "duration_ms", "request_id"} <= asked.keys()
    assert (asked["action"], asked["route"], asked["status"]) == ("http.request", "/v1/turns", 201)
    assert (failed["error"], "secret" in "".join(records)) == ("JSONDecodeError", False)
    assert failed["frames"]


def test_traces() -> None:
    """A span for each request, under the caller's own, named by its route; nothing in it of what was said."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with TestClient(app("memory://", traces=tracer(provider)), base_url=BASE) as client:
        client.post("/v1/turns", json={"key": "k", "message": "secret"}, headers={"traceparent": parent})
    [span] = spans.get_finished_spans()
    assert span.name == "POST /v1/turns"
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == parent.split("-")[1]
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 201
    assert "secret" not in span.to_json()
    provider.shutdown()


def test_probes(tmp_path: Path) -> None:
    """The process lives whatever its store does; it is ready while the store can be read and it is not stopping."""
    with palaver.open(f"sqlite:///{tmp_path}/chat.db") as sessions:
        made = app(sessions._core.store)
        with TestClient(made, base_url=BASE) as client:
            assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
            said = client.get("/readyz").text
            assert re.fullmatch(r"ok\nstore: asked for a key, and answered in \d+\.\d ms\n", said)
            made.state.draining = True
            assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]
            assert "stopping\nturns that began here and have not ended: 0\n" in client.get("/readyz").text
            assert problem(client.post("/v1/turns", json={"key": "k", "message": "x"})) == (503, "shutting-down")
            made.state.draining = False
            sessions.close()
            assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]
            said = client.get("/readyz").text
            assert "store: asked for a key, StoreClosed after " in said
            assert "will not come back by itself" in said
            assert "chat.db" not in said


# ---------------------------------------------------------------------- how answers are sent
def test_large_answers_are_compressed(http: TestClient) -> None:
    """For who takes gzip, and where it is worth it; what comes out is the same."""
    turn = begin(http, "long " * 1000, key="k")
    path = f"/v1/sessions/{turn['session_id']}/messages"
    plain = http.get(path, headers={"Accept-Encoding": "identity"})
    with http.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert len(raw) < len(plain.content) / 4
    assert gzip.decompress(raw) == plain.content
    assert "content-encoding" not in http.get("/health", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("x-gzip", True),
        ("GZIP;Q=0.1", True),
        ("br, gzip ; q=1.0", True),
        ("*", True),
        ("identity;q=0.5, *;q=0.1", True),
        ("identity", False),
        ("br, deflate", False),
        ("", False),
        ("gzip;q=0", False),
        ("gzip ; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=much", False),
        ("gzip;q=nan", False),
        ("notgzip", False),
    ],
)
def test_who_takes_no_gzip_gets_none(http: TestClient, accepted: str, packed: bool) -> None:
    """What `Accept-Encoding` says is kept to, weights and all (RFC 9110, 12.5.3)."""
    answer = http.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert answer.status_code == 200
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)


def test_several_headers_accept_together(http: TestClient) -> None:
    """A list in several headers is one list."""
    for second, packed in ((b"gzip", "gzip"), (b"gzip;q=0", None)):
        answer = http.get("/openapi.json", headers=[(b"Accept-Encoding", b"br"), (b"Accept-Encoding", second)])
        assert answer.headers.get("content-encoding") == packed


@pytest.mark.parametrize(
    "endpoint",
    [each for each in ENDPOINTS if each.method != "GET" and not each.bodies and not each.takes],
    ids=lambda each: each.name,
)
def test_an_empty_object_is_no_body(http: TestClient, endpoint: Endpoint) -> None:
    """Where there is nothing to say, clients that send {} with everything are answered like those that send nothing."""
    path = re.sub(r"\{\w+\}", "9", endpoint.path)
    bare = http.request(endpoint.method, path)
    for body in (b"{}", b" {\n} "):
        answer = http.request(endpoint.method, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == bare.status_code != 422
    for body in (b'{"turns": 2}', b"[]", b"null", b"{"):
        answer = http.request(endpoint.method, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == endpoint.style.status(422)
        assert "takes no body" in answer.text


def test_pages_of_other_sites() -> None:
    """None may ask unless it is named; a named one may read answers, and is told before what it may send."""
    site = "https://chat.example"
    asked = {"Origin": site, "Access-Control-Request-Method": "POST"}
    with TestClient(app("memory://"), base_url=BASE) as client:
        assert problem(client.options("/v1/turns", headers=asked)) == (403, "host-not-allowed")
    with TestClient(app("memory://", cors_origins=(site,)), base_url=BASE) as client:
        assert client.options("/v1/turns", headers=asked).headers["access-control-allow-origin"] == site
        names = {**asked, "Access-Control-Request-Headers": "palaver-session, palaver-history"}
        assert client.options("/v1/chat/completions", headers=names).status_code == 200
        answer = client.get("/v1/stats", headers={"Origin": site})
        assert answer.headers["access-control-allow-origin"] == site
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert problem(client.get("/v1/stats", headers={"Origin": "https://other.example"})) == (
            403,
            "host-not-allowed",
        )


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.operator], ids=lambda each: each.name)
def test_what_is_of_the_store_is_not_incognito(http: TestClient, endpoint: Endpoint) -> None:
    """A backup of what is in memory alone is no fault of the server: it is a request that makes no sense."""
    body = endpoint.example if endpoint.bodies else None
    answer = http.request(endpoint.method, endpoint.path, json=body, headers={"Palaver-Incognito": "true"})
    assert problem(answer) == (400, "bad-request")


@pytest.mark.parametrize("origin", ["chat.example", "https://chat.example/path", "*", "ftp://x", "https://me@x"])
def test_what_is_no_origin(origin: str) -> None:
    """Said at once, with an example."""
    with pytest.raises(ValueError, match=r"https://chat\.example"):
        own_origins([origin])


def test_the_api_as_a_page(http: TestClient) -> None:
    """For a browser: every route, nothing that runs, nothing from outside; its policy allows its own style alone."""
    page = http.get("/docs", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    for endpoint in ENDPOINTS:
        assert f'id="{endpoint.name}"' in page.text
    assert "<script" not in page.text
    assert not re.findall(r"(?:src|href)=\"(?!/|#)", page.text)
    [style] = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert http.get("/docs").headers["content-type"].startswith("text/plain")


# ---------------------------------------------------------------------- the same request again
def test_a_request_that_is_sent_again_is_done_once(http: TestClient) -> None:
    """The same key and body: the first answer, and one session; another body is refused, another key is another one."""

    def create(key: str, title: str) -> Any:
        return http.post("/v1/sessions", json={"title": title}, headers={"Idempotency-Key": key})

    first, again = create("k1", "One"), create("k1", "One")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert problem(create("k1", "Two")) == (422, "idempotency-key-reused")
    assert problem(create("k2", "One")) == (409, "session-conflict")
    assert create("k2", "Three").status_code == 201, "what was refused is not remembered"
    assert problem(create("", "Four")) == (400, "bad-request")
    listed = http.get("/v1/sessions", params={"include_empty": "true"}).json()["sessions"]
    assert sorted(each["title"] for each in listed) == ["One", "Three"]


def test_the_same_at_the_same_time(http: TestClient) -> None:
    """Eight at once with one key: one is done, the others wait for its answer."""
    session = http.post("/v1/sessions", json={}).json()["id"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: http.post(
                    f"/v1/sessions/{session}/messages",
                    json={"messages": [{"role": "user", "content": "once"}]},
                    headers={"Idempotency-Key": "same"},
                ),
                range(8),
            )
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(http.get(f"/v1/sessions/{session}/messages").json()["messages"]) == 1


def test_keys_of_one_owner_are_not_those_of_another(http: TestClient) -> None:
    """What one was answered is never told another."""

    def create(owner: str) -> Any:
        headers = {"Idempotency-Key": "k", "Palaver-Owner": owner}
        return http.post("/v1/sessions", json={"title": "T"}, headers=headers).json()["id"]

    assert create("ana") != create("bo")
    assert create("ana") == create("ana")


def test_what_headers_say_belongs_to_the_request(http: TestClient) -> None:
    """An answer for what is kept is none for what is incognito."""
    headers = {"Idempotency-Key": "k"}
    assert http.post("/v1/sessions", json={}, headers=headers).status_code == 201
    other = http.post("/v1/sessions", json={}, headers={**headers, "Palaver-Incognito": "true"})
    assert problem(other) == (422, "idempotency-key-reused")


def test_old_answers_are_forgotten() -> None:
    """After a day, and the oldest first where they take too much room."""
    now = [0.0]
    done: list[int] = []

    async def big(scope: Any, receive: Any, send: Any) -> None:
        done.append(1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 1_000_000})

    layer = Idempotent(big, limits=Limits(), families=Families(()), seconds=lambda: now[0])
    client = TestClient(layer, base_url=BASE)

    def ask(key: str) -> int:
        before = len(done)
        assert client.post("/v1/x", headers={"Idempotency-Key": key}).status_code == 200
        return len(done) - before

    assert [ask("a"), ask("a")] == [1, 0]
    now[0] = 90_000.0
    assert [ask("a"), ask("a")] == [1, 0]
    assert [ask(f"k{number}") for number in range(70)] == [1] * 70
    assert ask("a") == 1
    assert ask("k69") == 0


def test_what_is_missing_is_named(http: TestClient) -> None:
    """No body where one is needed, and a key of a map that is too long: said as that."""
    empty = http.post("/v1/sessions", headers={"Content-Type": "application/json"})
    assert problem(empty) == (400, "invalid-json")
    assert "there is no body" in empty.json()["detail"]
    made = http.post("/v1/conversations", json={"metadata": {"k" * 65: "v"}})
    assert made.status_code == 400
    assert made.json()["error"]["param"] == "metadata"
    assert made.json()["error"]["message"].startswith("Invalid 'metadata': string too long.")


@pytest.mark.parametrize(("path", "kind"), [("/v1/sessions", "application/json"), ("/v1/import", "application/jsonl")])
def test_a_body_that_is_compressed_is_refused_as_that(http: TestClient, path: str, kind: str) -> None:
    """It is not taken for JSON that is damaged, nor read as if nobody had said that it is compressed."""
    for body in (gzip.compress(b"{}"), b"{}"):
        refused = http.post(path, content=body, headers={"Content-Type": kind, "Content-Encoding": "gzip"})
        assert problem(refused) == (415, "unsupported-media-type")
        assert "Content-Encoding is 'gzip'" in refused.json()["detail"]
    plain = http.post("/v1/sessions", content=b"{}", headers={"Content-Type": kind, "Content-Encoding": "identity"})
    assert plain.status_code == (201 if kind == "application/json" else 415)


def test_a_large_import_needs_no_key() -> None:
    """Under an Idempotency-Key a body is kept in memory and so has its limit; the refusal says what to do."""
    line = json.dumps({"role": "user", "content": "x" * 100}).encode() + b"\n"
    jsonl = {"Content-Type": "application/jsonl"}
    with TestClient(app("memory://", limits=Limits(max_body_bytes=1000)), base_url=BASE) as client:
        refused = client.post("/v1/import", content=line * 20, headers={**jsonl, "Idempotency-Key": "k"})
        assert problem(refused) == (413, "body-too-large")
        assert "with Idempotency-Key a body has at most 1000 bytes" in refused.json()["detail"]
        small = [client.post("/v1/import", content=line, headers={**jsonl, "Idempotency-Key": "k"}) for _ in range(2)]
        assert [answer.headers.get("idempotency-replayed") for answer in small] == [None, "true"]
        large = [client.post("/v1/import?name=more", content=line * 20, headers=jsonl).json() for _ in range(2)]
        assert [(done["imported"], done["present"]) for done in large] == [(20, 0), (0, 20)]


def test_incognito_is_said_once(http: TestClient) -> None:
    """Said twice, and not the same, nothing is kept that was not to be."""
    twice = [("Palaver-Incognito", "false"), ("Palaver-Incognito", "true")]
    asked = {"key": "k", "message": "x"}
    assert problem(http.post("/v1/turns", json=asked, headers=twice)) == (400, "bad-request")
    assert http.post("/v1/keys/resolve", json={"key": "k"}).status_code == 404


# ---------------------------------------------------------------------- slow and large
@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server that waits for nobody."""
    folder = tmp_path_factory.mktemp("impatient")
    options = "{'drain': timedelta(0), 'limits': Limits(header_seconds=0.3, body_seconds=0.3)}"
    with running(f"sqlite:///{folder}/chat.db", options) as made:
        yield made


def spoken(server: Server, *pieces: bytes) -> bytes:
    """What a server answers to bytes that then stop coming, until it closes the connection."""
    host, port = server.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw:
        for piece in pieces:
            raw.sendall(piece)
        out = b""
        while part := raw.recv(65536):
            out += part
        return out


@pytest.mark.parametrize("pieces", [[], [b"GET / HT"], [b"GET / HTTP/1.1\r\n", b"Host: localhost\r\n", b"X-A: 1\r\n"]])
def test_a_head_that_does_not_end(impatient: Server, pieces: list[bytes]) -> None:
    """A connection that says nothing, or never ends what it says, is closed; it holds no place."""
    assert spoken(impatient, *pieces) == b""
    assert impatient.client.get("/health").status_code == 200


def test_a_head_without_bounds(impatient: Server) -> None:
    """A head that is larger than any is refused while it comes."""
    many = (b"X-Filler-%d: %b\r\n" % (number, b"x" * 1000) for number in range(2 * MAX_HEAD_BYTES // 1000))
    host, port = impatient.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        answer = b""
        try:
            for line in many:
                raw.sendall(line)
            answer = raw.recv(65536)
        except ConnectionError:
            answer = b"HTTP/1.1 431 closed before it could be read"
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert impatient.client.get("/health").status_code == 200


def test_a_body_that_does_not_end(impatient: Server) -> None:
    """Its time is over with 408, whatever it promised, and nothing is stored."""
    head = (
        b"POST /v1/turns HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    answer = spoken(impatient, head + b'{"key": "slow", ')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/body-too-slow" in answer
    assert problem(impatient.client.post("/v1/keys/resolve", json={"key": "slow"})) == (404, "session-not-found")


def test_an_import_that_does_not_go_on(impatient: Server) -> None:
    """It may be long, but has to come: what came of it is not imported."""
    head = (
        b"POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jsonl\r\nContent-Length: 999\r\n\r\n"
    )
    answer = spoken(impatient, head + b'{"role": "user", "content": "Hello"}\n')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/body-too-slow" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\x00b\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/sessions/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/sessions/x'%20OR%201=1;-- HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/sessions/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/sessions/a%0d%0aSet-Cookie:%20x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/turns HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
        b"POST /v1/turns HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_what_is_smuggled_in(impatient: Server, head: bytes) -> None:
    """Paths, headers and framings that try to be something else: a 4xx or silence, and the server goes on."""
    answer = spoken(impatient, head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    assert answer[:10] in {b"", b"HTTP/1.1 4"}, answer
    assert b"set-cookie" not in answer.partition(b"\r\n\r\n")[0].lower()
    assert impatient.client.get("/health").status_code == 200


# ---------------------------------------------------------------------- how it stops
def test_turns_end_before_the_server(tmp_path: Path) -> None:
    """After SIGTERM a turn that runs goes on and is finished, a new one is refused, and then the server stops."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with running(url, "{'drain': timedelta(seconds=60)}") as server:
        turn = begin(server.client, "one", key="k")
        server.process.send_signal(signal.SIGTERM)
        while server.client.get("/readyz").status_code == 200:
            pass
        late = server.client.post("/v1/turns", json={"key": "other", "message": "x"})
        assert problem(late) == (503, "shutting-down")
        path = f"/v1/turns/{turn['id']}"
        asked = {"messages": [{"role": "assistant", "content": "working"}]}
        assert server.client.post(f"{path}/messages", json=asked).status_code == 201
        assert server.client.post(f"{path}/finish", json={"message": "done"}).status_code == 200
        server.client.close()
        assert server.process.wait(PATIENCE) == 0
        assert server.process.stdout is not None
        server.process.stdout.close()
    with palaver.open(url) as sessions:
        assert [message.text for message in sessions.resolve("k").messages()] == ["one", "working", "done"]
        with pytest.raises(palaver.SessionNotFound):
            sessions.resolve("other")


def test_who_waits_for_a_session_is_refused_when_the_server_is_told_to_stop(tmp_path: Path) -> None:
    """Not when the session becomes free: a turn that began then would be one more to wait for."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with running(url, "{'drain': timedelta(seconds=60)}") as server, ThreadPoolExecutor(1) as pool:
        turn = begin(server.client, "one", key="k")
        waiting = pool.submit(
            httpx2.post, f"{server.base}/v1/turns", json={"key": "k", "message": "two", "timeout": 60}, timeout=70
        )
        until(lambda: "palaver_http_requests_running 2" in server.client.get("/metrics").text, "the other to wait")
        server.process.send_signal(signal.SIGTERM)
        assert problem(waiting.result(30)) == (503, "shutting-down")
        assert server.process.poll() is None
        assert server.client.post(f"/v1/turns/{turn['id']}/finish", json={"message": "done"}).status_code == 200
        assert server.end() == 0
    with palaver.open(url) as sessions:
        assert [message.text for message in sessions.resolve("k").messages()] == ["one", "done"]


@pytest.mark.parametrize(("number", "drain"), [(signal.SIGTERM, 0.2), (signal.SIGINT, 60)])
def test_nobody_waits_for_ever(tmp_path: Path, number: signal.Signals, drain: float) -> None:
    """A turn that does not end has its time and goes on elsewhere; Ctrl+C waits for none."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with running(url, f"{{'drain': timedelta(seconds={drain})}}") as server:
        turn = begin(server.client, "one", key="k")
        assert server.end(number) == 0
    with running(url) as server:
        assert server.client.get(f"/v1/turns/{turn['id']}").json()["state"] == "running"


def test_kill_under_load_loses_nothing(tmp_path: Path) -> None:
    """kill -9 while 64 clients write: what was answered with 2xx is in the store, once; the rest is or is not."""
    url = f"sqlite:///{tmp_path}/chat.db"
    answered: list[tuple[str, str]] = []
    sent: set[str] = set()
    begun_by: set[int] = set()
    enough = threading.Event()

    def write(base: str, number: int) -> None:
        with httpx2.Client(base_url=base, timeout=PATIENCE) as client:
            for turn in range(100_000):
                name = f"m-{number}-{turn}"
                sent.add(name)
                body = {"key": f"k{number}", "message": {"role": "user", "content": name, "id": name}}
                try:
                    begun = client.post("/v1/turns", json=body)
                    if begun.status_code == 201:
                        answered.append((f"k{number}", name))
                        begun_by.add(number)
                        if len(answered) > 1500 and len(begun_by) == CLIENTS:
                            enough.set()
                        ended = client.post(f"/v1/turns/{begun.json()['id']}/finish", json={"message": f"r-{name}"})
                        if ended.status_code == 200:
                            answered.append((f"k{number}", f"r-{name}"))
                except httpx2.HTTPError:
                    return

    with running(url) as server, ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(CLIENTS):
            pool.submit(write, server.base, number)
        came = enough.wait(PATIENCE)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        assert came
    stored: dict[str, list[str]] = {}
    with palaver.open(url) as sessions:
        for number in range(CLIENTS):
            session = sessions.resolve(f"k{number}")
            stored[f"k{number}"] = [message.text for message in session.messages(limit=1000)]
        assert sessions.check() == []
    for key, texts_of in stored.items():
        assert len(texts_of) == len(set(texts_of)), f"{key} has something twice"
    missing = [(key, text) for key, text in answered if text not in stored[key]]
    assert not missing
    assert {text for each in stored.values() for text in each} <= sent | {f"r-{name}" for name in sent}
