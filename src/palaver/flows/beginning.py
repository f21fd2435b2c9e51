"""The flow of a turn's beginning: from an inbound message to a lease on its session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from palaver.budget import Budget
from palaver.core import Core, Target
from palaver.errors import PalaverError, SessionBusy, StoreError
from palaver.flows.drafting import drafts
from palaver.flows.history import copies
from palaver.flows.leases import give_up, lease_of, pauses
from palaver.flows.resetting import rotation
from palaver.flows.starts import Began, with_lease, without_lease
from palaver.info import SessionInfo
from palaver.keys import Origin
from palaver.model import Message
from palaver.operations import Begin, Begun, KeyMoved, Lease, NewSession, Rotate
from palaver.rows import Draft
from palaver.steps import Flow, Pause, call, commit

__all__ = ["OnBusy", "begin"]

OnBusy: TypeAlias = Literal["wait", "raise", "store"]
_TRIES = 50


def begin(
    core: Core,
    target: Target | None,
    session_id: str | None,
    message: Message | None,
    *,
    on_busy: OnBusy,
    timeout: float | None,
    lease: timedelta | None,
    budget: Budget | None,
    new: NewSession | None = None,
) -> Flow[Began]:
    """Begin a turn under a key (target) or in a session; `new` is what a handle promised to make there.

    What another process changes between the read and the commit is found by the commit, which then did nothing, and
    everything is read again.
    """
    if on_busy not in get_args(OnBusy):
        raise ValueError(f"on_busy is {on_busy!r}; use 'wait', 'raise' or 'store'")
    given = lease_of(core, lease)
    draft = (yield from drafts((message,)))[0] if message is not None else None
    wanted = _Wanted(
        target=target,
        key=core.key(target) if target is not None else None,
        session_id=session_id,
        message=message,
        draft=draft,
        lease=given,
        on_busy="store" if on_busy == "store" else "raise",
        new=new,
        budget=budget or core.settings.budget,
    )
    since = time.monotonic()
    waits: Iterator[Pause] | None = None
    may_reset = True
    tries = 0
    while True:
        current, operations = yield from _prepare(core, wanted, may_reset=may_reset)
        outcomes = yield from _try(core, wanted, operations)
        outcome = outcomes[-1]
        if isinstance(outcome, Begun):
            break
        if isinstance(outcome, KeyMoved) and tries < _TRIES:
            tries += 1
            # A redelivered message resets nothing: its session is then still the key's.
            may_reset = may_reset and (len(operations) == 1 or isinstance(outcomes[0], PalaverError))
        elif isinstance(outcome, SessionBusy) and on_busy == "wait":
            waits = waits or pauses(since, timeout)
            wait = next(waits, None)
            if wait is None:
                raise outcome
            yield wait
        else:
            raise outcome
    origin = target if isinstance(target, Origin) else None
    if outcome.kind in ("replayed", "stored"):
        return (yield from without_lease(core, outcome, origin))
    token = wanted.lease.token
    try:
        return (yield from with_lease(core, outcome, origin, current, token, wanted.budget))
    except BaseException as error:  # the lease must not outlive a turn that nobody got
        yield from give_up(core, outcome.session_id, token, f"it could not begin: {type(error).__name__}")
        raise


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What `begin` was asked for, as each try needs it."""

    target: Target | None
    key: str | None
    session_id: str | None
    message: Message | None
    draft: Draft | None
    lease: Lease
    on_busy: Literal["raise", "store"]
    new: NewSession | None
    budget: Budget


def _prepare(core: Core, wanted: _Wanted, *, may_reset: bool) -> Flow[tuple[SessionInfo | None, list[Rotate | Begin]]]:
    """The key's session as it is now, and the operations that begin a turn there."""
    current: SessionInfo | None = None
    reset: Rotate | None = None
    create: NewSession | None = None
    session_id = wanted.session_id
    key = wanted.key
    if key is not None:
        now = core.now()
        current = yield from call(core.store.current, core.key_owner, key, now)
        session_id = current.id if current is not None else None
        if current is None:
            create = yield from _first_session(core, wanted.target, now)
            if wanted.new is not None:
                create = msgspec.structs.replace(create, id=wanted.new.id, origin=wanted.new.origin)
        elif may_reset and wanted.message is not None:
            reset = yield from rotation(core, wanted.target, key, current, wanted.message, now)
    begin_it = Begin(
        at=core.at(),
        owner=core.owner,
        key=key,
        session_id=reset.new.id if reset is not None else session_id,
        create=create,
        message=wanted.draft,
        lease=wanted.lease,
        on_busy=wanted.on_busy,
        budget=msgspec.json.encode(wanted.budget).decode(),
    )
    return current, [begin_it] if reset is None else [reset, begin_it]


def _try(core: Core, wanted: _Wanted, operations: list[Rotate | Begin]) -> Flow[list[Any]]:
    try:
        return (yield from commit(*operations))
    except StoreError:
        raise
    except BaseException:  # cancelled: if the turn began, nobody has got it, and nobody would end it
        begun = operations[-1]
        made = begun.session_id or ""
        if isinstance(begun, Begin) and begun.create is not None:
            made = begun.create.id
        yield from give_up(core, made, wanted.lease.token, "it was cancelled while it began")
        raise


def _first_session(core: Core, target: Target | None, now: datetime) -> Flow[NewSession]:
    """The session that a new key begins with; a new thread of a direct chat gets a copy of what the chat knows."""
    if (
        core.settings.seed_threads
        and isinstance(target, Origin)
        and target.chat_type == "dm"
        and target.thread_id
        and (target.chat_id or target.user_id)
    ):
        parent_key = core.key(msgspec.structs.replace(target, thread_id=None))
        if parent_key != core.key(target):
            parent = yield from call(core.store.current, core.key_owner, parent_key, now)
            if parent is not None and parent.message_count:
                carried = yield from copies(core, parent.id, core.settings.budget)
                return core.new_session(target, now, parent=parent.id, parent_kind="thread", carried=carried)
    return core.new_session(target, now)
