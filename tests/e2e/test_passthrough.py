"""Chat completions passed through with a memory: OpenAI's client, a real server, and an upstream that is strict."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Iterator
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
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI
from starlette.applications import Starlette

import palaver
from palaver import Message
from palaver.resending import likeness
from palaver.server import Upstream as Provider
from palaver.server import app
from tests.e2e.behind import Upstream
from tests.e2e.serving import Served, palaver_server, program
from tests.waiting import PATIENCE, until


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """A strict provider."""
    with program("tests.e2e.upstream", "/seen") as served:
        made = Upstream(served.base)
        yield made
        made.http.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store for all tests of this module: each has a session of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('passthrough')}/chat.db"


@pytest.fixture(scope="module")
def server(url: str, upstream: Upstream) -> Iterator[Served]:
    """Palaver in front of the provider."""
    options = f"dict(upstream=Upstream(url={upstream.base + '/v1'!r}, credential='UPSTREAM_KEY'))"
    with palaver_server(url, options, UPSTREAM_KEY="its-key") as served:
        yield served


class Chat:
    """A program that chats through Palaver, in one session."""

    def __init__(self, client: OpenAI, url: str, name: str) -> None:
        self.client = client
        self.url = url
        self.name = name
        self.report = ""

    def ask(self, *messages: Any, stream: bool = False, **options: Any) -> Any:
        """Send messages, and give the answer as a message."""
        headers = {"Palaver-Session": self.name, **options.pop("headers", {})}
        given: Any = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
        if not stream:
            raw = self.client.chat.completions.with_raw_response.create(
                model="m", messages=given, extra_headers=headers, **options
            )
            self.report = raw.headers["palaver-history"]
            return raw.parse().choices[0].message.to_dict()
        with self.client.chat.completions.with_streaming_response.create(
            model="m", messages=given, extra_headers=headers, stream=True, **options
        ) as answer:
            self.report = answer.headers["palaver-history"]
            return joined(answer.parse())

    @property
    def messages(self) -> list[Message]:
        """What is live of the session."""
        with palaver.open(self.url) as sessions:
            return sessions.resolve(self.name).messages(limit=1000)

    @property
    def said(self) -> list[tuple[str, str]]:
        """The same as roles and texts."""
        return [(m.role, m.text) for m in self.messages]

    @property
    def usage(self) -> palaver.Usage:
        """What the session used."""
        with palaver.open(self.url) as sessions:
            return sessions.resolve(self.name).info().usage or palaver.Usage()

    def settled(self) -> None:
        """Wait until no turn runs."""
        with palaver.open(self.url) as sessions:
            found = sessions.resolve(self.name).id
            until(lambda: found not in {turn.session_id for turn in sessions.open_turns()}, "the end of its turn")


def joined(chunks: Any) -> dict[str, Any]:
    """The message that a stream makes."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: list[dict[str, Any]] = []
    for chunk in chunks:
        for choice in chunk.choices:
            if choice.delta.content:
                message["content"] = (message["content"] or "") + choice.delta.content
            for call in choice.delta.tool_calls or ():
                if call.index == len(calls):
                    calls.append(
                        {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": ""}}
                    )
                calls[call.index]["function"]["arguments"] += call.function.arguments or ""
    if calls:
        message["tool_calls"] = calls
    return message


@pytest.fixture
def client(server: Served) -> Iterator[OpenAI]:
    """OpenAI's client, with another base URL."""
    with OpenAI(base_url=f"{server.base}/v1", api_key="a client's own", max_retries=0) as made:
        yield made


@pytest.fixture
def chat(client: OpenAI, url: str) -> Chat:
    """A new session."""
    return Chat(client, url, f"chat-{uuid4().hex}")


def results(message: dict[str, Any], *answers: str) -> list[dict[str, Any]]:
    """What answers the calls of a message."""
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": answer}
        for call, answer in zip(message["tool_calls"], answers, strict=True)
    ]


STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@STREAMED
def test_a_client_that_sends_what_is_new_has_a_memory(chat: Chat, upstream: Upstream, stream: bool) -> None:
    """The upstream is sent the whole conversation, and the session has it once."""
    assert chat.ask("one", stream=stream)["content"] == "1 messages, the last: one"
    assert chat.ask("two", stream=stream)["content"] == "3 messages, the last: two"
    assert chat.report == "matched=0, new=1"
    said = [("user", "one"), ("assistant", "1 messages, the last: one"), ("user", "two")]
    assert [(m["role"], m["content"]) for m in upstream.last] == said
    assert chat.said == [*said, ("assistant", "3 messages, the last: two")]
    used = chat.usage
    assert (used.input_tokens, used.output_tokens) == (20, 10)
    answers = [message.usage for message in chat.messages if message.role == "assistant"]
    assert [(each.model, each.output_tokens) for each in answers if each is not None] == [("m-1", 5)] * 2


