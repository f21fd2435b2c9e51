"""Rows of the SQLite store as operations ask for them: loaded through the writing connection."""

from __future__ import annotations

from typing import Any

from palaver.erasure import Erasure
from palaver.records import ImportMark
from palaver.rows import (
    Binding,
    CompactionRow,
    CutRow,
    Head,
    SessionRow,
    StoredMessage,
    TodoRow,
    TurnRow,
    UsageRow,
    VersionRow,
)
from palaver.stores.ledger import CachedLedger
from palaver.stores.sqlite.fields import legible_turn, sound
from palaver.stores.sqlite.rows import (
    LAST,
    compaction_row,
    cut_row,
    erasure_row,
    head_row,
    newer_head,
    todo_row,
)
from palaver.stores.statements import Statements

__all__ = ["LoadedLedger"]


class LoadedLedger(CachedLedger):
    """A ledger that loads its rows; what flushes them derives from it."""

    def __init__(self, sql: Statements) -> None:
        super().__init__()
        self._sql = sql
        self._saved: dict[int, int] = {}
        """When each session's row was last written, in the operations' microseconds."""
        self._stored_lists: dict[tuple[str, int], tuple[Any, ...]] = {}
        """Queues, cuts and compactions as they are stored, by what they are and the session's number."""
        self._next_number: int | None = None
        self._damaged_turns: dict[str, bytes] = {}
        """What cannot be decoded of turns, as it was found, by where it stands."""

    def forget(self) -> None:
        super().forget()
        self._saved.clear()
        self._stored_lists.clear()
        self._damaged_turns.clear()
        self._next_number = None

    def next_number(self) -> int:
        number = self._next_number
        if number is None:
            row = self._sql.one("highest_number")
            number = int(row[0]) + 1 if row is not None else 1
        self._next_number = number + 1
        return number

    def _one(self, name: str, *values: Any) -> tuple[Any, ...] | None:
        return self._sql.one(name, values)

    def _load_session(self, number: int) -> SessionRow | None:
        row = self._one("session", number)
        return sound(row) if row is not None else None

    def _load_number(self, session_id: str) -> int | None:
        row = self._one("number_by_id", session_id)
        return row[0] if row is not None else None

    def _load_head(self, number: int) -> Head | None:
        row = self._one("head", number)
        if row is None:
            return None
        head = head_row(row)
        self._saved[number] = head.last_active
        base = number << 32
        return newer_head(head, self._one("newest_after", base | head.last_seq, base | LAST))

    def _load_binding(self, key: tuple[str, str]) -> Binding | None:
        row = self._one("binding", *key)
        return Binding(*row) if row is not None else None

    def _load_keys(self, number: int) -> tuple[tuple[str, str], ...] | None:
        return tuple(self._sql.all("keys_of", (number,)))

    def _load_subagents(self, session_id: str) -> list[int]:
        return [row[0] for row in self._sql.all("subagents", (session_id,))]

    def _load_alias(self, key: tuple[str, str]) -> int | None:
        row = self._one("alias", *key)
        return row[0] if row is not None else None

    def _load_titled(self, key: tuple[str, str]) -> int | None:
        row = self._one("titled", *key)
        return row[0] if row is not None else None

    def _first_turns_after(self, number: int, seq: int) -> list[int]:
        row = self._one("first_turn", number << 32 | (seq + 1), number << 32 | LAST)
        return [row[0] & LAST] if row is not None and row[0] is not None else []

    def _load_turn_seqs(self, number: int, first_seq: int, last_seq: int) -> list[int]:
        base = number << 32
        return [r[0] for r in self._sql.all("turn_seqs", (base | first_seq, base | last_seq, first_seq))]

    def _load_message(self, key: tuple[int, int]) -> StoredMessage | None:
        row = self._one("message", key[0] << 32 | key[1])
        return StoredMessage(key[1], *row) if row is not None else None

    def _load_versions(self, key: tuple[int, int]) -> tuple[VersionRow, ...] | None:
        return tuple(VersionRow(*row) for row in self._sql.all("versions", (key[0] << 32 | key[1],)))

    def _find_edit(self, number: int, from_seq: int, through_seq: int, rev: int) -> bool:
        base = number << 32
        return self._one("edited_since", base | from_seq, base | min(through_seq, LAST), rev) is not None

    def _load_references(self, owner: str, address: str) -> list[tuple[int, int]]:
        many = LAST if self.purges else 1  # what this commit purges vouches for nothing
        return [(row[0], row[1]) for row in self._sql.all("references_of_owner", (address, owner, many))]

    def _load_message_seq(self, key: tuple[int, str]) -> int | None:
        row = self._one("message_seq", *key)
        return row[0] if row is not None else None

    def _load_turn(self, key: tuple[int, int]) -> TurnRow | None:
        row = self._one("turn", key[0] << 32 | key[1])
        return self._turn_of(row) if row is not None else None

    def _turn_of(self, row: tuple[Any, ...]) -> TurnRow:
        """A turn without what of it cannot be decoded; who writes the row anew sets that aside before."""
        return legible_turn(row, self._damaged_turns.__setitem__)

    def _load_last_turn(self, number: int) -> int | None:
        row = self._one("last_turn", number << 32, number << 32 | LAST)
        return row[0] & LAST if row is not None and row[0] is not None else 0

    def _load_queue(self, number: int) -> tuple[int, ...] | None:
        rows = self._sql.all("queue", (number << 32, number << 32 | LAST))
        seqs = tuple(r[0] for r in rows)
        self._stored_lists["queue", number] = seqs
        return seqs

    def _load_todo(self, number: int) -> TodoRow | None:
        row = self._one("todo", number)
        return todo_row(row) if row is not None else None

    def _load_cuts(self, number: int) -> tuple[CutRow, ...] | None:
        cuts = tuple(cut_row(r) for r in self._sql.all("cuts", (number,)))
        self._stored_lists["cuts", number] = cuts
        return cuts

    def _load_compactions(self, number: int) -> tuple[CompactionRow, ...] | None:
        rows = tuple(compaction_row(r) for r in self._sql.all("compactions", (number,)))
        self._stored_lists["compactions", number] = rows
        return rows

    def _load_erasure(self, erasure_id: str) -> Erasure | None:
        row = self._one("erasure", erasure_id)
        return erasure_row(row) if row is not None else None

    def _load_secret(self, _name: str) -> bytes | None:
        row = self._one("meta", "erasure_secret")
        return bytes.fromhex(row[0]) if row is not None else None

    def _load_erased(self, mark: bytes) -> int | None:
        row = self._one("erased", mark)
        return row[0] if row is not None else None

    def _load_aliases(self, number: int) -> list[tuple[str, str]]:
        return [(row[0], row[1]) for row in self._sql.all("aliases_of", (number,))]

    def _load_usage(self, key: tuple[int, int, str]) -> UsageRow | None:
        row = self._one("usage_row", *key)
        if row is None:
            return None
        return UsageRow(
            session=key[0],
            day=key[1],
            model=key[2],
            calls=row[0],
            input_tokens=row[1],
            output_tokens=row[2],
            cached_tokens=row[3],
            cache_write_tokens=row[4],
            reasoning_tokens=row[5],
            prompt_tokens=row[6],
            cost=row[7],
            updated_at=row[8],
            priced=row[9],
            cost_source=row[10],
        )

    def _load_import_mark(self, number: int) -> ImportMark | None:
        row = self._one("import_mark", number)
        return ImportMark(row[0], row[1], row[2] != 0) if row is not None else None
