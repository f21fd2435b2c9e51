"""What the wire formats share: the rendered payload, its repairs, what a rule says, and plain JSON at the door."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard, cast

import msgspec

from palaver.codec import json_text
from palaver.errors import InvalidMessage
from palaver.formats.sdk_objects import dumped
from palaver.model import Message, Usage

__all__ = [
    "CONTINUE",
    "MAX_DEPTH",
    "Notes",
    "Rendered",
    "Repair",
    "RepairKind",
    "Stream",
    "Violation",
    "entries",
    "fingerprint",
    "is_array",
    "is_object",
    "leftover",
    "merged",
    "plain",
]

RepairKind: TypeAlias = Literal[
    "arguments_changed",
    "cache_mark_left_out",
    "call_id_made",
    "call_id_made_unique",
    "call_id_shortened",
    "interrupted",
    "item_id_left_out",
    "media_left_out",
    "message_left_out",
    "messages_merged",
    "moved",
    "name_changed",
    "name_left_out",
    "name_missing",
    "opaque_left_out",
    "part_changed",
    "part_left_out",
    "prefix_left_out",
    "result_left_out",
    "role_changed",
    "signature_made",
    "split",
    "text_changed",
    "thinking_changed",
    "thinking_left_out",
    "user_added",
]
"""What was done. `…_left_out`: it is not in the payload, as the wire cannot say it or refuses it; `…_made`,
`user_added`: the wire demands what the messages do not have; `interrupted`: a call without a result got one that says
so; `moved`, `split`: a result stands with the call that it answers; the others say what became another."""


class Repair(msgspec.Struct, frozen=True):
    """One thing that a payload says otherwise than the messages it was made from.

    `seq` is the message's position in its session (0: not stored yet); `detail` names its place in the list too.
    """

    kind: RepairKind
    seq: int
    detail: str


class Rendered(msgspec.Struct, frozen=True):
    """A payload, ready for a provider: plain JSON values that share nothing with the messages."""

    system: Any
    """The system prompt of a wire that has it apart; None where it is among the messages."""
    messages: Any
    """A list of objects; openai_responses gives input back as text alone where it came so and is all there is."""
    repairs: tuple[Repair, ...] = ()
    """Every change that was made to what the messages say, in their order."""
    call_ids: dict[str, str] = {}  # msgspec gives each its own copy
    """Call ids of the payload that are others in the messages, and what they are there ("" where there is none)."""


class Violation(msgspec.Struct, frozen=True):
    """A rule of a provider that a payload breaks."""

    rule: str
    """Its id in docs/wires/, for instance `OC3`."""
    where: str
    """The place in the payload, for instance `messages[2].tool_calls[0].id`."""
    says: str
    """What the provider answers, in its own words where they are known."""
    remedy: str
    """What to do about it; `render` with `repair` does it."""


class Stream(Protocol):
    """What a wire makes of the events of one streamed answer, one by one."""

    @property
    def text(self) -> str:
        """The text for the person, so far."""
        ...

    @property
    def usage(self) -> Usage | None:
        """What the provider said that the call used; None until it says so."""
        ...

    @property
    def error(self) -> str | None:
        """What the provider said in the middle of the stream, where it broke off."""
        ...

    @property
    def stop_reason(self) -> str | None:
        """Why the model stopped, in the wire's own word; None until the provider says so, and where it never did."""
        ...

    def feed(self, event: dict[str, Any]) -> list[Message]:
        """Take one event, as plain JSON. The messages that it finished, as `parse` would give them."""
        ...

    def finish(self) -> list[Message]:
        """The rest, when the stream has ended or was cut off: text as far as it came, no call that is not whole."""
        ...


class Notes:
    """Collects the repairs of one rendering; `at` says which message they belong to."""

    __slots__ = ("_found", "_index", "_seq", "call_ids", "places")

    def __init__(self) -> None:
        self._found: list[Repair] = []
        self._seq = 0
        self._index = 0
        self.call_ids: dict[str, str] = {}
        """Call ids that were made unique before the wire's own rules, and what they were."""
        self.places: list[int] | None = None
        """Where the messages being rendered stand in the list that was given, if that is another one."""

    @property
    def where(self) -> str:
        """The current message, by its place in the list that was given."""
        places = self.places
        if places:
            return f"messages[{places[min(self._index, len(places) - 1)]}]"
        return f"messages[{self._index}]"

    def at(self, index: int, seq: int) -> None:
        """The next notes are about the message at this index."""
        self._seq = seq
        self._index = index

    def about(self, kind: RepairKind, seq: int, detail: str) -> None:
        """Note a repair of the message at this position, whatever the current one is."""
        self._found.append(Repair(kind, seq, detail))

    def add(self, kind: RepairKind, detail: str) -> None:
        """Note one repair of the current message."""
        self._found.append(Repair(kind, self._seq, f"{self.where}: {detail}"))

    def repairs(self) -> tuple[Repair, ...]:
        """All that was noted."""
        return tuple(self._found)


