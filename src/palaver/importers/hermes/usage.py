"""What hermes counted for a session: model by model since version 20, before that for the session as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from palaver.importers.databases import Row
from palaver.importers.values import UsageLine
from palaver.model import Usage

__all__ = ["usage_of"]

_SUMS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def usage_of(session: Mapping[str, Any], models: Sequence[Row], at: datetime | None) -> list[UsageLine]:
    """The lines of a session, one for each model; `at` is when it was last used."""
    rows: list[Mapping[str, Any]] = [row.value for row in models]
    rows = rows or [session]
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        model = row.get("model")
        by_model.setdefault(model if isinstance(model, str) else "", []).append(row)
    lines = [_line(model, rows, at) for model, rows in by_model.items()]
    return [line for line in lines if line is not None]


def _line(model: str, rows: Sequence[Mapping[str, Any]], at: datetime | None) -> UsageLine | None:
    counts = {name: sum(_count(row.get(name)) for row in rows) for name in _SUMS}
    cost = sum((_cost(row) for row in rows), Decimal(0))
    if not any(counts.values()) and not cost:
        return None
    source = next((row["cost_status"] for row in rows if isinstance(row.get("cost_status"), str)), None)
    provider = next((row["billing_provider"] for row in rows if row.get("billing_provider")), None)
    return UsageLine(
        id=model,
        at=at,
        usage=Usage(
            # hermes counts apart what came from the cache and what went into it; Palaver counts it in
            input_tokens=counts["input_tokens"] + counts["cache_read_tokens"] + counts["cache_write_tokens"],
            output_tokens=counts["output_tokens"],
            cached_tokens=counts["cache_read_tokens"],
            cache_write_tokens=counts["cache_write_tokens"],
            reasoning_tokens=counts["reasoning_tokens"],
            model=model or None,
            provider=provider if isinstance(provider, str) else None,
            cost=cost or None,
            cost_source=f"hermes ({source})" if cost and source else "hermes" if cost else None,
        ),
    )


def _count(value: Any) -> int:
    return max(0, value) if isinstance(value, int) else 0


def _cost(row: Mapping[str, Any]) -> Decimal:
    for name in ("actual_cost_usd", "estimated_cost_usd"):
        value = row.get(name)
        if isinstance(value, (int, float)) and 0 < value < float("inf"):
            return Decimal(str(value))
    return Decimal(0)
