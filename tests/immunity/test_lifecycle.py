"""Bugs that five agents' session layers had: how sessions begin and end. One test each; docs/features.md lists them."""

from __future__ import annotations

import stat
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

import palaver
from palaver import Origin, ResetPolicy, SessionManager, assistant, user
from palaver.errors import SessionNotFound
from palaver.times import to_micros
from tests.immunity.stores import texts

PHONE = Origin("telegram", chat_id="42", user_id="7")


@pytest.mark.parametrize(
    ("last", "now", "over"),
    [
        # The night in which Berlin's clocks go forward: 04:00 there is 02:00 UTC, the day before it was 03:00.
        ("2026-03-28T02:59Z", "2026-03-28T03:01Z", True),
        ("2026-03-28T03:01Z", "2026-03-29T01:59Z", False),
        ("2026-03-29T01:59Z", "2026-03-29T02:01Z", True),
        # And back: 04:00 is 03:00 UTC again.
        ("2026-10-25T02:01Z", "2026-10-25T02:59Z", False),
        ("2026-10-25T02:59Z", "2026-10-25T03:01Z", True),
    ],
)
def test_26_a_day_begins_where_the_user_lives(url: str, last: str, now: str, *, over: bool) -> None:
    """The daily boundary is an hour in a named zone, also in the nights when its clocks change."""
    clock = [datetime.fromisoformat(last)]
    with palaver.open(
        url, clock=lambda: clock[0], reset_policy=ResetPolicy(daily_at=4, timezone="Europe/Berlin")
    ) as sessions:
        with sessions.begin_turn(PHONE, user("late")) as turn:
            turn.finish(assistant("yes"))
        first = turn.session_id
        clock[0] = datetime.fromisoformat(now)
        with sessions.begin_turn(PHONE, user("early")) as turn:
            turn.finish(assistant("yes"))
        assert (turn.session_id != first) is over


def test_27_only_messages_are_activity(url: str) -> None:
    """Reading, listing, renaming, pinning and a reset policy's look do not make a session young."""
    clock = [datetime(2026, 1, 1, tzinfo=UTC)]
    with palaver.open(url, clock=lambda: clock[0]) as sessions:
        session = sessions.get_or_create(PHONE)
        session.append(user("hi"))
        clock[0] += timedelta(days=3)
        session.rename("T")
        session.pin()
        session.set_metadata({"a": 1})
        session.hold("job")
        session.history()
        sessions.get_or_create(PHONE).messages()
        assert session.info().last_active_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_28_a_reset_is_asked_for_and_explains_itself(url: str) -> None:
    """None without a policy; with one it is told once, also across a restart, respects work, and can be taken back."""
    clock = [datetime(2026, 1, 1, tzinfo=UTC)]
    with palaver.open(url, clock=lambda: clock[0]) as sessions:
        sessions.get_or_create(PHONE).append(user("hi"), assistant("hello"))
        clock[0] += timedelta(days=400)
        assert sessions.begin_turn(PHONE, user("still there?")).session_is_new is False
    policy = ResetPolicy(idle=timedelta(hours=1))
    with palaver.open(url, clock=lambda: clock[0], reset_policy=policy) as sessions:
        old = sessions.resolve(PHONE)
        with sessions.begin_turn(PHONE, user("still there?")) as turn:
            turn.finish(assistant("yes"))
        old.hold("a long job", timedelta(days=2))
        clock[0] += timedelta(hours=5)
        with sessions.begin_turn(PHONE, user("and now?")) as turn:
            assert turn.session_id == old.id, "work holds it"
            turn.finish(assistant("yes"))
        old.hold("a long job", None)
        clock[0] += timedelta(hours=5)
        sessions.begin_turn(PHONE, user("and now, really?", id="m-9"))
    with palaver.open(url, clock=lambda: clock[0], reset_policy=policy) as sessions:
        with sessions.begin_turn(PHONE, user("and now, really?", id="m-9")) as turn:
            assert turn.session_id != old.id
            assert turn.notice is not None
            assert turn.notice.for_user is not None
            assert "/resume" in turn.notice.for_user
            turn.finish(assistant("anew"))
        with sessions.begin_turn(PHONE, user("again?")) as turn:
            assert turn.notice is None, "it is told once"
            turn.finish(assistant("no"))
        sessions.resume(PHONE, old.id).append(user("back"))
        assert texts(sessions.resolve(PHONE))[0] == "hi"


