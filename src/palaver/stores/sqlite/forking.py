"""Forks: every open store closes its connections before one, and opens new ones after it, on both sides.

SQLite forbids a child to inherit connections: it would share with its parent's copies locks that it does not have
(https://www.sqlite.org/howtocorrupt.html, section 2.6).
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

__all__ = ["Forks", "forget", "watch"]


class Forks(Protocol):
    """A store that has something to do when its process forks."""

    def before_fork(self) -> None:
        """Let what is under way end, hold others back, and close every connection."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Begin anew: of the parent's threads none is here."""
        ...


class _Forking:
    """The open stores of this process, and those that a fork under way has closed."""

    def __init__(self) -> None:
        self.stores: weakref.WeakSet[Forks] = weakref.WeakSet()
        self._one_at_a_time = threading.Lock()
        self._held: list[Forks] = []

    def before(self) -> None:
        self._one_at_a_time.acquire()
        for store in list(self.stores):
            store.before_fork()
            self._held.append(store)

    def in_parent(self) -> None:
        while self._held:
            self._held.pop().after_fork_in_parent()
        self._one_at_a_time.release()

    def in_child(self) -> None:
        self._one_at_a_time = threading.Lock()
        while self._held:
            self._held.pop().after_fork_in_child()


_forking = _Forking()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forking.before, after_in_parent=_forking.in_parent, after_in_child=_forking.in_child)


def watch(store: Forks) -> None:
    """From now on forks are told to this store, as long as somebody has it."""
    _forking.stores.add(store)


def forget(store: Forks) -> None:
    """And no longer."""
    _forking.stores.discard(store)
