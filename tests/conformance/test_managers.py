"""What a user of the manager sees is the same on every store, with and without `await`.

Each story is written once, against the sync API. For the async one a small adapter runs a loop until each call is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import pytest

import palaver
from palaver import (
    AsyncSession,
    AsyncSessionManager,
    AsyncTurn,
    KeyPolicy,
    Message,
    Origin,
    ResetPolicy,
    SessionBusy,
    SessionConflict,
    SessionEnded,
    SessionManager,
    SessionNotFound,
    StoreClosed,
    ToolCall,
    TurnLost,
    Usage,
    assistant,
    tool,
    user,
)
from palaver.stores import open_store
from palaver.stores.memory import MemoryStore
from tests.properties.test_window import faults
from tests.servers.postgres import databases

CHAT = Origin("telegram", chat_id="42", user_id="7")
OTHER = Origin("slack", chat_id="C9", user_id="7")
CALL = ToolCall(name="add", call_id="c1", arguments='{"a":2}')
IDLE = ResetPolicy(idle=timedelta(hours=1))


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def advance(self, **span: float) -> None:
        """Let that much time pass."""
        self.now += timedelta(**span)


class Blocking:
    """An async manager, session or turn, called like its sync twin."""

    def __init__(self, runner: asyncio.Runner, inner: Any) -> None:
        self._runner = runner
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value
        return lambda *args, **fields: self._settled(value(*args, **fields))

    def _settled(self, result: Any) -> Any:
        if isinstance(result, Awaitable):
            result = self._runner.run(_awaited(result))
        return Blocking(self._runner, result) if isinstance(result, TWINS) else result

    def __enter__(self) -> Self:
        self._runner.run(self._inner.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._inner.__aexit__(kind, error, trace))


TWINS = (AsyncSessionManager, AsyncSession, AsyncTurn)


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


class Place:
    """One set of data, a clock, and as many managers on them as a test opens."""

    def __init__(self, store: str, api: str, directory: Path) -> None:
        self.clock = Clock()
        self._where: Any = MemoryStore() if store == "memory" else f"sqlite:///{directory / 'chat.db'}"
        self._database: str | None = None
        if store == "postgres":
            self._database = databases().new("palaver", lambda url: open_store(url).close())
            self._where = f"{self._database}?clock=caller"
        self._runner = asyncio.Runner() if api == "async" else None
        self._opened: list[SessionManager] = []

    def open(self, **fields: Any) -> SessionManager:
        """Another manager on the same data, as another process or the next start would have."""
        if self._runner is None:
            manager = palaver.open(self._where, clock=self.clock, **fields)
        else:
            opened = self._runner.run(_awaited(palaver.aopen(self._where, clock=self.clock, **fields)))
            manager = cast("SessionManager", Blocking(self._runner, opened))
        self._opened.append(manager)
        return manager

    def close(self) -> None:
        """Close all managers."""
        for manager in self._opened:
            manager.close()
        if self._runner is not None:
            self._runner.close()
        if self._database is not None:
            databases().drop(self._database)


@pytest.fixture(params=[f"{store}-{api}" for store in ("memory", "sqlite", "postgres") for api in ("sync", "async")])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty place of each kind."""
    store, _, api = request.param.partition("-")
    made = Place(store, api, tmp_path)
    yield made
    made.close()


@pytest.fixture
def sessions(place: Place) -> SessionManager:
    """A manager with the settings that nobody changed."""
    return place.open()


def say(sessions: SessionManager, target: Origin | str, text: str, reply: str = "ok", **fields: Any) -> str:
    """One whole turn; gives the id of its session."""
    with sessions.begin_turn(target, user(text, **fields)) as turn:
        turn.finish(assistant(reply))
    return turn.session_id


def texts(messages: tuple[Message, ...] | list[Message]) -> list[str]:
    """What the messages say."""
    return [message.text for message in messages]


# -- a turn


def test_a_turn_with_a_tool_call_is_stored_step_by_step(sessions: SessionManager) -> None:
    """The turn of the README: the window grows with each append, and all of it is in the transcript."""
    with sessions.begin_turn(CHAT, user("What is 2+2?", id="tg-1001")) as turn:
        assert texts(turn.window.messages) == ["What is 2+2?"]
        assert turn.session_is_new
        assert turn.first_contact
        turn.append(assistant(None, CALL), tool("c1", "4"))
        payload = turn.window.render("openai_chat")
        assert [m["role"] for m in payload.messages] == ["user", "assistant", "tool"]
        reply = turn.finish(assistant("It is 4."))
    assert reply is not None
    assert reply.seq == 4
    assert turn.reply == reply
    assert turn.state == "finished"
    session = sessions.resolve(CHAT)
    assert session.id == turn.session_id
    assert [m.role for m in session.messages()] == ["user", "assistant", "tool", "assistant"]
    assert texts(session.history().messages)[-1] == "It is 4."
    assert sessions.check() == []


