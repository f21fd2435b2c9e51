"""Binary content of messages, kept out of line: once for all messages that hold it, by its content address.

A message with a large image holds the image's address (`blob`) once it is stored; who shows it to a model puts the
bytes back. Only what comes back as the very same text is taken out: base64 has spellings that decoding does not keep.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from palaver.errors import InvalidMessage
from palaver.model import AudioPart, FilePart, ImagePart, Message, Part, ResultPart, TextPart, ToolResult

__all__ = [
    "OUT_OF_LINE",
    "Blob",
    "address_of",
    "addresses",
    "as_text",
    "filled",
    "holds_media",
    "restored",
    "set_aside",
    "size_of",
    "wanted",
]

OUT_OF_LINE = 16 * 1024
"""Content of more bytes than this is kept out of line."""

MediaPart: TypeAlias = ImagePart | AudioPart | FilePart
_MEDIA = (ImagePart, AudioPart, FilePart)
_ADDRESS = re.compile(r"[0-9a-f]{64}-[1-9][0-9]{0,11}")
_KINDS = {ImagePart: "image", AudioPart: "audio", FilePart: "file"}


class Blob(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are kept out of line."""

    address: str
    """sha256 of the bytes in hex, `-`, and how many they are."""
    data: bytes


def address_of(data: bytes) -> str:
    """The content address of bytes."""
    return f"{hashlib.sha256(data).hexdigest()}-{len(data)}"


def set_aside(message: Message) -> tuple[Message, tuple[Blob, ...]]:
    """The message with addresses in place of its large content, and that content.

    Raises InvalidMessage for a part whose `blob` is no address, or that has content beside it.
    """
    found: list[Blob] = []

    def aside(part: MediaPart) -> MediaPart:
        if part.blob is not None:
            if not _ADDRESS.fullmatch(part.blob) or part.data is not None:
                raise InvalidMessage(
                    f"blob {part.blob!r} is what a store calls content of its own: give the content, as base64 in data"
                )
            return part
        blob = _blob(part.data) if part.data is not None else None
        if blob is None:
            return part
        found.append(blob)
        return msgspec.structs.replace(part, data=None, blob=blob.address)

    message = _changed(message, aside)
    return message, tuple(found)


def _blob(text: str) -> Blob | None:
    """The bytes of a base64 text, where they are many and give the very same text back."""
    if len(text) <= OUT_OF_LINE * 4 // 3 + 2:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) <= OUT_OF_LINE or as_text(data) != text:
        return None
    return Blob(address_of(data), data)


def as_text(data: bytes) -> str:
    """Base64, as `data` of a part holds it."""
    return base64.b64encode(data).decode("ascii")


def size_of(part: MediaPart) -> int:
    """How many bytes the part's content has; 0 where it holds none itself (a link, a provider's file)."""
    if part.blob is not None:
        return int(part.blob.rpartition("-")[2]) if _ADDRESS.fullmatch(part.blob) else 0
    if part.data is None:
        return 0
    return len(part.data) // 4 * 3 - part.data[-2:].count("=")


def addresses(message: Message) -> tuple[str, ...]:
    """Where the out-of-line content of a message is, each address once."""
    return tuple(dict.fromkeys(part.blob for part in _media_of(message) if part.blob is not None))


def holds_media(messages: Iterable[Message]) -> bool:
    """Whether any of the messages has an image, a recording or a file. One quick look at each."""
    for message in messages:
        for part in message.parts:
            if type(part) in _KINDS:
                return True
            if type(part) is ToolResult:
                for inner in part.parts:
                    if type(inner) in _KINDS:
                        return True
    return False


def _media_of(message: Message) -> Iterable[MediaPart]:
    for part in message.parts:
        if isinstance(part, _MEDIA):
            yield part
        elif isinstance(part, ToolResult):
            for inner in part.parts:
                if isinstance(inner, _MEDIA):
                    yield inner


