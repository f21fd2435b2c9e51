"""The same surface with `await`: AsyncSessionManager, AsyncSession, AsyncTurn."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import Coroutine, Generator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from palaver.clock import Clock, utc_now
from palaver.core import Core, Target
from palaver.errors import PalaverError, TurnLost
from palaver.flows import forks, rewriting, searching
from palaver.flows import media as media_flows
from palaver.flows import sessions as flows
from palaver.flows import turns as turn_flows
from palaver.flows.turns import Began, OnBusy
from palaver.handover import Handover
from palaver.info import Page, SessionInfo, Summary
from palaver.manager import ManagerBase
from palaver.model import Content, Message, Role, Usage
from palaver.opening import core_of, settings_of
from palaver.operations import Appended, NewSession, Redone
from palaver.rows import TurnState
from palaver.search import SearchPage
from palaver.session import SessionBase, budget_of, given_budget, page_limit
from palaver.settings import Settings
from palaver.steps import call, long_call
from palaver.stores.base import Change, Finding, OpenTurn, Stats, Store, UsageLine
from palaver.stores.urls import open_store
from palaver.turn import TurnBase
from palaver.window import Window

__all__ = ["AsyncSession", "AsyncSessionManager", "AsyncTurn", "aopen"]

C = TypeVar("C", bound="AsyncTurn | AsyncSessionManager")


class Entering(Generic[C]):
    """What can be awaited, or entered with `async with`, which also leaves it."""

    def __init__(self, coming: Coroutine[Any, Any, C]) -> None:
        self._coming = coming
        self._come: C | None = None

    def __await__(self) -> Generator[Any, Any, C]:
        return self._coming.__await__()

    async def __aenter__(self) -> C:
        come = self._come = await self._coming
        await come.__aenter__()
        return come

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._come is not None:
            await self._come.__aexit__(kind, error, trace)


class AsyncTurn(TurnBase):
    """A running turn. Use it in an `async with` block: leaving without `finish` closes it as interrupted.

    In such a block the turn renews its lease by itself.
    """

    def __init__(self, core: Core, began: Began, lease: timedelta, handover: Handover) -> None:
        super().__init__(core, began, lease)
        self._handover = handover
        self._renewing: asyncio.Task[None] | None = None

    async def append(self, *messages: Message) -> tuple[Message, ...]:
        """See `Turn.append`."""
        self._require_open(messages)
        stored = await self._handover.drive(
            turn_flows.append(self._core, self.session_id, self.token, self._lease, messages)
        )
        self._add(stored)
        return stored

    async def renew(self) -> None:
        """See `Turn.renew`."""
        self._require_open()
        await self._handover.drive(turn_flows.renew(self._core, self.session_id, self.token, self._lease))

    async def inbox(self) -> tuple[Message, ...]:
        """See `Turn.inbox`."""
        self._require_open()
        return self._take(
            await self._handover.drive(
                turn_flows.inbox(self._core, self.session_id, self.token, self._first_seq, self._began.budget)
            )
        )

    async def finish(self, *reply: Message, usage: Usage | None = None) -> Message | None:
        """See `Turn.finish`."""
        self._require_open(reply)
        anchor = self.window.anchor or 0
        stored, waiting = await self._handover.drive(
            turn_flows.finish(
                self._core,
                self.session_id,
                self.token,
                "finished",
                reply,
                usage,
                anchor,
                first_seq=self._first_seq,
                calibration=self._calibration(reply, usage),
            )
        )
        self._end("finished", stored, waiting)
        return self._reply

    async def fail(self, reason: str = "failed") -> None:
        """See `Turn.fail`."""
        await self._stop("interrupted", reason)

    async def rollback(self) -> None:
        """See `Turn.rollback`."""
        await self._stop("rolled_back", "rolled back")

    async def _stop(self, state: TurnState, reason: str) -> None:
        self._require_open()
        anchor = self.window.anchor or 0 if state == "interrupted" else 0
        _, waiting = await self._handover.drive(
            turn_flows.finish(
                self._core, self.session_id, self.token, state, anchor=anchor, reason=reason, first_seq=self._first_seq
            )
        )
        self._end(state, (), waiting)

    async def _renew_for_ever(self) -> None:
        """Renew when half the lease is gone. A lease that is lost is found by the turn's next append."""
        while not self._closed:
            await asyncio.sleep(self._lease.total_seconds() / 2)
            try:
                await self.renew()
            except PalaverError as error:
                if not error.retryable:
                    return

    async def __aenter__(self) -> Self:
        if not self._closed:
            self._renewing = asyncio.get_running_loop().create_task(self._renew_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        if self._closed:
            return
        reason = "left without finish" if kind is None else f"left by {kind.__name__}"
        try:
            await self._handover.settled(self.fail(reason))
        except TurnLost:
            if error is None:
                raise


class AsyncSession(SessionBase):
    """The verbs of one conversation; see `Session`."""

    def __init__(
        self,
        core: Core,
        session_id: str,
        handover: Handover,
        target: Target | None = None,
        new: NewSession | None = None,
    ) -> None:
        super().__init__(core, session_id, target, new)
        self._handover = handover

    async def info(self) -> SessionInfo:
        """See `Session.info`."""
        return await self._handover.drive(self._info())

    def begin_turn(
        self,
        message: Message | None = None,
        *,
        on_busy: OnBusy = "wait",
        timeout: float | None = 60.0,
        lease: timedelta | None = None,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        max_turns: int | None = None,
    ) -> Entering[AsyncTurn]:
        """See `Session.begin_turn`. Await it, or enter it with `async with`."""

        async def begin() -> AsyncTurn:
            core = self._core
            began = await self._handover.drive(
                turn_flows.begin(
                    core,
                    self._target if self._new is not None else None,
                    self.id,
                    message,
                    on_busy=on_busy,
                    timeout=timeout,
                    lease=lease,
                    budget=budget_of(core, max_messages, max_tokens, max_turns),
                    new=self._new,
                )
            )
            self.id, self._new = began.session_id, None
            return AsyncTurn(core, began, lease or core.settings.lease, self._handover)

        return Entering(begin())

    async def append(self, *messages: Message, expected_seq: int | None = None) -> Appended:
        """See `Session.append`."""
        return await self._handover.drive(self._append(messages, expected_seq))

    async def history(
        self, *, max_messages: int | None = None, max_tokens: int | None = None, max_turns: int | None = None
    ) -> Window:
        """See `Session.history`."""
        return await self._handover.drive(self._history(budget_of(self._core, max_messages, max_tokens, max_turns)))

    async def messages(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest: bool = False,
        live: bool = True,
    ) -> Page:
        """See `Session.messages`."""
        return await self._handover.drive(
            self._messages(after=after, before=before, limit=limit, newest=newest, live=live)
        )

    async def media(self, address: str) -> bytes:
        """See `Session.media`."""
        return await self._handover.drive(self._on(lambda i: media_flows.fetch(self._core, i, address)))

    async def rename(self, title: str | None) -> None:
        """See `Session.rename`."""
        await self._handover.drive(self._on(lambda i: flows.set_info(self._core, i, title=title)))

    async def archive(self, archived: bool = True) -> None:  # noqa: FBT001, FBT002 - archive(False) reads as what it does
        """See `Session.archive`."""
        await self._handover.drive(self._on(lambda i: flows.set_info(self._core, i, archived=archived)))

    async def pin(self, pinned: bool = True) -> None:  # noqa: FBT001, FBT002 - as archive
        """See `Session.pin`."""
        await self._handover.drive(self._on(lambda i: flows.set_info(self._core, i, pinned=pinned)))

    async def tag(self, *tags: str) -> None:
        """See `Session.tag`."""
        await self._handover.drive(self._on(lambda i: flows.set_info(self._core, i, tags=tuple(dict.fromkeys(tags)))))

    async def fork(self, *, at: int | None = None, title: str | None = None) -> AsyncSession:
        """See `Session.fork`."""
        new = await self._handover.drive(self._on(lambda i: forks.fork(self._core, i, at, title)))
        return AsyncSession(self._core, new, self._handover)

    async def rewind(self, turns: int = 1) -> Page:
        """See `Session.rewind`."""
        return await self._handover.drive(self._on(lambda i: rewriting.rewind(self._core, i, turns)))

    async def redo(self) -> Redone:
        """See `Session.redo`."""
        return await self._handover.drive(self._on(lambda i: rewriting.redo(self._core, i)))

    async def truncate(self, *, after: int) -> None:
        """See `Session.truncate`."""
        await self._handover.drive(self._on(lambda i: rewriting.truncate(self._core, i, after)))

    async def retain(self, *, last: int) -> None:
        """See `Session.retain`."""
        await self._handover.drive(self._on(lambda i: rewriting.retain(self._core, i, last)))

    async def clear(self) -> None:
        """See `Session.clear`."""
        await self._handover.drive(self._on(lambda i: rewriting.clear(self._core, i)))

    async def delete_message(self, seq: int, *, expected_rev: int | None = None) -> None:
        """See `Session.delete_message`."""
        await self._handover.drive(self._on(lambda i: rewriting.delete_message(self._core, i, seq, expected_rev)))

    async def replace(self, *messages: Message, expected_seq: int | None = None) -> Appended:
        """See `Session.replace`."""
        return await self._handover.drive(self._on(lambda i: rewriting.replace(self._core, i, messages, expected_seq)))

    async def edit(self, seq: int, content: Content | Message, *, expected_rev: int | None = None) -> Message:
        """See `Session.edit`."""
        return await self._handover.drive(self._on(lambda i: rewriting.edit(self._core, i, seq, content, expected_rev)))

    async def versions(self, seq: int) -> Page:
        """See `Session.versions`."""
        return await self._handover.drive(self._on(lambda i: rewriting.versions(self._core, i, seq)))

    async def reset(self) -> AsyncSession:
        """See `Session.reset`."""
        new = await self._handover.drive(self._on(lambda i: flows.reset_session(self._core, i)))
        return AsyncSession(self._core, new, self._handover)

    async def compact(
        self, summary: str, *, through_seq: int, expected: int | None = None, usage: Usage | None = None
    ) -> Summary:
        """See `Session.compact`."""
        return await self._handover.drive(
            self._on(
                lambda i: flows.compact(self._core, i, summary, through_seq=through_seq, expected=expected, usage=usage)
            )
        )

    async def hold(self, name: str, span: timedelta | None = timedelta(hours=1)) -> None:
        """See `Session.hold`."""
        await self._handover.drive(self._on(lambda i: flows.hold(self._core, i, name, span)))

    async def set_metadata(self, changes: Mapping[str, Any], *, expected_rev: int | None = None) -> None:
        """See `Session.set_metadata`."""
        await self._handover.drive(self._on(lambda i: flows.set_metadata(self._core, i, changes, expected_rev)))

    async def record_usage(self, usage: Usage, *, id: str | None = None) -> None:
        """See `Session.record_usage`."""
        await self._handover.drive(self._on(lambda i: flows.record_usage(self._core, i, usage, id)))

    async def purge(self, from_seq: int, through_seq: int, *, expected_rev: int | None = None) -> int:
        """See `Session.purge`."""
        return await self._handover.drive(
            self._on(lambda i: flows.purge(self._core, i, from_seq, through_seq, expected_rev))
        )


class AsyncSessionManager(ManagerBase):
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
                turn_flows.begin(
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
                turn_flows.get(core, turn_id, budget=given_budget(core, max_messages, max_tokens, max_turns))
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

    async def get_or_create(self, target: Target) -> AsyncSession:
        """See `SessionManager.get_or_create`."""
        session_id, new = await self._handover.drive(self._bound(target))
        return AsyncSession(self._core, session_id, self._handover, target, new)

    async def create(
        self,
        target: Target | None = None,
        *,
        alias: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> AsyncSession:
        """See `SessionManager.create`."""
        made = await self._handover.drive(flows.create(self._core, target, alias=alias, title=title, metadata=metadata))
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
        )
        return await self._handover.drive(call(self._core.store.sessions, query, self._core.now()))

    async def search(
        self,
        text: str,
        *,
        session_id: str | None = None,
        platform: str | None = None,
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
        new = await self._handover.drive(flows.reset_key(self._core, target))
        return AsyncSession(self._core, new, self._handover)

    async def resume(self, target: Target, session_id: str) -> AsyncSession:
        """See `SessionManager.resume`."""
        found = await self._handover.drive(flows.bind(self._core, target, session_id))
        return AsyncSession(self._core, found, self._handover)

    switch = resume

    async def open_turns(self) -> builtins.list[OpenTurn]:
        """See `SessionManager.open_turns`."""
        core = self._core
        return await self._handover.drive(call(core.store.open_turns, core.owner, core.now()))

    async def events(
        self, after: str | None = None, *, limit: int = 1000, session_id: str | None = None
    ) -> builtins.list[Change]:
        """See `SessionManager.events`."""
        core = self._core
        limit = page_limit(limit, "events")
        return await self._handover.drive(
            long_call(core.store.changes, after, limit=limit, session_id=session_id, owner=core.owner)
        )

    async def usage(self, *, session_id: str | None = None, since: datetime | None = None) -> builtins.list[UsageLine]:
        """See `SessionManager.usage`."""
        core = self._core
        return await self._handover.drive(long_call(core.store.usage, core.owner, session_id=session_id, since=since))

    async def stats(self) -> Stats:
        """See `SessionManager.stats`."""
        return await self._handover.drive(long_call(self._core.store.stats, self._core.owner))

    async def check(self) -> builtins.list[Finding]:
        """See `SessionManager.check`."""
        return await self._handover.drive(long_call(self._core.store.check, self._core.owner))

    def for_owner(self, owner: str) -> AsyncSessionManager:
        """See `SessionManager.for_owner`."""
        self._require_scope(owner)
        return AsyncSessionManager(replace(self._core, owner=owner), self._handover)

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
        store = url if isinstance(url, Store) else await asyncio.to_thread(open_store, url)
        return AsyncSessionManager(core_of(store, made, clock), Handover(store))

    return Entering(enter())
