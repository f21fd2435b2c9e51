"""What picoclaw's scope of a session says of the place that it belongs to.

A scope is `{version, agent_id, channel, account, dimensions, values}`, in lower case; its hash is the session's key.
"""

from __future__ import annotations

from typing import Any

from palaver.errors import InvalidKey
from palaver.formats.wire import is_object
from palaver.key_layout import ChatType, as_chat_type
from palaver.keys import Origin

__all__ = ["origin_of_key", "origin_of_scope"]

_MAIN, _DEFAULT = "main", "default"


def origin_of_scope(scope: Any) -> Origin | None:
    """The origin that a scope was made from, as far as it tells; None where it tells none."""
    if not is_object(scope):
        return None
    values = scope.get("values")
    values = values if is_object(values) else {}
    channel, agent, account = (_text(scope.get(name)) for name in ("channel", "agent_id", "account"))
    kind, chat = _labelled(values.get("chat"))
    thread = _labelled(values.get("topic"))[1]
    if channel == "telegram" and chat and "/" in chat and thread is None:
        chat, _, thread = chat.rpartition("/")  # a forum's topic, which stays apart without being a dimension
    return _origin(
        channel,
        chat_type=_chat_type(kind),
        chat_id=chat,
        thread_id=thread,
        user_id=_text(values.get("sender")),
        space_id=_labelled(values.get("space"))[1],
        agent=None if agent == _MAIN else agent,
        account=None if account == _DEFAULT else account,
    )


def origin_of_key(key: str) -> Origin | None:
    """The origin that a key of the time before hashes tells: `channel:chat`, or `agent:<agent>:<channel>:…:<peer>`."""
    slots = key.split(":")
    if key.startswith("sk_v1_") or len(slots) < 2 or not all(slots):
        return None
    if slots[0] != "agent":
        chat = ":".join(slots[1:])
        group = slots[0] == "telegram" and chat.startswith("-")
        return _origin(slots[0], chat_type="group" if group else "dm", chat_id=chat)
    agent = None if slots[1] == _MAIN else slots[1]
    kinds = [place for place in (3, 4) if len(slots) > place + 1 and _is_kind(slots[place])]
    if not kinds:
        return None
    account = slots[3] if kinds[0] == 4 and slots[3] != _DEFAULT else None
    peer = ":".join(slots[kinds[0] + 1 :])
    return _origin(slots[2], chat_type=_chat_type(slots[kinds[0]]), chat_id=peer, agent=agent, account=account)


def _origin(channel: str | None, **fields: Any) -> Origin | None:
    if channel is None:
        return None
    try:
        return Origin(channel, **fields)
    except InvalidKey:
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _labelled(value: Any) -> tuple[str, str | None]:
    """The two sides of `direct:42`."""
    label, _, rest = (_text(value) or "").partition(":")
    return label, rest or None


def _is_kind(slot: str) -> bool:
    return slot == "direct" or as_chat_type(slot) is not None


def _chat_type(kind: str) -> ChatType:
    return as_chat_type(kind) or "dm"
