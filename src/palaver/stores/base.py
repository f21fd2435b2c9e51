"""The contract that every store keeps. These docstrings are the specification; `palaver.testing` is its test.

A store is blocking and thread-safe. It has one write method, `commit`, and the reads below; everything that a
session *means* (legality, resets, context) is decided above it, and everything that an operation requires and does is
in `palaver.operations`. Reads see every commit that returned before they began.

Times and ids come with the operations; the only clock a store may read is one it judges leases of other machines by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from palaver.errors import PalaverError
from palaver.findings import Finding
from palaver.info import Page, SessionInfo, SessionName
from palaver.operations import Begun, Operation
from palaver.records import Chunk, Piece, SessionRecord
from palaver.rows import TurnRow
from palaver.search import SearchPage, SearchQuery
from palaver.search.values import CATCH_UP
from palaver.stores.pieces import pieces_of
from palaver.stores.upkeep import StoreUpkeep
from palaver.stores.values import (
    Change,
    ChangePage,
    Erasable,
    FeedLag,
    OpenTurn,
    SessionQuery,
    Stats,
    UsageLine,
    WholeTurn,
)
from palaver.stores.waking import Wakes
from palaver.window import Tail

__all__ = [
    "CONTRACT_VERSION",
    "Change",
    "ChangePage",
    "Erasable",
    "FeedLag",
    "Finding",
    "OpenTurn",
    "SessionQuery",
    "Stats",
    "Store",
    "UsageLine",
    "WholeTurn",
]

CONTRACT_VERSION = 1

Result: TypeAlias = Any


class Store(StoreUpkeep, ABC):
    """Where conversations are kept. See the module's docstring."""

    name: str
    """What to call it in messages: its URL without secrets."""
    local: bool = True
    """Whether short reads and commits take well under a millisecond, so that an event loop may wait for them."""

    wakes: Wakes
    """Woken by each commit of this process and by `close`."""

    # ------------------------------------------------------------------ writing
    @abstractmethod
    def commit(self, operations: Sequence[Operation]) -> list[Result | PalaverError]:
        """Do each operation, in order, and answer for each.

        The answer is what the operation's `apply` returned, or the PalaverError that it raised: one that raised has
        changed nothing, and does not hinder the others. Each operation is atomic; when this returns, every
        successful one is on disk; after a crash meanwhile, any first part of them may be there. May be
        called from any number of threads; calls are committed together where that saves a sync.

        Raises StoreError, whose `outcome` says what became of the operations, if they failed as a whole:
        StoreFull, StoreBusy (too much waits, or another process kept the lock too long), StoreUnavailable,
        StoreClosed.
        """

    # ------------------------------------------------------------------ reading
    @property
    def committing(self) -> bool:
        """Whether a commit is under way: another would wait for it."""
        return False

    @property
    def commit_seconds(self) -> float:
        """Moving average of how long a commit takes."""
        return 0.0

    def commit_at_once(self, operations: Sequence[Operation]) -> list[Any]:
        """As `commit`, but StoreBusy, not written, where it would wait long for another process.

        For an event loop's own thread, which must not stand still for more than a few milliseconds.
        """
        return self.commit(operations)

    def tidy(self, *, beside: bool = False) -> None:
        """Do what the last commits left to be done; nothing, if somebody commits at this moment.

        Called after each commit by who drives flows, once the answers are given out, so that nobody waits for it who
        need not. A store that is never told to tidy up must stay within its bounds all the same. `beside`: on a thread
        that nobody waits for; smaller portions then disturb the next commit less. What fails here is no failure of a
        commit, and raises nothing: if it forbids further commits, they say so.
        """

    @abstractmethod
    def current(self, owner: str, key: str, now: datetime) -> SessionInfo | None:
        """The session that a key points at; None if there is none. `keys` and `usage` are not filled in."""

    @abstractmethod
    def bound(self, owner: str, key: str) -> str | None:
        """The id of the session that a key points at; None if there is none. Cheaper than `current`."""

    @abstractmethod
    def named(self, owner: str | None, alias: str) -> str | None:
        """The id of the session with this alias, or None. `owner` None: the alias of the empty owner."""

    @abstractmethod
    def beginning(self, owner: str | None, text: str, *, by: Literal["title", "id"], limit: int) -> list[SessionName]:
        """Sessions whose title, folded by `titles.folded`, or whose id begins with `text`, in the order of that.

        Of one owner, or (None) of all; deleted ones are left out, ended, archived and hidden ones are not. Read off an
        index: its cost follows from `limit`, not from how many sessions there are.
        """

    @abstractmethod
    def info(self, session_id: str, owner: str | None, now: datetime) -> SessionInfo:
        """All about one session. Raises SessionNotFound for an unknown, deleted or foreign one."""

    @abstractmethod
    def tail(
        self, session_id: str, owner: str | None, now: datetime, *, limit: int, begun: Begun | None = None
    ) -> Tail:
        """What a window is made of: leading instructions, newest summary, and the newest live messages.

        The newest `limit` live messages that no summary covers (all of them if there are fewer), and the newest
        replayable user message, wherever it is. One bounded read in one snapshot: its cost follows from `limit` and
        the number of cuts, never from the session's length. A message that cannot be decoded is left out and named
        in `Tail.corrupt`, and its bytes are kept aside as they were found.

        `begun`: what became of a Begin that the caller has just committed there. The tail may then be as that commit
        left it, so that a store need not ask again for what it knows.
        """

    @abstractmethod
    def page(
        self,
        session_id: str,
        owner: str | None,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest: bool = False,
        live: bool = True,
    ) -> Page:
        """Messages with `after` < seq < `before`, in order: the first `limit` of them, or the last with `newest`.

        `live` False: also those that a cut covers. One that cannot be decoded is left out, named in `Page.corrupt`,
        and its bytes are kept aside as they were found.
        """

    @abstractmethod
    def turn(self, session_id: str, owner: str | None, first_seq: int | None = None) -> TurnRow | None:
        """The turn that began at this position, or the newest one; None if there is none."""

    @abstractmethod
    def whole_turn(self, session_id: str, owner: str | None, first_seq: int, now: datetime) -> WholeTurn | None:
        """The turn that began at this position, its messages and its session, in one snapshot; None: there is none."""

    @abstractmethod
    def queued(self, session_id: str, owner: str | None) -> Page:
        """Messages that were stored while a turn ran and that no turn has taken yet."""

    @abstractmethod
    def versions(self, session_id: str, owner: str | None, seq: int) -> Page:
        """What a message said before each of its edits, oldest first; empty where it was never edited, or is gone."""

    @abstractmethod
    def blobs(self, session_id: str, owner: str | None, addresses: Sequence[str]) -> dict[str, bytes]:
        """Content that is kept out of line, by its address; only what a message of this session refers to.

        Of an address that none refers to, or whose content is damaged, there is nothing in the answer.
        """

    @abstractmethod
    def sessions(self, query: SessionQuery, now: datetime) -> list[SessionInfo]:
        """Sessions, newest activity first (to the second). `usage` is not filled in.

        Where the query is `narrowed`, sessions are looked through in that order until the page is full: its cost
        follows from how many of them are as wanted.
        """

    @abstractmethod
    def open_turns(self, owner: str | None, now: datetime) -> list[OpenTurn]:
        """Turns that have not ended, oldest first."""

    @abstractmethod
    def changes(
        self, after: str | None, *, limit: int = 1000, session_id: str | None = None, owner: str | None = None
    ) -> ChangePage:
        """Committed operations after a cursor, in order within each session; None: from the beginning.

        Every committed change once, none skipped. `cursor` of the page lies behind everything that was looked at:
        whoever asks for one quiet session goes on from there, and does not look at the same again. Raises CursorExpired
        if the feed was pruned past the cursor, or has not come to it: it is of another store.
        """

    # ------------------------------------------------------------------ copying
    @abstractmethod
    def record(self, session_id: str, owner: str | None) -> SessionRecord:
        """All of a session but its messages and turns, in one snapshot; also of one that was deleted.

        Raises SessionNotFound for an unknown or foreign one.
        """

    @abstractmethod
    def chunk(self, session_id: str, owner: str | None, *, after: int, limit: int, media: bool = True) -> Chunk:
        """The first `limit` messages after a position, live or not, just as they are stored, and the turns among them.

        It begins right after `after`, and where no messages follow it ends with the session's last position. Of large
        ones there are fewer (see `palaver.stores.recording`). `media`: with the content that they refer to. Also of a
        deleted session. Raises SessionNotFound for an unknown or foreign one.
        """

    def pieces(self, asked: Sequence[tuple[str, int]], *, limit: int) -> list[Piece | PalaverError]:
        """The first of some sessions, each with its record, newest turn and the chunk after a position.

        As many as are sent well at once, and one at least: the others are asked for again. `limit` is that of each
        chunk; 0: without any. In the place of one that there is not, or that cannot be told, is the error that `record`
        or `chunk` would have raised. What a session's chunk has may be newer than its record. Raises StoreError.
        """
        return pieces_of(self, asked, limit)

    # ------------------------------------------------------------------ searching
    @abstractmethod
    def search(self, query: SearchQuery) -> SearchPage:
        """Live messages that have all of what is looked for, as a plain scan by `palaver.search` would find them.

        Of sessions that are not deleted, and not hidden unless asked for; copies, hidden messages and commands are not
        found. The best first; see `palaver.stores.searching` for the order and the pages. What an index does not know
        yet it is told first, up to `query.catch_up` messages; `SearchPage.behind` says how much is missing after that.
        What was purged is not found from then on, what was edited as it is now. Raises SessionNotFound for an unknown
        or foreign `query.session_id`, CursorExpired for a cursor of no search.
        """

    @abstractmethod
    def index(self, *, limit: int = CATCH_UP) -> int:
        """Take what was committed into the search index, about `limit` messages, in short steps between commits.

        Returns how many changes are left; 0 also for a store that needs no index, and for one that is read only the
        number of those that it cannot take. Nothing of it is done by `commit`.
        """

    @abstractmethod
    def reindex(self) -> None:
        """Throw the search index away; `index`, and every search, then build it anew."""

    # ------------------------------------------------------------------ reports
    @abstractmethod
    def usage(
        self, owner: str | None, *, session_id: str | None = None, since: datetime | None = None
    ) -> list[UsageLine]:
        """What was used, by session, day and model; oldest day first."""

    @abstractmethod
    def stats(self, owner: str | None) -> Stats:
        """How much the store holds."""

    def feed_lag(self) -> FeedLag:
        """How far the change feed is behind; quick. Stores that tell what is committed at once need not say more."""
        return FeedLag()

    # ------------------------------------------------------------------ life
    @property
    def is_closed(self) -> bool:
        """Whether it was closed, as far as it can tell."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Finish what is under way, release everything, and refuse what comes later with StoreClosed. Idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
