"""Messages as the items of OpenAI's Responses API, one message at a time: what adapters and the server share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver import formats, media
from palaver.aio import AsyncSession
from palaver.errors import MediaNotFound
from palaver.formats.wire import is_array
from palaver.model import Message

__all__ = ["WIRE", "items_of", "whole"]

WIRE = "openai_responses"


async def whole(session: AsyncSession, messages: list[Message]) -> Sequence[Message]:
    """The messages with the content that the store keeps out of line; without what is damaged there."""
    held: dict[str, str] = {}
    for address in {address for message in messages for address in media.addresses(message)}:
        try:
            held[address] = media.as_text(await session.media(address))
        except MediaNotFound:
            continue  # damaged: its item comes without it, and the others come
    return media.restored(tuple(messages), held) if held else messages


def items_of(message: Message) -> list[Any]:
    """The items of a message: those that it came as, or what this wire can say of it."""
    rendered = formats.render(WIRE, (message,), repair=False)
    given = rendered.messages
    items = list(given) if is_array(given) else [{"role": "user", "content": given}]  # input that was text alone
    if rendered.system is not None:  # those who read items have their instructions elsewhere; these stand among them
        items.insert(0, {"role": "system", "content": rendered.system})
    return items
