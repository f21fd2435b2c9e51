"""Messages as requests say them.

Their structs are not those of the library: keys that are not known are refused, and what only the library itself may
say of a message (its position, how a wire spelled it, where its bytes are stored) cannot be said.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from palaver.errors import InvalidMessage
from palaver.model import Flag, Message, Role, Usage

__all__ = ["Body", "Count", "NewMessage", "NewPart", "NewSender", "NewUsage"]

Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a request says. Keys that are not known are refused."""


class NewText(Body, frozen=True, kw_only=True, tag_field="kind", tag="text"):
    """Text that a person or a model wrote."""

    text: str


class _NewMedia(Body, frozen=True, kw_only=True, tag_field="kind"):
    media_type: str | None = None
    url: str | None = None
    data: str | None = None
    """Base64 text. At most one of url, data and file_id says where the bytes are."""
    file_id: str | None = None
    """The provider's own id of an uploaded file."""
    name: str | None = None
    """File name, as the sender gave it."""

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.url, self.data, self.file_id)) > 1:
            msg = "give one of url, data and file_id: there is one place where the bytes are"
            raise ValueError(msg)


class NewImage(_NewMedia, frozen=True, kw_only=True, tag="image"):
    """An image."""


class NewAudio(_NewMedia, frozen=True, kw_only=True, tag="audio"):
    """A recording."""


class NewFile(_NewMedia, frozen=True, kw_only=True, tag="file"):
    """A document, a video, or any other file."""


class NewThinking(Body, frozen=True, kw_only=True, tag_field="kind", tag="thinking"):
    """A model's reasoning."""

    text: str | None = None
    signature: str | None = None
    redacted: str | None = None


class NewToolCall(Body, frozen=True, kw_only=True, tag_field="kind", tag="tool_call"):
    """A model asks for a tool to be run."""

    name: str
    call_id: str = ""
    arguments: str = ""
    """The arguments as the text that the model wrote."""


NewResultPart: TypeAlias = NewText | NewImage | NewAudio | NewFile


class NewToolResult(Body, frozen=True, kw_only=True, tag_field="kind", tag="tool_result"):
    """What a tool answered."""

    call_id: str = ""
    name: str | None = None
    parts: tuple[NewResultPart, ...] = ()
    is_error: bool | None = None


NewPart: TypeAlias = NewText | NewImage | NewAudio | NewFile | NewThinking | NewToolCall | NewToolResult


class NewSender(Body, frozen=True, kw_only=True):
    """Who wrote a message, on the platform it came from."""

    id: str | None = None
    name: str | None = None


class NewUsage(Body, frozen=True, kw_only=True):
    """What a model call used. Tokens are counts; cost is in US dollars."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cached_tokens: Count = 0
    """Input tokens that were read from the provider's prompt cache; included in input_tokens."""
    cache_write_tokens: Count = 0
    reasoning_tokens: Count = 0
    """Output tokens spent on reasoning; included in output_tokens."""
    prompt_tokens: Count | None = None
    model: str | None = None
    provider: str | None = None
    cost: Decimal | None = None
    cost_source: str | None = None

    def __post_init__(self) -> None:
        if self.cost is not None and not (self.cost.is_finite() and 0 <= self.cost < 10**9):
            msg = f"cost is {self.cost}; it is an amount of US dollars, from 0 to a billion"
            raise ValueError(msg)

    def usage(self) -> Usage:
        """The same as the library's value."""
        return Usage(**{name: getattr(self, name) for name in Usage.__struct_fields__})


class NewMessage(Body, frozen=True, kw_only=True):
    """A message. Its position is given when it is stored; its time too, unless it brings one.

    Messages that came from a provider are sent as they came, with `wire`, and not in this shape: so nothing of them
    is lost.
    """

    role: Role
    content: str | tuple[str | NewPart, ...] | None = None
    """Text, or texts and parts. Of a tool message with `call_id`: what the tool answered."""
    parts: tuple[NewPart, ...] = ()
    """The same in the shape that messages are read in. Give this or `content`."""
    id: str | None = None
    """Idempotency key, such as the platform's message id: what is sent twice is stored once."""
    created_at: datetime | None = None
    """With a time zone."""
    sender: NewSender | str | None = None
    name: str | None = None
    """Participant name; of a tool message with `call_id` the tool's name."""
    call_id: str | None = None
    """Of a tool message: which call it answers."""
    is_error: bool | None = None
    flags: tuple[Flag, ...] = ()
    usage: NewUsage | None = None
    tokens: Count | None = None
    metadata: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.content is not None and self.parts:
            msg = "give content or parts, not both"
            raise ValueError(msg)
        if self.call_id is None and self.is_error is not None:
            msg = "is_error is said of a tool's answer: give its call_id too"
            raise ValueError(msg)
        if self.call_id is not None and (self.role != "tool" or self.parts):
            msg = "call_id is for messages of role tool that give their answer in content"
            raise ValueError(msg)

    def message(self) -> Message:
        """The same as the library's value. Raises InvalidMessage."""
        try:
            data = msgspec.to_builtins(self)
            content: list[Any] | str | None = data.pop("content", None)
            call_id: str | None = data.pop("call_id", None)
            is_error = data.pop("is_error", None)
            if content is not None:
                items = [content] if isinstance(content, str) else content
                data["parts"] = [{"kind": "text", "text": item} if isinstance(item, str) else item for item in items]
            if call_id is not None:
                said = {"name": data.pop("name", None), "is_error": is_error, "parts": data.get("parts", [])}
                data["parts"] = [{"kind": "tool_result", "call_id": call_id, **said}]
            if isinstance(self.sender, str):
                data["sender"] = {"name": self.sender}
            return msgspec.convert(data, Message)
        except msgspec.ValidationError as exc:  # a tool call as part of a tool's answer, for instance
            msg = f"the message cannot be stored: {exc}"
            raise InvalidMessage(msg) from exc
        except RecursionError as exc:
            msg = "the message is nested too deep"
            raise InvalidMessage(msg) from exc
