"""The one place where the server reaches behind the public API: whose process a lease belongs to."""

from __future__ import annotations

from dataclasses import replace

from palaver.aio import AsyncSessionManager

__all__ = ["of_clients"]


def of_clients(sessions: AsyncSessionManager) -> AsyncSessionManager:
    """The same manager, whose turns are not this process's: their leases hold when the server dies."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return AsyncSessionManager(replace(core, holder=lambda: None), handover)
