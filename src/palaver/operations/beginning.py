"""How a turn begins: with a message, or with those that wait, and with a lease."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from palaver.errors import SessionConflict, SessionNotFound
from palaver.operations.base import (
    KeyMoved,
    Operation,
    append,
    busy_error,
    holds_nothing_of_its_own,
    interrupt,
    is_held,
    open_session,
)
from palaver.operations.ledger import Ledger
from palaver.operations.lifting import retried_as
from palaver.operations.sessions import NewSession, add_session, bind
from palaver.operations.turns import claim
from palaver.rows import ChangeKind, Draft, Holder, SessionRow, TurnRow
from palaver.times import SECOND

__all__ = ["REDELIVERY", "Begin", "Begun", "BegunKind", "Lease"]

REDELIVERY = 24 * 3600 * SECOND
"""For so long after a key has moved, the session before is asked for a message id too, in microseconds."""
BegunKind: TypeAlias = Literal["begun", "taken_over", "replayed", "stored"]


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The right to be the one turn that runs in a session, for a while."""

    token: str
    micros: int
    """How long it lasts without being renewed."""
    holder: Holder | None = None


class Begun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a Begin.

    `begun`: a new turn. `taken_over`: an interrupted turn that this message had begun before goes on.
    `replayed`: this message's turn is over, here it is. `stored`: another turn runs; the message is durable
    and waits for it, or for the next one.
    """

    kind: BegunKind
    session_id: str
    seq: int
    """Position of the message that was given, or of the first one that waited."""
    turn: TurnRow | None = None
    session_is_new: bool = False
    first_contact: bool = False
    notice: str | None = None
    """JSON of the notice that this turn is the first to show."""
    queued: tuple[int, ...] = ()
    """Messages that had waited and that this turn takes along."""
    rev: int | None = None
    """The session's version, where the message at `seq` is its newest and nothing waits."""


