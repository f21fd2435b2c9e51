"""The facade over one store: the verbs of the collection."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from palaver.arguments import aware, budget_of, given_budget, page_limit
from palaver.bases import ManagerBase
from palaver.core import Target
from palaver.flows import beginning, feed, naming, resetting, searching, usage
from palaver.flows import sessions as flows
from palaver.flows.beginning import OnBusy
from palaver.flows.incognito import incognito_core
from palaver.flows.turn_ids import turn_by_id
from palaver.flows.usage import By
from palaver.info import SessionInfo
from palaver.model import Message, Role
from palaver.removal import Removal
from palaver.search import SearchPage
from palaver.session import Session
from palaver.steps import drive
from palaver.stores.base import ChangePage, OpenTurn, Stats, UsageLine
from palaver.turn import Turn
from palaver.upkeep import Upkeep

__all__ = ["SessionManager"]


class SessionManager(Upkeep, Removal, ManagerBase):
    """All conversations in one store. Safe to share between threads. Every method may raise StoreError."""

    def begin_turn(
        self,
        target: Target,
        message: Message | None = None,
        *,
        on_busy: OnBusy = "wait",
        timeout: float | None = 60.0,
        lease: timedelta | None = None,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        max_turns: int | None = None,
    ) -> Turn:
        """Store a message under its origin (or key) and begin the turn that answers it.

        The message is durable, and the turn holds the session, when this returns. Before that the reset policy may
        have begun a new session. A message id that came before begins nothing twice: see `Turn.replayed` and
        `Turn.taken_over`. Without a message, the turn answers those that wait.

        While another turn runs in the session: `on_busy` "wait" waits up to `timeout` seconds (None: for ever) and
        then raises SessionBusy, "raise" raises it at once, "store" stores the message for that turn's `inbox`, or
        the next turn (`Turn.queued`). `lease` is how long the turn keeps the session without a sign of life. The
        budgets are those of its window.

        Raises InvalidKey, InvalidMessage, SessionConflict (a known id with other content), SessionNotFound.
        """
        core = self._core
        began = drive(
            core.store,
            beginning.begin(
                core,
                target,
                None,
                message,
                on_busy=on_busy,
                timeout=timeout,
                lease=lease,
                budget=budget_of(core, max_messages, max_tokens, max_turns),
            ),
        )
        return Turn(core, began, lease or core.settings.lease)

    def turn(
        self,
        turn_id: str,
        *,
        lease: timedelta | None = None,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        max_turns: int | None = None,
    ) -> Turn:
        """A turn by its `id`, to go on with it: here, or elsewhere after a crash of the process that began it.

        `lease` is how long each step from here keeps the session; budgets not given are those that it began with.
        One that has ended is given as a replayed turn.
        Raises SessionNotFound for an id of no turn, or of one that another holder has taken over.
        """
        core = self._core
        began = drive(
            core.store, turn_by_id(core, turn_id, budget=given_budget(core, max_messages, max_tokens, max_turns))
        )
        return Turn(core, began, lease or core.settings.lease)

    def resolve(self, target: Target) -> Session:
        """The session that an origin or key points at. Raises SessionNotFound; never makes or changes anything."""
        return Session(self._core, drive(self._core.store, flows.find(self._core, target)))

    def get(self, session_id: str) -> Session:
        """The session with this id or alias. Raises SessionNotFound; never makes or changes anything."""
        return Session(self._core, drive(self._core.store, flows.known(self._core, session_id)))

    def find(self, name: str) -> Session:
        """The session that a person means: by its id, alias or title, or by the beginning of a title or id.

        Titles are compared exactly first, then without regard to case and spaces; an id needs four characters.
        Raises SessionAmbiguous with `candidates` where several are meant, SessionNotFound with names that are near.
        """
        return Session(self._core, drive(self._core.store, naming.named(self._core, name)))

    def get_or_create(self, target: Target) -> Session:
        """The session under an origin or key; where there is none, one that is stored with its first message."""
        session_id, new = drive(self._core.store, flows.promised(self._core, target))
        return Session(self._core, session_id, target, new)

    def create(
        self,
        target: Target | None = None,
        *,
        alias: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        hidden: bool = False,
    ) -> Session:
        """Make a session on purpose, under an origin or key or under none, with the caller's own id as an alias.

        A `hidden` one is for machinery, such as a subagent's work: see `Session.hide`.
        Raises SessionConflict if the key, the alias or the title is taken.
        """
        return Session(
            self._core,
            drive(
                self._core.store,
                flows.create(self._core, target, alias=alias, title=title, metadata=metadata, hidden=hidden),
            ),
        )

    def list(
        self,
        *,
        limit: int = 50,
        after: str | None = None,
        active_since: datetime | None = None,
        include_archived: bool = False,
        include_ended: bool = True,
        include_empty: bool = False,
        include_hidden: bool = False,
        include_deleted: bool = False,
        platform: str | None = None,
        agent: str | None = None,
        account: str | None = None,
        tag: str | None = None,
        title: str | None = None,
        pinned: bool | None = None,
        archived: bool | None = None,
        hidden: bool | None = None,
        parent: str | None = None,
    ) -> builtins.list[SessionInfo]:
        """Sessions, newest activity first. `after` is the id that the page before ended with.

        Those that began at a `platform`, with an `agent`, through an `account`; that have a `tag`; whose `title` says
        this somewhere; that are `pinned`, `archived` or `hidden`, or are not; that follow the session `parent`. Such
        are looked for one by one, newest first, until the page is full.
        """
        query = self._query(
            limit=limit,
            after=after,
            active_since=active_since,
            include_archived=include_archived,
            include_ended=include_ended,
            include_empty=include_empty,
            include_hidden=include_hidden,
            include_deleted=include_deleted,
            platform=platform,
            agent=agent,
            account=account,
            tag=tag,
            title=title,
            pinned=pinned,
            archived=archived,
            hidden=hidden,
            parent=parent,
        )
        return self._core.store.sessions(query, self._core.now())

    def search(
        self,
        text: str,
        *,
        session_id: str | None = None,
        platform: str | None = None,
        agent: str | None = None,
        account: str | None = None,
        tag: str | None = None,
        role: Role | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 20,
        cursor: str | None = None,
        around: int = 0,
        include_hidden: bool = False,
    ) -> SearchPage:
        """Messages that say all of `words`, `"phrases"` and `prefix*`, the best first; nothing written is an error.

        What was undone, replaced, hidden, purged or copied from elsewhere is not found; tools' calls and results are.
        `platform`, `agent` and `account` are where a session began, `tag` is one that it has now; `since` <= made <
        `until`. With `around`, each hit has so many messages before and after it. `cursor` is `next` of the page
        before. What is new is taken into the index first, within a second; `SearchPage.behind` says how much is missing
        after that.

        Raises SessionNotFound for a `session_id` (or alias) of no session, CursorExpired.
        """
        return drive(
            self._core.store,
            self._search(
                text,
                session_id=session_id,
                platform=platform,
                agent=agent,
                account=account,
                tag=tag,
                role=role,
                since=since,
                until=until,
                limit=limit,
                cursor=cursor,
                around=around,
                include_hidden=include_hidden,
            ),
        )

    def index(self, *, anew: bool = False, limit: int = 10_000) -> int:
        """Take what is new into the search index, about `limit` messages; gives how many changes are left.

        Searches do so by themselves. `anew`: throw the index away and begin to build it from the messages.
        """
        return drive(self._core.store, searching.index(self._core, anew=anew, limit=limit))

    def reset(self, target: Target) -> Session:
        """Point this one key at a new session. The old one stays and can be resumed; it ends with its last key."""
        return Session(self._core, drive(self._core.store, resetting.reset_key(self._core, target)))

    def resume(self, target: Target, session_id: str) -> Session:
        """Point a key at a session that exists, named as `find` takes it, and reopen it if it had ended."""
        return Session(self._core, drive(self._core.store, naming.bind(self._core, target, session_id)))

    switch = resume

    def open_turns(self) -> builtins.list[OpenTurn]:
        """Turns that began and have not ended. Those that are not `alive` were interrupted, by a crash for instance."""
        return self._core.store.open_turns(self._core.owner, self._core.now())

    def events(
        self,
        after: str | None = None,
        *,
        limit: int = 1000,
        session_id: str | None = None,
        wait: float | None = None,
    ) -> ChangePage:
        """What happened after a cursor, in order within each session; None: from the beginning.

        Every committed change once, none skipped. Go on from the page's `cursor`, which moves also where nothing of
        what came was asked for. With `wait`, where there is nothing yet: what comes within so many seconds, at once if
        it is this process that writes it, and within a quarter of a second if another does. Raises CursorExpired.
        """
        limit = page_limit(limit, "events")
        return drive(self._core.store, feed.read(self._core, after, limit=limit, session_id=session_id, wait=wait))

    def usage(
        self,
        *,
        session_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By | None = None,
    ) -> builtins.list[UsageLine]:
        """What was used, a line for each session, UTC day and model; or summed up `by` one of these, or by owner.

        From the day of `since` on, and before the day of `until`. `usage.cost` is that of the `priced_calls`: what is
        not known is None and never 0, and `usage.cost_source` says whose price it was. Copies count nothing.
        """
        found = usage.read(
            self._core, session_id=session_id, since=aware(since, "since"), until=aware(until, "until"), by=by
        )
        return drive(self._core.store, found)

    def stats(self) -> Stats:
        """How much is stored."""
        return self._core.store.stats(self._core.owner)

    def for_owner(self, owner: str) -> SessionManager:
        """The same verbs, for the sessions of one owner: others are not found. Closing it closes the store."""
        self._require_scope(owner)
        return SessionManager(replace(self._core, owner=owner))

    def incognito(self) -> SessionManager:
        """The same verbs over conversations that nothing keeps: they are in this process's memory until it closes.

        They leave no trace in the store: no file, feed, search, usage or log, and nothing of this manager finds them.
        Their ids begin with `incognito-`. Each call gives the same conversations, until this manager or what it gave is
        closed: then they are gone.
        """
        return SessionManager(incognito_core(self._core))

    def close(self) -> None:
        """Finish what is under way and release the store. Idempotent."""
        self._core.store.close()
        self._core.closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
