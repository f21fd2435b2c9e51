"""The facade over one store, with `await`."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from palaver.aio.entering import Entering
from palaver.aio.removal import AsyncRemoval
from palaver.aio.session import AsyncSession
from palaver.aio.turn import AsyncTurn
from palaver.aio.upkeep import AsyncUpkeep
from palaver.arguments import aware, budget_of, given_budget, page_limit
from palaver.bases import ManagerBase
from palaver.clock import Clock, utc_now
from palaver.core import Core, Target
from palaver.flows import beginning, feed, naming, resetting, searching, usage
from palaver.flows import sessions as flows
from palaver.flows.beginning import OnBusy
from palaver.flows.incognito import incognito_core
from palaver.flows.turn_ids import turn_by_id
from palaver.flows.usage import By
from palaver.handover import Handover
from palaver.info import SessionInfo
from palaver.model import Message, Role
from palaver.opening import new_core, settings_of
from palaver.search import SearchPage
from palaver.settings import Settings
from palaver.steps import call, long_call
from palaver.stores.base import ChangePage, OpenTurn, Stats, Store, UsageLine
from palaver.stores.urls import open_at_once, open_store

__all__ = ["AsyncSessionManager", "aopen"]


class AsyncSessionManager(AsyncUpkeep, AsyncRemoval, ManagerBase):
    """All conversations in one store, for one event loop; see `SessionManager`."""

    def __init__(self, core: Core, handover: Handover) -> None:
        super().__init__(core)
        self._handover = handover

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
    ) -> Entering[AsyncTurn]:
        """See `SessionManager.begin_turn`. Await it, or enter it with `async with`."""

        async def begin() -> AsyncTurn:
            core = self._core
            began = await self._handover.drive(
                beginning.begin(
                    core,
                    target,
                    None,
                    message,
                    on_busy=on_busy,
                    timeout=timeout,
                    lease=lease,
                    budget=budget_of(core, max_messages, max_tokens, max_turns),
                )
            )
            return AsyncTurn(core, began, lease or core.settings.lease, self._handover)

        return Entering(begin())

    def turn(
        self,
        turn_id: str,
        *,
        lease: timedelta | None = None,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        max_turns: int | None = None,
    ) -> Entering[AsyncTurn]:
        """See `SessionManager.turn`. Await it, or enter it with `async with`."""

        async def get() -> AsyncTurn:
            core = self._core
            began = await self._handover.drive(
                turn_by_id(core, turn_id, budget=given_budget(core, max_messages, max_tokens, max_turns))
            )
            return AsyncTurn(core, began, lease or core.settings.lease, self._handover)

        return Entering(get())

    async def resolve(self, target: Target) -> AsyncSession:
        """See `SessionManager.resolve`."""
        return AsyncSession(self._core, await self._handover.drive(flows.find(self._core, target)), self._handover)

    async def get(self, session_id: str) -> AsyncSession:
        """See `SessionManager.get`."""
        found = await self._handover.drive(flows.known(self._core, session_id))
        return AsyncSession(self._core, found, self._handover)

    async def find(self, name: str) -> AsyncSession:
        """See `SessionManager.find`."""
        found = await self._handover.drive(naming.named(self._core, name))
        return AsyncSession(self._core, found, self._handover)

    async def get_or_create(self, target: Target) -> AsyncSession:
        """See `SessionManager.get_or_create`."""
        session_id, new = await self._handover.drive(flows.promised(self._core, target))
        return AsyncSession(self._core, session_id, self._handover, target, new)

    async def create(
        self,
        target: Target | None = None,
        *,
        alias: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        hidden: bool = False,
    ) -> AsyncSession:
        """See `SessionManager.create`."""
        made = await self._handover.drive(
            flows.create(self._core, target, alias=alias, title=title, metadata=metadata, hidden=hidden)
        )
        return AsyncSession(self._core, made, self._handover)

    async def list(
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
        """See `SessionManager.list`."""
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
        return await self._handover.drive(call(self._core.store.sessions, query, self._core.now()))

    async def search(
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
        """See `SessionManager.search`."""
        return await self._handover.drive(
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
            )
        )

    async def index(self, *, anew: bool = False, limit: int = 10_000) -> int:
        """See `SessionManager.index`."""
        return await self._handover.drive(searching.index(self._core, anew=anew, limit=limit))

    async def reset(self, target: Target) -> AsyncSession:
        """See `SessionManager.reset`."""
        new = await self._handover.drive(resetting.reset_key(self._core, target))
        return AsyncSession(self._core, new, self._handover)

    async def resume(self, target: Target, session_id: str) -> AsyncSession:
        """See `SessionManager.resume`."""
        found = await self._handover.drive(naming.bind(self._core, target, session_id))
        return AsyncSession(self._core, found, self._handover)

    switch = resume

    async def open_turns(self) -> builtins.list[OpenTurn]:
        """See `SessionManager.open_turns`."""
        core = self._core
        return await self._handover.drive(call(core.store.open_turns, core.owner, core.now()))

    async def events(
        self,
        after: str | None = None,
        *,
        limit: int = 1000,
        session_id: str | None = None,
        wait: float | None = None,
    ) -> ChangePage:
        """See `SessionManager.events`."""
        limit = page_limit(limit, "events")
        return await self._handover.drive(feed.read(self._core, after, limit=limit, session_id=session_id, wait=wait))

    async def usage(
        self,
        *,
        session_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By | None = None,
    ) -> builtins.list[UsageLine]:
        """See `SessionManager.usage`."""
        return await self._handover.drive(
            usage.read(
                self._core, session_id=session_id, since=aware(since, "since"), until=aware(until, "until"), by=by
            )
        )

    async def stats(self) -> Stats:
        """See `SessionManager.stats`."""
        return await self._handover.drive(long_call(self._core.store.stats, self._core.owner))

    def for_owner(self, owner: str) -> AsyncSessionManager:
        """See `SessionManager.for_owner`."""
        self._require_scope(owner)
        return AsyncSessionManager(replace(self._core, owner=owner), self._handover)

    def incognito(self) -> AsyncSessionManager:
        """See `SessionManager.incognito`."""
        core = incognito_core(self._core)
        if core is self._core:
            return self
        return AsyncSessionManager(core, self._handover.beside(core.store))

    async def close(self) -> None:
        """See `SessionManager.close`."""
        await self._handover.close()
        self._core.closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def aopen(
    url: str | os.PathLike[str] | Store,
    *,
    settings: Settings | None = None,
    clock: Clock = utc_now,
    **fields: Any,
) -> Entering[AsyncSessionManager]:
    """Open a store for asyncio: enter the result with `async with`, or await it.

    Arguments and errors are those of `palaver.open`.
    """
    made = settings_of(settings, fields)

    async def enter() -> AsyncSessionManager:
        store = url if isinstance(url, Store) else await _opened(url)
        return AsyncSessionManager(new_core(store, made, clock), Handover(store))

    return Entering(enter())


async def _opened(url: str | os.PathLike[str]) -> Store:
    store = open_at_once(url)
    return store if store is not None else await asyncio.to_thread(open_store, url)