def test_29_counts_are_what_is_there(sessions: SessionManager) -> None:
    """After everything that changes what is live."""
    session = sessions.get_or_create("k")
    session.append(*[said for n in range(9) for said in (user(str(n)), assistant("well"))])
    session.delete_message(3)
    session.rewind(2)
    session.edit(1, "one")
    session.redo()
    session.purge(from_seq=2, through_seq=2)
    assert session.info().message_count == len(session.messages()) == sessions.stats().messages
    session.clear()
    assert session.info().message_count == len(session.messages()) == 0


def test_30_no_message_no_session(sessions: SessionManager) -> None:
    """Asking for a session stores nothing; one made on purpose is not listed until something is said."""
    sessions.get_or_create(PHONE)
    assert sessions.events() == []
    sessions.create(title="later")
    assert sessions.list() == []
    assert [info.title for info in sessions.list(include_empty=True)] == ["later"]


def test_31_memory_is_bounded(url: str) -> None:
    """Looking at many sessions keeps few of them."""
    with palaver.open(url) as sessions:
        for n in range(600):
            sessions.get_or_create(f"k{n}").append(user("x" * 2000))
    with palaver.open(url) as sessions:
        for n in range(100):
            sessions.resolve(f"k{n}").history()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for n in range(600):
            sessions.resolve(f"k{n}").history()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 600 * 2000, "less than what was looked at"
        assert len(sessions.list(limit=50)) == 50, "a list is a page"


def test_32_a_list_shows_every_session(url: str, folder: Path) -> None:
    """Of all platforms, those of other processes, and also where one of them is damaged."""
    with palaver.open(url) as sessions, palaver.open(url) as other:
        for n in range(5):
            (sessions, other)[n % 2].get_or_create(Origin(("telegram", "cli")[n % 2], chat_id=str(n))).append(user("x"))
        assert len(sessions.list()) == 5
    connection = apsw.Connection(str(folder / "chat.db"))
    connection.execute("UPDATE messages SET body = x'7b' WHERE id >> 32 = 2")
    connection.close()
    with palaver.open(url) as sessions:
        assert len(sessions.list()) == 5


def test_33_what_is_anothers_is_not_found(url: str, folder: Path) -> None:
    """A foreign id, key, alias or search tells nothing, and the files are for their user alone."""
    with palaver.open(url) as sessions:
        ada, bob = sessions.for_owner("ada"), sessions.for_owner("bob")
        session = ada.create(PHONE, alias="mine")
        session.append(user("a secret"))
        for name in (session.id, "mine"):
            with pytest.raises(SessionNotFound):
                bob.get(name)
        with pytest.raises(SessionNotFound):
            bob.resolve(PHONE)
        assert bob.list() == []
        assert list(bob.search("secret")) == []
        assert bob.events() == []
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.glob("chat.db*"))


def test_34_nothing_returned_is_shared(sessions: SessionManager) -> None:
    """What a caller does to an answer changes no session and no later answer."""
    one, other = sessions.get_or_create("a"), sessions.get_or_create("b")
    one.append(user("hi"))
    other.append(user("hi"))
    page, info = one.messages(), one.info()
    page.clear()
    info.metadata["x"] = 1
    payload = one.history().render("openai_chat")
    payload.messages.clear()
    assert texts(one) == texts(other) == ["hi"]
    assert one.info().metadata == other.info().metadata == {}
    assert to_micros(one.info().created_at) > 0
