"""OpenAI's Responses, as they are passed through."""

from __future__ import annotations

from typing import Any

import msgspec

from palaver import formats
from palaver.errors import InvalidMessage
from palaver.formats.wire import is_array, is_object
from palaver.model import Message, Usage
from palaver.resending import instructions
from palaver.server.openai_style import OPENAI
from palaver.server.passthrough.dialect import Asked, history_of, without_name
from palaver.server.passthrough.frames import Frame
from palaver.window import Window

__all__ = ["Responses"]

_OURS = ("conversation", "previous_response_id")
"""What a request says of a history that is kept here, and that the upstream knows nothing of."""
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


class Responses:
    """`POST /v1/responses`."""

    wire = "openai_responses"
    path = "/responses"
    style = OPENAI

    def asked(self, body: dict[str, Any]) -> Asked:
        """See `Dialect.asked`."""
        told, said = instructions(formats.parse(self.wire, body.get("input"), system=body.get("instructions")))
        return Asked(instructions=told, messages=said, stream=body.get("stream") is True)

    def body(self, body: dict[str, Any], asked: Asked, window: Window) -> dict[str, Any]:
        """See `Dialect.body`. The whole window is sent: what the upstream keeps itself is not relied on."""
        items = tuple(m for m in asked.instructions if m.layout != "instructions")
        told = formats.render(self.wire, items, repair=False)
        said = formats.render(self.wire, history_of(asked, window))
        out: dict[str, Any] = {key: value for key, value in body.items() if key not in _OURS}
        out["input"] = [*_items(told.messages), *_items(said.messages)]
        if said.system is not None and body.get("instructions") is None:
            out["instructions"] = said.system
        return without_name(out)

    def reply(self, raw: dict[str, Any]) -> tuple[list[Message], Usage | None]:
        """See `Dialect.reply`."""
        if not is_array(raw.get("output")) or raw.get("object") != "response":
            raise InvalidMessage("the upstream's answer is no response")
        messages = formats.parse(self.wire, [raw])
        return messages, messages[-1].usage if messages else None

    def name(self, event: dict[str, Any]) -> str | None:
        """See `Dialect.name`."""
        response = event.get("response") if "response" in event else event
        found = response.get("id") if is_object(response) and response.get("object") == "response" else None
        return found if isinstance(found, str) else None

    def closes(self, frame: Frame, event: dict[str, Any] | None) -> bool:  # noqa: ARG002 - as Dialect has it
        """See `Dialect.closes`."""
        return event is not None and event.get("type") in _ENDS

    def unasked(self, asked: Asked, event: dict[str, Any]) -> bool:  # noqa: ARG002 - as Dialect has it
        """See `Dialect.unasked`."""
        return False

    def error(self, found: dict[str, Any]) -> bytes:
        """See `Dialect.error`."""
        said = found["error"]
        event = {"type": "error", "sequence_number": 0, **{key: said[key] for key in ("code", "message", "param")}}
        return b"event: error\ndata: " + msgspec.json.encode({**event, "error": said}) + b"\n\n"


def _items(rendered: Any) -> list[Any]:
    """The items of a rendered input, which may be text alone."""
    return list(rendered) if is_array(rendered) else [{"role": "user", "content": rendered}]
