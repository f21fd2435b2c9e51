"""Items of a conversation: added, listed, read and deleted."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from palaver.aio import AsyncSession
from palaver.errors import SessionConflict
from palaver.server.conversations.conversations import (
    MAX_ITEMS,
    Conversation,
    conversation,
    conversation_of,
    parsed,
)
from palaver.server.conversations.names import conversation_id
from palaver.server.conversations.spelling import Include, spelled
from palaver.server.conversations.transcript import Item, Places, find, items_in, read, remove
from palaver.server.openai_style import OPENAI
from palaver.server.problems import ProblemError, problem
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

_TRIES = 20

Items: TypeAlias = Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_ITEMS)]


class CreateItems(msgspec.Struct, frozen=True, kw_only=True):
    """What to add at the end, all or none."""

    items: Items
    """Responses input items."""


class IncludeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to show besides."""

    include: tuple[Include, ...] = ()


class ItemsQuery(IncludeQuery, frozen=True, kw_only=True):
    """Which items to list."""

    after: str | None = None
    """Id of the item that the page begins behind: `last_id` of the one before."""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    """`desc`: the newest first."""


class ItemList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of items."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedItem(Conversation, frozen=True, kw_only=True):
    """The conversation that an item was deleted from."""

    deleted: Literal[True] = True


async def create(call: Call) -> Answer:
    """Store items at the end of a conversation."""
    body: CreateItems = call.body
    query: IncludeQuery = call.query
    session = await conversation_of(call)
    messages = parsed(body.items, session.id)
    done = await session.append(*messages)
    stored = [message.replace(seq=seq) for message, seq in zip(messages, done.seqs, strict=True)]
    found = [item for message in stored for item in items_in(session.id, message)]
    return _page(call, session, found, query, has_more=False)


async def list_items(call: Call) -> Answer:
    """A page of a conversation's items."""
    query: ItemsQuery = call.query
    session = await conversation_of(call)
    after = await _named(call, session, query.after) if query.after else None
    found = await read(session, after=after, limit=query.limit + 1, newest=query.order == "desc")
    return _page(call, session, found[: query.limit], query, has_more=len(found) > query.limit)


async def retrieve(call: Call) -> Answer:
    """One item."""
    query: IncludeQuery = call.query
    session = await conversation_of(call)
    found = await _named(call, session, call.path["item_id"])
    return Answer(spelled(found.item, found.id, query.include))


async def delete(call: Call) -> Answer:
    """Make one item live no more."""
    session = await conversation_of(call)
    for attempt in range(_TRIES):
        info = await session.info()
        found = await _named(call, session, call.path["item_id"])
        try:
            await remove(session, found, info.rev)
            break
        except SessionConflict:  # something else changed meanwhile; whether it was this is seen anew
            if attempt == _TRIES - 1:
                raise
    made = conversation(await session.info())
    return Answer(DeletedItem(id=made.id, created_at=made.created_at, metadata=made.metadata))


def _page(call: Call, session: AsyncSession, found: list[Item], query: IncludeQuery, *, has_more: bool) -> Answer:
    _places(call).note(session.id, found)
    data = [spelled(each.item, each.id, query.include) for each in found]
    first, last = (found[0].id, found[-1].id) if found else (None, None)
    return Answer(ItemList(data=data, first_id=first, last_id=last, has_more=has_more))


async def _named(call: Call, session: AsyncSession, name: str) -> Item:
    found = await find(session, name, _places(call))
    if found is None:
        raise _missing(session, name)
    return found


def _missing(session: AsyncSession, name: str) -> ProblemError:
    detail = f"Item with id '{name}' not found in conversation '{conversation_id(session.id)}'."
    return problem("item-not-found", detail)


def _places(call: Call) -> Places:
    state = call.request.app.state
    if not hasattr(state, "item_places"):
        state.item_places = Places()
    places: Places = state.item_places
    return places


_MISSING = ("session-not-found",)
_ITEM = ("session-not-found", "item-not-found")

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/conversations/{conversation_id}/items",
        "createItems",
        "OpenAI's API: store items at the end of a conversation, all or none.",
        create,
        {200: "The items as they are stored, with their ids."},
        ItemList,
        bodies=(CreateItems,),
        query=IncludeQuery,
        problems=(*_MISSING, "session-ended", "session-conflict"),
        example={"items": [{"type": "message", "role": "user", "content": "Hello!"}]},
        style=OPENAI,
    ),
    Endpoint(
        "GET",
        "/v1/conversations/{conversation_id}/items",
        "listItems",
        "OpenAI's API: a page of a conversation's items, the newest first unless `order` says asc.",
        list_items,
        {200: "The items."},
        ItemList,
        query=ItemsQuery,
        problems=_ITEM,
        style=OPENAI,
    ),
    Endpoint(
        "GET",
        "/v1/conversations/{conversation_id}/items/{item_id}",
        "getItem",
        "OpenAI's API: one item of a conversation.",
        retrieve,
        {200: "The item."},
        dict[str, Any],
        query=IncludeQuery,
        problems=_ITEM,
        style=OPENAI,
    ),
    Endpoint(
        "DELETE",
        "/v1/conversations/{conversation_id}/items/{item_id}",
        "deleteItem",
        "OpenAI's API: make one item live no more; it stays stored, and redo brings it back.",
        delete,
        {200: "The conversation without it."},
        DeletedItem,
        problems=(*_ITEM, "session-busy", "session-conflict", "session-ended"),
        style=OPENAI,
    ),
)
