"""What lies in quarantine: what is said of it, and what has to wait for what files have lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from palaver.errors import CorruptRecord
from palaver.findings import Finding, finding
from palaver.operations.ranges import runs
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.names import whose_aside
from palaver.stores.jsonl.remainder import Lost, Remainder, opened, remainder
from palaver.stores.sqlite.statements import Statements

__all__ = ["explained", "findings", "kept_aside", "require_none", "sessions_aside", "taken_by_others", "unread"]

_ASIDE = "*.lost"
_UNREAD = (("message_undecodable", "*.line", "a line"), ("journal_damaged", "*.record", "a part of the journal"))
"""What else is found there, by the names of its files."""
_NAMED = 20
"""Ranges of positions that are named one by one; all of them are in what was set aside."""
_FOLLOWS = {"gap", "count", "newest_user", "cut_count", "summary_pointer"}
"""What a session has where messages of it are lost, and lines that came after them."""


def kept_aside(directory: Directory) -> list[Path]:
    """What is set aside, the newest first: if any of it is all that its session was, that is it."""
    if not directory.quarantine.is_dir():
        return []
    return sorted(directory.quarantine.glob(_ASIDE), key=lambda path: (-path.stat().st_mtime_ns, path.name))


def _heads(directory: Directory) -> Iterator[tuple[str, Lost | None]]:
    """What each is of, by its name; None for one that cannot be read."""
    for path in kept_aside(directory):
        try:
            yield path.name, opened(path).head
        except CorruptRecord:
            yield path.name, None


def require_none(directory: Directory) -> None:
    """Nothing of a session may be set aside where something is erased: nobody looks into that, and it may come back.

    Raises CorruptRecord.
    """
    names = [name for name, head in _heads(directory) if head is None or head.session]
    if names:
        msg = (
            f"{directory.name}: an erasure would leave what is set aside of sessions whose files have lost lines: "
            f"`palaver check --repair` puts it back, or remove it, and erase then: quarantine/{', '.join(names)}"
        )
        raise CorruptRecord(msg, store=directory.name, location=f"quarantine/{names[0]}")


def sessions_aside(sql: Statements, directory: Directory) -> set[int]:
    """Numbers of the sessions of which something is set aside."""
    ids = [head.session for _, head in _heads(directory) if head is not None]
    return {row[0] for row in (sql.one("number_by_id", (each,)) for each in ids) if row is not None}


def findings(sql: Statements, directory: Directory, session_id: str | None) -> list[Finding]:
    """What `check` says of it, of all sessions or one."""
    found: list[Finding] = []
    for path in kept_aside(directory):
        try:
            aside = opened(path)
            if session_id in {None, aside.head.session}:
                gone = not (directory.sessions / aside.head.file).exists()
                found.append(_finding(aside.head, remainder(sql, aside), path.name, gone=gone))
        except CorruptRecord as exc:
            if session_id is None:
                unreadable = finding("lines_lost", f"quarantine/{path.name}", str(exc))
                found.append(_by_hand(unreadable, "save what is in it, and remove it"))
    return found


def unread(directory: Directory) -> list[Finding]:
    """What `check` says of all else that could not be read."""
    if not directory.quarantine.is_dir():
        return []
    found = [
        finding(problem, f"quarantine/{path.name}", f"{what} that could not be read was set aside")
        for problem, pattern, what in _UNREAD
        for path in sorted(directory.quarantine.glob(pattern))
    ]
    for path in sorted(directory.quarantine.glob("*.unreadable")):
        file = whose_aside(path.name)
        what = f"sessions/{file} is no session's, or one's whose number another has: a copy of it was set aside"
        by_hand = f"look into it, move sessions/{file} away, and remove what is in quarantine"
        found.append(_by_hand(finding("message_undecodable", f"quarantine/{path.name}", what), by_hand))
    return found


def explained(found: list[Finding], by: list[Finding]) -> list[Finding]:
    """The findings without those that say again what is said by others: that messages of a session are missing."""
    lacking = {each.session_id for each in by if each.seq is not None}
    if not lacking:
        return found
    # Content that no message shows may be what they showed.
    return [
        each
        for each in found
        if each.problem != "media_unheld" and (each.problem not in _FOLLOWS or each.session_id not in lacking)
    ]


def _finding(head: Lost, left: Remainder, name: str, *, gone: bool) -> Finding:
    place = f"session {head.session}" if head.session else head.file
    session_id = head.session or None
    if not left.whole and not left.missing and not left.taken:
        detail = f"what {head.file} had lost is there again or was purged: a repair removes quarantine/{name}"
        return finding("lines_lost", place, detail, session_id=session_id)
    if left.taken and not left.missing:
        detail = taken_by_others(head, left, name)
        by_hand = f"compare both, say again what is only in quarantine/{name}, and remove that"
        return _by_hand(finding("lines_lost", place, detail, session_id=session_id), by_hand)
    if gone:
        what = f"{head.file} is gone, and had lost lines before"
    elif head.kept < head.known:
        what = f"{head.file} ends at byte {head.kept:,} and had {head.known:,} that were answered for"
    else:
        what = f"{head.file} was changed, and is without what came to it meanwhile"
    lost = f"no message is lost, and what was changed last is{' not there' if gone else ''}"
    if left.missing:
        count = "is 1 message" if len(left.missing) == 1 else f"are {len(left.missing):,} messages"
        lost = f"lost {count}: {_told(left.missing)}"
    others = f"; at {_told(left.taken)} others stand by now" if left.taken else ""
    detail = f"{what}: {lost}{others}; the index had that: it is in quarantine/{name}"
    seq = left.missing[0] if left.missing else None
    found = finding("lines_lost", place, detail, session_id=session_id, seq=seq)
    if not gone or not head.session:
        return found
    remedy = f"repair makes the session again as the index had it; if it is to be gone, remove quarantine/{name}"
    return msgspec.structs.replace(found, remedy=remedy)


def _by_hand(found: Finding, remedy: str) -> Finding:
    return msgspec.structs.replace(found, remedy=remedy, repairable=False)


def taken_by_others(head: Lost, left: Remainder, name: str) -> str:
    """What is said of messages that cannot be put back."""
    return (
        f"of what {head.file} had lost, {_told(left.taken)} cannot be put back: other messages stand there by now; "
        f"what stood there is in quarantine/{name}"
    )


def _told(seqs: tuple[int, ...]) -> str:
    """Positions, in words: seq 3, 5-9."""
    ranges = runs(list(seqs))
    said = [f"{low}-{high}" if low < high else str(low) for low, high in ranges[:_NAMED]]
    more = sum(high - low + 1 for low, high in ranges[_NAMED:])
    return f"seq {', '.join(said)}{f' and {more:,} more' if more else ''}"