def test_an_unanswered_call_is_held_back(sessions: SessionManager) -> None:
    """A call without its result is not shown in the running turn; another reader sees it as interrupted later."""
    with sessions.begin_turn(CHAT, user("add")) as turn:
        turn.append(assistant(None, CALL))
        assert texts(turn.window.messages) == ["add"]
        assert [m.tool_calls[0].call_id for m in turn.window.pending] == ["c1"]
        turn.append(tool("c1", "4"))
        assert turn.window.pending == ()
        assert len(turn.window.messages) == 3
        turn.append(assistant(None, ToolCall(name="add", call_id="c2", arguments="{}")))
        turn.fail("the tool died")
    window = sessions.resolve(CHAT).history()
    assert faults(window.messages) == []
    assert window.repairs
    assert len(window.messages) == 5


def test_leaving_a_turn_without_finish_interrupts_it(sessions: SessionManager) -> None:
    """What happened stays, the lease is free, and the exception of the block is the one that is raised."""
    with sessions.begin_turn(CHAT, user("one")) as quiet:
        quiet.append(assistant("thinking"))
    assert quiet.state == "interrupted"
    with pytest.raises(ZeroDivisionError), sessions.begin_turn(CHAT, user("two"), on_busy="raise") as loud:
        raise ZeroDivisionError
    assert loud.state == "interrupted"
    assert sessions.open_turns() == []
    assert texts(sessions.resolve(CHAT).messages()) == ["one", "thinking", "two"]


def test_an_ended_turn_takes_nothing_more(sessions: SessionManager) -> None:
    """Finishing twice, or appending after it, is TurnLost with the messages that were not stored."""
    turn = sessions.begin_turn(CHAT, user("hi"))
    turn.finish(assistant("one"))
    for step in (turn.finish, turn.append):
        with pytest.raises(TurnLost) as lost:
            step(assistant("two"))
        assert texts(lost.value.unstored) == ["two"]
    for stop in (turn.fail, turn.rollback, turn.renew):
        with pytest.raises(TurnLost):
            stop()
    assert texts(sessions.resolve(CHAT).messages()) == ["hi", "one"]


def test_rollback_leaves_the_session_as_it_was(sessions: SessionManager) -> None:
    """The turn's messages are cut, what others stored meanwhile stays, and its id may begin a turn again."""
    say(sessions, CHAT, "first")
    turn = sessions.begin_turn(CHAT, user("bad", id="tg-2"))
    turn.append(assistant("worse"))
    sessions.resolve(CHAT).append(user("from the side"))
    turn.rollback()
    assert turn.state == "rolled_back"
    session = sessions.resolve(CHAT)
    assert texts(session.messages()) == ["first", "ok", "from the side"]
    assert texts(session.messages(live=False)) == ["first", "ok", "bad", "worse", "from the side"]
    with sessions.begin_turn(CHAT, user("bad", id="tg-2")) as again:
        assert not again.replayed
        again.finish(assistant("better"))
    assert texts(session.messages())[-2:] == ["bad", "better"]


def test_a_turn_goes_on_elsewhere_by_its_id(place: Place) -> None:
    """Another manager takes a turn by its id, goes on with it, and ends it; then it is a replay for everybody."""
    here, there = place.open(), place.open()
    begun = here.begin_turn(CHAT, user("hi"))
    assert begun.id is not None
    moved = there.turn(begun.id)
    assert (moved.state, moved.session_id, moved.seq) == ("running", begun.session_id, begun.seq)
    moved.append(assistant("wait"))
    assert texts(moved.window.messages) == ["hi", "wait"]
    moved.finish(assistant("done"))
    replay = here.turn(begun.id)
    assert replay.replayed
    assert replay.reply is not None
    assert replay.reply.text == "done"
    with pytest.raises(TurnLost):
        begun.append(assistant("late"))
    for wrong in ("", "x", f"{begun.session_id}~1~wrong", f"{begun.session_id}~9~{begun.token}"):
        with pytest.raises(SessionNotFound):
            here.turn(wrong)


def test_the_context_is_the_same_in_every_turn(place: Place) -> None:
    """The system prompt's section says where the conversation is and does not change between turns or starts."""
    with place.open().begin_turn(CHAT, user("a")) as one:
        one.finish(assistant("b"))
    place.clock.advance(hours=5)
    with place.open().begin_turn(CHAT, user("c")) as two:
        two.finish(assistant("d"))
    assert "telegram" in one.context
    assert one.context == two.context


# -- the same message again


def test_a_finished_turn_is_replayed(place: Place) -> None:
    """Its message again gives its messages and reply, stores nothing, and holds no lease."""
    sessions = place.open()
    with sessions.begin_turn(CHAT, user("2+2?", id="tg-1")) as turn:
        turn.append(assistant(None, CALL), tool("c1", "4"))
        turn.finish(assistant("4"))
    again = place.open().begin_turn(CHAT, user("2+2?", id="tg-1"))
    assert again.replayed
    assert again.ended
    assert again.reply is not None
    assert again.reply.text == "4"
    assert [m.role for m in again.messages] == ["user", "assistant", "tool", "assistant"]
    assert again.state == "finished"
    assert len(sessions.resolve(CHAT).messages()) == 4
    assert sessions.open_turns() == []


def test_a_running_turns_message_again_is_busy(sessions: SessionManager) -> None:
    """A redelivery while the turn runs is SessionBusy, and nothing is stored."""
    with sessions.begin_turn(CHAT, user("hi", id="tg-1")) as turn:
        with pytest.raises(SessionBusy) as busy:
            sessions.begin_turn(CHAT, user("hi", id="tg-1"), timeout=0)
        assert busy.value.retryable
        turn.finish(assistant("ok"))
    assert len(sessions.resolve(CHAT).messages()) == 2


