"""Taking over from another store what it knows of erasures, so that what was erased there is not taken in here."""

from __future__ import annotations

from palaver.erasure import Erasure
from palaver.errors import SessionConflict
from palaver.operations.base import Operation
from palaver.operations.ledger import Ledger

__all__ = ["TakeErasures"]


class TakeErasures(Operation, frozen=True, kw_only=True, tag="take_erasures"):
    """Keep the records and marks of erasures that were made in the store which this one is a copy of.

    Marks are hashes under the secret of their store, and cannot be made anew under another: raises SessionConflict
    where this store has a secret of its own already. One that was begun there and not finished is finished by whoever
    erases next. Doing it again does nothing. Returns how many records were new or other than they were.
    """

    secret: bytes
    marks: tuple[tuple[bytes, int], ...] = ()
    erasures: tuple[Erasure, ...] = ()

    def apply(self, ledger: Ledger) -> int:
        known = ledger.secret()
        if known is None:
            ledger.put_secret(self.secret)
        elif known != self.secret:
            msg = (
                "something was erased from this store by itself, and what it knows of that cannot be joined with what "
                "another store knows: copy into an empty store"
            )
            raise SessionConflict(msg)
        for mark, at in self.marks:
            ledger.put_erased(mark, at)
        changed = 0
        for each in self.erasures:
            if ledger.erasure(each.id) != each:
                ledger.put_erasure(each)
                changed += 1
        return changed
