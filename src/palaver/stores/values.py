"""What stores are asked with, and what they answer with, beside what the rest of Palaver knows."""

from __future__ import annotations

from datetime import datetime

import msgspec

from palaver.info import Page, SessionInfo
from palaver.model import Usage
from palaver.rows import SessionRow, TurnRow

__all__ = ["Change", "ChangePage", "Erasable", "FeedLag", "OpenTurn", "SessionQuery", "Stats", "UsageLine", "WholeTurn"]


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which sessions to list. Newest activity first."""

    owner: str | None = None
    """None: of all owners."""
    limit: int = 50
    after: str | None = None
    """Session id that the page before ended with; a deleted one only where deleted ones are listed."""
    active_since: datetime | None = None
    include_archived: bool = False
    include_ended: bool = True
    include_empty: bool = False
    include_hidden: bool = False
    include_deleted: bool = False
    platform: str | None = None
    """Where it began, as `agent` and `account` too."""
    agent: str | None = None
    account: str | None = None
    tag: str | None = None
    title: str | None = None
    """What its title says somewhere, folded by `titles.folded`."""
    pinned: bool | None = None
    archived: bool | None = None
    """True: only archived ones. None: as `include_archived` has it."""
    hidden: bool | None = None
    """True: only hidden ones. None: as `include_hidden` has it."""
    parent: str | None = None
    """Id of the session that they follow."""

    @property
    def narrowed(self) -> bool:
        """Whether sessions are asked for by what only a look at each of them tells."""
        began = (self.platform, self.agent, self.account)
        kept = (self.tag, self.title, self.pinned, self.archived, self.hidden, self.parent)
        return any(each is not None for each in (*began, *kept))


class OpenTurn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A turn that began and has not ended."""

    session_id: str
    owner: str
    first_seq: int
    began_at: datetime
    expires_at: datetime
    alive: bool
    """Whether its lease still holds. False: its process died or let the lease run out; the next turn closes it."""


class WholeTurn(msgspec.Struct, frozen=True):
    """A turn in whatever state it is, with what it is about."""

    turn: TurnRow
    session: SessionInfo
    """The session that it is of; `keys`, `aliases` and `usage` are not filled in."""
    messages: Page
    """What the turn stored, and the messages that it took from those that waited; live ones, in order."""


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One committed operation, without content."""

    cursor: str
    """Opaque: ask for what came after it."""
    session_id: str
    rev: int
    kind: str
    from_seq: int = 0
    through_seq: int = 0


class ChangePage(list[Change]):
    """Changes, in order; `cursor` is where to go on, also where none of what came was asked for."""

    cursor: str = "0"


class UsageLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a session used on one UTC day with one model; or, summed up, what all of one of these used."""

    session_id: str | None = None
    """This, the owner, the day and the model: None where the line sums several up."""
    owner: str | None = None
    day: str | None = None
    """ISO date."""
    model: str | None = None
    """Empty for calls of a model that nobody named."""
    calls: int
    priced_calls: int = 0
    """Of how many calls the cost is known: `usage.cost` is theirs."""
    usage: Usage


class FeedLag(msgspec.Struct, frozen=True, kw_only=True):
    """How far what the change feed tells is behind what is committed; nothing, in stores that tell it at once."""

    changes: int = 0
    """Committed, and held back: a transaction that is still under way could come before them."""
    seconds: float | None = 0.0
    """Age of the oldest of these transactions; None where the store's user may not see them."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds."""

    store: str
    sessions: int
    messages: int
    open_turns: int
    owners: int
    size_bytes: int
    usage: Usage
    calls: int = 0
    priced_calls: int = 0
    """Of how many calls the cost is known: `usage.cost` is theirs, and None where it is none."""
    schema: int
    codec: int
    feed_lag: FeedLag = FeedLag()
    """Of the whole store; an owner is not told."""


class Erasable(msgspec.Struct, frozen=True):
    """A session as an erasure looks at it: deleted or not, and whoever's it is."""

    row: SessionRow
    last_seq: int
    keys: tuple[tuple[str, str], ...]
    """Owner and key of each."""
    first_kind: int | None
    """Kind of its first message, which is a copy where any is; None: that is not stored, and nothing is known."""
