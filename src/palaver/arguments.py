"""What callers give to managers and handles, as the verbs take it."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from palaver.budget import Budget
from palaver.core import Core
from palaver.rows import MOST

__all__ = ["aware", "budget_of", "given_budget", "page_limit"]


def budget_of(core: Core, max_messages: int | None, max_tokens: int | None, max_turns: int | None) -> Budget:
    """The manager's budget with what is given instead."""
    base = core.settings.budget
    if max_messages is max_tokens is max_turns is None:
        return base
    return Budget(
        max_messages=base.max_messages if max_messages is None else max_messages,
        max_tokens=base.max_tokens if max_tokens is None else max_tokens,
        max_turns=base.max_turns if max_turns is None else max_turns,
        max_media_bytes=base.max_media_bytes,
    )


def given_budget(core: Core, max_messages: int | None, max_tokens: int | None, max_turns: int | None) -> Budget | None:
    """The same, or None where nothing is given."""
    if max_messages is None and max_tokens is None and max_turns is None:
        return None
    return budget_of(core, max_messages, max_tokens, max_turns)


def page_limit(limit: int, what: str) -> int:
    """How many a page may hold, as a store takes it: a caller who wants no limit may name any number.

    ValueError for a page that could hold nothing: an empty page means that there is no more.
    """
    if limit < 1:
        msg = f"limit is {limit}; ask for at least one of the {what}"
        raise ValueError(msg)
    return min(limit, MOST)


def aware(at: datetime | None, what: str) -> datetime | None:
    """The time, if it is an aware one; else ValueError."""
    given = cast("object", at)
    if given is not None and not (isinstance(given, datetime) and given.tzinfo is not None):
        msg = f"{what} is {at!r}; give an aware time, such as datetime.now(UTC) - timedelta(hours=2)"
        raise ValueError(msg)
    return at
