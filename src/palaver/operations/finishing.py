"""How a turn ends: finished, interrupted, or rolled back."""

from __future__ import annotations

import msgspec

from palaver import codec
from palaver.errors import SessionConflict
from palaver.model import Usage
from palaver.operations.base import Appended, Operation, add_usage, append, bump, close_turn, open_session
from palaver.operations.ledger import Ledger
from palaver.operations.lifting import lift, retry_cut
from palaver.operations.ranges import cut_range, merged, runs
from palaver.operations.turns import claim, held_turn
from palaver.rows import ChangeKind, Draft, SessionRow, TurnRow, TurnState

__all__ = ["Finish", "Finished"]

_ENDS: dict[TurnState, ChangeKind] = {
    "finished": ChangeKind.TURN_FINISHED,
    "interrupted": ChangeKind.TURN_INTERRUPTED,
    "rolled_back": ChangeKind.TURN_ROLLED_BACK,
}


class Finished(msgspec.Struct, frozen=True, gc=False):
    """Where the last messages of a turn came to stand, and what waits for the next one."""

    appended: Appended
    waiting: tuple[int, ...] = ()


class Finish(Operation, frozen=True, kw_only=True, tag="finish"):
    """Store the last messages and end the turn.

    `finished`; `interrupted`: what happened stays; `rolled_back`: the turn's own messages are cut, and what others
    stored meanwhile stays.

    Doing it twice with one token is doing it once. Raises TurnLost if the lease is another's.
    """

    owner: str | None = None
    session_id: str
    token: str
    first_seq: int = 0
    """Where the turn began; 0: it is the newest one."""
    state: TurnState = "finished"
    messages: tuple[Draft, ...] = ()
    usage: Usage | None = None
    anchor: int = 0
    reason: str | None = None
    calibration: str | None = None
    """See `TurnRow.calibration`; None: as it was."""

    def apply(self, ledger: Ledger) -> Finished:
        row = open_session(ledger, self.session_id, self.owner)
        number = row.number
        mine = ledger.turn(number, self.first_seq) if self.first_seq else ledger.last_turn(number)
        if mine is not None and mine.token == self.token and mine.state == self.state:
            return Finished(self._again(ledger, row, mine), ledger.queued(number))
        turn = held_turn(ledger, row, self.token)
        done = append(ledger, row, self.messages, self.at, turn=turn.first_seq)
        row = ledger.session(number)
        if self.usage is not None:
            add_usage(ledger, row, self.usage, self.at)
            if not done.fresh:  # else the new messages tell a reader that something has changed
                row = bump(ledger, row)
        close_turn(
            ledger,
            turn,
            self.state,
            self.at,
            anchor=self.anchor or turn.anchor,
            reason=self.reason,
            calibration=self.calibration or turn.calibration,
            usage=msgspec.json.encode(self.usage).decode() if self.usage is not None else None,
        )
        first = done.last_seq - len(done.seqs) + 1 if done.fresh else 0
        if self.state == "rolled_back":
            row, first = self._roll_back(ledger, row, turn)
            retried = retry_cut(ledger.cuts(number), turn)
            if retried is not None:  # what was to be answered again has the answer that it had
                row, _ = lift(ledger, row, retried)
        ledger.add_change(number, row.rev, _ENDS[self.state], first, done.last_seq if first else 0)
        return Finished(done, ledger.queued(number))

    def _again(self, ledger: Ledger, row: SessionRow, turn: TurnRow) -> Appended:
        """The same end once more: nothing is stored; the positions are those of the turn's last messages."""
        seqs: list[int] = []
        fresh = turn.end_seq
        for draft in reversed(self.messages):
            known = ledger.message_seq(row.number, draft.id) if draft.id is not None else None
            seq = fresh if known is None else known
            fresh -= seq == fresh  # one that was stored before keeps its place, and takes none at the end
            seqs.insert(0, seq)
            stored = ledger.message(row.number, seq)
            if stored is None or not codec.same_content(codec.decode(stored.body), codec.decode(draft.body)):
                msg = f"the turn at seq {turn.first_seq} of session {row.id!r} was finished with another reply"
                raise SessionConflict(msg)
        return Appended(tuple(seqs), turn.end_seq, fresh=False, session_id=row.id)

    def _roll_back(self, ledger: Ledger, row: SessionRow, turn: TurnRow) -> tuple[SessionRow, int]:
        """Cut what the turn stored; the messages it took from the queue wait again."""
        for first, last in runs(ledger.turn_seqs(turn)):
            row = cut_range(ledger, row, first, last, "rollback")
        dead = merged(ledger.cuts(row.number))
        waiting = [seq for seq in turn.taken if not any(low <= seq <= high for low, high in dead)]
        if waiting:
            for seq in waiting:
                claim(ledger, row.number, seq, 0)
            ledger.put_queued(row.number, tuple(sorted({*waiting, *ledger.queued(row.number)})))
        return row, turn.first_seq