def test_an_interrupted_turn_is_taken_over(sessions: SessionManager) -> None:
    """Its message again goes on with it, and the window shows how far it came."""
    with sessions.begin_turn(CHAT, user("add", id="tg-1")) as turn:
        turn.append(assistant(None, CALL), tool("c1", "4"))
    with sessions.begin_turn(CHAT, user("add", id="tg-1")) as again:
        assert again.taken_over
        assert not again.replayed
        assert again.seq == turn.seq
        assert again.message is not None
        assert again.message.text == "add"
        assert [m.role for m in again.window.messages] == ["user", "assistant", "tool"]
        again.finish(assistant("4"))
    assert [m.role for m in sessions.resolve(CHAT).messages()] == ["user", "assistant", "tool", "assistant"]


def test_a_message_that_was_answered_before_a_reset_is_replayed(place: Place) -> None:
    """Platforms redeliver across a reset: the old answer comes back, and the new session stays empty of it."""
    sessions = place.open(reset_policy=IDLE)
    old = say(sessions, CHAT, "hi", "hello", id="tg-1")
    place.clock.advance(hours=2)
    again = sessions.begin_turn(CHAT, user("hi", id="tg-1"))
    assert again.replayed
    assert again.session_id == old
    assert sessions.resolve(CHAT).id == old, "a redelivery resets nothing"
    new = say(sessions, CHAT, "later", id="tg-2")
    assert new != old
    late = sessions.begin_turn(CHAT, user("hi", id="tg-1"))
    assert (late.replayed, late.session_id) == (True, old)
    assert late.reply is not None
    assert late.reply.text == "hello"
    assert texts(sessions.resolve(CHAT).messages()) == ["later", "ok"]


def test_an_id_with_other_content_is_a_conflict(sessions: SessionManager) -> None:
    """One id names one content, in turns, in appends, and in the session before a reset."""
    say(sessions, CHAT, "hi", id="tg-1")
    with pytest.raises(SessionConflict):
        sessions.begin_turn(CHAT, user("bye", id="tg-1"))
    with pytest.raises(SessionConflict):
        sessions.resolve(CHAT).append(user("bye", id="tg-1"))
    sessions.reset(CHAT)
    with pytest.raises(SessionConflict):
        sessions.begin_turn(CHAT, user("bye", id="tg-1"))
    assert sessions.open_turns() == []


# -- two at once


def test_a_busy_session_can_be_refused_or_waited_for(sessions: SessionManager) -> None:
    """`raise` and a wait that ends are SessionBusy; the message is then not stored. Other sessions are free."""
    with sessions.begin_turn(CHAT, user("one")) as turn:
        with pytest.raises(SessionBusy):
            sessions.begin_turn(CHAT, user("two"), on_busy="raise")
        with pytest.raises(SessionBusy):
            sessions.begin_turn(CHAT, user("two"), timeout=0.01)
        with pytest.raises(SessionBusy):
            sessions.resolve(CHAT).begin_turn(user("two"), on_busy="raise")
        say(sessions, OTHER, "elsewhere")
        turn.finish(assistant("ok"))
    assert texts(sessions.resolve(CHAT).messages()) == ["one", "ok"]


def test_a_stored_message_steers_the_running_turn(place: Place) -> None:
    """With `store` the message is durable at once, and the running turn's inbox and window show it, once."""
    sessions = place.open()
    with sessions.begin_turn(CHAT, user("count to ten")) as turn:
        turn.append(assistant("1"))
        queued = place.open().begin_turn(CHAT, user("stop"), on_busy="store")
        assert queued.queued
        assert queued.ended
        assert queued.state == "queued"
        assert texts(turn.inbox()) == ["stop"]
        assert turn.inbox() == ()
        assert texts(turn.window.messages) == ["count to ten", "1", "stop"]
        turn.finish(assistant("stopped"))
    assert texts(sessions.resolve(CHAT).messages()) == ["count to ten", "1", "stop", "stopped"]


def test_stored_messages_begin_the_next_turn(sessions: SessionManager) -> None:
    """What was stored and not shown waits; a turn without a message of its own takes all of it."""
    with sessions.begin_turn(CHAT, user("one")) as turn:
        for text in ("two", "three"):
            assert sessions.begin_turn(CHAT, user(text), on_busy="store").queued
        turn.finish(assistant("ok"))
        assert turn.waiting == 2
    with sessions.begin_turn(CHAT) as following:
        assert texts(following.messages) == ["two", "three"]
        assert texts(following.window.messages) == ["one", "ok", "two", "three"]
        following.finish(assistant("both"))
        assert following.waiting == 0
    with pytest.raises(SessionConflict):
        sessions.begin_turn(CHAT)