@STREAMED
def test_a_client_that_sends_the_whole_history_stores_it_once(chat: Chat, upstream: Upstream, stream: bool) -> None:
    """With its instructions, which are sent on as they are each time, and never stored."""
    history: list[Any] = []
    for number, question in enumerate(("one", "two", "three")):
        history.append({"role": "user", "content": question})
        system = {"role": "system", "content": f"It is day {number}."}
        history.append(chat.ask(system, *history, stream=stream))
        assert chat.report == f"matched={2 * number}, new=1"
        assert [m["content"] for m in upstream.last] == [system["content"], *(m["content"] for m in history[:-1])]
    assert chat.said == [(m["role"], m["content"]) for m in history]


@STREAMED
@pytest.mark.parametrize("whole", [False, True], ids=["new", "whole"])
def test_a_turn_spans_the_requests_of_its_tools(chat: Chat, upstream: Upstream, stream: bool, whole: bool) -> None:
    """Calls are stored, and the turn stays open for their results; it ends with the answer."""
    asked = chat.ask("twice 2 3", stream=stream)
    assert len(asked["tool_calls"]) == 2
    with palaver.open(chat.url) as sessions:
        assert sessions.resolve(chat.name).id in {turn.session_id for turn in sessions.open_turns()}
    history = [{"role": "user", "content": "twice 2 3"}, asked] if whole else []
    answer = chat.ask(*history, *results(asked, "5", "five"), stream=stream)
    assert answer["content"] == "The result is five."
    assert [m.role for m in chat.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert [m["role"] for m in upstream.last] == ["user", "assistant", "tool", "tool"]
    chat.settled()
    assert chat.usage.input_tokens == 20
    chat.ask("and now?", stream=stream)
    assert len(upstream.last) == 6


@STREAMED
def test_results_whose_answer_was_lost_are_stored_once(chat: Chat, stream: bool) -> None:
    """A client of new messages alone sends them again, and does not say that it repeats itself."""
    called = chat.ask("add 1 2", stream=stream)
    given_back = results(called, "3")
    for _ in range(2):
        assert chat.ask(*given_back, stream=stream)["content"] == "The result is 3."
    assert [role for role, _ in chat.said] == ["user", "assistant", "tool", "assistant"]


@STREAMED
def test_an_edited_past_is_cut_and_said(chat: Chat, upstream: Upstream, stream: bool) -> None:
    """The client's account holds from there on; what it replaced is stored still."""
    first = chat.ask("one", stream=stream)
    chat.ask("two", stream=stream)
    chat.ask("three", stream=stream)
    answer = chat.ask({"role": "user", "content": "one"}, first, "another two", stream=stream)
    assert chat.report == "matched=2, new=1, cut=3-6"
    assert answer["content"] == "3 messages, the last: another two"
    assert [text for _, text in chat.said] == ["one", first["content"], "another two", answer["content"]]
    with palaver.open(chat.url) as sessions:
        assert len(sessions.resolve(chat.name).messages(live=False)) == 8


@STREAMED
def test_an_answer_that_is_asked_for_again_gives_way(chat: Chat, stream: bool) -> None:
    """A history that ends with an earlier question: its answer is made anew, and the question stored once."""
    first = chat.ask("one", stream=stream)
    chat.ask("two", stream=stream)
    chat.ask({"role": "user", "content": "one"}, first, "two", stream=stream)
    assert [role for role, _ in chat.said] == ["user", "assistant"] * 2
    chat.ask("two", stream=stream, headers={"x-stainless-retry-count": "1"})
    assert [role for role, _ in chat.said] == ["user", "assistant"] * 2
    assert [text for _, text in chat.said][2] == "two"


def test_a_conversation_that_the_model_began_keeps_its_greeting(chat: Chat, upstream: Upstream) -> None:
    """A client shows a greeting that no model wrote, and sends it along: the upstream is sent it too."""
    greeting = {"role": "assistant", "content": "Hello, I am Ada."}
    chat.ask(greeting, "hi")
    assert [m["content"] for m in upstream.last] == ["Hello, I am Ada.", "hi"]
    chat.ask(greeting, "hi", {"role": "assistant", "content": chat.said[-1][1]}, "again")
    assert chat.report == "matched=3, new=1"
    assert len(upstream.last) == 4


def test_what_the_client_claims_of_its_messages_holds(chat: Chat, upstream: Upstream) -> None:
    """All of the conversation, however little that is; or new ones, though a model speaks in them."""
    chat.ask("one")
    chat.ask("one", headers={"Palaver-History": "whole"})
    assert chat.report == "matched=1, new=0, cut=2-2"
    assert len(chat.said) == 2
    example = [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]
    chat.ask(*example, "3+3", headers={"Palaver-History": "new"})
    assert len(upstream.last) == 5
    with pytest.raises(openai.BadRequestError) as caught:
        chat.ask("x", headers={"Palaver-History": "some"})
    assert caught.value.code == "bad_request"


def test_first_requests_at_once_make_one_session(client: OpenAI, url: str, upstream: Upstream) -> None:
    """One is answered, and the others are told that the session is busy; nothing of theirs is stored."""
    chat = Chat(client, url, f"chat-{uuid4().hex}")
    asked = len(upstream.asked)
    with ThreadPoolExecutor(4) as pool:
        history: list[Any] = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, "wait"]
        first = pool.submit(chat.ask, *history)
        upstream.wait(asked + 1)
        others = [pool.submit(chat.ask, *history) for _ in range(3)]
        assert all(isinstance(other.exception(), openai.ConflictError) for other in others)
        upstream.release()
        first.result()
    assert [text for _, text in chat.said] == ["a", "b", "wait", "3 messages, the last: wait"]


