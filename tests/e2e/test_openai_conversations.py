"""OpenAI's Conversations API with OpenAI's own client, and with the session of openai-agents, over a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from agents import Agent, OpenAIConversationsSession, Runner, function_tool, set_tracing_disabled
from agents.models.openai_responses import OpenAIResponsesModel
from openai import AsyncOpenAI, OpenAI

import palaver
from palaver import Origin, assistant, user
from palaver.model import ImagePart, ToolCall
from tests.e2e.serving import Served, palaver_server

set_tracing_disabled(disabled=True)

HELLO: Any = {"type": "message", "role": "user", "content": "Hello!"}
CALL: Any = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}', "id": "fc_1"}
OUTPUT: Any = {"type": "function_call_output", "call_id": "c1", "output": "2"}
SAID: Any = {"role": "assistant", "content": "Two."}
THOUGHT: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def under(item: Any, name: str) -> Any:
    """An item with another id."""
    return {**item, "id": name}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store for all tests of this module: each makes its own conversation."""
    return f"sqlite:///{tmp_path_factory.mktemp('conversations')}/chat.db"


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Served]:
    """Palaver over it."""
    with palaver_server(url) as served:
        yield served


@pytest.fixture
def client(server: Served) -> Iterator[OpenAI]:
    """OpenAI's client, with another base URL and nothing else."""
    with OpenAI(base_url=f"{server.base}/v1", api_key="k", max_retries=0) as made:
        yield made


def body_of(error: openai.APIStatusError) -> dict[str, Any]:
    """The error object of a refusal, as it was sent."""
    said: dict[str, Any] = error.response.json()["error"]
    assert set(said) == {"message", "type", "param", "code"}
    return said


def listed(client: OpenAI, name: str, **options: Any) -> list[dict[str, Any]]:
    """All items, through the client's own paging."""
    return [item.model_dump(exclude_unset=True) for item in client.conversations.items.list(name, **options)]


