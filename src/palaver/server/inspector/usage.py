"""What was used: over time, and by model, owner, platform and session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec
from starlette.responses import Response

from palaver.aio import AsyncSessionManager
from palaver.errors import SessionNotFound
from palaver.flows.usage import grouped
from palaver.model import Usage
from palaver.redact import clean
from palaver.server.inspector.charts import Column, columns, ticks
from palaver.server.inspector.stored import now_of
from palaver.server.inspector.visits import View, Visit, page
from palaver.server.inspector.wording import amount, money, plural, short
from palaver.server.reach import session_handle
from palaver.stores.base import UsageLine

__all__ = ["VIEWS", "Entry", "by_day"]

DAYS = (7, 30, 90, 365)
_NAMED = 300
"""Sessions that are looked up for their platform; those that used most come first."""
_ROWS = 12


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a table."""

    name: str
    calls: int
    tokens_in: int
    tokens_out: int
    cost: Decimal | None
    percent: float
    """Of the largest line."""
    session_id: str | None = None

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.tokens_in + self.tokens_out


async def show(visit: Visit) -> Response:
    """The charts and tables."""
    days = visit.number("days") or 30
    days = days if days in DAYS else 30
    today = now_of(visit.sessions).date()
    since = now_of(visit.sessions) - timedelta(days=days - 1)
    lines = await visit.sessions.usage(since=since)
    sessions = grouped(lines, "session")
    platforms, names = await _platforms(visit.sessions, sessions)
    most, chart = by_day(grouped(lines, "day"), today, days)
    return await page(
        visit,
        "usage.html",
        days=days,
        choices=DAYS,
        total=_summed(lines),
        calls=sum(line.calls for line in lines),
        priced=sum(line.priced_calls for line in lines),
        chart=chart,
        scale=[short(each) for each in reversed(ticks(most))],
        lines=len(ticks(most)) - 1,
        first=chart[0].name if chart else "",
        last=chart[-1].name if chart else "",
        tables=(
            (
                "By model",
                "Model",
                _entries([(line.model or "(not named)", None, line) for line in grouped(lines, "model")]),
            ),
            ("By platform", "Platform", platforms),
            ("By owner", "Owner", _entries([(line.owner or "(none)", None, line) for line in grouped(lines, "owner")])),
            (
                "By session",
                "Session",
                _entries(
                    [
                        (names.get(line.session_id or "", line.session_id or ""), line.session_id, line)
                        for line in sessions
                    ]
                ),
            ),
        ),
    )


def by_day(lines: Sequence[UsageLine], today: date, days: int) -> tuple[int, list[Column]]:
    """The largest number of tokens of a day, and a column for each day, also those without any."""
    known = {line.day: line for line in lines}
    values: list[tuple[str, int, int, str]] = []
    for back in range(days - 1, -1, -1):
        day = (today - timedelta(days=back)).isoformat()
        line = known.get(day)
        used = line.usage if line is not None else Usage()
        cost = f", {money(used.cost)}" if used.cost is not None else ""
        said = f"{day}: {amount(used.input_tokens)} in, {amount(used.output_tokens)} out{cost}"
        values.append((day, used.input_tokens, used.output_tokens, said))
    most = max((lower + upper for _, lower, upper, _ in values), default=0)
    return most, columns(values, ticks(most)[-1])


def _summed(lines: Iterable[UsageLine]) -> Usage:
    found = grouped([msgspec.structs.replace(line, owner="") for line in lines], "owner")
    return found[0].usage if found else Usage()


def _entries(lines: Sequence[tuple[str, str | None, UsageLine]]) -> list[Entry]:
    most = max((line.usage.input_tokens + line.usage.output_tokens for _, _, line in lines), default=0)
    return [
        Entry(
            name=clean(name),
            calls=line.calls,
            tokens_in=line.usage.input_tokens,
            tokens_out=line.usage.output_tokens,
            cost=line.usage.cost,
            percent=100 * (line.usage.input_tokens + line.usage.output_tokens) / max(most, 1),
            session_id=session_id,
        )
        for name, session_id, line in lines[:_ROWS]
    ]


async def _platforms(sessions: AsyncSessionManager, lines: Sequence[UsageLine]) -> tuple[list[Entry], dict[str, str]]:
    """Usage by platform, and the names of the sessions that used most."""
    names: dict[str, str] = {}
    placed: list[UsageLine] = []
    for line in lines[:_NAMED]:
        platform = "(deleted)"
        try:
            info = await session_handle(sessions, line.session_id or "").info()
        except SessionNotFound:
            pass
        else:
            names[info.id] = clean(info.title or info.preview or "") or info.id
            platform = info.origin.platform if info.origin is not None else "(none)"
        placed.append(msgspec.structs.replace(line, owner=platform))
    rest = len(lines) - len(placed)
    said = f"({plural(rest, 'smaller session')})"
    placed += [msgspec.structs.replace(line, owner=said) for line in lines[_NAMED:]]
    return _entries([(line.owner or "", None, line) for line in grouped(placed, "owner")]), names


VIEWS = (View("GET", "/usage", show),)