def test_a_message_takes_what_waits_along(sessions: SessionManager) -> None:
    """The next message begins a turn that answers the waiting ones too."""
    with sessions.begin_turn(CHAT, user("one")) as turn:
        sessions.begin_turn(CHAT, user("two"), on_busy="store")
        turn.finish(assistant("ok"))
    with sessions.begin_turn(CHAT, user("three")) as following:
        assert texts(following.messages) == ["two", "three"]
        assert following.message is not None
        assert following.message.text == "three"
        following.finish(assistant("all"))
    with pytest.raises(SessionConflict):
        sessions.begin_turn(CHAT)


def test_a_fenced_off_turn_is_lost_with_its_messages(place: Place) -> None:
    """When the lease ran out and another turn began, the first one's messages come back, and `append` takes them."""
    sessions = place.open()
    slow = sessions.begin_turn(CHAT, user("one"), lease=timedelta(minutes=1))
    place.clock.advance(minutes=2)
    assert [t.alive for t in sessions.open_turns()] == [False]
    fast = place.open().begin_turn(CHAT, user("two"), on_busy="raise")
    with pytest.raises(TurnLost) as lost:
        slow.append(assistant("late"), tool("c1", "?"))
    assert len(lost.value.unstored) == 2
    with pytest.raises(TurnLost):
        slow.renew()
    with pytest.raises(TurnLost) as again:
        slow.finish(assistant("late"))
    fast.finish(assistant("in time"))
    sessions.resolve(CHAT).append(*again.value.unstored)
    assert texts(sessions.resolve(CHAT).messages()) == ["one", "two", "in time", "late"]


def test_signs_of_life_keep_the_lease(place: Place) -> None:
    """Appends and `renew` make it last from then on; an expired lease that nobody took is still the turn's."""
    sessions = place.open(lease=timedelta(minutes=10))
    turn = sessions.begin_turn(CHAT, user("one"))
    for step in (turn.renew, lambda: turn.append(assistant("still here"))):
        place.clock.advance(minutes=9)
        step()
        place.clock.advance(minutes=9)
        with pytest.raises(SessionBusy):
            sessions.begin_turn(CHAT, user("two"), on_busy="raise")
        step()
    place.clock.advance(minutes=11)
    turn.finish(assistant("ok"))
    assert turn.state == "finished"


# -- resets


def test_an_idle_session_is_reset_with_one_notice(place: Place) -> None:
    """The old one ends, linked as the parent; model and person are told once, also when the store is opened again."""
    sessions = place.open(reset_policy=IDLE)
    old = say(sessions, CHAT, "hi")
    place.clock.advance(minutes=59)
    assert say(sessions, CHAT, "still here") == old
    place.clock.advance(minutes=61)
    turn = place.open(reset_policy=IDLE).begin_turn(CHAT, user("anyone?"))
    assert turn.session_id != old
    assert turn.session_is_new
    assert not turn.first_contact
    assert turn.notice is not None
    assert "new conversation" in turn.notice.for_model
    assert turn.notice.for_user is not None
    assert texts(turn.window.messages) == ["anyone?"]
    turn.finish(assistant("here"))
    info = sessions.get(turn.session_id).info()
    assert (info.parent, info.parent_kind, info.reset_reason) == (old, "reset", "idle")
    assert sessions.get(old).info().ended_at == place.clock.now
    following = place.open(reset_policy=IDLE).begin_turn(CHAT, user("again"))
    assert following.notice is None
    following.finish(assistant("ok"))


def test_a_notice_waits_for_the_first_turn(place: Place) -> None:
    """A reset by hand tells the model at the next message, also after a restart; the person knows already."""
    sessions = place.open()
    say(sessions, CHAT, "hi")
    sessions.resolve(CHAT).reset()
    turn = place.open().begin_turn(CHAT, user("again"))
    assert turn.notice is not None
    assert turn.notice.for_user is None
    turn.finish(assistant("ok"))
    assert sessions.begin_turn(CHAT, user("and again")).notice is None


@pytest.mark.parametrize(("carry", "kept"), [("nothing", []), (1, ["c", "d"]), (2, ["a", "b", "c", "d"])])
def test_a_reset_carries_over_turns(place: Place, carry: Any, kept: list[str]) -> None:
    """The new session begins with copies, which say so, count in no usage, and leave the old ones alone."""
    sessions = place.open(reset_policy=ResetPolicy(idle=timedelta(hours=1), carry_over=carry))
    for text, reply in (("a", "b"), ("c", "d")):
        with sessions.begin_turn(CHAT, user(text, id=f"tg-{text}")) as turn:
            turn.finish(assistant(reply, usage=Usage(output_tokens=3)), usage=Usage(input_tokens=5))
    old = turn.session_id
    place.clock.advance(hours=2)
    with sessions.begin_turn(CHAT, user("e")) as turn:
        assert texts(turn.window.messages) == [*kept, "e"]
        turn.finish(assistant("f"))
    copied = sessions.resolve(CHAT).messages()[: len(kept)]
    assert [m.copied_from for m in copied] == [f"{old}~{seq}" for seq in range(5 - len(kept), 5)]
    assert all(m.usage is None for m in copied)
    assert sessions.usage(session_id=turn.session_id) == []
    assert texts(sessions.get(old).messages()) == ["a", "b", "c", "d"]


