"""What managers and handles are in both APIs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from palaver.arguments import aware, page_limit
from palaver.budget import Budget
from palaver.compaction import CompactionDue, CompactionPolicy
from palaver.core import Core, Target
from palaver.errors import SessionNotFound
from palaver.flows import chains, history, searching
from palaver.flows import compaction as compactions
from palaver.flows import sessions as flows
from palaver.info import Chain, Page, SessionInfo
from palaver.model import Message, Role
from palaver.operations import Appended, NewSession
from palaver.search import SearchPage, SearchQuery
from palaver.steps import Flow, call
from palaver.stores.base import SessionQuery
from palaver.titles import folded
from palaver.window import Window

__all__ = ["ManagerBase", "SessionBase"]

T = TypeVar("T")


class ManagerBase:
    """What a manager is in both APIs."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def owner(self) -> str | None:
        """Whose sessions these are; None: the operator's view of all of them."""
        return self._core.owner

    def key(self, target: Target) -> str:
        """The session key of an origin, by the manager's policy; a key as it is. Raises InvalidKey."""
        return self._core.key(target)

    def _query(
        self,
        *,
        limit: int,
        after: str | None,
        active_since: datetime | None,
        include_archived: bool,
        include_ended: bool,
        include_empty: bool,
        include_hidden: bool,
        include_deleted: bool,
        title: str | None,
        **narrowed: Any,
    ) -> SessionQuery:
        limit = page_limit(limit, "sessions")
        return SessionQuery(
            owner=self._core.owner,
            limit=limit,
            after=after,
            active_since=aware(active_since, "active_since"),
            include_archived=include_archived,
            include_ended=include_ended,
            include_empty=include_empty,
            include_hidden=include_hidden,
            include_deleted=include_deleted,
            title=folded(title) if title is not None else None,
            **narrowed,
        )

    def _search(
        self,
        text: str,
        *,
        session_id: str | None,
        platform: str | None,
        agent: str | None,
        account: str | None,
        tag: str | None,
        role: Role | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        cursor: str | None,
        around: int,
        include_hidden: bool,
    ) -> Flow[SearchPage]:
        query = SearchQuery(
            text=text,
            owner=self._core.owner,
            session_id=session_id,
            platform=platform,
            agent=agent,
            account=account,
            tag=tag,
            role=role,
            since=aware(since, "since"),
            until=aware(until, "until"),
            limit=page_limit(limit, "hits"),
            cursor=cursor,
            include_hidden=include_hidden,
        )
        return (yield from searching.search(self._core, query, around))

    def _require_scope(self, owner: str) -> None:
        if not owner:
            msg = "an owner has a name; the manager itself is the view of all of them"
            raise ValueError(msg)
        if self._core.owner not in (None, owner):
            msg = f"this manager is for owner {self._core.owner!r} alone; take that of another from the unscoped one"
            raise ValueError(msg)

    def __repr__(self) -> str:
        owner = f" of owner {self.owner!r}" if self.owner is not None else ""
        return f"<{type(self).__name__} {self._core.store.name}{owner}>"


class SessionBase:
    """What a handle is in both APIs."""

    def __init__(
        self, core: Core, session_id: str, target: Target | None = None, new: NewSession | None = None
    ) -> None:
        self._core = core
        self.id = session_id
        """The session's id. Of a session that is not stored yet: the id it will have, unless another process is
        faster to store one under the same key."""
        self._target = target
        self._key = core.key(target) if target is not None else None
        self._new = new

    def _append(self, items: tuple[Message, ...], expected_seq: int | None) -> Flow[Appended]:
        done = yield from flows.append(self._core, self.id, items, expected_seq, self._key, self._new)
        self.id, self._new = done.session_id, None
        return done

    def _stored(self) -> Flow[bool]:
        """Whether the session is stored; one that was made under the handle's key meanwhile is the session."""
        if self._new is not None and self._key is not None:
            core = self._core
            bound = yield from call(core.store.bound, core.key_owner, self._key)
            if bound is None:
                return False
            self.id, self._new = bound, None
        return True

    def _ready(self) -> Flow[None]:
        """Make sure that there is a session, for verbs that cannot make one."""
        if not (yield from self._stored()):
            msg = f"the session under key {self._key!r} is not stored: it has no message yet"
            raise SessionNotFound(msg)

    def _on(self, verb: Callable[[str], Flow[T]]) -> Flow[T]:
        """A verb of the stored session, by its id."""
        yield from self._ready()
        return (yield from verb(self.id))

    def _history(self, budget: Budget) -> Flow[Window]:
        if not (yield from self._stored()):
            return Window()
        return (yield from history.read_window(self._core, self.id, budget))

    def _messages(self, *, after: int, before: int | None, limit: int, newest: bool, live: bool) -> Flow[Page]:
        limit = page_limit(limit, "messages")
        if not (yield from self._stored()):
            return Page()
        return (
            yield from flows.messages(
                self._core, self.id, after=after, before=before, limit=limit, newest=newest, live=live
            )
        )

    def _chain(self, limit: int, before: str | None) -> Flow[Chain]:
        limit = page_limit(limit, "messages")
        if not (yield from self._stored()):
            return Chain()
        return (yield from chains.chain(self._core, self.id, limit, before))

    def _due(self, policy: CompactionPolicy | None) -> Flow[CompactionDue | None]:
        if not (yield from self._stored()):
            return None
        return (yield from compactions.due(self._core, self.id, policy))

    def _info(self) -> Flow[SessionInfo]:
        yield from self._ready()
        return (yield from call(self._core.store.info, self.id, self._core.owner, self._core.now()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionBase) and other.id == self.id and other._core.store is self._core.store

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"
