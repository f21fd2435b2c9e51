"""The one connection that a store writes by, and a batch of operations as one transaction on it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

import psycopg

from palaver.errors import Outcome, StoreUnavailable
from palaver.operations import Operation
from palaver.stores.postgres.calling import Calls
from palaver.stores.postgres.clock import ServerClock
from palaver.stores.postgres.connection import Opener, PalaverConnection, is_idle
from palaver.stores.postgres.errors import FORGOTTEN, REPEATABLE, is_unknown, translate
from palaver.stores.postgres.ledger import PostgresLedger
from palaver.stores.postgres.listening import ListeningWakes
from palaver.stores.postgres.locks import MOST, Alone, Held, NumbersMoved, NumbersUsedUp, Plan
from palaver.stores.postgres.statements import Statements
from palaver.stores.postgres.turns import Plain, as_plain

__all__ = ["Writer"]

_log = logging.getLogger(__name__)
_MOST_TRIES = 3
"""How often a batch is run that others, or a lost connection, kept from being committed."""
_MOST_NUMBERS = 100_000
"""Sessions whose numbers are remembered. They never change, and are looked at again where the server has lost some."""
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Whatever the database's default is: who waited for a lock has to see what was committed meanwhile."""
_FEW = 5
"""Batches of one operation on a connection before it is made ready for many: as psycopg does with statements."""
_STALE = 30.0
"""Seconds without a commit after which a connection is asked whether it is there."""


