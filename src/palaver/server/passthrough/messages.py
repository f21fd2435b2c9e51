"""Anthropic's Messages, as they are passed through."""

from __future__ import annotations

from typing import Any

import msgspec

from palaver import formats
from palaver.errors import InvalidMessage
from palaver.formats.wire import is_array
from palaver.model import Message, Usage
from palaver.resending import instructions
from palaver.server.anthropic_style import ANTHROPIC
from palaver.server.passthrough.dialect import Asked, history_of, without_name
from palaver.server.passthrough.frames import Frame
from palaver.window import Window

__all__ = ["Messages"]


class Messages:
    """`POST /v1/messages`."""

    wire = "anthropic"
    path = "/messages"
    style = ANTHROPIC

    def asked(self, body: dict[str, Any]) -> Asked:
        """See `Dialect.asked`."""
        told, said = instructions(formats.parse(self.wire, body.get("messages"), system=body.get("system")))
        return Asked(instructions=told, messages=said, stream=body.get("stream") is True)

    def body(self, body: dict[str, Any], asked: Asked, window: Window) -> dict[str, Any]:
        """See `Dialect.body`. A summary stands behind the request's own instructions."""
        said = formats.render(self.wire, history_of(asked, window))
        out: dict[str, Any] = {**body, "messages": said.messages}
        system = [*_blocks(body.get("system")), *_blocks(said.system)]
        if said.system is not None:
            out["system"] = system
        return without_name(out)

    def reply(self, raw: dict[str, Any]) -> tuple[list[Message], Usage | None]:
        """See `Dialect.reply`."""
        if raw.get("type") != "message" or not is_array(raw.get("content")):
            raise InvalidMessage("the upstream's answer is no message")
        messages = formats.parse(self.wire, [raw])
        return messages, messages[-1].usage if messages else None

    def name(self, event: dict[str, Any]) -> str | None:  # noqa: ARG002 - as Dialect has it
        """See `Dialect.name`: nobody goes on from a message."""
        return None

    def closes(self, frame: Frame, event: dict[str, Any] | None) -> bool:  # noqa: ARG002 - as Dialect has it
        """See `Dialect.closes`."""
        return event is not None and event.get("type") == "message_stop"

    def unasked(self, asked: Asked, event: dict[str, Any]) -> bool:  # noqa: ARG002 - as Dialect has it
        """See `Dialect.unasked`."""
        return False

    def error(self, found: dict[str, Any]) -> bytes:
        """See `Dialect.error`."""
        return b"event: error\ndata: " + msgspec.json.encode(found) + b"\n\n"


def _blocks(system: Any) -> list[Any]:
    """A system prompt as blocks."""
    if system is None:
        return []
    return list(system) if is_array(system) else [{"type": "text", "text": system}]
