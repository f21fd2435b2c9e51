"""Things that come twice, at once, in the wrong order or at the wrong time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import (
    PalaverError,
    Session,
    SessionBusy,
    SessionConflict,
    SessionManager,
    SessionNotFound,
    ToolCall,
    assistant,
    tool,
    user,
)
from palaver.operations import Append
from tests.faults import kit


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """A microsecond later each time it is looked at."""
        self.time += timedelta(microseconds=1)
        return self.time


@pytest.fixture
def clock() -> SetClock:
    """The clock of the store under test."""
    return SetClock()


@pytest.fixture(params=["sqlite", "memory"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> Iterator[SessionManager]:
    """A store of each kind: they must not differ here."""
    url = f"sqlite:///{tmp_path / 'chat.db'}" if request.param == "sqlite" else "memory://"
    with palaver.open(url, clock=clock) as opened:
        yield opened


def answer(sessions: SessionManager, key: str, question: str, reply: str) -> palaver.Turn:
    """One whole turn, with the question's text as its message's id."""
    turn = sessions.begin_turn(key, user(question, id=question), on_busy="raise")
    if not turn.replayed:
        turn.finish(assistant(reply))
    return turn


def in_threads(work: Callable[[int], Any], count: int) -> list[Any]:
    """What each thread's work gave or raised; all begin at once, and all end in time."""
    outcomes: list[Any] = [None] * count
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait()
        try:
            outcomes[number] = work(number)
        except PalaverError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(kit.PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


# ---------------------------------------------------------------------- twice
def test_the_same_message_twice(sessions: SessionManager) -> None:
    """A message that comes again after its turn is over gives that turn's reply and stores nothing."""
    answer(sessions, "key", "question", "reply")
    again = answer(sessions, "key", "question", "another reply")
    assert again.replayed
    assert again.reply is not None
    assert again.reply.text == "reply"
    assert kit.texts(sessions, "key") == ["question", "reply"]


def test_the_same_message_again_after_a_reset(sessions: SessionManager) -> None:
    """A platform that delivers a message again after the key was reset gets the old reply; the new session is clean."""
    answer(sessions, "key", "question", "reply")
    new = sessions.reset("key")
    again = answer(sessions, "key", "question", "another reply")
    assert again.replayed
    assert again.reply is not None
    assert again.reply.text == "reply"
    assert new.messages() == []


def test_the_same_id_with_other_content(sessions: SessionManager) -> None:
    """An id names one content, before and after a reset: other content under it is refused and stored nowhere."""
    answer(sessions, "key", "question", "reply")
    for _ in range(2):
        with pytest.raises(SessionConflict):
            sessions.begin_turn("key", user("something else", id="question"))
        sessions.reset("key")
        sessions.begin_turn("key", user("first of the new one", id="new")).finish()
        sessions.resume("key", next(s.id for s in sessions.list() if s.preview == "question"))
    assert kit.texts(sessions, "key") == ["question", "reply"]


def test_appending_twice(sessions: SessionManager) -> None:
    """A retried append gives the first positions, also in part; other content under a known id stores none of it."""
    session = sessions.create("key")
    first = session.append(user("a", id="a"), assistant("b", id="b"))
    again = session.append(user("a", id="a"), assistant("b", id="b"), user("c", id="c"))
    assert (first.seqs, again.seqs) == ((1, 2), (1, 2, 3))
    with pytest.raises(SessionConflict):
        session.append(user("d", id="d"), user("not b", id="b"))
    assert [m.text for m in session.messages()] == ["a", "b", "c"]


def test_one_message_from_many_threads(sessions: SessionManager) -> None:
    """A message that is delivered by eight threads at once is stored once, and answered by one turn."""
    sessions.create("key")

    def deliver(_: int) -> str:
        turn = sessions.begin_turn("key", user("question", id="m1"), timeout=kit.PATIENCE)
        if not turn.replayed:
            turn.finish(assistant("reply"))
            return "answered"
        return "replayed"

    assert sorted(in_threads(deliver, 8)) == ["answered", *["replayed"] * 7]
    assert kit.texts(sessions, "key") == ["question", "reply"]


def test_a_first_message_from_many_threads(sessions: SessionManager) -> None:
    """Eight first messages of one new key make one session, and one of them is the first contact."""
    first_contacts = []

    def deliver(number: int) -> None:
        turn = sessions.begin_turn("key", user(f"{number}", id=f"{number}"), timeout=kit.PATIENCE)
        first_contacts.append(turn.first_contact)
        turn.finish(assistant(f"{number} answered"))

    assert in_threads(deliver, 8) == [None] * 8
    assert sorted(first_contacts) == [False] * 7 + [True]
    assert len(sessions.list(include_empty=True, include_hidden=True, include_archived=True)) == 1
    found = kit.texts(sessions, "key")
    assert found == [line for t in found[::2] for line in (t, f"{t} answered")]
    assert len(found) == 16


# ---------------------------------------------------------------------- at once
def test_two_messages_at_once_raise(sessions: SessionManager) -> None:
    """on_busy="raise": one of the messages begins its turn, the others are refused and not stored."""
    sessions.create("key")
    outcomes = in_threads(lambda n: sessions.begin_turn("key", user(f"{n}"), on_busy="raise"), 6)
    [turn] = [o for o in outcomes if isinstance(o, palaver.Turn)]
    assert sum(isinstance(o, SessionBusy) for o in outcomes) == 5
    turn.finish(assistant("reply"))
    assert len(kit.texts(sessions, "key")) == 2


@pytest.mark.parametrize("looks", [True, False], ids=["the turn looks", "the turn does not look"])
def test_two_messages_at_once_store(sessions: SessionManager, looks: bool) -> None:
    """on_busy="store": one begins, all are durable at once, and each of the rest is shown to one turn, and once."""
    sessions.create("key")
    outcomes = in_threads(lambda n: sessions.begin_turn("key", user(f"{n}", id=f"{n}"), on_busy="store"), 6)
    [turn] = [o for o in outcomes if not o.queued]
    assert sorted(kit.texts(sessions, "key")) == [f"{n}" for n in range(6)]
    for n in range(6):  # the platform delivers everything once more
        with pytest.raises(SessionBusy):
            sessions.begin_turn("key", user(f"{n}", id=f"{n}"), on_busy="raise")
    if looks:
        assert len(turn.inbox()) == 5
        assert turn.inbox() == ()
    turn.finish(assistant("reply"))
    assert turn.waiting == (0 if looks else 5)
    if not looks:
        following = sessions.begin_turn("key", on_busy="raise")
        assert len(following.messages) == 5
        following.finish(assistant("reply to the rest"))
    with pytest.raises(SessionConflict):  # nothing waits any more
        sessions.begin_turn("key", on_busy="raise")
    assert len(kit.texts(sessions, "key")) == (7 if looks else 8)


def test_waiting_ends(sessions: SessionManager) -> None:
    """on_busy="wait" ends with SessionBusy when its time is up, and nothing was stored."""
    turn = sessions.begin_turn("key", user("first"))
    with pytest.raises(SessionBusy):
        sessions.begin_turn("key", user("second"), timeout=0.02)
    turn.finish(assistant("reply"))
    assert kit.texts(sessions, "key") == ["first", "reply"]


# ---------------------------------------------------------------------- in one batch
def test_an_operation_that_fails_in_a_batch(sessions: SessionManager) -> None:
    """Of operations that are committed together one fails alone: those before and after it, on its session, stand."""
    session = sessions.create("key")
    core = session._core

    def append(*texts: str, expected: int | None = None, session_id: str = session.id) -> Append:
        drafts = tuple(palaver.codec.draft(user(text, id=text)) for text in texts)
        return Append(at=core.at(), session_id=session_id, messages=drafts, expected_seq=expected)

    outcomes = core.store.commit(
        [
            append("a", "b"),
            append("c", expected=7),
            append("d", expected=2),
            append("e", session_id="nobody"),
            append("f", "a"),
            append("g", expected=4),
        ]
    )
    assert [type(o).__name__ for o in outcomes] == [
        "Appended",
        "SessionConflict",
        "Appended",
        "SessionNotFound",
        "Appended",
        "Appended",
    ]
    assert [m.text for m in session.messages()] == ["a", "b", "d", "f", "g"]
    assert [m.seq for m in session.messages()] == [1, 2, 3, 4, 5]
    assert session.append(user("c", id="c")).seqs == (6,)
    info = session.info()
    assert (info.message_count, info.last_seq) == (6, 6)
    assert sessions.check() == []


def test_failures_and_successes_of_many_threads(sessions: SessionManager) -> None:
    """Threads whose operations fail and threads whose operations succeed, on one session, do not harm each other."""
    session = sessions.create("key")

    def write(number: int) -> int:
        refused = 0
        for n in range(20):
            try:
                session.append(user(f"{number}.{n}"), expected_seq=10_000 if number % 2 else None)
            except SessionConflict:
                refused += 1
        return refused

    assert in_threads(write, 8) == [0, 20] * 4
    found = kit.texts(sessions, "key")
    assert len(found) == 80
    for number in (0, 2, 4, 6):
        assert [t for t in found if t.startswith(f"{number}.")] == [f"{number}.{n}" for n in range(20)]
    assert sessions.check() == []


# ---------------------------------------------------------------------- removed, out of order
def test_purging_the_end_and_appending(sessions: SessionManager) -> None:
    """Positions of purged messages are not given out again, also in the same batch and after reopening."""
    session = sessions.create("key")
    session.append(*[user(f"{n}", id=f"{n}") for n in range(1, 6)])
    assert session.purge(4, 5) == 2
    assert session.append(user("six")).seqs == (6,)
    assert session.purge(1, 6) == 4
    assert session.info().message_count == 0
    assert session.append(user("seven")).seqs == (7,)
    assert session.append(user("4", id="4")).seqs == (4,), "a purged message does not come back"
    assert [(m.seq, m.text) for m in session.messages(live=False)] == [(7, "seven")]
    assert session.info().message_count == 1
    assert sessions.check() == []


def test_purging_the_end_and_reopening(tmp_path: Path) -> None:
    """The highest position is remembered on disk, where no message is left that has it."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        session = sessions.create("key")
        session.append(*[user(f"{n}") for n in range(5)])
        session.purge(1, 5)
    with palaver.open(path) as sessions:
        assert sessions.resolve("key").append(user("six")).seqs == (6,)
        assert sessions.check() == []


def test_a_message_between_a_call_and_its_result(sessions: SessionManager) -> None:
    """A message that is stored between a call and its result comes after that exchange, in the turn and after it."""
    with sessions.begin_turn("key", user("question")) as turn:
        turn.append(assistant(None, ToolCall(name="f", call_id="c1", arguments="{}")))
        assert sessions.begin_turn("key", user("one more thing"), on_busy="store").queued
        turn.append(tool("c1", "result"))
        assert [m.text for m in turn.inbox()] == ["one more thing"]
        roles = [m.role for m in turn.window.messages]
        assert roles == ["user", "assistant", "tool", "user"]
        turn.finish(assistant("reply"))
    window = sessions.resolve("key").history()
    assert [m.role for m in window.messages][:3] == ["user", "assistant", "tool"]
    assert [m.seq for m in sessions.resolve("key").messages()] == [1, 2, 3, 4, 5]


def test_a_turn_of_3000_messages(tmp_path: Path) -> None:
    """A turn far longer than its budget has a legal window at each step, with the user's message and the newest call.

    On disk, each step is read back by another manager as well.
    """
    budget, calls = 50, 1500
    waiting: list[palaver.Message] = []
    with (
        palaver.open(tmp_path / "chat.db") as sessions,
        sessions.begin_turn("key", user("do a lot"), max_messages=budget) as turn,
    ):
        for n in range(4, calls, 5):
            for k in range(n - 4, n + 1):
                waiting += [assistant(None, ToolCall(name="f", call_id=f"c{k}", arguments="{}")), tool(f"c{k}", "r")]
            turn.append(*waiting)
            waiting.clear()
            if n % 50 == 49 or n < 60:
                for window in (turn.window, sessions.resolve("key").history(max_messages=budget)):
                    assert len(window.messages) <= budget
                    assert window.messages[0].text == "do a lot"
                    shown = window.messages[1:]
                    assert [m.role for m in shown] == ["assistant", "tool"] * (len(shown) // 2)
                    assert [c.tool_calls[0].call_id for c in shown[::2]] == [
                        f"c{k}" for k in range(n + 1 - len(shown) // 2, n + 1)
                    ]
                    assert len(shown) >= min(2 * (n + 1), budget // 2)
        turn.finish(assistant("done"))
        assert sessions.resolve("key").info().message_count == 2 * calls + 2


# ---------------------------------------------------------------------- owners and clocks
def test_two_owners_with_one_key(sessions: SessionManager) -> None:
    """The same key of two owners is two sessions; neither finds, hears of or disturbs the other's."""
    ann, bob = sessions.for_owner("ann"), sessions.for_owner("bob")
    turn = ann.begin_turn("telegram:42", user("from ann", id="m1"), on_busy="raise")
    other = bob.begin_turn("telegram:42", user("from bob", id="m1"), on_busy="raise")
    assert other.first_contact
    assert turn.session_id != other.session_id
    turn.finish(assistant("to ann"))
    assert [t.session_id for t in bob.open_turns()] == [other.session_id]
    other.finish(assistant("to bob"))
    for me, mine, foreign in ((ann, turn, other), (bob, other, turn)):
        assert [s.id for s in me.list()] == [mine.session_id]
        assert {e.session_id for e in me.events()} == {mine.session_id}
        for attempt in (
            lambda me=me, foreign=foreign: me.get(foreign.session_id),
            lambda me=me, foreign=foreign: Session(me._core, foreign.session_id).messages(),
            lambda me=me, foreign=foreign: Session(me._core, foreign.session_id).history(),
            lambda me=me, foreign=foreign: Session(me._core, foreign.session_id).append(user("intruder")),
            lambda me=me, foreign=foreign: Session(me._core, foreign.session_id).purge(1, 1),
            lambda me=me, foreign=foreign: Session(me._core, foreign.session_id).reset(),
            lambda me=me, foreign=foreign: Session(me._core, foreign.session_id).begin_turn(user("intruder")),
            lambda me=me, foreign=foreign: me.resume("telegram:42", foreign.session_id),
            lambda me=me, foreign=foreign: me.turn(foreign.id or ""),
        ):
            with pytest.raises(SessionNotFound):
                attempt()
    ann.reset("telegram:42")
    assert kit.texts(bob, "telegram:42") == ["from bob", "to bob"]


def test_the_clock_steps_back(sessions: SessionManager, clock: SetClock) -> None:
    """An hour back: order, positions, counts and turns do not care, and nothing is reset or lost to it."""
    answer(sessions, "key", "first", "first reply")
    running = sessions.begin_turn("key", user("second", id="second"))
    clock.time -= timedelta(hours=1)
    with pytest.raises(SessionBusy):
        sessions.begin_turn("key", user("intruder"), on_busy="raise")
    running.append(assistant("step"))
    running.renew()
    running.finish(assistant("second reply"))
    answer(sessions, "key", "third", "third reply")
    sessions.resolve("key").append(user("fourth"))
    expected = ["first", "first reply", "second", "step", "second reply", "third", "third reply", "fourth"]
    assert kit.texts(sessions, "key") == expected
    assert [m.text for m in sessions.resolve("key").history().messages][-1] == "fourth"
    info = sessions.resolve("key").info()
    assert (info.message_count, info.last_seq) == (8, 8)
    answer(sessions, "other", "in the past", "reply")
    assert {s.id for s in sessions.list()} == {info.id, sessions.resolve("other").id}
    assert sessions.check() == []
    clock.time += timedelta(hours=1)
    answer(sessions, "key", "fifth", "fifth reply")
    assert kit.texts(sessions, "key")[-2:] == ["fifth", "fifth reply"]


def test_a_lease_from_before_the_clock_stepped_back(sessions: SessionManager, clock: SetClock) -> None:
    """A turn that nobody ends keeps its session for the length of its lease, not for that and the hour."""
    sessions.begin_turn("key", user("abandoned"), lease=timedelta(minutes=10))
    clock.time -= timedelta(hours=1)
    with pytest.raises(SessionBusy):
        sessions.begin_turn("key", user("early"), on_busy="raise")
    clock.time += timedelta(hours=1, minutes=10)
    sessions.begin_turn("key", user("late"), on_busy="raise").finish(assistant("reply"))
    assert kit.texts(sessions, "key") == ["abandoned", "late", "reply"]


def test_reopened_with_an_earlier_clock(tmp_path: Path, clock: SetClock) -> None:
    """Sessions that seem to have been active in the future are listed, read and written like others."""
    path = tmp_path / "chat.db"
    with palaver.open(path, clock=clock) as sessions:
        answer(sessions, "key", "first", "reply")
    clock.time -= timedelta(days=1)
    with palaver.open(path, clock=clock) as sessions:
        answer(sessions, "key", "second", "reply 2")
        assert [s.message_count for s in sessions.list()] == [4]
        assert sessions.check() == []
    with palaver.open(path, clock=clock) as sessions:
        assert kit.texts(sessions, "key") == ["first", "reply", "second", "reply 2"]
        assert sessions.resolve("key").info().last_seq == 4
