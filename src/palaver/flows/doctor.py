"""Checking, repairing and copying a whole store."""

from __future__ import annotations

import os

import msgspec

from palaver.backups import Backup, RepairReport
from palaver.budget import Budget
from palaver.core import Core
from palaver.errors import SessionNotFound
from palaver.findings import Finding, Findings, Progress, finding
from palaver.flows.history import SLACK
from palaver.steps import Flow, call, long_call
from palaver.stores.base import SessionQuery
from palaver.window import legal_window

__all__ = ["backup", "backups", "check", "repair"]

_SESSIONS_AT_ONCE = 200


def check(
    core: Core, session_id: str | None, *, notes: bool = False, progress: Progress | None = None
) -> Flow[list[Finding]]:
    """What the store finds wrong, and with `notes` what windows mend."""
    if session_id is not None:
        named = yield from call(core.store.named, core.owner, session_id)
        session_id = named or session_id
    found: list[Finding] = yield from long_call(
        core.store.check, core.owner, session_id=session_id, notes=notes, progress=progress
    )
    if not notes:
        return found
    mended = Findings(core.store.name)
    ids = _listed(core) if session_id is None else _one(session_id)
    for each in (yield from ids):
        yield from _history(core, each, mended)
    return [*found, *mended.all()]


def _one(session_id: str) -> Flow[list[str]]:
    yield from ()
    return [session_id]


def _listed(core: Core) -> Flow[list[str]]:
    """Ids of all sessions that can be read."""
    query = SessionQuery(
        owner=core.owner, limit=_SESSIONS_AT_ONCE, include_archived=True, include_empty=True, include_hidden=True
    )
    out: list[str] = []
    while True:
        page = yield from call(core.store.sessions, query, core.now())
        out += [info.id for info in page]
        if len(page) < _SESSIONS_AT_ONCE:
            return out
        query = msgspec.structs.replace(query, after=page[-1].id)


def _history(core: Core, session_id: str, mended: Findings) -> Flow[None]:
    """What the window of a session, as readers see it by default, has to mend."""
    budget = Budget()
    try:
        tail = yield from call(core.store.tail, session_id, core.owner, core.now(), limit=budget.max_messages + SLACK)
    except SessionNotFound:  # gone meanwhile, or deleted: nobody reads it
        return
    for repair in legal_window(tail, budget).repairs:
        where = f"session {session_id}, seq {repair.seq}"
        detail = f"{repair.kind}{f': {repair.detail}' if repair.detail else ''}"
        mended.add(finding("history_mended", where, detail, session_id=session_id, seq=repair.seq))


def _require_all(core: Core, what: str) -> None:
    if core.owner is not None:
        msg = f"{what} is of the whole store: take the manager that is not for one owner"
        raise ValueError(msg)


def repair(core: Core, to: str | os.PathLike[str] | None) -> Flow[RepairReport]:
    """Check, copy, mend, and check again."""
    _require_all(core, "a repair")
    found: list[Finding] = yield from long_call(core.store.check)
    if not any(each.repairable for each in found):
        return RepairReport(found=tuple(found), left=tuple(found))
    path = os.fspath(to) if to is not None else None
    made: Backup = yield from long_call(core.store.backup, path, core.now(), sound=False)
    repaired = yield from long_call(core.store.repair, core.now())
    left = yield from long_call(core.store.check)
    return RepairReport(found=tuple(found), backup=made, repaired=tuple(repaired), left=tuple(left))


def backup(
    core: Core, to: str | os.PathLike[str] | None, *, keep: int | None = None, progress: Progress | None = None
) -> Flow[Backup]:
    """Copy the store to a file."""
    _require_all(core, "a backup")
    if keep is not None and keep < 1:
        msg = f"keep is {keep}; at least the backup that is being made has to stay"
        raise ValueError(msg)
    path = os.fspath(to) if to is not None else None
    made: Backup = yield from long_call(core.store.backup, path, core.now(), keep=keep, progress=progress)
    return made


def backups(core: Core) -> Flow[list[Backup]]:
    """Which backups there are."""
    _require_all(core, "a list of backups")
    found: list[Backup] = yield from long_call(core.store.backups)
    return found
