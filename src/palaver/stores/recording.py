"""What `Store.chunk` gives, made of rows. Shared by all stores, so that they cannot disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from palaver import codec, media
from palaver.errors import CorruptRecord
from palaver.media import Blob
from palaver.records import Chunk, MessageRecord
from palaver.rows import MEDIA, SessionRow, StoredMessage, TodoRow, TurnRow, VersionRow

__all__ = ["MAX_BYTES", "addresses_of", "chunk_of", "fitting", "ids_of", "portable", "portable_todo", "size_of"]

MAX_BYTES = 4 * 1024 * 1024
"""A chunk ends with the message that brings its bodies over this, or its content."""


def portable(row: SessionRow) -> SessionRow:
    """A session's row without what only its own store can say."""
    return msgspec.structs.replace(row, number=0, stored_at=0, guarded_until=0)


def portable_todo(todo: TodoRow | None) -> TodoRow | None:
    """A to-do without its claim: the worker who has it works for the store that it is in."""
    if todo is None:
        return None
    claimed = todo.state == "claimed"
    return msgspec.structs.replace(
        todo,
        session=0,
        state="waiting" if claimed else todo.state,
        token="",
        holder=None,
        until=0 if claimed else todo.until,
    )


def fitting(rows: Sequence[StoredMessage]) -> Sequence[StoredMessage]:
    """The first of these messages that make a chunk."""
    size = 0
    for place, row in enumerate(rows, 1):
        size += size_of(row)
        if size >= MAX_BYTES:
            return rows[:place]
    return rows


def size_of(row: StoredMessage) -> int:
    """Bytes of a message and of the content that it refers to."""
    size = len(row.body)
    if row.kind & MEDIA:
        size += sum(media.length_of(address) for address in _addresses(row.body))
    return size


def chunk_of(
    rows: Sequence[StoredMessage],
    *,
    after: int,
    through: int,
    holders_of: Callable[[Sequence[str]], Mapping[str, int | None]],
    versions: Mapping[int, tuple[VersionRow, ...]],
    turns: Iterable[TurnRow],
    blob: Callable[[str], bytes | None] | None,
    unread: Sequence[str] = (),
) -> Chunk:
    """A chunk of these messages. `holders_of` tells at which positions the messages are that ids name."""
    messages: list[MessageRecord] = []
    found: dict[str, bytes] = {}
    ids = [_id(row.body) for row in rows]
    holders = holders_of([each for each in ids if each is not None])
    for row, said in zip(rows, ids, strict=True):
        message_id = said if said is not None and holders.get(said) == row.seq else None
        earlier = versions.get(row.seq, ())
        messages.append(MessageRecord(row=row, id=message_id, versions=earlier))
        if blob is None:
            continue
        for kind, body in ((row.kind, row.body), *((v.kind, v.body) for v in earlier)):
            for address in _addresses(body) if kind & MEDIA else ():
                data = blob(address) if address not in found else None
                if data is not None and media.address_of(data) == address:
                    found[address] = data
    return Chunk(
        from_seq=after + 1,
        through_seq=through,
        messages=tuple(messages),
        turns=tuple(turns),
        blobs=tuple(Blob(address, data) for address, data in found.items()),
        unread=tuple(unread),
    )


def ids_of(rows: Sequence[StoredMessage]) -> list[str]:
    """What callers called these messages."""
    return [said for row in rows if (said := _id(row.body)) is not None]


def addresses_of(rows: Sequence[StoredMessage], versions: Mapping[int, tuple[VersionRow, ...]]) -> list[str]:
    """The content that these messages and their versions refer to, each once."""
    found: dict[str, None] = {}
    for row in rows:
        for kind, body in ((row.kind, row.body), *((v.kind, v.body) for v in versions.get(row.seq, ()))):
            found.update(dict.fromkeys(_addresses(body) if kind & MEDIA else ()))
    return list(found)


def _id(body: bytes) -> str | None:
    try:
        return codec.decode(body).id
    except CorruptRecord:  # it is copied as it is; what it was called is lost
        return None


def _addresses(body: bytes) -> tuple[str, ...]:
    try:
        return tuple(media.addresses(codec.decode(body)))
    except CorruptRecord:
        return ()
