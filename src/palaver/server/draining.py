"""Turns that were begun by this process and have not ended: what a server that is told to stop waits for."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable

from palaver.aio import AsyncTurn
from palaver.server.problems import problem
from palaver.server.table import Call
from palaver.stores.base import OpenTurn

__all__ = ["OpenHere", "note_begun", "note_ended", "refuse_if_draining"]

_MOST = 100_000
_LEASE_SECONDS = 600.0


class OpenHere:
    """Ids of turns, each until it ends, is forgotten for being old, or its lease is over."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def began(self, turn_id: str, lease_seconds: float) -> None:
        """A turn began, or had a sign of life."""
        self._until[turn_id] = time.monotonic() + lease_seconds
        self._until.move_to_end(turn_id)
        if len(self._until) > _MOST:
            self._until.popitem(last=False)

    def ended(self, turn_id: str) -> None:
        """A turn ended."""
        self._until.pop(turn_id, None)

    def keep(self, running: Iterable[OpenTurn]) -> None:
        """Forget those that are not among these, which run in the store: they were ended by way of another server."""
        known = {(turn.session_id, str(turn.first_seq)) for turn in running}
        for turn_id in [each for each in self._until if tuple(each.split("~")[:2]) not in known]:
            del self._until[turn_id]

    def __len__(self) -> int:
        now = time.monotonic()
        for turn_id in [each for each, until in self._until.items() if until <= now]:
            del self._until[turn_id]
        return len(self._until)


def refuse_if_draining(call: Call) -> None:
    """Refuse to begin something where the server is about to stop. Raises ProblemError."""
    state = call.request.app.state
    if getattr(state, "draining", False) or getattr(state, "closing", False):
        raise problem("shutting-down", "the server is being stopped and begins no turns; the message was not stored")


def note_begun(call: Call, turn: AsyncTurn, lease_seconds: float | None) -> None:
    """A turn began here, or had a sign of life."""
    call.request.app.state.turns.began(turn.id, lease_seconds if lease_seconds is not None else _LEASE_SECONDS)


def note_ended(call: Call) -> None:
    """The turn that the path names has ended."""
    call.request.app.state.turns.ended(call.path["turn_id"])
