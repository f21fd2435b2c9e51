"""The verbs of the collection, in detail: resets, keys, sessions made on purpose, owners, settings."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import (
    CursorExpired,
    InvalidKey,
    InvalidMessage,
    Message,
    Origin,
    ResetPolicy,
    Session,
    SessionConflict,
    SessionManager,
    SessionNotFound,
    Settings,
    StoreClosed,
    assistant,
    user,
)
from palaver.stores.memory import MemoryStore

CHAT = Origin("telegram", chat_id="42", user_id="7")
HOUR = timedelta(hours=1)
IDLE = ResetPolicy(idle=HOUR)


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


class Place:
    """A store in memory, a clock, and managers on them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore()

    def open(self, **fields: Any) -> SessionManager:
        """Another manager on the same store."""
        return palaver.open(self.store, clock=self.clock, **fields)


@pytest.fixture
def place() -> Iterator[Place]:
    """An empty place."""
    made = Place()
    yield made
    made.store.close()


@pytest.fixture
def sessions(place: Place) -> SessionManager:
    """A manager with the settings that nobody changed."""
    return place.open()


def say(sessions: SessionManager, target: Origin | str, text: str = "hi", **fields: Any) -> str:
    """One whole turn; gives the id of its session."""
    with sessions.begin_turn(target, user(text, **fields)) as turn:
        turn.finish(assistant("ok"))
    return turn.session_id


def texts(messages: Any) -> list[str]:
    """What the messages say."""
    return [message.text for message in messages]


# -- resets


def test_nothing_resets_unless_asked(place: Place) -> None:
    """With the default policy a conversation goes on after a year."""
    sessions = place.open()
    old = say(sessions, CHAT)
    place.clock.advance(days=365)
    turn = sessions.begin_turn(CHAT, user("again"))
    assert (turn.session_id, turn.notice, turn.session_is_new) == (old, None, False)
    turn.finish()


def test_a_daily_reset_happens_at_its_hour(place: Place) -> None:
    """The first message after the hour begins a new session, in the policy's time zone; a second one does not."""
    sessions = place.open(reset_policy=ResetPolicy(daily_at=4, timezone="Europe/Berlin"))
    place.clock.now = datetime(2026, 3, 2, 2, 59, tzinfo=UTC)  # 03:59 in Berlin
    old = say(sessions, CHAT)
    place.clock.advance(minutes=2)
    turn = sessions.begin_turn(CHAT, user("good morning"))
    assert turn.session_id != old
    assert turn.notice is not None
    assert "daily" in turn.notice.for_model
    turn.finish()
    assert sessions.get(turn.session_id).info().reset_reason == "daily"
    place.clock.advance(hours=20)
    assert say(sessions, CHAT) == turn.session_id


def test_a_platform_has_its_own_policy(place: Place) -> None:
    """An override replaces the whole policy for its platform: here it never resets."""
    sessions = place.open(reset_policy=ResetPolicy(idle=HOUR, platforms={"slack": ResetPolicy()}))
    slack = Origin("slack", chat_id="D1", user_id="7")
    before = say(sessions, CHAT), say(sessions, slack)
    place.clock.advance(hours=2)
    after = say(sessions, CHAT), say(sessions, slack)
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)


def test_nobody_is_told_on_a_platform_that_is_excluded(place: Place) -> None:
    """Where nobody reads messages only the model hears of the reset."""
    sessions = place.open(reset_policy=ResetPolicy(idle=HOUR, notify_exclude_platforms=("cron",)))
    cron = Origin("cron", chat_id="nightly")
    say(sessions, cron)
    place.clock.advance(hours=2)
    notice = sessions.begin_turn(cron, user("again")).notice
    assert notice is not None
    assert notice.for_user is None
    assert notice.for_model


def test_a_hold_keeps_a_session_until_it_is_over(place: Place) -> None:
    """Work in the background keeps its conversation; released or run out, the reset happens at the next message."""
    sessions = place.open(reset_policy=IDLE)
    old = say(sessions, CHAT)
    sessions.get(old).hold("job", timedelta(hours=3))
    place.clock.advance(hours=2)
    assert say(sessions, CHAT) == old
    place.clock.advance(hours=2)
    new = say(sessions, CHAT)
    assert new != old
    sessions.get(new).hold("job", timedelta(days=9))
    sessions.get(new).hold("job", None)
    place.clock.advance(hours=2)
    assert say(sessions, CHAT) not in {new, old}


