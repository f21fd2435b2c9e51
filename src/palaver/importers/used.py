"""What single messages used, added up for their session: a line for each day and model."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from palaver.importers.values import UsageLine
from palaver.model import Message, Usage

__all__ = ["by_day"]


def by_day(messages: Iterable[Message]) -> list[UsageLine]:
    """The totals of messages that say what they used, by the day (UTC) and the model."""
    lines: dict[str, UsageLine] = {}
    for message in messages:
        used, at = message.usage, message.created_at
        if used is None:
            continue
        name = f"{at.date() if at is not None else 'undated'} {used.model or ''}".strip()
        line = lines.get(name)
        lines[name] = UsageLine(id=name, usage=used if line is None else _sum(line.usage, used), at=at)
    return list(lines.values())


def _sum(one: Usage, other: Usage) -> Usage:
    return msgspec.structs.replace(
        one,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
        prompt_tokens=other.input_tokens,
    )
