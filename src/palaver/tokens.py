"""How many tokens a message is about: an estimate from its text, for budgets where nobody counted.

By script: Latin text has about four characters to a token, Chinese, Japanese and Korean about one, other scripts
about two. It is meant to be near and cheap, not right; set `Message.tokens` where a tokenizer counted.
"""

from __future__ import annotations

import re

from palaver.model import Message, Opaque, Part, TextPart, ThinkingPart, ToolCall, ToolResult

__all__ = ["estimate_tokens", "text_tokens"]

MESSAGE_TOKENS = 4
"""What a wire adds around each message, and around each tool call."""

MEDIA_TOKENS = 1000
"""An image, a recording or a document, whatever its size: providers count pixels and seconds that are not at hand."""

_WIDE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
    "\U0001f000-\U0001faff\U00020000-\U0003ffff]+"
)


def text_tokens(text: str) -> int:
    """About how many tokens a text has, rounded up."""
    length = len(text)
    if text.isascii():
        return (length + 3) >> 2
    other = len(_WIDE.sub("", text))
    narrow = len(text.encode("ascii", "ignore"))
    return length - other + ((other - narrow) * 2 + narrow + 3 >> 2)


def estimate_tokens(message: Message) -> int:
    """About how many tokens a message has: what was counted (`Message.tokens`), else an estimate by script."""
    if message.tokens is not None:
        return message.tokens
    total = MESSAGE_TOKENS
    for part in message.parts:
        if type(part) is TextPart:
            text = part.text
            total += (len(text) + 3) >> 2 if text.isascii() else text_tokens(text)
        else:
            total += _part_tokens(part)
    return total


def _part_tokens(part: Part) -> int:
    if isinstance(part, ToolResult):
        return sum(text_tokens(p.text) if isinstance(p, TextPart) else _part_tokens(p) for p in part.parts)
    if isinstance(part, ToolCall):
        return MESSAGE_TOKENS + text_tokens(part.name) + text_tokens(part.arguments)
    if isinstance(part, ThinkingPart):
        return sum(text_tokens(t) for t in (part.text, part.signature, part.redacted) if t)
    if isinstance(part, Opaque):
        return text_tokens(part.data)
    return MEDIA_TOKENS