def test_a_reset_carries_over_the_summary(place: Place) -> None:
    """The old session's summary stands in front of the new one's window."""
    sessions = place.open(reset_policy=ResetPolicy(idle=timedelta(hours=1), carry_over="summary"))
    say(sessions, CHAT, "hi")
    sessions.resolve(CHAT).compact("they met", through_seq=2)
    place.clock.advance(hours=2)
    turn = sessions.begin_turn(CHAT, user("again"))
    assert turn.window.head_count == 1
    assert "they met" in turn.window.messages[0].text
    assert texts(turn.window.messages[1:]) == ["again"]
    turn.finish(assistant("ok"))


def test_a_new_thread_begins_with_what_its_chat_knows(sessions: SessionManager) -> None:
    """A thread in a direct chat is seeded from that chat, as a copy; nothing said there comes back to the chat."""
    chat = say(sessions, CHAT, "hi", "hello")
    thread = Origin("telegram", chat_id="42", user_id="7", thread_id="t1")
    with sessions.begin_turn(thread, user("go on")) as turn:
        assert texts(turn.window.messages) == ["hi", "hello", "go on"]
        turn.finish(assistant("sure"))
    info = sessions.get(turn.session_id).info()
    assert (info.parent, info.parent_kind) == (chat, "thread")
    assert texts(sessions.get(chat).messages()) == ["hi", "hello"]


# -- keys and sessions


@pytest.mark.parametrize(
    "policy",
    [KeyPolicy(identities={"ada": ["telegram:7", "slack:7"]}), KeyPolicy(unified="unified:default")],
    ids=["identities", "unified"],
)
def test_linked_origins_share_one_session(place: Place, policy: KeyPolicy) -> None:
    """One person on two platforms, or all platforms in one: the conversation goes on."""
    sessions = place.open(key_policy=policy)
    slack = Origin("slack", chat_id="D1", user_id="7")
    assert say(sessions, CHAT, "hi") == say(sessions, slack, "me again")
    assert texts(sessions.resolve(slack).messages()) == ["hi", "ok", "me again", "ok"]


def test_looking_makes_nothing(sessions: SessionManager) -> None:
    """`resolve`, `get` and `get_or_create` leave no trace; nor do reads of what is not stored yet."""
    for target in (CHAT, "nobody"):
        with pytest.raises(SessionNotFound):
            sessions.resolve(target)
    with pytest.raises(SessionNotFound):
        sessions.get("nobody")
    handle = sessions.get_or_create(CHAT)
    assert handle.history().messages == ()
    assert handle.messages() == []
    with pytest.raises(SessionNotFound):
        handle.info()
    assert sessions.events() == []
    assert sessions.list(include_empty=True) == []
    assert sessions.stats().sessions == 0


def test_reading_touches_nothing(place: Place) -> None:
    """Looking at a session moves neither its activity nor its version."""
    sessions = place.open()
    session = sessions.get(say(sessions, CHAT, "hi"))
    before = session.info()
    place.clock.advance(days=1)
    sessions.resolve(CHAT).history()
    sessions.get(session.id).messages()
    sessions.get_or_create(CHAT).info()
    assert session.info() == before


def test_two_handles_on_a_new_key_are_one_session(place: Place) -> None:
    """Whoever stores first makes the session; the other's message goes there, in either way of storing."""
    sessions = place.open()
    one, two, three = sessions.get_or_create(CHAT), place.open().get_or_create(CHAT), sessions.get_or_create(CHAT)
    assert one.append(user("a")).seqs == (1,)
    assert two.append(user("b")).seqs == (2,)
    with three.begin_turn(user("c")) as turn:
        turn.finish(assistant("d"))
    assert one.id == two.id == three.id == sessions.resolve(CHAT).id
    assert texts(one.messages()) == ["a", "b", "c", "d"]
    assert one.info().origin == CHAT
    assert len(sessions.list(include_empty=True)) == 1


def test_a_session_made_on_purpose_is_found_by_its_alias(place: Place) -> None:
    """`create` stores at once, under a key or none; a key or an alias that is taken is a conflict that names whose."""
    sessions = place.open()
    made = sessions.create(CHAT, alias="import-7", title="Sums", metadata={"n": 1, "é": [None, True]})
    assert sessions.get("import-7").id == sessions.resolve(CHAT).id == made.id
    info = place.open().get(made.id).info()
    assert (info.title, info.metadata, info.origin) == ("Sums", {"n": 1, "é": [None, True]}, CHAT)
    assert sessions.list() == []
    assert [i.id for i in sessions.list(include_empty=True)] == [made.id]
    for fields in ({"target": CHAT}, {"alias": "import-7"}, {"target": OTHER, "alias": "import-7"}):
        with pytest.raises(SessionConflict) as taken:
            sessions.create(**fields)
        assert taken.value.actual == made.id
    with pytest.raises(SessionNotFound):
        sessions.resolve(OTHER)
    free = sessions.create()
    assert free.info().keys == ()
    say(sessions, CHAT, "hi")
    assert [i.id for i in sessions.list()] == [made.id]


