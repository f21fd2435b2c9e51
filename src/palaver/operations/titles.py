"""What titles require: each is of one session of an owner, and a generated one never replaces the user's own."""

from __future__ import annotations

from typing import Literal, TypeAlias

from palaver import titles
from palaver.errors import InvalidKey, SessionConflict
from palaver.operations.base import require_text
from palaver.operations.ledger import Ledger
from palaver.rows import SessionRow

__all__ = ["TitleSource", "free_title", "is_own", "retitle"]

TitleSource: TypeAlias = Literal["user", "generated"]


def is_own(row: SessionRow) -> bool:
    """Whether a session has a title that was not generated."""
    return row.title is not None and row.title_source != "generated"


def free_title(ledger: Ledger, owner: str, title: str, *, numbered: bool, number: int = 0) -> str:
    """The title, if no session of the owner but `number` has it; else, where `numbered`, with the next free number.

    Raises SessionConflict, whose `actual` is the session that has the title, and whose message the next that is free.
    """
    require_text(title, "title")

    def taken(wanted: str) -> bool:
        return ledger.titled(owner, wanted) not in {None, number}

    known = ledger.titled(owner, title)
    if known is None or known == number:
        return title
    try:
        free = titles.next_free(title, taken)
    except ValueError as exc:
        raise InvalidKey(str(exc)) from exc
    if numbered:
        return free
    actual = ledger.session(known).id
    msg = f"title {title!r} is that of session {actual!r} already: choose another, such as {free!r}, which is free"
    raise SessionConflict(msg, expected=None, actual=actual)


def retitle(ledger: Ledger, row: SessionRow, title: str | None, *, numbered: bool = False) -> str | None:
    """Give up the session's title for another, or none; gives the one it has now. The caller stores the row."""
    if title is not None:
        had = row.title
        same = had is not None and titles.lineage(had)[0] == titles.lineage(title)[0]
        if numbered and same and ledger.titled(row.owner, title) not in {None, row.number}:
            title = had or title  # it has a number of this title already
        title = free_title(ledger, row.owner, title, numbered=numbered, number=row.number)
    ledger.put_title(row.owner, row.title, title, row.number)
    return title
