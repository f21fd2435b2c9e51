"""Sweeps through the managers: what is done, what is left alone, and that a dry run says the same."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import palaver
from palaver import (
    ImagePart,
    Origin,
    SessionBusy,
    SessionConflict,
    SessionManager,
    SessionNotFound,
    SweepPolicy,
    assistant,
    user,
)
from palaver.media import as_text
from palaver.operations import Create, Import, NewSession
from palaver.reset import ResetPolicy
from palaver.stores import Store, open_store
from palaver.stores.copying import copy_session
from palaver.times import to_micros

START = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
IDLE = ResetPolicy(idle=DAY)
CHAT = Origin("telegram", chat_id="42", user_id="7")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The present time."""
        return self.now

    def passes(self, span: timedelta) -> None:
        """Let time go by, or step back."""
        self.now += span


@pytest.fixture
def clock() -> Clock:
    """The time of the managers under test."""
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """An empty store of each kind."""
    with open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/a.db") as opened:
        yield opened


def manager(store: Store, clock: Clock, **settings: Any) -> SessionManager:
    """A manager over the store."""
    return palaver.open(store, clock=clock, **settings)


def say(sessions: SessionManager, target: Any, text: str) -> str:
    """One turn; gives the session's id."""
    with sessions.begin_turn(target, user(text)) as turn:
        turn.finish(assistant(f"{text} indeed"))
        return turn.session_id


def done(sessions: SessionManager, policy: SweepPolicy | None = None, **options: Any) -> list[tuple[str, str | None]]:
    """What a sweep did, after a dry run that changed nothing and promised the same."""
    before = (sessions.events(limit=100_000), sessions.list(include_deleted=True, include_empty=True, limit=1000))
    promised = sessions.sweep(policy, dry_run=True, **options)
    after = (sessions.events(limit=100_000), sessions.list(include_deleted=True, include_empty=True, limit=1000))
    assert promised.dry_run
    assert before == after
    report = sessions.sweep(policy, **options)
    assert (report.actions, report.more, report.changed) == (promised.actions, promised.more, 0)
    return [(action.what, action.session_id) for action in report.actions]


# ---------------------------------------------------------------------- by default
def test_what_nobody_can_miss_goes(store: Store, clock: Clock) -> None:
    """An empty session after an hour, a deleted one after thirty days; nothing else, however old."""
    sessions = manager(store, clock)
    kept = say(sessions, CHAT, "hi")
    empty = sessions.create("k").id
    gone = say(sessions, "l", "bye")
    sessions.get(gone).delete()
    clock.passes(HOUR)
    assert done(sessions) == []
    clock.passes(timedelta(seconds=1))
    assert done(sessions) == [("purge", empty)]
    with pytest.raises(SessionNotFound):
        sessions.resolve("k")
    clock.passes(30 * DAY)
    assert done(sessions) == [("purge", gone)]
    clock.passes(5000 * DAY)
    assert done(sessions) == []
    assert [info.id for info in sessions.list()] == [kept]
    assert sessions.check() == []


def test_an_empty_session_that_is_pinned_or_held_stays(store: Store, clock: Clock) -> None:
    """And goes when nothing keeps it any more."""
    sessions = manager(store, clock)
    one, two = sessions.create("k"), sessions.create("l")
    one.pin()
    two.hold("import", timedelta(hours=5))
    clock.passes(2 * HOUR)
    assert done(sessions) == []
    clock.passes(4 * HOUR)
    assert done(sessions) == [("purge", two.id)]


def test_an_imported_empty_session_is_not_taken_for_its_age(store: Store, clock: Clock) -> None:
    """It was made years ago elsewhere, and has just come here."""
    sessions = manager(store, clock)
    made = NewSession(id="old", explicit=True, created_at=to_micros(START - 900 * DAY))
    store.commit([Create(at=to_micros(START), key="k", new=made)])
    assert sessions.get("old").info().created_at == START - 900 * DAY
    assert done(sessions) == []
    clock.passes(2 * HOUR)
    assert done(sessions) == [("purge", "old")]


