"""Messages made ready for a store; large content on another thread, where an event loop waits."""

from __future__ import annotations

from collections.abc import Sequence

from palaver import codec
from palaver.media import has_media
from palaver.model import Message
from palaver.rows import Draft
from palaver.steps import Flow, long_call

__all__ = ["drafts"]

LARGE = 256 * 1024
"""Bytes of a message from which on decoding and hashing them takes longer than a loop should stand still."""


def drafts(messages: Sequence[Message]) -> Flow[tuple[Draft, ...]]:
    """The messages, encoded. Raises InvalidMessage."""
    if _large(messages):
        return (yield from long_call(_drafts, messages))
    return _drafts(messages)


def _drafts(messages: Sequence[Message]) -> tuple[Draft, ...]:
    return tuple([codec.draft(m) for m in messages])


def _large(messages: Sequence[Message]) -> bool:
    try:
        return any(has_media(m) and _size(m) > LARGE for m in messages)
    except (AttributeError, TypeError):  # no messages at all: encoding them says so
        return False


def _size(message: Message) -> int:
    parts = [q for p in message.parts for q in (p, *getattr(p, "parts", ()))]
    return sum(len(data) for p in parts if isinstance(data := getattr(p, "data", None), str))
