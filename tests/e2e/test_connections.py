"""Connections of clients that keep to no rules, or to rules that few keep: none holds anything for ever."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from palaver.server.protocol import MAX_HEAD_BYTES, Gathered
from tests.e2e.asking import begin
from tests.e2e.test_http import Server, running
from tests.waiting import PATIENCE, until

LISTENERS, RUNNING = "palaver_feed_listeners", "palaver_http_requests_running"
HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server."""
    with running(f"sqlite:///{tmp_path_factory.mktemp('connections')}/chat.db") as made:
        yield made


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that waits for nobody."""
    folder = tmp_path_factory.mktemp("impatient")
    options = "{'drain': timedelta(0), 'limits': Limits(header_seconds=0.5, body_seconds=3)}"
    with running(f"sqlite:///{folder}/chat.db", options) as made:
        yield made


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    """A connection to it, on which one does not wait for ever."""
    host, port = server.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw:
        yield raw


def to_the_end(raw: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    out = b""
    while part := raw.recv(65536):
        out += part
    return out


def figure(server: Server, name: str) -> int:
    """One of the figures that it tells."""
    lines = server.client.get("/metrics").text.splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n", b"\r\n"),
        (b"POST /v1/nothing HTTP/1.1\r\nContent-Length: 1000\r\n" + HOST + b"\r\n", b"x"),
        (b"GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\n", b"1\r\nx\r\n"),
    ],
    ids=["an empty line", "a body after its refusal", "a body that nobody reads"],
)
def test_what_comes_after_an_answer_keeps_no_connection(impatient: Server, first: bytes, then: bytes) -> None:
    """It is closed where no next request follows, whatever else does."""
    with connected(impatient) as raw:
        raw.sendall(first)
        answer = raw.recv(65536)
        assert answer.startswith(b"HTTP/1.1 ")
        with suppress(ConnectionError):  # closed before that came
            raw.sendall(then)
            assert b"HTTP/1.1" not in to_the_end(raw)


def test_the_next_request_may_take_its_time_again(server: Server) -> None:
    """A connection on which more came after an answer goes on to serve."""
    with connected(server) as raw:
        for number in range(3):
            raw.sendall(b"POST /v1/nothing HTTP/1.1\r\nContent-Length: 4\r\n" + HOST + b"\r\n")
            assert raw.recv(65536).startswith(b"HTTP/1.1 404 "), number
            raw.sendall(b"late")
        raw.sendall(b"GET /health HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        assert to_the_end(raw).startswith(b"HTTP/1.1 200 ")


def test_what_comes_after_a_body_is_no_header(server: Server) -> None:
    """Who stands before the server looks at headers: what it did not see there does not count."""
    body = b'{"key": "trailing", "message": "x"}'
    with connected(server) as raw:
        raw.sendall(
            b"POST /v1/turns HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n%b\r\n%x\r\n%b\r\n0\r\nPalaver-Owner: somebody\r\nX-Request-Id: theirs\r\n\r\n"
            % (HOST, len(body), body)
        )
        answer = to_the_end(raw)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"theirs" not in answer
    asked = {"key": "trailing"}
    owned = server.client.post("/v1/keys/resolve", json=asked, headers={"Palaver-Owner": "somebody"})
    assert owned.status_code == 404
    assert server.client.post("/v1/keys/resolve", json=asked).status_code == 200


def _flood(raw: socket.socket, size: int) -> None:
    for _ in range(size // MAX_HEAD_BYTES):
        raw.sendall(b"x" * MAX_HEAD_BYTES)


@pytest.mark.parametrize("path", [b"/v1/nothing", b"/v1/turns"])
def test_what_comes_after_a_body_has_bounds(server: Server, path: bytes) -> None:
    """Also where the request was answered long ago: it would be kept in the memory until the connection ends."""
    with connected(server) as raw:
        raw.sendall(
            b"POST %b HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n%b\r\n" % (path, HOST)
        )
        raw.sendall(b"0\r\nX-Filler: ")
        with pytest.raises(ConnectionError):
            _flood(raw, 1000 * MAX_HEAD_BYTES)
    assert server.client.get("/health").status_code == 200


def test_bodies_and_heads_in_one_piece(server: Server) -> None:
    """A client that does not wait for answers may send the end of a large body with half of the next head."""
    body = b'{"key": "%b"}' % (b"x" * 2 * MAX_HEAD_BYTES)
    head = b"POST /v1/keys/resolve HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
    with connected(server) as raw:
        raw.sendall(head % (len(body), HOST) + body + b"GET /health HTTP/1.1\r\nConnection: close\r\n")
        raw.sendall(HOST + b"\r\n")
        answers = to_the_end(raw)
    assert answers.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 200 " in answers


def test_a_request_behind_a_stream_leaves_no_listener(server: Server) -> None:
    """A client that asked again before its stream ended, and went away, listens no more."""
    with connected(server) as raw:
        raw.sendall(b"GET /v1/events HTTP/1.1\r\nAccept: text/event-stream\r\n" + HOST + b"\r\n")
        while b"event: ready" not in raw.recv(65536):
            pass
        until(lambda: figure(server, LISTENERS) == 1, "the listener")
        raw.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\nGET /health HTTP/1.1\r\n" + HOST + b"\r\n")
        server.client.get("/health")
    numbers = itertools.count()

    def nobody_listens() -> bool:
        """After something more was sent: to a connection that is gone, it says that it is."""
        begin(server.client, "x", key=f"listener-{next(numbers)}")
        return figure(server, LISTENERS) == 0

    until(nobody_listens, "the end of the listener")


def test_who_takes_nothing_of_an_answer_is_let_go(impatient: Server) -> None:
    """It would hold its requests, and those that wait behind them, until it likes; it needs no key for that."""
    until(lambda: figure(impatient, RUNNING) == 1, "the end of what was asked before")
    with connected(impatient) as raw:
        raw.sendall((b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 100)
        until(lambda: figure(impatient, RUNNING) > 1, "the requests")
        until(lambda: figure(impatient, RUNNING) == 1, "their end")
        with pytest.raises(ConnectionError):
            _flood(raw, 1000 * MAX_HEAD_BYTES)


def test_who_is_slow_to_take_an_answer_gets_it_all(impatient: Server) -> None:
    """As long as it takes some of it."""
    whole = impatient.client.get("/openapi.json").content
    with connected(impatient) as raw:
        raw.sendall((b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 40)
        raw.sendall(b"GET /openapi.json HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        out = bytearray()
        while part := raw.recv(1 << 20):
            out += part
            time.sleep(0.02)  # this client is slow on purpose; nothing is measured
    assert out.count(whole) == 41


def test_what_is_written_to_who_has_just_gone_is_dropped() -> None:
    """It is no error of the server's, and is in no log."""

    async def scene() -> list[Any]:
        loop = asyncio.get_running_loop()
        said: list[Any] = []
        loop.set_exception_handler(lambda _, context: said.append(context))
        ours, theirs = socket.socketpair()
        with theirs:
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            transport.abort()
            for _ in range(5):
                await asyncio.sleep(0)
            Gathered(transport, loop).write(b"too late")
            for _ in range(5):
                await asyncio.sleep(0)
            assert theirs.recv(100) == b""
        return said

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(scene()) == []
