"""Ordinary appends: what most batches are made of, and what the server does by itself in one round trip.

`Append.apply` says what an append means. Where nothing is out of the ordinary it comes down to counting on, and the
functions `append_one` and `append_many` of the schema do just that, under the same locks. They do nothing at all where
anything is: a first message, a known id, a turn that is not held, a session that has ended. Then `apply` is run.
The conformance suite and the state machine see both ways, and must not see a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.operations import Append, Appended, Operation
from palaver.rows import COPY, MEDIA, ROLE_MASK, Draft
from palaver.stores.postgres.connection import Place
from palaver.stores.statements import Row
from palaver.times import LATEST

__all__ = ["PlainAppends", "is_plain_draft", "is_plain_time"]

_LEADING = 2  # system and developer are kinds 1 and 2


def is_plain_time(at: int) -> bool:
    """Whether a time is one that nothing has to be decided about."""
    return 0 <= at <= LATEST


def is_plain_draft(draft: Draft) -> bool:
    """Whether a message is one that only has to be stored: no instructions, no copy, no content out of line."""
    role = draft.kind & ROLE_MASK
    return role > _LEADING and not draft.kind & (COPY | MEDIA) and (draft.at is None or abs(draft.at) <= LATEST)


def _is_plain(operation: Append) -> bool:
    if operation.create is not None or operation.expected_seq is not None or operation.restoring:
        return False
    if not is_plain_time(operation.at) or not operation.messages:
        return False
    return all(map(is_plain_draft, operation.messages))


class PlainAppends:
    """Appends on their way to the server."""

    def __init__(self, operations: list[Append]) -> None:
        self._operations = operations
        self.time = operations[-1].at
        """By the callers' clock."""

    @classmethod
    def of(cls, operations: Sequence[Operation]) -> PlainAppends | None:
        """The operations, if they are ordinary appends as far as their values say."""
        appends: list[Append] = []
        ids: set[tuple[str, str]] = set()
        for operation in operations:
            if type(operation) is not Append or not _is_plain(operation):
                return None
            for draft in operation.messages:
                if draft.id is not None:
                    if (operation.session_id, draft.id) in ids:
                        return None
                    ids.add((operation.session_id, draft.id))
            appends.append(operation)
        return cls(appends)

    def numbers(self, known: dict[str, int | None]) -> list[int] | None:
        """The number of each one's session; None where one is not known."""
        found: list[int] = []
        for operation in self._operations:
            number = known.get(operation.session_id)
            if number is None:
                return None
            found.append(number)
        return found

    def statement(self, place: Place, numbers: list[int]) -> tuple[str, int | list[int], tuple[Any, ...]]:
        """The statement to run, the locks of its sessions, and its values but for those that all begin with."""
        if len(self._operations) == 1 and len(self._operations[0].messages) == 1:
            [operation], [number] = self._operations, numbers
            [draft] = operation.messages
            at = operation.at if draft.at is None else draft.at
            said = (draft.id, operation.owner, operation.token, operation.lease_micros, bytes(draft.body))
            return "append_one", place.session_lock(number), (number, draft.kind, at, operation.at, *said)
        locks = sorted({place.session_lock(number) for number in numbers})
        rows = [
            (
                number,
                nth,
                draft.kind,
                operation.at if draft.at is None else draft.at,
                operation.at,
                draft.id,
                operation.owner,
                operation.token,
                operation.lease_micros,
                bytes(draft.body),
            )
            for nth, (operation, number) in enumerate(zip(self._operations, numbers, strict=True))
            for draft in operation.messages
        ]
        return "append_many", locks, tuple(map(list, zip(*rows, strict=True)))

    def answers(self, rows: list[Row]) -> list[Appended] | None:
        """What each operation is answered with; None where nothing was done."""
        if len(self._operations) == 1 and len(self._operations[0].messages) == 1:
            last = rows[0][0]
            if not last:
                return None
            return [Appended((last,), last, fresh=True, session_id=self._operations[0].session_id)]
        if not rows:
            return None
        lasts: dict[int, int] = dict(rows)
        return [
            Appended(
                tuple(range(lasts[place] - len(operation.messages) + 1, lasts[place] + 1)),
                lasts[place],
                fresh=True,
                session_id=operation.session_id,
            )
            for place, operation in enumerate(self._operations)
        ]
