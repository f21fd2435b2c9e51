"""A turn: from the message that begins it to the reply, durable at each step."""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType
from typing import Self

import msgspec

from palaver.compaction import CompactionDue, compaction_due
from palaver.core import Core
from palaver.errors import CorruptRecord, TurnLost
from palaver.flows import leases, media
from palaver.flows import turns as flows
from palaver.flows.history import SLACK, calibration_of
from palaver.flows.starts import Began
from palaver.flows.turn_ids import turn_id
from palaver.info import Notice
from palaver.keys import Origin
from palaver.media import holds_media
from palaver.model import Message, Usage
from palaver.rows import TurnState
from palaver.steps import drive
from palaver.tokens import learned_from
from palaver.window import Window, legal_window

__all__ = ["Turn", "TurnBase"]


class TurnBase:
    """What a turn is in both APIs: its values, and what follows from them without I/O."""

    def __init__(self, core: Core, began: Began, lease: timedelta) -> None:
        self._core = core
        self._began = began
        self._lease = lease
        self._tail = began.tail
        self._window: Window | None = began.window
        self._context: str | None = None
        self._closed = began.kind in ("replayed", "stored")
        self._reply: Message | None = None
        self._used: Usage | None = None
        self._state: str | None = None
        self.waiting = 0
        """After the turn has ended: how many messages came meanwhile and wait for the next one."""

    @property
    def id(self) -> str | None:
        """Names the turn, and is the right to go on with it in another process: `manager.turn(id)`. None: no turn."""
        turn = self._began.turn
        if turn is None:
            return None
        return turn_id(self.session_id, turn.first_seq, turn.token)

    @property
    def state(self) -> str:
        """`running`, `finished`, `interrupted` or `rolled_back`; `queued` where the message waits for another turn."""
        turn = self._began.turn
        if self._state is not None:
            return self._state
        if turn is None:
            return "queued" if self.queued else "finished"
        return turn.state

    @property
    def session_id(self) -> str:
        """The session that the turn runs in."""
        return self._began.session_id

    @property
    def origin(self) -> Origin | None:
        """Where the message came from, as far as it is known."""
        return self._began.origin

    @property
    def message(self) -> Message | None:
        """The message that began the turn, as stored."""
        return next((m for m in self._began.messages if m.seq == self._began.seq), None)

    @property
    def seq(self) -> int:
        """Position of the message that began the turn."""
        return self._began.seq

    @property
    def token(self) -> str:
        """What names this turn's lease; another process that knows it can append and finish (the HTTP API does)."""
        return self._began.token

    @property
    def replayed(self) -> bool:
        """Whether this turn is over: the message was dealt with before, and there is nothing to do.

        `reply` and `messages` tell how, and `state` how it ended.
        """
        return self._began.kind == "replayed"

    @property
    def taken_over(self) -> bool:
        """Whether the message began this turn before, and it was interrupted: the window shows how far it came."""
        return self._began.kind == "taken_over"

    @property
    def queued(self) -> bool:
        """Whether a turn runs: the message is stored and waits for it or the next one, or began it and came again."""
        return self._began.kind == "stored"

    @property
    def messages(self) -> tuple[Message, ...]:
        """What this turn has stored so far; of a replayed turn all that it had stored."""
        return self._began.messages

    @property
    def reply(self) -> Message | None:
        """The model's last word in this turn, once it was finished; of a replayed turn what it was.

        None where the turn was interrupted, or the message never had a turn: it was not answered, and is not any
        more, as the conversation has gone on since.
        """
        if self._reply is None and self.replayed and self.state == "finished":
            spoken = [m for m in self._began.messages if m.role == "assistant" and not m.tool_calls]
            return spoken[-1] if spoken else None
        return self._reply

    @property
    def usage(self) -> Usage | None:
        """What was reported when the turn was finished, with its cost where that is known; None: nothing was.

        Raises CorruptRecord where it cannot be decoded.
        """
        turn = self._began.turn
        if self._used is None and turn is not None and turn.usage is not None:
            try:
                return msgspec.json.decode(turn.usage, type=Usage)
            except msgspec.MsgspecError as exc:
                place = f"session {self.session_id} turn {turn.first_seq}"
                msg = f"the usage of {place} cannot be decoded: `palaver check --repair` sets it aside"
                raise CorruptRecord(msg, location=place, excerpt=turn.usage[:80]) from exc
        return self._used

    @property
    def session_is_new(self) -> bool:
        """Whether the session had no message before this turn."""
        return self._began.session_is_new

    @property
    def first_contact(self) -> bool:
        """Whether nothing ever came under this key before."""
        return self._began.first_contact

    @property
    def notice(self) -> Notice | None:
        """What to say about a reset, to the model and to the person; shown by one turn only."""
        return self._began.notice

    @property
    def context(self) -> str:
        """The section for the system prompt: where this conversation takes place. Stable between turns."""
        if self._context is None:
            self._context = self._began.context()
        return self._context

    @property
    def window(self) -> Window:
        """What the model may see now. Computed anew after each append, without a read."""
        if self._window is None:
            began = self._began
            window = legal_window(self._tail, began.budget, sticky=True, options=self._core.settings.window_options)
            self._tail = msgspec.structs.replace(self._tail, anchor=window.anchor)
            self._window = media.shown(window, began.media, began.budget) if began.has_media else window
        return self._window

    @property
    def compaction_due(self) -> CompactionDue | None:
        """What of the session should be summarised by now, by the manager's policy; None: nothing. Without a read.

        Never anything of this turn while it runs; ask again after `finish`. Where the newest turn alone is longer than
        a window, `Session.compaction_due` looks farther back.
        """
        turn = self._began.turn
        if turn is None:
            return None
        tail = msgspec.structs.replace(self._tail, running_from=None) if self._closed else self._tail
        before = None if self._closed else turn.first_seq
        return compaction_due(self._core.settings.compaction_policy, tail, self._began.budget, before=before)

    @property
    def ended(self) -> bool:
        """Whether the turn has been finished, failed, rolled back or lost, or never held a lease."""
        return self._closed

    @property
    def _first_seq(self) -> int:
        return self._began.turn.first_seq if self._began.turn is not None else 0

    def _calibration(self, reply: tuple[Message, ...], usage: Usage | None) -> str | None:
        """What a report of the provider teaches of the estimates that this session's windows go by."""
        began = self._began
        if usage is None or began.budget.max_tokens is None:
            return None
        known = calibration_of(began.turn)
        calls = sum(m.role == "assistant" and not m.joins for m in (*began.messages, *reply))
        learned = learned_from(known, self.window.messages, usage, calls=calls)
        return msgspec.json.encode(learned).decode() if learned != known else None

    def _add(self, stored: tuple[Message, ...]) -> None:
        known = {m.seq for m in self._began.messages}
        self._began.messages = (*self._began.messages, *[m for m in stored if m.seq not in known])
        have = self._tail.messages
        newest = have[-1].seq if have else 0
        messages = (*have, *[m for m in stored if m.seq > newest])
        self._began.has_media = self._began.has_media or holds_media(stored)
        complete = self._tail.complete
        most = 4 * (self._began.budget.max_messages + SLACK)
        if len(messages) > most:  # a long turn: what its window can no longer hold is not carried along
            users = [m for m in messages if m.role == "user"][-1:]
            kept = messages[-most // 2 :]
            messages = (*[u for u in users if u.seq < kept[0].seq], *kept)
            complete = False
        self._tail = msgspec.structs.replace(self._tail, messages=messages, complete=complete)
        self._window = None

    def _take(self, inbox: tuple[Message, ...]) -> tuple[Message, ...]:
        """Show messages that came meanwhile, each once; they are in the window from now on."""
        have = {m.seq for m in self._tail.messages}
        new = tuple(m for m in inbox if m.seq not in have)
        if new:
            self._began.messages = (*self._began.messages, *new)
            self._began.has_media = self._began.has_media or holds_media(new)
            merged = sorted((*self._tail.messages, *new), key=lambda m: m.seq)
            self._tail = msgspec.structs.replace(self._tail, messages=tuple(merged))
            self._window = None
        return new

    def _end(self, state: str, stored: tuple[Message, ...], waiting: int) -> None:
        self._closed = True
        self._state = state
        self.waiting = waiting
        if stored:
            self._add(stored)
            self._reply = next((m for m in reversed(stored) if m.role == "assistant"), None)

    def _require_open(self, messages: tuple[Message, ...] = ()) -> None:
        if self._closed:
            why = "was over before (turn.replayed): its answer is turn.reply" if self.replayed else "has ended"
            msg = f"this turn of session {self.session_id!r} {why}"
            raise TurnLost(msg, unstored=messages)

    def __repr__(self) -> str:
        state = "ended" if self._closed else self._began.kind
        return f"<{type(self).__name__} of session {self.session_id} at seq {self.seq}, {state}>"


class Turn(TurnBase):
    """A running turn. Use it in a `with` block: leaving without `finish` closes it as interrupted."""

    def append(self, *messages: Message) -> tuple[Message, ...]:
        """Store calls, results and interim answers as they happen, and give them back as stored. Renews the lease.

        Raises TurnLost, which carries the messages, if another turn has taken over; InvalidMessage; StoreError.
        """
        self._require_open(messages)
        stored = drive(self._core.store, flows.append(self._core, self.session_id, self.token, self._lease, messages))
        self._add(stored)
        return stored

    def renew(self) -> None:
        """Make the lease last its full length from now. Raises TurnLost."""
        self._require_open()
        drive(self._core.store, leases.renew(self._core, self.session_id, self.token, self._lease))

    def inbox(self) -> tuple[Message, ...]:
        """Messages that came while this turn runs and that it was not shown yet.

        They belong to this turn from now on: its window shows them, and no later turn answers them. Raises TurnLost.
        """
        self._require_open()
        return self._take(
            drive(
                self._core.store,
                flows.inbox(self._core, self.session_id, self.token, self._first_seq, self._began.budget),
            )
        )

    def finish(self, *reply: Message, usage: Usage | None = None) -> Message | None:
        """Store the reply, record what was used, and end the turn; gives the reply as stored.

        Raises TurnLost, which carries the messages, if another turn has taken over.
        """
        self._require_open(reply)
        anchor = self.window.anchor or 0
        used = self._core.priced(usage)
        stored, waiting = drive(
            self._core.store,
            flows.finish(
                self._core,
                self.session_id,
                self.token,
                "finished",
                reply,
                used,
                anchor,
                first_seq=self._first_seq,
                calibration=self._calibration(reply, usage),
            ),
        )
        self._used = used
        self._end("finished", stored, waiting)
        return self._reply

    def fail(self, reason: str = "failed") -> None:
        """End the turn as interrupted. What happened stays. Raises TurnLost."""
        self._stop("interrupted", reason)

    def rollback(self) -> None:
        """End the turn as if it had not begun: what it stored is cut. What others stored meanwhile stays.

        Raises TurnLost.
        """
        self._stop("rolled_back", "rolled back")

    def _stop(self, state: TurnState, reason: str) -> None:
        self._require_open()
        anchor = self.window.anchor or 0 if state == "interrupted" else 0
        _, waiting = drive(
            self._core.store,
            flows.finish(
                self._core, self.session_id, self.token, state, anchor=anchor, reason=reason, first_seq=self._first_seq
            ),
        )
        self._end(state, (), waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._closed:
            return
        try:
            self.fail("left without finish" if kind is None else f"left by {kind.__name__}")
        except TurnLost:
            if error is None:
                raise
