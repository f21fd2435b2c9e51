"""A turn, with `await`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Self

from palaver.core import Core
from palaver.errors import PalaverError, TurnLost
from palaver.flows import leases
from palaver.flows import turns as turn_flows
from palaver.flows.starts import Began
from palaver.handover import Handover
from palaver.model import Message, Usage
from palaver.rows import TurnState
from palaver.turn import TurnBase

__all__ = ["AsyncTurn"]


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
        await self._handover.drive(leases.renew(self._core, self.session_id, self.token, self._lease))

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
        used = self._core.priced(usage)
        stored, waiting = await self._handover.drive(
            turn_flows.finish(
                self._core,
                self.session_id,
                self.token,
                "finished",
                reply,
                used,
                anchor,
                first_seq=self._first_seq,
                calibration=self._calibration(reply, usage),
            )
        )
        self._used = used
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