def test_a_reset_that_nobody_wrote_after_keeps_its_promise(store: Store, clock: Clock) -> None:
    """The empty session under the key has a notice to give; resumed elsewhere, it is nobody's."""
    sessions = manager(store, clock)
    old = say(sessions, "k", "hi")
    fresh = sessions.reset("k").id
    clock.passes(2 * DAY)
    assert done(sessions) == []
    with sessions.begin_turn("k", user("again")) as turn:
        assert turn.notice is not None
        turn.rollback()
    empty = sessions.reset("k").id
    sessions.resume("k", old)
    clock.passes(2 * HOUR)
    assert done(sessions) == [("purge", empty)]
    assert sessions.get(fresh).info().parent == old


def test_a_fork_that_was_cut_off_goes(store: Store, clock: Clock) -> None:
    """Not while it is being made; what it was a copy of stays."""
    sessions = manager(store, clock)
    kept = say(sessions, "k", "hi")
    half = NewSession(id="half", explicit=True, hidden=True, parent=kept, parent_kind="fork")
    store.commit([Create(at=to_micros(START), new=half)])
    sessions.get("half").append(user("hi").replace(copied_from=kept))
    clock.passes(timedelta(minutes=50))
    sessions.get("half").append(user("more").replace(copied_from=kept))
    clock.passes(timedelta(minutes=50))
    assert done(sessions) == []
    clock.passes(timedelta(minutes=20))
    assert done(sessions) == [("purge", "half")]
    assert [info.id for info in sessions.list(include_hidden=True)] == [kept]


# ---------------------------------------------------------------------- by age, by size
def test_silent_sessions_are_archived_then_deleted_then_purged(store: Store, clock: Clock) -> None:
    """Each after its time; deleted ones can be restored until they are purged, and are then new again."""
    policy = SweepPolicy(archive_after=30 * DAY, delete_after=90 * DAY)
    sessions = manager(store, clock)
    old = say(sessions, "k", "hi")
    clock.passes(31 * DAY)
    new = say(sessions, "l", "hi")
    assert done(sessions, policy) == [("archive", old)]
    assert done(sessions, policy) == []
    clock.passes(60 * DAY)
    assert done(sessions, policy) == [("delete", old), ("archive", new)]
    sessions.restore(old)
    assert done(sessions, policy) == []
    clock.passes(90 * DAY + HOUR)
    assert done(sessions, policy) == [("delete", old), ("delete", new)]
    clock.passes(30 * DAY + HOUR)
    assert done(sessions, policy) == [("purge", old), ("purge", new)]
    assert sessions.list(include_deleted=True, include_archived=True)[0].message_count == 0


@pytest.mark.parametrize("keep", ["pin", "hold", "turn", "message", "resume"])
def test_what_is_needed_is_kept(store: Store, clock: Clock, keep: str) -> None:
    """Pinned, held, with a turn that runs or a message that waits, or just resumed."""
    policy = SweepPolicy(archive_after=30 * DAY, delete_after=60 * DAY, max_bytes=0)
    sessions = manager(store, clock, reset_policy=IDLE, lease=timedelta(days=500))
    session = sessions.get(say(sessions, "k", "hi"))
    if keep == "pin":
        session.pin()
    elif keep == "hold":
        session.hold("backup", timedelta(days=500))
    elif keep == "turn":
        sessions.begin_turn("k", user("wait"))
    elif keep == "message":
        turn = sessions.begin_turn("k", user("wait"))
        sessions.begin_turn("k", user("and"), on_busy="store")
        turn.fail("no")
    else:
        sessions.resume("other", session.id)
    clock.passes(100 * DAY)
    if keep == "resume":
        sessions.resume("another", session.id)
        policy = SweepPolicy(archive_after=30 * DAY, delete_after=60 * DAY)
    assert done(sessions, policy) == []


def test_room_is_made_oldest_first(store: Store, clock: Clock) -> None:
    """Until the rest fits; what is pinned counts and stays."""
    sessions = manager(store, clock)
    ids: list[str] = []
    for n in range(5):
        clock.passes(HOUR)
        ids.append(say(sessions, f"k{n}", "x" * 10_000))
    clock.passes(HOUR)
    picture = sessions.get_or_create("p")
    picture.append(user(ImagePart(data=as_text(b"x" * 50_000))))
    sessions.get(ids[0]).pin()
    assert done(sessions, SweepPolicy(max_bytes=200_000)) == []
    assert done(sessions, SweepPolicy(max_bytes=120_000)) == [("delete", ids[1]), ("delete", ids[2])]
    assert done(sessions, SweepPolicy(max_bytes=120_000)) == []
    assert done(sessions, SweepPolicy(max_bytes=0)) == [
        ("delete", ids[3]),
        ("delete", ids[4]),
        ("delete", picture.id),
    ]