def test_an_old_session_is_resumed(sessions: SessionManager) -> None:
    """Resuming reopens it and ends the one that was left; to resume the current one does nothing."""
    old = say(sessions, CHAT, "hi")
    left = sessions.resolve(CHAT)
    new = sessions.reset(CHAT)
    assert left.info().ended_at is not None
    with pytest.raises(SessionEnded):
        left.append(user("late"))
    with pytest.raises(SessionEnded):
        left.begin_turn(user("late"))
    assert sessions.resume(CHAT, old).id == old
    assert left.info().ended_at is None
    assert new.info().ended_at is not None
    rev, events = left.info().rev, len(sessions.events())
    assert sessions.switch(CHAT, old).id == old
    assert (left.info().rev, len(sessions.events())) == (rev, events)
    assert say(sessions, CHAT, "back") == old
    with pytest.raises(SessionNotFound):
        sessions.resume(CHAT, "nobody")


def test_a_reset_moves_one_key_or_all(sessions: SessionManager) -> None:
    """Resumed on a second device, a session has two keys. `sessions.reset` moves one, `session.reset` all."""
    shared = say(sessions, CHAT, "hi")
    sessions.resume(OTHER, shared)
    session = sessions.get(shared)
    assert len(session.info().keys) == 2
    alone = sessions.reset(CHAT)
    assert sessions.resolve(OTHER).id == shared
    assert session.info().ended_at is None
    assert alone.info().parent == shared
    sessions.resume(CHAT, shared)
    new = session.reset()
    assert {sessions.resolve(CHAT).id, sessions.resolve(OTHER).id} == {new.id}
    assert session.info().ended_at is not None
    with pytest.raises(SessionEnded):
        session.reset()


def test_sessions_are_listed_newest_first(place: Place) -> None:
    """Filters and pages: each session once, ended ones unless refused, empty ones only when asked for."""
    sessions = place.open()
    made: list[str] = []
    for number in range(5):
        made.append(say(sessions, f"chat-{number}", "hi"))
        place.clock.advance(minutes=1)
    empty = sessions.reset("chat-0").id
    newest = made[::-1]
    assert [i.id for i in sessions.list()] == newest
    assert [i.id for i in sessions.list(include_ended=False)] == newest[:-1]
    assert {i.id for i in sessions.list(include_empty=True)} == {*made, empty}
    since = place.clock.now - timedelta(minutes=2)
    assert [i.id for i in sessions.list(active_since=since)] == newest[:2]
    pages: list[str] = []
    while page := sessions.list(limit=2, after=pages[-1] if pages else None):
        assert len(page) <= 2
        pages.extend(i.id for i in page)
    assert pages == newest
    say(sessions, "chat-1", "again")
    assert sessions.list(limit=1)[0].id == made[1]
    with pytest.raises(SessionNotFound):
        sessions.list(after="nobody")


# -- one conversation


def test_a_summary_stands_for_what_it_covers(sessions: SessionManager) -> None:
    """Windows begin with it, the messages stay, a second continues the first, and compare-and-set guards both."""
    session = sessions.get(say(sessions, CHAT, "a", "b"))
    say(sessions, CHAT, "c", "d")
    say(sessions, CHAT, "e", "f")
    first = session.compact("about a", through_seq=2, usage=Usage(output_tokens=9, model="m"))
    window = session.history()
    assert window.head_count == 1
    assert "about a" in window.messages[0].text
    assert texts(window.messages[1:]) == ["c", "d", "e", "f"]
    assert texts(session.messages()) == ["a", "b", "c", "d", "e", "f"]
    with pytest.raises(SessionConflict):
        session.compact("too late", through_seq=4, expected=0)
    second = session.compact("about a and c", through_seq=4, expected=first.id)
    assert second.previous == first.id
    assert texts(session.history().messages[1:]) == ["e", "f"]
    with pytest.raises(SessionConflict):
        session.compact("backwards", through_seq=2)
    assert session.purge(3, 3) == 1
    fallen_back = session.history()
    assert "about a" in fallen_back.messages[0].text
    assert "and c" not in fallen_back.messages[0].text
    assert faults(fallen_back.messages) == []
    [line] = sessions.usage(session_id=session.id)
    assert line.usage.output_tokens == 9


def test_metadata_is_merged(sessions: SessionManager) -> None:
    """Keys are set and, with None, removed; a version that is not the expected one is a conflict."""
    session = sessions.get(say(sessions, CHAT, "hi"))
    session.set_metadata({"a": 1, "b": {"c": [1, 2]}})
    session.set_metadata({"a": None, "d": "x"})
    info = session.info()
    assert info.metadata == {"b": {"c": [1, 2]}, "d": "x"}
    session.set_metadata({"e": 1}, expected_rev=info.rev)
    with pytest.raises(SessionConflict) as conflict:
        session.set_metadata({"e": 2}, expected_rev=info.rev)
    assert (conflict.value.expected, conflict.value.actual) == (info.rev, info.rev + 1)
    assert session.info().metadata["e"] == 1


