"""Everything of a session as lines of JSON, each of which a program can read by itself; docs/export.md describes them.

Messages and sessions are in the form that the codec gives them, which every later version of it can read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from palaver.codec import CODEC_VERSION
from palaver.errors import UnsupportedFormat
from palaver.exporters.entries import Entry, Item
from palaver.info import SessionInfo
from palaver.media import as_text
from palaver.model import Message

__all__ = ["VERSION", "Content", "End", "Header", "Lost", "Record", "lines", "read_line"]

VERSION = 1


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Header(_Line, frozen=True, kw_only=True, tag="session"):
    """The first line of a session."""

    version: int
    """Of these lines."""
    codec: int
    """Of the messages in them."""
    redacted: bool = False
    """Whether something was hidden or left out: then this is no copy of the session."""
    session: SessionInfo


class Content(_Line, frozen=True, kw_only=True, tag="media"):
    """Content of messages that come after it in the file; each address once in a file."""

    blob: str
    data: str
    """Base64."""


class Record(_Line, frozen=True, kw_only=True, tag="message"):
    """A message."""

    live: bool
    """False: it was undone or replaced."""
    message: Message
    versions: tuple[Message, ...] = ()
    """What it said before each of its edits, oldest first."""


class Lost(_Line, frozen=True, kw_only=True, omit_defaults=True, tag="lost"):
    """Something that could not be read: a message, `versions` of one, or the content at an address."""

    seq: int
    versions: int | None = None
    blob: str | None = None


class End(_Line, frozen=True, kw_only=True, tag="end"):
    """The last line of a session; where it is missing, the file is not whole."""

    session: str
    messages: int
    lost: int


Line: TypeAlias = Header | Content | Record | Lost | End
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def lines(info: SessionInfo, items: Iterable[Item], *, redacted: bool = False) -> Iterator[str]:
    """The session's lines, each with its line end. Content stands before the first message that refers to it."""
    yield _line(Header(version=VERSION, codec=CODEC_VERSION, redacted=redacted, session=info))
    messages = lost = 0
    for item in items:
        if not isinstance(item, Entry):
            lost += 1
            yield _line(Lost(seq=item.seq))
            continue
        for address, data in item.media.items():
            yield _line(Content(blob=address, data=as_text(data)))
        messages += 1
        yield _line(Record(live=item.live, message=item.message, versions=item.versions))
        if item.lost_versions:
            lost += item.lost_versions
            yield _line(Lost(seq=item.message.seq, versions=item.lost_versions))
        for address in item.missing:
            lost += 1
            yield _line(Lost(seq=item.message.seq, blob=address))
    yield _line(End(session=info.id, messages=messages, lost=lost))


def read_line(line: bytes | str) -> Line:
    """One line, as a value. Raises UnsupportedFormat for a later version, msgspec.DecodeError for what is no line."""
    found = _decoder.decode(line)
    if isinstance(found, Header) and (found.version > VERSION or found.codec > CODEC_VERSION):
        raise UnsupportedFormat(
            f"this export has version {found.version} and codec {found.codec}; known are {VERSION}, {CODEC_VERSION}: "
            "read it with a newer Palaver"
        )
    return found


def _line(value: Line) -> str:
    return f"{msgspec.json.encode(value).decode()}\n"
