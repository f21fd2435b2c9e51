"""Taking a session over from another store, as it was there: in chunks, and then the rest at once.

Both say what shall be, and not what to change: doing one again does nothing, and a later one brings what is new. A
session that was changed here since its import is left alone.
"""

from __future__ import annotations

import msgspec

from palaver import codec, media
from palaver.erasure import mark
from palaver.errors import ContentErased, CorruptRecord, SessionConflict
from palaver.operations.base import Operation, refuse_erased, require_text
from palaver.operations.ledger import Ledger
from palaver.operations.ranges import without
from palaver.operations.removal import NOTHING_LEFT, PURGED, PURGING
from palaver.operations.titles import free_title
from palaver.records import Chunk, ImportMark, KeyRecord, MessageRecord, SessionRecord
from palaver.rows import MEDIA, Binding, ChangeKind, Head, SessionRow
from palaver.titles import lineage

__all__ = ["Import", "Settle", "Settled"]

_LOOKED = 10_000
"""A gap that is longer is purged without looking whether there is anything in it."""


class Import(Operation, frozen=True, kw_only=True, tag="import"):
    """Make the positions of a chunk what they are in the store that they come from.

    The first one makes the session, hidden until `Settle`. Chunks come in order, without gaps. Returns how many
    messages were new. Content that is neither brought along nor this owner's already stays missing. Raises
    SessionConflict where a session with this id was not imported, or was changed since it was; ContentErased where it,
    or one of the messages, was erased from this store.
    """

    row: SessionRow
    """The session, as its record has it."""
    chunk: Chunk

    def apply(self, ledger: Ledger) -> int:
        row = _opened(ledger, self.row, self.at, empty=not self.chunk.messages)
        number, chunk = row.number, self.chunk
        head = ledger.head(number)
        brought = {blob.address: blob.data for blob in chunk.blobs}
        new, changed = _put_messages(ledger, row, head, chunk, brought)
        for turn in chunk.turns:
            ledger.put_turn(msgspec.structs.replace(turn, session=number))
        through = max(head.last_seq, chunk.through_seq)
        newest = chunk.messages[-1].row if chunk.messages else None
        if through > head.last_seq:
            user_seq = newest.seq - newest.back if newest is not None and newest.back >= 0 else head.user_seq
            active = max(head.last_active, newest.at if newest is not None else 0)
            ledger.put_head(number, Head(through, head.message_count + new, active, user_seq))
            if new:
                ledger.add_change(number, row.rev, ChangeKind.APPENDED, head.last_seq + 1, through)
            changed = True
        if changed:
            ledger.put_import(number, ImportMark(through, row.rev))
        return new


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What was new, and what of a record could not be had, because it is another session's here."""

    session_id: str
    title: str | None = None
    """The title that it got instead of its own."""
    keys: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    new: int = 0
    """How many messages of its chunk were new, as `Import` tells."""


