"""The verbs that keep a store in order, with `await`."""

from __future__ import annotations

import os
from datetime import timedelta

from palaver.arguments import page_limit
from palaver.backups import Backup, RepairReport
from palaver.core import Core
from palaver.findings import Finding, Progress
from palaver.flows import doctor, sweeping, todos
from palaver.handover import Handover
from palaver.info import Todo
from palaver.sweeping import SweepPolicy, SweepReport
from palaver.upkeep import LEASE, MOST

__all__ = ["AsyncUpkeep"]


class AsyncUpkeep:
    """The part of `AsyncSessionManager` that looks after what is stored; see `palaver.upkeep.Upkeep`."""

    _core: Core
    _handover: Handover

    async def sweep(
        self, policy: SweepPolicy | None = None, *, dry_run: bool = False, limit: int = MOST
    ) -> SweepReport:
        """See `SessionManager.sweep`."""
        return await self._handover.drive(sweeping.sweep(self._core, policy, dry_run=dry_run, limit=limit))

    async def due(self, *, limit: int = 100, given_up: bool = False) -> list[Todo]:
        """See `SessionManager.due`."""
        return await self._handover.drive(todos.due(self._core, page_limit(limit, "to-dos"), given_up=given_up))

    async def claim(self, todo: Todo | str, *, lease: timedelta = LEASE) -> Todo:
        """See `SessionManager.claim`."""
        return await self._handover.drive(todos.claim(self._core, todo, lease))

    async def acknowledge(self, todo: Todo) -> Todo:
        """See `SessionManager.acknowledge`."""
        return await self._handover.drive(todos.acknowledge(self._core, todo))

    async def fail(self, todo: Todo, reason: str) -> Todo:
        """See `SessionManager.fail`."""
        return await self._handover.drive(todos.fail(self._core, todo, reason))

    async def check(
        self, session_id: str | None = None, *, notes: bool = False, progress: Progress | None = None
    ) -> list[Finding]:
        """See `SessionManager.check`."""
        return await self._handover.drive(doctor.check(self._core, session_id, notes=notes, progress=progress))

    async def repair(self, backup: str | os.PathLike[str] | None = None) -> RepairReport:
        """See `SessionManager.repair`."""
        return await self._handover.drive(doctor.repair(self._core, backup))

    async def backup(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        keep: int | None = None,
        progress: Progress | None = None,
    ) -> Backup:
        """See `SessionManager.backup`."""
        return await self._handover.drive(doctor.backup(self._core, path, keep=keep, progress=progress))

    async def backups(self) -> list[Backup]:
        """See `SessionManager.backups`."""
        return await self._handover.drive(doctor.backups(self._core))
