"""The flows of a reset: whether one is due before a message, and what follows the session that was."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from palaver import reset
from palaver.budget import Budget
from palaver.core import Core, Target
from palaver.flows.history import copies
from palaver.info import SessionInfo
from palaver.keys import Origin
from palaver.model import Message
from palaver.operations import KeyMoved, NewSession, Rotate, Rotated
from palaver.steps import Flow, call, commit

__all__ = ["reset_key", "reset_session", "rotation", "successor"]

_TRIES = 50


def rotation(
    core: Core, target: Target | None, key: str, current: SessionInfo, message: Message | None, now: datetime
) -> Flow[Rotate | None]:
    """The reset that the policy asks for before this message, or None."""
    policy = core.settings.reset_policy
    reason = reset.reset_reason(policy, current, now)
    if reason is None or (yield from call(core.store.queued, current.id, core.owner)):
        return None  # messages that wait are answered where they were said
    new = yield from successor(core, target, current, reason, now)
    return Rotate(
        at=core.at(),
        owner=core.owner,
        key=key,
        session_id=current.id,
        new=new,
        unless_message=message.id if message is not None else None,
        expected_seq=current.last_seq,
        before_reset=core.settings.before_reset,
    )


def reset_key(core: Core, target: Target) -> Flow[str]:
    """Point a key at a new session; gives its id."""
    key = core.key(target)
    for attempt in range(_TRIES):
        now = core.now()
        current = yield from call(core.store.current, core.key_owner, key, now)
        if current is None:
            new = core.new_session(target, now, explicit=True)
        else:
            new = yield from _fresh(core, target, current, now)
        operation = Rotate(
            at=core.at(),
            owner=core.owner,
            key=key,
            session_id=current.id if current is not None else None,
            new=new,
            before_reset=core.settings.before_reset,
        )
        [outcome] = yield from commit(operation)
        if isinstance(outcome, Rotated):
            return outcome.session
        if not isinstance(outcome, KeyMoved) or attempt == _TRIES - 1:
            raise outcome
    raise AssertionError


def reset_session(core: Core, session_id: str) -> Flow[str]:
    """Point all keys of a session at a new one; gives its id."""
    for attempt in range(_TRIES):
        now = core.now()
        current = yield from call(core.store.info, session_id, core.owner, now)
        new = yield from _fresh(core, None, current, now)
        [outcome] = yield from commit(
            Rotate(
                at=core.at(),
                owner=core.owner,
                session_id=session_id,
                all_keys=True,
                new=new,
                before_reset=core.settings.before_reset,
            )
        )
        if isinstance(outcome, Rotated):
            return outcome.session
        if not isinstance(outcome, KeyMoved) or attempt == _TRIES - 1:
            raise outcome
    raise AssertionError


def _fresh(core: Core, target: Target | None, current: SessionInfo, now: datetime) -> Flow[NewSession]:
    new = yield from successor(core, target, current, "manual", now)
    return msgspec.structs.replace(new, explicit=True)


def successor(
    core: Core, target: Target | None, current: SessionInfo, reason: reset.ResetReason, now: datetime
) -> Flow[NewSession]:
    """The session that follows a reset: linked to its parent, with what the policy carries over and the notice."""
    policy = core.settings.reset_policy
    origin = target if isinstance(target, Origin) else current.origin
    carry = policy.for_origin(current.origin).carry_over
    carried: tuple[Any, ...] = ()
    summary: str | None = None
    if isinstance(carry, int):
        carried = yield from copies(core, current.id, Budget(max_turns=carry))
    elif carry == "summary":
        tail = yield from call(core.store.tail, current.id, core.owner, now, limit=1)
        summary = tail.summary.text if tail.summary is not None else None
    title = current.title if carried or summary else None  # what goes on is named after what it goes on from
    told = reset.notice(reason, current, policy, origin or Origin.local())
    return core.new_session(
        origin,
        now,
        parent=current.id,
        parent_kind="reset",
        reset_reason=reason,
        notice=msgspec.json.encode(told).decode() if told is not None else None,
        carried=carried,
        summary=summary,
        metadata=None,
        title=title,
        title_source=current.title_source,
        title_numbered=True,
        model=current.model,
        hidden=current.hidden,  # what runs under a hidden key runs there after a reset too
    )
