"""What a session's file lost although it was answered for: kept aside as the index had it, named, and put back.

The files are the truth: a file that ends before it did is read as it is. The index knew more, as long as it is there.
"""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

import msgspec

from palaver.findings import Finding, finding
from palaver.rows import GONE
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.lines import LAST
from palaver.stores.jsonl.names import lost_name
from palaver.stores.jsonl.remainder import Lost, as_imported, newest_of
from palaver.stores.jsonl.snapshots import snapshot
from palaver.stores.sqlite.rows import cut_row, head_row, newer_head
from palaver.stores.sqlite.statements import Statements

__all__ = ["Before", "before", "has_newest", "keep", "shorter", "unread"]

_log = logging.getLogger(__name__)


class Before(NamedTuple):
    """A session as the index had it, before its file is read anew."""

    size: int
    """Bytes of the file that were in the index."""
    session_id: str
    rev: int
    last_seq: int
    messages: list[tuple[int, str | None]]
    """Positions, and ids that callers gave."""
    imported: bool
    """Whether it was what an import had made of it."""
    text: bytes
    """All of it as lines."""


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
        imported=as_imported(sql, number),
        text=snapshot(sql, number, 0),
    )


def has_newest(sql: Statements, number: int, data: bytes) -> bool:
    """Whether a file has the line of the newest message that the index has: then it lacks none at its end."""
    newest = newest_of(sql, number)
    return newest is None or re.search(rb'"type":"message","seq":%d\b' % (newest[0] & LAST), data) is not None


def keep(sql: Statements, directory: Directory, file: str, number: int, was: Before, kept: int) -> None:
    """After the file was read: put aside what it lacks at its end, if that is anything; go on at new positions."""
    row = sql.one("session", (number,))
    newest = newest_of(sql, number)
    last = newest[0] & LAST if newest is not None else 0
    purged = [(cut.from_seq, cut.through_seq) for cut in map(cut_row, sql.all("cuts", (number,))) if cut.kind in GONE]
    lost = tuple(
        each for each in was.messages if each[0] > last and not any(low <= each[0] <= high for low, high in purged)
    )
    rev: int | None = row[4] if row is not None else None
    if number and not lost and rev is not None and (rev >= was.rev or kept >= was.size):
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
        if was.imported and as_imported(sql, number):  # who goes on with the import brings what is missing
            sql.run("put_import", (number, was.last_seq, rev, False))
        sql.run("put_head", (was.last_seq, now.message_count, now.last_active, now.user_seq, number))
    _log.error(
        "%s ends at byte %d, and %d were answered for; what the index had is set aside, run `palaver check`: %s",
        file,
        kept,
        was.size,
        name,
        extra={"action": "lines_lost", "file": file, "messages": len(lost)},
    )


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
    more = "what it lacks is named once the store is opened anew"
    return [
        finding("lines_lost", name, f"it has {size:,} bytes, and had {known:,} that were answered for: {more}")
        for _, name, size, known in cut
    ]