def test_a_turn_of_an_agent_is_left_alone(client: OpenAI, server: Served) -> None:
    """An agent whose tool runs keeps its turn: whoever passes something on meanwhile is told that it is busy."""
    name = f"agent-{uuid4().hex}"
    with httpx2.Client(base_url=server.base) as http:
        begun = http.post("/v1/turns", json={"key": name, "message": "What is it?"}).json()
        call = {"kind": "tool_call", "name": "look", "call_id": "c1", "arguments": "{}"}
        said = {"messages": [{"role": "assistant", "content": [call]}]}
        assert http.post(f"/v1/turns/{begun['id']}/messages", json=said).status_code == 201
        for asked in ({"role": "user", "content": "hi"}, {"role": "tool", "tool_call_id": "c1", "content": "not its"}):
            with pytest.raises(openai.ConflictError):
                client.chat.completions.create(
                    model="m",
                    messages=[asked],  # type: ignore[list-item]
                    extra_headers={"Palaver-Session": name, "Palaver-History": "new"},
                )
        result = {"messages": [{"role": "tool", "call_id": "c1", "content": "4"}]}
        assert http.post(f"/v1/turns/{begun['id']}/messages", json=result).status_code == 201
        assert http.post(f"/v1/turns/{begun['id']}/finish", json={"message": "4"}).status_code == 200


def test_what_else_a_request_says_is_sent_on(client: OpenAI, url: str, upstream: Upstream) -> None:
    """Parameters that Palaver does not know; not the name of the session, nor what opens Palaver."""
    name = f"named-{uuid4().hex}"
    client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "hi"}],
        temperature=0.25,
        metadata={"palaver_session": name, "mine": "kept"},
        extra_body={"brand_new": {"a": [1, None]}},
        extra_headers={"OpenAI-Organization": "org"},
    )
    body = upstream.asked[-1]
    assert (body["temperature"], body["brand_new"], body["metadata"]) == (0.25, {"a": [1, None]}, {"mine": "kept"})
    headers = upstream.http.get("/seen").json()["asked"][-1]["headers"]
    assert (headers["authorization"], headers["openai-organization"]) == ("Bearer its-key", "org")
    again: Any = [{"role": "user", "content": "again"}]
    client.chat.completions.create(model="m", messages=again, extra_headers={"Palaver-Session": name})
    assert len(upstream.last) == 3


def test_the_upstreams_models_are_listed(client: OpenAI) -> None:
    """What clients offer their users is what the upstream has."""
    assert [model.id for model in client.models.list()] == ["m-1"]


@STREAMED
def test_bytes_come_as_they_were_sent(server: Served, upstream: Upstream, stream: bool) -> None:
    """What the upstream says is not written anew: comments, keys and spaces are there."""
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "bytes"}]}
    asked = {**body, "stream_options": {"include_usage": True}} if stream else body
    with httpx2.Client() as http:
        direct = http.post(f"{upstream.base}/v1/chat/completions", json=asked)
        passed = http.post(
            f"{server.base}/v1/chat/completions", json=asked, headers={"Palaver-Session": f"b-{uuid4().hex}"}
        )
        silent = http.post(
            f"{server.base}/v1/chat/completions", json=body, headers={"Palaver-Session": f"b-{uuid4().hex}"}
        )

    plain = [re.sub(r"chatcmpl-\d+", "chatcmpl", answer.text) for answer in (direct, passed)]
    assert plain[0] == plain[1]
    assert passed.headers["palaver-upstream-request-id"].startswith("req_")
    assert passed.headers["content-type"] == direct.headers["content-type"]
    assert ('"usage"' in silent.text) is not stream


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


