"""The verbs that erase, and that bring back what was only deleted."""

from __future__ import annotations

from palaver.core import Core
from palaver.erasure import Again, EraseReport, Erasure, ScrubReport
from palaver.flows import erasing
from palaver.flows import sessions as flows
from palaver.flows.erasing import Progress, target_of
from palaver.keys import Origin
from palaver.session import Session
from palaver.steps import drive

__all__ = ["Removal"]


class Removal:
    """The part of `SessionManager` that removes for good."""

    _core: Core

    def restore(self, session_id: str) -> Session:
        """Bring a deleted session back: found again, ended, under no key. Raises SessionNotFound, SessionConflict."""
        return Session(self._core, drive(self._core.store, flows.restore(self._core, session_id)))

    def erase(
        self,
        *,
        owner: str | None = None,
        user: Origin | str | None = None,
        session: str | None = None,
        dry_run: bool = False,
        scrub: bool = True,
        progress: Progress | None = None,
    ) -> EraseReport:
        """Erase all that belongs to an owner, a person or a session, everywhere in the store, and report it.

        `user` is an Origin with a user id, or text such as "telegram:7". Conversations with that person alone go
        whole; of those that others take part in goes what the person said, and what answered it. Copies, earlier
        versions, search, media, summaries and names go too, and keyed hashes are kept, so that an old export or
        backup does not bring it back (`ContentErased`). The person may begin anew at once.

        It takes many small steps; killed in the middle, the next erasure finishes it first. With `scrub` the store's
        files are written anew at the end, while others wait to write; without it, free space holds what was erased
        until `sessions.scrub()`. `dry_run` changes nothing.

        Raises SessionNotFound, ValueError unless one of the three is named, and for an owner that is not this one.
        """
        core = self._core
        target = target_of(core, owner, user, session)
        return drive(core.store, erasing.erase(core, target, dry_run=dry_run, scrub_files=scrub, progress=progress))

    def erase_again(self, *, dry_run: bool = False, scrub: bool = True) -> EraseReport:
        """Erase what was erased before and is there again, as after an old backup was put in the store's place.

        It knows it by the hashes that the store kept; they must have been taken over from the store as it was.
        """
        core = self._core
        return drive(core.store, erasing.erase(core, Again(), dry_run=dry_run, scrub_files=scrub, progress=None))

    def erasures(self) -> list[Erasure]:
        """Every erasure, oldest first, with counts and times alone; one without `ended_at` has to be gone on with."""
        return drive(self._core.store, erasing.records(self._core))

    def scrub(self) -> ScrubReport:
        """Write the store's files anew, so that free space holds nothing of what was removed. Others wait to write."""
        return drive(self._core.store, erasing.scrub(self._core))
