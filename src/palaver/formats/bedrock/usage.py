"""What Bedrock says that a call used, as everybody counts it here."""

from __future__ import annotations

from typing import Any

from palaver.formats.blocks import count
from palaver.formats.wire import is_object
from palaver.model import Usage

__all__ = ["usage_of"]


def usage_of(raw: Any) -> Usage | None:
    """The usage of a response. Bedrock counts cached tokens beside `inputTokens`, here they are included.

    `totalTokens` is the sum of all four (Amazon Bedrock user guide, "Prompt caching").
    """
    if not is_object(raw):
        return None
    read, written = count(raw, "cacheReadInputTokens"), count(raw, "cacheWriteInputTokens")
    return Usage(
        input_tokens=count(raw, "inputTokens") + read + written,
        output_tokens=count(raw, "outputTokens"),
        cached_tokens=read,
        cache_write_tokens=written,
    )
