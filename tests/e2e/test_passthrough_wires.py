"""Responses and Anthropic's messages passed through with a memory, by the official clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol
from uuid import uuid4

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

import palaver
from palaver import Message
from tests.e2e.behind import Upstream
from tests.e2e.serving import Served, palaver_server
from tests.waiting import until

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
FAILURES = (openai.APIError, anthropic.APIError)


class Client(Protocol):
    """An official client, as the tests need it."""

    def ask(self, name: str, history: list[Any], *, stream: bool, **options: Any) -> tuple[list[Any], str]:
        """What the model said, as history, and what Palaver said of the request."""
        ...

    def result(self, said: list[Any], *answers: str) -> list[Any]:
        """What answers the calls in there."""
        ...

    def text(self, said: list[Any]) -> str:
        """The text in there."""
        ...

    def calls(self, said: list[Any]) -> int:
        """How many calls are in there."""
        ...


class ResponsesClient:
    """OpenAI's client and its Responses."""

    def __init__(self, base: str) -> None:
        self.api = OpenAI(base_url=f"{base}/v1", api_key="k", max_retries=0)
        self.id = ""

    def ask(self, name: str, history: list[Any], *, stream: bool, **options: Any) -> tuple[list[Any], str]:
        """See `Client`."""
        headers = {"Palaver-Session": name} if name else {}
        given: Any = {"model": "m", "input": history, "extra_headers": headers, **options}
        if not stream:
            raw = self.api.responses.with_raw_response.create(**given)
            self.id = raw.parse().id
            return [item.to_dict() for item in raw.parse().output], raw.headers["palaver-history"]
        with self.api.responses.with_streaming_response.create(**given, stream=True) as answer:
            ended = [event for event in answer.parse() if event.type == "response.completed"][-1]
            self.id = ended.response.id
            return [item.to_dict() for item in ended.response.output], answer.headers["palaver-history"]

    def result(self, said: list[Any], *answers: str) -> list[Any]:
        """See `Client`."""
        calls = [item for item in said if item["type"] == "function_call"]
        return [
            {"type": "function_call_output", "call_id": call["call_id"], "output": answer}
            for call, answer in zip(calls, answers, strict=True)
        ]

    def text(self, said: list[Any]) -> str:
        """See `Client`."""
        return "".join(part["text"] for item in said if item["type"] == "message" for part in item["content"])

    def calls(self, said: list[Any]) -> int:
        """See `Client`."""
        return sum(item["type"] == "function_call" for item in said)


