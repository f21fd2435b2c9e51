"""Operations that erase: in small steps, each of which leaves the store sound, under a record of what is under way.

    BeginErasure -> for each session EraseSession, EraseMessages*, ClearErased, or EraseMessages* and EraseTraces
                 -> for copies EraseMessages(copies=True), for carried summaries EraseSummaries
                 -> FinishErasure -> (the store scrubs its files) -> Scrubbed

EraseMessages is in `palaver.operations.message_erasure`. All of them may be done again: what is gone stays gone, and
counts nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from palaver.erasure import Again, Erasure, Owner, Person, Target, mark, pseudonym
from palaver.errors import SessionConflict, SessionNotFound
from palaver.operations.base import Operation, bump, close_turn
from palaver.operations.erasure_records import NOTHING_LEFT, count, drop_summaries, erasure_record
from palaver.operations.ledger import Ledger
from palaver.operations.ranges import cut_range
from palaver.rows import ERASED, ChangeKind, SessionRow

__all__ = [
    "BeginErasure",
    "ClearErased",
    "EraseSession",
    "EraseSummaries",
    "EraseTraces",
    "FinishErasure",
    "Scrubbed",
]


class BeginErasure(Operation, frozen=True, kw_only=True, tag="begin_erasure"):
    """Put on record what is to be erased, so that it is gone on with after a crash. Returns the record."""

    erasure_id: str
    target: Target
    scope: str | None = None
    """The only owner whose sessions it may touch."""
    secret: bytes
    """What marks are keyed with from now on, where the store has nothing yet."""

    def apply(self, ledger: Ledger) -> Erasure:
        known = ledger.erasure(self.erasure_id)
        if known is not None:
            return known
        if ledger.secret() is None:
            ledger.put_secret(self.secret)
        if isinstance(self.target, Owner):
            ledger.add_erased(mark("owner", self.target.owner), self.at)
        elif isinstance(self.target, Person):
            for each in self.target.ids:
                ledger.add_erased(mark("user", self.target.platform, each), self.at)
        row = Erasure(id=self.erasure_id, began_at=self.at, target=self.target, scope=self.scope)
        ledger.put_erasure(row)
        return row


class EraseSession(Operation, frozen=True, kw_only=True, tag="erase_session"):
    """Take a session away at once and for good: nobody finds, restores or writes to it from now on.

    Its names, keys and texts go now, its messages by EraseMessages. Of its owner, where that one is erased, a
    pseudonym is left, so that what was used still adds up. Returns its last position.
    """

    erasure_id: str
    session_id: str

    def apply(self, ledger: Ledger) -> int:
        record = erasure_record(ledger, self.erasure_id)
        row = ledger.find(self.session_id)
        if row is None:
            msg = f"no session {self.session_id!r}: check the id"
            raise SessionNotFound(msg)
        number, last = row.number, ledger.head(row.number).last_seq
        if row.end_reason == NOTHING_LEFT:
            return last
        turn = ledger.last_turn(number)
        if turn is not None and turn.state == "running":
            close_turn(ledger, turn, "interrupted", self.at, reason="the session was erased")
            ledger.add_change(number, row.rev, ChangeKind.TURN_INTERRUPTED)
        purged = row.end_reason == "purged"
        names, keys = ledger.aliases(number), ledger.keys(number)
        ledger.add_erased(mark("session", row.id), self.at)
        for _, alias in names:
            ledger.add_erased(mark("alias", alias), self.at)
        for owner, key in keys:
            ledger.add_erased(mark("key", owner, key), self.at)
            ledger.drop_binding(owner, key)
        if last:
            row = cut_range(ledger, row, 1, last, ERASED)
        ledger.put_title(row.owner, row.title, None, number)
        secret = ledger.secret()
        whose = row.owner
        again = isinstance(record.target, Again) and ledger.erased_at(mark("owner", row.owner)) is not None
        if (again or isinstance(record.target, Owner)) and secret is not None:
            whose = pseudonym(secret, row.owner)
        row = bump(
            ledger,
            SessionRow(
                number=number,
                id=row.id,
                owner=whose,
                created_at=row.created_at,
                rev=row.rev,
                cut_count=row.cut_count,
                parent=row.parent,
                parent_kind=row.parent_kind,
                ended_at=self.at,
                end_reason=NOTHING_LEFT,
                deleted_at=self.at,
            ),
        )
        ledger.add_change(number, row.rev, ChangeKind.ERASED, 1 if last else 0, last)
        count(ledger, self.erasure_id, sessions=int(not purged), keys=len(keys), aliases=len(names))
        return last


class ClearErased(Operation, frozen=True, kw_only=True, tag="clear_erased"):
    """Remove what an erased session had beside its messages: ids, names, turns, summaries."""

    erasure_id: str
    session_id: str

    def apply(self, ledger: Ledger) -> None:
        row = ledger.find(self.session_id)
        if row is None or row.end_reason != NOTHING_LEFT:
            msg = f"session {self.session_id!r} was not erased"
            raise SessionConflict(msg)
        summaries = len(ledger.compactions(row.number))
        ledger.purge_records(row.number)
        count(ledger, self.erasure_id, summaries=summaries)


class EraseTraces(Operation, frozen=True, kw_only=True, tag="erase_traces"):
    """Take a person's names out of a session that others take part in: out of its origin, and keys of theirs."""

    erasure_id: str
    session_id: str
    person: Person
    keys: tuple[tuple[str, str], ...] = ()
    """Owner and key of those that are this person's alone."""

    def apply(self, ledger: Ledger) -> None:
        row = ledger.find(self.session_id)
        if row is None or row.end_reason == NOTHING_LEFT:
            return
        number = row.number
        dropped = 0
        for owner, key in self.keys:
            bound = ledger.binding(owner, key)
            if bound is not None and bound.session == number:
                ledger.add_erased(mark("key", owner, key), self.at)
                ledger.drop_binding(owner, key)
                dropped += 1
        changes: dict[str, Any] = {}
        if dropped and not ledger.keys(number) and row.ended_at is None:
            changes |= {"ended_at": self.at, "end_reason": "its last key was erased"}
        origin = _without_person(row.origin, self.person)
        if origin != row.origin:
            changes["origin"] = origin
        if changes or dropped:
            row = bump(ledger, row, **changes)
            ledger.add_change(number, row.rev, ChangeKind.ERASED)
            count(ledger, self.erasure_id, keys=dropped)


