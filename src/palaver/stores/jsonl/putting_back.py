"""What a file lost, put back by a repair from what was kept of it; see `palaver.stores.jsonl.lost`."""

from __future__ import annotations

from typing import Any, cast

from palaver.errors import CorruptRecord
from palaver.findings import Repaired
from palaver.operations import Ledger
from palaver.rows import ChangeKind
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.ledger import JsonlLedger, WriteAnew
from palaver.stores.jsonl.lines import LAST, statement_of
from palaver.stores.jsonl.lost import Lost, lost_decoder, newest_of
from palaver.stores.jsonl.replay import forget
from palaver.stores.sqlite.mending import Mend
from palaver.stores.sqlite.statements import Statements

__all__ = ["PutBack"]

_OF_MESSAGES = {"put_message", "put_message_id", "put_version", "put_media_ref", "put_turn"}
"""Lines that are put back where the session has gone on since."""
_NOT_FEED = {"put_change", "put_pruned"}
"""Its readers begin anew where a file has lost some of it."""
_IF_FREE = {"put_binding": ("key_of", 2), "put_meta": ("meta", 1)}
"""What is put back only where nothing else is there by now: how that is asked, and by how many values."""


class PutBack(Mend, frozen=True, kw_only=True, tag="put_back"):
    """Put back what a file lost, as the index had it. The JSONL store's own business; it is committed alone.

    Where nothing was done to the session since, it is as it was; else its messages and turns are put back, and what was
    changed besides stays as it is now.
    """

    name: str
    """Of what was set aside."""

    def apply(self, ledger: Ledger) -> Repaired:
        jsonl = cast("JsonlLedger", ledger)
        sql = cast("Statements", jsonl.mending())
        head, lines = self._read(jsonl.directory)
        number = self._number(sql, head)
        if _is_untouched(sql, number, head):
            if number:  # of the whole store nothing is forgotten
                forget(sql, number)
            wanted = None
        else:
            wanted = {seq for seq, _ in head.messages}
            if any(sql.one("message", (number << 32 | seq,)) is not None for seq in wanted):
                msg = f"quarantine/{self.name}: its positions in session {head.session!r} have been taken meanwhile"
                raise CorruptRecord(msg)
        for line in lines:
            _put(sql, line, number, wanted)
        for (rev,) in sql.all("mend_next_rev", (number,)):
            jsonl.add_change(number, rev, ChangeKind.REPAIRED)
        jsonl.anew = WriteAnew(at=self.at, sessions=(number,))
        return Repaired(problem=self.problem, count=max(1, len(head.messages)), action="put back what the index had")

    def _read(self, directory: Directory) -> tuple[Lost, list[bytes]]:
        try:
            first, *lines = (directory.quarantine / self.name).read_bytes().splitlines()
            return lost_decoder.decode(first), lines
        except (OSError, ValueError) as exc:
            msg = f"quarantine/{self.name} cannot be read: {exc}"
            raise CorruptRecord(msg) from exc

    def _number(self, sql: Statements, head: Lost) -> int:
        """The number of the session; that which it had, where the file has nothing of it any more."""
        if not head.session:
            return 0
        found = sql.one("number_by_id", (head.session,))
        if found is None and sql.one("number_taken", (head.number,)) is not None:
            msg = f"quarantine/{self.name}: another session has the number of session {head.session!r} by now"
            raise CorruptRecord(msg)
        return found[0] if found is not None else head.number


def _is_untouched(sql: Statements, number: int, head: Lost) -> bool:
    row, newest = sql.one("session", (number,)), newest_of(sql, number)
    return (row[4] if row is not None else None, newest[0] & LAST if newest is not None else 0) == (
        head.rev,
        head.newest,
    )


def _put(sql: Statements, line: bytes, number: int, wanted: set[int] | None) -> None:
    (name, values), fields = statement_of(line, number)
    if name in _NOT_FEED or (name in _IF_FREE and sql.one(_IF_FREE[name][0], values[: _IF_FREE[name][1]]) is not None):
        return
    if wanted is not None and (name not in _OF_MESSAGES or _seq(name, values) not in wanted):
        return
    if name == "put_message" and isinstance(fields.get("id"), str):
        sql.run("put_message_id", (number, fields["id"], values[0] & LAST))
    sql.run(name, values)


def _seq(name: str, values: Any) -> int:
    """Where a line's message, or turn, stands."""
    if name == "put_message_id":
        return int(values[2])
    return int(values[1 if name == "put_media_ref" else 0]) & LAST
