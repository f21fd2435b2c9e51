"""Ids of conversations and items, as OpenAI writes them. Pure.

A conversation's id is its session's, after `conv_`. An item that came with an id keeps it. Every other has one that
says where it stands, so that finding it costs one read however long the conversation is; it is not stored, because no
provider should be sent an id that it never gave.
"""

from __future__ import annotations

import re

from palaver.formats.openai_responses.kinds import OUTPUTS, PREFIXES

__all__ = ["conversation_id", "item_id", "place_of", "session_reference"]

_CONVERSATION = "conv_"
_PLACE = re.compile(r"[a-z]+_([0-9a-z]{22})([0-9a-f]{1,14})_([0-9a-f]{1,8})")


def conversation_id(session_id: str) -> str:
    """What a session is called as a conversation."""
    return f"{_CONVERSATION}{session_id}"


def session_reference(conversation: str) -> str:
    """The session that a conversation is: its id, or an alias."""
    return conversation.removeprefix(_CONVERSATION)


def item_id(session_id: str, kind: str, seq: int, index: int) -> str:
    """Id of the item of a type that came without one: the one at `index` of the message at `seq`."""
    prefix = PREFIXES.get(OUTPUTS.get(kind, kind), "item")
    return f"{prefix}_{session_id}{seq:x}_{index:x}"


def place_of(session_id: str, name: str) -> tuple[int, int] | None:
    """Where an id of `item_id` says that its item stands; None for one that the item brought along."""
    found = _PLACE.fullmatch(name)
    if found is None or found[1] != session_id:
        return None
    return int(found[2], 16), int(found[3], 16)