class EraseSummaries(Operation, frozen=True, kw_only=True, tag="erase_summaries"):
    """Remove every summary of a session: it began with one of a session of which something was erased."""

    erasure_id: str
    session_id: str

    def apply(self, ledger: Ledger) -> int:
        row = ledger.find(self.session_id)
        if row is None or row.end_reason == NOTHING_LEFT:
            return 0
        if not any(c.through_seq == 0 for c in ledger.compactions(row.number)):
            return 0
        return drop_summaries(ledger, row, self.erasure_id, 0)


class FinishErasure(Operation, frozen=True, kw_only=True, tag="finish_erasure"):
    """Everything is gone: forget whom it was about. Returns the record."""

    erasure_id: str

    def apply(self, ledger: Ledger) -> Erasure:
        row = erasure_record(ledger, self.erasure_id)
        if row.ended_at is None:
            row = msgspec.structs.replace(row, target=None, scope=None, ended_at=self.at)
            ledger.put_erasure(row)
        return row


class Scrubbed(Operation, frozen=True, kw_only=True, tag="scrubbed"):
    """The store's files were cleaned: of all erasures that had ended nothing is left in them."""

    erasure_ids: tuple[str, ...]

    def apply(self, ledger: Ledger) -> None:
        for each in self.erasure_ids:
            ledger.put_erasure(msgspec.structs.replace(erasure_record(ledger, each), scrubbed_at=self.at))


def _without_person(origin: str | None, person: Person) -> str | None:
    """The origin of a shared session without who began it."""
    if origin is None:
        return None
    fields: dict[str, Any] = msgspec.json.decode(origin)
    if fields.get("platform") != person.platform:
        return origin
    if not {fields.get("user_id"), fields.get("user_id_alt")} & {*person.ids}:
        return origin
    for name in ("user_id", "user_id_alt", "user_name"):
        fields.pop(name, None)
    return msgspec.json.encode(fields).decode()
