"""Titles are unique to an owner: of sessions that are called alike, the later ones have a number."""

from __future__ import annotations

from typing import overload

__all__ = ["Titles"]


class Titles:
    """Which titles were tried in this run: a chat service calls every other conversation the same."""

    def __init__(self) -> None:
        self._tried: dict[str, int] = {}

    @overload
    def next(self, title: str) -> str: ...
    @overload
    def next(self, title: None) -> None: ...
    @overload
    def next(self, title: str | None) -> str | None: ...
    def next(self, title: str | None) -> str | None:
        """The title, or what nobody asked for yet: with the next number behind it."""
        if title is None:
            return None
        number = self._tried[title] = self._tried.get(title, 0) + 1
        return title if number == 1 else f"{title} #{number}"
