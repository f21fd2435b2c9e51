"""Which session a request that is passed on belongs to, whose it is, and who has to wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx2
import openai
import pytest
from openai import OpenAI

import palaver
from tests.e2e.behind import Upstream
from tests.e2e.passing import Chat
from tests.e2e.serving import Served


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