def test_usage_adds_up_by_day_and_model(place: Place) -> None:
    """What turns and callers report is summed, per model and UTC day."""
    sessions = place.open()
    with sessions.begin_turn(CHAT, user("hi")) as turn:
        turn.finish(assistant("ok"), usage=Usage(input_tokens=10, output_tokens=2, model="m"))
    session = sessions.get(turn.session_id)
    session.record_usage(Usage(input_tokens=1, output_tokens=1, model="m"))
    session.record_usage(Usage(input_tokens=5, model="n"))
    place.clock.advance(days=1)
    session.record_usage(Usage(input_tokens=7, model="m"))
    lines = sessions.usage(session_id=session.id)
    assert [(u.day, u.model, u.calls, u.usage.input_tokens) for u in lines] == [
        ("2026-03-01", "m", 2, 11),
        ("2026-03-01", "n", 1, 5),
        ("2026-03-02", "m", 1, 7),
    ]
    assert len(sessions.usage(since=place.clock.now)) == 1
    total = session.info().usage
    assert total is not None
    assert (total.input_tokens, total.output_tokens) == (23, 3)
    assert sessions.stats().usage.input_tokens == 23


def test_expected_seq_guards_an_append(sessions: SessionManager) -> None:
    """An append after others have written is a conflict, stores nothing, and a retry of a stored one is none."""
    session = sessions.get_or_create(CHAT)
    assert session.append(user("a", id="m1"), expected_seq=0).seqs == (1,)
    with pytest.raises(SessionConflict) as conflict:
        session.append(user("b"), expected_seq=0)
    assert (conflict.value.expected, conflict.value.actual) == (0, 1)
    again = session.append(user("a", id="m1"), expected_seq=0)
    assert (again.seqs, again.fresh) == ((1,), False)
    assert texts(session.messages()) == ["a"]


# -- the collection


def test_open_turns_tell_what_a_crash_left(place: Place) -> None:
    """A turn that nobody ended is listed, alive while its lease lasts; the next turn closes it."""
    sessions = place.open()
    turn = sessions.begin_turn(CHAT, user("hi"))
    [found] = place.open().open_turns()
    assert (found.session_id, found.first_seq, found.alive) == (turn.session_id, 1, True)
    assert found.began_at == place.clock.now
    place.clock.advance(minutes=11)
    assert [t.alive for t in sessions.open_turns()] == [False]
    say(sessions, CHAT, "next")
    assert sessions.open_turns() == []


def test_events_go_on_from_a_cursor(sessions: SessionManager) -> None:
    """Each change once and in order, in pages of any size; by session if asked."""
    first = say(sessions, CHAT, "hi")
    second = say(sessions, OTHER, "hi")
    sessions.get(first).set_metadata({"a": 1})
    sessions.reset(CHAT)
    everything = sessions.events()
    paged: list[palaver.stores.base.Change] = []
    while page := sessions.events(paged[-1].cursor if paged else None, limit=2):
        paged.extend(page)
    assert paged == everything
    assert sessions.events(everything[-1].cursor) == []
    assert [e.kind for e in sessions.events(session_id=first)] == [
        "created",
        "turn_begun",
        "turn_finished",
        "info",
        "ended",
    ]
    assert {e.session_id for e in sessions.events(session_id=second)} == {second}
    say(sessions, OTHER, "more")
    assert {e.session_id for e in sessions.events(everything[-1].cursor)} == {second}


def test_owners_never_meet(place: Place) -> None:
    """Two owners with one key, alias and message id have two sessions, and find nothing of each other's."""
    everyone = place.open()
    ann, bob = everyone.for_owner("ann"), everyone.for_owner("bob")
    turn = ann.begin_turn(CHAT, user("hi", id="tg-1"))
    theirs = turn.session_id
    mine = bob.create(CHAT, alias="a").id
    with bob.begin_turn(CHAT, user("other words", id="tg-1")) as own:
        own.finish(assistant("ok"))
    assert own.session_id == mine != theirs
    ann.create(alias="a")
    assert bob.get("a").id == mine
    assert turn.id is not None
    for attempt in (
        lambda: bob.get(theirs),
        lambda: bob.turn(turn.id or ""),
        lambda: bob.resume(OTHER, theirs),
        lambda: bob.list(after=theirs),
    ):
        with pytest.raises(SessionNotFound):
            attempt()
    turn.finish(assistant("ok"), usage=Usage(input_tokens=3))
    assert [i.id for i in bob.list()] == [mine]
    assert {e.session_id for e in bob.events()} == {mine}
    assert bob.events(session_id=theirs) == []
    assert bob.usage() == bob.usage(session_id=theirs) == []
    assert (bob.stats().sessions, bob.stats().messages, bob.stats().open_turns) == (1, 2, 0)
    assert {i.id for i in everyone.list()} == {mine, theirs}
    assert {i.owner for i in everyone.list()} == {"ann", "bob"}


def test_stats_count_what_is_stored(sessions: SessionManager) -> None:
    """Sessions, live messages and running turns."""
    say(sessions, CHAT, "hi")
    turn = sessions.begin_turn(OTHER, user("hi"))
    stats = sessions.stats()
    assert (stats.sessions, stats.messages, stats.open_turns) == (2, 3, 1)
    turn.rollback()
    stats = sessions.stats()
    assert (stats.messages, stats.open_turns) == (2, 0)


def test_a_closed_manager_refuses(place: Place) -> None:
    """After `close`, which may be called twice, reads and writes are StoreClosed and nothing was written."""
    sessions = place.open()
    session = sessions.get(say(sessions, CHAT, "hi"))
    turn = sessions.begin_turn(OTHER, user("hi"))
    sessions.close()
    sessions.close()
    for attempt in (
        lambda: sessions.begin_turn(CHAT, user("late")),
        lambda: sessions.resolve(CHAT),
        sessions.create,
        sessions.list,
        sessions.stats,
        session.history,
        lambda: session.append(user("late")),
        lambda: turn.append(assistant("late")),
    ):
        with pytest.raises(StoreClosed) as closed:
            attempt()
        assert closed.value.outcome == "not_written"


