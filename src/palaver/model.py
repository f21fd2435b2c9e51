"""The values that Palaver keeps: messages, their parts, and where they came from.

All of them are frozen. A message holds what its provider sent without loss: what has a common meaning is typed,
what has none is kept as the JSON text it was (`extra`, `Opaque.data`, `ToolCall.arguments`). Kind is stored and
never guessed from text, so a user's pasted JSON stays text.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from palaver.errors import InvalidMessage

__all__ = [
    "AudioPart",
    "Content",
    "FilePart",
    "Flag",
    "ImagePart",
    "Message",
    "Opaque",
    "Part",
    "ResultPart",
    "Role",
    "Sender",
    "TextPart",
    "ThinkingPart",
    "ToolCall",
    "ToolResult",
    "Usage",
    "Wire",
    "assistant",
    "parts_of",
    "system",
    "tool",
    "user",
]

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
Wire: TypeAlias = str
"""Name of a provider's message format, for instance `openai_chat`, `openai_responses`, `anthropic`, `google`."""

Flag: TypeAlias = Literal["hidden", "command", "delivery", "injected"]
"""`hidden` and `command` messages are kept but never replayed to a model; a `delivery` was sent by the agent on its
own accord (a reminder, a report); an `injected` user message was written by a program, not by a person."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="kind"):
    extra: str | None = None
    """JSON object of the keys that this version has no field for, kept for a lossless round trip."""
    layout: str | None = None
    """How the wire spelled what has several spellings; read by that wire's module and nobody else."""


class TextPart(_Part, frozen=True, tag="text"):
    """Text that a person or a model wrote."""

    text: str


