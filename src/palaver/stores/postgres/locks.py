"""Which locks a batch of operations needs, as far as its values say; see docs/decisions/0007.

Advisory locks give a transaction no id, so it gets its id after all of them: the change feed, in the order of these
ids, is then in the order of each session. They are taken in ascending order before any row is read. What turns out to
be needed besides is tried for without waiting; where somebody has it, the batch begins again, and waits in its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from palaver.operations import Import, Operation, Settle

__all__ = ["Alone", "Held", "NumbersMoved", "NumbersUsedUp", "Plan"]

MOST = 128
"""Locks that a transaction takes: the server has some 64 for each connection. For more it takes the whole store's."""
MOST_RESTARTS = 8


class Held(Exception):
    """Another transaction has a lock that is needed."""

    def __init__(self, lock: int) -> None:
        super().__init__(f"advisory lock {lock} is held")
        self.lock = lock


class Alone(Exception):
    """What is to be done must be done while nobody else writes."""


class NumbersMoved(Exception):
    """A number that is remembered for a session is another one's: the server lacks what it had committed before."""


class NumbersUsedUp(Exception):
    """More sessions are made than numbers were fetched for."""


@dataclass(slots=True)
class Plan:
    """What a batch names, and what was learnt by trying."""

    ids: list[str] = field(default_factory=list[str])
    keys: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    aliases: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    message_ids: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Session id and message id."""
    extra: set[int] = field(default_factory=set[int])
    alone: bool = False
    numbers: int = 0
    """How many sessions are made."""
    creating: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Keys for which one is made, if they point at nothing."""
    importing: dict[str, None] = field(default_factory=dict[str, None])
    """Ids that one is made for, if there is none with them."""
    restarts: int = 0

    @classmethod
    def of(cls, operations: Sequence[Operation]) -> Plan:
        """What these values name."""
        plan = cls()
        ids: dict[str, None] = {}
        keys: dict[tuple[str, str], None] = {}
        aliases: dict[tuple[str, str], None] = {}
        for operation in operations:
            owner: str = getattr(operation, "owner", None) or ""
            session_id: str | None = getattr(operation, "session_id", None)
            key: str | None = getattr(operation, "key", None)
            alias: str | None = getattr(operation, "alias", None)
            if session_id is not None:
                ids[session_id] = None
                for draft in (*getattr(operation, "messages", ()), getattr(operation, "message", None)):
                    if draft is not None and getattr(draft, "id", None) is not None:
                        plan.message_ids.append((session_id, draft.id))
            if key is not None:
                keys[owner, key] = None
            if alias is not None:
                aliases[owner, alias] = None
            if isinstance(operation, (Import, Settle)):
                row = operation.row if isinstance(operation, Import) else operation.record.row
                ids[row.id] = None
                plan.importing[row.id] = None
                if isinstance(operation, Settle):
                    keys.update(((row.owner, each.key), None) for each in operation.record.keys)
            elif getattr(operation, "new", None) is not None:
                plan.numbers += 1
            elif getattr(operation, "create", None) is not None and key is not None:
                plan.creating.append((owner, key))
        plan.ids, plan.keys, plan.aliases = list(ids), list(keys), list(aliases)
        return plan

    def learn(self, why: Held | Alone | NumbersMoved | NumbersUsedUp) -> None:
        """Begin again with this."""
        self.restarts += 1
        if isinstance(why, Held):
            self.extra.add(why.lock)
        elif isinstance(why, NumbersUsedUp):
            self.numbers = max(1, 2 * self.numbers)
        if isinstance(why, Alone) or self.restarts > MOST_RESTARTS:
            self.alone = True
