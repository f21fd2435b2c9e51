"""The one encoder and the one decoder of stored values.

A stored message is JSON in UTF-8, encoded before the store is asked (`draft`). Its position, its time and its wire
format stand in its row and not in the body: that is a fifth of the bytes, and quicker to read (`restore`). What cannot
be read back is refused here, at the door: msgspec would write NaN as null, cannot encode a lone surrogate and cannot
decode nesting deeper than the interpreter's stack.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec

from palaver.errors import CorruptRecord, InvalidMessage
from palaver.media import Blob, addresses, has_media, require_base64, set_aside
from palaver.model import Message, ToolCall, ToolResult
from palaver.rows import MEDIA, WIRE_MASK, WIRE_SHIFT, WIRES, Draft, kind_of
from palaver.times import from_micros, to_micros

__all__ = [
    "CODEC_VERSION",
    "clean_text",
    "decode",
    "decode_many",
    "draft",
    "encode",
    "json_schema",
    "json_text",
    "restore",
    "restore_many",
    "same_content",
]

CODEC_VERSION = 1
"""Written into every store; a store of a later version is refused and left untouched."""

MAX_DEPTH = 200
"""Deepest nesting in metadata; far below the stack limit of every supported Python."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)
_many = msgspec.json.Decoder(list[Message])
_set = msgspec.structs.force_setattr
_from_seconds = datetime.fromtimestamp
_LATE = 4_000_000_000_000_000  # the year 2096
_MANY = 1_000
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
    """A message ready for a store. Raises InvalidMessage as `encode` does."""
    if not isinstance(message, Message):  # pyright: ignore[reportUnnecessaryIsInstance] - not all callers are typed
        raise InvalidMessage(_no_message(message))
    kind = _kind(message)
    blobs: tuple[Blob, ...] = ()
    if _has_media(message):
        require_base64(message)
        message, blobs = set_aside(message)
        kind |= MEDIA if blobs or addresses(message) else 0
    at: int | None = None
    if message.created_at is not None:
        check_time(message)
        at = to_micros(message.created_at)
    slim = message
    if message.seq or at is not None or kind >> WIRE_SHIFT:
        wire = None if kind >> WIRE_SHIFT else message.wire
        slim = msgspec.structs.replace(message, seq=0, created_at=None, wire=wire)
    return Draft(body=msgspec.Raw(encode(slim)), kind=kind, id=message.id, at=at, blobs=blobs)


def _has_media(message: Message) -> bool:
    try:
        return has_media(message)
    except TypeError:  # parts that are no parts: encoding says so
        return False


def _no_message(given: object) -> str:
    return (
        f"a message is a palaver.Message, not {type(given).__name__}: use palaver.user(…), palaver.assistant(…), "
        "palaver.tool(…), or palaver.parse('openai_chat', …) for what a provider sent"
    )


def _kind(message: Message) -> int:
    try:
        return kind_of(message)
    except (KeyError, TypeError) as exc:
        raise InvalidMessage(f"the message could not be read back as it is: {exc!r} is no role, flag or wire") from exc


def restore(seq: int, kind: int, at: int, body: bytes | msgspec.Raw, *, store: str = "", location: str = "") -> Message:
    """The message of a stored row. Raises CorruptRecord, naming `store` and `location`."""
    message = decode(body, store=store, location=location)
    _complete(message, seq, kind, at)
    return message


def restore_many(rows: Sequence[tuple[Any, ...]]) -> list[Message]:
    """The messages of stored rows, which begin with seq, kind, at and body, in one pass.

    Raises CorruptRecord without a location: restore them singly then.
    """
    if len(rows) < _MANY:
        return _restored(rows)
    with no_gc():
        return _restored(rows)


def _restored(rows: Sequence[tuple[Any, ...]]) -> list[Message]:
    messages = decode_many([row[3] for row in rows])
    put, date, zone, wires = _set, _from_seconds, UTC, WIRES
    before, when = -1, from_micros(-1)
    for message, row in zip(messages, rows, strict=True):  # `_complete` without its calls: this is the hot path
        at = row[2]
        if at != before:  # messages that were stored together have one time
            before, when = at, date(at / 1e6, zone) if 0 <= at < _LATE else from_micros(at)
        put(message, "seq", row[0])
        put(message, "created_at", when)
        wire = row[1] >> WIRE_SHIFT & WIRE_MASK
        if wire:
            put(message, "wire", wires[wire])
    return messages


def _complete(message: Message, seq: int, kind: int, at: int) -> None:
    """Set what the row keeps. The message is new and nobody has seen it yet."""
    _set(message, "seq", seq)
    # Exact to the microsecond for these years; from_micros is for all, and slower.
    _set(message, "created_at", _from_seconds(at / 1e6, UTC) if 0 <= at < _LATE else from_micros(at))
    wire = kind >> WIRE_SHIFT & WIRE_MASK
    if wire:
        _set(message, "wire", WIRES[wire])


def decode(body: bytes | msgspec.Raw, *, store: str = "", location: str = "") -> Message:
    """The message in a stored body. Raises CorruptRecord, naming `store` and `location`."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError) as exc:
        raise CorruptRecord(store=store, location=location, excerpt=_excerpt(body)) from exc


def decode_many(bodies: Sequence[bytes]) -> list[Message]:
    """The messages in stored bodies, in one pass. Raises CorruptRecord without a location: decode singly then."""
    try:
        joined = b"[" + b",".join(bodies) + b"]"
        out = _many.decode(joined)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError) as exc:
        raise CorruptRecord(location="a batch", excerpt=str(exc)[:80]) from exc
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
    check_time(message)
    check_cost(message)
    check_metadata(message)


def check_time(message: Message) -> None:
    """Refuse a creation time that names no instant."""
    at = cast("object", message.created_at)
    if at is not None and (not isinstance(at, datetime) or at.tzinfo is None):
        raise InvalidMessage("created_at has no time zone; give an aware time, such as datetime.now(timezone.utc)")


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
    given = cast("object", message.id)
    if given is not None and not isinstance(given, str):
        return f"the message id {given!r} is {type(given).__name__}; it is text: pass str(…)"
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
        items = ((f"{path}.{k}", v) for k, v in value.items())  # pyright: ignore[reportUnknownVariableType] - any JSON
    elif isinstance(value, (list, tuple)):
        items = ((f"{path}[{i}]", v) for i, v in enumerate(value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for where, child in items:
        found = _surrogate_path(child, where)
        if found:
            return found
    return None


def _excerpt(body: object) -> str:
    if isinstance(body, bytes | msgspec.Raw):
        return bytes(body)[:80].decode("utf-8", "replace")
    return repr(body)  # a damaged row may hold anything
