"""Further names of sessions."""

from __future__ import annotations

from palaver.errors import SessionConflict
from palaver.operations.base import Operation, bump, open_session, require_text
from palaver.operations.ledger import Ledger
from palaver.rows import ChangeKind, SessionRow

__all__ = ["Alias"]


class Alias(Operation, frozen=True, kw_only=True, tag="alias"):
    """Give a session one more name, by which it is found as by its id. Nothing happens if it has that name.

    A name that another session of the owner has is a SessionConflict, whose `actual` is that session's id.
    """

    owner: str | None = None
    session_id: str
    alias: str

    def apply(self, ledger: Ledger) -> SessionRow:
        row = open_session(ledger, self.session_id, self.owner)
        require_text(self.alias, "alias")
        known = ledger.alias(row.owner, self.alias)
        if known == row.number:
            return row
        if known is not None:
            actual = ledger.session(known).id
            msg = f"alias {self.alias!r} names session {actual!r} already: choose another, or get that session"
            raise SessionConflict(msg, expected=None, actual=actual)
        ledger.put_alias(row.owner, self.alias, row.number)
        row = bump(ledger, row)
        ledger.add_change(row.number, row.rev, ChangeKind.INFO)
        return row
