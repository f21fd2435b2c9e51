"""The verbs that keep a store in order: sweeping, what is to be done before a reset, checks, repairs and backups."""

from __future__ import annotations

import os
from datetime import timedelta

from palaver.arguments import page_limit
from palaver.backups import Backup, RepairReport
from palaver.core import Core
from palaver.findings import Finding, Progress
from palaver.flows import doctor, sweeping, todos
from palaver.info import Todo
from palaver.steps import drive
from palaver.sweeping import SweepPolicy, SweepReport

__all__ = ["LEASE", "MOST", "Upkeep"]

MOST = 10_000
"""What one sweep does at most, unless said otherwise."""
LEASE = timedelta(minutes=10)


class Upkeep:
    """The part of `SessionManager` that looks after what is stored."""

    _core: Core

    def sweep(self, policy: SweepPolicy | None = None, *, dry_run: bool = False, limit: int = MOST) -> SweepReport:
        """Reset what is over, archive and remove what the policy says, and report each step with its reason.

        By default: sessions that never had a message go after an hour, deleted ones after thirty days, and sessions
        that the manager's reset policy says are over are reset. Pinned and held sessions stay, and so does one in which
        a turn runs: where a message comes meanwhile, the message wins. Each step is small, so nobody waits for a sweep;
        it may be cut off anywhere, and several may run at once. A `dry_run` changes nothing and says what a run would
        do. `limit` is how much one sweep does; `SweepReport.more` says that there is more.

        An owner's manager sweeps that owner's sessions; what belongs to nothing, and the feed, only the unscoped one.
        """
        return drive(self._core.store, sweeping.sweep(self._core, policy, dry_run=dry_run, limit=limit))

    def due(self, *, limit: int = 100, given_up: bool = False) -> list[Todo]:
        """To-dos that wait to be claimed, oldest first: sessions that are reset, or will be once this is done.

        There are none unless the manager was opened with `before_reset=True`. One that failed is due again after five
        minutes, one whose worker died at once or when its claim has run out. `given_up`: those that failed three times
        instead, until each is acknowledged.
        """
        return drive(self._core.store, todos.due(self._core, page_limit(limit, "to-dos"), given_up=given_up))

    def claim(self, todo: Todo | str, *, lease: timedelta = LEASE) -> Todo:
        """Take a to-do (or the one of this session id) for so long, so that no other worker does it.

        What is given says which messages it is about. Raises SessionBusy where another worker has it, SessionConflict
        where none waits or it was just given up, SessionNotFound where the session was deleted.
        """
        return drive(self._core.store, todos.claim(self._core, todo, lease))

    def acknowledge(self, todo: Todo) -> Todo:
        """Say that a claimed to-do is done. One that was given up is taken off the table by it.

        Doing it twice is doing it once. Raises SessionConflict where another worker has taken the to-do over.
        """
        return drive(self._core.store, todos.acknowledge(self._core, todo))

    def fail(self, todo: Todo, reason: str) -> Todo:
        """Say that a claimed to-do could not be done, and why: it is due again in five minutes.

        After the third failure it is given up, and the reset goes on; `sweep` and `check` report it until it is
        acknowledged. Raises SessionConflict where another worker has taken the to-do over.
        """
        return drive(self._core.store, todos.fail(self._core, todo, reason))

    def check(
        self, session_id: str | None = None, *, notes: bool = False, progress: Progress | None = None
    ) -> list[Finding]:
        """Everything that can be found wrong, with an owner in that owner's sessions; nothing is changed.

        `session_id` (or alias): in that session only. `notes`: also what is no fault, such as what windows mend.
        `progress` is told how many messages were looked at, of about how many. Raises SessionNotFound.
        """
        return drive(self._core.store, doctor.check(self._core, session_id, notes=notes, progress=progress))

    def repair(self, backup: str | os.PathLike[str] | None = None) -> RepairReport:
        """Mend what `check` finds and can be mended, after a backup; nothing that can be read is removed.

        The backup goes to `backup`, or beside the store; without anything to mend none is made. Twice is as once.
        Raises ValueError for the sessions of one owner, FileExistsError, StoreUnavailable for a store that has
        nothing to repair.
        """
        return drive(self._core.store, doctor.repair(self._core, backup))

    def backup(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        keep: int | None = None,
        progress: Progress | None = None,
    ) -> Backup:
        """Copy the store as it is at one moment to a file, while others go on; it is compared with the store.

        `path` is a file that does not exist, or a directory, which gets one named after the store and the time; None:
        the directory `backups` beside the store. `keep`: of the store's backups in that directory, how many stay.
        `progress` is told how many pages were copied, of how many.
        Raises FileExistsError, StoreFull, StoreUnavailable for a store that keeps nothing, ValueError for one owner's.
        """
        return drive(self._core.store, doctor.backup(self._core, path, keep=keep, progress=progress))

    def backups(self) -> list[Backup]:
        """The backups that were made of the store, the oldest first, as far as their files are still there."""
        return drive(self._core.store, doctor.backups(self._core))