def test_a_conversation_is_made_read_changed_and_deleted(client: OpenAI, url: str) -> None:
    """The four verbs; metadata are replaced; what was deleted is not found, also by deleting it."""
    made = client.conversations.create(metadata={"topic": "demo", "a": "b"})
    assert made.id.startswith("conv_")
    assert made.object == "conversation"
    assert client.conversations.retrieve(made.id) == made
    changed = client.conversations.update(made.id, metadata={"topic": "other"})
    assert changed.metadata == {"topic": "other"}
    gone = client.conversations.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "conversation.deleted", True)
    for verb in (client.conversations.retrieve, client.conversations.delete):
        with pytest.raises(openai.NotFoundError) as caught:
            verb(made.id)
        assert body_of(caught.value) == {
            "message": f"Conversation with id '{made.id}' not found.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }


def test_items_come_back_with_ids_in_both_orders(client: OpenAI) -> None:
    """The newest first unless asked otherwise; each with an id, a status, and its content as a list."""
    name = client.conversations.create(items=[HELLO]).id
    added = client.conversations.items.create(
        name,
        items=[THOUGHT, CALL, OUTPUT, SAID],
    )
    assert [item.type for item in added.data] == ["reasoning", "function_call", "function_call_output", "message"]
    assert (added.first_id, added.last_id, added.has_more) == (added.data[0].id, added.data[-1].id, False)
    items = listed(client, name, order="asc")
    assert items == listed(client, name)[::-1]
    assert len({item["id"] for item in items}) == len(items) == 5
    assert [item["id"].partition("_")[0] for item in items] == ["msg", "rs", "fc", "fc", "msg"]
    assert [items[1]["id"], items[2]["id"]] == ["rs_1", "fc_1"]
    assert items[0]["content"] == [{"type": "input_text", "text": "Hello!"}]
    assert items[1]["encrypted_content"] == "gAAA"
    assert items[4]["content"] == [{"type": "output_text", "text": "Two.", "annotations": [], "logprobs": []}]
    assert {item["status"] for item in items if item["type"] != "reasoning"} == {"completed"}
    for item in items:
        found = client.conversations.items.retrieve(item["id"], conversation_id=name)
        assert found.model_dump(exclude_unset=True) == item


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_every_size_give_every_item_once(client: OpenAI, order: Any, limit: int) -> None:
    """`after` is an item's id, also in the middle of what a model gave in one go; has_more says the truth."""
    name = client.conversations.create(items=[HELLO, under(THOUGHT, "rs_7"), CALL, OUTPUT, HELLO]).id
    client.conversations.items.create(name, items=[HELLO, CALL | {"id": "fc_2", "call_id": "c2"}])
    whole = listed(client, name, order=order)
    assert len(whole) == 7
    assert listed(client, name, order=order, limit=limit) == whole
    page = client.conversations.items.list(name, order=order, limit=limit)
    assert page.has_more is (limit < 7)
    assert page.last_id == page.data[-1].id


def test_a_deleted_item_is_gone_and_the_others_keep_their_ids(client: OpenAI, url: str) -> None:
    """Also where one of several items of an answer goes; what the session's history says is legal without it."""
    name = client.conversations.create(items=[HELLO, under(THOUGHT, "rs_9"), SAID]).id
    client.conversations.items.create(name, items=[SAID, CALL, OUTPUT])
    before = listed(client, name, order="asc")
    for gone in (before[4], before[1], before[3]):
        answer = client.conversations.items.delete(gone["id"], conversation_id=name)
        assert (answer.id, answer.object) == (name, "conversation")
        before.remove(gone)
        assert listed(client, name, order="asc") == before
        with pytest.raises(openai.NotFoundError) as caught:
            client.conversations.items.retrieve(gone["id"], conversation_id=name)
        assert body_of(caught.value)["message"] == f"Item with id '{gone['id']}' not found in conversation '{name}'."
    with palaver.open(url) as sessions:
        payload = sessions.get(name.removeprefix("conv_")).history().render("openai_responses")
        assert not palaver.formats.check("openai_responses", payload.messages)


def test_a_conversation_is_a_session(client: OpenAI, url: str) -> None:
    """It is listed, searched and windowed as all others; and a session of another origin is read as a conversation."""
    name = client.conversations.create(items=[{"role": "user", "content": "What is a palimpsest?"}]).id
    with palaver.open(url) as sessions:
        found = name.removeprefix("conv_")
        assert found in {info.id for info in sessions.list(limit=1000)}
        assert sessions.search("palimpsest")[0].session_id == found
        [message] = sessions.get(found).history().messages
        assert message.text == "What is a palimpsest?"
        other = sessions.get_or_create(Origin("telegram", chat_id="9"))
        picture = ImagePart(media_type="image/png", data="iVBORw0KGgo" * 4000 + "AA==")
        other.append(user(("Look:", picture)), assistant("Nice.", ToolCall(name="f", call_id="c", arguments="{}")))
        other.append(user("secret", flags=("hidden",)))
    items = listed(client, f"conv_{other.id}", order="asc")
    assert [item["type"] for item in items] == ["message", "message", "function_call"]
    assert items[0]["content"][1]["image_url"].endswith("AA==")


def test_what_is_only_shown_when_asked_for(client: OpenAI) -> None:
    """`include` brings the results of the service's own tools; an unknown value is refused."""
    search: Any = {
        "type": "file_search_call",
        "id": "fs_1",
        "queries": ["q"],
        "status": "completed",
        "results": [{"text": "t"}],
    }
    name = client.conversations.create(items=[search]).id
    [without] = listed(client, name)
    [with_it] = listed(client, name, include=["file_search_call.results"])
    assert without["results"] is None
    assert with_it["results"] == [{"text": "t"}]
    one = client.conversations.items.retrieve("fs_1", conversation_id=name, include=["file_search_call.results"])
    assert one.model_dump(exclude_unset=True) == with_it
    everything: Any = ["everything"]
    with pytest.raises(openai.BadRequestError) as caught:
        client.conversations.items.list(name, include=everything)
    assert body_of(caught.value)["code"] == "invalid_value"


def test_items_given_back_are_new_items(client: OpenAI) -> None:
    """An id that Palaver gave is not stored: the same item twice is two items, with two ids."""
    name = client.conversations.create(items=[HELLO]).id
    [first] = listed(client, name)
    again: Any = [first]
    client.conversations.items.create(name, items=again)
    both = listed(client, name, order="asc")
    assert both[0] == first
    assert both[1]["id"] != first["id"]


@pytest.mark.parametrize(
    ("method", "path", "body", "param", "code"),
    [
        ("GET", "/items?limit=0", None, "limit", "integer_below_min_value"),
        ("GET", "/items?limit=101", None, "limit", "integer_above_max_value"),
        ("GET", "/items?limit=many", None, "limit", "invalid_type"),
        ("GET", "/items?order=up", None, "order", "invalid_value"),
        ("POST", "/items", {"items": []}, "items", "empty_array"),
        ("POST", "/items", {"items": [HELLO] * 21}, "items", "array_above_max_length"),
        ("POST", "/items", {}, "items", "missing_required_parameter"),
        ("POST", "/items", {"items": [{"role": "wizard", "content": "x"}]}, "items[0]", "invalid_message"),
        ("POST", "", {}, "metadata", "missing_required_parameter"),
        ("POST", "", {"metadata": {str(i): "" for i in range(17)}}, "metadata", "object_above_max_properties"),
        ("POST", "", {"metadata": {"a": "x" * 513}}, "metadata[...]", "string_above_max_length"),
        ("POST", "", {"metadata": {"a": 1}}, "metadata[...]", "invalid_type"),
    ],
)
def test_what_is_refused_is_said_as_openai_says_it(
    client: OpenAI, server: Served, method: str, path: str, body: Any, param: str, code: str
) -> None:
    """400, with the parameter and the code; and nothing is changed."""
    name = client.conversations.create(metadata={"kept": "yes"}).id
    with httpx2.Client() as http:
        answer = http.request(method, f"{server.base}/v1/conversations/{name}{path}", json=body)
    said = answer.json()["error"]
    assert (answer.status_code, said["param"], said["code"]) == (400, param, code)
    assert said["type"] == "invalid_request_error"
    assert client.conversations.retrieve(name).metadata == {"kept": "yes"}
    assert not listed(client, name)


def test_keys_of_a_newer_client_are_no_error(client: OpenAI, server: Served) -> None:
    """Official clients send what Palaver does not know yet; a body that is no JSON is still refused."""
    made = client.conversations.create(extra_body={"brand_new": 1}, extra_query={"and": "this"})
    assert made.metadata == {}
    with httpx2.Client() as http:
        answer = http.post(
            f"{server.base}/v1/conversations", content=b"{", headers={"Content-Type": "application/json"}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


def test_a_long_conversation_is_paged_by_ids_that_its_items_brought(client: OpenAI, url: str) -> None:
    """Every item once, in order, through the client's pager, also by a server that has not seen those ids before."""
    with palaver.open(url) as sessions:
        made = sessions.create()
        message = {"role": "assistant", "type": "message", "status": "completed"}
        for start in range(0, 700, 100):
            items = [
                item
                for i in range(start, start + 100)
                for item in (
                    HELLO,
                    {**message, "id": f"msg_own{i}", "content": [{"type": "output_text", "text": f"{i}"}]},
                )
            ]
            made.append(*palaver.parse("openai_responses", items))
    name = f"conv_{made.id}"
    found = listed(client, name, limit=100, order="asc", after="msg_own99")
    assert [item["id"] for item in found[1::2]] == [f"msg_own{i}" for i in range(100, 700)]
    assert len(listed(client, name, limit=77)) == 1400


# ---------------------------------------------------------------------- openai-agents
def test_the_session_of_openai_agents_keeps_items(server: Served) -> None:
    """get_items, add_items in more than one request, a limit, pop_item and clear_session."""

    async def use() -> None:
        async with AsyncOpenAI(base_url=f"{server.base}/v1", api_key="k", max_retries=0) as client:
            session = OpenAIConversationsSession(openai_client=client)
            assert await session.get_items() == []
            many: list[Any] = [{"role": "user", "content": f"message {i}"} for i in range(45)]
            await session.add_items(many)
            items: list[Any] = await session.get_items()
            assert [item["content"][0]["text"] for item in items] == [f"message {i}" for i in range(45)]
            assert await session.get_items(limit=3) == items[-3:]
            assert await session.pop_item() == items[-1]
            assert await session.get_items() == items[:-1]
            name = session.session_id
            await session.clear_session()
            with pytest.raises(openai.NotFoundError):
                await client.conversations.retrieve(name)
            assert await session.get_items() == []
            assert session.session_id != name

    asyncio.run(use())


@function_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Model:
    """A model behind HTTP: it calls the tool, then says what came of it; and refuses what the Responses API refuses."""

    def __init__(self) -> None:
        self.seen: list[list[Any]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as the Responses API does."""
        asked = json.loads(request.content)
        self.seen.append(asked["input"])
        assert not palaver.formats.check("openai_responses", asked["input"])
        last = asked["input"][-1]
        number = len(self.seen)
        output: list[Any]
        if last.get("type") == "function_call_output":
            text = {"type": "output_text", "text": f"It is {last['output']}.", "annotations": [], "logprobs": []}
            output = [
                {
                    "type": "message",
                    "id": f"msg_m{number}",
                    "role": "assistant",
                    "status": "completed",
                    "content": [text],
                }
            ]
        else:
            call = {"type": "function_call", "call_id": f"call_{number}", "name": "add", "arguments": '{"a":2,"b":2}'}
            output = [
                {"type": "reasoning", "id": f"rs_m{number}", "summary": [], "encrypted_content": "e"},
                {**call, "id": f"fc_m{number}", "status": "completed"},
            ]
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        response = {
            "id": f"resp_{number}",
            "object": "response",
            "created_at": 1,
            "model": "m",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {**usage, **details},
        }
        return httpx2.Response(200, json=response)


def test_the_runner_of_openai_agents_remembers(server: Served, url: str) -> None:
    """Two runs with a tool each, by one conversation: the second is sent the first, and all of it is a session."""

    async def use() -> tuple[str, Model]:
        model = Model()
        transport = httpx2.MockTransport(model)
        async with (
            AsyncOpenAI(base_url=f"{server.base}/v1", api_key="k", max_retries=0) as client,
            httpx2.AsyncClient(transport=transport) as http,
            AsyncOpenAI(base_url="http://model/v1", api_key="k", max_retries=0, http_client=http) as provider,
        ):
            agent = Agent(name="A", model=OpenAIResponsesModel("m", provider), tools=[add])
            session = OpenAIConversationsSession(openai_client=client)
            for question in ("What is 2+2?", "And again?"):
                result = await Runner.run(agent, question, session=session)
                assert result.final_output == "It is 4."
            return session.session_id, model

    name, model = asyncio.run(use())
    assert len(model.seen) == 4
    kinds = [item.get("type", "message") for item in model.seen[3]]
    exchange = ["message", "reasoning", "function_call", "function_call_output", "message"]
    assert kinds == [*exchange, *exchange[:-1]]
    with palaver.open(url) as sessions:
        history = sessions.get(name.removeprefix("conv_")).history()
        assert [m.role for m in history.messages] == ["user", "assistant", "tool", "assistant"] * 2


def test_documents_of_the_store_stay_small(tmp_path: Path) -> None:
    """An id that Palaver gives is not stored with the item: no provider is sent an id that it never gave."""
    with (
        palaver_server(f"sqlite:///{tmp_path}/chat.db") as served,
        OpenAI(base_url=f"{served.base}/v1", api_key="k") as client,
    ):
        name = client.conversations.create(items=[HELLO]).id
    with palaver.open(f"sqlite:///{tmp_path}/chat.db") as sessions:
        payload = sessions.get(name.removeprefix("conv_")).history().render("openai_responses")
    assert payload.messages == [HELLO]