def test_an_owner_sweeps_only_their_own(store: Store, clock: Clock) -> None:
    """And the unscoped manager sweeps all."""
    sessions = manager(store, clock)
    ann, bob = sessions.for_owner("ann"), sessions.for_owner("bob")
    hers, his = say(ann, "k", "hi"), say(bob, "k", "hi")
    clock.passes(10 * DAY)
    policy = SweepPolicy(delete_after=DAY)
    assert done(ann, policy) == [("delete", hers)]
    assert [info.id for info in bob.list()] == [his]
    assert done(sessions, policy) == [("delete", his)]


def test_a_clock_that_steps_back_proves_nothing(store: Store, clock: Clock) -> None:
    """Nothing is swept by a time that lies before what is stored."""
    policy = SweepPolicy(archive_after=timedelta(0), delete_after=timedelta(0), empty_after=timedelta(0), max_bytes=0)
    sessions = manager(store, clock, reset_policy=ResetPolicy(idle=timedelta(seconds=1)))
    say(sessions, "k", "hi")
    sessions.create("l")
    sessions.get(say(sessions, "m", "hi")).delete()
    clock.passes(-50 * DAY)
    assert done(sessions, policy) == []


def test_a_span_that_begins_before_time_does(store: Store, clock: Clock) -> None:
    """Thousands of years are as good as never: nothing is that old, and nothing overflows."""
    sessions = manager(store, clock)
    say(sessions, "k", "hi")
    clock.passes(10 * DAY)
    policy = SweepPolicy(delete_after=3_000_000 * DAY, archive_after=timedelta.max)
    assert sessions.sweep(policy).actions == ()


def test_limit_and_more(store: Store, clock: Clock) -> None:
    """A sweep does no more than it is allowed to, and says that there is more."""
    sessions = manager(store, clock)
    ids = [say(sessions, f"k{n}", "hi") for n in range(5)]
    clock.passes(10 * DAY)
    policy = SweepPolicy(delete_after=DAY)
    found: list[str | None] = []
    rounds: list[bool] = []
    while not rounds or rounds[-1]:
        report = sessions.sweep(policy, limit=2)
        assert len(report.actions) <= 2
        found += [action.session_id for action in report.actions]
        rounds.append(report.more)
    assert found == ids
    assert rounds[:2] == [True, True]
    with pytest.raises(ValueError, match="limit"):
        sessions.sweep(limit=0)


def test_many_pages_of_sessions(store: Store, clock: Clock) -> None:
    """All are looked at, however many, while some of them go."""
    sessions = manager(store, clock)
    for n in range(450):
        session = sessions.get_or_create(f"k{n}")
        session.append(user("hi"))
        if n % 7 == 0:
            session.pin()
    clock.passes(10 * DAY)
    report = sessions.sweep(SweepPolicy(delete_after=DAY))
    assert report.counts == {"delete": 450 - len(range(0, 450, 7))}


def test_the_feed_is_pruned_where_asked(store: Store, clock: Clock) -> None:
    """By the unscoped manager, after everything else."""
    sessions = manager(store, clock)
    for n in range(20):
        say(sessions, "k", f"n {n}")
    sessions.index()
    first = sessions.events()[0].cursor
    assert [what for what, _ in done(sessions.for_owner("ann"), SweepPolicy(keep_changes=10))] == []
    assert done(sessions, SweepPolicy(keep_changes=10)) == [("prune", None)]
    assert len(sessions.events()) == 10
    with pytest.raises(palaver.CursorExpired):
        sessions.events(first)
    assert done(sessions, SweepPolicy(keep_changes=10)) == []


