"""The part of the contract that keeps a store in order. As in `palaver.stores.base`, the docstrings specify it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from palaver.backups import Backup
from palaver.erasure import Erasure, Marks, ScrubReport
from palaver.findings import Finding, Progress, Repaired
from palaver.info import Todo, TodoState
from palaver.stores.values import Erasable
from palaver.sweeping import Standing, SweepQuery

__all__ = ["StoreUpkeep"]


class StoreUpkeep(ABC):
    """What sweeps, checks, repairs, backups and erasures ask of a store."""

    # ------------------------------------------------------------------ sweeping
    @abstractmethod
    def standings(self, query: SweepQuery, now: datetime) -> list[Standing]:
        """A page of sessions as a sweep sees them, in the order in which they were stored.

        Deleted ones are among them; purged and erased ones, of which nothing is left, are not.

        Raises SessionNotFound for an unknown or foreign `query.after`.
        """

    @abstractmethod
    def todos(self, owner: str | None, state: TodoState, now: datetime, *, limit: int = 100) -> list[Todo]:
        """To-dos in a state other than done, of sessions that are not deleted, oldest first.

        Waiting ones that are due, claimed ones whose worker has gone or let the claim run out, all that were given up.
        """

    @abstractmethod
    def prune(self, keep: int, *, dry_run: bool = False) -> int:
        """Remove the oldest changes, a step's worth, so that about `keep` of the newest stay; gives how many.

        In a dry run, how many all steps together would. What is needed for something else, as for an index that
        follows the feed, stays. A cursor from before them is CursorExpired from then on; None begins at what is left.
        """

    def clean(self, *, limit: int = 500, dry_run: bool = False) -> list[str]:
        """Remove what belongs to nothing, at most so many rows, in one short commit; gives a line for each.

        Nothing of it can be seen by any read. A store that has no such rows has nothing to do.
        """
        del limit, dry_run
        return []

    # ------------------------------------------------------------------ checks
    @abstractmethod
    def check(
        self,
        owner: str | None = None,
        *,
        session_id: str | None = None,
        notes: bool = False,
        progress: Progress | None = None,
    ) -> list[Finding]:
        """Everything that can be found wrong, without changing anything. An empty list: all is well.

        With an owner: in that owner's sessions only; with a session's id: in that one, which may be deleted. Of each
        problem of `palaver.findings` at most 100 are listed, and the others counted. `notes`: also what is no fault.
        `progress` is told how far it has come. Whatever is wrong, it does not raise but for SessionNotFound, and where
        the store cannot be read at all.
        """

    @abstractmethod
    def repair(self, now: datetime) -> list[Repaired]:
        """Mend what `check` finds and `PROBLEMS` says can be mended; what was done, problem by problem.

        Each problem is one transaction. Nothing that can be read is removed; what cannot be decoded is set aside first.
        Twice is as once. What is done to a session is told in the feed. What is not mended there stays, and is said.
        """

    # ------------------------------------------------------------------ backups
    @abstractmethod
    def backup(
        self,
        path: str | None,
        now: datetime,
        *,
        keep: int | None = None,
        sound: bool = True,
        progress: Progress | None = None,
    ) -> Backup:
        """Copy the store, as it is at one moment, to a file that does not exist yet, while writers go on.

        `path` may be a directory; None: the store's own place for backups. What was acknowledged before this began is
        in it. It is compared with the store, checked (unless not `sound`: as it is, whatever is wrong with it), synced,
        and only then has its name, for this user alone. The store remembers it. `keep`: how many of its backups in that
        directory stay.

        Raises FileExistsError, StoreFull, StoreUnavailable; also for a store that outlives nothing.
        """

    @abstractmethod
    def backups(self) -> list[Backup]:
        """The backups that were made of this store and are still there, the oldest first."""

    # ------------------------------------------------------------------ erasing
    @abstractmethod
    def erasable(
        self, after: int, *, limit: int, owner: str | None = None, session_id: str | None = None
    ) -> list[Erasable]:
        """Sessions with numbers above `after`, in order; deleted, hidden and purged ones too."""

    @abstractmethod
    def erasures(self) -> list[Erasure]:
        """Every erasure, oldest first. One without `ended_at` was interrupted, or is under way."""

    @abstractmethod
    def erased(self, marks: Sequence[bytes]) -> dict[bytes, int]:
        """Which of these marks (see `palaver.erasure.marks_of`) are of what was erased, and when (microseconds)."""

    @abstractmethod
    def marks(self, after: bytes, *, limit: int) -> Marks:
        """The first `limit` marks above `after`, in order: what a copy of the store has to know of its erasures."""

    @abstractmethod
    def scrub(self) -> ScrubReport:
        """Leave nothing of what was removed: not in free space, not in the search index, not in logs. May take long.

        Where it cannot be finished (somebody reads, no room), the answer says why; doing it again is safe.
        """
