"""Wire formats: what a provider sends becomes messages, and messages become what a provider takes.

One package per wire. Parsing loses nothing: messages of a wire are rendered back to it exactly as they came. Messages
of another wire, or of none, are rendered as well as the wire can say them, and what it cannot say is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from palaver.errors import InvalidMessage, UnsupportedFormat
from palaver.formats.legal import legal
from palaver.formats.wire import (
    CONTINUE,
    Notes,
    Rendered,
    Repair,
    RepairKind,
    Stream,
    Violation,
    entries,
    is_object,
    plain,
)
from palaver.model import Message, TextPart, Usage, Wire

__all__ = ["Accumulator", "Rendered", "Repair", "RepairKind", "Violation", "check", "parse", "render", "wires"]


class _Format(Protocol):
    def parse(self, messages: object, *, system: object = None) -> list[Message]: ...

    def render(self, messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered: ...

    def check(self, messages: list[Any], system: Any) -> list[Violation]: ...

    def stream(self) -> Stream: ...


_WIRES = ("anthropic", "bedrock", "google", "mistral", "openai_chat", "openai_responses")
"""Each is a package beside this module, imported when it is first asked for: few programs speak them all."""
_TAKES_EMPTY: frozenset[Wire] = frozenset({"openai_chat", "openai_responses"})
"""Wires whose providers take back the empty answers that they gave."""


def wires() -> tuple[Wire, ...]:
    """Names of the wire formats that this version knows, sorted."""
    return _WIRES


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

    With `repair` it is one that the provider does not refuse for its structure, whatever the messages are: orphan
    results and empty messages are left out, calls without a result get one that says so, ids and names are made such
    as the wire takes them. Without it they stay as they are. What the wire cannot say is left out either way.
    All of it is listed in `repairs`. Raises UnsupportedFormat.
    """
    form = _format(wire)
    notes = Notes()
    given = tuple(messages)
    if not repair:
        return form.render(given, notes, repair=False)
    rendered = form.render(legal(given, notes, empty_of=wire if wire in _TAKES_EMPTY else None), notes, repair=True)
    if not rendered.messages:
        rendered = _asked(form, rendered)
    if not notes.call_ids:
        return rendered
    again = {wire_id: notes.call_ids.get(call_id, call_id) for wire_id, call_id in rendered.call_ids.items()}
    return msgspec.structs.replace(rendered, call_ids={**notes.call_ids, **again})


def _asked(form: _Format, rendered: Rendered) -> Rendered:
    """A payload with a message: no provider takes one without."""
    made = form.render((Message(role="user", parts=(TextPart(text=CONTINUE),)),), Notes(), repair=True)
    note = Repair("user_added", 0, f"there was nothing to send; the user says {CONTINUE!r}")
    return msgspec.structs.replace(rendered, messages=made.messages, repairs=(*rendered.repairs, note))


def check(wire: Wire, messages: object, *, system: object = None) -> list[Violation]:
    """What a provider would refuse in a payload, in its order; empty where there is nothing.

    `messages` and `system` are as in `parse`: what is sent, not palaver's own messages. Rules are about structure;
    limits of one model (media types, token counts) are not known here. Raises UnsupportedFormat, and InvalidMessage
    for what is not JSON.
    """
    form = _format(wire)
    if wire == "openai_responses" and isinstance(messages, str):  # the one wire whose input may be text alone
        messages = [{"role": "user", "content": messages}]
    read = _payload(wire)
    given = [read(entry, f"messages[{index}]") for index, entry in enumerate(entries(messages))]
    return form.check(given, read(system, "system"))


class Accumulator:
    """Takes a provider's stream, event by event, and gives the messages in it as they are finished.

    An event is a mapping or an SDK object. Append what `feed` and `finish` give, in order; a stream that broke off,
    or that somebody interrupted, is finished as well: its text is kept as far as it came.

    >>> stream = Accumulator("openai_chat")
    >>> stream.feed({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}}]})
    []
    >>> stream.text
    'Hello'
    >>> [message.text for message in stream.finish()]
    ['Hello']
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.messages: list[Message] = []
        """All that was finished so far."""
        self._stream = _format(wire).stream()
        self._read = _payload(wire)
        self._events = 0
        self._finished = False

    @property
    def text(self) -> str:
        """The text for the person, so far."""
        return self._stream.text

    @property
    def usage(self) -> Usage | None:
        """What the provider said that the call used; None until it says so."""
        return self._stream.usage

    @property
    def error(self) -> str | None:
        """What the provider said in the middle of the stream, where it broke off."""
        return self._stream.error

    @property
    def stop_reason(self) -> str | None:
        """Why the model stopped, in the wire's own word (`stop`, `end_turn`, `max_tokens`, …).

        None until the provider says so. A stream that ends without it was cut off on the way, however it ended.
        """
        return self._stream.stop_reason

    def feed(self, event: object) -> list[Message]:
        """The messages that this event finished. Raises InvalidMessage for what is no event of this wire."""
        raw = self._read(event, f"event {self._events}")
        if not is_object(raw):
            raise InvalidMessage(f"event {self._events} is a {type(event).__name__}; an event is an object")
        self._events += 1
        return self._kept(self._stream.feed(raw))

    def finish(self) -> list[Message]:
        """The messages that were not finished before the stream ended; a call that is not whole is left out.

        Once: a second call gives none.
        """
        if self._finished:
            return []
        self._finished = True
        return self._kept(self._stream.finish())

    def _kept(self, messages: list[Message]) -> list[Message]:
        self.messages.extend(messages)
        return messages


@cache
def _format(wire: Wire) -> _Format:
    if wire not in _WIRES:
        raise UnsupportedFormat(f"the wire format {wire!r} is not known; known are {', '.join(_WIRES)}")
    return cast("_Format", import_module(f"palaver.formats.{wire}"))


def _payload(wire: Wire) -> Callable[[object, str], Any]:
    """How plain JSON is made of what SDKs of a wire give; the wire's own `parse` does the same."""
    if wire == "bedrock":  # boto3 gives bytes
        from palaver.formats.bedrock import payload

        return payload
    return plain


if TYPE_CHECKING:
    from palaver.formats import anthropic, bedrock, google, mistral, openai_chat, openai_responses

    _CHECKED: tuple[_Format, ...] = (anthropic, bedrock, google, mistral, openai_chat, openai_responses)
