"""Somebody else, who does something whole between any two looks that a flow takes at its store.

What several threads and processes do to each other by chance, and seldom, is done here on purpose, at each place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from palaver.stores.base import Store
from palaver.stores.memory import MemoryStore

__all__ = ["Between", "Moment"]

PUBLIC = {name for name in dir(Store) if not name.startswith("_")}


class Moment:
    """When it happens: before call number `at`, from 1; 0: never. What the store itself calls is within one call."""

    def __init__(self, at: int, other: Callable[[], object]) -> None:
        self.calls = 0
        self._at = at
        self._other = other
        self._within = False

    @property
    def came(self) -> bool:
        """Whether there were so many calls."""
        return 0 < self._at <= self.calls

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, counted."""

        def called(*args: Any, **fields: Any) -> Any:
            if self._within:
                return call(*args, **fields)
            self.calls += 1
            if self.calls == self._at:
                self._other()
            self._within = True
            try:
                return call(*args, **fields)
            finally:
                self._within = False

        return called


class Between(MemoryStore):
    """The same store, where somebody else does something whole before call number `at`."""

    def __init__(self, store: MemoryStore, at: int, other: Callable[[], object]) -> None:
        self.__dict__ = store.__dict__
        self.moment = Moment(at, other)

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return self.moment.before(value) if name in PUBLIC and callable(value) else value
