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
from palaver.rows import COPY, MEDIA, ROLE_MASK, UNSEEN, USER_KIND, Draft
from palaver.stores.postgres.place import Place
from palaver.stores.statements import Row
from palaver.times import LATEST

__all__ = ["PlainAppends", "is_plain_draft", "is_plain_time"]

_LEADING = 2  # system and developer are kinds 1 and 2
_LONGEST = 1 << 59
"""Of a longer lease the server cannot tell what nine tenths are."""


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
    if not is_plain_time(operation.at) or not operation.messages or not 0 <= operation.lease_micros < _LONGEST:
        return False
    return all(map(is_plain_draft, operation.messages))


class PlainAppends:
    """Appends on their way to the server."""

    def __init__(self, operations: list[Append]) -> None:
        self._operations = operations
        self.time = operations[0].at if len(operations) == 1 else max(each.at for each in operations)
        """By the callers' clock."""
        self._batch: _Batch | None = None

    @classmethod
    def of(cls, operations: Sequence[Operation]) -> PlainAppends | None:
        """The operations, if they are ordinary appends as far as their values say."""
        if len(operations) == 1 and type(operations[0]) is Append and len(operations[0].messages) == 1:
            return cls([operations[0]]) if _is_plain(operations[0]) else None
        appends: list[Append] = []
        ids: set[tuple[str, str]] = set()
        whose: dict[str, tuple[str | None, str | None]] = {}
        for operation in operations:
            if type(operation) is not Append or not _is_plain(operation):
                return None
            owner, token = whose.setdefault(operation.session_id, (operation.owner, operation.token))
            if operation.owner != owner or (operation.token != token and operation.token is not None):
                return None  # whom a session belongs to, and who holds its turn, is asked once for each
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
            return (
                "append_one",
                place.session_lock(number),
                (number, operation.session_id, draft.kind, at, operation.at, *said),
            )
        batch = self._batch = _Batch()
        for operation, number in zip(self._operations, numbers, strict=True):
            batch.add(operation, number)
        locks = sorted(map(place.session_lock, batch.places))
        return "append_many", locks, batch.values()

    def answers(self, rows: list[Row]) -> list[Any] | None:
        """What each operation is answered with; None where nothing was done."""
        [(done,)] = rows
        if not done:
            return None
        if self._batch is None:
            return [Appended((done,), done, fresh=True, session_id=self._operations[0].session_id)]
        return [
            Appended(
                tuple(range(done[of] + low, done[of] + high + 1)),
                done[of] + high,
                fresh=True,
                session_id=operation.session_id,
            )
            for operation, (of, low, high) in zip(self._operations, self._batch.spans, strict=True)
        ]


class _Batch:
    """Appends as the columns that `append_many` takes."""

    def __init__(self) -> None:
        self.places: dict[int, int] = {}
        """The sessions by their numbers, each with its place among them."""
        self.spans: list[tuple[int, int, int]] = []
        """Of each operation: its session's place, and the first and last of its messages in that session."""
        self._sessions: list[_Session] = []
        self._messages: list[tuple[Any, ...]] = []

    def add(self, operation: Append, number: int) -> None:
        """Take an operation in."""
        place = self.places.setdefault(number, len(self._sessions))
        if place == len(self._sessions):
            self._sessions.append(_Session(operation))
        session = self._sessions[place]
        session.least, session.most = min(session.least, operation.at), max(session.most, operation.at)
        session.token = session.token if operation.token is None else operation.token
        session.lease = max(session.lease, operation.lease_micros)
        low = session.added + 1
        for draft in operation.messages:
            session.added += 1
            if draft.kind & (ROLE_MASK | UNSEEN) == USER_KIND:
                session.users = session.added
            at = operation.at if draft.at is None else draft.at
            own = operation.token is not None
            body = bytes(draft.body)
            self._messages.append((place + 1, session.added, draft.kind, session.users, at, draft.id, own, body))
        self.spans.append((place, low, session.added))

    def values(self) -> tuple[Any, ...]:
        """The columns: of sessions, of messages, of operations. Ids and tokens where there are any."""
        sessions = self._sessions
        of, nths, kinds, asked, ats, ids, turns, bodies = map(list, zip(*self._messages, strict=True))
        by, lows, highs = map(list, zip(*self.spans, strict=True))
        tokens = [each.token for each in sessions]
        return (
            list(self.places),
            [each.id for each in sessions],
            [each.owner for each in sessions],
            [each.added for each in sessions],
            [each.least for each in sessions],
            [each.most for each in sessions],
            [each.users for each in sessions],
            tokens if any(each is not None for each in tokens) else None,
            [each.lease for each in sessions],
            of,
            nths,
            kinds,
            asked,
            ats,
            ids if any(each is not None for each in ids) else None,
            turns,
            bodies,
            [each + 1 for each in by],
            lows,
            highs,
        )


class _Session:
    """What a batch adds to one session."""

    __slots__ = ("added", "id", "lease", "least", "most", "owner", "token", "users")

    def __init__(self, first: Append) -> None:
        self.id = first.session_id
        self.owner = first.owner
        self.token: str | None = None
        self.lease = 0
        self.least = self.most = first.at
        self.added = 0
        self.users = 0
        """The last message that a window may begin at: its number among those that are added; 0: none."""
