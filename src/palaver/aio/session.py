"""A handle on one conversation, with `await`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from palaver.aio.entering import Entering
from palaver.aio.turn import AsyncTurn
from palaver.arguments import budget_of
from palaver.bases import SessionBase
from palaver.compaction import CompactionDraft, CompactionDue, CompactionPolicy
from palaver.core import Core, Target
from palaver.endpoints import ModelSettings
from palaver.flows import beginning, forks, resetting, retrying, rewriting
from palaver.flows import compaction as compactions
from palaver.flows import media as media_flows
from palaver.flows import sessions as flows
from palaver.flows.beginning import OnBusy
from palaver.handover import Handover
from palaver.info import Chain, Page, SessionInfo, Summary
from palaver.model import Content, Message, Usage
from palaver.operations import Appended, NewSession, Redone
from palaver.window import Window

__all__ = ["AsyncSession"]


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
                beginning.begin(
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

    async def chain(self, *, limit: int = 100, before: str | None = None) -> Chain:
        """See `Session.chain`."""
        return await self._handover.drive(self._chain(limit, before))

    async def media(self, address: str) -> bytes:
        """See `Session.media`."""
        return await self._handover.drive(self._on(lambda i: media_flows.fetch(self._core, i, address)))

    async def rename(self, title: str | None, *, numbered: bool = False, generated: bool = False) -> str | None:
        """See `Session.rename`."""
        return await self._handover.drive(
            self._on(lambda i: flows.rename(self._core, i, title, numbered=numbered, generated=generated))
        )

    async def add_alias(self, name: str) -> None:
        """See `Session.add_alias`."""
        await self._handover.drive(self._on(lambda i: flows.add_alias(self._core, i, name)))

    async def set_model(self, model: ModelSettings | None, *, expected_rev: int | None = None) -> None:
        """See `Session.set_model`."""
        await self._handover.drive(
            self._on(lambda i: flows.set_info(self._core, i, model=model, expected_rev=expected_rev))
        )

    async def archive(self, archived: bool = True) -> None:  # noqa: FBT001, FBT002 - archive(False) reads as what it does
        """See `Session.archive`."""
        await self._handover.drive(self._on(lambda i: flows.set_info(self._core, i, archived=archived)))

    async def pin(self, pinned: bool = True) -> None:  # noqa: FBT001, FBT002 - as archive
        """See `Session.pin`."""
        await self._handover.drive(self._on(lambda i: flows.set_info(self._core, i, pinned=pinned)))

    async def hide(self, hidden: bool = True) -> None:  # noqa: FBT001, FBT002 - as archive
        """See `Session.hide`."""
        await self._handover.drive(self._on(lambda i: flows.set_info(self._core, i, hidden=hidden)))

    async def tag(self, *tags: str) -> None:
        """See `Session.tag`."""
        await self._handover.drive(self._on(lambda i: flows.set_info(self._core, i, tags=tuple(dict.fromkeys(tags)))))

    async def delete(self, *, expected_rev: int | None = None) -> None:
        """See `Session.delete`."""
        await self._handover.drive(self._on(lambda i: flows.delete(self._core, i, expected_rev)))

    async def fork(self, *, at: int | None = None, title: str | None = None) -> AsyncSession:
        """See `Session.fork`."""
        new = await self._handover.drive(self._on(lambda i: forks.fork(self._core, i, at, title)))
        return AsyncSession(self._core, new, self._handover)

    async def subagent(
        self,
        *,
        alias: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> AsyncSession:
        """See `Session.subagent`."""
        made = self._on(lambda i: flows.subagent(self._core, i, alias=alias, title=title, metadata=metadata))
        return AsyncSession(self._core, await self._handover.drive(made), self._handover)

    async def rewind(self, turns: int = 1, *, expected_rev: int | None = None) -> Page:
        """See `Session.rewind`."""
        return await self._handover.drive(self._on(lambda i: rewriting.rewind(self._core, i, turns, expected_rev)))

    def retry(
        self,
        *,
        timeout: float | None = 60.0,
        lease: timedelta | None = None,
        max_messages: int | None = None,
        max_tokens: int | None = None,
        max_turns: int | None = None,
    ) -> Entering[AsyncTurn]:
        """See `Session.retry`. Await it, or enter it with `async with`."""

        async def begin() -> AsyncTurn:
            core = self._core
            budget = budget_of(core, max_messages, max_tokens, max_turns)
            began = await self._handover.drive(
                self._on(lambda i: retrying.retry(core, i, timeout=timeout, lease=lease, budget=budget))
            )
            return AsyncTurn(core, began, lease or core.settings.lease, self._handover)

        return Entering(begin())

    async def redo(self, *, expected_rev: int | None = None) -> Redone:
        """See `Session.redo`."""
        return await self._handover.drive(self._on(lambda i: rewriting.redo(self._core, i, expected_rev)))

    async def truncate(self, *, after: int, expected_rev: int | None = None) -> None:
        """See `Session.truncate`."""
        await self._handover.drive(self._on(lambda i: rewriting.truncate(self._core, i, after, expected_rev)))

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

    async def merge(
        self, seq: int, continuation: int, *, separator: str = "", expected_rev: int | None = None
    ) -> Message:
        """See `Session.merge`."""
        return await self._handover.drive(
            self._on(lambda i: rewriting.merge(self._core, i, seq, continuation, separator, expected_rev))
        )

    async def versions(self, seq: int) -> Page:
        """See `Session.versions`."""
        return await self._handover.drive(self._on(lambda i: rewriting.versions(self._core, i, seq)))

    async def reset(self) -> AsyncSession:
        """See `Session.reset`."""
        new = await self._handover.drive(self._on(lambda i: resetting.reset_session(self._core, i)))
        return AsyncSession(self._core, new, self._handover)

    async def compaction_due(self, policy: CompactionPolicy | None = None) -> CompactionDue | None:
        """See `Session.compaction_due`."""
        return await self._handover.drive(self._due(policy))

    async def compaction_draft(
        self, due: CompactionDue, *, after: int | None = None, max_tokens: int = 24_000
    ) -> CompactionDraft:
        """See `Session.compaction_draft`."""
        return await self._handover.drive(
            self._on(lambda i: compactions.draft(self._core, i, due, after=after, max_tokens=max_tokens)),
        )

    async def compact(
        self,
        summary: str | Message,
        *,
        through_seq: int,
        expected: int | None = None,
        drafted_rev: int | None = None,
        usage: Usage | None = None,
        stop_reason: str | None = None,
    ) -> Summary:
        """See `Session.compact`."""
        return await self._handover.drive(
            self._on(
                lambda i: compactions.compact(
                    self._core,
                    i,
                    summary,
                    through_seq=through_seq,
                    expected=expected,
                    drafted_rev=drafted_rev,
                    usage=usage,
                    stop_reason=stop_reason,
                )
            ),
        )

    async def withdraw_summary(self, *, expected: int | None = None) -> Summary | None:
        """See `Session.withdraw_summary`."""
        return await self._handover.drive(self._on(lambda i: compactions.withdraw(self._core, i, expected)))

    async def hold(self, name: str, span: timedelta | None = timedelta(hours=1)) -> None:
        """See `Session.hold`."""
        await self._handover.drive(self._on(lambda i: flows.hold(self._core, i, name, span)))

    async def set_metadata(self, changes: Mapping[str, Any], *, expected_rev: int | None = None) -> None:
        """See `Session.set_metadata`."""
        await self._handover.drive(self._on(lambda i: flows.set_metadata(self._core, i, changes, expected_rev)))

    async def record_usage(self, usage: Usage, *, id: str | None = None) -> None:
        """See `Session.record_usage`."""
        await self._handover.drive(self._on(lambda i: flows.record_usage(self._core, i, usage, id)))

    async def purge(
        self, from_seq: int | None = None, through_seq: int | None = None, *, expected_rev: int | None = None
    ) -> int:
        """See `Session.purge`."""
        return await self._handover.drive(
            self._on(lambda i: flows.purge(self._core, i, from_seq, through_seq, expected_rev))
        )
