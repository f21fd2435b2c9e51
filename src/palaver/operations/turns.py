"""What a turn does while it holds the lease: it renews that, and takes messages that came meanwhile."""

from __future__ import annotations

import msgspec

from palaver.errors import TurnLost
from palaver.operations.base import Operation, open_session
from palaver.operations.ledger import Ledger
from palaver.rows import ChangeKind, SessionRow, TurnRow

__all__ = ["Renew", "Take", "claim", "held_turn"]


class Renew(Operation, frozen=True, kw_only=True, tag="renew"):
    """Make the lease last `micros` from now. Raises TurnLost if another holds it or the turn has ended.

    That a lease was made longer need not survive a crash: its holder would not either.
    """

    owner: str | None = None
    session_id: str
    token: str
    micros: int

    def apply(self, ledger: Ledger) -> None:
        row = open_session(ledger, self.session_id, self.owner)
        turn = held_turn(ledger, row, self.token)
        ledger.put_turn(msgspec.structs.replace(turn, expires_at=ledger.now(self.at) + self.micros))


class Take(Operation, frozen=True, kw_only=True, tag="take"):
    """Show a running turn the messages that came meanwhile: they belong to it from now on, and wait no more.

    Returns their positions. Raises TurnLost.
    """

    owner: str | None = None
    session_id: str
    token: str
    first_seq: int = 0

    def apply(self, ledger: Ledger) -> tuple[int, ...]:
        row = open_session(ledger, self.session_id, self.owner)
        turn = held_turn(ledger, row, self.token)
        seqs = ledger.queued(row.number)
        if seqs:
            ledger.put_queued(row.number, ())
            for seq in seqs:
                claim(ledger, row.number, seq, seq - turn.first_seq + 1)
            ledger.put_turn(msgspec.structs.replace(turn, taken=(*turn.taken, *seqs)))
            ledger.add_change(row.number, row.rev, ChangeKind.TAKEN, seqs[0], seqs[-1])
        return seqs


def claim(ledger: Ledger, number: int, seq: int, turn: int) -> None:
    """Count a stored message to a turn; see `StoredMessage.turn`."""
    stored = ledger.message(number, seq)
    if stored is not None:
        ledger.rewrite_message(number, msgspec.structs.replace(stored, turn=turn))


def held_turn(ledger: Ledger, row: SessionRow, token: str) -> TurnRow:
    """The turn whose lease has this token, or TurnLost. An expired lease that nobody took is still held."""
    turn = ledger.last_turn(row.number)
    if turn is None or turn.state != "running" or turn.token != token or row.ended_at is not None:
        msg = f"the lease on session {row.id!r} is held by another turn, or this turn has ended"
        raise TurnLost(msg)
    return turn