@pytest.mark.parametrize(
    "wrong", [{"delete_after": timedelta(days=-1)}, {"max_bytes": -1}, {"keep_changes": -1}, {"empty_after": -DAY}]
)
def test_a_policy_that_cannot_be(wrong: dict[str, Any]) -> None:
    """What is negative is refused, and named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SweepPolicy(**wrong)


# ---------------------------------------------------------------------- expiry
def test_a_session_that_is_over_is_reset_and_says_so_once(store: Store, clock: Clock) -> None:
    """Before the next message comes, which is told truthfully what happened; the old session is its parent."""
    sessions = manager(store, clock, reset_policy=IDLE)
    old = say(sessions, CHAT, "hi")
    clock.passes(DAY)
    assert done(sessions) == []
    clock.passes(HOUR)
    assert done(sessions) == [("expire", old)]
    assert done(sessions) == []
    assert sessions.get(old).info().end_reason == "reset"
    clock.passes(100 * DAY)
    assert done(sessions) == []
    with sessions.begin_turn(CHAT, user("back")) as turn:
        assert turn.notice is not None
        assert "nobody had written for more than 1 day" in turn.notice.for_model
        assert turn.session_is_new
        turn.finish(assistant("hello"))
    info = sessions.resolve(CHAT).info()
    assert (info.parent, info.parent_kind, info.reset_reason) == (old, "reset", "idle")
    with sessions.begin_turn(CHAT, user("more")) as turn:
        assert turn.notice is None
        turn.finish(assistant("yes"))


def test_a_message_that_comes_again_after_the_reset(store: Store, clock: Clock) -> None:
    """It was answered in the session before, and is not answered again."""
    sessions = manager(store, clock, reset_policy=IDLE)
    with sessions.begin_turn("k", user("hi", id="m1")) as turn:
        turn.finish(assistant("hello"))
    clock.passes(2 * DAY)
    sessions.sweep()
    with sessions.begin_turn("k", user("hi", id="m1")) as turn:
        assert turn.replayed
    with sessions.begin_turn("k", user("new", id="m2")) as turn:
        assert turn.notice is not None
        turn.finish(assistant("yes"))


def test_a_turn_that_a_crash_cut_off_does_not_keep_a_session(store: Store, clock: Clock) -> None:
    """Its lease is over; it is closed as interrupted, and what it stored stays."""
    sessions = manager(store, clock, reset_policy=IDLE)
    turn = sessions.begin_turn("k", user("hi"))
    clock.passes(2 * DAY)
    assert done(sessions) == [("expire", turn.session_id)]
    assert sessions.open_turns() == []
    assert [m.text for m in sessions.get(turn.session_id).messages()] == ["hi"]
    with pytest.raises(palaver.PalaverError):
        turn.finish(assistant("too late"))


def test_carried_over_turns_do_not_expire_again(store: Store, clock: Clock) -> None:
    """A session of copies in which nobody wrote is no conversation that could be over."""
    sessions = manager(store, clock, reset_policy=ResetPolicy(idle=DAY, carry_over=1))
    say(sessions, "k", "one")
    old = say(sessions, "k", "two")
    clock.passes(2 * DAY)
    assert done(sessions) == [("expire", old)]
    clock.passes(20 * DAY)
    assert done(sessions) == []
    with sessions.begin_turn("k", user("three")) as turn:
        assert [m.text for m in turn.window.messages] == ["two", "two indeed", "three"]
        turn.finish(assistant("ok"))


def test_resets_differ_by_platform(store: Store, clock: Clock) -> None:
    """By the session's own origin, as a message would decide."""
    policy = ResetPolicy(idle=DAY, platforms={"slack": ResetPolicy()}, chat_types={"group": ResetPolicy(idle=HOUR)})
    sessions = manager(store, clock, reset_policy=policy)
    slack = say(sessions, Origin("slack", chat_id="1", user_id="7"), "hi")
    group = say(sessions, Origin("telegram", chat_type="group", chat_id="2", user_id="7"), "hi")
    dm = say(sessions, CHAT, "hi")
    clock.passes(2 * HOUR)
    assert done(sessions) == [("expire", group)]
    clock.passes(2 * DAY)
    assert done(sessions) == [("expire", dm)]
    assert sessions.get(slack).info().ended_at is None


def test_a_resumed_session_is_wanted(store: Store, clock: Clock) -> None:
    """It is as old as its newest key, not as its newest message."""
    sessions = manager(store, clock, reset_policy=IDLE)
    old = say(sessions, "k", "hi")
    clock.passes(10 * DAY)
    sessions.resume("other", old)
    clock.passes(HOUR)
    assert done(sessions) == []
    clock.passes(DAY)
    assert done(sessions) == [("expire", old)]
    assert len(sessions.resolve("k").info().keys) == 2


