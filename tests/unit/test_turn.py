"""A turn: its window without reads, its inbox, its endings, and what a retry of each step does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import palaver
from palaver import (
    Message,
    Origin,
    SessionBusy,
    SessionConflict,
    SessionManager,
    StoreUnavailable,
    ToolCall,
    Usage,
    assistant,
    tool,
    user,
)
from palaver.operations import Operation
from palaver.stores.memory import MemoryStore
from palaver.window import Tail
from tests.properties.test_window import faults

CHAT = Origin("telegram", chat_id="42", user_id="7")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


READS = {"current", "info", "tail", "page", "turn", "queued", "named", "sessions", "open_turns"}


class CountingStore(MemoryStore):
    """Counts what it is asked, and may lose an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.commits = 0
        self.lose_answers = 0

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Commit, and say so or not."""
        self.commits += 1
        results = super().commit(operations)
        if self.lose_answers:
            self.lose_answers -= 1
            msg = "the connection broke before the answer came"
            raise StoreUnavailable(msg, outcome="unknown")
        return results

    def __getattribute__(self, name: str) -> Any:
        if name in READS:
            self.reads += 1
        return super().__getattribute__(name)


@pytest.fixture
def store() -> CountingStore:
    """The store that the manager works on."""
    return CountingStore()


@pytest.fixture
def sessions(store: CountingStore) -> Iterator[SessionManager]:
    """A manager on that store."""
    with palaver.open(store) as manager:
        yield manager


def texts(messages: Sequence[Message]) -> list[str]:
    """What the messages say."""
    return [message.text for message in messages]


def queue(sessions: SessionManager, *messages: Message) -> None:
    """One finished turn, with these messages stored while it ran and not shown to it."""
    with sessions.begin_turn(CHAT, user("one")) as turn:
        for message in messages:
            sessions.begin_turn(CHAT, message, on_busy="store")
        turn.finish(assistant("ok"))


# -- the window


def test_the_window_follows_appends_without_a_read(sessions: SessionManager, store: CountingStore) -> None:
    """A turn of n appends is n + 2 commits, and no read after its beginning; each append is in the window at once."""
    say = sessions.begin_turn(CHAT, user("hi"))
    say.finish(assistant("hello"))
    store.reads = store.commits = 0
    turn = sessions.begin_turn(CHAT, user("go"), max_messages=50)
    assert (store.reads, store.commits) == (2, 1), "the key's session and its tail"
    for number in range(20):
        turn.append(assistant(None, ToolCall(name="f", call_id=f"c{number}", arguments="{}")))
        assert len(turn.window.messages) == 3 + 2 * number
        turn.append(tool(f"c{number}", "done"))
        assert len(turn.window.messages) == 5 + 2 * number
    turn.finish(assistant("ok"))
    assert (store.reads, store.commits) == (2, 42)


def test_the_turns_window_is_what_a_reader_would_get(sessions: SessionManager) -> None:
    """What `append` gives back, and the window made of it, are equal to what a read of the store gives."""
    sessions.get_or_create(CHAT).append(user("before"), assistant("yes"))
    turn = sessions.begin_turn(CHAT, user("go", id="tg-1"))
    stored = turn.append(assistant(None, ToolCall(name="f", call_id="c", arguments="{}")), tool("c", "done", id="r-1"))
    session = sessions.resolve(CHAT)
    assert list(stored) == session.messages(after=3)
    assert turn.window.messages == session.history().messages
    assert list(turn.messages) == session.messages(after=2)


def test_a_long_turn_keeps_its_question_and_stays_in_its_budget(sessions: SessionManager) -> None:
    """Of an overlong running turn the oldest exchanges go; the person's message and the newest result stay."""
    turn = sessions.begin_turn(CHAT, user("go"), max_messages=20)
    for number in range(300):
        turn.append(assistant(None, ToolCall(name="f", call_id=f"c{number}", arguments="{}")))
        turn.append(tool(f"c{number}", f"done {number}"))
        if number % 50 == 49:
            window = turn.window
            assert len(window.messages) <= 20
            assert window.messages[0].text == "go"
            assert window.messages[-1].text == f"done {number}"
            assert faults(window.messages) == []
            assert window.omitted
    turn.finish(assistant("ok"))


def test_an_expired_lease_that_nobody_took_makes_no_call_interrupted(store: CountingStore) -> None:
    """A tool that runs longer than the lease: whoever gets the turn by its id still sees its call held back."""
    now = [START]
    with palaver.open(store, clock=lambda: now[0]) as sessions:
        turn = sessions.begin_turn(CHAT, user("go"))
        turn.append(assistant(None, ToolCall(name="f", call_id="c", arguments="{}")))
        now[0] += timedelta(minutes=11)
        assert turn.id is not None
        again = sessions.turn(turn.id)
        assert texts(again.window.messages) == ["go"]
        assert len(again.window.pending) == 1
        again.append(tool("c", "done"))
        assert texts(again.window.messages) == ["go", "", "done"]
        again.finish(assistant("ok"))