class MessagesClient:
    """Anthropic's client."""

    def __init__(self, base: str) -> None:
        self.api = Anthropic(base_url=base, api_key="k", max_retries=0)

    def ask(self, name: str, history: list[Any], *, stream: bool, **options: Any) -> tuple[list[Any], str]:
        """See `Client`."""
        options["system"] = options.pop("instructions", anthropic.omit)
        given: Any = {"model": "m", "max_tokens": 100, "messages": history, **options}
        given["extra_headers"] = {"Palaver-Session": name}
        if not stream:
            raw = self.api.messages.with_raw_response.create(**given)
            content = [block.to_dict() for block in raw.parse().content]
            return [{"role": "assistant", "content": content}], raw.headers["palaver-history"]
        with self.api.messages.stream(**given) as answer:
            content = [block.to_dict() for block in answer.get_final_message().content]
            return [{"role": "assistant", "content": content}], answer.response.headers["palaver-history"]

    def result(self, said: list[Any], *answers: str) -> list[Any]:
        """See `Client`."""
        uses = [block for block in said[0]["content"] if block["type"] == "tool_use"]
        blocks = [
            {"type": "tool_result", "tool_use_id": use["id"], "content": answer}
            for use, answer in zip(uses, answers, strict=True)
        ]
        return [{"role": "user", "content": blocks}]

    def text(self, said: list[Any]) -> str:
        """See `Client`."""
        return "".join(block["text"] for block in said[0]["content"] if block["type"] == "text")

    def calls(self, said: list[Any]) -> int:
        """See `Client`."""
        return sum(block["type"] == "tool_use" for block in said[0]["content"])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store for all tests of this module."""
    return f"sqlite:///{tmp_path_factory.mktemp('wires')}/chat.db"


@pytest.fixture(scope="module")
def server(url: str, upstream: Upstream) -> Iterator[Served]:
    """Palaver in front of the provider."""
    with palaver_server(url, f"dict(upstream={upstream.base + '/v1'!r})") as served:
        yield served


@pytest.fixture(scope="module", params=[ResponsesClient, MessagesClient], ids=["responses", "messages"])
def client(request: pytest.FixtureRequest, server: Served) -> Iterator[Client]:
    """Each of the official clients."""
    made = request.param(server.base)
    yield made
    made.api.close()


@pytest.fixture
def name() -> str:
    """A new session."""
    return f"chat-{uuid4().hex}"


def asks(text: str) -> dict[str, Any]:
    """A message of the user, in both."""
    return {"role": "user", "content": text}


def stored(url: str, name: str) -> list[Message]:
    """What is live of a session."""
    with palaver.open(url) as sessions:
        return sessions.resolve(name).messages(limit=1000)


def settled(url: str, name: str) -> None:
    """Wait until no turn runs."""
    with palaver.open(url) as sessions:
        found = sessions.resolve(name).id
        until(lambda: found not in {turn.session_id for turn in sessions.open_turns()}, "the end of its turn")


def test_anthropics_user_is_who_speaks(server: Served, url: str, name: str, upstream: Upstream) -> None:
    """It is the sender and is sent on; the session is named beside it."""
    with Anthropic(base_url=server.base, api_key="k", max_retries=0) as api:
        given: Any = {"model": "m", "max_tokens": 100, "messages": [asks("hi")]}
        api.messages.create(**given, extra_body={"metadata": {"user_id": "ana", "palaver_session": name}})
        assert upstream.asked[-1]["metadata"] == {"user_id": "ana"}
        with pytest.raises(anthropic.BadRequestError, match=r"Anthropic\(..., default_headers=.*its user is does not"):
            api.messages.create(**given, metadata={"user_id": "ana"})
        with pytest.raises(anthropic.BadRequestError, match="Palaver-Session is empty"):
            api.messages.create(**given, extra_headers={"Palaver-Session": ""})
    assert stored(url, name)[0].sender == palaver.Sender(id="ana")


@STREAMED
def test_new_messages_alone_go_on(client: Client, upstream: Upstream, url: str, name: str, stream: bool) -> None:
    """The upstream is sent what was said before."""
    first, _ = client.ask(name, [asks("one")], stream=stream)
    assert client.text(first) == "1 messages, the last: one"
    second, report = client.ask(name, [asks("two")], stream=stream)
    assert client.text(second) == "3 messages, the last: two"
    assert report == "matched=0, new=1"
    assert len(upstream.last) == 3
    assert [m.role for m in stored(url, name)] == ["user", "assistant"] * 2
    with palaver.open(url) as sessions:
        used = sessions.resolve(name).info().usage
    assert used is not None
    assert (used.input_tokens, used.output_tokens) == (20, 10)


@STREAMED
def test_a_whole_history_is_stored_once(client: Client, upstream: Upstream, url: str, name: str, stream: bool) -> None:
    """With calls and their results, and instructions that change."""
    history: list[Any] = []
    for number, question in enumerate(("one", "twice 1 2", "three")):
        history.append(asks(question))
        said, _ = client.ask(name, history, stream=stream, instructions=f"It is day {number}.")
        history += said
        if client.calls(said):
            history += client.result(said, "3", "three")
            said, report = client.ask(name, history, stream=stream, instructions="Still.")
            assert report.startswith("matched=4, new=")  # Anthropic has all results in one message
            assert client.text(said) == "The result is three."
            history += said
    roles = [m.role for m in stored(url, name)]
    assert [
        role for role in roles if role != "tool"
    ] == "user assistant user assistant assistant user assistant".split()
    assert sum(len(m.tool_results) for m in stored(url, name)) == 2
    body = upstream.asked[-1]
    told = body.get("instructions") or body.get("system")
    assert told == "It is day 2."
    settled(url, name)


@STREAMED
def test_results_alone_go_on_with_the_turn(
    client: Client, upstream: Upstream, url: str, name: str, stream: bool
) -> None:
    """The turn waits for them, and ends with the answer."""
    said, _ = client.ask(name, [asks("add 2 2")], stream=stream)
    assert client.calls(said) == 1
    answer, _ = client.ask(name, client.result(said, "4"), stream=stream)
    assert client.text(answer) == "The result is 4."
    assert [m.role for m in stored(url, name)] == ["user", "assistant", "tool", "assistant"]
    settled(url, name)


@STREAMED
def test_an_edited_past_is_cut(client: Client, url: str, name: str, stream: bool) -> None:
    """From where it was edited on."""
    first, _ = client.ask(name, [asks("one")], stream=stream)
    client.ask(name, [asks("two")], stream=stream)
    _, report = client.ask(name, [asks("one"), *first, asks("not two")], stream=stream)
    assert report == "matched=2, new=1, cut=3-4"
    assert [m.text for m in stored(url, name)][2] == "not two"


@STREAMED
@pytest.mark.parametrize(("status", "live"), [(400, 0), (529, 1)])
def test_a_refusal_is_the_upstreams_own(
    client: Client, url: str, name: str, stream: bool, status: int, live: int
) -> None:
    """Its status and its words; and the history stays legal."""
    client.ask(name, [asks("one")], stream=stream)
    with pytest.raises(FAILURES) as caught:
        client.ask(name, [asks(f"fail {status}")], stream=stream)
    assert caught.value.status_code == status  # type: ignore[attr-defined]
    assert "as you wish" in str(caught.value)
    settled(url, name)
    assert len(stored(url, name)) == 2 + live
    client.ask(name, [asks("go on")], stream=stream)


@pytest.mark.parametrize("how", ["boom", "break"])
def test_a_stream_that_breaks_off_is_kept(client: Client, upstream: Upstream, url: str, name: str, how: str) -> None:
    """As far as it came; the client is told."""
    with pytest.raises((*FAILURES, IndexError)):  # OpenAI's client gives an error event of Responses like any other
        client.ask(name, [asks(how)], stream=True)
    settled(url, name)
    assert [m.text for m in stored(url, name)] == [how, "1 messages, "]
    client.ask(name, [asks("go on")], stream=True)
    assert len(upstream.last) == 3


def test_errors_of_palaver_are_in_the_words_of_the_api(client: Client, name: str) -> None:
    """A result of a call that is not there; no name for the session."""
    with pytest.raises(FAILURES) as caught:
        client.ask(name, [asks("hi"), *client.result([call_of(client)], "x")], stream=False)
    assert caught.value.status_code == 400  # type: ignore[attr-defined]
    assert "call" in str(caught.value)
    with pytest.raises(FAILURES) as caught:
        client.ask("conv_nothing", [asks("hi")], stream=True)
    assert caught.value.status_code == 404  # type: ignore[attr-defined]


def call_of(client: Client) -> Any:
    """A call that nobody made."""
    if isinstance(client, ResponsesClient):
        return {"type": "function_call", "call_id": "nobody"}
    return {"content": [{"type": "tool_use", "id": "nobody"}]}


# ---------------------------------------------------------------------- what Responses have of their own
@pytest.fixture(scope="module")
def responses(server: Served) -> Iterator[ResponsesClient]:
    """OpenAI's client."""
    made = ResponsesClient(server.base)
    yield made
    made.api.close()