# ---------------------------------------------------------------------- what comes before a reset
def test_a_todo_comes_before_the_reset(store: Store, clock: Clock) -> None:
    """Claimed, done, and then the session is reset by the next sweep."""
    sessions = manager(store, clock, reset_policy=IDLE, before_reset=True)
    old = say(sessions, "k", "hi")
    clock.passes(2 * DAY)
    assert done(sessions) == [("todo", old)]
    assert done(sessions) == []
    [todo] = sessions.due()
    assert (todo.session_id, todo.reason, todo.after_seq, todo.through_seq) == (old, "idle", 0, 2)
    claimed = sessions.claim(todo)
    assert sessions.due() == []
    with pytest.raises(SessionBusy):
        sessions.claim(todo)
    assert done(sessions) == []
    read = sessions.get(claimed.session_id).messages(after=claimed.after_seq, before=claimed.through_seq + 1)
    assert [m.text for m in read] == ["hi", "hi indeed"]
    assert sessions.acknowledge(claimed).state == "done"
    assert done(sessions) == [("expire", old)]
    assert sessions.due() == []


def test_a_message_does_not_wait_for_the_todo(store: Store, clock: Clock) -> None:
    """It resets at once; the to-do goes on with the old session, and is not made twice."""
    sessions = manager(store, clock, reset_policy=IDLE, before_reset=True)
    old = say(sessions, "k", "hi")
    clock.passes(2 * DAY)
    sessions.sweep()
    claimed = sessions.claim(old)
    assert say(sessions, "k", "back") != old
    assert sessions.due() == []
    assert [m.text for m in sessions.get(old).messages()] == ["hi", "hi indeed"]
    sessions.acknowledge(claimed)
    assert (sessions.due(), done(sessions)) == ([], [])


def test_resets_by_a_message_and_by_hand_make_todos(store: Store, clock: Clock) -> None:
    """Where they are asked for, and nowhere else."""
    for before in (False, True):
        sessions = manager(store, clock, reset_policy=IDLE, before_reset=before)
        key = f"k{before}"
        first = say(sessions, key, "hi")
        clock.passes(2 * DAY)
        second = say(sessions, key, "again")
        assert first != second
        sessions.reset(key)
        third = say(sessions, key, "and")
        sessions.get(third).reset()
        found = [(todo.session_id, todo.reason) for todo in sessions.due()]
        expected = [(first, "idle"), (second, "manual"), (third, "manual")] if before else []
        assert sorted(found) == sorted(expected)


def test_given_up_loudly_after_three(store: Store, clock: Clock) -> None:
    """Then the reset goes on; sweep and check say so until somebody has seen it."""
    sessions = manager(store, clock, reset_policy=IDLE, before_reset=True)
    old = say(sessions, "k", "hi")
    clock.passes(2 * DAY)
    sessions.sweep()
    for n in range(3):
        failed = sessions.fail(sessions.claim(sessions.due()[0]), f"no model {n}")
        assert sessions.due() == []
        clock.passes(timedelta(minutes=6))
    assert failed.state == "given_up"
    with pytest.raises(SessionConflict, match="given up"):
        sessions.claim(old)
    dry, report = sessions.sweep(dry_run=True), sessions.sweep()
    assert dry.actions == report.actions
    [action] = report.actions
    assert (action.what, action.session_id) == ("expire", old)
    assert "given up" in action.reason
    [given_up] = report.given_up
    assert (given_up.failures, given_up.error) == (3, "no model 2")
    assert (sessions.due(given_up=True), sessions.due()) == ([given_up], [])
    assert [finding.kind for finding in sessions.check()] == ["todo"]
    assert "todo_given_up" in [change.kind for change in sessions.events(session_id=old)]
    sessions.acknowledge(given_up)
    assert (sessions.check(), sessions.sweep().given_up, sessions.due(given_up=True)) == ([], (), [])


def test_a_worker_that_died_is_replaced(store: Store, clock: Clock) -> None:
    """Its claim is free when it has run out; what it says then comes too late."""
    sessions = manager(store, clock, before_reset=True)
    old = say(sessions, "k", "hi")
    sessions.reset("k")
    dead = sessions.claim(old, lease=timedelta(minutes=1))
    clock.passes(timedelta(minutes=2))
    [todo] = sessions.due()
    mine = sessions.claim(todo)
    with pytest.raises(SessionConflict):
        sessions.acknowledge(dead)
    with pytest.raises(SessionConflict):
        sessions.fail(dead, "too late")
    assert sessions.acknowledge(mine).state == "done"


