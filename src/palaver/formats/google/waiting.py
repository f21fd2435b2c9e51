"""Calls that wait for an answer, found by id or by name without looking through all of them.

One index for the whole walk over a payload: a turn may have thousands of calls, and each of its answers looks for one.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

__all__ = ["Waiting"]

_By: TypeAlias = Literal["id", "name", "loose name", "any", "loose"]


class Waiting:
    """Calls by number, in the order in which they were added. A call that was taken waits no more.

    `loose` calls are those without an id.
    """

    __slots__ = ("_calls", "_lines", "count", "with_id")

    def __init__(self) -> None:
        self._calls: list[tuple[str, str] | None] = []
        """Id and name of each call; None where it was taken."""
        self._lines: dict[_By, dict[str, deque[int]]] = {}
        """Who waits under an id or a name, the first one first. Made when it is first asked for; calls that were taken
        leave when they are met."""
        self.count = 0
        """How many wait."""
        self.with_id = 0
        """How many of them have an id."""

    def add(self, call_id: str, name: str) -> None:
        """One more call; without an id, or a name, where that is empty."""
        number = len(self._calls)
        self._calls.append((call_id, name))
        self.count += 1
        self.with_id += bool(call_id)
        for by, lines in self._lines.items():
            _queue(lines, by, number, call_id, name)

    def take_id(self, call_id: str) -> int | None:
        """The first call with this id."""
        return self._take("id", call_id)

    def take_name(self, name: str, *, loose: bool) -> int | None:
        """The first call of this name; `loose`: of those without an id."""
        return self._take("loose name" if loose else "name", name)

    def take_any(self, *, loose: bool) -> int | None:
        """The first call of all; `loose`: of those without an id."""
        return self._take("loose" if loose else "any", "")

    def _take(self, by: _By, key: str) -> int | None:
        lines = self._lines.get(by)
        if lines is None:
            lines = self._lines[by] = {}
            for number, call in enumerate(self._calls):
                if call is not None:
                    _queue(lines, by, number, *call)
        line = lines.get(key)
        while line:
            number = line.popleft()
            call = self._calls[number]
            if call is not None:
                self._calls[number] = None
                self.count -= 1
                self.with_id -= bool(call[0])
                return number
        return None


def _queue(lines: dict[str, deque[int]], by: _By, number: int, call_id: str, name: str) -> None:
    if by == "id" and not call_id:
        return
    if call_id and by in ("loose name", "loose"):
        return
    key = call_id if by == "id" else name if by in ("name", "loose name") else ""
    line = lines.get(key)
    if line is None:
        line = lines[key] = deque()
    line.append(number)
