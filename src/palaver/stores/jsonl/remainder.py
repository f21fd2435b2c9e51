"""What a file still lacks of what was set aside of it: some may be there again, brought by a copy or by a repair."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from palaver.erasure import keyed, mark
from palaver.errors import CorruptRecord
from palaver.operations.ranges import joined
from palaver.rows import GONE
from palaver.stores.jsonl.lines import LAST, Statement, statement_of
from palaver.stores.sqlite.rows import cut_row, head_row, newer_head
from palaver.stores.statements import Statements

__all__ = ["Aside", "Line", "Lost", "Remainder", "as_imported", "newest_of", "opened", "remainder"]


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


_lost = msgspec.json.Decoder(Lost)


Line: TypeAlias = tuple[Statement, dict[str, Any]]
"""The statement that a line stands for, and all that it says."""


class Aside(NamedTuple):
    """One of these, read."""

    name: str
    head: Lost
    lines: list[bytes]

    def statements(self, number: int) -> list[Line]:
        """What its lines say, of a session that has this number. Raises CorruptRecord."""
        try:
            return [statement_of(line, number) for line in self.lines]
        except (ValueError, KeyError, TypeError) as exc:
            raise _unreadable(self.name, exc) from exc


class Remainder(NamedTuple):
    """What is to be done with one."""

    number: int
    """Of the session; 0: it is the whole store."""
    whole: bool
    """All of it is put back: nothing was done to the session since, or nothing is there of it."""
    missing: tuple[int, ...]
    """Positions of messages that were lost, and are not there again."""
    taken: tuple[int, ...]
    """Positions of lost messages where another one stands by now."""


def opened(path: Path) -> Aside:
    """What was set aside. Raises CorruptRecord where it cannot be read."""
    try:
        first, *lines = path.read_bytes().splitlines()
        return Aside(path.name, _lost.decode(first), lines)
    except (OSError, ValueError) as exc:
        raise _unreadable(path.name, exc) from exc


def _unreadable(name: str, exc: Exception) -> CorruptRecord:
    return CorruptRecord(f"quarantine/{name} cannot be read, and is not put back: {exc}")


def remainder(sql: Statements, aside: Aside) -> Remainder:
    """Compare what is there with what was set aside. Raises CorruptRecord where that cannot be read."""
    head = aside.head
    wanted = {seq for seq, _ in head.messages}
    if not head.session:
        return Remainder(0, whole=True, missing=(), taken=())
    found = sql.one("number_by_id", (head.session,))
    if found is None:
        if _was_erased(sql, head.session):
            return Remainder(0, whole=False, missing=(), taken=())
        everything = sorted(
            values[0] & LAST for (name, values), _ in aside.statements(head.number) if name == "put_message"
        )
        return Remainder(_free(sql, head.number), whole=True, missing=tuple(everything), taken=())
    number: int = found[0]
    if _stands(sql, number) == (head.rev, head.newest):
        return Remainder(number, whole=True, missing=tuple(sorted(wanted)), taken=())
    purged = joined([(c.from_seq, c.through_seq) for c in map(cut_row, sql.all("cuts", (number,))) if c.kind in GONE])
    missing: list[int] = []
    taken: list[int] = []
    for (name, values), _ in aside.statements(number):
        seq = values[0] & LAST if name == "put_message" else 0
        if seq not in wanted or any(low <= seq <= high for low, high in purged):
            continue
        row = sql.one("message", (values[0],))
        if row is None:
            missing.append(seq)
        elif not _is_there(sql, values, row):
            taken.append(seq)
    return Remainder(number, whole=False, missing=tuple(missing), taken=tuple(taken))


def _is_there(sql: Statements, lost: tuple[Any, ...], row: tuple[Any, ...]) -> bool:
    """Whether a lost message is what stands there, or what that was before it was edited."""
    place, kind, _, _, at, body = lost
    if (row[0], row[3], row[4]) == (kind, at, body):
        return True
    return any((known, said) == (kind, body) for _, _, known, said in sql.all("versions", (place,)))


def _was_erased(sql: Statements, session_id: str) -> bool:
    secret = sql.one("meta", ("erasure_secret",))
    return secret is not None and (
        sql.one("erased", (keyed(bytes.fromhex(secret[0]), mark("session", session_id)),)) is not None
    )


def _free(sql: Statements, number: int) -> int:
    """The number that a session had, or, where another has it by now, the next one."""
    if sql.one("number_taken", (number,)) is None:
        return number
    row = sql.one("highest_number")
    return int(row[0]) + 1 if row is not None else number + 1


def _stands(sql: Statements, number: int) -> tuple[int | None, int]:
    """A session's version, and where its newest message is."""
    row, newest = sql.one("session", (number,)), newest_of(sql, number)
    return row[4] if row is not None else None, newest[0] & LAST if newest is not None else 0


def newest_of(sql: Statements, number: int) -> tuple[Any, ...] | None:
    """The newest message that the index has of a session."""
    return sql.one("newest_after", (number << 32, number << 32 | LAST))


def as_imported(sql: Statements, number: int) -> bool:
    """Whether a session was imported and is what its import made of it."""
    session, marked, head = sql.one("session", (number,)), sql.one("import_mark", (number,)), sql.one("head", (number,))
    if session is None or marked is None or head is None:
        return False
    now = newer_head(head_row(head), newest_of(sql, number))
    return bool((marked[0], marked[1]) == (now.last_seq, session[4]))
