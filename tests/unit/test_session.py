"""The verbs of one conversation, in detail; the stories of tests/conformance/test_managers.py tell the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import palaver
from palaver import (
    InvalidMessage,
    Origin,
    Session,
    SessionConflict,
    SessionEnded,
    SessionManager,
    SessionNotFound,
    ToolCall,
    Usage,
    assistant,
    system,
    tool,
    user,
)
from tests.properties.test_window import faults

CHAT = Origin("telegram", chat_id="42", user_id="7")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """What the manager reads the time from."""
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Iterator[SessionManager]:
    """A manager in memory."""
    with palaver.open("memory://", clock=clock) as manager:
        yield manager


@pytest.fixture
def session(sessions: SessionManager) -> Session:
    """A conversation: two questions with answers, the second answer with a tool call."""
    made = sessions.get_or_create(CHAT)
    made.append(user("a"), assistant("b"), user("c"))
    made.append(assistant(None, ToolCall(name="f", call_id="c1", arguments="{}")), tool("c1", "4"), assistant("d"))
    return made


def texts(messages: Any) -> list[str]:
    """What the messages say."""
    return [message.text for message in messages]


# -- handles


def test_a_handle_keeps_the_id_that_it_said(sessions: SessionManager) -> None:
    """The id of a session that is not stored yet is the one it then has, however it is stored."""
    appended, begun = sessions.get_or_create("a"), sessions.get_or_create("b")
    promised = [appended.id, begun.id]
    appended.append(user("hi"))
    begun.begin_turn(user("hi")).finish()
    assert [sessions.resolve("a").id, sessions.resolve("b").id] == promised


def test_a_handle_remembers_where_its_session_is(sessions: SessionManager) -> None:
    """A turn that begins through a new handle knows the origin, and stores it with the session."""
    with sessions.get_or_create(CHAT).begin_turn(user("hi")) as turn:
        assert turn.origin == CHAT
        assert "telegram" in turn.context
        turn.finish(assistant("ok"))
    assert sessions.resolve(CHAT).info().origin == CHAT


VERBS: list[Callable[[Session], object]] = [
    lambda session: session.set_metadata({"a": 1}),
    lambda session: session.record_usage(Usage(input_tokens=1)),
    lambda session: session.hold("job"),
    lambda session: session.compact("hello", through_seq=1),
    lambda session: session.purge(1, 1),
    lambda session: session.reset(),
]
VERB_IDS = ["set_metadata", "record_usage", "hold", "compact", "purge", "reset"]


@pytest.mark.parametrize("verb", VERBS, ids=VERB_IDS)
def test_a_handle_of_an_earlier_moment_finds_the_session(
    sessions: SessionManager, verb: Callable[[Session], object]
) -> None:
    """A handle taken before another stored the session works on it with every verb, not only with those that read."""
    early = sessions.get_or_create(CHAT)
    sessions.get_or_create(CHAT).append(user("hi"))
    verb(early)
    assert early.id in {info.id for info in sessions.list()}


@pytest.mark.parametrize("verb", VERBS, ids=VERB_IDS)
def test_verbs_of_a_session_that_is_not_stored_find_nothing(
    sessions: SessionManager, verb: Callable[[Session], object]
) -> None:
    """What changes a session needs one: SessionNotFound, and none is made on the way."""
    with pytest.raises(SessionNotFound):
        verb(sessions.get_or_create(CHAT))
    assert sessions.events() == []


def test_handles_are_equal_by_session_and_store(sessions: SessionManager, session: Session) -> None:
    """Two handles of one session are equal and hash alike; the id is in the repr."""
    twin = sessions.get(session.id)
    assert twin == session
    assert len({twin, session}) == 1
    assert session.id in repr(twin)
    with palaver.open("memory://") as elsewhere:
        assert elsewhere.create() != session


# -- messages


def test_messages_come_in_pages(session: Session) -> None:
    """Pages forwards and backwards, by position; bounds are exclusive."""
    assert [m.seq for m in session.messages(limit=2)] == [1, 2]
    assert [m.seq for m in session.messages(after=2, limit=2)] == [3, 4]
    assert [m.seq for m in session.messages(limit=2, newest=True)] == [5, 6]
    assert [m.seq for m in session.messages(before=5, limit=2, newest=True)] == [3, 4]
    assert [m.seq for m in session.messages(after=2, before=4)] == [3]
    assert session.messages(after=6) == []


def test_stored_messages_have_a_time_and_an_id(sessions: SessionManager, clock: Clock) -> None:
    """A message gets the clock's time unless it brings its own; times are aware UTC."""
    own = START - timedelta(days=400)
    session = sessions.create()
    session.append(user("now"), user("then", created_at=own, id="m1"))
    now, then = session.messages()
    assert (now.created_at, then.created_at) == (clock.now, own)
    assert then.id == "m1"
    assert session.info().last_active_at == clock.now


