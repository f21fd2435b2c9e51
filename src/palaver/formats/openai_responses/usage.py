"""What a response says that it used."""

from __future__ import annotations

from typing import Any

from palaver.formats.wire import is_object
from palaver.model import Usage

__all__ = ["usage_of"]


def usage_of(response: dict[str, Any]) -> Usage | None:
    """The usage of a response object; None where it has none (`ResponseUsage` of the `openai` package)."""
    usage = response.get("usage")
    if not is_object(usage):
        return None
    given, made = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    model = response.get("model")
    return Usage(
        input_tokens=_count(usage, "input_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        cached_tokens=_count(given, "cached_tokens"),
        cache_write_tokens=_count(given, "cache_write_tokens"),
        reasoning_tokens=_count(made, "reasoning_tokens"),
        model=model if isinstance(model, str) else None,
    )


def _count(value: Any, key: str) -> int:
    count = value.get(key) if is_object(value) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else 0