class Writer:
    """Runs batches. Used by one thread at a time: the one that has the commit right."""

    def __init__(self, opener: Opener, wakes: ListeningWakes, clock: ServerClock) -> None:
        self._opener = opener
        self._wakes = wakes
        self._clock = clock
        self._place = place = opener.place
        self._timeout = f"{int(place.timeout * 1000)}ms"
        self._own_timeout: str | None = self._timeout
        """The same for what is done at once; None: the connection was told for good."""
        self._store_lock = place.lock("store")
        self._connection: PalaverConnection | None = None
        self._used = 0.0
        self._sql: Statements
        self._calls: Calls | None = None
        self._uses = 0
        self._ledger: PostgresLedger

    def run(self, operations: list[Operation]) -> list[Any]:
        """Commit a batch and answer for each operation. Raises StoreError for the batch.

        What was rolled back because others wrote, or before COMMIT was sent, is run again. An error at COMMIT, or a
        warning that it may not have reached the standby, leaves the outcome unknown: nothing is run again then.
        """
        plan: Plan | None = None
        # What was long idle may be gone without a word: better to learn that before COMMIT than by it.
        plain = as_plain(operations) if time.monotonic() - self._used < _STALE else None
        self._used = time.monotonic()
        tries = 0
        while True:
            try:
                if plain is not None:
                    answers = self._at_once(plain)
                    if answers is not None:
                        return answers
                    plain = None
                plan = plan or Plan.of(operations)
                return self._attempt(operations, plan)
            except (Held, Alone, NumbersMoved, NumbersUsedUp) as why:
                self._roll_back()
                if plan is not None:
                    plan.learn(why)
            except psycopg.Error as exc:
                outcome = self._outcome(exc)
                if not is_unknown(exc) and self._connection is not None:
                    self._connection.committing = False  # the server answered: it did not commit
                self._roll_back()
                tries += 1
                lost = is_unknown(exc) and outcome == "not_written"
                if isinstance(exc, FORGOTTEN):
                    self.close()
                    lost = True
                if tries >= _MOST_TRIES or not (isinstance(exc, REPEATABLE) or lost):
                    raise translate(exc, self._place.name, outcome) from exc
            except BaseException:
                self._roll_back()
                raise

    def _outcome(self, exc: psycopg.Error) -> Outcome:
        sent = self._connection is not None and self._connection.committing
        return "unknown" if sent and is_unknown(exc) else "not_written"

    @property
    def locks_held(self) -> frozenset[int]:
        """The advisory locks that the last transaction had."""
        return frozenset(self._ledger.held)

    # ------------------------------------------------------------------ one round trip
    def _at_once(self, plain: Plain) -> list[Any] | None:
        """What is ordinary, done by the server; None, and nothing is done, where anything is not ordinary after all."""
        connection = self._connected()
        numbers = plain.numbers(self._ledger.numbers.rows)
        if numbers is None:
            return None
        place = self._place
        name, locks, values = plain.statement(place, numbers)
        if isinstance(locks, list) and len(locks) > MOST:
            return None
        time_said = plain.time if place.clock == "caller" else None
        calls = self._own_calls(connection)
        call = calls.prepared(name) if calls is not None else None
        connection.take_unsure()
        connection.committing = True
        if call is not None:
            rows = [call.run((self._own_timeout, self._store_lock, locks, time_said, *values))]
        else:
            rows = self._sql.all(name, (self._timeout, self._store_lock, locks, time_said, *values))
        connection.committing = False
        answers = plain.answers(rows)
        if answers is not None:
            self._committed(connection)
        return answers

    def _committed(self, connection: PalaverConnection) -> None:
        """A transaction has been committed, unless the server has doubts about its standby."""
        self._require_sure(connection)
        self._wakes.wake()
        try:
            self._wakes.tell(self._sql)
        except psycopg.Error:  # the commit is done; others find it by looking, and the next commit connects anew
            self.close()

    def _require_sure(self, connection: PalaverConnection) -> None:
        unsure = connection.take_unsure()
        if unsure is not None:
            self.close()
            msg = f"{self._place.name}: committed, but perhaps not on the standby: {unsure}; read the ids to know"
            raise StoreUnavailable(msg, outcome="unknown")

    # ------------------------------------------------------------------ one transaction
    def _attempt(self, operations: list[Operation], plan: Plan) -> list[Any]:
        connection = self._connected()
        ledger = self._ledger
        ledger.doubt()
        if len(ledger.numbers.rows) > _MOST_NUMBERS:
            ledger.numbers.rows.clear()
        numbers = self._look_up(plan)
        self._begin(plan, numbers)
        results = ledger.run(operations)
        changed = ledger.changed
        with self._sql.pipeline():
            if changed:
                ledger.flush()
            else:  # it may be told of what another commit wrote that no standby has yet: this waits for both
                self._sql.run("confirm")
            connection.take_unsure()
            connection.committing = True
            done = connection.execute("COMMIT")
        connection.committing = False
        if done.statusmessage != "COMMIT":
            msg = f"{self._place.name}: the server rolled the transaction back"
            raise StoreUnavailable(msg)
        if not changed:
            self._require_sure(connection)
            return results
        ledger.flushed()
        self._committed(connection)
        return results

    def _look_up(self, plan: Plan) -> set[int]:
        """Numbers of the sessions that the batch names, or that its keys point at; as of now, without a lock."""
        ledger, sql = self._ledger, self._sql
        known = ledger.numbers.rows
        unknown = [each for each in plan.ids if each not in known]
        bound: list[int] = []
        pointing: set[tuple[str, str]] = set()
        if unknown or plan.keys:
            with sql.pipeline():
                by_id = sql.start("numbers_by_id", (unknown,)) if unknown else None
                by_key = sql.start("bindings", _columns(plan.keys)) if plan.keys else None
            for session_id, number in by_id.fetchall() if by_id is not None else ():
                known[session_id] = number
            for row in by_key.fetchall() if by_key is not None else ():
                bound.append(row[2])  # the one before is looked at for a while after a reset, and tried for then
                pointing.add((row[0], row[1]))
        # No more than are made: who comes later has the higher number, whichever process makes it.
        wanted = plan.numbers + len([each for each in plan.creating if each not in pointing])
        wanted += len([each for each in plan.importing if known.get(each) is None])
        ledger.fresh_numbers = [row[0] for row in sql.all("new_numbers", (wanted,))] if wanted else []
        named = {number for each in plan.ids if (number := known.get(each)) is not None}
        return named | set(bound)

    def _begin(self, plan: Plan, numbers: set[int]) -> None:
        """Begin, wait for the locks, and read what the batch will want to see."""
        ledger, sql, place = self._ledger, self._sql, self._place
        locks = {place.session_lock(number) for number in numbers} | plan.extra
        locks.update(place.lock("key", *key) for key in plan.keys)
        locks.update(place.lock("alias", *alias) for alias in plan.aliases)
        alone = plan.alone or len(locks) > MOST
        known = ledger.numbers.rows
        ids = [(number, said) for each, said in plan.message_ids if (number := known.get(each)) is not None]
        sessions = sorted(numbers)
        with sql.pipeline():
            sql.script(_BEGIN)
            taken = sql.start("take", (self._timeout, self._store_lock, alone, [] if alone else sorted(locks)))
            rows = sql.start("sessions_by_number", (sessions,)) if sessions else None
            bound = sql.start("bindings", _columns(plan.keys)) if plan.keys else None
            said = sql.start("message_seqs", _columns(ids)) if ids else None
        ledger.begin(set() if alone else locks, alone=alone)
        [(at,)] = taken.fetchall()
        self._clock.told(int(at))
        ledger.time = int(at) if place.clock == "store" else None
        if rows is not None:
            ledger.fill_sessions(rows.fetchall())
        if bound is not None:
            ledger.fill_bindings(plan.keys, bound.fetchall())
        if said is not None:
            ledger.fill_message_ids(ids, said.fetchall())

    # ------------------------------------------------------------------ the connection
    def _connected(self) -> PalaverConnection:
        """The connection; a new one where it is lost. A server that is just being replaced is waited for."""
        connection = self._connection
        if connection is not None and connection.opened >= self._opener.outage.began and is_idle(connection):
            return connection
        self.close()
        self._connection = self._opener.reach()
        self._sql = self._opener.statements(self._connection)
        self._ledger = PostgresLedger(self._sql, self._place)
        self._calls, self._own_timeout, self._uses = None, self._timeout, 0
        return self._connection

    def _own_calls(self, connection: PalaverConnection) -> Calls | None:
        """Quicker than cursors, and worth the asking once a connection is in use; never behind a pooler."""
        if self._calls is None and not self._place.pooled:
            self._uses += 1
            if self._uses > _FEW:
                if self._sql.one("settle_connection", (self._timeout, connection.info.backend_pid)) is not None:
                    self._own_timeout = None
                self._calls = Calls(connection, self._place.schema)
        return self._calls

    def _roll_back(self) -> None:
        """Leave nothing of the batch, neither there nor here. A connection that is in doubt is closed."""
        connection = self._connection
        if connection is None:
            return
        self._ledger.forget()
        status = connection.info.transaction_status
        if connection.committing or status in {
            psycopg.pq.TransactionStatus.ACTIVE,
            psycopg.pq.TransactionStatus.UNKNOWN,
        }:
            self.close()
            return
        if status != psycopg.pq.TransactionStatus.IDLE:
            try:
                self._sql.script("ROLLBACK")
            except psycopg.Error:
                self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


def _columns(pairs: list[Any]) -> tuple[list[Any], list[Any]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
