"""The flow of a retry: the newest message of the user is answered once more."""

from __future__ import annotations

import time
from datetime import timedelta

import msgspec

from palaver.budget import Budget
from palaver.core import Core
from palaver.errors import PalaverError, SessionBusy
from palaver.flows.leases import give_up, lease_of, pauses
from palaver.flows.starts import Began, with_lease
from palaver.operations import Begun, Retry
from palaver.steps import Flow, write

__all__ = ["retry"]


def retry(
    core: Core, session_id: str, *, timeout: float | None, lease: timedelta | None, budget: Budget
) -> Flow[Began]:
    """Begin a turn on the newest message of the user again; what answered it is cut."""
    given = lease_of(core, lease)
    waits = pauses(time.monotonic(), timeout)
    while True:
        operation = Retry(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            lease=given,
            budget=msgspec.json.encode(budget).decode(),
        )
        try:
            begun: Begun = yield from write(operation)
            break
        except SessionBusy:
            wait = next(waits, None)
            if wait is None:
                raise
        except PalaverError:
            raise
        except BaseException:  # cancelled: if the turn began, nobody has got it, and nobody would end it
            yield from give_up(core, session_id, given.token, "it was cancelled while it began")
            raise
        yield wait
    try:
        return (yield from with_lease(core, begun, None, None, given.token, budget))
    except BaseException as error:  # the lease must not outlive a turn that nobody got
        yield from give_up(core, begun.session_id, given.token, f"it could not begin: {type(error).__name__}")
        raise
