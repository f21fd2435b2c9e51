"""What a provider would be sent: a window in the form of its wire, as one line of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from palaver.formats import render
from palaver.info import SessionInfo
from palaver.model import Message, Wire

__all__ = ["payload"]


def payload(info: SessionInfo, messages: Sequence[Message], wire: Wire) -> Iterator[str]:
    """The payload of a window's messages; `repairs` names what the wire could not say. Raises UnsupportedFormat."""
    made = render(wire, messages)
    value = {
        "session_id": info.id,
        "wire": wire,
        "system": made.system,
        "messages": made.messages,
        "repairs": made.repairs,
    }
    yield f"{msgspec.json.encode(value).decode()}\n"
