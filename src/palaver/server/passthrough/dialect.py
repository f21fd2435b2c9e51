"""What each API that is passed through has of its own: where its messages stand, and how its answers end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from palaver.formats.wire import is_object
from palaver.model import Message, Usage, Wire
from palaver.server.passthrough.frames import Frame
from palaver.server.passthrough.naming import METADATA
from palaver.server.problems import problem
from palaver.server.style import Style
from palaver.window import Window

__all__ = ["Asked", "Dialect", "history_of", "require_legal", "without_name"]

_INSTRUCTIONS = ("system", "developer")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says."""

    instructions: tuple[Message, ...]
    """Those of this request. They are sent on as they are, and not stored: they are no part of the conversation."""
    messages: tuple[Message, ...]
    stream: bool = False
    counted: bool = True
    """Whether the client asked a stream to say what it used."""


class Dialect(Protocol):
    """One API."""

    wire: Wire
    path: str
    """Behind the upstream's address."""
    style: Style

    def asked(self, body: dict[str, Any]) -> Asked:
        """What a request's body says. Raises ProblemError, InvalidMessage."""
        ...

    def body(self, body: dict[str, Any], asked: Asked, window: Window) -> dict[str, Any]:
        """The body that is sent on: the client's own, with the window for its messages."""
        ...

    def reply(self, raw: dict[str, Any]) -> tuple[list[Message], Usage | None]:
        """The messages of a whole answer, and what it used. Raises InvalidMessage."""
        ...

    def name(self, event: dict[str, Any]) -> str | None:
        """The id of an answer that a later request may go on from, as an answer or an event says it."""
        ...

    def closes(self, frame: Frame, event: dict[str, Any] | None) -> bool:
        """Whether a frame tells the client that the answer is complete: it waits until that is stored."""
        ...

    def unasked(self, asked: Asked, event: dict[str, Any]) -> bool:
        """Whether the client did not ask for this event of a stream."""
        ...

    def error(self, found: dict[str, Any]) -> bytes:
        """The event that tells the client of an error in the middle of a stream."""
        ...


def history_of(asked: Asked, window: Window) -> list[Message]:
    """The window, without the instructions that are stored where the request has its own."""
    head = window.head_count if asked.instructions else 0
    return [
        message
        for place, message in enumerate(window.messages)
        if place >= head or message.role not in _INSTRUCTIONS or not message.seq
    ]


def without_name(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what names the session: that is said to Palaver, and providers take metadata for their own."""
    metadata = body.get("metadata")
    if not is_object(metadata) or METADATA not in metadata:
        return body
    kept = {key: value for key, value in metadata.items() if key != METADATA}
    out = {**body, "metadata": kept}
    if not kept:
        del out["metadata"]
    return out


def require_legal(stored: Sequence[Message], new: Sequence[Message]) -> None:
    """Refuse results that answer nothing, and calls that a request leaves open, before any of it is stored.

    In OpenAI's words, which it would have answered a client of its own with. Raises ProblemError.
    """
    called: set[str] = set()
    waiting: dict[str, None] = {}
    for message in (*stored, *new):
        if message.tool_calls:
            waiting = dict.fromkeys(call.call_id for call in message.tool_calls)
            called.update(waiting)
        for result in message.tool_results:
            waiting.pop(result.call_id, None)
            if result.call_id not in called and any(message is each for each in new):
                detail = (
                    f"a result for the call {result.call_id!r}, which the conversation does not have: messages with "
                    "role 'tool' must be a response to a preceding message with 'tool_calls'"
                )
                raise problem("not-legal", detail, path="messages")
    last = next((m for m in reversed((*stored, *new)) if m.role not in _INSTRUCTIONS), None)
    if waiting and last is not None and last.tool_results:
        detail = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
        )
        raise problem("not-legal", detail, path="messages")
