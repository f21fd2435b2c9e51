"""Sessions of a store that keeps rows as records that any store can take.

What has to be read of several sessions is asked for together: where the rows are on a server, in one round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from palaver.records import Chunk, KeyRecord, SessionRecord
from palaver.rows import Head, SessionRow, StoredMessage, VersionRow
from palaver.stores.recording import (
    MAX_BYTES,
    addresses_of,
    chunk_of,
    fitting,
    ids_of,
    portable,
    portable_todo,
    size_of,
)
from palaver.stores.sqlite.fields import bad_turn, legible_turn
from palaver.stores.sqlite.rows import LAST, compaction_row, cut_row, todo_row, usage_row
from palaver.stores.statements import Ask, Row

__all__ = ["Asking", "Wanted", "chunks", "records"]

_LOST = {"record_versions": "what was said before edits", "record_turns": "a turn", "blob": "content"}
"""What statements give that a message can do without."""


class Asking(Protocol):
    """What records are read from."""

    unreadable: tuple[type[Exception], ...]
    """By which the driver says that the file is damaged."""

    def together(self, asks: Sequence[Ask]) -> list[list[Row]]:
        """The rows that each statement gives."""
        ...

    def holders_asks(self, number: int, ids: Sequence[str]) -> list[Ask]:
        """What to ask to know which of a session's messages these ids name now."""
        ...

    def holders(self, ids: Sequence[str], answers: Sequence[list[Row]]) -> dict[str, int | None]:
        """The positions that were answered."""
        ...


class Wanted(NamedTuple):
    """Messages that are wanted of a session: those after a position."""

    session: SessionRow
    head: Head
    after: int


def records(asking: Asking, sessions: Sequence[tuple[SessionRow, Head]]) -> list[SessionRecord]:
    """All of each session but its messages and turns."""
    asks = [_record_asks(session.number) for session, _ in sessions]
    answers = iter(asking.together([ask for each in asks for ask in each]))
    return [
        _record(session, head, [next(answers) for _ in each])
        for (session, head), each in zip(sessions, asks, strict=True)
    ]


def _record_asks(number: int) -> list[Ask]:
    one, base = (number,), number << 32
    return [
        ("todo", one),
        ("record_keys", one),
        ("record_aliases", one),
        ("cuts", one),
        ("compactions", one),
        ("queue", (base, base | LAST)),
        ("usage_of_session", one),
        ("record_purged_ids", {"number": number}),
    ]


def _record(session: SessionRow, head: Head, answers: Sequence[list[Row]]) -> SessionRecord:
    """What was asked for, in that order."""
    todos, keys, aliases, cuts, compactions, queued, usage, purged = answers
    return SessionRecord(
        row=portable(session),
        head=head,
        keys=tuple(KeyRecord(owner=k[0], key=k[1], since=k[2], previous=k[3]) for k in keys),
        aliases=tuple(row[0] for row in aliases),
        cuts=tuple(map(cut_row, cuts)),
        compactions=tuple(map(compaction_row, compactions)),
        queued=tuple(row[0] for row in queued),
        usage=tuple(usage_row(0, row) for row in usage),
        purged_ids=tuple((row[0], row[1]) for row in purged),
        todo=portable_todo(todo_row(todos[0])) if todos else None,
    )


class _Part:
    """Messages of a session that make a chunk, on the way to being one."""

    def __init__(self, wanted: Wanted, found: Sequence[StoredMessage], limit: int) -> None:
        self._after = after = wanted.after
        self._base = base = wanted.session.number << 32
        self._rows = rows = fitting(found)
        whole = len(rows) == len(found) and len(found) < limit
        self._through = wanted.head.last_seq if whole else rows[-1].seq
        self._span = (base | (after + 1), base | max(self._through, after + 1))
        self.size = sum(map(size_of, rows))
        self._ids = ids_of(rows)
        self._addresses: list[str] = []
        self._turns: list[Row] = []
        self._held: Sequence[list[Row]] = ()
        self._versions: dict[int, tuple[VersionRow, ...]] = {}

    def asks(self, asking: Asking) -> list[Ask]:
        """What belongs to the messages."""
        more = asking.holders_asks(self._base >> 32, self._ids) if self._ids else []
        return [("record_versions", self._span), ("record_turns", self._span), *more]

    def take(self, answers: Sequence[list[Row]], *, media: bool) -> list[Ask]:
        """What was asked for; asks for content, one after the other."""
        versions, self._turns, *self._held = answers
        for seq, *version in versions:
            self._versions[seq] = (*self._versions.get(seq, ()), VersionRow(*version))
        self._addresses = addresses_of(self._rows, self._versions) if media else []
        return [("blob", (address, *self._span)) for address in self._addresses]

    def chunk(self, asking: Asking, blobs: Sequence[list[Row]], *, media: bool, unread: Sequence[str]) -> Chunk:
        """What it came to, but for what was `unread`."""
        turns = [legible_turn(row) for row in self._turns]
        bad = [
            f"the {name} of the turn at seq {turn.first_seq}"
            for turn, row in zip(turns, self._turns, strict=True)
            for name in bad_turn(row)
        ]
        content = {address: rows[0][0] for address, rows in zip(self._addresses, blobs, strict=True) if rows}
        held = asking.holders(self._ids, self._held) if self._ids else {}
        return chunk_of(
            self._rows,
            after=self._after,
            through=self._through,
            holders_of=lambda _: held,
            versions=self._versions,
            turns=(msgspec.structs.replace(turn, session=0) for turn in turns),
            blob=content.get if media else None,
            unread=[*(f"{what} at seq {self._after + 1}" for what in unread), *bad],
        )


def chunks(asking: Asking, wanted: Sequence[Wanted], limit: int, *, media: bool) -> list[Chunk]:
    """A chunk of each session, as far as all of them together are no larger than one may be; of one at least.

    Of one message alone all is given that can be read, and its chunk says what cannot.
    """
    unread: list[str] | None = [] if limit == 1 and len(wanted) == 1 else None
    asks: list[list[Ask]] = []
    for session, _, after in wanted:
        base = session.number << 32
        span = (base | (after + 1), base | LAST, limit)
        asks.append([("oldest_messages", span)] if after < LAST else [])
    parts: list[_Part] = []
    size = 0
    for each, answers in zip(wanted, _answered(asking, asks), strict=True):
        found = [StoredMessage(row[0] & LAST, *row[1:]) for rows in answers for row in rows]
        parts.append(_Part(each, found, limit))
        size += parts[-1].size
        if size >= MAX_BYTES:
            break
    belonging = _answered(asking, [part.asks(asking) for part in parts], unread)
    content = [part.take(answers, media=media) for part, answers in zip(parts, belonging, strict=True)]
    blobs = _answered(asking, content, unread)
    return [part.chunk(asking, each, media=media, unread=unread or ()) for part, each in zip(parts, blobs, strict=True)]


def _answered(asking: Asking, asks: Sequence[Sequence[Ask]], unread: list[str] | None = None) -> list[list[list[Row]]]:
    """The answers to some questions about each session; what is lost when one cannot be read is added to `unread`."""
    flat = [ask for each in asks for ask in each]
    if unread is not None:
        answers = iter([_readable(asking, ask, unread) for ask in flat])
    else:
        answers = iter(asking.together(flat) if flat else ())
    return [[next(answers) for _ in each] for each in asks]


def _readable(asking: Asking, ask: Ask, unread: list[str]) -> list[Row]:
    try:
        return asking.together([ask])[0]
    except asking.unreadable:
        if ask[0] not in _LOST:
            raise
        unread.append(_LOST[ask[0]])
        return []
