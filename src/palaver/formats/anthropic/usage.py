"""What Anthropic says that a call used, as everybody counts it here."""

from __future__ import annotations

from typing import Any

from palaver.formats.blocks import count
from palaver.formats.wire import is_object
from palaver.model import Usage

__all__ = ["usage_of"]


def usage_of(raw: Any, model: Any = None) -> Usage | None:
    """The usage of a response. Anthropic counts cached tokens beside `input_tokens`, here they are included.

    "Total input tokens in a request is the summation of `input_tokens`, `cache_creation_input_tokens`, and
    `cache_read_input_tokens`" (anthropic SDK, `Message.usage`).
    """
    if not is_object(raw):
        return None
    read, written = count(raw, "cache_read_input_tokens"), count(raw, "cache_creation_input_tokens")
    details = raw.get("output_tokens_details")
    return Usage(
        input_tokens=count(raw, "input_tokens") + read + written,
        output_tokens=count(raw, "output_tokens"),
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count(details, "thinking_tokens") if is_object(details) else 0,
        model=model if isinstance(model, str) else None,
    )
