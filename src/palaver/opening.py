"""Opening a store as a manager."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from palaver import ids, prices
from palaver.clock import Clock, utc_now
from palaver.core import Core
from palaver.manager import SessionManager
from palaver.settings import Settings
from palaver.stores import holders
from palaver.stores.base import Store
from palaver.stores.urls import open_store

__all__ = ["new_core", "open", "settings_of"]


def open(
    url: str | os.PathLike[str] | Store,
    *,
    settings: Settings | None = None,
    clock: Clock = utc_now,
    **fields: Any,
) -> SessionManager:
    """Open the store behind a URL, or take one that is open, as a SessionManager.

    `sqlite:///path` (a bare path is SQLite), `memory://`. Settings come as one value or as its fields:
    `key_policy`, `reset_policy`, `deployment`, `budget`, `window_options`, `compaction_policy`, `lease`,
    `seed_threads`, `before_reset`, `prices`.

    Raises ValueError for a URL or setting that cannot be, StoreError where the store cannot be opened.
    """
    made = settings_of(settings, fields)
    return SessionManager(new_core(url if isinstance(url, Store) else open_store(url), made, clock))


def settings_of(settings: Settings | None, fields: dict[str, Any]) -> Settings:
    """One Settings value from either form."""
    if settings is not None and fields:
        msg = f"give settings= or its fields, not both: {', '.join(sorted(fields))}"
        raise ValueError(msg)
    made = settings if settings is not None else Settings(**fields)
    if made.prices and not prices.available():
        msg = "the setting `prices` needs the extra of that name: install palaver[prices]"
        raise ValueError(msg)
    return made


def new_core(store: Store, settings: Settings, clock: Clock) -> Core:
    """What a manager that is opened works with."""
    instance = ids.token()
    holders.opened(instance)
    return Core(store=store, settings=settings, clock=clock, holder=partial(holders.of, instance), instance=instance)