def test_a_todo_keeps_retention_away(store: Store, clock: Clock) -> None:
    """What waits to be done about a session is done before the session is deleted for its age."""
    policy = SweepPolicy(delete_after=DAY, max_bytes=0)
    sessions = manager(store, clock, before_reset=True)
    old = say(sessions, "k", "hi")
    sessions.reset("k")
    clock.passes(5 * DAY)
    assert done(sessions, policy) == []
    sessions.acknowledge(sessions.claim(old))
    assert done(sessions, policy) == [("delete", old)]


def test_wrong_words_to_a_todo(store: Store, clock: Clock) -> None:
    """A lease of nothing, a reason of nothing, a session without a to-do, an unknown one."""
    sessions = manager(store, clock, before_reset=True)
    old = say(sessions, "k", "hi")
    with pytest.raises(SessionConflict, match="no to-do"):
        sessions.claim(old)
    with pytest.raises(SessionNotFound):
        sessions.claim("nobody")
    sessions.reset("k")
    with pytest.raises(ValueError, match="lease"):
        sessions.claim(old, lease=timedelta(0))
    with pytest.raises(ValueError, match="reason"):
        sessions.fail(sessions.claim(old), " ")
    with pytest.raises(ValueError, match="limit"):
        sessions.due(limit=0)


def test_a_copy_of_a_session_has_its_todo(store: Store, clock: Clock) -> None:
    """Without its claim; what was done about the copy meanwhile is not undone by copying again."""
    sessions = manager(store, clock, before_reset=True)
    old = say(sessions, "k", "hi")
    sessions.reset("k")
    sessions.claim(old)
    with palaver.open("memory://", clock=clock) as other:
        target = other._core.store  # pyright: ignore[reportPrivateUsage]
        copy_session(store, target, old, to_micros(clock.now))
        [todo] = other.due()
        assert (todo.session_id, todo.state, todo.through_seq, todo.token) == (old, "waiting", 2, "")
        other.acknowledge(other.claim(todo))
        copy_session(store, target, old, to_micros(clock.now))
        assert other.due() == []


def test_a_copied_session_is_as_old_as_its_place(store: Store, clock: Clock) -> None:
    """Not as its messages; an import that was cut off is left for the next one to go on with."""
    source = manager(store, clock)
    old = say(source, "k", "hi")
    half = NewSession(id="half", explicit=True, hidden=True, parent=old, parent_kind="fork")
    store.commit([Create(at=to_micros(clock.now), new=half)])
    source.get("half").append(user("hi").replace(copied_from=old))
    clock.passes(300 * DAY)
    with palaver.open("memory://", clock=clock) as other:
        target = other._core.store  # pyright: ignore[reportPrivateUsage]
        copy_session(store, target, old, to_micros(clock.now))
        record, chunk = store.record("half", None), store.chunk("half", None, after=0, limit=10)
        target.commit([Import(at=to_micros(clock.now), row=record.row, chunk=chunk)])
        policy = SweepPolicy(delete_after=90 * DAY)
        assert done(other, policy) == []
        clock.passes(91 * DAY)
        assert done(other, policy) == [("delete", old), ("delete", "half")]


def test_pinned_sessions_do_not_reset_by_themselves(store: Store, clock: Clock) -> None:
    """Neither by a sweep nor by a message; by hand they do."""
    sessions = manager(store, clock, reset_policy=IDLE)
    old = say(sessions, "k", "hi")
    sessions.get(old).pin()
    clock.passes(9 * DAY)
    assert done(sessions) == []
    assert say(sessions, "k", "again") == old
    assert sessions.reset("k").id != old


def test_the_async_manager_does_the_same(clock: Clock) -> None:
    """One flow, with await."""

    async def run() -> None:
        async with palaver.aopen("memory://", clock=clock, reset_policy=IDLE, before_reset=True) as sessions:
            async with sessions.begin_turn("k", user("hi")) as turn:
                await turn.finish(assistant("hello"))
            clock.passes(2 * DAY)
            assert (await sessions.sweep(dry_run=True)).counts == {"todo": 1}
            assert (await sessions.sweep()).counts == {"todo": 1}
            [todo] = await sessions.due()
            failed = await sessions.fail(await sessions.claim(todo), "not yet")
            assert failed.failures == 1
            clock.passes(HOUR)
            await sessions.acknowledge(await sessions.claim(todo.session_id))
            assert (await sessions.sweep()).counts == {"expire": 1}

    asyncio.run(run())