def test_an_append_is_all_or_nothing(session: Session) -> None:
    """One message of several that conflicts, or cannot be stored, keeps all of them out."""
    session.append(user("e", id="m1"))
    with pytest.raises(SessionConflict):
        session.append(user("f"), user("other", id="m1"))
    with pytest.raises(InvalidMessage):
        session.append(user("f"), user("\ud83d"))
    with pytest.raises(InvalidMessage):
        session.append(user("f"), user("x", metadata={"a": float("nan")}))
    assert session.messages()[-1].text == "e"
    assert session.info().last_seq == 7


def test_the_history_keeps_to_its_budget(session: Session) -> None:
    """Budgets by messages and turns cut at the front, and instructions stay in front."""
    assert texts(session.history(max_turns=1).messages)[0] == "c"
    assert len(session.history(max_messages=4).messages) == 4
    instructed = session.reset()
    instructed.append(system("Be brief."), user("a"), assistant("b"), user("c"), assistant("d"))
    window = instructed.history(max_messages=3)
    assert texts(window.messages) == ["Be brief.", "c", "d"]
    assert window.head_count == 1


@pytest.mark.parametrize("budget", [{"max_messages": 0}, {"max_tokens": -1}, {"max_turns": 0}])
def test_a_budget_of_nothing_is_refused(sessions: SessionManager, session: Session, budget: dict[str, int]) -> None:
    """A window holds at least one message: less is a ValueError, and no turn has begun."""
    with pytest.raises(ValueError):
        session.history(**budget)
    with pytest.raises(ValueError):
        sessions.begin_turn(CHAT, user("hi"), **budget)  # type: ignore[arg-type]
    assert sessions.open_turns() == []
    assert session.messages()[-1].text == "d"


# -- summaries


@pytest.mark.parametrize("text", ["", "  \n", "\ud800"])
def test_a_summary_says_something(session: Session, text: str) -> None:
    """An empty summary, or one that cannot be stored, would lose the history: it is refused."""
    with pytest.raises(InvalidMessage):
        session.compact(text, through_seq=2)
    assert session.history().head_count == 0


@pytest.mark.parametrize("seq", [4, 7, 100, -1])
def test_a_summary_ends_where_an_exchange_does(session: Session, seq: int) -> None:
    """It cannot end inside an exchange, nor beyond what is stored; the error says where it could."""
    with pytest.raises(SessionConflict):
        session.compact("so far", through_seq=seq)
    assert session.history().head_count == 0


def test_a_refused_summary_within_an_exchange_names_both_ends(session: Session) -> None:
    """The message tells the two positions at which the summary may end instead, and they work."""
    with pytest.raises(SessionConflict, match=r"end the summary at 3 or 5") as conflict:
        session.compact("so far", through_seq=4)
    assert conflict.value.actual == (4, 5)
    session.compact("so far", through_seq=3)
    assert faults(session.history().messages) == []
    session.compact("further", through_seq=5)
    assert faults(session.history().messages) == []


def test_a_summary_leaves_the_running_turn_alone(sessions: SessionManager, session: Session) -> None:
    """It may end before the running turn, not inside it; the turn's own messages stay in the window."""
    turn = sessions.begin_turn(CHAT, user("e"))
    with pytest.raises(SessionConflict):
        session.compact("too far", through_seq=7)
    session.compact("so far", through_seq=6)
    turn.finish(assistant("f"))
    assert texts(session.history().messages[1:]) == ["e", "f"]


def test_a_summary_may_cover_nothing(session: Session) -> None:
    """Through 0 it stands in front of everything: what an import or a carry-over brings along."""
    session.compact("they had met before", through_seq=0)
    window = session.history()
    assert "met before" in window.messages[0].text
    assert len(window.messages) == 7


def test_a_summary_of_everything_keeps_the_newest_question(session: Session) -> None:
    """With all of it covered the person's newest message is still in the window: models refuse one without."""
    session.compact("all of it", through_seq=6)
    messages = session.history().messages
    assert "all of it" in messages[0].text
    assert "user" in {m.role for m in messages}
    assert faults(messages) == []


def test_a_summary_is_paid_for_even_if_it_came_too_late(session: Session) -> None:
    """Usage of a summary that lost the race is recorded: the call was made."""
    session.compact("first", through_seq=2)
    with pytest.raises(SessionConflict):
        session.compact("second", through_seq=3, expected=0, usage=Usage(output_tokens=4))
    usage = session.info().usage
    assert usage is not None
    assert usage.output_tokens == 4