def wanted(messages: Sequence[Message], limit: int) -> list[str]:
    """Addresses of the content that `filled` puts in, each once, newest first."""
    shown = _within(messages, limit)
    return list(
        dict.fromkeys(
            part.blob
            for index in range(len(messages) - 1, -1, -1)
            if index in shown
            for part, fits in zip(_media_of(messages[index]), shown[index], strict=True)
            if fits and part.blob is not None
        )
    )


def filled(messages: tuple[Message, ...], held: Mapping[str, str], limit: int) -> tuple[tuple[Message, ...], list[int]]:
    """The messages as a model sees them, and which of them (by index) do not show all of their content.

    `held` has base64 by address. The newest content that fits in `limit` bytes is there; a line of text stands for the
    rest, and for what is not held. Content that is not large enough to be out of line counts nothing and stays.
    """
    out: list[Message] | None = None
    short: list[int] = []
    for index, fits in _within(messages, limit).items():
        places = iter(fits)
        hidden = False

        def put(part: MediaPart) -> MediaPart | TextPart:
            nonlocal hidden
            shown = next(places)  # noqa: B023 - called before the loop goes on
            if shown and part.blob is None:
                return part
            text = held.get(part.blob) if shown and part.blob is not None else None
            if text is None:
                hidden = True
                return _breadcrumb(part)
            return msgspec.structs.replace(part, data=text, blob=None)

        message = messages[index]
        replaced = _changed(message, put)
        if hidden:
            short.append(index)
            replaced = replaced.replace(tokens=None)
        if replaced is not message:
            out = list(messages) if out is None else out
            out[index] = replaced
    if out is None:
        return messages, short
    return tuple(out), short


def restored(messages: Sequence[Message], held: Mapping[str, str]) -> tuple[Message, ...]:
    """The messages with the content that is held; the rest is still an address."""

    def put(part: MediaPart) -> MediaPart:
        text = held.get(part.blob) if part.blob is not None else None
        return part if text is None else msgspec.structs.replace(part, data=text, blob=None)

    return tuple([_changed(message, put) for message in messages]) if held else tuple(messages)


def _within(messages: Sequence[Message], limit: int) -> dict[int, list[bool]]:
    """For each message with media, by index from the oldest: which of its parts are shown."""
    if not holds_media(messages):
        return {}
    by_index = {index: media for index, message in enumerate(messages) if (media := list(_media_of(message)))}
    shown: dict[int, list[bool]] = {}
    used = 0
    for index in sorted(by_index, reverse=True):
        fits: list[bool] = []
        for part in reversed(by_index[index]):
            size = size_of(part)
            counts = size > OUT_OF_LINE
            fits.append(not counts or used + size <= limit)
            used += size if counts and fits[-1] else 0
        fits.reverse()
        shown[index] = fits
    return {index: shown[index] for index in sorted(shown)}


def _breadcrumb(part: MediaPart) -> TextPart:
    """The line that stands for content which is not shown."""
    name = " ".join((part.name or "").split())[:64]
    said = (name, part.media_type, f"{-(-size_of(part) // 1024)} KB")
    return TextPart(text=f"[{_KINDS[type(part)]} not shown: {', '.join(word for word in said if word)}]")


def _changed(message: Message, change: Callable[[MediaPart], MediaPart | TextPart]) -> Message:
    """The message with each media part as `change` gives it; the very same where nothing changes."""
    parts: list[Part] = []
    same = True
    for part in message.parts:
        new: Part = part
        if isinstance(part, _MEDIA):
            new = change(part)
        elif isinstance(part, ToolResult) and part.parts:
            inner: list[ResultPart] = [change(p) if isinstance(p, _MEDIA) else p for p in part.parts]
            if any(a is not b for a, b in zip(inner, part.parts, strict=True)):
                new = msgspec.structs.replace(part, parts=tuple(inner))
        same = same and new is part
        parts.append(new)
    return message if same else message.replace(parts=tuple(parts))
