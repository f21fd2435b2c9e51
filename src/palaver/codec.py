"""The one encoder and the one decoder of stored values.

A stored message is JSON in UTF-8. It is encoded before the store is asked (`draft`), and gets its position and its
time inside the transaction (`stamp`), which are then the first fields of the body. What cannot be read back
is refused here, at the door: msgspec would write NaN as null, cannot encode a lone surrogate and cannot
decode nesting deeper than the interpreter's stack.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC
from typing import Any, TypeVar, cast

import msgspec

from palaver.errors import CorruptRecord, InvalidMessage
from palaver.model import Message, ToolCall, ToolResult
from palaver.rows import Draft, kind_of
from palaver.times import from_micros

__all__ = [
    "CODEC_VERSION",
    "clean_text",
    "decode",
    "decode_many",
    "draft",
    "encode",
    "json_schema",
    "json_text",
    "same_content",
    "stamp",
    "time_text",
]

CODEC_VERSION = 1
"""Written into every store; a store of a later version is refused and left untouched."""

MAX_DEPTH = 200
"""Deepest nesting in metadata; far below the stack limit of every supported Python."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)
_many = msgspec.json.Decoder(list[Message])
_SURROGATE = re.compile("[\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
T = TypeVar("T")


def encode(message: Message) -> bytes:
    """The stored form of a message, whatever position it has.

    It has been read back once when this returns. Raises InvalidMessage, naming the field, for anything that could not
    be read back as it was.
    """
    try:
        at = message.created_at
        if at is not None and at.utcoffset():  # an instant is an instant: it is kept, and read, in UTC
            message = msgspec.structs.replace(message, created_at=at.astimezone(UTC))
        body = _encoder.encode(message)
        back = _decoder.decode(body)
        if message.metadata:
            back = msgspec.structs.replace(back, metadata=message.metadata)  # json_text judges it, see check
        check_cost(message)
        same = back == message
    except InvalidMessage:
        raise
    except (UnicodeEncodeError, TypeError, OverflowError, RecursionError, ValueError, AttributeError) as exc:
        check_metadata(message)
        raise InvalidMessage(_explain(message, exc)) from exc
    check(message)
    if not same:
        raise InvalidMessage(f"the message would be read back differently: {_difference(message, back)}")
    return body


def draft(message: Message) -> Draft:
    """A message ready for a store: encoded without a position. Raises InvalidMessage as `encode` does."""
    if message.seq:
        message = msgspec.structs.replace(message, seq=0)
    return Draft(
        body=msgspec.Raw(encode(message)), kind=kind_of(message), id=message.id, dated=message.created_at is not None
    )


def time_text(micros: int) -> bytes:
    """An instant as it stands in a stored body."""
    return from_micros(micros).isoformat().encode()[:-6] + b"Z"


def stamp(item: Draft, seq: int, time: bytes) -> bytes:
    """The body of a draft at its position; `time` (see `time_text`) unless the message brought its own."""
    if item.dated:
        return b'{"seq":%d,' % seq + bytes(item.body)[1:]
    return b'{"seq":%d,"created_at":"%b",' % (seq, time) + bytes(item.body)[1:]


def decode(body: bytes | msgspec.Raw, *, store: str = "", location: str = "") -> Message:
    """The message in a stored body. Raises CorruptRecord, naming `store` and `location`."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise CorruptRecord(store=store, location=location, excerpt=_excerpt(body)) from exc


def decode_many(bodies: Sequence[bytes]) -> list[Message]:
    """The messages in stored bodies, in one pass. Raises CorruptRecord without a location: decode singly then."""
    joined = b"[" + b",".join(bodies) + b"]"
    try:
        if len(bodies) < 1000:
            out = _many.decode(joined)
        else:
            with no_gc():
                out = _many.decode(joined)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise CorruptRecord(location="a batch", excerpt=_excerpt(joined)) from exc
    if len(out) != len(bodies):
        raise CorruptRecord(location="a batch", excerpt=_excerpt(joined))
    return out


@contextmanager
def no_gc() -> Generator[None]:
    """Without the cyclic collector, which would walk every object of a bulk decode several times."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def check(message: Message) -> None:
    """Refuse what decoding would not: parts in the wrong role, naive times, reserved ids, what JSON has not."""
    for part in message.parts:
        if isinstance(part, ToolCall) and message.role != "assistant":
            raise InvalidMessage(f"a {message.role} message cannot hold a tool call; use role assistant")
        if isinstance(part, ToolResult) and message.role != "tool":
            raise InvalidMessage(f"a {message.role} message cannot hold a tool result; use role tool")
    if message.id is not None and message.id[:1] in ("", "~"):
        raise InvalidMessage(f"message id {message.id!r} is reserved: ids are not empty and do not begin with '~'")
    if message.created_at is not None and message.created_at.tzinfo is None:
        raise InvalidMessage("created_at has no time zone; give an aware time, such as datetime.now(timezone.utc)")
    check_cost(message)
    check_metadata(message)


def check_cost(message: Message) -> None:
    """Refuse a cost that cannot be added up."""
    if message.usage is not None and message.usage.cost is not None and not message.usage.cost.is_finite():
        raise InvalidMessage(f"usage.cost is {message.usage.cost}; give a finite amount, or None")


def check_metadata(message: Message) -> None:
    """Refuse metadata that JSON cannot hold."""
    if message.metadata:
        json_text(message.metadata, "metadata")


def json_text(value: Any, where: str = "value") -> str:
    """Compact JSON text of a value, exactly as it will be read back. Raises InvalidMessage, naming `where`."""
    _check_tree(value, where, 0, set())
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidMessage(f"{where} holds a lone surrogate; clean it with palaver.clean_text") from exc
    except (ValueError, TypeError, RecursionError) as exc:
        raise InvalidMessage(f"{where} is not JSON: {exc}") from exc
    return text


def _check_tree(node: Any, where: str, depth: int, above: set[int]) -> None:
    """Refuse nesting that is too deep or has no end, and keys that JSON would silently make text."""
    if not isinstance(node, dict | list | tuple):
        return
    tree: Any = cast("Any", node)
    mark = id(tree)
    if depth >= MAX_DEPTH or mark in above:
        raise InvalidMessage(f"{where} is nested deeper than {MAX_DEPTH} levels, or contains itself")
    above.add(mark)
    if isinstance(node, dict) and not all(isinstance(key, str) for key in cast("dict[Any, Any]", tree)):
        raise InvalidMessage(f"{where} has a key that is not text; JSON would silently make it text")
    children: list[Any] = list(tree.values() if isinstance(node, dict) else tree)
    for child in children:
        _check_tree(child, where, depth + 1, above)
    above.discard(mark)


def clean_text(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced by U+FFFD; other text is returned as it is."""
    if not _SURROGATE.search(text):
        return text
    text = _PAIR.sub(lambda m: m.group().encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def same_content(one: Message, other: Message) -> bool:
    """Whether two messages with one id say the same: role, parts and name. Times, usage and flags may differ."""
    return one.role == other.role and one.name == other.name and one.parts == other.parts


def json_schema() -> dict[str, Any]:
    """JSON Schema of a stored message."""
    return msgspec.json.schema(Message)


def _explain(message: Message, exc: Exception) -> str:
    if isinstance(exc, UnicodeEncodeError):
        where = _surrogate_path(msgspec.to_builtins(message), "message")
        return f"{where} holds a lone surrogate (half a character); clean it with palaver.clean_text"
    return f"the message could not be read back as it is: {exc}"


def _difference(message: Message, back: Message) -> str:
    names = [name for name in message.__struct_fields__ if getattr(message, name) != getattr(back, name)]
    return f"{', '.join(names)} holds a value of another type than it should"


def _surrogate_path(value: Any, path: str) -> str | None:
    if isinstance(value, str):
        return path if _SURROGATE.search(value) else None
    items: Any = ()
    if isinstance(value, dict):
        items = ((f"{path}.{k}", v) for k, v in value.items())  # pyright: ignore[reportUnknownVariableType]
    elif isinstance(value, (list, tuple)):
        items = ((f"{path}[{i}]", v) for i, v in enumerate(value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for where, child in items:
        found = _surrogate_path(child, where)
        if found:
            return found
    return None


def _excerpt(body: bytes | msgspec.Raw) -> str:
    return bytes(body)[:80].decode("utf-8", "replace")
