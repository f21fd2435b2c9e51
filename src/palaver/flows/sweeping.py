"""A sweep: a look at every session, page by page, and one small commit for each thing that is done.

It may be cut off anywhere: what was done is done, and the next sweep goes on. Two at once are no harm: each step says
what it read, and is refused where that does not hold any more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from palaver.core import Core
from palaver.errors import PalaverError, SessionBusy, SessionConflict, SessionEnded, SessionNotFound, StoreError
from palaver.flows.resetting import successor
from palaver.operations import Expire, Expired, KeyMoved, Sweep, SweepVerb
from palaver.reset import ResetReason, reset_reason
from palaver.steps import Flow, call, commit, long_call
from palaver.sweeping import (
    Standing,
    SweepAction,
    SweepPolicy,
    SweepQuery,
    SweepReport,
    decide,
    oldest_first,
    sought_before,
)

__all__ = ["sweep"]

_PAGE = 200
_ROWS = 500
"""Rows of garbage that are removed in one commit."""
_GIVEN_UP = 100
_MEANWHILE = (KeyMoved, SessionBusy, SessionConflict, SessionEnded, SessionNotFound)
_VERBS: dict[str, SweepVerb] = {"purge": "purge", "delete": "delete", "archive": "archive"}


class _Run:
    """One sweep: what it has done, and what it may still do."""

    def __init__(self, core: Core, policy: SweepPolicy, *, dry_run: bool, limit: int) -> None:
        self.core = core
        self.policy = policy
        self.dry_run = dry_run
        self.limit = limit
        self.actions: list[SweepAction] = []
        self.changed = 0
        self.more = False

    def has_room(self) -> bool:
        """Whether one more thing may be done; else there is more to do."""
        self.more = self.more or len(self.actions) >= self.limit
        return not self.more

    def take(self, action: SweepAction, standing: Standing) -> Flow[bool]:
        """Do one thing, unless this is a dry run; gives whether it was done."""
        done = True
        if not self.dry_run:
            done = yield from _perform(self.core, action, standing)
        if done:
            self.actions.append(action)
        else:
            self.changed += 1
        return done


def sweep(core: Core, policy: SweepPolicy | None, *, dry_run: bool, limit: int) -> Flow[SweepReport]:
    """Remove, archive and reset what the policy says; in a dry run, only say so."""
    if limit < 1:
        raise ValueError(f"limit is {limit}; it is the most that one sweep does, 1 or more")
    run = _Run(core, policy or SweepPolicy(), dry_run=dry_run, limit=limit)
    yield from _sessions(run)
    if run.policy.orphans and core.owner is None:
        yield from _orphans(run)
    if run.policy.keep_changes is not None and core.owner is None:
        yield from _changes(run, run.policy.keep_changes)
    given_up = yield from call(core.store.todos, core.owner, "given_up", core.now(), limit=_GIVEN_UP)
    return SweepReport(
        dry_run=dry_run, actions=tuple(run.actions), more=run.more, changed=run.changed, given_up=tuple(given_up)
    )


def _sessions(run: _Run) -> Flow[None]:
    core, policy, settings = run.core, run.policy, run.core.settings
    stay: dict[str, Standing] = {}
    query = SweepQuery(
        owner=core.owner,
        limit=_PAGE,
        active_before=sought_before(policy, settings.reset_policy, core.now()),
        sizes=policy.max_bytes is not None,
    )
    while True:
        page = yield from long_call(core.store.standings, query, core.now())
        for standing in page:
            action = decide(policy, settings.reset_policy, standing, core.now(), before_reset=settings.before_reset)
            if action is not None:
                if not run.has_room():
                    return
                yield from run.take(action, standing)
            if query.sizes and (action is None or action.what not in ("purge", "delete")):
                # A reset or an archiving gives it another version: it makes room in the next sweep, not in this one.
                stay[standing.session.id] = standing
        if len(page) < _PAGE:
            break
        query = msgspec.structs.replace(query, after=page[-1].session.id)
    touched = {action.session_id for action in run.actions}
    for action in oldest_first(policy, stay.values(), core.now()):
        if action.session_id in touched or action.session_id is None:
            continue
        if not run.has_room():
            return
        yield from run.take(action, stay[action.session_id])


def _perform(core: Core, action: SweepAction, standing: Standing) -> Flow[bool]:
    """Do what was decided; gives False where the session has changed since it was read."""
    session = standing.session
    if action.what in ("expire", "todo"):
        return (yield from _expire(core, standing, core.now()))
    at = Sweep(
        at=core.at(),
        owner=core.owner,
        session_id=session.id,
        verb=_VERBS[action.what],
        expected_seq=session.last_seq,
        expected_rev=session.rev,
    )
    outcome = yield from _done(at)
    if outcome is None:
        return False
    while outcome:  # a long purge, step by step: others commit in between
        outcome = yield from _done(msgspec.structs.replace(at, at=core.at()))
    return True


def _expire(core: Core, standing: Standing, now: datetime) -> Flow[bool]:
    session = standing.session
    reason: ResetReason | None = reset_reason(core.settings.reset_policy, session, now)
    if reason is None:
        return False
    try:
        new = yield from successor(core, None, session, reason, now)
    except SessionNotFound:
        return False
    outcome: Expired | None = yield from _done(
        Expire(
            at=core.at(),
            owner=core.owner,
            session_id=session.id,
            expected_seq=session.last_seq,
            expected_rev=session.rev,
            before_reset=core.settings.before_reset,
            new=new,
        )
    )
    return outcome is not None and (outcome.session is not None or outcome.added)


def _done(operation: Sweep | Expire) -> Flow[Any]:
    """What an operation gives; None where somebody changed the session meanwhile."""
    [outcome] = yield from commit(operation)
    if isinstance(outcome, _MEANWHILE) and not isinstance(outcome, StoreError):
        return None
    if isinstance(outcome, PalaverError):
        raise outcome
    return outcome


def _orphans(run: _Run) -> Flow[None]:
    """Remove what belongs to nothing, in steps."""
    while run.has_room():
        rows = run.limit - len(run.actions)
        if not run.dry_run:
            rows = min(_ROWS, rows)
        found: list[str] = yield from long_call(run.core.store.clean, limit=rows, dry_run=run.dry_run)
        run.actions += [SweepAction(what="clean", reason=each) for each in found]
        if run.dry_run or len(found) < rows:
            run.more = run.more or (run.dry_run and len(found) == rows)
            return


def _changes(run: _Run, keep: int) -> Flow[None]:
    """Remove old lines of the change feed, in steps."""
    if not run.has_room():
        return
    store = run.core.store
    total = 0
    while count := (yield from long_call(store.prune, keep, dry_run=run.dry_run)):
        total += count
        if run.dry_run:
            break
    if total:
        run.actions.append(SweepAction(what="prune", reason=f"{total:,} lines of the change feed"))
