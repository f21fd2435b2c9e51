"""What every verb of a manager works with: a store, settings, a clock, an owner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from palaver import ids, prices
from palaver.budget import Budget
from palaver.clock import Clock, utc_now
from palaver.errors import StoreClosed
from palaver.ids import IdMaker
from palaver.keys import Origin, explicit_key, session_key
from palaver.model import Usage
from palaver.operations import NewSession
from palaver.rows import Holder
from palaver.settings import Settings
from palaver.stores import holders
from palaver.stores.base import Store
from palaver.stores.urls import open_store
from palaver.times import to_micros
from palaver.window import Tail, Window

__all__ = ["Core", "Private", "Target"]

Target = Origin | str
"""Where a message belongs: an origin, or a session key."""


class Private:
    """Where a manager keeps its incognito sessions: a store in memory, made when it is first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._closed = False
        self.windows: dict[str, tuple[Tail, Budget, bool, Window, bool]] = {}
        """As `Core.windows`, of these sessions alone."""

    def opened(self) -> Store:
        """The store; a new one where the one before was closed. Raises StoreClosed once the manager is closed."""
        with self._lock:
            if self._closed:
                raise StoreClosed
            if self._store is None or self._store.is_closed:
                self.windows.clear()
                self._store = open_store("memory://")
            return self._store

    def close(self) -> None:
        """Forget everything, for good."""
        with self._lock:
            self._closed = True
            self.windows.clear()
            store, self._store = self._store, None
        if store is not None:
            store.close()


@dataclass(frozen=True, slots=True)
class Core:
    """One store, seen by one owner (None: by the operator, who sees all)."""

    store: Store
    settings: Settings = field(default_factory=Settings)
    owner: str | None = None
    clock: Clock = utc_now
    new_id: IdMaker = ids.session_id
    token: Callable[[], str] = ids.token
    """Makes the token of a lease."""
    holder: Callable[[], Holder | None] = holders.current
    """Which process a lease dies with; None: with none, as where the turn is the client's of a server."""
    instance: str = ""
    """Names this open manager in the leases that it takes; closing it frees them."""
    windows: dict[str, tuple[Tail, Budget, bool, Window, bool]] = field(default_factory=dict[str, Any])
    """The window computed last of each session, with what it was computed from, and whether it has media."""

    private: Private | None = field(default_factory=Private)
    """Where its incognito sessions are; None: these are they."""

    @property
    def key_owner(self) -> str:
        """Whose keys and aliases are meant: the operator's own belong to nobody in particular."""
        return self.owner or ""

    def closed(self) -> None:
        """The manager was closed: what it held is free, although its process lives."""
        if self.private is not None:
            self.private.close()
            holders.closed(self.instance)

    def now(self) -> datetime:
        """The present time."""
        return self.clock()

    def at(self) -> int:
        """The present time, as operations carry it."""
        return to_micros(self.clock())

    def priced(self, usage: Usage | None) -> Usage | None:
        """The usage, with its cost where the settings ask for it and a price is known."""
        return prices.priced(usage, self.now()) if usage is not None and self.settings.prices else usage

    def key(self, target: Target) -> str:
        """The session key of an origin, or a caller's own key as it is. Raises InvalidKey."""
        if isinstance(target, Origin):
            return session_key(target, self.settings.key_policy)
        return explicit_key(target)

    def new_session(self, target: Target | None, at: datetime, **fields: object) -> NewSession:
        """A session that is about to be made."""
        origin = msgspec.json.encode(target).decode() if isinstance(target, Origin) else None
        return msgspec.structs.replace(NewSession(id=self.new_id(at), origin=origin), **fields)
