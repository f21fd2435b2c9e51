"""A session's transcript, read as items: pages of them in either order, and the one that an id names."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from palaver.adapters.responses_items import WIRE, items_of, whole
from palaver.aio import AsyncSession
from palaver.formats import parse
from palaver.formats.openai_responses.kinds import kind_of
from palaver.formats.wire import is_array, is_object
from palaver.model import Message
from palaver.replay import replayable
from palaver.server.conversations.names import item_id, place_of

__all__ = ["Item", "Places", "find", "items_in", "read", "remove"]

KEPT = "conversation_items"
"""In the metadata of a message: which of the items that it came with are still there, by their first places."""
_STEP = 500


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item, and where it stands."""

    id: str
    seq: int
    index: int
    """Its place among the items that the message came with."""
    item: Any


class Places:
    """Where items stand that brought their ids along, as far as it was seen: a hint, which is looked at again."""

    _MOST = 10_000

    def __init__(self) -> None:
        self._seqs: OrderedDict[tuple[str, str], int] = OrderedDict()

    def note(self, session_id: str, items: list[Item]) -> None:
        """Remember where these stand."""
        for each in items:
            if place_of(session_id, each.id) is None:
                self._seqs[session_id, each.id] = each.seq
                self._seqs.move_to_end((session_id, each.id))
        while len(self._seqs) > self._MOST:
            self._seqs.popitem(last=False)

    def get(self, session_id: str, name: str) -> int | None:
        """The position of the message that an item was in."""
        return self._seqs.get((session_id, name))


def items_in(session_id: str, message: Message) -> list[Item]:
    """The items of a message, with their ids."""
    spelled = items_of(message)
    places: list[Any] = list(range(len(spelled)))
    kept = message.metadata.get(KEPT)
    if is_array(kept) and len(kept) == len(places):
        places = kept
    return [_item(session_id, message.seq, index, item) for index, item in zip(places, spelled, strict=True)]


def _item(session_id: str, seq: int, index: int, item: Any) -> Item:
    own = item.get("id") if is_object(item) else None
    kind = kind_of(item) if is_object(item) else ""
    name = own if isinstance(own, str) and own else item_id(session_id, kind, seq, index)
    return Item(id=name, seq=seq, index=index, item=item)


async def read(session: AsyncSession, *, after: Item | None, limit: int, newest: bool) -> list[Item]:
    """Up to `limit` items behind `after`, in order, or with `newest` in reverse order."""
    found: list[Item] = []
    if after is not None:  # the rest of its own message
        inside = await _at(session, after.seq)
        found = [each for each in inside if (each.index < after.index if newest else each.index > after.index)]
        if newest:
            found.reverse()
    edge = after.seq if after is not None else None
    while len(found) < limit:
        size = min(max(limit - len(found), 1), _STEP)
        if newest:
            page = await session.messages(before=edge, limit=size, newest=True)
        else:
            page = await session.messages(after=edge or 0, limit=size)
        seqs = [*(message.seq for message in page), *page.corrupt]
        if not seqs:
            break
        edge = min(seqs) if newest else max(seqs)
        items = await _items(session, list(page))
        found += reversed(items) if newest else items
    return found[:limit]


async def _at(session: AsyncSession, seq: int) -> list[Item]:
    return await _items(session, list(await session.messages(after=seq - 1, before=seq + 1, limit=1)))


async def _items(session: AsyncSession, messages: list[Message]) -> list[Item]:
    shown = await whole(session, [message for message in messages if replayable(message)])
    return [item for message in shown for item in items_in(session.id, message)]


async def find(session: AsyncSession, name: str, places: Places) -> Item | None:
    """The item with this id; None: there is none.

    One read for an id that was given here, and for one that was seen here before; else the transcript is looked
    through, from its end.
    """
    place = place_of(session.id, name)
    if place is not None:
        seq, index = place
        return next((each for each in await _at(session, seq) if each.index == index and each.id == name), None)
    seen = places.get(session.id, name)
    if seen is not None:
        found = next((each for each in await _at(session, seen) if each.id == name), None)
        if found is not None:
            return found
    before: int | None = None
    while True:
        page = await session.messages(before=before, limit=_STEP, newest=True)
        seqs = [*(message.seq for message in page), *page.corrupt]
        if not seqs:
            return None
        before = min(seqs)
        items = [each for message in page if replayable(message) for each in items_in(session.id, message)]
        places.note(session.id, items)
        found = next((each for each in reversed(items) if each.id == name), None)
        if found is not None:
            return next((each for each in await _at(session, found.seq) if each.id == name), None)


async def remove(session: AsyncSession, gone: Item, rev: int) -> None:
    """Make one item live no more. Raises SessionConflict where the session has another version, SessionBusy."""
    page = await session.messages(after=gone.seq - 1, before=gone.seq + 1, limit=1)
    inside = items_in(session.id, page[0]) if page else []
    left = [each for each in inside if each.index != gone.index]
    if not left:
        await session.delete_message(gone.seq, expected_rev=rev)
        return
    message = page[0]
    metadata = {**message.metadata, KEPT: [each.index for each in left]}
    if message.role == "tool":  # of another wire, with several results
        parts = tuple(part for part, each in zip(message.parts, inside, strict=True) if each.index != gone.index)
        shorter = message.replace(parts=parts, layout=None, extra=None, tokens=None, metadata=metadata)
    else:
        [parsed] = parse(WIRE, [each.item for each in left])
        shorter = message.replace(
            parts=parsed.parts, wire=WIRE, layout=parsed.layout, extra=parsed.extra, tokens=None, metadata=metadata
        )
    await session.edit(gone.seq, shorter, expected_rev=rev)
