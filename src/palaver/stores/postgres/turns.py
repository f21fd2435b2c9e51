"""Ordinary turns: what begins or ends one alone in its batch is one round trip, as an append is; see appending.py.

`Begin.apply` and `Finish.apply` say what they mean. The schema's functions `begin_one` and `finish_one` do it where
nothing is out of the ordinary, and nothing at all where anything is: a key that has moved, a first turn, a turn that
runs, messages that wait, a known id, a notice to be shown. Then `apply` is run.
"""

from __future__ import annotations

from typing import Any

import msgspec

from palaver.operations import Append, Appended, Begin, Begun, Finish, Finished, Operation
from palaver.operations.beginning import REDELIVERY
from palaver.rows import Draft, TurnRow
from palaver.stores.postgres.appending import PlainAppends, is_plain_draft, is_plain_time
from palaver.stores.postgres.place import Place
from palaver.stores.statements import Row

__all__ = ["Plain", "as_plain"]

_encode = msgspec.json.Encoder().encode
_LONGEST = 1 << 61


class PlainBegin:
    """A turn that begins, on its way to the server."""

    def __init__(self, operation: Begin, session_id: str, message: Draft) -> None:
        self._operation = operation
        self._session_id = session_id
        self._message = message
        self.time = operation.at
        self._number = 0

    def numbers(self, known: dict[str, int | None]) -> list[int] | None:
        """See `PlainAppends.numbers`."""
        number = known.get(self._session_id)
        return None if number is None else [number]

    def statement(self, place: Place, numbers: list[int]) -> tuple[str, int, tuple[Any, ...]]:
        """See `PlainAppends.statement`."""
        operation, draft, lease = self._operation, self._message, self._operation.lease
        [self._number] = numbers
        key_owner = operation.owner or ""
        return (
            "begin_one",
            place.session_lock(self._number),
            (
                place.lock("key", key_owner, operation.key) if operation.key is not None else None,
                self._number,
                self._session_id,
                operation.owner,
                key_owner,
                operation.key,
                operation.at - REDELIVERY,
                draft.kind,
                operation.at if draft.at is None else draft.at,
                operation.at,
                draft.id,
                lease.token,
                _encode(lease.holder).decode() if lease.holder is not None else None,
                lease.micros,
                operation.budget,
                bytes(draft.body),
            ),
        )

    def answers(self, rows: list[Row]) -> list[Any] | None:
        """See `PlainAppends.answers`."""
        [(seq, anchor, calibration, until)] = rows
        if not seq:
            return None
        operation = self._operation
        turn = TurnRow(
            session=self._number,
            first_seq=seq,
            message_seq=seq,
            steps_from=seq,
            token=operation.lease.token,
            holder=operation.lease.holder,
            expires_at=until,
            began_at=operation.at,
            anchor=anchor,
            budget=operation.budget,
            calibration=calibration,
        )
        return [Begun(kind="begun", session_id=self._session_id, seq=seq, turn=turn)]


class PlainFinish:
    """A turn that ends, on its way to the server."""

    def __init__(self, operation: Finish) -> None:
        self._operation = operation
        self.time = operation.at

    def numbers(self, known: dict[str, int | None]) -> list[int] | None:
        """See `PlainAppends.numbers`."""
        number = known.get(self._operation.session_id)
        return None if number is None else [number]

    def statement(self, place: Place, numbers: list[int]) -> tuple[str, int, tuple[Any, ...]]:
        """See `PlainAppends.statement`."""
        operation, [number] = self._operation, numbers
        [draft] = operation.messages
        return (
            "finish_one",
            place.session_lock(number),
            (
                number,
                operation.session_id,
                operation.owner,
                operation.token,
                operation.first_seq,
                draft.kind,
                operation.at if draft.at is None else draft.at,
                operation.at,
                draft.id,
                operation.anchor,
                operation.reason,
                operation.calibration or None,
                bytes(draft.body),
            ),
        )

    def answers(self, rows: list[Row]) -> list[Any] | None:
        """See `PlainAppends.answers`."""
        [(seq,)] = rows
        if not seq:
            return None
        return [Finished(Appended((seq,), seq, fresh=True, session_id=self._operation.session_id))]


Plain = PlainAppends | PlainBegin | PlainFinish


def as_plain(operations: list[Operation]) -> Plain | None:
    """The operations, if as far as their values say they are what the server does by itself."""
    first = operations[0] if operations else None
    if isinstance(first, Append):
        return PlainAppends.of(operations)
    if len(operations) != 1:
        return None
    if isinstance(first, Begin):
        return _as_begin(first)
    if isinstance(first, Finish):
        return _as_finish(first)
    return None


def _as_begin(operation: Begin) -> PlainBegin | None:
    message, session_id = operation.message, operation.session_id
    if message is None or session_id is None or not is_plain_draft(message) or not is_plain_time(operation.at):
        return None
    return PlainBegin(operation, session_id, message) if 0 <= operation.lease.micros < _LONGEST else None


def _as_finish(operation: Finish) -> PlainFinish | None:
    if operation.state != "finished" or operation.usage is not None or not is_plain_time(operation.at):
        return None
    return PlainFinish(operation) if len(operation.messages) == 1 and is_plain_draft(operation.messages[0]) else None
