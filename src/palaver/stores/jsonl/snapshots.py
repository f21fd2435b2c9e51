"""A session's file made anew from what is stored of it: without what was purged, and without what nobody needs."""

from __future__ import annotations

from typing import Any

from palaver.rows import ChangeKind
from palaver.stores.jsonl.lines import LAST, LOGGED, line_of
from palaver.stores.sqlite.queries import queries
from palaver.stores.sqlite.statements import Statements

__all__ = ["removes", "snapshot"]

_PREFIX = "snapshot_"
_PURGES = {"purge_messages", "purge_ids"}


def removes(name: str, values: Any) -> bool:
    """Whether older lines of the file hold what must be nowhere once a commit has written this.

    What was purged; a session's own names, where it was erased from; and whom an erasure was about that has ended.
    """
    if name == "put_change":
        return bool(values[3] == ChangeKind.ERASED)
    if name == "put_erasure":
        return values[4] is not None and values[5] is None  # ended, and not scrubbed yet
    return name in _PURGES


def snapshot(sql: Statements, session: int, number: int) -> bytes:
    """The lines of a session (0: of the store) as it is now; the last one has the number of the newest commit."""
    base = session << 32
    values = {"number": session, "first": base, "last": base | LAST}
    named = {base | row[2]: row[1] for row in sql.all("snapshot_put_message_id", {"number": session})}
    lines: list[bytes] = []
    stored: set[int] = set()
    for name in LOGGED:
        query = _PREFIX + name
        text = queries("palaver.stores.jsonl").get(query)
        if text is None:
            continue
        bound = {key: value for key, value in values.items() if f":{key}" in text}
        for row in sql.all(query, bound):
            if name == "put_message":
                stored.add(row[0])
                lines.append(line_of(name, row, message_id=named.get(row[0])))
            elif name == "put_message_id" and base | row[2] in stored and named[base | row[2]] == row[1]:
                continue
            else:
                lines.append(line_of(name, row))
    return b"}\n".join(lines) + b',"n":%d}\n' % number if lines else b""