def test_payloads_share_their_beginning(sessions: SessionManager) -> None:
    """400 turns of two messages at a budget of 50: 4 of 5 consecutive payloads share their whole prefix."""
    shared = 0
    before: list[Any] = []
    for number in range(400):
        turn = sessions.begin_turn(CHAT, user(f"question {number}"), max_messages=50)
        payload = turn.window.render("openai_chat").messages
        assert len(payload) <= 50
        shared += bool(before) and payload[: len(before)] == before
        before = payload
        turn.finish(assistant(f"answer {number}"))
    assert shared >= 320


# -- searching


def test_a_search_finds_what_was_said_anywhere(sessions: SessionManager) -> None:
    """In every session of the owner, as words, phrases and beginnings, with the title and what was found marked."""
    first = say(sessions, CHAT, "Book the train to Rome", "Booked: two tickets")
    sessions.get(first).rename("Trip")
    second = say(sessions, OTHER, "Is the train late?")
    assert {hit.session_id for hit in sessions.search("train")} == {first, second}
    [hit] = sessions.search('"train to" rom*')
    assert (hit.session_id, hit.seq, hit.role, hit.title) == (first, 1, "user", "Trip")
    assert [hit.snippet[begin:end] for begin, end in hit.highlights] == ["train to", "Rome"]
    assert [hit.seq for hit in sessions.search("train", platform="slack")] == [1]
    assert [hit.seq for hit in sessions.search("tickets", role="assistant", session_id=first)] == [2]
    assert sessions.search("tickets", role="user") == []
    sessions.get(second).tag("late")
    assert [hit.session_id for hit in sessions.search("train", tag="late")] == [second]
    assert sessions.search("train", agent="nobody") == sessions.search("train", account="nobody") == []
    page = sessions.search("train", limit=1)
    assert page.next is not None
    assert {hit.session_id for hit in [*page, *sessions.search("train", cursor=page.next)]} == {first, second}
    assert page.behind == 0


def test_a_hit_has_its_neighbours(sessions: SessionManager) -> None:
    """So many on each side as are asked for and are there, the message itself among them, and no undone ones."""
    session = sessions.create()
    session.append(*(user(f"{name} plum" if name == "c" else name) for name in "abcde"))
    assert [hit.messages for hit in sessions.search("plum")] == [()]
    assert [texts(hit.messages) for hit in sessions.search("plum", around=1)] == [["b", "c plum", "d"]]
    assert [texts(hit.messages) for hit in sessions.search("plum", around=9)] == [["a", "b", "c plum", "d", "e"]]
    session.delete_message(2)
    assert [texts(hit.messages) for hit in sessions.search("plum", around=1)] == [["a", "c plum", "d"]]


def test_owners_do_not_find_each_others_messages(sessions: SessionManager) -> None:
    """Neither by words nor by the session's id; the operator finds all, and whose they are."""
    ann, bob = sessions.for_owner("ann"), sessions.for_owner("bob")
    hers = say(ann, CHAT, "a secret plum")
    assert list(bob.search("plum")) == []
    with pytest.raises(SessionNotFound):
        bob.search("plum", session_id=hers)
    assert [hit.owner for hit in sessions.search("plum")] == ["ann"]
    assert len(ann.search("plum", session_id=hers, around=3)[0].messages) == 2


def test_what_is_gone_is_not_found(sessions: SessionManager) -> None:
    """Undone, edited and purged; a fork's copies are found once, where they were said."""
    session = sessions.create(alias="fruit")
    session.append(user("plum one"), assistant("pear"), user("plum two"))
    session.fork()
    assert [hit.seq for hit in sessions.search("plum", session_id="fruit")] == [3, 1]
    assert len(sessions.search("plum")) == 2
    session.rewind()
    assert [hit.seq for hit in sessions.search("plum")] == [1]
    session.redo()
    session.edit(1, "an apple")
    assert [hit.seq for hit in sessions.search("plum")] == [3]
    session.purge(1, 3)
    assert sessions.search("plum") == sessions.search("apple") == []


def test_the_index_can_be_built_anew(sessions: SessionManager) -> None:
    """On demand; what was found before is found after."""
    say(sessions, CHAT, "plum")
    before = sessions.search("plum")
    assert sessions.index(anew=True) == 0
    assert sessions.search("plum") == before != []


def test_searches_that_cannot_be(sessions: SessionManager) -> None:
    """Whatever text there is, it is no error; a page without room, a time without a zone and a strange cursor are."""
    assert sessions.search('"(') == []
    for wrong in ({"limit": 0}, {"around": -1}, {"since": datetime(2026, 1, 1)}):  # noqa: DTZ001 - that is the fault
        with pytest.raises(ValueError, match=next(iter(wrong))):
            sessions.search("x", **cast("Any", wrong))
    with pytest.raises(palaver.CursorExpired):
        sessions.search("x", cursor="strange")