def test_earlier_windows_are_not_changed(sessions: SessionManager) -> None:
    """A window that was taken stays what it was when the turn goes on."""
    turn = sessions.begin_turn(CHAT, user("go"))
    early = turn.window
    turn.append(assistant("well"))
    assert texts(early.messages) == ["go"]
    assert texts(turn.window.messages) == ["go", "well"]
    turn.finish()


def test_a_turn_may_end_without_a_reply(sessions: SessionManager) -> None:
    """`finish()` with nothing ends the turn as finished; there is no reply, and a retry replays it so."""
    turn = sessions.begin_turn(CHAT, user("psst", id="tg-1"))
    assert turn.finish() is None
    again = sessions.begin_turn(CHAT, user("psst", id="tg-1"))
    assert again.replayed
    assert again.reply is None
    assert texts(again.messages) == ["psst"]


def test_a_duplicate_inside_a_turn_is_stored_once(sessions: SessionManager) -> None:
    """Appending a message twice under its id is appending it once, in the transcript and in `turn.messages`."""
    turn = sessions.begin_turn(CHAT, user("go"))
    first = turn.append(assistant("step", id="a-1"))
    again = turn.append(assistant("step", id="a-1"))
    assert first[0].seq == again[0].seq
    assert texts(turn.window.messages) == ["go", "step"]
    assert texts(turn.messages) == ["go", "step"]
    turn.finish()


# -- answers that got lost


def test_finish_may_be_tried_again(sessions: SessionManager, store: CountingStore) -> None:
    """When the answer to `finish` got lost, the same call again ends the turn once, with one reply and one usage."""
    turn = sessions.begin_turn(CHAT, user("hi"))
    store.lose_answers = 1
    with pytest.raises(StoreUnavailable):
        turn.finish(assistant("ok"), usage=Usage(input_tokens=5))
    assert not turn.ended
    reply = turn.finish(assistant("ok"), usage=Usage(input_tokens=5))
    assert reply is not None
    assert (reply.text, reply.seq) == ("ok", 2)
    assert texts(sessions.resolve(CHAT).messages()) == ["hi", "ok"]
    assert [u.usage.input_tokens for u in sessions.usage()] == [5]


def test_another_reply_is_no_retry(sessions: SessionManager, store: CountingStore) -> None:
    """After an answer that got lost, finishing with another reply is a conflict: the first one stands."""
    turn = sessions.begin_turn(CHAT, user("hi"))
    store.lose_answers = 1
    with pytest.raises(StoreUnavailable):
        turn.finish(assistant("ok"))
    with pytest.raises(SessionConflict):
        turn.finish(assistant("not ok"))
    assert texts(sessions.resolve(CHAT).messages()) == ["hi", "ok"]


def test_rollback_may_be_tried_again(sessions: SessionManager, store: CountingStore) -> None:
    """When the answer to `rollback` got lost, the same call again changes nothing more."""
    turn = sessions.begin_turn(CHAT, user("hi"))
    store.lose_answers = 1
    with pytest.raises(StoreUnavailable):
        turn.rollback()
    turn.rollback()
    assert turn.state == "rolled_back"
    assert sessions.resolve(CHAT).messages() == []


def test_a_begin_whose_answer_got_lost_is_found_by_its_message(sessions: SessionManager, store: CountingStore) -> None:
    """The message is there once; after the lease has run out its redelivery takes the turn over."""
    store.lose_answers = 1
    with pytest.raises(StoreUnavailable) as failed:
        sessions.begin_turn(CHAT, user("hi", id="tg-1"), lease=timedelta(microseconds=1))
    assert failed.value.outcome == "unknown"
    again = sessions.begin_turn(CHAT, user("hi", id="tg-1"))
    assert again.taken_over
    again.finish(assistant("ok"))
    assert texts(sessions.resolve(CHAT).messages()) == ["hi", "ok"]


def test_no_lease_is_left_by_a_turn_that_could_not_begin(sessions: SessionManager, store: CountingStore) -> None:
    """When the window cannot be read, the turn is closed again, and its message begins it anew."""
    sessions.get_or_create(CHAT).append(user("before"))
    real = store.tail

    def broken(*_: Any, **__: Any) -> Tail:
        msg = "no such file"
        raise StoreUnavailable(msg)

    store.tail = broken  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        sessions.begin_turn(CHAT, user("hi", id="tg-1"))
    store.tail = real  # type: ignore[method-assign]
    assert sessions.open_turns() == []
    with sessions.begin_turn(CHAT, user("hi", id="tg-1"), on_busy="raise") as turn:
        assert turn.taken_over
        turn.finish(assistant("ok"))


