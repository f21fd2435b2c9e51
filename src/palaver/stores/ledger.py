"""The ledger that stores share: rows read once, changes kept apart until the store writes them, and taken back.

A store says how rows are loaded; what an operation puts is kept here until the store flushes it, so that an operation
that fails leaves nothing, without a savepoint in the database: its changes are undone in memory, every
counter included, and were never written.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.erasure import Erasure, keyed
from palaver.errors import CorruptRecord, InvalidMessage, PalaverError
from palaver.operations import Ledger, Operation
from palaver.records import ImportMark
from palaver.rows import (
    SUBAGENT,
    Binding,
    ChangeKind,
    CompactionRow,
    CutRow,
    Head,
    Holder,
    SessionRow,
    StoredMessage,
    TodoRow,
    TurnRow,
    UsageRow,
    VersionRow,
)
from palaver.stores import holders
from palaver.stores.tables import Tables
from palaver.times import EARLIEST, LATEST

__all__ = ["CachedLedger", "damaged", "refused"]


def refused(operation: Operation, error: Exception) -> InvalidMessage:
    """The answer to an operation with a value that no store could keep."""
    answer = InvalidMessage(f"this {type(operation).__name__} holds a value that cannot be kept: {error}")
    answer.__cause__ = error
    return answer


def damaged(operation: Operation, error: UnicodeDecodeError) -> CorruptRecord:
    """The answer to an operation that needs what is stored, where that is no text any more."""
    session_id = getattr(operation, "session_id", None)
    place = f"session {session_id}" if session_id is not None else "its session"
    answer = CorruptRecord(
        f"what is stored of {place} is no text any more: `palaver check` says what, `check --repair` sets it aside",
        location=place,
        excerpt=str(error)[:80],
    )
    answer.__cause__ = error
    return answer


class CachedLedger(Tables, Ledger):
    """A `Ledger` over tables. Subclasses load rows; the store flushes `changed()` rows and calls `flushed`."""

    # ------------------------------------------------------------------ running operations
    def run(self, operations: Sequence[Operation]) -> list[Any]:
        """Apply each operation; one that raises a PalaverError is undone and answered by the error."""
        results: list[Any] = []
        for operation in operations:
            mark = len(self._undo), len(self.changes), len(self.purges), len(self.rewrites), len(self.gone)
            try:
                if not EARLIEST <= operation.at <= LATEST:
                    raise OverflowError(f"the time {operation.at} is in no calendar")
                results.append(operation.apply(self))
            except PalaverError as error:
                self._take_back(*mark)
                results.append(error.with_traceback(None))
            except UnicodeDecodeError as error:
                self._take_back(*mark)
                results.append(damaged(operation, error))
            except (ValueError, ArithmeticError) as error:  # a value out of all bounds harms its operation alone
                self._take_back(*mark)
                results.append(refused(operation, error))
        return results

    # ------------------------------------------------------------------ the Ledger protocol
    def now(self, at: int) -> int:
        return at

    def alive(self, holder: Holder | None) -> bool:
        return holders.alive(holder)

    def find(self, session_id: str) -> SessionRow | None:
        number = self.numbers.get(session_id)
        if number is None:
            self.numbers.rows.pop(session_id, None)  # another process may make it: only what is found is remembered
            return None
        return self.sessions.get(number)

    def session(self, number: int) -> SessionRow:
        row = self.sessions.get(number)
        if row is None:
            raise KeyError(number)
        return row

    @abstractmethod
    def next_number(self) -> int:
        """A session number that was never given out before."""

    def add_session(self, row: SessionRow, head: Head) -> SessionRow:
        row = msgspec.structs.replace(row, number=self.next_number())
        self.sessions.put(row.number, row)
        self.numbers.put(row.id, row.number)
        if row.title is not None:
            self.titles.put((row.owner, row.title), row.number)
        self.heads.put(row.number, head)
        self.bound.put(row.number, ())
        self.last_turns.put(row.number, 0)
        self.queues.rows[row.number] = ()
        self.todos.rows[row.number] = None
        self.cut_lists.rows[row.number] = ()
        self.compaction_lists.rows[row.number] = ()
        return row

    def subagents(self, session_id: str) -> tuple[int, ...]:
        fresh = (
            number
            for number, row in self.sessions.changed()
            if row is not None and row.parent == session_id and row.parent_kind == SUBAGENT
        )
        return tuple(sorted({*self._load_subagents(session_id), *fresh}))

    def put_session(self, row: SessionRow) -> None:
        self.sessions.put(row.number, row)

    def head(self, number: int) -> Head:
        return self.heads.get(number) or Head()

    def put_head(self, number: int, head: Head) -> None:
        self.heads.put(number, head)

    def binding(self, owner: str, key: str) -> Binding | None:
        return self.bindings.get((owner, key))

    def put_binding(self, owner: str, key: str, binding: Binding) -> None:
        was = self.bindings.get((owner, key))
        if was is not None:
            self.bound.put(was.session, tuple(k for k in self.keys(was.session) if k != (owner, key)))
        self.bound.put(binding.session, (*self.keys(binding.session), (owner, key)))
        self.bindings.put((owner, key), binding)

    def drop_binding(self, owner: str, key: str) -> None:
        was = self.bindings.get((owner, key))
        if was is not None:
            self.bound.put(was.session, tuple(k for k in self.keys(was.session) if k != (owner, key)))
            self.bindings.put((owner, key), None)

    def keys(self, number: int) -> tuple[tuple[str, str], ...]:
        return self.bound.get(number) or ()

    def alias(self, owner: str, alias: str) -> int | None:
        number = self.aliases_by_name.get((owner, alias))
        return None if number in self.gone else number

    def put_alias(self, owner: str, alias: str, number: int) -> None:
        self.aliases_by_name.put((owner, alias), number)

    def titled(self, owner: str, title: str) -> int | None:
        return self.titles.get((owner, title))

    def put_title(self, owner: str, old: str | None, new: str | None, number: int) -> None:
        if old is not None:
            self.titles.put((owner, old), None)
        if new is not None:
            self.titles.put((owner, new), number)

    def import_mark(self, number: int) -> ImportMark | None:
        return self.import_marks.get(number)

    def put_import(self, number: int, mark: ImportMark) -> None:
        self.import_marks.put(number, mark)

    def message_seq(self, number: int, message_id: str) -> int | None:
        return None if number in self.gone else self.message_ids.get((number, message_id))

    def put_message_id(self, number: int, message_id: str, seq: int | None) -> None:
        self.message_ids.put((number, message_id), seq)

    def message(self, number: int, seq: int) -> StoredMessage | None:
        if self._purged(number, seq):
            return None
        return self.messages.get((number, seq))

    def _purged(self, number: int, seq: int) -> bool:
        """Whether this commit has purged a message: until it is flushed, the database still has it."""
        return any(n == number and low <= seq <= high for n, low, high in self.purges)

    def add_message(self, number: int, message: StoredMessage) -> None:
        self.messages.put((number, message.seq), message)

    def has_media(self, owner: str, address: str) -> bool:
        fresh = ((n, seq) for (a, n, seq), held in self.media_refs.rows.items() if held and a == address)
        return any(
            not self._purged(number, seq) and self.session(number).owner == owner
            for number, seq in (*fresh, *self._load_references(owner, address))
        )

    def add_media(self, number: int, seq: int, address: str, data: bytes | None) -> None:
        self.media_refs.put((address, number, seq), row=True)
        if data is not None:
            self.blobs.put(address, data)

    def rewrite_message(self, number: int, message: StoredMessage) -> None:
        key = number, message.seq
        if key not in self.messages.dirty:  # else it is about to be written anyway
            self.rewrites.append(key)
        self.messages.put(key, message)

    def versions(self, number: int, seq: int) -> tuple[VersionRow, ...]:
        return self.version_lists.get((number, seq)) or ()

    def put_versions(self, number: int, seq: int, versions: tuple[VersionRow, ...]) -> None:
        self.version_lists.put((number, seq), versions)

    def edited_since(self, number: int, from_seq: int, through_seq: int, rev: int) -> bool:
        for (owner, seq), versions in self.version_lists.rows.items():
            if owner == number and from_seq <= seq <= through_seq and versions and versions[-1].version > rev:
                return True
        return self._find_edit(number, from_seq, through_seq, rev)

    def purge_messages(self, number: int, from_seq: int, through_seq: int) -> None:
        for key in [k for k in self.messages.rows if k[0] == number and from_seq <= k[1] <= through_seq]:
            self.messages.put(key, None)
        for key in [k for k in self.version_lists.rows if k[0] == number and from_seq <= k[1] <= through_seq]:
            self.version_lists.put(key, ())
        for ref in [r for r in self.media_refs.rows if r[1] == number and from_seq <= r[2] <= through_seq]:
            self.media_refs.put(ref, None)
        self.purges.append((number, from_seq, through_seq))

    def purge_records(self, number: int) -> None:
        for owner, key in self.keys(number):
            self.drop_binding(owner, key)
        for ids in [k for k in self.message_ids.rows if k[0] == number]:
            self.message_ids.put(ids, None)
        for place in [k for k in self.turns.rows if k[0] == number]:
            self.turns.put(place, None)
        for name in [k for k, to in self.aliases_by_name.rows.items() if to == number]:
            self.aliases_by_name.put(name, None)
        self.last_turns.put(number, 0)
        self.queues.put(number, ())
        self.todos.put(number, None)
        self.compaction_lists.put(number, ())
        self.import_marks.put(number, None)
        self.gone.append(number)

    def turn(self, number: int, first_seq: int) -> TurnRow | None:
        return self.turns.get((number, first_seq))

    def last_turn(self, number: int) -> TurnRow | None:
        first = self.last_turns.get(number)
        return self.turns.get((number, first)) if first else None

    def turn_after(self, number: int, seq: int) -> TurnRow | None:
        if (self.last_turns.get(number) or 0) <= seq:
            return None
        fresh = [first for n, first in self.turns.dirty if n == number and first > seq]
        first = min([*fresh, *self._first_turns_after(number, seq)], default=0)
        return self.turns.get((number, first)) if first else None

    def turn_seqs(self, turn: TurnRow) -> list[int]:
        number, first = turn.session, turn.first_seq
        fresh = [
            seq
            for (n, seq), m in self.messages.changed()
            if n == number and m is not None and m.turn and seq - m.turn + 1 == first
        ]
        stored = self._load_turn_seqs(number, first, self.head(number).last_seq)
        return sorted({*(seq for seq in stored if not self._purged(number, seq)), *fresh} - set(turn.taken))

    def put_turn(self, row: TurnRow) -> None:
        self.turns.put((row.session, row.first_seq), row)
        if row.first_seq > (self.last_turns.get(row.session) or 0):
            self.last_turns.put(row.session, row.first_seq)

    def queued(self, number: int) -> tuple[int, ...]:
        return self.queues.get(number) or ()

    def put_queued(self, number: int, seqs: tuple[int, ...]) -> None:
        self.queues.put(number, seqs)

    def todo(self, number: int) -> TodoRow | None:
        return self.todos.get(number)

    def put_todo(self, row: TodoRow) -> None:
        self.todos.put(row.session, row)

    def cuts(self, number: int) -> tuple[CutRow, ...]:
        return self.cut_lists.get(number) or ()

    def put_cuts(self, number: int, cuts: tuple[CutRow, ...]) -> None:
        self.cut_lists.put(number, cuts)

    def compactions(self, number: int) -> tuple[CompactionRow, ...]:
        return self.compaction_lists.get(number) or ()

    def put_compactions(self, number: int, rows: tuple[CompactionRow, ...]) -> None:
        self.compaction_lists.put(number, rows)

    def usage(self, number: int, day: int, model: str) -> UsageRow | None:
        return self.usage_rows.get((number, day, model))

    def put_usage(self, row: UsageRow) -> None:
        self.usage_rows.put((row.session, row.day, row.model), row)

    def erasure(self, erasure_id: str) -> Erasure | None:
        return self.erasures.get(erasure_id)

    def put_erasure(self, row: Erasure) -> None:
        self.erasures.put(row.id, row)

    def secret(self) -> bytes | None:
        return self.secrets.get("")

    def put_secret(self, secret: bytes) -> None:
        self.secrets.put("", secret)

    def erased_at(self, marked: bytes) -> int | None:
        secret = self.secret()
        return self.erased.get(keyed(secret, marked)) if secret is not None else None

    def add_erased(self, marked: bytes, at: int) -> None:
        secret = self.secret()
        if secret is not None:  # an erasure begins by making one
            self.erased.put(keyed(secret, marked), at)

    def put_erased(self, keyed: bytes, at: int) -> None:
        self.erased.put(keyed, at)

    def aliases(self, number: int) -> tuple[tuple[str, str], ...]:
        fresh = {name: to for name, to in self.aliases_by_name.changed() if to == number}
        stored = () if number in self.gone else self._load_aliases(number)
        return tuple(sorted({*stored, *fresh} - self._dropped_aliases()))

    def _dropped_aliases(self) -> set[tuple[str, str]]:
        return {name for name, to in self.aliases_by_name.changed() if to is None}

    def drop_alias(self, owner: str, alias: str) -> None:
        self.aliases_by_name.put((owner, alias), None)

    def add_change(self, number: int, rev: int, kind: ChangeKind, from_seq: int = 0, through_seq: int = 0) -> None:
        self.changes.append((number, rev, int(kind), from_seq, through_seq))
