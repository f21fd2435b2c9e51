"""What is awaited or entered: `await sessions.begin_turn(…)`, `async with sessions.begin_turn(…)`."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from palaver.aio.manager import AsyncSessionManager
    from palaver.aio.turn import AsyncTurn

__all__ = ["Entering"]


C = TypeVar("C", bound="AsyncTurn | AsyncSessionManager")


class Entering(Generic[C]):
    """What can be awaited, or entered with `async with`, which also leaves it."""

    def __init__(self, coming: Coroutine[Any, Any, C]) -> None:
        self._coming = coming
        self._come: C | None = None

    def __await__(self) -> Generator[Any, Any, C]:
        return self._coming.__await__()

    async def __aenter__(self) -> C:
        come = self._come = await self._coming
        await come.__aenter__()
        return come

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._come is not None:
            await self._come.__aexit__(kind, error, trace)
