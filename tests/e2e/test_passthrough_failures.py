"""Requests that are passed on and fail: upstreams that refuse or break off, clients that leave, servers that end."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import msgspec
import openai
import pytest
from openai import OpenAI
from starlette.applications import Starlette

import palaver
from palaver.server import Upstream as Provider
from palaver.server import app
from tests.e2e.behind import Upstream
from tests.e2e.passing import STREAMED, Chat
from tests.e2e.serving import Served, palaver_server
from tests.waiting import PATIENCE


@STREAMED
@pytest.mark.parametrize(("status", "live"), [(400, 0), (422, 0), (429, 1), (500, 1), (503, 1)])
def test_a_refusal_is_passed_on_and_leaves_a_legal_history(
    chat: Chat, upstream: Upstream, stream: bool, status: int, live: int
) -> None:
    """Body and status are the upstream's own. What it cannot take is undone; what it may take later waits."""
    chat.ask("before", stream=stream)
    with pytest.raises(openai.APIStatusError) as caught:
        chat.ask(f"fail {status}", stream=stream)
    error = caught.value
    assert error.status_code == status
    assert error.response.json()["error"]["code"] == "of_the_upstream"
    assert error.response.headers["retry-after"] == "3"
    assert "set-cookie" not in error.response.headers
    chat.settled()
    assert len(chat.said) == 2 + live
    chat.ask("after", stream=stream)
    assert [m["content"] for m in upstream.last if m["role"] == "user"][-1] == "after"
    assert len(chat.said) == 4 + live


@STREAMED
def test_a_request_that_failed_may_be_sent_again(chat: Chat, upstream: Upstream, stream: bool) -> None:
    """By a client that sends what is new and by one that sends all: the question is stored once."""
    for _ in range(3):
        with pytest.raises(openai.InternalServerError):
            chat.ask("fail 500", stream=stream)
        assert chat.said == [("user", "fail 500")]
        assert len(upstream.last) == 1


def test_the_official_client_repeats_by_itself(server: Served, url: str, upstream: Upstream) -> None:
    """Two repetitions after a failure: three requests upstream, one message in the store."""
    before = len(upstream.asked)
    with OpenAI(base_url=f"{server.base}/v1", api_key="k", max_retries=1) as client:
        chat = Chat(client, url, f"again-{uuid4().hex}")
        with pytest.raises(openai.InternalServerError):
            chat.ask("fail 503")
    assert len(upstream.asked) == before + 2
    assert chat.said == [("user", "fail 503")]


@pytest.mark.parametrize("how", ["boom", "break"])
def test_a_stream_that_breaks_off_is_kept_as_far_as_it_came(chat: Chat, upstream: Upstream, how: str) -> None:
    """The client is told, and the next question goes to a legal history."""
    with pytest.raises(openai.APIError):
        chat.ask(how, stream=True)
    chat.settled()
    assert chat.said == [("user", how), ("assistant", "1 messages, ")]
    assert chat.ask("go on", stream=True)["content"] == "3 messages, the last: go on"


@pytest.mark.parametrize("how", ["boom", "break"])
def test_a_stream_that_broke_off_is_not_the_answer_to_another_try(chat: Chat, upstream: Upstream, how: str) -> None:
    """A key for retries has what was whole; what failed is asked for again."""
    before = len(upstream.asked)
    key = {"Idempotency-Key": uuid4().hex}
    for _ in range(2):
        with pytest.raises(openai.APIError):
            chat.ask(how, stream=True, headers=key)
        chat.settled()
    assert len(upstream.asked) == before + 2
    key = {"Idempotency-Key": uuid4().hex}
    assert chat.ask("whole", headers=key) == chat.ask("whole", headers=key)
    assert len(upstream.asked) == before + 3


def test_what_is_no_answer_is_said_to_be_none(chat: Chat) -> None:
    """502, and the question is kept."""
    with pytest.raises(openai.InternalServerError) as caught:
        chat.ask("garbage")
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_failed")
    chat.settled()
    assert chat.said == [("user", "garbage")]


@pytest.mark.parametrize("breaks", [False, True], ids=["closed", "reset"])
def test_a_client_that_leaves_after_the_last_event_is_told_the_same_again(
    tmp_path: Path, upstream: Upstream, breaks: bool
) -> None:
    """The end of a stream says nothing more: many clients close before it, and try again with the same key."""
    asked = len(upstream.asked)
    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (b"palaver-session", b"closing"),
        (b"idempotency-key", b"once"),
    ]
    path = "/v1/chat/completions"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def asking(application: Starlette, until: bytes, text: str = "hi") -> tuple[bytes, bool]:
        """What a client is told that closes its connection when it has read that, and whether it is said again."""
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
        closed, given, told, replayed = asyncio.Event(), [msgspec.json.encode(body)], b"", False

        async def receive() -> Any:
            if given:
                return {"type": "http.request", "body": given.pop(), "more_body": False}
            await closed.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal told, replayed
            if closed.is_set():
                if breaks:
                    raise ConnectionResetError
                return
            replayed |= (b"idempotency-replayed", b"true") in message.get("headers", ())
            told += message.get("body", b"")
            if until in told:
                closed.set()
                for _ in range(10):  # the server sees it before it goes on
                    await asyncio.sleep(0)

        await application({**scope}, receive, send)
        return told, replayed

    async def run() -> None:
        application = app(f"sqlite:///{tmp_path}/chat.db", upstream=Provider(url=f"{upstream.base}/v1"))
        async with application.router.lifespan_context(application):
            first, replayed = await asking(application, b"data: [DONE]")
            assert not replayed
            assert first.rstrip().endswith(b"data: [DONE]")
            assert await asking(application, b"never") == (first, True)
            headers[-1] = (b"idempotency-key", b"another")
            for _ in range(2):  # in the middle: what came is no answer to another try
                assert not (await asking(application, b"messages,", "hold"))[1]

    asyncio.run(run())
    assert len(upstream.asked) == asked + 3


