"""The same surface with `await`: AsyncSessionManager, AsyncSession, AsyncTurn."""

from __future__ import annotations

from palaver.aio.manager import AsyncSessionManager, aopen
from palaver.aio.session import AsyncSession
from palaver.aio.turn import AsyncTurn

__all__ = ["AsyncSession", "AsyncSessionManager", "AsyncTurn", "aopen"]
