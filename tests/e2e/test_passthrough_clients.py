"""Whatever a client that is passed through does, its history is what is stored."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import openai
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI

import palaver
from palaver.resending import likeness
from tests.e2e.behind import Upstream
from tests.e2e.passing import Chat, results
from tests.e2e.serving import Served

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