def test_a_cut_into_the_only_summary_brings_the_messages_back(session: Session) -> None:
    """A stale summary with none before it: the window shows the messages again, without the purged one."""
    session.compact("so far", through_seq=3)
    assert session.purge(1, 1) == 1
    assert texts(session.history().messages) == ["c", "", "4", "d"]
    assert faults(session.history().messages) == []


# -- the rest


def test_a_purge_removes_for_good(session: Session) -> None:
    """The positions stay used, the window is legal without them, the preview quotes them no more."""
    assert session.info().preview == "a"
    assert session.purge(5, 6) == 2
    assert session.purge(5, 6) == 0
    assert [m.seq for m in session.messages(live=False)] == [1, 2, 3, 4]
    assert faults(session.history().messages) == []
    assert session.append(user("e")).seqs == (7,)
    session.purge(1, 1)
    assert session.info().preview != "a"
    with pytest.raises(SessionConflict):
        session.purge(1, 2, expected_rev=0)
    for first, last in ((0, 1), (8, 9), (3, 2)):
        with pytest.raises(SessionConflict):
            session.purge(first, last)


def test_metadata_is_json(session: Session) -> None:
    """What JSON cannot say is refused, names the place, and changes nothing."""
    for bad in ({"a": float("inf")}, {"a": {1: 2}}, {"a": object()}, {"a": "\ud800"}):
        with pytest.raises(InvalidMessage, match="metadata"):
            session.set_metadata(bad)
    session.set_metadata({})
    assert session.info().metadata == {}


def test_metadata_and_usage_move_the_version_but_not_the_activity(session: Session, clock: Clock) -> None:
    """Only messages make a session active; the version tells a reader that something changed."""
    before = session.info()
    clock.now += timedelta(hours=1)
    session.set_metadata({"a": 1})
    session.record_usage(Usage(input_tokens=1))
    session.hold("job")
    after = session.info()
    assert after.last_active_at == before.last_active_at
    assert after.rev == before.rev + 3
    assert after.etag != before.etag


def test_a_hold_has_a_name_and_an_end(session: Session, clock: Clock) -> None:
    """Holds are listed until they are released or over; one without a name is refused."""
    session.hold("job")
    session.hold("other", timedelta(minutes=1))
    assert [h.name for h in session.info().holds] == ["job", "other"]
    clock.now += timedelta(minutes=2)
    assert [(h.name, h.until) for h in session.info().holds] == [("job", START + timedelta(hours=1))]
    session.hold("job", None)
    session.hold("never taken", None)
    assert session.info().holds == ()
    with pytest.raises(InvalidMessage):
        session.hold("")


def test_an_ended_session_is_read_and_not_written(sessions: SessionManager, session: Session) -> None:
    """Reads, metadata and usage go on; messages, summaries and resets are SessionEnded."""
    new = session.reset()
    assert session.info().end_reason == "reset"
    assert len(session.history().messages) == 6
    session.set_metadata({"kept": True})
    session.record_usage(Usage(input_tokens=1))
    for write in (
        lambda: session.append(user("late")),
        lambda: session.begin_turn(user("late")),
        lambda: session.compact("late", through_seq=2),
        session.reset,
    ):
        with pytest.raises(SessionEnded):
            write()
    assert sessions.resolve(CHAT) == new


def test_a_reset_takes_the_running_turn_with_it(sessions: SessionManager, session: Session) -> None:
    """The turn that runs in a session that ends is interrupted, and the new session is free at once."""
    turn = sessions.begin_turn(CHAT, user("e"))
    session.reset()
    assert sessions.open_turns() == []
    with pytest.raises(palaver.TurnLost) as lost:
        turn.finish(assistant("f"))
    assert texts(lost.value.unstored) == ["f"]
    with sessions.begin_turn(CHAT, user("g"), on_busy="raise") as fresh:
        fresh.finish(assistant("h"))


def test_a_session_without_a_key_is_not_reset(sessions: SessionManager) -> None:
    """There is nothing that could point at the new one: a conflict that says so."""
    session = sessions.create()
    session.append(user("hi"))
    with pytest.raises(SessionConflict, match="key"):
        session.reset()


def test_a_turn_in_a_session_needs_no_key(sessions: SessionManager) -> None:
    """A handle begins turns in its own session, also where no key points at it; no policy resets it."""
    session = sessions.create(alias="batch")
    with session.begin_turn(user("hi")) as turn:
        assert turn.session_id == session.id
        assert turn.session_is_new
        turn.finish(assistant("ok"))
    assert texts(sessions.get("batch").messages()) == ["hi", "ok"]