class _Media(_Part, frozen=True, kw_only=True):
    media_type: str | None = None
    url: str | None = None
    data: str | None = None
    """Base64 text. At most one of url, data, file_id and blob says where the bytes are."""
    file_id: str | None = None
    """The provider's own id of an uploaded file."""
    blob: str | None = None
    """Content address of bytes that a store keeps out of line: sha256 in hex, `-`, and how many bytes they are."""
    name: str | None = None
    """File name, as the sender gave it."""

    def __post_init__(self) -> None:
        if self.data is not None and not isinstance(self.data, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidMessage(
                f"data is {type(self.data).__name__}; it is base64 text: give base64.b64encode(…).decode()"
            )


class ImagePart(_Media, frozen=True, tag="image"):
    """An image."""


class AudioPart(_Media, frozen=True, tag="audio"):
    """A recording."""


class FilePart(_Media, frozen=True, tag="file"):
    """A document, a video, or any other file."""


class ThinkingPart(_Part, frozen=True, tag="thinking"):
    """A model's reasoning. Empty text with a signature is legal: the signature is the payload."""

    text: str | None = None
    signature: str | None = None
    redacted: str | None = None
    """Encrypted reasoning, opaque to everyone but its provider."""


class ToolCall(_Part, frozen=True, tag="tool_call"):
    """A model asks for a tool to be run."""

    name: str
    call_id: str = ""
    """What pairs the call with its result. Empty where the wire has none: then order and name pair them."""
    arguments: str = ""
    """The arguments as the text that the model wrote; not always valid JSON."""

    def __post_init__(self) -> None:
        if not isinstance(self.arguments, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidMessage(
                f"arguments is a {type(self.arguments).__name__}; it is kept as the JSON text that the model wrote: "
                "give json.dumps(…)"
            )


class Opaque(_Part, frozen=True, tag="opaque"):
    """Something a provider sent that has no common meaning; kept, and rendered back to the wire it came from."""

    wire: Wire
    data: str
    """JSON text."""


ResultPart: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | Opaque


class ToolResult(_Part, frozen=True, tag="tool_result"):
    """What a tool answered."""

    call_id: str = ""
    name: str | None = None
    parts: tuple[ResultPart, ...] = ()
    is_error: bool | None = None


Part: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | ThinkingPart | ToolCall | ToolResult | Opaque


class Sender(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who wrote a message, on the platform it came from."""

    id: str | None = None
    name: str | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a model call used. Tokens are counts; cost is in US dollars."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Input tokens that were read from the provider's prompt cache; included in input_tokens."""
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    """Output tokens spent on reasoning; included in output_tokens."""
    prompt_tokens: int | None = None
    """Size of the last prompt, where one turn made several calls; None: input_tokens."""
    model: str | None = None
    provider: str | None = None
    cost: Decimal | None = None
    cost_source: str | None = None
    """Where the price came from, with its date."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One entry of a transcript.

    `seq`, `created_at` and, without an id of the caller's, `id` are given when the message is stored.
    """

    role: Role
    parts: tuple[Part, ...] = ()
    id: str | None = None
    """Unique in its session. A caller's id is an idempotency key; stored messages without one have `~<seq>`."""
    seq: int = 0
    """Position in its session, from 1; 0 until the message is stored."""
    created_at: datetime | None = None
    """Aware, UTC."""
    sender: Sender | None = None
    name: str | None = None
    """The participant name that some wires carry (`name` of OpenAI chat messages)."""
    wire: Wire | None = None
    """The wire format that this message was parsed from."""
    layout: str | None = None
    """How that wire spelled what has several spellings; read by that wire's module and nobody else."""
    joins: bool = False
    """Whether the wire had this and the message before it as one message or one response."""
    flags: tuple[Flag, ...] = ()
    usage: Usage | None = None
    tokens: int | None = None
    """Size of this message in tokens, where someone counted it."""
    metadata: dict[str, Any] = {}  # msgspec gives every message its own copy
    copied_from: str | None = None
    """`<session_id>~<seq>` of the message that this is a copy of (fork, carry-over, seeding)."""
    extra: str | None = None
    """JSON object of the keys that this version has no field for."""

    @property
    def text(self) -> str:
        """All text of this message, the text of tool results included; media and reasoning are left out."""
        return "".join(_texts(self.parts))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in this message, in order."""
        return tuple(p for p in self.parts if isinstance(p, ToolCall))

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """The tool results in this message, in order."""
        return tuple(p for p in self.parts if isinstance(p, ToolResult))

    def replace(self, **changes: Any) -> Message:
        """A copy with the given fields changed."""
        return msgspec.structs.replace(self, **changes)


def _texts(parts: tuple[Part, ...]) -> list[str]:
    out: list[str] = []
    for p in parts:
        if isinstance(p, TextPart):
            out.append(p.text)
        elif isinstance(p, ToolResult):
            out.extend(q.text for q in p.parts if isinstance(q, TextPart))
    return out


Content: TypeAlias = str | Part | tuple[Part | str, ...] | list[Part | str] | None


_PARTS = (TextPart, ImagePart, AudioPart, FilePart, ThinkingPart, ToolCall, ToolResult, Opaque)


def parts_of(content: Content) -> tuple[Part, ...]:
    """What a constructor makes of its content: text, a part, or a list of both."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(text=content),)
    if isinstance(content, (tuple, list)):
        return tuple([_part(p) for p in content])
    return (_part(content),)


def _part(given: Part | str) -> Part:
    if isinstance(given, str):
        return TextPart(text=given)
    if isinstance(given, _PARTS):  # pyright: ignore[reportUnnecessaryIsInstance]
        return given
    raise InvalidMessage(
        f"content is text, or parts such as palaver.TextPart, not {type(given).__name__}; write other values as text, "
        "with json.dumps(…) for instance, and read a provider's content with palaver.parse"
    )


def _sender(sender: Sender | str | None) -> Sender | None:
    return Sender(name=sender) if isinstance(sender, str) else sender


def user(content: Content, /, *, id: str | None = None, sender: Sender | str | None = None, **fields: Any) -> Message:
    """A message from the person, or the program, that talks to the agent.

    `content` is text, a part, or a list of both. `id` is the platform's message id: storing it twice stores it once.
    Further fields are those of `Message`.
    """
    return Message(role="user", parts=parts_of(content), id=id, sender=_sender(sender), **fields)


def assistant(content: Content = None, /, *tool_calls: ToolCall, id: str | None = None, **fields: Any) -> Message:
    """A message from the model: text, parts, and the tool calls that it asks for."""
    return Message(role="assistant", parts=(*parts_of(content), *tool_calls), id=id, **fields)


def tool(
    call_id: str,
    content: Content = None,
    /,
    *,
    name: str | None = None,
    is_error: bool | None = None,
    id: str | None = None,
    **fields: Any,
) -> Message:
    """The result of one tool call, by the call's id."""
    parts: Any = parts_of(content)
    result = ToolResult(call_id=call_id, name=name, parts=parts, is_error=is_error)
    return Message(role="tool", parts=(result,), id=id, **fields)


def system(content: Content, /, *, id: str | None = None, **fields: Any) -> Message:
    """Instructions to the model."""
    return Message(role="system", parts=parts_of(content), id=id, **fields)
