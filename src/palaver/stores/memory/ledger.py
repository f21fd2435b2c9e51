"""The tables of the memory store, which are all that it has."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.erasure import Erasure
from palaver.errors import SessionNotFound
from palaver.records import ImportMark
from palaver.rows import (
    SUBAGENT,
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
from palaver.stores.tails import TailRow

__all__ = ["MemoryLedger"]


class MemoryLedger(CachedLedger):
    """Its tables are the store itself: there is nothing to load, and nothing is forgotten.

    The reads of the store are functions on it, called with the store's lock held.
    """

    name = "memory://"

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def _load_session(self, number: int) -> SessionRow | None:
        return None

    def _load_number(self, session_id: str) -> int | None:
        return None

    def _load_head(self, number: int) -> Head | None:
        return None

    def _load_binding(self, key: tuple[str, str]) -> Binding | None:
        return None

    def _load_keys(self, number: int) -> tuple[tuple[str, str], ...] | None:
        return None

    def _load_subagents(self, session_id: str) -> list[int]:
        return [
            number
            for number, row in self.sessions.rows.items()
            if row is not None and row.parent == session_id and row.parent_kind == SUBAGENT
        ]

    def _load_alias(self, key: tuple[str, str]) -> int | None:
        return None

    def _load_titled(self, key: tuple[str, str]) -> int | None:
        return None

    def _first_turns_after(self, number: int, seq: int) -> list[int]:
        return [first for n, first in self.turns.rows if n == number and first > seq]

    def _load_turn_seqs(self, number: int, first_seq: int, last_seq: int) -> list[int]:
        out: list[int] = []
        for seq in range(first_seq, last_seq + 1):
            m = self.messages.rows.get((number, seq))
            if m is not None and m.turn and seq - m.turn + 1 == first_seq:
                out.append(seq)
        return out

    def _load_message(self, key: tuple[int, int]) -> StoredMessage | None:
        return None

    def _load_versions(self, key: tuple[int, int]) -> tuple[VersionRow, ...] | None:
        return None

    def _find_edit(self, number: int, from_seq: int, through_seq: int, rev: int) -> bool:
        return False

    def _load_references(self, owner: str, address: str) -> list[tuple[int, int]]:
        return []

    def _load_message_seq(self, key: tuple[int, str]) -> int | None:
        return None

    def _load_turn(self, key: tuple[int, int]) -> TurnRow | None:
        return None

    def _load_last_turn(self, number: int) -> int | None:
        return None

    def _load_queue(self, number: int) -> tuple[int, ...] | None:
        return None

    def _load_todo(self, number: int) -> TodoRow | None:
        return None

    def _load_cuts(self, number: int) -> tuple[CutRow, ...] | None:
        return None

    def _load_compactions(self, number: int) -> tuple[CompactionRow, ...] | None:
        return None

    def _load_usage(self, key: tuple[int, int, str]) -> UsageRow | None:
        return None

    def _load_import_mark(self, number: int) -> ImportMark | None:
        return None

    def _load_erasure(self, erasure_id: str) -> Erasure | None:
        return None

    def _load_secret(self, _name: str) -> bytes | None:
        return None

    def _load_erased(self, mark: bytes) -> int | None:
        return None

    def _load_aliases(self, number: int) -> list[tuple[str, str]]:
        return [name for name, to in self.aliases_by_name.rows.items() if to == number]

    # ------------------------------------------------------------------ what reads share
    def require(self, session_id: str, owner: str | None, *, deleted: bool = False) -> SessionRow:
        """A session; one that was deleted only where that is asked for. Raises SessionNotFound."""
        row = self.find(session_id)
        gone = row is None or (row.deleted_at is not None and not deleted)
        if row is None or gone or (owner is not None and row.owner != owner):
            msg = f"no session {session_id!r}: check the id and the owner"
            raise SessionNotFound(msg)
        return row

    def keys_in_order(self, number: int) -> tuple[str, ...]:
        """The keys that point at a session, oldest binding first."""
        bound = [(self.bindings.rows.get(k), k[1]) for k in self.keys(number)]
        return tuple(key for _, key in sorted((b.since if b is not None else 0, key) for b, key in bound))

    def alias_names(self, number: int) -> tuple[str, ...]:
        """The aliases of a session, in order."""
        return tuple(sorted(alias for (_, alias), to in self.aliases_by_name.rows.items() if to == number))

    def used(self) -> list[UsageRow]:
        """What was used, in no order."""
        return [u for u in self.usage_rows.rows.values() if u is not None]

    # ------------------------------------------------------------------ a source of tails: see `TailSource`
    def newest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        return self._some(number, range(high, low - 1, -1), limit)

    def oldest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        return self._some(number, range(low, high + 1), limit)

    def _some(self, number: int, seqs: range, limit: int) -> list[TailRow]:
        rows = self.messages.rows
        out: list[TailRow] = []
        for seq in seqs:
            if len(out) >= limit:
                break
            m = rows.get((number, seq))
            if m is not None:
                out.append((seq, m.kind, m.back, m.turn, m.at, m.body))
        return out

    def one(self, number: int, seq: int) -> StoredMessage | None:
        return self.messages.rows.get((number, seq))

    def set_aside(self, location: str, body: bytes) -> None:
        """Nothing in memory is damaged by a disk; what was put in is what is here."""