class Settle(Operation, frozen=True, kw_only=True, tag="settle"):
    """Give an imported session what it has beside its messages; from now on it is what it was where it comes from.

    A key, alias or title that another session has stays that session's, unless that was imported too and had the key
    for a shorter time. Of one that was purged or erased there nothing stays here. Raises SessionConflict where the
    session was changed since its last chunk.
    """

    record: SessionRecord
    chunk: Chunk | None = None
    """The last chunk, or the only one, in the same operation: both are taken, or neither."""
    guarded_until: int = 0
    """Until then (microseconds) what comes is held against what was erased, if its own store says so."""

    def apply(self, ledger: Ledger) -> Settled:
        record = self.record
        new = 0 if self.chunk is None else Import(at=self.at, row=record.row, chunk=self.chunk).apply(ledger)
        was = _opened(ledger, record.row, self.at, empty=True)
        number, owner = was.number, was.owner
        before = ledger.import_mark(number)
        title = record.row.title
        if record.row.deleted_at is None:
            title = _title(ledger, was, title)
        had = was.title if was.deleted_at is None else None
        has = title if record.row.deleted_at is None else None  # a deleted session keeps its title from nobody
        if has != had:
            ledger.put_title(owner, had, has, number)
        if _is_gone(record.row) and not _is_gone(was):
            ledger.purge_records(number)
            owner = record.row.owner  # of an erased owner a pseudonym is left
        row = msgspec.structs.replace(
            record.row,
            number=number,
            owner=owner,
            title=title,
            stored_at=was.stored_at,
            guarded_until=max(was.guarded_until, self.guarded_until),
        )
        ledger.put_session(row)
        ledger.put_head(number, record.head)
        for message_id, seq in record.purged_ids:
            ledger.put_message_id(number, message_id, seq)
        ledger.put_cuts(number, record.cuts)
        ledger.put_compactions(number, record.compactions)
        ledger.put_queued(number, record.queued)
        todo = ledger.todo(number)
        if record.todo is not None and (todo is None or not todo.token):  # else somebody works, or worked, on it here
            ledger.put_todo(msgspec.structs.replace(record.todo, session=number))
        changed = before is None or not before.settled or was != row
        for used in (msgspec.structs.replace(each, session=number) for each in record.usage):
            if ledger.usage(number, used.day, used.model) != used:
                changed = True
                ledger.put_usage(used)
        taken = _put_aliases(ledger, number, owner, record.aliases)
        lost = _put_keys(ledger, number, owner, record.keys)
        settled = ImportMark(record.head.last_seq, row.rev, settled=True)
        if changed:
            ledger.add_change(number, row.rev, ChangeKind.IMPORTED, 1, record.head.last_seq)
        ledger.put_import(number, settled)
        return Settled(row.id, title if title != record.row.title else None, lost, taken, new)


def _is_gone(row: SessionRow) -> bool:
    """Whether nothing is left of a session but its numbers, or soon will be."""
    return row.end_reason == PURGING or row.end_reason in NOTHING_LEFT


def _opened(ledger: Ledger, given: SessionRow, at: int, *, empty: bool) -> SessionRow:
    """The session to write to, made where there is none. `empty`: nothing that was said is brought."""
    row = ledger.find(given.id)
    if ledger.erased_at(mark("session", given.id)) is not None and not (empty and _is_gone(given)):
        msg = f"session {given.id!r} was erased from this store: it is not taken in again"
        raise ContentErased(msg)
    if row is None:
        for text, what in ((given.id, "session id"), (given.owner, "owner"), (given.title, "title")):
            require_text(text, what)
        made = SessionRow(
            id=given.id,
            owner=given.owner,
            created_at=given.created_at,
            stored_at=at,
            explicit=True,
            hidden=True,
            parent=given.parent,
            parent_kind=given.parent_kind,
            reset_reason=given.reset_reason,
            origin=given.origin,  # whose it is has to be known from the first message on: an erasure may come between
        )
        row = ledger.add_session(made, Head(last_active=given.created_at))
        ledger.put_import(row.number, ImportMark(0, 0))
        ledger.add_change(row.number, row.rev, ChangeKind.CREATED)
        return row
    marked = ledger.import_mark(row.number)
    now = ledger.head(row.number).last_seq, row.rev
    as_imported = marked is not None and now == (marked.last_seq, marked.rev)
    if not as_imported and row.end_reason in (PURGED, PURGING):
        msg = (
            f"session {row.id!r} was purged here, and its number is never given out again: import into another store, "
            "or leave it out"
        )
        raise SessionConflict(msg)
    # Who erased an owner there left a pseudonym: it is the same session all the same.
    if not as_imported or (row.owner != given.owner and not _is_gone(given)):
        why = "was changed here since it was imported" if marked is not None else "was not imported"
        msg = f"session {row.id!r} is here already and {why}: import or copy it into another store"
        raise SessionConflict(msg, expected=marked and (marked.last_seq, marked.rev), actual=now)
    return row


