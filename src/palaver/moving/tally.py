"""What a copy counts: so that its figures add up, whatever is looked at twice."""

from __future__ import annotations

from collections.abc import Container, Iterable

__all__ = ["Tally"]


class Tally:
    """Counts each session once, as the first look at it left it; what comes after that is told as bringing up to date.

    Nothing is kept for each session: there may be millions.
    """

    def __init__(self) -> None:
        self.sessions = self.copied = self.unchanged = self.updated = 0
        self.messages = self.compared = self.changes = self.erasures = 0
        self._stored: set[str] = set()
        """Sessions written since the last step was counted; also in a step that was broken off, and is done again."""
        self._new: set[str] = set()
        """Sessions that the target had not when such a step came to them."""
        self._left_out: set[str] = set()

    @property
    def left_out(self) -> int:
        """Sessions that are neither copied nor there already."""
        return len(self._left_out)

    def new(self, session_id: str) -> None:
        """The target does not have a session, which was not looked at before."""
        self._new.add(session_id)

    def stored(self, session_id: str) -> None:
        """A session was written, and is in the target what it is in the source."""
        self._stored.add(session_id)

    def first_look(self, session_ids: Iterable[str], problems: Container[str]) -> None:
        """These sessions were looked at for the first time, and all was done that can be done for them."""
        for session_id in session_ids:
            self.sessions += 1
            if session_id in problems:
                self._left_out.add(session_id)
            elif session_id in self._stored:
                self.copied += 1
            else:
                self.unchanged += 1
        self._next()

    def later_look(self, session_ids: Iterable[str], problems: Container[str]) -> None:
        """The same for sessions that something was told of since."""
        for session_id in session_ids:
            if session_id in self._left_out:
                if session_id not in problems:
                    self._left_out.discard(session_id)
                    self.copied += 1
            elif session_id in self._new:
                self._came(session_id, problems)
            elif session_id in self._stored and session_id not in problems:
                self.updated += 1
        self._next()

    def _came(self, session_id: str, problems: Container[str]) -> None:
        """A session that came to the source after it was walked through."""
        self.sessions += 1
        if session_id in problems:
            self._left_out.add(session_id)
        else:
            self.copied += 1

    def _next(self) -> None:
        self._stored.clear()
        self._new.clear()