class Begin(Operation, frozen=True, kw_only=True, tag="begin"):
    """Store the message that begins a turn and take the lease, in one transaction.

    By `key` (and `owner`): the key must still point at `session_id`, or be unbound where `create` says what to make;
    else SessionConflict, and the caller reads again. Without a key: in that session.

    A message id that is stored already begins nothing twice: see Begun. With no message, the turn begins with the
    messages that wait; SessionConflict if there are none.

    Raises SessionBusy while another turn holds the lease (unless `on_busy` is "store"), SessionEnded, SessionNotFound.
    A lease that has expired, or whose process is gone, is no hindrance: that turn is closed as interrupted.
    """

    owner: str | None = None
    key: str | None = None
    session_id: str | None = None
    create: NewSession | None = None
    """What to make where the key points at nothing."""
    message: Draft | None = None
    lease: Lease
    on_busy: Literal["raise", "store"] = "raise"
    budget: str | None = None
    """JSON of the budget of the turn's window, kept for whoever goes on with the turn."""

    def apply(self, ledger: Ledger) -> Begun:
        mine = self.running_already(ledger)
        if mine is not None:
            return mine
        row, previous, first_contact = self._session(ledger)
        if self.message is not None and self.message.id is not None:
            known = self._known(ledger, row, previous, self.message, self.message.id)
            if known is not None:
                return known
        running = ledger.last_turn(row.number)
        if running is not None and running.state == "running":
            if is_held(ledger, running, self.at):
                return self._busy(ledger, row)
            interrupt(ledger, row, running, self.at)
        return self._begin(ledger, row, first_contact=first_contact)

    def running_already(self, ledger: Ledger) -> Begun | None:
        """The turn that this very operation began before, where its answer was lost."""
        row: SessionRow | None
        if self.key is not None:
            binding = ledger.binding(self.owner or "", self.key)
            row = ledger.session(binding.session) if binding is not None else None
        else:
            row = ledger.find(self.session_id or "")
        turn = ledger.last_turn(row.number) if row is not None else None
        if row is None or turn is None or turn.state != "running" or turn.token != self.lease.token:
            return None
        if row.deleted_at is not None or (self.owner is not None and row.owner != self.owner):
            return None
        kind: BegunKind = "begun" if turn.began_at == self.at else "taken_over"
        return _begun(kind, row, turn.message_seq, turn)

    def _session(self, ledger: Ledger) -> tuple[SessionRow, int, bool]:
        """The session, the number of the one the key pointed to before, and whether the key is new."""
        if self.key is None:
            return open_session(ledger, self.session_id or "", self.owner, writing=True), 0, False
        owner = self.owner or ""
        binding = ledger.binding(owner, self.key)
        if binding is None:
            if self.create is None:
                msg = f"key {self.key!r} points at no session any more: read it again and retry"
                raise KeyMoved(msg, expected=self.session_id, actual=None)
            row = add_session(ledger, self.create, owner, self.at)
            row = bind(ledger, owner, self.key, row, self.at)
            return row, 0, True
        row = ledger.session(binding.session)
        if row.id != self.session_id:
            msg = f"key {self.key!r} points at session {row.id!r}, not {self.session_id!r}: read it again and retry"
            raise KeyMoved(msg, expected=self.session_id, actual=row.id)
        if row.deleted_at is not None:
            msg = f"session {row.id!r} was deleted: reset the key to begin a new one"
            raise SessionNotFound(msg)
        # Platforms redeliver within hours; after a day the session before is not asked any more.
        recent = self.at - binding.since < REDELIVERY
        untouched = not binding.previous and ledger.head(row.number).last_seq == 0
        return row, binding.previous if recent else 0, untouched

    def _known(self, ledger: Ledger, row: SessionRow, previous: int, draft: Draft, message_id: str) -> Begun | None:
        """What to answer if the message is stored already, in this session or in the one before."""
        seq = ledger.message_seq(row.number, message_id)
        if seq is not None:
            seq = retried_as(ledger.cuts(row.number), seq)
            append(ledger, row, (draft,), self.at)  # the same id: checks the content and stores nothing
            if any(
                c.kind == "rollback" and not c.lifted and c.from_seq <= seq <= c.through_seq
                for c in ledger.cuts(row.number)
            ):
                ledger.put_message_id(row.number, message_id, None)  # as if it had never come: it may begin anew
                return None
            return self._again(ledger, row, seq)
        if previous:
            seq = ledger.message_seq(previous, message_id)
            old = ledger.session(previous)
            seq = retried_as(ledger.cuts(previous), seq) if seq is not None else None
            turn = _turn_of(ledger, old, seq) if seq is not None else None
            if seq is not None and turn is not None and turn.state == "finished":
                append(ledger, old, (draft,), self.at)
                return _begun("replayed", old, seq, turn)
        return None

    def _again(self, ledger: Ledger, row: SessionRow, seq: int) -> Begun:
        turn = _turn_of(ledger, row, seq)
        last = ledger.last_turn(row.number)
        held = last is not None and last.state == "running" and is_held(ledger, last, self.at)
        if turn is not None and turn.state == "finished":
            return _begun("replayed", row, seq, turn)
        if held:
            if self.on_busy == "raise":
                raise busy_error(row)
            return _begun("stored", row, seq)
        if last is not None and (turn is None or turn.first_seq != last.first_seq):
            if last.first_seq >= seq and seq not in ledger.queued(row.number):  # the conversation has gone on since
                return _begun("replayed", row, seq, turn)
            if last.state == "running":
                interrupt(ledger, row, last, self.at)
        if turn is None:
            if ledger.message(row.number, seq) is None:  # purged: it does not come back, and nothing is to be answered
                return _begun("replayed", row, seq)
            return self._begin(ledger, row, adopted=seq)
        turn = msgspec.structs.replace(self._leased(ledger, turn), steps_from=ledger.head(row.number).last_seq + 1)
        ledger.put_turn(turn)
        ledger.add_change(row.number, row.rev, ChangeKind.TURN_BEGUN)
        return _begun("taken_over", row, seq, turn)

    def _busy(self, ledger: Ledger, row: SessionRow) -> Begun:
        if self.on_busy == "raise" or self.message is None:
            raise busy_error(row)
        at = append(ledger, row, (self.message,), self.at)
        ledger.put_queued(row.number, (*ledger.queued(row.number), *at.seqs))
        ledger.add_change(row.number, row.rev, ChangeKind.APPENDED, at.last_seq, at.last_seq)
        return Begun(kind="stored", session_id=row.id, seq=at.last_seq)

    def _begin(
        self, ledger: Ledger, row: SessionRow, *, adopted: int | None = None, first_contact: bool = False
    ) -> Begun:
        number = row.number
        queued = ledger.queued(number)
        before = ledger.last_turn(number)
        new = before is None and holds_nothing_of_its_own(ledger, number)
        if adopted is not None:
            queued = tuple(sorted({*queued, adopted}))
            seq = adopted
        elif self.message is not None:
            seq = append(ledger, row, (self.message,), self.at, turn=-1).seqs[0]
        elif queued:
            seq = queued[0]
        else:
            msg = f"session {row.id!r} has no message waiting: begin the turn with one"
            raise SessionConflict(msg)
        row = ledger.session(number)
        turn = self._leased(
            ledger,
            TurnRow(
                session=number,
                first_seq=seq if seq not in queued else _place(queued, before),
                message_seq=seq,
                began_at=self.at,
                anchor=before.anchor if before is not None else 0,
                calibration=before.calibration if before is not None else None,
                session_is_new=new,
                first_contact=first_contact,
                taken=queued,
                notice=row.notice,
            ),
        )
        turn = msgspec.structs.replace(turn, steps_from=turn.first_seq)
        ledger.put_turn(turn)
        if queued:
            ledger.put_queued(number, ())
        if seq in queued:  # it began with what had waited; beside a message of its own that stays outside
            for one in queued:
                if one >= turn.first_seq:
                    claim(ledger, number, one, one - turn.first_seq + 1)
        if row.notice is not None:
            ledger.put_session(msgspec.structs.replace(row, notice=None))
        ledger.add_change(number, row.rev, ChangeKind.TURN_BEGUN, seq, seq)
        return _begun("begun", row, seq, turn, rev=row.rev if not queued else None)

    def _leased(self, ledger: Ledger, turn: TurnRow) -> TurnRow:
        return msgspec.structs.replace(
            turn,
            state="running",
            token=self.lease.token,
            holder=self.lease.holder,
            budget=self.budget,
            expires_at=ledger.now(self.at) + self.lease.micros,
            ended_at=None,
            end_seq=0,
            reason=None,
        )


