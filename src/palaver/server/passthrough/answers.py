"""Where an answer stands that a request goes on from by its name."""

from __future__ import annotations

from collections import OrderedDict

from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.errors import SessionNotFound
from palaver.server.problems import ProblemError, problem

__all__ = ["ANSWER", "Answers", "place_of_answer"]

ANSWER = "response_id"
"""In the metadata of an answer: what its API calls it."""
_PAGE = 500


class Answers:
    """Which session an answer was given in: of the newest ones that this process gave."""

    _MOST = 10_000

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, str] = OrderedDict()

    def note(self, name: str, session_id: str) -> None:
        """Remember an answer."""
        self._sessions[name] = session_id
        while len(self._sessions) > self._MOST:
            self._sessions.popitem(last=False)

    async def session_of(self, sessions: AsyncSessionManager, name: str) -> AsyncSession:
        """The session, where it is known and the caller's. Raises ProblemError."""
        found = self._sessions.get(name)
        if found is not None:
            try:
                return await sessions.get(found)
            except SessionNotFound:
                pass  # another owner's
        raise unknown(name, "say which session it is in, by the header Palaver-Session")


def unknown(name: str, remedy: str) -> ProblemError:
    """There is no such answer to go on from."""
    detail = f"Previous response with id '{name}' not found: {remedy}."
    return problem("previous-response-not-found", detail, path="previous_response_id")


async def place_of_answer(session: AsyncSession, name: str) -> int:
    """The position of an answer in its session, looked for from its end. Raises ProblemError."""
    before: int | None = None
    while True:
        try:
            page = await session.messages(before=before, limit=_PAGE, newest=True)
        except SessionNotFound:
            page = None
        seqs = [*(message.seq for message in page), *page.corrupt] if page is not None else []
        if not seqs:
            raise unknown(name, "its session does not have it, or not any more")
        for message in reversed(page or ()):
            if message.metadata.get(ANSWER) == name:
                return message.seq
        before = min(seqs)
