"""Three workers at one conversation, in any order, with crashes: nothing is lost, nothing is there twice, all is legal.

A worker crashes by forgetting its turn; leases run out when the clock is put forward. What was acknowledged is kept in
a plain list beside it, and compared with the transcript after every step.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver import (
    Message,
    Origin,
    Session,
    SessionBusy,
    SessionConflict,
    SessionManager,
    ToolCall,
    Turn,
    TurnLost,
    assistant,
    tool,
    user,
)
from palaver.flows.beginning import OnBusy
from palaver.stores.memory import MemoryStore
from tests.properties.test_window import faults, newest_user

CHAT = Origin("telegram", chat_id="42", user_id="7")
NARROW, WIDE = 12, 500
WORKERS = 3

INSTEAD = {"renew": "take", "inbox": "take", "rollback": "again", "fail": "again", "finish": "store", "call": "store"}
"""What a worker without a turn does; it begins one for everything else."""
ACTIONS = (
    *("begin", "store", "again", "take", "crash", "expire", "renew", "inbox", "fail"),
    *("append", "call", "call", "answer", "answer", "finish", "finish", "rollback"),
)

steps = st.lists(st.tuples(st.integers(0, WORKERS - 1), st.sampled_from(ACTIONS)), min_size=15, max_size=45)


def first_seq(turn: Turn) -> str:
    """What names a turn, whoever holds it."""
    assert turn.id is not None
    return turn.id.split("~")[1]


class World:
    """The manager, the workers, and what they were told is stored."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.store = MemoryStore()
        self.sessions: SessionManager = palaver.open(self.store, clock=lambda: self.now)
        self.turns: list[Turn | None] = [None] * WORKERS
        self.last: list[str] = ["m0"] * WORKERS
        self.open_call: list[str | None] = [None] * WORKERS
        self.acknowledged: list[str] = []
        self.own: dict[str, list[str]] = {}
        """By the turn's first position: what that turn stored itself, and a rollback takes away."""
        self.taken: dict[str, list[str]] = {}
        """By the turn's first position: what had waited, and waits again after a rollback."""
        self.waiting: list[str] = []
        self.shown: set[str] = set()
        """What a running turn was shown of that: whether it still waits depends on how that turn ended."""
        self.answered: set[str] = set()
        self.aside = False
        """Whether something was stored beside the turns: a running one does not see it."""
        self.holder: int | None = None
        """The worker whose turn is not fenced off."""
        self.count = 0

    def session(self) -> Session:
        """The one conversation."""
        return self.sessions.get_or_create(CHAT)

    def name(self) -> str:
        """A text that nobody has used."""
        self.count += 1
        return f"m{self.count}"

    def step(self, worker: int, action: str) -> None:
        """Let a worker do something, as far as it can."""
        turn = self.turns[worker]
        if action == "expire":
            self.now += timedelta(minutes=11)
        elif action == "crash":
            self.turns[worker] = None
            self.holder = None if self.holder == worker else self.holder
        elif action in {"begin", "store", "again", "take"}:
            self.begin(worker, action)
        elif turn is None:
            self.begin(worker, INSTEAD.get(action, "begin"))
        else:
            self.go_on(worker, turn, action)

    def begin(self, worker: int, action: str) -> None:
        """A message comes in: a new one, the worker's last one once more, or none where some wait."""
        if action in {"begin", "store"}:
            self.last[worker] = self.name()
        text = self.last[worker]
        message = None if action == "take" else user(text, id=text)
        on_busy: OnBusy = "store" if action == "store" else "raise"
        try:
            turn = self.sessions.begin_turn(CHAT, message, on_busy=on_busy, max_messages=self.budget)
        except SessionBusy:
            assert any(running.alive for running in self.sessions.open_turns())
            return
        except SessionConflict:
            assert action == "take"
            assert set(self.waiting) <= self.shown
            return
        assert turn.replayed or action == "take" or text not in self.answered
        fresh = message is not None and text not in self.acknowledged
        if fresh:
            assert not turn.replayed
            self.acknowledged.append(text)
            if turn.queued:
                self.waiting.append(text)
        if not turn.ended:
            self.began(worker, turn, text if fresh else None)

    def began(self, worker: int, turn: Turn, text: str | None) -> None:
        """A worker has a turn: alone, and with all that waited."""
        self.turns[worker] = turn
        self.open_call[worker] = None
        self.holder = worker
        if not turn.taken_over:
            took = {message.text for message in turn.messages} - {text}
            self.agree(took)
            self.taken[first_seq(turn)] = [w for w in self.waiting if w in took or w not in self.shown]
            self.waiting = []
        if text is not None:
            self.owned(turn).append(text)

    def agree(self, took: set[str]) -> None:
        """A turn took what waited; what was shown before may be among it or not."""
        assert took - self.shown <= set(self.waiting)
        if len(self.waiting) <= NARROW:
            assert took - self.shown == set(self.waiting) - self.shown

    def owned(self, turn: Turn) -> list[str]:
        """What a turn has stored."""
        return self.own.setdefault(first_seq(turn), [])

    def go_on(self, worker: int, turn: Turn, action: str) -> None:
        """The next step of a turn; who was fenced off stores in the session what the turn did not take."""
        holds = self.holder == worker
        try:
            self.act(worker, turn, action)
        except TurnLost as lost:
            assert not holds
            if lost.unstored:
                self.session().append(*lost.unstored)
                self.aside = True
                self.acknowledged.extend(message.text for message in lost.unstored)
            self.turns[worker] = None
        else:
            assert holds or action in {"inbox", "fail"}
        if turn.ended:
            self.turns[worker] = None
            self.holder = None if holds else self.holder

    def act(self, worker: int, turn: Turn, action: str) -> None:
        """One step of a turn, and what it means if it went well."""
        if action in {"append", "call", "answer"}:
            message = self.message(worker, action)
            turn.append(message)
            self.stored(turn, message)
        elif action == "finish":
            reply = assistant(self.name())
            turn.finish(reply)
            self.stored(turn, reply)
            self.answered.update(self.owned(turn), self.taken[first_seq(turn)])
        elif action == "rollback":
            turn.rollback()
            gone = self.owned(turn)
            self.acknowledged = [text for text in self.acknowledged if text not in gone]
            gone.clear()
            self.waiting = [*self.taken.pop(first_seq(turn)), *self.waiting]
        elif action == "inbox":
            self.shown.update(message.text for message in turn.inbox())
        elif action == "renew":
            turn.renew()
        else:
            turn.fail()

    def message(self, worker: int, action: str) -> Message:
        """What the worker says next."""
        text = self.name()
        call = self.open_call[worker]
        if action == "answer" and call is not None:
            self.open_call[worker] = None
            return tool(call, text)
        if action == "call":
            self.open_call[worker] = f"c{self.count}"
            return assistant(text, ToolCall(name="f", call_id=f"c{self.count}", arguments="{}"))
        return assistant(text)

    def stored(self, turn: Turn, message: Message) -> None:
        """It was acknowledged."""
        self.acknowledged.append(message.text)
        self.owned(turn).append(message.text)

    def check(self) -> None:
        """All that was acknowledged is there once and in order of its turn, and whatever anybody sees is legal."""
        session = self.session()
        there = [message.text for message in session.messages(limit=1000)]
        assert Counter(there) == Counter(self.acknowledged)
        for own in self.own.values():
            places = [there.index(text) for text in own]
            assert places == sorted(places)
        windows = [turn.window for turn in self.turns if turn is not None]
        for window in (session.history(), session.history(max_messages=self.budget), *windows):
            assert faults(window.messages) == []
            assert window.messages == () or newest_user(window.messages) is not None

    def end(self) -> None:
        """Whatever happened, the conversation goes on, and nothing is wrong with what is stored."""
        self.now += timedelta(minutes=11)
        with self.sessions.begin_turn(CHAT, user("at last"), on_busy="raise", max_messages=self.budget) as turn:
            assert turn.window.messages[-1].text == "at last"
            self.agree({m.text for m in turn.messages} - {"at last"})
            turn.finish(assistant("done"))
        assert turn.waiting == 0
        assert self.sessions.open_turns() == []
        assert self.sessions.check() == []


@given(steps)
def test_nothing_is_lost_twice_or_illegal(actions: list[tuple[int, str]]) -> None:
    """Begins, redeliveries, steps, endings and crashes of three workers, in any order."""
    world = World(NARROW)
    for worker, action in actions:
        world.step(worker, action)
        world.check()
    world.end()


@given(steps)
def test_a_reader_sees_what_the_turn_sees(actions: list[tuple[int, str]]) -> None:
    """The window that a turn keeps without reading is the one that another reader of the running turn would get."""
    world = World(WIDE)
    for worker, action in actions:
        world.step(worker, action)
        turn = world.turns[worker]
        if turn is None or turn.id is None or world.holder != worker or world.aside:
            continue
        turn.renew()
        world.shown.update(message.text for message in turn.inbox())
        again = world.sessions.turn(turn.id, max_messages=WIDE)
        assert [m.seq for m in again.window.messages] == [m.seq for m in turn.window.messages]
        assert again.window.pending == turn.window.pending