def _put_messages(
    ledger: Ledger, row: SessionRow, head: Head, chunk: Chunk, brought: dict[str, bytes]
) -> tuple[int, bool]:
    """How many messages were new, and whether anything is other than it was."""
    number = row.number
    new, changed = 0, False
    for message in chunk.messages:
        stored = message.row
        known = ledger.message(number, stored.seq) if stored.seq <= head.last_seq else None
        if known is None:
            refuse_erased(ledger, stored.body, message.id, stored.at)
            ledger.add_message(number, stored)
            new += 1
        elif known != stored:
            changed = True
            ledger.rewrite_message(number, stored)
            ledger.add_change(number, row.rev, ChangeKind.EDITED, stored.seq, stored.seq)
        if message.versions and ledger.versions(number, stored.seq) != message.versions:
            changed = True
            ledger.put_versions(number, stored.seq, message.versions)
        if message.id is not None:
            ledger.put_message_id(number, message.id, stored.seq)
        _put_media(ledger, row, message, brought)
    if chunk.from_seq <= head.last_seq and _purge_missing(ledger, row, head, chunk):
        changed = True
    return new, changed or new > 0


def _purge_missing(ledger: Ledger, row: SessionRow, head: Head, chunk: Chunk) -> bool:
    """Remove what is no longer where the session comes from; says whether there was anything."""
    found = False
    there = [(message.row.seq, message.row.seq) for message in chunk.messages]
    for low, high in without(there, chunk.from_seq, min(chunk.through_seq, head.last_seq)):
        if high - low > _LOOKED or any(ledger.message(row.number, seq) is not None for seq in range(low, high + 1)):
            ledger.purge_messages(row.number, low, high)
            ledger.add_change(row.number, row.rev, ChangeKind.PURGED, low, high)
            found = True
    return found


def _put_media(ledger: Ledger, row: SessionRow, message: MessageRecord, brought: dict[str, bytes]) -> None:
    bodies = [(message.row.kind, message.row.body), *((v.kind, v.body) for v in message.versions)]
    for kind, body in bodies:
        if not kind & MEDIA:
            continue
        try:
            addresses = media.addresses(codec.decode(body))
        except CorruptRecord:  # taken over as it is; the doctor names it
            continue
        for address in addresses:
            data = brought.get(address)
            if data is not None or ledger.has_media(row.owner, address):
                ledger.add_media(row.number, message.row.seq, address, data)


def _title(ledger: Ledger, row: SessionRow, title: str | None) -> str | None:
    """The title that the session has where it comes from, or the next number of it that is free; the same each time."""
    if title is None or ledger.titled(row.owner, title) in {None, row.number}:
        return title
    mine = row.title is not None and ledger.titled(row.owner, row.title) == row.number
    if row.title is not None and mine and lineage(row.title)[0] == lineage(title)[0]:  # of an earlier import
        return row.title
    return free_title(ledger, row.owner, title, numbered=True, number=row.number)


def _put_aliases(ledger: Ledger, number: int, owner: str, aliases: tuple[str, ...]) -> tuple[str, ...]:
    taken: list[str] = []
    for alias in aliases:
        if ledger.alias(owner, alias) in (None, number):
            ledger.put_alias(owner, alias, number)
        else:
            taken.append(alias)
    return tuple(taken)


def _put_keys(ledger: Ledger, number: int, owner: str, keys: tuple[KeyRecord, ...]) -> tuple[str, ...]:
    wanted = {(owner, each.key) for each in keys}
    for name in ledger.keys(number):
        if name not in wanted:
            ledger.drop_binding(*name)
    taken: list[str] = []
    for each in keys:
        bound = ledger.binding(owner, each.key)
        if bound is not None and bound.session != number:
            marked = ledger.import_mark(bound.session)
            if marked is None or bound.since >= each.since:
                taken.append(each.key)
                continue
        before = ledger.find(each.previous) if each.previous is not None else None
        previous = before.number if before is not None else 0
        ledger.put_binding(owner, each.key, Binding(number, previous, each.since))
    return tuple(taken)
