"""What sessions of a source used: of totals that grow from one import to the next, what was not charged yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from palaver.importers.values import UsageLine
from palaver.model import Usage

__all__ = ["charges", "totals"]

_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")


def totals(lines: Sequence[UsageLine], before: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was charged in all, as it is remembered with the session until the next import."""
    out: dict[str, dict[str, Any]] = {}
    for line in lines:
        now = _numbers(line.usage)
        was: Mapping[str, Any] = before.get(line.id) or {}
        out[line.id] = {name: max(_decimal(now[name]), _decimal(was.get(name))) for name in now}
        out[line.id] = {n: str(each) if n == "cost" else int(each) for n, each in out[line.id].items()}
    return out


def charges(lines: Sequence[UsageLine], before: Mapping[str, Any]) -> Iterator[tuple[str, datetime | None, Usage]]:
    """What each line has grown by: an id that names this very step, when it was used, and how much."""
    for line in lines:
        now = _numbers(line.usage)
        was: Mapping[str, Any] = before.get(line.id) or {}
        if was == now:
            continue
        grown = {name: max(0, now[name] - _int(was.get(name))) for name in _COUNTS}
        cost = line.usage.cost
        if cost is not None:
            cost = max(Decimal(0), cost - _decimal(was.get("cost")))
        if not any(grown.values()) and not cost:
            continue
        step = hashlib.sha256(json.dumps([was, now], sort_keys=True).encode()).hexdigest()[:16]
        yield f"import {line.id} {step}", line.at, msgspec.structs.replace(line.usage, **grown, cost=cost)


def _numbers(usage: Usage) -> dict[str, Any]:
    counts: dict[str, Any] = {name: getattr(usage, name) for name in _COUNTS}
    return counts | ({"cost": str(usage.cost)} if usage.cost is not None else {})


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _decimal(value: object) -> Decimal:
    try:
        return Decimal(str(value or 0))
    except InvalidOperation:
        return Decimal(0)
