"""A transcript from the store, in pieces: memory does not grow with its length, and no snapshot stays open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import msgspec

from palaver import codec
from palaver.errors import CorruptRecord, MediaNotFound, StoreUnavailable
from palaver.exporters.entries import Damage, Entry, Item, Unreadable
from palaver.info import SessionInfo
from palaver.manager import SessionManager
from palaver.media import addresses
from palaver.model import Message
from palaver.operations.ranges import merged
from palaver.reach import core_of
from palaver.records import MessageRecord, SessionRecord
from palaver.rows import TurnRow, VersionRow
from palaver.session import Session
from palaver.stores import views
from palaver.stores.sqlite.salvage import is_damage
from palaver.times import from_micros

__all__ = ["entry_of", "info_of", "read", "read_whole", "record_of"]

T = TypeVar("T")

_EPOCH = from_micros(0)

PIECE = 200
"""Messages in one read."""


def record_of(manager: SessionManager, session_id: str) -> SessionRecord:
    """All of a session but its messages and turns. Raises SessionNotFound."""
    core = core_of(manager)
    return core.store.record(session_id, core.owner)


def info_of(record: SessionRecord, info: SessionInfo) -> SessionInfo:
    """What `info` says, as it was when the record was read."""
    found = views.info(
        record.row,
        record.head,
        _EPOCH,
        keys=tuple(each.key for each in record.keys),
        aliases=record.aliases,
        usage=views.usage_total(record.usage),
    )
    return msgspec.structs.replace(found, holds=info.holds, turn_running=info.turn_running)


def read(
    manager: SessionManager,
    info: SessionInfo,
    *,
    everything: bool = True,
    media: bool = True,
    seen: set[str] | None = None,
) -> Iterator[Item]:
    """The messages of a session through `info.last_seq`, in order; what comes meanwhile is not among them.

    `everything`: also what is live no more, and what messages said before they were edited. `media`: also the content
    that messages refer to; with `seen`, each address once, and those that it holds already not at all. Each piece is
    as it was when it was read. Positions that stand where the store's file is damaged are `Unreadable`.
    Raises SessionNotFound where the session is gone, also half-way.
    """
    if everything:
        record = record_of(manager, info.id)
        whole = read_whole(manager, record, through=info.last_seq, media=media, seen=seen)
        return (item for item in whole if not isinstance(item, TurnRow | Damage))
    return _read_live(manager, info, media=media, seen=seen)


def read_whole(
    manager: SessionManager,
    record: SessionRecord,
    *,
    through: int | None = None,
    media: bool = True,
    seen: set[str] | None = None,
) -> Iterator[Item | TurnRow | Damage]:
    """As `read` of everything, and each turn before the message that it begins with. `record`: says what is live."""
    core = core_of(manager)
    dead = merged(record.cuts)
    last = record.head.last_seq if through is None else through
    after = 0
    while after < last:
        chunk = _past_damage(partial(core.store.chunk, record.row.id, core.owner, after=after, media=media))
        if chunk is None:
            after += 1
            yield Unreadable(seq=after)
            continue
        yield from (Damage(seq=chunk.from_seq, what=what) for what in chunk.unread)
        content = {blob.address: blob.data for blob in chunk.blobs}
        turns = [turn for turn in chunk.turns if turn.first_seq <= last]
        for message in chunk.messages:
            if message.row.seq > last:
                break
            while turns and turns[0].first_seq <= message.row.seq:
                yield turns.pop(0)
            yield entry_of(message, dead, content if media else None, seen)
        yield from turns
        after = chunk.through_seq


def entry_of(
    message: MessageRecord,
    dead: list[tuple[int, int]],
    content: dict[str, bytes] | None = None,
    seen: set[str] | None = None,
) -> Item:
    """A stored message as an exporter takes it. `dead` are ranges that are live no more; `content` is by address."""
    row = message.row
    try:
        restored = codec.restore(row.seq, row.kind, row.at, row.body)
    except CorruptRecord:
        return Unreadable(seq=row.seq)
    versions = [(version, _version(row.seq, row.at, version)) for version in message.versions]
    readable = [(version, found) for version, found in versions if found is not None]
    wanted = _addresses([restored, *(found for _, found in readable)], seen) if content is not None else ()
    held = content or {}
    found = {address: held[address] for address in wanted if address in held}
    if seen is not None:
        seen.update(found)
    return Entry(
        message=restored,
        live=not any(low <= row.seq <= high for low, high in dead),
        versions=tuple(found for _, found in readable),
        lost_versions=len(versions) - len(readable),
        media=found,
        missing=tuple(address for address in wanted if address not in held),
        user_seq=row.seq - row.back if row.back >= 0 else 0,
        turn_seq=row.seq - row.turn + 1 if row.turn else 0,
        named=restored.id is None or message.id is not None,
        edits=tuple((version.version, version.edited_at) for version, _ in readable),
    )


def _version(seq: int, at: int, version: VersionRow) -> Message | None:
    try:
        return codec.restore(seq, version.kind, at, version.body)
    except CorruptRecord:
        return None


def _read_live(manager: SessionManager, info: SessionInfo, *, media: bool, seen: set[str] | None) -> Iterator[Item]:
    session = manager.get(info.id)
    after = 0
    while after < info.last_seq:
        page = _past_damage(partial(session.messages, after=after, before=info.last_seq + 1))
        if page is None:
            after += 1
            yield Unreadable(seq=after)
            continue
        places = [message.seq for message in page] + list(page.corrupt)
        if not places:
            return
        items: list[Message | int] = sorted([*page, *page.corrupt], key=_place)
        for item in items:
            if isinstance(item, int):
                yield Unreadable(seq=item)
                continue
            content, missing = _content(session, item, seen) if media else ({}, ())
            yield Entry(message=item, media=content, missing=missing)
        after = max(places)


def _past_damage(reading: Callable[..., T]) -> T | None:
    """The next piece, or the next message alone where the store's file is damaged; None where that one is."""
    for limit in (PIECE, 1):
        try:
            return reading(limit=limit)
        except StoreUnavailable as error:
            if not is_damage(error):
                raise
    return None


def _place(item: Message | int) -> int:
    return item if isinstance(item, int) else item.seq


def _content(session: Session, message: Message, seen: set[str] | None) -> tuple[dict[str, bytes], tuple[str, ...]]:
    content: dict[str, bytes] = {}
    missing: list[str] = []
    for address in _addresses([message], seen):
        try:
            content[address] = session.media(address)
        except MediaNotFound:
            missing.append(address)
            continue
        except StoreUnavailable as error:
            if not is_damage(error):
                raise
            missing.append(address)
            continue
        if seen is not None:
            seen.add(address)
    return content, tuple(missing)


def _addresses(messages: Iterable[Message], seen: set[str] | None) -> tuple[str, ...]:
    """Where the content is that was not met yet, each address once."""
    found = dict.fromkeys(address for message in messages for address in addresses(message))
    return tuple(address for address in found if seen is None or address not in seen)
