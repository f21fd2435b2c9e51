"""What the tests of erasing share: whom they erase, and the steps of an erasure."""

from __future__ import annotations

from typing import Any

from palaver.erasure import Erasure, Person, SessionTarget, Target
from palaver.model import Message, Sender, user
from palaver.operations import (
    BeginErasure,
    ClearErased,
    ErasedMessages,
    EraseMessages,
    EraseSession,
    FinishErasure,
)
from palaver.stores.base import Store
from palaver.testing.material import (
    AT,
    do,
)

__all__ = ["ANA", "ORIGIN", "erase_person", "erase_session", "finish", "said", "start"]

SECRET = bytes(range(32))
ANA = Person("telegram", ("7", "uuid-7"))
ORIGIN = '{"platform":"telegram","chat_type":"group","chat_id":"-5","user_id":"7","user_name":"Ana"}'


def said(text: str, sender: str = "7", **fields: Any) -> Message:
    """A message of somebody in a group."""
    return user(text, sender=Sender(id=sender), **fields)


def start(store: Store, target: Target, erasure_id: str = "e") -> Erasure:
    """Put an erasure on record."""
    row: Erasure = do(store, BeginErasure(at=AT, erasure_id=erasure_id, target=target, secret=SECRET))
    return row


def finish(store: Store) -> None:
    """Put on record that everything is gone."""
    do(store, FinishErasure(at=AT, erasure_id="e"))


def erase_session(store: Store, session_id: str = "s", target: Target | None = None) -> None:
    """Erase one session as a flow does."""
    start(store, target or SessionTarget(session_id))
    last = do(store, EraseSession(at=AT, erasure_id="e", session_id=session_id))
    for first in range(1, last + 1, 2):
        do(store, EraseMessages(at=AT, erasure_id="e", session_id=session_id, from_seq=first, through_seq=first + 1))
    do(store, ClearErased(at=AT, erasure_id="e", session_id=session_id))
    finish(store)


def erase_person(store: Store, session_id: str = "s", step: int = 100, *, dry_run: bool = False) -> int:
    """Erase what ANA said in a session; gives how many messages went."""
    start(store, ANA)
    gone, state = 0, ErasedMessages(0)
    for first in range(1, 100, step):
        state = do(
            store,
            EraseMessages(
                at=AT,
                erasure_id="e",
                session_id=session_id,
                from_seq=first,
                through_seq=first + step - 1,
                person=ANA,
                following=state.following,
                turn=state.turn,
                dry_run=dry_run,
            ),
        )
        gone += state.gone
    finish(store)
    return gone