CONTINUE = "Continue."
"""What the user says where a wire demands a user message and there is none."""


class _UnfitError(Exception):
    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str] = []


MAX_DEPTH = 150
"""Deepest nesting in a wire message; below what the codec can read back on every supported Python."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def plain(value: object, where: str, *, bytes_as_text: bool = False) -> Any:
    """A copy of a value as plain JSON: dicts, lists, strings, numbers, booleans, None.

    Mappings, tuples and SDK objects (anything with `model_dump`) count as what they stand for, at any depth.
    What an SDK object has for its program alone is left out, as the SDK does before it sends one back. With
    `bytes_as_text` raw bytes count as their base64 text. Raises InvalidMessage, naming the place, for what JSON text
    could not give back exactly: NaN, a lone surrogate, a key that is no string, other objects, nesting deeper than
    150 levels.
    """
    try:
        return _plain(value, 0, as_text=bytes_as_text)
    except _UnfitError as exc:
        raise InvalidMessage(f"{where}{''.join(exc.path)} {exc.reason}") from None


def _plain(value: object, depth: int, *, as_text: bool) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        if not value.isascii() and _SURROGATE.search(value):
            raise _UnfitError("holds a lone surrogate (half a character); clean it with palaver.clean_text")
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _UnfitError(f"is {value}, which JSON cannot hold; give a finite number or None")
        return float(value)
    if depth >= MAX_DEPTH:
        raise _UnfitError(f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return _plain_object(cast("Mapping[object, object]", value), depth, as_text=as_text)
    if isinstance(value, (list, tuple)):
        return _plain_array(cast("Iterable[object]", value), depth, as_text=as_text)
    if as_text and isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return _plain(dumped(value, dump), depth, as_text=as_text)
    raise _UnfitError(f"is a {type(value).__name__}, not JSON; give dicts, lists, strings, numbers or None")


def _plain_object(value: Mapping[object, object], depth: int, *, as_text: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, child in value.items():
        if not isinstance(key, str):
            raise _UnfitError(f"has the key {key!r}, which is not a string; JSON keys are strings")
        try:
            out[_plain(key, depth, as_text=False)] = _plain(child, depth + 1, as_text=as_text)
        except _UnfitError as exc:
            exc.path.insert(0, f".{key.encode(errors='replace').decode()}")
            raise
    return out


def _plain_array(value: Iterable[object], depth: int, *, as_text: bool) -> list[Any]:
    out: list[Any] = []
    for index, child in enumerate(value):
        try:
            out.append(_plain(child, depth + 1, as_text=as_text))
        except _UnfitError as exc:
            exc.path.insert(0, f"[{index}]")
            raise
    return out


def entries(messages: object) -> Iterable[object]:
    """The messages of a payload, one by one; a single message counts as a list of one."""
    if isinstance(messages, Mapping) or hasattr(messages, "model_dump"):
        return (cast("Any", messages),)
    if isinstance(messages, Iterable) and not isinstance(messages, (str, bytes)):
        return cast("Iterable[object]", messages)
    raise InvalidMessage(f"messages is a {type(messages).__name__}; give a list of messages")


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a plain value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Whether a plain value is a JSON array."""
    return isinstance(value, list)


def leftover(value: Mapping[str, Any], where: str) -> str | None:
    """JSON text for an `extra` field: the keys that no field holds; None where there are none."""
    return json_text(value, where) if value else None


def merged(typed: dict[str, Any], extra: str | None) -> dict[str, Any]:
    """`typed` with the keys that `extra` kept beside it; what a field says wins, objects are merged one level deep."""
    if extra is not None:
        for key, kept in json.loads(extra).items():
            if is_object(kept) and is_object(typed.get(key)):
                typed[key] = {**kept, **typed[key]}
            else:
                typed.setdefault(key, kept)
    return typed


def fingerprint(message: Message) -> str:
    """Twelve hex digits of what a message says, to tell later whether it still says it."""
    said = msgspec.json.encode((message.role, message.name, message.parts))
    return hashlib.blake2b(said, digest_size=6).hexdigest()
