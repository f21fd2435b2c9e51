"""What is asked of a search, and what it answers."""

from __future__ import annotations

from datetime import datetime

import msgspec

from palaver.model import Message, Role

__all__ = ["CATCH_UP", "SearchHit", "SearchPage", "SearchQuery"]

CATCH_UP = 10_000
"""Messages that a search takes into the index before it answers, unless it is told otherwise: well under a second."""


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to look for, and where."""

    text: str
    """Words, `"phrases"` and `prefix*`; a message has to hold all of them. No text is an error."""
    owner: str | None = None
    """None: of all owners."""
    session_id: str | None = None
    platform: str | None = None
    """Where the session began, as `agent` and `account` too."""
    agent: str | None = None
    account: str | None = None
    tag: str | None = None
    """That the session has now."""
    role: Role | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Made before this instant."""
    limit: int = 20
    cursor: str | None = None
    """`next` of the page before."""
    include_hidden: bool = False
    """Also sessions that are hidden. One that `session_id` names is searched anyway."""
    catch_up: int = CATCH_UP
    """How many messages may be taken into the index first; 0: none."""


class SearchHit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that was found."""

    session_id: str
    owner: str | None = None
    title: str | None = None
    """Title of the session."""
    seq: int
    role: Role
    created_at: datetime
    snippet: str
    """Where in the message it was found: a stretch of its text on one line."""
    highlights: tuple[tuple[int, int], ...] = ()
    """What of the snippet was looked for: begin and end, in characters."""
    score: float = 0.0
    """The more often and the denser a message has the words, the higher. Scores of one search compare with each other
    only."""
    messages: tuple[Message, ...] = ()
    """With neighbours asked for: those before it, the message itself, and those after it."""


class SearchPage(list[SearchHit]):
    """Hits, the best first; `next` is the cursor of the page after, None where there is none.

    `behind`: how many changes of the store the index did not know when this was answered, so that something may be
    missing. While an index is built anew, messages that are still to come are counted too, roughly.
    """

    next: str | None = None
    behind: int = 0
