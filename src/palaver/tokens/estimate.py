"""How many tokens a message is about: for budgets where nobody counted. Near and cheap, not right."""

from __future__ import annotations

import re

from palaver.model import Message, Opaque, Part, TextPart, ThinkingPart, ToolCall, ToolResult
from palaver.tokens.scripts import text_tokens

__all__ = ["MEDIA_TOKENS", "MESSAGE_TOKENS", "estimate_tokens", "uncounted_tokens"]

MESSAGE_TOKENS = 4
"""What a wire adds around each message, and around each tool call."""

MEDIA_TOKENS = 1000
"""An image, a recording or a document of which nothing is known: a link, a provider's file, content out of line."""

_BLOB = re.compile(r"[A-Za-z0-9+/_-]{1024,}={0,2}")


def estimate_tokens(message: Message) -> int:
    """About how many tokens a message has: what was counted (`Message.tokens`), else an estimate."""
    if message.tokens is not None:
        return message.tokens
    total = MESSAGE_TOKENS
    for part in message.parts:
        if type(part) is TextPart:
            text = part.text
            quarter = (len(text) + 3) >> 2
            # ASCII of a person or a model is taken for prose, up to a page, without a look at it.
            total += quarter if quarter <= 1024 and text.isascii() else text_tokens(text)
        else:
            total += _part_tokens(part, message.wire)
    return total


def uncounted_tokens(message: Message) -> int:
    """The estimate, whatever was counted."""
    return estimate_tokens(message if message.tokens is None else message.replace(tokens=None))


def _part_tokens(part: Part, wire: str | None) -> int:
    if isinstance(part, ToolResult):
        total = 0
        for each in part.parts:
            total += text_tokens(each.text) if isinstance(each, TextPart) else _part_tokens(each, wire)
        return total
    if isinstance(part, ToolCall):
        return MESSAGE_TOKENS + ((len(part.name) + 3) >> 2) + text_tokens(part.arguments)
    if isinstance(part, ThinkingPart):
        return _thinking_tokens(part)
    if isinstance(part, Opaque):
        return _opaque_tokens(part.data)
    if isinstance(part, TextPart):
        return text_tokens(part.text)
    from palaver.tokens.media import media_tokens  # most conversations have none

    return media_tokens(part, wire, MEDIA_TOKENS)


def _thinking_tokens(part: ThinkingPart) -> int:
    """Reasoning as text; where it is encrypted, the text that so much base64 may hide: 3 of 4 bytes, 4 to a token.

    The signature of readable reasoning is no part of what the model reads.
    """
    hidden = len(part.redacted or "") + (0 if part.text else len(part.signature or ""))
    return (text_tokens(part.text) if part.text else 0) + (hidden * 3 + 15) // 16


def _opaque_tokens(data: str) -> int:
    """JSON as text, but for content in it, as of an image that a model drew."""
    if len(data) < 1024:
        return text_tokens(data)
    rest, blobs = _BLOB.subn("", data)
    return text_tokens(rest) + blobs * MEDIA_TOKENS
