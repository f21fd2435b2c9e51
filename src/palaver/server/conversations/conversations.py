"""Conversations: made, read, changed and deleted."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from palaver.aio import AsyncSession
from palaver.errors import InvalidMessage, SessionNotFound
from palaver.formats import parse
from palaver.info import SessionInfo
from palaver.model import Message
from palaver.server.conversations.names import conversation_id, place_of, session_reference
from palaver.server.openai_style import OPENAI
from palaver.server.problems import Problem, ProblemError, of_error, problem
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS", "MAX_ITEMS", "Conversation", "Metadata", "conversation", "conversation_of", "parsed"]

MAX_ITEMS = 20
_WIRE = "openai_responses"

Key: TypeAlias = Annotated[str, Meta(max_length=64)]
Value: TypeAlias = Annotated[str, Meta(max_length=512)]
Metadata: TypeAlias = Annotated[dict[Key, Value], Meta(max_length=16)]
Items: TypeAlias = Annotated[list[dict[str, Any]], Meta(max_length=MAX_ITEMS)]


class CreateConversation(msgspec.Struct, frozen=True, kw_only=True):
    """What to begin with."""

    items: Items | None = None
    """Responses input items."""
    metadata: Metadata | None = None


class UpdateConversation(msgspec.Struct, frozen=True, kw_only=True):
    """What to change."""

    metadata: Metadata | None
    """In the place of all there is; null: none."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation: the session whose id stands after `conv_`."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    """Unix time, in seconds."""
    metadata: dict[str, str]
    """What of the session's metadata is text."""


class DeletedConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that is not found any more."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True


def conversation(info: SessionInfo) -> Conversation:
    """A session as the API shows it."""
    return Conversation(
        id=conversation_id(info.id), created_at=int(info.created_at.timestamp()), metadata=_shown(info.metadata)
    )


def _shown(metadata: dict[str, Any]) -> dict[str, str]:
    """What of a session's metadata this API can say: it has texts only."""
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


async def conversation_of(call: Call) -> AsyncSession:
    """The session that the path names. Raises ProblemError in OpenAI's words where there is none."""
    name = call.path["conversation_id"]
    try:
        return await call.sessions.get(session_reference(name))
    except SessionNotFound as error:
        raise missing(name) from error


def missing(name: str) -> ProblemError:
    """There is no such conversation, for this owner."""
    return problem("session-not-found", f"Conversation with id '{name}' not found.")


def parsed(items: list[dict[str, Any]], session_id: str = "") -> list[Message]:
    """The messages of items that a client gave.

    An id that says where an item stands here is no item's own: what is given back gets a new one. Raises ProblemError
    for what is no Responses item.
    """
    given = [
        {key: value for key, value in item.items() if key != "id"} if _is_place(session_id, item) else item
        for item in items
    ]
    try:
        return parse(_WIRE, given)
    except InvalidMessage as error:
        found: Problem = of_error(error)
        detail = found.detail.replace("messages[", "items[")
        path = detail.partition(" ")[0] if detail.startswith("items[") else "items"
        raise ProblemError(msgspec.structs.replace(found, detail=detail, path=path)) from error


def _is_place(session_id: str, item: dict[str, Any]) -> bool:
    name = item.get("id")
    return isinstance(name, str) and item.get("type") != "item_reference" and place_of(session_id, name) is not None


async def create(call: Call) -> Answer:
    """Make a conversation, with its first items."""
    body: CreateConversation = call.body or CreateConversation()
    messages = parsed(body.items or [])  # before anything is stored
    session = await call.sessions.create(metadata=body.metadata or None)
    if messages:
        await session.append(*messages)
    return Answer(conversation(await session.info()))


async def retrieve(call: Call) -> Answer:
    """A conversation."""
    return Answer(conversation(await (await conversation_of(call)).info()))


async def update(call: Call) -> Answer:
    """Put other metadata in the place of what there is."""
    body: UpdateConversation = call.body
    session = await conversation_of(call)
    changes: dict[str, Any] = dict.fromkeys(_shown((await session.info()).metadata))
    changes.update(body.metadata or {})
    if changes:
        await session.set_metadata(changes)
    return Answer(conversation(await session.info()))


async def delete(call: Call) -> Answer:
    """Make a conversation not found; all of it stays, and can be restored as a session."""
    session = await conversation_of(call)
    try:
        await session.delete()
    except SessionNotFound as error:  # somebody else was quicker
        raise missing(call.path["conversation_id"]) from error
    return Answer(DeletedConversation(id=conversation_id(session.id)))


_MISSING = ("session-not-found",)
_HELLO = {"type": "message", "role": "user", "content": "Hello!"}

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/conversations",
        "createConversation",
        "OpenAI's API: make a conversation, which is a session.",
        create,
        {200: "The conversation."},
        Conversation,
        bodies=(CreateConversation,),
        body_required=False,
        example={"metadata": {"topic": "demo"}, "items": [_HELLO]},
        style=OPENAI,
    ),
    Endpoint(
        "GET",
        "/v1/conversations/{conversation_id}",
        "getConversation",
        "OpenAI's API: a conversation; its id is `conv_` and a session's id.",
        retrieve,
        {200: "The conversation."},
        Conversation,
        problems=_MISSING,
        style=OPENAI,
    ),
    Endpoint(
        "POST",
        "/v1/conversations/{conversation_id}",
        "updateConversation",
        "OpenAI's API: put other metadata in the place of a conversation's.",
        update,
        {200: "The conversation as it is now."},
        Conversation,
        bodies=(UpdateConversation,),
        problems=(*_MISSING, "session-conflict"),
        example={"metadata": {"topic": "demo"}},
        style=OPENAI,
    ),
    Endpoint(
        "DELETE",
        "/v1/conversations/{conversation_id}",
        "deleteConversation",
        "OpenAI's API: make a conversation not found; its session can be restored.",
        delete,
        {200: "It is not found any more."},
        DeletedConversation,
        problems=(*_MISSING, "session-conflict"),
        style=OPENAI,
    ),
)