def test_a_client_that_is_killed_in_the_middle_ends_the_upstreams_work(chat: Chat, upstream: Upstream) -> None:
    """What came is stored, the turn ends, and the session is free."""
    left = upstream.left
    headers = {"Palaver-Session": chat.name}
    with chat.client.chat.completions.with_streaming_response.create(
        model="m", messages=[{"role": "user", "content": "hold"}], stream=True, extra_headers=headers
    ) as answer:
        lines = answer.iter_lines()
        while "messages," not in next(lines):
            pass
    upstream.wait(0, left=left + 1)
    chat.settled()
    assert chat.said == [("user", "hold"), ("assistant", "1 messages, ")]
    chat.ask("and now", stream=True)
    assert len(upstream.last) == 3


def test_a_client_that_does_not_wait_ends_the_upstreams_work(chat: Chat, server: Served, upstream: Upstream) -> None:
    """Before the answer begins: the question is kept, unanswered, and the same question again is the same message."""
    left, asked = upstream.left, len(upstream.asked)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "wait"}]})
    headers = {"Content-Type": "application/json", "Palaver-Session": chat.name}
    connection = HTTPConnection(urlsplit(server.base).netloc, timeout=PATIENCE)
    connection.request("POST", "/v1/chat/completions", body, headers)
    upstream.wait(asked + 1)
    connection.close()
    upstream.wait(asked + 1, left=left + 1)
    chat.settled()
    assert chat.said == [("user", "wait")]
    with ThreadPoolExecutor() as pool:
        again = pool.submit(chat.ask, "wait")
        upstream.wait(asked + 2)
        upstream.release()
        assert again.result()["content"] == "1 messages, the last: wait"
    assert [role for role, _ in chat.said] == ["user", "assistant"]


def test_a_server_without_an_upstream_says_so(tmp_path: Path) -> None:
    """404 with the remedy; an upstream that is not there is a 502, and the question is kept."""
    store = f"sqlite:///{tmp_path}/chat.db"
    message: Any = [{"role": "user", "content": "hi"}]
    with palaver_server(store) as served, OpenAI(base_url=f"{served.base}/v1", api_key="k", max_retries=0) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="m", messages=message, extra_headers={"Palaver-Session": "u"})
        assert caught.value.code == "no_upstream"
    with (
        palaver_server(store, "dict(upstream='http://127.0.0.1:9/v1')") as served,
        OpenAI(base_url=f"{served.base}/v1", api_key="k", max_retries=0) as client,
    ):
        with pytest.raises(openai.InternalServerError) as failed:
            client.chat.completions.create(model="m", messages=message, extra_headers={"Palaver-Session": "u"})
        assert (failed.value.status_code, failed.value.code) == (502, "upstream_failed")
    with palaver.open(store) as sessions:
        assert [m.text for m in sessions.resolve("u").messages()] == ["hi"]


def test_a_server_that_is_killed_leaves_a_legal_history(tmp_path: Path, upstream: Upstream) -> None:
    """In the middle of a stream: the question is in the store, and nothing is half there."""
    store = f"sqlite:///{tmp_path}/chat.db"
    options = f"dict(upstream={upstream.base + '/v1'!r})"
    with palaver_server(store, options) as served, httpx2.Client(timeout=PATIENCE) as http:
        body = {
            "model": "m",
            "metadata": {"palaver_session": "u"},
            "stream": True,
            "messages": [{"role": "user", "content": "hold"}],
        }
        with http.stream("POST", f"{served.base}/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            while "messages," not in next(lines):
                pass
            served.process.kill()
            served.process.wait(PATIENCE)
    with palaver.open(store) as sessions:
        session = sessions.resolve("u")
        assert [m.text for m in session.messages()] == ["hold"]
        assert [m.role for m in session.history().messages] == ["user"]


def test_a_server_that_is_stopped_keeps_what_came(tmp_path: Path, upstream: Upstream) -> None:
    """A request that is being answered when SIGTERM comes may end; so does its turn."""
    store = f"sqlite:///{tmp_path}/chat.db"
    body = {
        "model": "m",
        "metadata": {"palaver_session": "u"},
        "stream": True,
        "messages": [{"role": "user", "content": "hold"}],
    }
    with (
        palaver_server(store, f"dict(upstream={upstream.base + '/v1'!r})") as served,
        httpx2.Client(timeout=PATIENCE) as http,
        http.stream("POST", f"{served.base}/v1/chat/completions", json=body) as answer,
    ):
        lines = answer.iter_lines()
        while "messages," not in next(lines):
            pass
        served.process.terminate()
        upstream.release()
        assert "data: [DONE]" in list(lines)
        assert served.process.wait(PATIENCE) == 0
    with palaver.open(store) as sessions:
        assert [m.text for m in sessions.resolve("u").messages()] == ["hold", "1 messages, the last: hold"]
        assert not sessions.open_turns()