def test_another_request_meanwhile_is_told_so(chat: Chat, upstream: Upstream) -> None:
    """409, at once, with nothing stored; the first one is answered."""
    asked = len(upstream.asked)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(chat.ask, "hold", stream=True)
        upstream.wait(asked + 1)
        for stream in (False, True):
            with pytest.raises(openai.ConflictError) as caught:
                chat.ask("meanwhile", stream=stream)
            assert caught.value.code == "session_busy"
        upstream.release()
        assert first.result()["content"] == "1 messages, the last: hold"
    assert [role for role, _ in chat.said] == ["user", "assistant"]


@STREAMED
def test_a_client_that_goes_on_without_results_is_let_go_on(chat: Chat, upstream: Upstream, stream: bool) -> None:
    """The call that nobody answered has a result that says so; the turn that waited has ended."""
    chat.ask("add 1 1", stream=stream)
    chat.ask("never mind", stream=stream)
    assert [m["role"] for m in upstream.last] == ["user", "assistant", "tool", "user"]
    chat.settled()


def test_results_that_are_not_whole_are_refused_and_not_stored(chat: Chat) -> None:
    """One result of two, and one of a call that is not there: OpenAI's 400, before anything is stored."""
    asked = chat.ask("twice 1 1")
    for wrong in (results(asked, "1", "2")[:1], [{"role": "tool", "tool_call_id": "nobody's", "content": "x"}]):
        with pytest.raises(openai.BadRequestError) as caught:
            chat.ask(*wrong)
        assert "tool_call" in caught.value.message
    assert [role for role, _ in chat.said] == ["user", "assistant"]
    chat.ask(*results(asked, "1", "2"))


def test_what_is_no_answer_is_said_to_be_none(chat: Chat) -> None:
    """502, and the question is kept."""
    with pytest.raises(openai.InternalServerError) as caught:
        chat.ask("garbage")
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_failed")
    chat.settled()
    assert chat.said == [("user", "garbage")]


def test_a_request_that_names_no_session_is_refused(client: OpenAI) -> None:
    """It says how to name one; a conversation that is not there is not found."""
    message: Any = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=message)
    assert caught.value.code == "session_required"
    assert "OpenAI(..., default_headers=" in caught.value.message
    with pytest.raises(openai.BadRequestError, match="Palaver-Session is empty"):
        client.chat.completions.create(model="m", messages=message, extra_headers={"Palaver-Session": ""})
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="m", messages=message, extra_headers={"Palaver-Session": "conv_x"})


def test_a_conversation_is_continued_by_its_id(client: OpenAI, upstream: Upstream) -> None:
    """What is in OpenAI's Conversations API, or under any other key, is what the model is sent."""
    item: Any = {"role": "user", "content": "Remember 17."}
    made = client.conversations.create(items=[item, {"role": "assistant", "content": "I do."}])
    client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "Which number?"}],
        extra_headers={"Palaver-Session": made.id},
    )
    assert [m["content"] for m in upstream.last] == ["Remember 17.", "I do.", "Which number?"]
    assert len(list(client.conversations.items.list(made.id))) == 4


def test_two_chats_of_one_user_are_two(client: OpenAI, url: str, upstream: Upstream) -> None:
    """Who the end user is names no session: it is who speaks, in each of them."""
    person, names = f"ana-{uuid4().hex}", [f"chat-{uuid4().hex}" for _ in range(2)]
    for name in names:
        message: Any = [{"role": "user", "content": "hi"}]
        named = {"metadata": {"palaver_session": name}}
        client.chat.completions.create(model="m", messages=message, user=person, extra_body=named)
        assert [m["content"] for m in upstream.last] == ["hi"]
        assert upstream.asked[-1]["user"] == person
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=message, user=person)
    assert caught.value.code == "session_required"
    with palaver.open(url) as sessions:
        for session in map(sessions.resolve, names):
            origin = session.info().origin
            assert origin is not None
            assert (origin.platform, origin.user_id) == ("api", person)
            asked, answer = session.messages()
            assert (asked.sender, answer.sender) == (palaver.Sender(id=person), None)
        with pytest.raises(palaver.SessionNotFound):
            sessions.resolve(person)