def _place(queued: tuple[int, ...], before: TurnRow | None) -> int:
    """Where a turn begins that answers what had waited: there, or in the place of the turn that was rolled back.

    Later turns have later places, and a turn that took messages along and was rolled back stood behind them.
    """
    return max(queued[0], before.first_seq if before is not None else 0)


def _begun(kind: BegunKind, row: SessionRow, seq: int, turn: TurnRow | None = None, *, rev: int | None = None) -> Begun:
    if turn is None:
        return Begun(kind=kind, session_id=row.id, seq=seq)
    return Begun(
        kind=kind,
        session_id=row.id,
        seq=seq,
        turn=turn,
        session_is_new=turn.session_is_new,
        first_contact=turn.first_contact,
        notice=turn.notice if kind != "replayed" else None,
        queued=tuple(s for s in turn.taken if s != seq),
        rev=rev,
    )


def _turn_of(ledger: Ledger, row: SessionRow, seq: int) -> TurnRow | None:
    """The turn that a message began, was taken along by, or belongs to; None: it waits, or came outside of turns."""
    stored = ledger.message(row.number, seq)
    turn: TurnRow | None = None
    if stored is not None and stored.turn:
        turn = ledger.turn(row.number, seq - stored.turn + 1)
    else:
        # It was taken by the next turn that began; where that was rolled back, by the one after.
        turn = ledger.turn_after(row.number, seq)
        while turn is not None and turn.state == "rolled_back":
            turn = ledger.turn_after(row.number, turn.first_seq)
        if turn is not None and seq not in turn.taken:
            turn = None
    return turn if turn is not None and turn.state != "rolled_back" else None
