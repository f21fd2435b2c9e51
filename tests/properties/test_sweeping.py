"""The policy of sweeps, over every kind of session: what is kept is kept, and what is done has its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from palaver.info import Hold, SessionInfo, Todo
from palaver.reset import ResetPolicy, reset_reason
from palaver.sweeping import Standing, SweepPolicy, decide, oldest_first, sought_before

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ago = st.integers(-50, 5000).map(lambda hours: NOW - hours * HOUR)
spans = st.none() | st.sampled_from((0, 1, 24, 24 * 30, 24 * 90)).map(lambda hours: hours * HOUR)
policies = st.builds(
    SweepPolicy,
    empty_after=spans,
    purge_deleted_after=spans,
    archive_after=spans,
    delete_after=spans,
    expire=st.booleans(),
    max_bytes=st.none() | st.integers(0, 300),
)
resets = st.sampled_from(
    (
        ResetPolicy(),
        ResetPolicy(idle=24 * HOUR),
        ResetPolicy(daily_at=4),
        ResetPolicy(idle=HOUR, daily_at=4, combine="all"),
        ResetPolicy(chat_types={"dm": ResetPolicy(idle=HOUR)}),
    )
)


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """A session, however it came about."""
    created = draw(ago)
    active = max(created, draw(ago))
    last = draw(st.integers(0, 3))
    deleted = draw(st.none() | ago)
    todo = None
    if draw(st.booleans()):
        todo = Todo(
            session_id="s",
            reason="idle",
            state=draw(st.sampled_from(("waiting", "claimed", "done", "given_up"))),
            made_at=active,
            through_seq=draw(st.integers(0, 3)),
        )
    info = SessionInfo(
        id=f"s{draw(st.integers(0, 10**6))}",
        keys=draw(st.sampled_from(((), ("k",)))),
        created_at=created,
        last_active_at=active,
        ended_at=draw(st.none() | ago),
        parent_kind=draw(st.sampled_from((None, "reset", "fork"))),
        last_seq=last,
        message_count=last,
        archived=draw(st.booleans()),
        pinned=draw(st.booleans()),
        deleted_at=deleted,
        holds=draw(st.sampled_from(((), (Hold(name="h", until=NOW + HOUR),), (Hold(name="h", until=NOW - HOUR),)))),
        turn_running=draw(st.booleans()),
        bound_at=draw(st.none() | ago),
    )
    return Standing(
        session=info,
        stored_at=draw(ago),
        waiting=draw(st.booleans()),
        copies=draw(st.booleans()),
        half_copied=draw(st.booleans()),
        half_purged=deleted is not None and draw(st.booleans()),
        todo=todo,
        size=draw(st.integers(0, 100)),
    )


def is_needed(standing: Standing) -> bool:
    """Whether somebody keeps the session, by the words of the policy."""
    session = standing.session
    held = any(hold.until > NOW for hold in session.holds)
    return session.pinned or held or session.turn_running or standing.waiting or session.last_active_at > NOW


@given(policies, resets, standings(), st.booleans())
def test_what_is_needed_is_left_alone(
    policy: SweepPolicy, reset: ResetPolicy, standing: Standing, before: bool
) -> None:
    """Unless it is deleted already."""
    if is_needed(standing) and standing.session.deleted_at is None and not standing.half_purged:
        assert decide(policy, reset, standing, NOW, before_reset=before) is None
        assert oldest_first(policy, [standing], NOW) == []


@given(policies, resets, standings(), st.booleans())
def test_each_action_has_its_rule(policy: SweepPolicy, reset: ResetPolicy, standing: Standing, before: bool) -> None:
    """Nothing is done that no rule asks for, and nothing before its time."""
    action = decide(policy, reset, standing, NOW, before_reset=before)
    session = standing.session
    if action is None:
        return
    quiet = NOW - max(session.last_active_at, standing.stored_at)
    match action.what:
        case "purge" if standing.half_purged:
            pass
        case "purge" if session.deleted_at is not None:
            assert policy.purge_deleted_after is not None
            assert NOW - session.deleted_at > policy.purge_deleted_after
        case "purge":
            assert session.last_seq == 0 or standing.half_copied
            assert policy.empty_after is not None
            assert quiet > policy.empty_after
        case "delete":
            assert policy.delete_after is not None
            assert quiet > policy.delete_after
            assert standing.todo is None or standing.todo.state in ("done", "given_up")
        case "archive":
            assert policy.archive_after is not None
            assert quiet > policy.archive_after
            assert not session.archived
        case "expire" | "todo":
            assert policy.expire
            assert session.keys
            assert not standing.copies
            assert reset_reason(reset, session, NOW) is not None
            settled = standing.todo is not None and standing.todo.through_seq >= session.last_seq
            if action.what == "todo":
                assert before
            elif before:
                assert settled
                assert standing.todo is not None
                assert standing.todo.state in ("done", "given_up")


@given(policies, resets, standings(), st.booleans(), st.integers(1, 100))
def test_a_clock_that_steps_back_sweeps_nothing_more(
    policy: SweepPolicy,
    reset: ResetPolicy,
    standing: Standing,
    before: bool,
    hours: int,
) -> None:
    """What is left alone now is left alone by an earlier time, but for what a daily boundary decides."""
    if reset.daily_at is None:
        plain = msgspec.structs.replace(standing, todo=None)
        now = decide(policy, reset, plain, NOW, before_reset=before)
        earlier = decide(policy, reset, plain, NOW - hours * HOUR, before_reset=before)
        held_then = any(hold.until > NOW - hours * HOUR for hold in standing.session.holds)
        if now is None and not is_needed(standing):
            assert earlier is None or held_then


@given(policies, resets, standings(), st.booleans())
def test_what_is_not_sought_would_not_be_swept(
    policy: SweepPolicy,
    reset: ResetPolicy,
    standing: Standing,
    before: bool,
) -> None:
    """The read that looks at quiet sessions alone misses nothing."""
    sought = sought_before(policy, reset, NOW)
    session = standing.session
    always = session.deleted_at is not None or session.last_seq == 0 or standing.half_copied
    if sought is not None and session.last_active_at >= sought and not always:
        assert decide(policy, reset, standing, NOW, before_reset=before) is None


@given(st.lists(standings(), max_size=8, unique_by=lambda s: s.session.id), st.integers(0, 400))
def test_room_is_made_by_the_longest_silent(found: list[Standing], room: int) -> None:
    """As few as it takes; what is left over and may not go is all that is still too much."""
    actions = oldest_first(SweepPolicy(max_bytes=room), found, NOW)
    gone = {action.session_id for action in actions}
    alive = [s for s in found if s.session.deleted_at is None]
    left = [s for s in alive if s.session.id not in gone]
    total = sum(s.size for s in left)
    if gone:
        last = next(s for s in alive if s.session.id == actions[-1].session_id)
        assert total + last.size > room
    if total > room:
        asked: Any = ("waiting", "claimed")
        assert all(
            s.size == 0 or s.half_copied or is_needed(s) or (s.todo is not None and s.todo.state in asked) for s in left
        )