# -- leaving the block


def test_leaving_a_lost_turn_disturbs_nobody(store: CountingStore) -> None:
    """The block of a turn that was taken over ends without touching the turn that runs now, or hiding an exception."""
    now = [START]
    with palaver.open(store, clock=lambda: now[0]) as sessions:
        slow = sessions.begin_turn(CHAT, user("one"))
        now[0] += timedelta(minutes=11)
        fast = sessions.begin_turn(CHAT, user("two"))
        with pytest.raises(ZeroDivisionError), slow:
            raise ZeroDivisionError
        assert len(sessions.open_turns()) == 1
        fast.finish(assistant("ok"))
        assert texts(sessions.resolve(CHAT).messages()) == ["one", "two", "ok"]


def test_a_block_may_fail_or_roll_back_by_itself(sessions: SessionManager) -> None:
    """After `fail` or `rollback` in the block, leaving it changes nothing more."""
    with sessions.begin_turn(CHAT, user("one")) as failed:
        failed.fail("no model")
    with sessions.begin_turn(CHAT, user("two")) as undone:
        undone.rollback()
    assert (failed.state, undone.state) == ("interrupted", "rolled_back")
    assert texts(sessions.resolve(CHAT).messages()) == ["one"]


# -- waiting


def test_a_waiting_turn_begins_when_the_other_thread_is_done(sessions: SessionManager) -> None:
    """`wait` begins the turn after the running one, and its window holds that one's reply."""
    turn = sessions.begin_turn(CHAT, user("one"))
    seen: list[list[str]] = []

    def second() -> None:
        with sessions.begin_turn(CHAT, user("two"), timeout=60) as waiting:
            seen.append(texts(waiting.window.messages))
            waiting.finish(assistant("done"))

    thread = threading.Thread(target=second)
    thread.start()
    turn.finish(assistant("ok"))
    thread.join(60)
    assert seen == [["one", "ok", "two"]]


