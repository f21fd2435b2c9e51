"""The verbs that erase, and that bring back what was only deleted, with `await`."""

from __future__ import annotations

from palaver.aio.session import AsyncSession
from palaver.core import Core
from palaver.erasure import Again, EraseReport, Erasure, ScrubReport
from palaver.flows import erasing
from palaver.flows import sessions as flows
from palaver.flows.erasing import Progress, target_of
from palaver.handover import Handover
from palaver.keys import Origin

__all__ = ["AsyncRemoval"]


class AsyncRemoval:
    """The part of `AsyncSessionManager` that removes for good; see `palaver.removal.Removal`."""

    _core: Core
    _handover: Handover

    async def restore(self, session_id: str) -> AsyncSession:
        """See `SessionManager.restore`."""
        found = await self._handover.drive(flows.restore(self._core, session_id))
        return AsyncSession(self._core, found, self._handover)

    async def erase(
        self,
        *,
        owner: str | None = None,
        user: Origin | str | None = None,
        session: str | None = None,
        dry_run: bool = False,
        scrub: bool = True,
        progress: Progress | None = None,
    ) -> EraseReport:
        """See `SessionManager.erase`."""
        core = self._core
        target = target_of(core, owner, user, session)
        return await self._handover.drive(
            erasing.erase(core, target, dry_run=dry_run, scrub_files=scrub, progress=progress)
        )

    async def erase_again(self, *, dry_run: bool = False, scrub: bool = True) -> EraseReport:
        """See `SessionManager.erase_again`."""
        core = self._core
        return await self._handover.drive(
            erasing.erase(core, Again(), dry_run=dry_run, scrub_files=scrub, progress=None)
        )

    async def erasures(self) -> list[Erasure]:
        """See `SessionManager.erasures`."""
        return await self._handover.drive(erasing.records(self._core))

    async def scrub(self) -> ScrubReport:
        """See `SessionManager.scrub`."""
        return await self._handover.drive(erasing.scrub(self._core))
