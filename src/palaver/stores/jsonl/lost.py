"""What a session's file lost although it was answered for: kept aside as the index had it, named, and put back.

The files are the truth: a file that ends before it did is read as it is. The index knew more, as long as it is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from palaver.errors import CorruptRecord
from palaver.findings import Finding, finding
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.lines import LAST
from palaver.stores.jsonl.names import lost_name
from palaver.stores.jsonl.snapshots import snapshot
from palaver.stores.sqlite.rows import head_row, newer_head
from palaver.stores.sqlite.statements import Statements

__all__ = [
    "Before",
    "Lost",
    "before",
    "findings",
    "keep",
    "kept_aside",
    "lost_decoder",
    "newest_of",
    "require_none",
    "shorter",
    "unread",
]

_log = logging.getLogger(__name__)
_SUFFIX = ".lost"
_NAMED = 100
"""Messages that are named one by one; all of them are in what was set aside."""


class Before(NamedTuple):
    """A session as the index had it, before its file is read anew."""

    size: int
    """Bytes of the file that were in the index."""
    session_id: str
    rev: int
    last_seq: int
    messages: list[tuple[int, str | None]]
    """Positions, and ids that callers gave."""
    text: bytes
    """All of it as lines."""


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag="lost", tag_field="type"):
    """The first line of what is set aside; the lines of the session as the index had it come after it."""

    file: str
    session: str
    """Its id; empty: it is the file of the whole store."""
    number: int
    kept: int
    """Bytes that the file had still."""
    known: int
    """Bytes that it had when it was last in the index."""
    rev: int | None
    """The session's version as the file has it; None: it does not have the session."""
    newest: int
    """The newest message that the file has."""
    messages: tuple[tuple[int, str | None], ...]


lost_decoder = msgspec.json.Decoder(Lost)


# ---------------------------------------------------------------------- when a file is read
def before(sql: Statements, number: int, size: int) -> Before:
    """What the index has of a session; `number` 0: of the whole store."""
    base = number << 32
    row = sql.one("session", (number,))
    head = newer_head(head_row(sql.all("head", (number,))[0]), newest_of(sql, number)) if row is not None else None
    named = {seq: each for _, each, seq in sql.all("snapshot_put_message_id", {"number": number})}
    places = [place & LAST for (place,) in sql.all("places", (base, base | LAST))]
    return Before(
        size=size,
        session_id=row[1] if row is not None else "",
        rev=row[4] if row is not None else 0,
        last_seq=head.last_seq if head is not None else 0,
        messages=[(seq, named.get(seq)) for seq in places],
        text=snapshot(sql, number, 0),
    )


def keep(sql: Statements, directory: Directory, file: str, number: int, was: Before, kept: int) -> None:
    """After the file was read: put aside what it lacks at its end, if that is anything; go on at new positions."""
    row = sql.one("session", (number,))
    newest = newest_of(sql, number)
    last = newest[0] & LAST if newest is not None else 0
    lost = tuple(each for each in was.messages if each[0] > last)
    rev: int | None = row[4] if row is not None else None
    if number and not lost and rev is not None and rev >= was.rev:
        return
    head = Lost(
        file=file,
        session=was.session_id,
        number=number,
        kept=kept,
        known=was.size,
        rev=rev,
        newest=last,
        messages=lost,
    )
    name = lost_name(file, kept, was.text)
    directory.set_aside(name, msgspec.json.encode(head) + b"\n" + was.text)
    if row is not None:  # positions are not given out twice
        now = newer_head(head_row(sql.all("head", (number,))[0]), newest)
        sql.run("put_head", (was.last_seq, now.message_count, now.last_active, now.user_seq, number))
    _log.error(
        "%s ends at byte %d, and %d were answered for; what the index had is set aside, run `palaver check`: %s",
        file,
        kept,
        was.size,
        name,
        extra={"action": "lines_lost", "file": file, "messages": len(lost)},
    )


def newest_of(sql: Statements, number: int) -> tuple[Any, ...] | None:
    """The newest message that the index has of a session."""
    return sql.one("newest_after", (number << 32, number << 32 | LAST))


# ---------------------------------------------------------------------- what check says
def shorter(sql: Statements, directory: Directory) -> list[tuple[int, str, int, int]]:
    """Files that end before they did when they were last read, which nobody has read since.

    The session's number, the file, its bytes, and how many of it the index has. One that is gone went with its session.
    """
    found: list[tuple[int, str, int, int]] = []
    for number, name, _, _ in sql.all("files"):
        size, changed = directory.size_by_name(name)
        row = sql.one("file", (number,))  # after the look: a commit writes to the file first
        if changed and row is not None and size < row[1]:
            found.append((number, name, size, row[1]))
    return found


def unread(cut: list[tuple[int, str, int, int]]) -> list[Finding]:
    """What `check` says of these."""
    return [
        finding(
            "lines_lost", name, f"it has {size:,} bytes, and had {known:,} that were answered for; open the store anew"
        )
        for _, name, size, known in cut
    ]


def kept_aside(directory: Directory) -> Iterator[tuple[str, Lost]]:
    """What is set aside of files that are there, by its name. One that a person took away with its session is not."""
    for name, head in _all_aside(directory):
        if (directory.sessions / head.file).exists():
            yield name, head


def require_none(directory: Directory) -> None:
    """Nothing of a session may be set aside where something is erased: nobody looks into that, and it may come back.

    Raises CorruptRecord.
    """
    names = [name for name, head in _all_aside(directory) if head.session]
    if names:
        msg = (
            f"{directory.name}: an erasure would leave what is set aside of sessions whose files have lost lines: "
            f"`palaver check --repair` puts it back, or remove it, and erase then: quarantine/{', '.join(names)}"
        )
        raise CorruptRecord(msg, store=directory.name, location=f"quarantine/{names[0]}")


def _all_aside(directory: Directory) -> Iterator[tuple[str, Lost]]:
    if not directory.quarantine.is_dir():
        return
    for path in sorted(directory.quarantine.glob(f"*{_SUFFIX}")):
        try:
            head = lost_decoder.decode(path.read_bytes().partition(b"\n")[0])
        except msgspec.MsgspecError:
            continue
        yield path.name, head


def findings(directory: Directory, session_id: str | None) -> list[Finding]:
    """What `check` says of it, of all sessions or one."""
    return [
        finding(
            "lines_lost",
            f"session {head.session}" if head.session else head.file,
            f"{head.file} ends at byte {head.kept:,} and had {head.known:,} that were answered for: {_told(head)}; "
            f"the index had that: it is in quarantine/{name}",
            session_id=head.session or None,
            seq=head.messages[0][0] if head.messages else None,
        )
        for name, head in kept_aside(directory)
        if session_id in {None, head.session}
    ]


def _told(head: Lost) -> str:
    if not head.messages:
        return "no message is lost, and what was changed last is"
    said = [f"seq {seq} ({each})" if each is not None else f"seq {seq}" for seq, each in head.messages[:_NAMED]]
    more = len(head.messages) - len(said)
    return f"lost are the messages {', '.join(said)}{f' and {more:,} more' if more else ''}"