def test_a_running_turn_keeps_its_session(place: Place) -> None:
    """A turn may run longer than the idle time: while its lease holds, the session is busy and is not reset."""
    sessions = place.open(reset_policy=IDLE, lease=timedelta(hours=5))
    turn = sessions.begin_turn(CHAT, user("long"))
    place.clock.advance(hours=2)
    assert sessions.begin_turn(CHAT, user("more"), on_busy="store").session_id == turn.session_id
    turn.finish(assistant("done"))
    assert turn.state == "finished"


def test_appends_and_queued_messages_keep_a_session_active(place: Place) -> None:
    """Every stored message counts as activity, not only those that begin a turn."""
    sessions = place.open(reset_policy=IDLE)
    old = say(sessions, CHAT)
    place.clock.advance(minutes=50)
    sessions.get(old).append(assistant("a reminder", flags=("delivery",)))
    place.clock.advance(minutes=50)
    assert say(sessions, CHAT) == old


def test_a_session_that_was_resumed_stays(place: Place) -> None:
    """Who resumes an old conversation wants it: the next message goes there, however long it was idle."""
    sessions = place.open(reset_policy=IDLE)
    old = say(sessions, CHAT)
    place.clock.advance(hours=2)
    say(sessions, CHAT)
    sessions.resume(CHAT, old)
    with sessions.begin_turn(CHAT, user("where were we?")) as turn:
        assert turn.session_id == old
        assert turn.notice is None
        turn.finish(assistant("here"))


def test_a_turn_without_a_message_resets_nothing(place: Place) -> None:
    """Asking whether anything waits leaves the session as it is when nothing does."""
    sessions = place.open(reset_policy=IDLE)
    old = say(sessions, CHAT)
    place.clock.advance(hours=2)
    before = sessions.get(old).info()
    with pytest.raises(SessionConflict):
        sessions.begin_turn(CHAT)
    assert sessions.resolve(CHAT).id == old
    assert sessions.get(old).info() == before


@pytest.mark.parametrize("message", [None, user("three")], ids=["alone", "with the next message"])
def test_messages_that_wait_are_answered_in_their_session(place: Place, message: Message | None) -> None:
    """What was stored while a turn ran, and died, is answered before any reset: the new session would not know it."""
    sessions = place.open(reset_policy=IDLE)
    dying = sessions.begin_turn(CHAT, user("one"))
    sessions.begin_turn(CHAT, user("two"), on_busy="store")
    place.clock.advance(hours=2)
    with sessions.begin_turn(CHAT, message) as turn:
        assert turn.session_id == dying.session_id
        assert texts(turn.messages)[0] == "two"
        turn.finish(assistant("ok"))


def test_a_redelivery_resets_nothing_even_when_the_answer_is_older(place: Place) -> None:
    """A message that the session before has answered is replayed although the current one is idle, and stays so."""
    sessions = place.open(reset_policy=IDLE)
    first = say(sessions, CHAT, id="tg-1")
    place.clock.advance(hours=2)
    second = say(sessions, CHAT, id="tg-2")
    place.clock.advance(hours=2)
    late = sessions.begin_turn(CHAT, user("hi", id="tg-1"))
    assert (late.replayed, late.session_id) == (True, first)
    assert sessions.resolve(CHAT).id == second
    assert sessions.get(second).info().ended_at is None


def test_a_redelivery_of_an_interrupted_turn_resets_nothing(place: Place) -> None:
    """It goes on in its session, however long ago it was interrupted."""
    sessions = place.open(reset_policy=IDLE)
    turn = sessions.begin_turn(CHAT, user("hi", id="tg-1"))
    turn.fail()
    place.clock.advance(hours=2)
    again = sessions.begin_turn(CHAT, user("hi", id="tg-1"))
    assert (again.taken_over, again.session_id) == (True, turn.session_id)
    again.finish(assistant("ok"))


