"""Wire formats: what a provider sends becomes messages, and messages become what a provider takes.

One module per wire. Parsing loses nothing: messages of a wire are rendered back to it exactly as they came. Messages
of another wire, or of none, are rendered as well as the wire can say them, and what it cannot say is listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from palaver.errors import UnsupportedFormat
from palaver.formats import openai_chat
from palaver.formats.wire import Rendered, Repair, RepairKind
from palaver.model import Message, Wire

__all__ = ["Rendered", "Repair", "RepairKind", "parse", "render", "wires"]


class _Format(Protocol):
    def parse(self, messages: object, *, system: object = None) -> list[Message]: ...

    def render(self, messages: Iterable[Message], *, repair: bool = True) -> Rendered: ...


_FORMATS: dict[Wire, _Format] = {"openai_chat": openai_chat}


def wires() -> tuple[Wire, ...]:
    """Names of the wire formats that this version knows, sorted."""
    return tuple(sorted(_FORMATS))


def parse(wire: Wire, messages: object, *, system: object = None) -> list[Message]:
    """The messages of a provider's payload, request or response; nothing in it is lost.

    `messages` is a list, or one message; each is a mapping or an SDK object such as
    `response.choices[0].message`. `system` is the system prompt where the payload has it apart. Raises
    InvalidMessage, naming `messages[i]`, for what is no message of this wire or could not be stored;
    UnsupportedFormat for an unknown wire.
    """
    return _format(wire).parse(messages, system=system)


def render(wire: Wire, messages: Iterable[Message], *, repair: bool = True) -> Rendered:
    """The payload for a provider. Messages that came from this wire come back exactly as they were.

    With `repair` the call ids and names are made such as the wire takes them; without it they stay as they are.
    What the wire cannot say is left out either way. Both are listed in `repairs`. Raises UnsupportedFormat.
    """
    return _format(wire).render(messages, repair=repair)


def _format(wire: Wire) -> _Format:
    try:
        return _FORMATS[wire]
    except KeyError:
        raise UnsupportedFormat(f"the wire format {wire!r} is not known; known are {', '.join(wires())}") from None