def test_many_threads_take_turns(sessions: SessionManager) -> None:
    """Eight threads at one session: each turn is whole, question directly before answer."""
    errors: list[BaseException] = []

    def worker(name: str) -> None:
        try:
            for number in range(5):
                with sessions.begin_turn(CHAT, user(f"{name} {number}"), timeout=None) as turn:
                    turn.finish(assistant(f"re {name} {number}"))
        except BaseException as error:  # noqa: BLE001 - it is reported below
            errors.append(error)

    threads = [threading.Thread(target=worker, args=(f"w{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    stored = texts(sessions.resolve(CHAT).messages())
    assert len(stored) == 80
    assert all(answer == f"re {question}" for question, answer in zip(stored[::2], stored[1::2], strict=True))


@pytest.mark.parametrize("on_busy", ["queue", "", "RAISE"])
def test_an_unknown_way_to_be_busy_is_refused(sessions: SessionManager, on_busy: Any) -> None:
    """A typo in `on_busy` is a ValueError and not some other behaviour."""
    turn = sessions.begin_turn(CHAT, user("one"))
    with pytest.raises(ValueError, match="on_busy"):
        sessions.begin_turn(CHAT, user("two"), on_busy=on_busy)
    turn.finish()


@pytest.mark.parametrize("lease", [timedelta(0), timedelta(seconds=-1)])
def test_a_lease_lasts_longer_than_nothing(sessions: SessionManager, lease: timedelta) -> None:
    """A lease that would be over at once is a ValueError, in the settings and for one turn."""
    with pytest.raises(ValueError, match="lease"):
        palaver.open("memory://", lease=lease)
    with pytest.raises(ValueError, match="lease"):
        sessions.begin_turn(CHAT, user("hi"), lease=lease)
    assert sessions.list() == []


# -- messages that wait


def test_a_message_that_the_turn_was_shown_does_not_begin_the_next(sessions: SessionManager) -> None:
    """Steering or queueing, not both: what `inbox` showed, and the turn then answered, waits no more."""
    with sessions.begin_turn(CHAT, user("count")) as turn:
        sessions.begin_turn(CHAT, user("stop", id="tg-2"), on_busy="store")
        assert texts(turn.inbox()) == ["stop"]
        turn.finish(assistant("stopped"))
        assert turn.waiting == 0
    with pytest.raises(SessionConflict):
        sessions.begin_turn(CHAT)
    assert sessions.begin_turn(CHAT, user("stop", id="tg-2")).replayed


def test_a_redelivered_waiting_message_begins_the_next_turn(sessions: SessionManager) -> None:
    """A message that waits may come again: it begins the turn, and is stored once."""
    queue(sessions, user("two", id="tg-2"))
    with sessions.begin_turn(CHAT, user("two", id="tg-2")) as turn:
        assert not turn.replayed
        assert turn.message is not None
        assert turn.message.text == "two"
        turn.finish(assistant("done"))
    assert sorted(texts(sessions.resolve(CHAT).messages())) == ["done", "ok", "one", "two"]
    with pytest.raises(SessionConflict):
        sessions.begin_turn(CHAT)


def test_a_redelivered_queued_message_is_still_queued_once(sessions: SessionManager) -> None:
    """Storing it again while the turn runs stores it once; to wait for it or to be refused is possible too."""
    with sessions.begin_turn(CHAT, user("one")) as turn:
        first = sessions.begin_turn(CHAT, user("two", id="tg-2"), on_busy="store")
        again = sessions.begin_turn(CHAT, user("two", id="tg-2"), on_busy="store")
        assert (again.queued, again.seq) == (True, first.seq)
        with pytest.raises(SessionBusy):
            sessions.begin_turn(CHAT, user("two", id="tg-2"), on_busy="raise")
        turn.finish(assistant("ok"))
        assert turn.waiting == 1


@pytest.mark.parametrize("which", [0, 1])
def test_every_message_that_a_turn_took_along_is_replayed_with_it(sessions: SessionManager, which: int) -> None:
    """Two waited, one turn answered both: either one, redelivered, gives that turn and its reply."""
    waiting = [user("two", id="tg-2"), user("three", id="tg-3")]
    queue(sessions, *waiting)
    with sessions.begin_turn(CHAT) as turn:
        turn.finish(assistant("both"))
    again = sessions.begin_turn(CHAT, waiting[which])
    assert again.replayed
    assert again.reply is not None
    assert again.reply.text == "both"


def test_a_turn_knows_all_that_waited_whatever_its_window_holds(sessions: SessionManager) -> None:
    """More messages waited than the budget has room for: `messages` names all of them, the window the newest."""
    queue(sessions, *(user(f"m{number}") for number in range(30)))
    with sessions.begin_turn(CHAT, max_messages=5) as turn:
        assert texts(turn.messages) == [f"m{number}" for number in range(30)]
        assert len(turn.window.messages) <= 5
        turn.finish(assistant("all"))


def test_a_turn_that_goes_on_knows_what_it_stored(sessions: SessionManager) -> None:
    """Taken over, or got by its id, a turn's `messages` are all that it has stored so far."""
    turn = sessions.begin_turn(CHAT, user("go", id="tg-1"))
    turn.append(assistant("step"))
    assert turn.id is not None
    assert texts(sessions.turn(turn.id).messages) == ["go", "step"]
    turn.fail()
    with sessions.begin_turn(CHAT, user("go", id="tg-1")) as again:
        assert texts(again.messages) == ["go", "step"]
        again.finish(assistant("done"))
        assert texts(again.messages) == ["go", "step", "done"]


def test_a_rolled_back_turn_leaves_what_waited_waiting(sessions: SessionManager) -> None:
    """As if it had not begun: the messages that it took along wait for the next turn again."""
    queue(sessions, user("two"), user("three"))
    sessions.begin_turn(CHAT).rollback()
    with sessions.begin_turn(CHAT) as turn:
        assert texts(turn.messages) == ["two", "three"]
        turn.finish(assistant("both"))


def test_messages_wait_across_a_crash_of_the_turn(store: CountingStore) -> None:
    """When the running turn dies, what was stored meanwhile begins the next one."""
    now = [START]
    with palaver.open(store, clock=lambda: now[0]) as sessions:
        sessions.begin_turn(CHAT, user("one"))
        sessions.begin_turn(CHAT, user("two"), on_busy="store")
        now[0] += timedelta(hours=1)
        with sessions.begin_turn(CHAT) as turn:
            assert texts(turn.messages) == ["two"]
            assert texts(turn.window.messages) == ["one", "two"]
            turn.finish(assistant("ok"))


def test_a_message_between_a_call_and_its_result_comes_after_them(sessions: SessionManager) -> None:
    """A steering message that was stored in the middle of an exchange is shown behind it, and the window is legal."""
    turn = sessions.begin_turn(CHAT, user("go"))
    turn.append(assistant(None, ToolCall(name="f", call_id="c", arguments="{}")))
    sessions.begin_turn(CHAT, user("hurry"), on_busy="store")
    turn.inbox()
    turn.append(tool("c", "done"))
    assert [m.role for m in turn.window.messages] == ["user", "assistant", "tool", "user"]
    assert faults(turn.window.messages) == []
    turn.finish(assistant("ok"))