def test_a_user_is_erased_from_what_others_said_too(client: OpenAI, url: str) -> None:
    """What one end user of a session said, with its answers; what another said stays."""
    ana, bo, name = (f"{each}-{uuid4().hex}" for each in ("ana", "bo", "chat"))
    for person, text in ((ana, "mine"), (bo, "his")):
        message: Any = [{"role": "user", "content": text}]
        headers = {"Palaver-Session": name}
        client.chat.completions.create(model="m", messages=message, safety_identifier=person, extra_headers=headers)
    with palaver.open(url) as sessions:
        sessions.erase(user=f"api:{ana}")
        assert [m.text for m in sessions.resolve(name).messages()] == ["his", "3 messages, the last: his"]


def test_owners_do_not_meet(client: OpenAI, url: str, upstream: Upstream) -> None:
    """One name is another session for each owner."""
    name = f"shared-{uuid4().hex}"
    for owner in ("ana", "bo"):
        headers = {"Palaver-Session": name, "Palaver-Owner": owner}
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": owner}], extra_headers=headers)
        assert [m["content"] for m in upstream.last] == [owner]


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
        assert served.process.wait(PATIENCE) in (0, -signal.SIGTERM)
    with palaver.open(store) as sessions:
        assert [m.text for m in sessions.resolve("u").messages()] == ["hold", "1 messages, the last: hold"]
        assert not sessions.open_turns()


# ---------------------------------------------------------------------- any client
ACTS = st.tuples(
    st.sampled_from(["ask", "ask", "call", "call", "drop", "edit", "again", "fail 400", "fail 503", "boom", "break"]),
    st.booleans(),
    st.integers(0, 9),
)


class Person:
    """A client that has its own history, and sends all of it; what fails it forgets."""

    def __init__(self, chat: Chat, claim: str) -> None:
        self.chat = chat
        self.headers = {"Palaver-History": claim}
        self.history: list[dict[str, Any]] = []
        self.count = 0

    def send(self, text: str, *, stream: bool) -> dict[str, Any] | None:
        """Say something; None where it failed, as it was asked to."""
        asked = [*self.history, {"role": "user", "content": text}]
        try:
            answer = self.chat.ask(*asked, stream=stream, headers=self.headers)
        except openai.APIError:
            if not text.startswith(("fail", "boom", "break")):
                raise
            self.chat.settled()
            return None
        self.history = [*asked, answer]
        return dict(answer)

    def act(self, kind: str, number: int, *, stream: bool) -> None:
        """Do one thing."""
        self.count += 1
        questions = [at for at, message in enumerate(self.history) if message["role"] == "user"]
        if kind in ("edit", "again") and questions:
            at = questions[number % len(questions)]
            text = self.history[at]["content"] if kind == "again" else f"question {self.count}"
            self.history = self.history[:at]
            self.send(text, stream=stream)
        elif kind in ("call", "drop"):
            answer = self.send(f"twice {self.count} {number}", stream=stream)
            if answer is not None and kind == "call":
                asked = [*self.history, *results(answer, "1", "2")]
                self.history = [*asked, self.chat.ask(*asked, stream=stream, headers=self.headers)]
        elif kind.startswith(("fail", "boom", "break")):
            self.send(kind, stream=stream or kind in ("boom", "break"))
        else:
            self.send(f"question {self.count}", stream=stream)


@given(st.lists(ACTS, min_size=2, max_size=8), st.sampled_from(["auto", "whole"]))
@settings(max_examples=20)  # each is a dozen requests to a server
def test_whatever_a_client_does_its_history_is_what_is_stored(
    server: Served, upstream: Upstream, url: str, acts: list[tuple[str, bool, int]], claim: str
) -> None:
    """It asks, edits, asks again, leaves calls without results and is failed: the upstream never refuses a history.

    And after the next answer the session ends with the client's own history, each message once. Only if the client says
    so, that is all of it: a first question that failed may have been forgotten, or not.
    """
    with OpenAI(base_url=f"{server.base}/v1", api_key="k", max_retries=0) as client:
        person = Person(Chat(client, url, f"person-{uuid4().hex}"), claim)
        for kind, stream, number in acts:
            person.act(kind, number, stream=stream)
        person.act("ask", 0, stream=True)
    expected = [likeness(message) for message in palaver.parse("openai_chat", person.history)]
    stored = [likeness(message) for message in person.chat.messages]
    assert stored[0 if claim == "whole" else -len(expected) :] == expected
    with palaver.open(url) as sessions:
        window = sessions.resolve(person.chat.name).history().render("openai_chat")
    assert not palaver.formats.check("openai_chat", window.messages)
