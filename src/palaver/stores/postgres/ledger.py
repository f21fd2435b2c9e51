"""Rows of the PostgreSQL store: loaded under their session's lock, flushed in one go before COMMIT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from palaver.erasure import Erasure
from palaver.errors import CorruptRecord
from palaver.rows import Binding, Head, SessionRow
from palaver.search import WORDS_VERSION
from palaver.stores.postgres.locks import Alone, Held, NumbersMoved, NumbersUsedUp
from palaver.stores.postgres.place import Place
from palaver.stores.postgres.rows import session_values
from palaver.stores.postgres.searching import indexed_rows
from palaver.stores.postgres.statements import Statements
from palaver.stores.sqlite.fields import sound
from palaver.stores.sqlite.indexing import State, Step
from palaver.stores.sqlite.ledger import SqliteLedger
from palaver.stores.sqlite.rows import SESSION_COLUMNS, head_row
from palaver.stores.statements import Row
from palaver.times import SECOND

__all__ = ["PostgresLedger"]

V = TypeVar("V")
_TURN = SESSION_COLUMNS + 4
_MOST_CHANGES = 1 << 14
"""Changes of one transaction: as many as positions have room for behind its id."""


class PostgresLedger(SqliteLedger):
    """The `Ledger` of one writing connection. Of rows it remembers nothing from one transaction to the next."""

    def __init__(self, sql: Statements, place: Place) -> None:
        super().__init__(sql)
        self._place = place
        self.held: set[int] = set()
        self.alone = False
        self.time: int | None = None
        """The server's clock when the locks were had; None: the callers' clocks judge."""
        self.fresh_numbers: list[int] = []
        self._heads_before: dict[int, Head] = {}
        self._guard_tables()

    def _guard_tables(self) -> None:
        """Have rows loaded under their session's lock, or that of their name."""
        by_number: tuple[Any, ...] = (
            self.sessions,
            self.heads,
            self.bound,
            self.last_turns,
            self.queues,
            self.todos,
            self.cut_lists,
            self.compaction_lists,
            self.import_marks,
        )
        by_place: tuple[Any, ...] = (
            self.messages,
            self.message_ids,
            self.version_lists,
            self.turns,
            self.usage_rows,
        )
        by_name: list[tuple[str, Any]] = [
            ("key", self.bindings),
            ("alias", self.aliases_by_name),
            ("title", self.titles),
        ]
        for each in by_number:
            each.load = self._guarded(each.load, lambda number: number)
        for each in by_place:
            each.load = self._guarded(each.load, lambda place: place[0])
        for kind, named in by_name:
            named.load = self._named(named.load, kind)

    # ------------------------------------------------------------------ locks
    def begin(self, held: set[int], *, alone: bool) -> None:
        """A transaction began, with these locks."""
        self.held = held
        self.alone = alone

    def hold(self, lock: int) -> None:
        """Have a lock, or raise Held: waiting for it now might be waiting for who waits for us."""
        if self.alone or lock in self.held:
            return
        row = self._sql.one("try_lock", (lock,))
        if row is None or not row[0]:
            raise Held(lock)
        self.held.add(lock)

    def hold_session(self, number: int) -> None:
        """The same for a session."""
        self.hold(self._place.session_lock(number))

    def _require_alone(self) -> None:
        if not self.alone:
            raise Alone

    def _guarded(self, load: Callable[[Any], V], number_of: Callable[[Any], int]) -> Callable[[Any], V]:
        def guarded(key: Any) -> V:
            self.hold_session(number_of(key))
            return load(key)

        return guarded

    def _named(self, load: Callable[[Any], V], kind: str) -> Callable[[Any], V]:
        def guarded(key: tuple[str, str]) -> V:
            self.hold(self._place.lock(kind, *key))
            return load(key)

        return guarded

    def find(self, session_id: str) -> SessionRow | None:
        """The session with an id. Raises NumbersMoved where the number that is remembered for it is not its own.

        A standby that took over without the newest commits, or a backup that was restored, gives numbers anew.
        """
        row = super().find(session_id)
        number = self.numbers.rows.get(session_id)
        if number is None or number in self.sessions.dirty or (row is not None and row.id == session_id):
            return row
        self.numbers.rows.clear()
        raise NumbersMoved

    # ------------------------------------------------------------------ what others are told of the time
    def now(self, at: int) -> int:
        return at if self.time is None else self.time

    def next_number(self) -> int:
        if not self.fresh_numbers:
            raise NumbersUsedUp
        number = self.fresh_numbers.pop(0)
        self.held.add(self._place.session_lock(number))  # nobody else knows of it yet
        return number

    def forget(self) -> None:
        super().forget()
        self._heads_before.clear()

    # ------------------------------------------------------------------ what needs more than its session
    def mending(self) -> Any:
        self._require_alone()
        return super().mending()

    def put_erasure(self, row: Erasure) -> None:
        self._require_alone()
        super().put_erasure(row)

    def put_secret(self, secret: bytes) -> None:
        self._require_alone()
        super().put_secret(secret)

    def add_erased(self, marked: bytes, at: int) -> None:
        self._require_alone()
        super().add_erased(marked, at)

    def put_erased(self, keyed: bytes, at: int) -> None:
        self._require_alone()
        super().put_erased(keyed, at)

    def add_media(self, number: int, seq: int, address: str, data: bytes | None) -> None:
        self.hold(self._place.lock("media", address))
        super().add_media(number, seq, address, data)

    def _load_references(self, owner: str, address: str) -> list[tuple[int, int]]:
        self.hold(self._place.lock("media", address))
        return super()._load_references(owner, address)

    def purge_messages(self, number: int, from_seq: int, through_seq: int) -> None:
        base = number << 32
        if not self.alone and self._sql.one("media_refs_of", (base | from_seq, base | through_seq)) is not None:
            raise Alone  # whether anybody else shows this content is found out while nobody else writes
        super().purge_messages(number, from_seq, through_seq)

    def index(self, step: Step) -> bool:
        self.hold(self._place.lock("index"))
        return super().index(step)

    def reindex(self) -> None:
        self.hold(self._place.lock("index"))
        super().reindex()

    # ------------------------------------------------------------------ loading
    def fill_sessions(self, rows: Sequence[Row]) -> None:
        """Take sessions with their heads and newest turns; see `sessions_by_number`."""
        for row in rows:
            try:
                session = sound(row)
            except CorruptRecord:  # the operation that asks for it is told, and no other of the batch
                continue
            number = session.number
            head = head_row(row[SESSION_COLUMNS:])
            self.sessions.rows[number] = session
            self.numbers.rows[session.id] = number
            self.heads.rows[number] = self._heads_before[number] = head
            if row[_TURN] is None:
                self.last_turns.rows[number] = 0
            else:
                turn = self._turn_of(row[_TURN:])
                self.last_turns.rows[number] = turn.first_seq
                self.turns.rows[number, turn.first_seq] = turn
            self.queues.rows[number] = self._stored_lists["queue", number] = tuple(row[-1] or ())

    def fill_bindings(self, keys: Sequence[tuple[str, str]], rows: Sequence[Row]) -> None:
        """Take what keys point at."""
        self.bindings.rows.update(dict.fromkeys(keys))
        for owner, key, *binding in rows:
            self.bindings.rows[owner, key] = Binding(*binding)

    def fill_message_ids(self, asked: Sequence[tuple[int, str]], rows: Sequence[Row]) -> None:
        """Take which ids are known."""
        self.message_ids.rows.update(dict.fromkeys(asked))
        for number, message_id, seq in rows:
            self.message_ids.rows[number, message_id] = seq

    def _load_session(self, number: int) -> SessionRow | None:
        row = self._one("session", number)
        if row is None:
            return None
        self.heads.rows.setdefault(number, self._heads_before.setdefault(number, head_row(row[SESSION_COLUMNS:])))
        return sound(row)

    def _load_head(self, number: int) -> Head | None:
        row = self._one("head", number)
        if row is None:
            return None
        head = self._heads_before[number] = head_row(row)
        return head

    # ------------------------------------------------------------------ writing
    def _flush_messages(self) -> None:
        again = set(self.rewrites)
        for number, seq in again:
            message = self.messages.get((number, seq))
            if message is not None:
                values = (message.kind, message.back, message.turn, message.at, message.body, number << 32 | seq)
                self._sql.run("rewrite_message", values)
        rows = self.messages.rows
        new = [
            (key[0], key[1], m.kind, m.back, m.turn, m.at, m.body)
            for key in self.messages.dirty
            if (m := rows[key]) is not None and key not in again
        ]
        if new:
            self._sql.run("put_message", _columns(new))

    def _flush_sessions(self) -> None:
        run = self._sql.run
        for number, row in self.sessions.changed():
            if row is not None:
                run("put_session", session_values(row, self.head(number)))
        added: list[Row] = []
        moved: list[Row] = []
        active: list[Row] = []
        for number, head in self.heads.changed():
            before = self._heads_before.get(number)
            if head is None or head == before:
                continue
            values = (number, head.last_seq, head.message_count, head.last_active, head.user_seq)
            (added if before is None else moved).append(values)
            # Listings need no more than the second, and this row has indexes.
            passed = before is None or before.last_active // SECOND != head.last_active // SECOND
            if passed and number not in self.sessions.dirty:
                active.append((number, head.last_active))
        for name, rows in (("add_heads", added), ("move_heads", moved), ("put_active", active)):
            if rows:
                run(name, _columns(rows))

    def _flush_ids(self) -> None:
        added: list[Row] = []
        for (number, message_id), seq in self.message_ids.changed():
            if seq is None:
                self._sql.run("drop_message_id", (number, message_id))
            else:
                added.append((number, message_id, seq))
        if added:
            self._sql.run("put_message_ids", _columns(added))

    def _flush_changes(self) -> None:
        if not self.changes:
            return
        if len(self.changes) > _MOST_CHANGES:
            raise OverflowError(f"{len(self.changes)} changes at once")
        rows = [(change[0], place, *change[1:]) for place, change in enumerate(self.changes)]
        self._sql.run("put_change", _columns(rows))

    def _flush_index(self) -> None:
        for step in self._indexed:
            if step is None:
                row = self._one("highest_change")
                after = State(row[0] if row is not None else 0, 0, 0, WORDS_VERSION)
                self._sql.run("clear_index")
            else:
                after = step.after
                if step.put:
                    self._sql.run("put_indexed", indexed_rows(self._unpurged(step.put)))
                self._sql.many("drop_indexed", [(place, place) for place in step.drop])
            self._sql.run("put_search_state", msgspec.structs.astuple(after))
        self._indexed = []

    def _flush_upkeep(self) -> None:
        self.hold(self._place.lock("index"))
        super()._flush_upkeep()


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
