"""What tests of the pass-through share: a program that chats through Palaver with OpenAI's client."""

from __future__ import annotations

from typing import Any

import pytest
from openai import OpenAI

import palaver
from palaver import Message
from tests.waiting import until

__all__ = ["STREAMED", "Chat", "results"]

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


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


def results(message: dict[str, Any], *answers: str) -> list[dict[str, Any]]:
    """What answers the calls of a message."""
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": answer}
        for call, answer in zip(message["tool_calls"], answers, strict=True)
    ]
