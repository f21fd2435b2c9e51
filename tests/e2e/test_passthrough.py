"""Chat completions passed through with a memory: OpenAI's client, a real server, and an upstream that is strict."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx2
import openai
import pytest
from openai import OpenAI

import palaver
from tests.e2e.behind import Upstream
from tests.e2e.passing import STREAMED, Chat, results
from tests.e2e.serving import Served


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