def test_a_notice_is_not_lost_with_the_turn_that_had_it(place: Place) -> None:
    """When that turn was interrupted, whoever takes it over gets the notice: its model was not told yet."""
    sessions = place.open(reset_policy=IDLE)
    say(sessions, CHAT)
    place.clock.advance(hours=2)
    turn = sessions.begin_turn(CHAT, user("again", id="tg-2"))
    turn.fail("crashed")
    again = sessions.begin_turn(CHAT, user("again", id="tg-2"))
    assert again.taken_over
    assert again.notice == turn.notice is not None
    again.finish()


def test_a_reset_of_a_shared_session_by_policy_moves_only_the_key_that_wrote(place: Place) -> None:
    """Two devices in one session: the one that comes back after the idle time begins anew, alone."""
    sessions = place.open(reset_policy=IDLE)
    old = say(sessions, CHAT)
    sessions.resume("tablet", old)
    place.clock.advance(hours=2)
    new = say(sessions, CHAT)
    assert new != old
    assert sessions.resolve("tablet").id == old
    assert sessions.get(old).info().ended_at is None


def test_two_messages_at_once_reset_once(place: Place) -> None:
    """Threads that find the session idle at the same moment agree on one new session, and lose no message."""
    sessions = place.open(reset_policy=IDLE)
    old = say(sessions, CHAT)
    place.clock.advance(hours=2)
    found: list[str] = []
    threads = [threading.Thread(target=lambda n=n: found.append(say(sessions, CHAT, f"m{n}"))) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 6
    [new] = set(found)
    assert new != old
    stored = texts(sessions.get(new).messages())
    assert sorted(t for t in stored if t != "ok") == [f"m{n}" for n in range(6)]
    assert len(sessions.list(include_empty=True)) == 2


# -- threads


THREAD = Origin("telegram", chat_id="42", user_id="7", thread_id="t1")


def test_a_thread_is_seeded_once(sessions: SessionManager) -> None:
    """Only its first message copies from the chat; what the chat says later stays there. Copies point at the source."""
    chat = say(sessions, CHAT, "in the chat")
    thread = say(sessions, THREAD, "in the thread")
    say(sessions, CHAT, "later in the chat")
    say(sessions, THREAD, "more")
    messages = sessions.get(thread).messages()
    assert texts(messages) == ["in the chat", "ok", "in the thread", "ok", "more", "ok"]
    assert [m.copied_from for m in messages[:3]] == [f"{chat}~1", f"{chat}~2", None]


def test_a_seeded_thread_is_a_first_contact(sessions: SessionManager) -> None:
    """Nothing ever came under the thread's key before, whatever was copied into its session."""
    say(sessions, CHAT)
    assert sessions.begin_turn(THREAD, user("hi")).first_contact


@pytest.mark.parametrize(
    ("origin", "thread"),
    [
        (
            Origin("telegram", chat_type="group", chat_id="g", user_id="7"),
            Origin("telegram", chat_type="thread", chat_id="g", user_id="7", thread_id="t"),
        ),
        (
            Origin("telegram", chat_type="group", chat_id="g", user_id="7"),
            Origin("telegram", chat_type="group", chat_id="g", user_id="7", thread_id="t"),
        ),
        (Origin("telegram", chat_id="1", user_id="7"), Origin("telegram", chat_id="2", user_id="7", thread_id="t")),
    ],
    ids=["thread of a group", "topic of a group", "another chat"],
)
def test_only_direct_chats_seed_their_threads(sessions: SessionManager, origin: Origin, thread: Origin) -> None:
    """A group's thread begins empty, as does one of a chat that knows nothing."""
    say(sessions, origin)
    with sessions.begin_turn(thread, user("hi")) as turn:
        assert texts(turn.window.messages) == ["hi"]
        turn.finish()
    assert sessions.resolve(thread).info().parent is None


def test_seeding_can_be_switched_off(place: Place) -> None:
    """With `seed_threads=False` a new thread begins empty."""
    sessions = place.open(seed_threads=False)
    say(sessions, CHAT)
    with sessions.begin_turn(THREAD, user("hi")) as turn:
        assert texts(turn.window.messages) == ["hi"]
        turn.finish()


# -- sessions made on purpose


def test_two_sessions_of_an_owner_have_two_titles(sessions: SessionManager) -> None:
    """A title that is taken is a conflict that names the session, as the docstring of `create` says."""
    made = sessions.create(title="Sums")
    with pytest.raises(SessionConflict) as taken:
        sessions.create(title="Sums")
    assert taken.value.actual == made.id
    assert len(sessions.list(include_empty=True)) == 1
    sessions.for_owner("ann").create(title="Sums")


def test_a_first_turn_in_a_session_made_on_purpose_is_the_first_contact(sessions: SessionManager) -> None:
    """Nothing ever came under the key before: making the session beforehand is not a contact."""
    sessions.create(CHAT)
    turn = sessions.begin_turn(CHAT, user("hi"))
    assert turn.session_is_new
    assert turn.first_contact
    turn.finish()
    assert not sessions.begin_turn(CHAT, user("again")).first_contact


@pytest.mark.parametrize("metadata", [{"a": float("nan")}, {"a": {1: 2}}, {"a": "\ud800"}])
def test_metadata_that_is_no_json_makes_no_session(sessions: SessionManager, metadata: dict[str, Any]) -> None:
    """It is refused at the door, and nothing was made."""
    with pytest.raises(InvalidMessage):
        sessions.create(CHAT, metadata=metadata)
    assert sessions.list(include_empty=True) == []


@pytest.mark.parametrize("key", ["", "a\x00b", "\ud800"])
def test_a_key_that_cannot_be_used_is_refused(sessions: SessionManager, key: str) -> None:
    """Every verb that takes a key says InvalidKey, and nothing was made."""
    for verb in (
        lambda: sessions.begin_turn(key, user("hi")),
        lambda: sessions.resolve(key),
        lambda: sessions.get_or_create(key),
        lambda: sessions.create(key),
        lambda: sessions.reset(key),
    ):
        with pytest.raises(InvalidKey):
            verb()
    assert sessions.events() == []


def test_a_key_that_points_nowhere_can_be_reset(sessions: SessionManager) -> None:
    """A reset of a new key makes its first session, at once, with nothing to say about it."""
    made = sessions.reset(CHAT)
    assert sessions.resolve(CHAT) == made
    with sessions.begin_turn(CHAT, user("hi")) as turn:
        assert turn.session_id == made.id
        assert turn.notice is None
        turn.finish()
    assert made.info().parent is None


def test_a_reset_of_an_empty_session_has_nothing_to_say(sessions: SessionManager) -> None:
    """Where nothing was lost there is no notice."""
    sessions.create(CHAT)
    sessions.reset(CHAT)
    assert sessions.begin_turn(CHAT, user("hi")).notice is None


def test_many_handles_at_once_make_one_session(sessions: SessionManager) -> None:
    """Eight threads that each got a handle on the same new key store into one session."""
    handles = [sessions.get_or_create(CHAT) for _ in range(8)]

    def store(number: int, handle: Session) -> None:
        handle.append(user(f"m{number}"))

    threads = [threading.Thread(target=store, args=pair) for pair in enumerate(handles)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({handle.id for handle in handles}) == 1
    assert sorted(texts(sessions.resolve(CHAT).messages())) == [f"m{n}" for n in range(8)]


# -- the collection


@pytest.mark.parametrize("limit", [sys.maxsize, 10**30])
def test_any_number_stands_for_no_limit(sessions: SessionManager, limit: int) -> None:
    """A limit may be larger than any store counts."""
    session = sessions.get(say(sessions, CHAT))
    count = len(session.messages())
    assert count
    assert [info.id for info in sessions.list(limit=limit)] == [session.id]
    assert sessions.events(limit=limit) == sessions.events()
    assert len(session.messages(limit=limit, before=limit)) == len(session.messages(limit=limit, newest=True)) == count
    assert session.messages(after=limit) == []
    assert session.history(max_messages=limit).messages == session.history().messages
    assert session.history(max_tokens=limit, max_turns=limit).messages == session.history().messages


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_holds_something(sessions: SessionManager, limit: int) -> None:
    """A limit below one is a ValueError: an empty page means that there is no more."""
    with pytest.raises(ValueError, match="limit"):
        sessions.list(limit=limit)
    with pytest.raises(ValueError, match="limit"):
        sessions.events(limit=limit)
    session = sessions.get(say(sessions, CHAT))
    with pytest.raises(ValueError, match="limit"):
        session.messages(limit=limit)


def test_a_cursor_of_no_event_is_refused(sessions: SessionManager) -> None:
    """What is no cursor of this store is CursorExpired, never an empty answer."""
    say(sessions, CHAT)
    for cursor in ("", "nonsense", "-1", "0x1", " 1"):
        with pytest.raises(CursorExpired):
            sessions.events(cursor)


def test_events_say_what_happened(sessions: SessionManager) -> None:
    """One content-free line per operation: what kind, which version, which positions."""
    session_id = say(sessions, CHAT)
    sessions.get(session_id).append(user("b"), user("c"))
    begun, finished, appended = [e for e in sessions.events() if e.kind != "created"]
    assert (begun.kind, begun.from_seq, begun.through_seq) == ("turn_begun", 1, 1)
    assert (finished.kind, finished.from_seq, finished.through_seq) == ("turn_finished", 2, 2)
    assert (appended.kind, appended.from_seq, appended.through_seq) == ("appended", 3, 4)


def test_a_scope_is_not_left(sessions: SessionManager) -> None:
    """A manager of one owner gives no manager of another."""
    ann = sessions.for_owner("ann")
    assert ann.owner == "ann"
    assert ann.for_owner("ann").owner == "ann"
    with pytest.raises(ValueError):
        ann.for_owner("bob")
    with pytest.raises(ValueError):
        sessions.for_owner("")


def test_a_scope_knows_nothing_of_foreign_sessions(sessions: SessionManager) -> None:
    """Every verb of a foreign session is SessionNotFound through a handle made for another owner's id."""
    ann, bob = sessions.for_owner("ann"), sessions.for_owner("bob")
    theirs = ann.get_or_create(CHAT)
    theirs.append(user("secret"), assistant("yes"))
    ann.create(alias="theirs")
    foreign = Session(bob._core, theirs.id)
    for verb in (
        foreign.info,
        foreign.history,
        foreign.messages,
        foreign.reset,
        lambda: foreign.append(user("x")),
        lambda: foreign.begin_turn(user("x")),
        lambda: foreign.compact("x", through_seq=2),
        lambda: foreign.hold("x"),
        lambda: foreign.set_metadata({"x": 1}),
        lambda: foreign.record_usage(palaver.Usage(input_tokens=1)),
        lambda: foreign.purge(1, 1),
        lambda: bob.get("theirs"),
        lambda: bob.resume(CHAT, theirs.id),
        lambda: bob.resolve(CHAT),
    ):
        with pytest.raises(SessionNotFound):
            verb()
    assert bob.open_turns() == []
    assert texts(theirs.messages()) == ["secret", "yes"]
    assert theirs.info().metadata == {}


def test_a_scoped_check_tells_nothing_of_others(place: Place) -> None:
    """What is wrong in another owner's session is not told to this one."""
    sessions = place.open()
    theirs = say(sessions.for_owner("ann"), CHAT)
    number = place.store._ledger.numbers.rows[theirs]
    assert number is not None
    head = place.store._ledger.head(number)
    place.store._ledger.heads.rows[number] = type(head)(99, 99, head.last_active, head.user_seq)
    assert sessions.check() != []
    assert sessions.for_owner("bob").check() == []


# -- opening


def test_settings_come_in_one_form(tmp_path: Path) -> None:
    """Either a Settings value or its fields, never both; a name that is none is an error too."""
    with pytest.raises(ValueError, match="lease"):
        palaver.open("memory://", settings=Settings(), lease=HOUR)
    with pytest.raises(TypeError):
        palaver.open("memory://", leese=HOUR)
    with pytest.raises(ValueError):
        palaver.open("nonsense://x")
    assert list(tmp_path.iterdir()) == []


def test_a_block_closes_its_manager() -> None:
    """Leaving the block releases the store, also after an exception."""
    with pytest.raises(ZeroDivisionError), palaver.open("memory://") as sessions:
        raise ZeroDivisionError
    with pytest.raises(StoreClosed):
        sessions.list()


def test_a_bare_path_is_a_sqlite_file(tmp_path: Path) -> None:
    """A path opens that file; what was said is there when it is opened again."""
    path = tmp_path / "chat.db"
    for where in (path, str(path), f"sqlite:///{path}"):
        with palaver.open(where) as sessions:
            say(sessions, CHAT)
    with palaver.open(path) as sessions:
        assert len(sessions.resolve(CHAT).messages()) == 6
    assert path.stat().st_mode & 0o077 == 0
