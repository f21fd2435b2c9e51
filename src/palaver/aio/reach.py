"""How Palaver's own ends get at what a manager or a handle of the async API works with."""

from __future__ import annotations

from palaver.aio.manager import AsyncSessionManager
from palaver.aio.session import AsyncSession
from palaver.handover import Handover

__all__ = ["handover_of"]


def handover_of(of: AsyncSessionManager | AsyncSession) -> Handover:
    """What drives its flows; beside `palaver.reach.core_of`, and no part of the public API either."""
    return of._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the one place
