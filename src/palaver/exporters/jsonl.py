"""Everything of a session as lines of JSON, each of which a program can read by itself; docs/export.md describes them.

Messages and sessions are in the form that the codec gives them, which every later version of it can read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TypeAlias

import msgspec

from palaver.codec import CODEC_VERSION
from palaver.errors import UnsupportedFormat
from palaver.exporters.entries import Damage, Entry, Item
from palaver.info import SessionInfo
from palaver.media import as_text
from palaver.model import Message
from palaver.records import KeyRecord, SessionRecord
from palaver.rows import CompactionRow, CutRow, TodoRow, TurnRow, UsageRow
from palaver.times import from_micros

__all__ = [
    "VERSION",
    "Began",
    "Content",
    "End",
    "Header",
    "Line",
    "Lost",
    "Record",
    "State",
    "Version",
    "lines",
    "read_line",
]

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


class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message said before an edit."""

    message: Message
    rev: int | None = None
    """The session's `rev` that the edit made."""
    edited_at: datetime | None = None


class Record(_Line, frozen=True, kw_only=True, tag="message"):
    """A message."""

    live: bool
    """False: it was undone or replaced."""
    message: Message
    versions: tuple[Version, ...] = ()
    """What it said before each of its edits, oldest first."""
    user_seq: int = 0
    """Position of the newest user message at or before it; 0: there was none."""
    turn_seq: int = 0
    """Where its turn begins; 0: it belongs to none."""
    named: bool = True
    """False: its id names a later message by now."""


class Began(_Line, frozen=True, kw_only=True, tag="turn"):
    """A turn, before the message that it begins with. Its lease is not in it."""

    turn: TurnRow


class State(_Line, frozen=True, kw_only=True, omit_defaults=True, tag="state"):
    """What a session has beside its messages, and what `SessionInfo` does not say. Times are in microseconds."""

    explicit: bool = False
    notice: str | None = None
    leading_seq: int = 0
    user_seq: int = 0
    holds: tuple[tuple[str, int], ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    aliases: tuple[str, ...] = ()
    cuts: tuple[CutRow, ...] = ()
    compactions: tuple[CompactionRow, ...] = ()
    queued: tuple[int, ...] = ()
    usage: tuple[UsageRow, ...] = ()
    purged_ids: tuple[tuple[str, int], ...] = ()
    todo: TodoRow | None = None
    """What is to be done before its reset; nobody has claimed it."""


class Lost(_Line, frozen=True, kw_only=True, omit_defaults=True, tag="lost"):
    """Something that could not be read: a message, `versions` of one, the content at an address, or else `what`."""

    seq: int
    versions: int | None = None
    blob: str | None = None
    what: str | None = None
    """What is not of a message, in words."""


class End(_Line, frozen=True, kw_only=True, tag="end"):
    """The last line of a session; where it is missing, the file is not whole."""

    session: str
    messages: int
    lost: int


Line: TypeAlias = Header | State | Content | Began | Record | Lost | End
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def lines(
    info: SessionInfo,
    items: Iterable[Item | TurnRow | Damage],
    *,
    record: SessionRecord | None = None,
    redacted: bool = False,
) -> Iterator[str]:
    """The session's lines, each with its line end. Content stands before the first message that refers to it.

    With its `record` (and turns among the items, see `read_whole`) an import makes the same session of them.
    """
    yield _line(Header(version=VERSION, codec=CODEC_VERSION, redacted=redacted, session=info))
    if record is not None:
        yield _line(_state(record))
    messages = lost = 0
    for item in items:
        if isinstance(item, TurnRow):
            yield _line(Began(turn=msgspec.structs.replace(item, session=0, token="", holder=None)))
            continue
        if isinstance(item, Damage):
            lost += 1
            yield _line(Lost(seq=item.seq, what=item.what))
            continue
        if not isinstance(item, Entry):
            lost += 1
            yield _line(Lost(seq=item.seq))
            continue
        for address, data in item.media.items():
            yield _line(Content(blob=address, data=as_text(data)))
        messages += 1
        yield _line(_record(item))
        if item.lost_versions:
            lost += item.lost_versions
            yield _line(Lost(seq=item.message.seq, versions=item.lost_versions))
        for address in item.missing:
            lost += 1
            yield _line(Lost(seq=item.message.seq, blob=address))
    yield _line(End(session=info.id, messages=messages, lost=lost))


def _state(record: SessionRecord) -> State:
    row = record.row
    return State(
        explicit=row.explicit,
        notice=row.notice,
        leading_seq=row.leading_seq,
        user_seq=record.head.user_seq,
        holds=row.holds,
        keys=record.keys,
        aliases=record.aliases,
        cuts=record.cuts,
        compactions=record.compactions,
        queued=record.queued,
        usage=record.usage,
        purged_ids=record.purged_ids,
        todo=record.todo,
    )


def _record(item: Entry) -> Record:
    edits: list[tuple[int, int] | None] = [*item.edits, *[None] * (len(item.versions) - len(item.edits))]
    return Record(
        live=item.live,
        message=item.message,
        versions=tuple(
            Version(message=version, rev=edit[0], edited_at=from_micros(edit[1])) if edit else Version(message=version)
            for version, edit in zip(item.versions, edits, strict=True)
        ),
        user_seq=item.user_seq,
        turn_seq=item.turn_seq,
        named=item.named,
    )


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
