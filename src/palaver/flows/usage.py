"""What was used, line by line or summed up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from palaver.core import Core
from palaver.model import Usage
from palaver.steps import Flow, long_call
from palaver.stores import views
from palaver.stores.base import UsageLine

__all__ = ["By", "grouped", "read"]

By: TypeAlias = Literal["session", "owner", "day", "model"]
_FIELDS: dict[By, str] = {"session": "session_id", "owner": "owner", "day": "day", "model": "model"}


def read(
    core: Core, *, session_id: str | None, since: datetime | None, until: datetime | None, by: By | None
) -> Flow[list[UsageLine]]:
    """Lines of a time, summed up by one of their fields if asked for."""
    if by is not None and by not in _FIELDS:
        msg = f"usage is not summed up by {by!r}; give one of {', '.join(_FIELDS)}, or None for all lines"
        raise ValueError(msg)
    lines: list[UsageLine] = yield from long_call(core.store.usage, core.owner, session_id=session_id, since=since)
    if until is not None:
        last = until.astimezone(UTC).date().isoformat()
        lines = [line for line in lines if line.day is not None and line.day < last]
    return grouped(lines, by) if by is not None else lines


def grouped(lines: Iterable[UsageLine], by: By) -> list[UsageLine]:
    """One line for each session, owner, day or model; days in order, of the others those with most tokens first."""
    field = _FIELDS[by]
    groups: dict[str, list[UsageLine]] = {}
    for line in lines:
        groups.setdefault(getattr(line, field) or "", []).append(line)
    out = [
        UsageLine(
            **{field: value},
            calls=sum(line.calls for line in group),
            priced_calls=sum(line.priced_calls for line in group),
            usage=_sum(line.usage for line in group),
        )
        for value, group in groups.items()
    ]
    if by == "day":
        return sorted(out, key=lambda line: line.day or "")
    return sorted(out, key=lambda line: (-line.usage.input_tokens - line.usage.output_tokens, getattr(line, field)))


def _sum(parts: Iterable[Usage]) -> Usage:
    """The sum; a cost is unknown only where none is known. What it is a part of is not said: `priced_calls` is."""
    usages = list(parts)
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in usages),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
        cost=sum(costs, Decimal(0)) if costs else None,
        cost_source=views.sources(sorted({usage.cost_source for usage in usages if usage.cost_source is not None})),
    )
