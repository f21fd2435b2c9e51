"""What a session looks like from outside: the frozen values that reads return."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from palaver.endpoints import ModelSettings
from palaver.keys import Origin
from palaver.model import Message, Usage

__all__ = [
    "Chain",
    "ChainMessage",
    "Hold",
    "LineageKind",
    "Notice",
    "Page",
    "SessionInfo",
    "SessionName",
    "Summary",
    "Todo",
    "TodoState",
]

TodoState: TypeAlias = Literal["waiting", "claimed", "done", "given_up"]
LineageKind: TypeAlias = Literal["reset", "fork", "thread", "import", "subagent"]


class Page(list[Message]):
    """Messages of a transcript, in order; `corrupt` are the positions of those that could not be decoded."""

    corrupt: tuple[int, ...] = ()


class ChainMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message, and the session that it stands in: positions are that session's."""

    session_id: str
    message: Message


class Chain(list[ChainMessage]):
    """Messages of a session and of those that it goes on from, oldest first."""

    before: str | None = None
    """Give it as `before` for the page of older ones; None: there are none."""
    missing: str | None = None
    """Id of a session that was there before these, and is not found: it was deleted, purged, or never imported."""
    corrupt: tuple[tuple[str, int], ...] = ()
    """Session and position of those that could not be decoded."""


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Work that keeps a session from being reset, until it is released or `until` has passed."""

    name: str
    until: datetime


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to say about a reset: one text for the model, one for the person (None: say nothing to them)."""

    for_model: str
    for_user: str | None = None


class Todo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be done about a session that is, or is about to be, reset: its memories kept, for instance.

    It is about the messages with after_seq < seq <= through_seq, which can be read whether or not it has ended.
    """

    session_id: str
    owner: str | None = None
    reason: str
    """Why the session is reset: `idle`, `daily`, `idle+daily` or `manual`."""
    state: TodoState
    """`waiting`, `claimed` by a worker, `done`, or `given_up` after its third failure."""
    made_at: datetime
    after_seq: int = 0
    through_seq: int
    failures: int = 0
    error: str | None = None
    """Why it failed last."""
    token: str = ""
    """Of the claim: it is what `acknowledge` and `fail` show."""
    until: datetime | None = None
    """When the claim ends; of one that waits after a failure, when it is due again."""


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A compaction: `text` stands for every message through `through_seq`."""

    id: int
    text: str
    from_seq: int
    through_seq: int
    previous: int | None = None
    stale: bool = False
    created_at: datetime | None = None


class SessionName(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person may tell a session by."""

    id: str
    title: str | None = None
    owner: str | None = None

    def __str__(self) -> str:
        return f"{self.title!r} ({self.id})" if self.title is not None else self.id


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One conversation, as it was when it was read. Times are aware UTC; counts are of live messages."""

    id: str
    owner: str | None = None
    keys: tuple[str, ...] = ()
    """The keys that point at this session, oldest first; empty when the session has ended."""
    aliases: tuple[str, ...] = ()
    """Other ids that find it, such as those of the system that it was imported from; only where one session is read."""
    title: str | None = None
    title_source: Literal["user", "generated"] | None = None
    """Whether the title is the user's own; a generated one never takes the place of that."""
    preview: str | None = None
    """Beginning of the first thing that a person wrote, at most 120 characters."""
    origin: Origin | None = None
    created_at: datetime
    last_active_at: datetime
    """When the newest message was stored; the creation time where there is none. Only real messages move it."""
    ended_at: datetime | None = None
    end_reason: str | None = None
    parent: str | None = None
    """Session id that this one follows."""
    parent_kind: LineageKind | None = None
    rev: int = 0
    """Version of the session: +1 for every change a reader could notice, appends apart."""
    last_seq: int = 0
    """Highest position ever given out; never goes back."""
    message_count: int = 0
    archived: bool = False
    pinned: bool = False
    hidden: bool = False
    deleted_at: datetime | None = None
    """When it was deleted; only lists that ask for deleted ones show such sessions."""
    tags: tuple[str, ...] = ()
    holds: tuple[Hold, ...] = ()
    """Holds that had not expired when this was read."""
    turn_running: bool = False
    reset_reason: str | None = None
    """Why the reset that made this session happened; None where no reset made it."""
    model: ModelSettings | None = None
    """The model that answers here, and where it is; None: nobody chose one."""
    metadata: dict[str, Any] = {}  # msgspec gives every value its own copy
    usage: Usage | None = None
    bound_at: datetime | None = None
    """When the key by which it was found was pointed at it; None where it was not found by a key."""
    unreadable: tuple[str, ...] = ()
    """Which of these fields are damaged where they are stored, and left out here: `check` explains, `repair` mends.

    `messages`: the newest ones stand where the store's file is damaged; what is said of them here is from elsewhere.
    """

    @property
    def etag(self) -> str:
        """Changes with every change of the session, appends included."""
        return f"{self.rev}.{self.last_seq}"
