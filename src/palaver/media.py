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

from palaver.annotations import label
from palaver.errors import InvalidMessage
from palaver.model import AudioPart, FilePart, ImagePart, Message, Part, TextPart, ToolResult

__all__ = [
    "OUT_OF_LINE",
    "Blob",
    "address_of",
    "addresses",
    "as_text",
    "filled",
    "has_media",
    "holds_media",
    "is_address",
    "length_of",
    "require_base64",
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
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/]+={0,2})")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_KINDS = {ImagePart: "image", AudioPart: "audio", FilePart: "file"}


class Blob(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are kept out of line."""

    address: str
    """sha256 of the bytes in hex, `-`, and how many they are."""
    data: bytes


def address_of(data: bytes) -> str:
    """The content address of bytes."""
    return f"{hashlib.sha256(data).hexdigest()}-{len(data)}"


def is_address(text: str) -> bool:
    """Whether this could be a content address."""
    return _ADDRESS.fullmatch(text) is not None


def set_aside(message: Message) -> tuple[Message, tuple[Blob, ...]]:
    """The message with addresses in place of its large content, and that content.

    A `data:` URL that somebody wrote into `url` is content too, unless a provider's message came with it.

    Raises InvalidMessage for a part whose `blob` is no address, or that has content beside it.
    """
    found: list[Blob] = []

    def aside(part: MediaPart) -> MediaPart:
        if part.blob is not None:
            if not is_address(str(part.blob)) or part.data is not None:
                raise InvalidMessage(
                    f"blob {part.blob!r} is what a store calls content of its own: give the content, as base64 in data"
                )
            return part
        if part.data is None and part.url is not None and message.wire is None:
            found_url = _DATA_URL.fullmatch(part.url)
            if found_url:
                part = msgspec.structs.replace(part, url=None, media_type=found_url[1], data=found_url[2])
        blob = _blob(part.data) if part.data is not None else None
        if blob is None:
            return part
        found.append(blob)
        return msgspec.structs.replace(part, data=None, blob=blob.address)

    return _changed(message, aside), tuple(found)


def _blob(text: str) -> Blob | None:
    """The bytes of a base64 text, where they are many and give the very same text back."""
    if len(text) <= OUT_OF_LINE * 4 // 3 + 2:
        return None
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    # A strict reader takes one spelling of each text, but for the last bits, which it does not look at.
    if len(data) <= OUT_OF_LINE or as_text(data[-(len(data) % 3 or 3) :]) != text[-4:]:
        return None
    return Blob(address_of(data), data)


def as_text(data: bytes) -> str:
    """Base64, as `data` of a part holds it."""
    return base64.b64encode(data).decode("ascii")


def require_base64(message: Message) -> None:
    """Refuse content that no provider could read: InvalidMessage, with the remedy. What a provider sent is as it is."""
    if message.wire is not None:
        return
    for part in _media_of(message):
        if part.data is not None and not _BASE64.fullmatch(part.data):
            begin = part.data[:24]
            remedy = "give what stands after the comma" if begin.startswith("data:") else "base64.b64encode(…).decode()"
            raise InvalidMessage(
                f"data of the {_KINDS[type(part)]} begins with {begin!r} and is not base64 on one line: {remedy}"
            )


def length_of(address: str) -> int:
    """How many bytes there are at a content address; 0 for what is none."""
    return int(address.rpartition("-")[2]) if _ADDRESS.fullmatch(address) else 0


def size_of(part: MediaPart) -> int:
    """How many bytes the part's content has; 0 where it holds none itself (a link, a provider's file)."""
    if part.blob is not None:
        return length_of(part.blob)
    if part.data is None:
        return 0
    return max(0, len(part.data) // 4 * 3 - part.data[-2:].count("="))


def addresses(message: Message) -> tuple[str, ...]:
    """Where the out-of-line content of a message is, each address once."""
    return tuple(dict.fromkeys(part.blob for part in _media_of(message) if part.blob is not None))


def has_media(message: Message) -> bool:
    """Whether the message has an image, a recording or a file."""
    for part in message.parts:
        if type(part) in _KINDS:
            return True
        if type(part) is ToolResult:
            for inner in part.parts:
                if type(inner) in _KINDS:
                    return True
    return False


def holds_media(messages: Iterable[Message]) -> bool:
    """Whether any of the messages has an image, a recording or a file. One quick look at each."""
    return any(map(has_media, messages))


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

    `held` has base64 by address. The newest content is there, as far back as `limit` bytes reach; a line of text stands
    for the rest, and for what is not held. A part that a link or a provider's file shows as well keeps that. In an
    assistant message the rest is left out, since models parrot such lines, unless nothing else were left.
    Content that is not large enough to be out of line counts nothing and stays.
    """
    out: list[Message] | None = None
    short: list[int] = []
    for index, fits in _within(messages, limit).items():
        places = iter(fits)
        hidden = False

        message = messages[index]
        spoken = message.role == "assistant" and any(type(part) not in _KINDS for part in message.parts)

        def put(part: MediaPart) -> MediaPart | TextPart | None:
            nonlocal hidden
            shown = next(places)  # noqa: B023 - called before the loop goes on
            if shown and part.blob is None:
                return part
            text = held.get(part.blob) if shown and part.blob is not None else None
            if text is not None:
                return msgspec.structs.replace(part, data=text, blob=None)
            hidden = True
            if part.url is not None or part.file_id is not None:
                return msgspec.structs.replace(part, data=None, blob=None)
            return None if spoken else _breadcrumb(part)  # noqa: B023

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
    used = 0  # what does not fit lets nothing older in: newer content only ever pushes older content out
    for index in sorted(by_index, reverse=True):
        fits: list[bool] = []
        for part in reversed(by_index[index]):
            size = size_of(part)
            used += size if size > OUT_OF_LINE else 0
            fits.append(size <= OUT_OF_LINE or used <= limit)
        fits.reverse()
        shown[index] = fits
    return {index: shown[index] for index in sorted(shown)}


def _breadcrumb(part: MediaPart) -> TextPart:
    """The line that stands for content which is not shown."""
    said = (label(part.name), label(part.media_type), f"{-(-size_of(part) // 1024)} KiB")
    return TextPart(text=f"[{_KINDS[type(part)]} not shown: {', '.join(word for word in said if word)}]")


def _changed(message: Message, change: Callable[[MediaPart], MediaPart | TextPart | None]) -> Message:
    """The message with each media part as `change` gives it; the very same where nothing changes."""
    parts: list[Part] = []
    same = True
    for part in message.parts:
        new: Part | None = part
        if isinstance(part, _MEDIA):
            new = change(part)
        elif isinstance(part, ToolResult) and part.parts:
            inner = [change(p) if isinstance(p, _MEDIA) else p for p in part.parts]
            if any(a is not b for a, b in zip(inner, part.parts, strict=True)):
                new = msgspec.structs.replace(part, parts=tuple([p for p in inner if p is not None]))
        same = same and new is part
        if new is not None:
            parts.append(new)
    return message if same else message.replace(parts=tuple(parts))
