"""The lease of a turn: made, waited for, renewed, given up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from palaver.core import Core
from palaver.errors import StoreError
from palaver.operations import Finish, Lease, Renew
from palaver.steps import Flow, Pause, commit, write

__all__ = ["give_up", "lease_of", "pauses", "renew"]

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


def lease_of(core: Core, lease: timedelta | None) -> Lease:
    """A new lease of that length, or of the settings'. Raises TypeError, ValueError."""
    # Who does not check types gives seconds, as elsewhere.
    if lease is not None and not isinstance(lease, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"lease is {lease!r}; give a timedelta, such as timedelta(minutes=10)")
    if lease is not None and lease <= timedelta(0):
        raise ValueError(f"lease is {lease}; it has to be longer than nothing, such as timedelta(minutes=10)")
    return Lease(core.token(), (lease or core.settings.lease) // timedelta(microseconds=1), core.holder())


def pauses(since: float, timeout: float | None) -> Iterator[Pause]:
    """Pauses of whoever waits for a turn to end, each longer than the one before; none after `timeout` seconds.

    `since` is when the wait began, by the monotonic clock; `timeout` None: for ever.
    """
    pause = _SHORTEST_PAUSE
    while timeout is None or time.monotonic() < since + timeout:
        yield Pause(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def renew(core: Core, session_id: str, token: str, lease: timedelta) -> Flow[None]:
    """Make the lease last its full length from now."""
    yield from write(
        Renew(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            token=token,
            micros=lease // timedelta(microseconds=1),
        )
    )


def give_up(core: Core, session_id: str, token: str, reason: str) -> Flow[None]:
    """End a turn that nobody got; whether it began is not known, so that TurnLost is an answer too."""
    with suppress(StoreError):  # what brought us here is told, and the lease runs out by itself
        yield from commit(
            Finish(
                at=core.at(), owner=core.owner, session_id=session_id, token=token, state="interrupted", reason=reason
            )
        )
