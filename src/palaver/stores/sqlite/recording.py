"""A session of the SQLite store as a record that any store can take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from palaver.records import Chunk, KeyRecord, SessionRecord
from palaver.rows import Head, SessionRow, StoredMessage, TurnRow, VersionRow
from palaver.stores.recording import chunk_of, fitting, portable, portable_todo
from palaver.stores.sqlite.fields import bad_turn, legible_turn
from palaver.stores.sqlite.rows import LAST, compaction_row, cut_row, todo_row, usage_row
from palaver.stores.statements import Row, Statements

__all__ = ["chunk", "record"]


def record(sql: Statements, session: SessionRow, head: Head) -> SessionRecord:
    """All of a session but its messages and turns."""
    number = session.number
    base = number << 32
    todo = sql.one("todo", (number,))
    keys = sql.all("record_keys", (number,))
    return SessionRecord(
        row=portable(session),
        head=head,
        keys=tuple(KeyRecord(owner=k[0], key=k[1], since=k[2], previous=k[3]) for k in keys),
        aliases=tuple(row[0] for row in sql.all("record_aliases", (number,))),
        cuts=tuple(cut_row(row) for row in sql.all("cuts", (number,))),
        compactions=tuple(compaction_row(row) for row in sql.all("compactions", (number,))),
        queued=tuple(row[0] for row in sql.all("queue", (base, base | LAST))),
        usage=tuple(usage_row(0, row) for row in sql.all("usage_of_session", (number,))),
        purged_ids=tuple((row[0], row[1]) for row in sql.all("record_purged_ids", {"number": number})),
        todo=portable_todo(todo_row(todo)) if todo is not None else None,
    )


def chunk(
    sql: Statements,
    session: SessionRow,
    head: Head,
    holders_of: Callable[[Sequence[str]], Mapping[str, int | None]],
    *,
    after: int,
    limit: int,
    media: bool,
    unreadable: tuple[type[Exception], ...],
) -> Chunk:
    """Messages after a position, as they are stored. `holders_of`: see `chunk_of`.

    Of one message alone all is given that can be read: errors of the `unreadable` kinds, by which the driver says
    that the file is damaged, are then its `unread`.
    """
    base = session.number << 32
    read = sql.all("oldest_messages", (base | (after + 1), base | LAST, limit)) if after < LAST else []
    found = [StoredMessage(row[0] & LAST, *row[1:]) for row in read]
    rows = fitting(found)
    whole = len(rows) == len(found) and len(found) < limit
    through = head.last_seq if whole else rows[-1].seq
    span = (base | (after + 1), base | max(through, after + 1))
    unread: list[str] = []

    def rows_of(name: str, what: str, *values: Any) -> list[Row]:
        try:
            return sql.all(name, (*values, *span))
        except unreadable:
            if limit > 1:
                raise
            unread.append(f"{what} at seq {after + 1}")
            return []

    versions: dict[int, tuple[VersionRow, ...]] = {}
    for seq, *version in rows_of("record_versions", "what was said before edits"):
        versions[seq] = (*versions.get(seq, ()), VersionRow(*version))
    turns: list[TurnRow] = []
    for row in rows_of("record_turns", "a turn"):
        turn = legible_turn(row)
        turns.append(msgspec.structs.replace(turn, session=0))
        unread += [f"the {name} of the turn at seq {turn.first_seq}" for name in bad_turn(row)]

    def blob(address: str) -> bytes | None:
        found = rows_of("blob", "content", address)
        return found[0][0] if found else None

    return chunk_of(
        rows,
        after=after,
        through=through,
        holders_of=holders_of,
        versions=versions,
        turns=turns,
        blob=blob if media else None,
        unread=unread,
    )
