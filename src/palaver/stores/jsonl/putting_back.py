"""What a file lost, put back by a repair from what was kept of it; see `palaver.stores.jsonl.lost`."""

from __future__ import annotations

from typing import Any, cast

from palaver.errors import ContentErased, CorruptRecord
from palaver.findings import Repaired
from palaver.operations import Ledger
from palaver.operations.base import refuse_erased
from palaver.rows import ChangeKind
from palaver.stores.jsonl.aside import taken_by_others
from palaver.stores.jsonl.ledger import JsonlLedger, WriteAnew
from palaver.stores.jsonl.lines import LAST
from palaver.stores.jsonl.remainder import Line, Remainder, as_imported, newest_of, opened, remainder
from palaver.stores.jsonl.replay import end_of_feed, forget, keep_positions
from palaver.stores.sqlite.mending import Mend
from palaver.stores.sqlite.rows import head_row, newer_head
from palaver.stores.sqlite.statements import Statements

__all__ = ["PutBack"]

_OF_MESSAGES = {"put_message", "put_message_id", "put_version", "put_media_ref", "put_turn"}
"""Lines that are put back where the session has gone on since."""
_NOT_FEED = {"put_change", "put_pruned"}
"""Its readers begin anew where a file has lost some of it."""
_IF_FREE = {"put_binding": ("key_of", 2), "put_alias": ("alias", 2), "put_meta": ("meta", 1)}
"""What is put back only where nothing else is there by now: how that is asked, and by how many values."""


class PutBack(Mend, frozen=True, kw_only=True, tag="put_back"):
    """Put back what a file lost, as the index had it. The JSONL store's own business; it is committed alone.

    Where nothing was done to the session since, it is as it was; else its messages and turns are put back where nothing
    else stands, and what was changed besides stays as it is now. What is there again already is left alone, and what
    was erased since stays away. A session that is what an import made of it stays so: the import goes on.

    Raises CorruptRecord where nothing of it can be put back.
    """

    name: str
    """Of what was set aside."""

    def apply(self, ledger: Ledger) -> Repaired:
        jsonl = cast("JsonlLedger", ledger)
        sql = cast("Statements", jsonl.mending())
        aside = opened(jsonl.directory.quarantine / self.name)
        left = remainder(sql, aside)
        if not left.whole and not left.missing:
            if left.taken:
                raise CorruptRecord(taken_by_others(aside.head, left, self.name))
            return Repaired(problem=self.problem, count=0, action="all of it is there again: nothing is left to do")
        lines = aside.statements(left.number)
        _require_one_secret(sql, lines)  # from here on it must not fail: what was written would stay
        if left.whole and left.number:  # of the whole store nothing is forgotten
            end = end_of_feed(sql)
            forget(sql, left.number)
            keep_positions(sql, end)
        imported = not left.whole and as_imported(sql, left.number)
        self._put(ledger, sql, lines, left)
        if imported:
            _move_mark(sql, left.number)
        self._tell(jsonl, sql, left.number)
        jsonl.anew = WriteAnew(at=self.at, sessions=(left.number,))
        but = f", but for {len(left.taken):,} whose places others have" if left.taken else ""
        action = f"put back what the index had{but}"
        return Repaired(problem=self.problem, count=max(1, len(left.missing)), action=action)

    def _put(self, ledger: Ledger, sql: Statements, lines: list[Line], left: Remainder) -> None:
        wanted = None if left.whole else set(left.missing)
        erased: set[int] = set()
        for (name, values), fields in lines:
            if name in _NOT_FEED or (wanted is not None and name not in _OF_MESSAGES):
                continue
            seq = _seq(name, values) if name in _OF_MESSAGES else 0
            if seq in erased or (wanted is not None and seq not in wanted):
                continue
            if name == "put_message":
                message_id = fields["id"] if isinstance(fields.get("id"), str) else None
                if _is_erased(ledger, values, message_id):
                    erased.add(seq)
                    continue
                if message_id is not None:
                    sql.run("put_message_id", (left.number, message_id, seq))
            if not _is_outdated(sql, name, values):
                sql.run(name, values)

    def _tell(self, jsonl: JsonlLedger, sql: Statements, number: int) -> None:
        """Let readers know; with a version of its own, unless it is the one that an import gave."""
        if number and as_imported(sql, number):
            row = sql.one("session", (number,))
            revs = [(row[4],)] if row is not None else []
        else:
            revs = sql.all("mend_next_rev", (number,))
        for (rev,) in revs:
            jsonl.add_change(number, rev, ChangeKind.REPAIRED)


def _is_erased(ledger: Ledger, values: Any, message_id: str | None) -> bool:
    try:
        refuse_erased(ledger, values[5], message_id, values[4])
    except ContentErased:
        return True
    return False


def _is_outdated(sql: Statements, name: str, values: Any) -> bool:
    """Whether what is there by now stays: another's key, an erasure that has gone on, what was erased again since."""
    if name == "put_erasure":
        row = sql.one("erasure", values[:1])
        return row is not None and _progress(row) >= _progress(values)
    if name == "put_erased":
        row = sql.one("erased", values[:1])
        return row is not None and row[0] >= values[1]
    if name not in _IF_FREE:
        return False
    query, width = _IF_FREE[name]
    return sql.one(query, values[:width]) is not None


def _require_one_secret(sql: Statements, lines: list[Line]) -> None:
    """Marks of erasures must not come under a key that is not theirs. Raises CorruptRecord."""
    for (name, values), _ in lines:
        row = sql.one("meta", values[:1]) if name == "put_meta" else None
        if row is not None and row[0] != values[1]:
            msg = (
                "something was erased since under another secret, and the marks of both cannot be in one store: save "
                "what is in quarantine elsewhere, remove it there, and erase again what had been erased before"
            )
            raise CorruptRecord(msg)


def _progress(erasure: tuple[Any, ...]) -> tuple[bool, bool]:
    """How far an erasure has come: whether all is gone, and whether the files were cleaned too."""
    return erasure[4] is not None, erasure[5] is not None


def _move_mark(sql: Statements, number: int) -> None:
    """What was put back came by the import: that has come so far."""
    head, session = sql.one("head", (number,)), sql.one("session", (number,))
    if head is not None and session is not None:
        now = newer_head(head_row(head), newest_of(sql, number))
        sql.run("put_import", (number, now.last_seq, session[4], False))


def _seq(name: str, values: Any) -> int:
    """Where a line's message, or turn, stands."""
    if name == "put_message_id":
        return int(values[2])
    return int(values[1 if name == "put_media_ref" else 0]) & LAST
