"""OpenAI's Chat Completions, as they are passed through."""

from __future__ import annotations

from typing import Any

import msgspec

from palaver import formats
from palaver.errors import InvalidMessage
from palaver.formats.openai_chat.usage import usage_of
from palaver.formats.wire import is_array, is_object
from palaver.model import Message, Usage
from palaver.resending import instructions
from palaver.server.openai_style import OPENAI
from palaver.server.passthrough.dialect import Asked, history_of, without_name
from palaver.server.passthrough.frames import Frame
from palaver.window import Window

__all__ = ["ChatCompletions"]


class ChatCompletions:
    """`POST /v1/chat/completions`."""

    wire = "openai_chat"
    path = "/chat/completions"
    style = OPENAI

    def asked(self, body: dict[str, Any]) -> Asked:
        """See `Dialect.asked`."""
        told, said = instructions(formats.parse(self.wire, body.get("messages")))
        options = body.get("stream_options")
        return Asked(
            instructions=told,
            messages=said,
            stream=body.get("stream") is True,
            counted=is_object(options) and options.get("include_usage") is True,
        )

    def body(self, body: dict[str, Any], asked: Asked, window: Window) -> dict[str, Any]:
        """See `Dialect.body`. A stream is asked to say what it used, which OpenAI says only then."""
        told: list[Any] = formats.render(self.wire, asked.instructions, repair=False).messages
        said: list[Any] = formats.render(self.wire, history_of(asked, window)).messages
        out: dict[str, Any] = {**body, "messages": [*told, *said]}
        if asked.stream:
            options = body.get("stream_options")
            out["stream_options"] = {**(options if is_object(options) else {}), "include_usage": True}
        return without_name(out)

    def reply(self, raw: dict[str, Any]) -> tuple[list[Message], Usage | None]:
        """See `Dialect.reply`. Of several choices the first; the model's name is in what was used."""
        choices = raw.get("choices")
        if not is_array(choices) or not choices or not is_object(choices[0]):
            raise InvalidMessage("the upstream's answer has no choices")
        used = usage_of(raw.get("usage"), raw.get("model"))
        said = formats.parse(self.wire, [choices[0].get("message")])
        return [message.replace(usage=used) for message in said], used

    def name(self, event: dict[str, Any]) -> str | None:  # noqa: ARG002 - as Dialect has it
        """See `Dialect.name`: nobody goes on from a completion."""
        return None

    def closes(self, frame: Frame, event: dict[str, Any] | None) -> bool:
        """See `Dialect.closes`."""
        return event is None and frame.data.strip() == b"[DONE]"

    def unasked(self, asked: Asked, event: dict[str, Any]) -> bool:
        """See `Dialect.unasked`: the chunk that only says what was used."""
        return not asked.counted and event.get("choices") == [] and is_object(event.get("usage"))

    def error(self, found: dict[str, Any]) -> bytes:
        """See `Dialect.error`."""
        return b"data: " + msgspec.json.encode(found) + b"\n\n"
