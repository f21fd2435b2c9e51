"""How the ends that Palaver comes with get at what a manager or a handle works with; no part of the public API."""

from __future__ import annotations

from palaver.bases import ManagerBase, SessionBase
from palaver.core import Core

__all__ = ["core_of"]


def core_of(of: ManagerBase | SessionBase) -> Core:
    """The store, settings, clock and owner that a manager or a handle works with.

    What an import, an export, a copy or the command line does is a verb that lives outside of the manager.
    """
    return of._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the one place
