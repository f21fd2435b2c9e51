"""What the conformance tests are written with: times, drafts, leases, and short ways to commit and to read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from palaver import codec
from palaver.errors import PalaverError
from palaver.media import addresses
from palaver.model import Message, user
from palaver.operations import Append, Begin, Begun, Create, Lease, NewSession, Operation
from palaver.rows import Draft, Holder
from palaver.stores.base import Change, SessionQuery, Store
from palaver.times import SECOND, from_micros

__all__ = [
    "AT",
    "DAY",
    "DELETED",
    "EVERYTHING",
    "HOUR",
    "MINUTE",
    "NOW",
    "SECOND",
    "append",
    "batch",
    "begin",
    "create",
    "do",
    "drafts",
    "drain",
    "later",
    "lease",
    "live",
    "new",
    "refused",
    "seqs",
    "state_of",
    "stored",
    "texts",
]

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
AT = 1_772_712_000 * SECOND
"""2026-03-05 12:00:00 UTC: when the tests take place. A store's own clock is asked about leases only."""
NOW = from_micros(AT)
EVERYTHING = SessionQuery(limit=10_000, include_archived=True, include_empty=True, include_hidden=True)
DELETED = SessionQuery(
    limit=10_000, include_archived=True, include_empty=True, include_hidden=True, include_deleted=True
)
_ALL = 1_000_000
_YEARS = 10_000 * DAY
E = TypeVar("E", bound=PalaverError)


def later(micros: int) -> datetime:
    """The time that long after the tests began."""
    return from_micros(AT + micros)


def drafts(*items: str | Message) -> tuple[Draft, ...]:
    """Messages ready to be stored; a text is one of a user."""
    return tuple(codec.draft(user(item) if isinstance(item, str) else item) for item in items)


def lease(token: str, micros: int = 10 * MINUTE, holder: Holder | None = None) -> Lease:
    """The right to run a turn, by default for ten minutes and held by no process in particular."""
    return Lease(token, micros, holder)


def new(session_id: str, **fields: Any) -> NewSession:
    """A session to make."""
    return NewSession(id=session_id, **fields)


def batch(store: Store, *operations: Operation) -> list[Any]:
    """Commit several operations in one call and return their answers, errors among them."""
    return store.commit(operations)


def do(store: Store, operation: Operation) -> Any:
    """Commit one operation and return its answer; raise it if it is an error."""
    (answer,) = store.commit([operation])
    if isinstance(answer, PalaverError):
        raise answer
    return answer


def refused(store: Store, operation: Operation, error: type[E]) -> E:
    """Commit one operation that must be answered by this error and change nothing; return the error."""
    before = state_of(store)
    (answer,) = store.commit([operation])
    assert isinstance(answer, error), f"{type(operation).__name__} was answered by {answer!r}, not {error.__name__}"
    assert state_of(store) == before, f"{type(operation).__name__} was refused and yet changed something"
    return answer


def create(store: Store, session_id: str = "s", *items: str | Message, at: int = AT, **fields: Any) -> str:
    """Make a session that holds these messages; `fields` are those of Create. Returns its id."""
    do(store, Create(at=at, new=NewSession(id=session_id), **fields))
    if items:
        append(store, session_id, *items, at=at)
    return session_id


def append(store: Store, session_id: str, *items: str | Message, at: int = AT, **fields: Any) -> Any:
    """Append messages; `fields` are those of Append."""
    return do(store, Append(at=at, session_id=session_id, messages=drafts(*items), **fields))


def begin(
    store: Store,
    message: str | Message | None,
    token: str = "t1",  # noqa: S107 - the token of a lease, no secret
    *,
    session_id: str = "s",
    at: int = AT,
    micros: int = 10 * MINUTE,
    **fields: Any,
) -> Begun:
    """Begin a turn in a session; `fields` are those of Begin."""
    draft = None if message is None else drafts(message)[0]
    answer: Begun = do(store, Begin(at=at, session_id=session_id, message=draft, lease=lease(token, micros), **fields))
    return answer


def live(store: Store, session_id: str = "s") -> list[Message]:
    """All live messages of a session."""
    return store.page(session_id, None, limit=_ALL)


def stored(store: Store, session_id: str = "s") -> list[Message]:
    """All stored messages of a session, those that are cut included."""
    return store.page(session_id, None, limit=_ALL, live=False)


def texts(messages: Iterable[Message]) -> list[str]:
    """The text of each message."""
    return [m.text for m in messages]


def seqs(messages: Iterable[Message]) -> list[int]:
    """The position of each message."""
    return [m.seq for m in messages]


def drain(store: Store, after: str | None = None, *, limit: int = 1000, **scope: Any) -> list[Change]:
    """The feed from a cursor to its end, page by page."""
    out: list[Change] = []
    while True:
        page = store.changes(after, limit=limit, **scope)
        assert len(page) <= limit
        if not page:
            return out
        out += page
        after = page[-1].cursor


def state_of(store: Store) -> dict[str, Any]:
    """All that a store tells of what it holds, as it is at NOW. Equal states read the same."""
    state: dict[str, Any] = {
        "changes": drain(store),
        "open turns": store.open_turns(None, NOW),
        "usage": store.usage(None),
        "stats": msgspec.structs.replace(store.stats(None), size_bytes=0, store=""),
    }
    state["todos"] = [store.todos(None, each, later(_YEARS)) for each in ("waiting", "claimed", "given_up")]
    listed = store.sessions(EVERYTHING, NOW)
    state["order"] = [info.id for info in listed]
    state["deleted"] = store.sessions(DELETED, NOW)
    for info in listed:
        state[info.id] = {
            "listed": info,
            "info": store.info(info.id, None, NOW),
            "live": live(store, info.id),
            "stored": stored(store, info.id),
            "tail": store.tail(info.id, None, NOW, limit=50),
            "turn": store.turn(info.id, None),
            "queued": store.queued(info.id, None),
            "versions": [list(store.versions(info.id, None, m.seq)) for m in stored(store, info.id)],
            "media": store.blobs(info.id, None, [a for m in stored(store, info.id) for a in addresses(m)]),
        }
    return state