@STREAMED
def test_a_response_goes_on_from_another(
    responses: ResponsesClient, upstream: Upstream, url: str, name: str, stream: bool
) -> None:
    """`previous_response_id` finds the session; what came behind that response gives way."""
    responses.ask(name, [asks("one")], stream=stream)
    first = responses.id
    responses.ask("", [asks("two")], stream=stream, previous_response_id=first)
    assert len(upstream.last) == 3
    _, report = responses.ask("", [asks("not two")], stream=stream, previous_response_id=first)
    assert report == "matched=0, new=1, cut=3-4"
    assert [m.text for m in stored(url, name)][2] == "not two"
    said, _ = responses.ask("", [asks("add 1 1")], stream=stream, previous_response_id=responses.id)
    responses.ask("", responses.result(said, "2"), stream=stream, previous_response_id=responses.id)
    assert [m.role for m in stored(url, name)][-4:] == ["user", "assistant", "tool", "assistant"]
    with pytest.raises(openai.BadRequestError) as caught:
        responses.ask("", [asks("x")], stream=stream, previous_response_id="resp_nobody")
    assert caught.value.code == "previous_response_not_found"


@STREAMED
def test_a_response_in_a_conversation(responses: ResponsesClient, upstream: Upstream, stream: bool) -> None:
    """Input is new in it; its items are what the model is sent, and the answer is one of them."""
    item: Any = asks("Remember 17.")
    made = responses.api.conversations.create(items=[item])
    responses.ask("", [asks("Which?")], stream=stream, conversation=made.id)
    assert [m["content"] for m in upstream.last] == ["Remember 17.", "Which?"]
    responses.ask("", "And now?", stream=stream, conversation={"id": made.id})  # type: ignore[arg-type]
    kinds = [item.type for item in responses.api.conversations.items.list(made.id, order="asc")]
    assert kinds == ["message"] * 5
    with pytest.raises(openai.NotFoundError):
        responses.ask("", [asks("x")], stream=stream, conversation="conv_nothing")
