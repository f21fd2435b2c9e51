"""When a session resets, and what the model and the person are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from palaver.info import Hold, SessionInfo
from palaver.keys import Origin
from palaver.reset import ResetPolicy, daily_boundary, notice, reset_reason

NOON = datetime(2024, 6, 15, 12, tzinfo=UTC)
CHAT = Origin("telegram", "dm", chat_id="42", user_id="7")
IDLE = ResetPolicy(idle=timedelta(hours=24))
DAILY = ResetPolicy(daily_at=4)


def session(last: datetime = NOON, **changes: Any) -> SessionInfo:
    """Give a session with messages, the newest of them stored at `last`."""
    values: dict[str, Any] = {"message_count": 6, "last_seq": 6, "origin": CHAT, **changes}
    return SessionInfo(id="s1", created_at=datetime(2020, 1, 1, tzinfo=UTC), last_active_at=last, **values)


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=400)])
def test_default_policy_never_resets(age: timedelta) -> None:
    """Without a policy of one's own, a session of any age goes on."""
    assert reset_reason(ResetPolicy(), session(), NOON + age) is None


@pytest.mark.parametrize(
    ("policy", "hours", "expected"),
    [
        (IDLE, 24, None),
        (IDLE, 24.001, "idle"),
        (DAILY, 15.99, None),
        (DAILY, 16, "daily"),
        (ResetPolicy(idle=timedelta(hours=1), daily_at=4), 0.5, None),
        (ResetPolicy(idle=timedelta(hours=1), daily_at=4), 2, "idle"),
        (ResetPolicy(idle=timedelta(hours=1), daily_at=4), 17, "idle+daily"),
        (ResetPolicy(idle=timedelta(hours=20), daily_at=4), 17, "daily"),
        (ResetPolicy(idle=timedelta(hours=20), daily_at=4, combine="all"), 17, None),
        (ResetPolicy(idle=timedelta(hours=1), daily_at=4, combine="all"), 2, None),
        (ResetPolicy(idle=timedelta(hours=1), daily_at=4, combine="all"), 17, "idle+daily"),
        (ResetPolicy(idle=timedelta(hours=1), combine="all"), 2, "idle"),
        (ResetPolicy(daily_at=4, combine="all"), 17, "daily"),
    ],
)
def test_reason_follows_age(policy: ResetPolicy, hours: float, expected: str | None) -> None:
    """Idle time and daily hour give their reason, alone, either or both as the policy combines them."""
    assert reset_reason(policy, session(), NOON + timedelta(hours=hours)) == expected


def test_message_at_the_boundary_belongs_to_the_new_day() -> None:
    """A session last active exactly at the daily hour is not reset by that hour."""
    four = datetime(2024, 6, 16, 4, tzinfo=UTC)
    late = four + timedelta(hours=3)
    assert reset_reason(DAILY, session(four), late) is None
    assert reset_reason(DAILY, session(four - timedelta(microseconds=1)), late) == "daily"


@pytest.mark.parametrize(
    "changes",
    [
        {"turn_running": True},
        {"message_count": 0},
        {"ended_at": NOON},
        {"holds": (Hold(name="export", until=NOON + timedelta(days=41)),)},
    ],
    ids=["running turn", "empty", "ended", "held"],
)
def test_work_and_emptiness_prevent_reset(changes: dict[str, Any]) -> None:
    """A running turn or a live hold keeps a session; one that is empty or over has nothing to reset."""
    policy = ResetPolicy(idle=timedelta(hours=1), daily_at=4)
    assert reset_reason(policy, session(), NOON + timedelta(days=40)) == "idle+daily"
    assert reset_reason(policy, session(**changes), NOON + timedelta(days=40)) is None


def test_expired_hold_does_not_count() -> None:
    """A hold whose time has passed keeps nothing, even if it is still listed."""
    hold = Hold(name="export", until=NOON + timedelta(hours=30))
    held = session(holds=(hold,))
    assert reset_reason(IDLE, held, NOON + timedelta(hours=29)) is None
    assert reset_reason(IDLE, held, NOON + timedelta(hours=30)) == "idle"


def test_clock_that_stepped_back_resets_nothing() -> None:
    """When now is before the newest message, neither condition is believed."""
    policy = ResetPolicy(idle=timedelta(hours=1), daily_at=4)
    assert reset_reason(policy, session(), NOON - timedelta(days=40)) is None


def test_idle_time_is_measured_in_real_time_across_a_clock_change() -> None:
    """Two times in one zone are compared as instants, not by their wall clocks."""
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2024, 3, 31, 1, 30, tzinfo=berlin)
    after = datetime(2024, 3, 31, 3, 15, tzinfo=berlin)  # 45 minutes later; the wall clock says 105
    assert reset_reason(ResetPolicy(idle=timedelta(hours=1)), session(before), after) is None


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (Origin("slack", "group", chat_id="1"), None),
        (Origin("telegram", "group", chat_id="1"), "daily"),
        (Origin("telegram", "dm", chat_id="1"), "idle"),
        (None, "idle"),
    ],
    ids=["platform beats chat type", "chat type beats default", "default", "no origin"],
)
def test_override_precedence(origin: Origin | None, expected: str | None) -> None:
    """A platform's override wins over a chat type's, and that over the policy itself; each stands alone."""
    policy = ResetPolicy(
        idle=timedelta(hours=1), platforms={"slack": ResetPolicy()}, chat_types={"group": ResetPolicy(daily_at=4)}
    )
    assert reset_reason(policy, session(origin=origin), NOON + timedelta(hours=20)) == expected


@pytest.mark.parametrize(
    ("zone", "hour", "now", "expected"),
    [
        # Berlin, 31 March 2024: 02:00 does not exist, 03:00 CEST comes at 01:00 UTC.
        ("Europe/Berlin", 2, "2024-03-31T00:59:59Z", "2024-03-30T01:00:00Z"),
        ("Europe/Berlin", 2, "2024-03-31T01:00:00Z", "2024-03-31T01:00:00Z"),
        # Berlin, 27 October 2024: 02:00 comes at 00:00 UTC and again at 01:00 UTC.
        ("Europe/Berlin", 2, "2024-10-27T00:00:00Z", "2024-10-27T00:00:00Z"),
        ("Europe/Berlin", 2, "2024-10-27T01:30:00Z", "2024-10-27T00:00:00Z"),
        # Sao Paulo, 4 November 2018: the day begins at 01:00, at 03:00 UTC.
        ("America/Sao_Paulo", 0, "2018-11-04T02:59:59Z", "2018-11-03T03:00:00Z"),
        ("America/Sao_Paulo", 0, "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z"),
        # Sao Paulo, 17 February 2018: 23:00 to 24:00 comes twice; midnight is at 03:00 UTC.
        ("America/Sao_Paulo", 23, "2018-02-18T02:30:00Z", "2018-02-18T01:00:00Z"),
        ("America/Sao_Paulo", 0, "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z"),
        ("America/Sao_Paulo", 0, "2018-02-18T03:00:00Z", "2018-02-18T03:00:00Z"),
        # Lord Howe, 6 October 2024: half an hour is skipped at 02:00, 15:30 UTC the day before.
        ("Australia/Lord_Howe", 2, "2024-10-05T15:29:59Z", "2024-10-04T15:30:00Z"),
        ("Australia/Lord_Howe", 2, "2024-10-05T15:30:00Z", "2024-10-05T15:30:00Z"),
        ("Australia/Lord_Howe", 3, "2024-10-05T16:00:00Z", "2024-10-05T16:00:00Z"),
        # St. John's, 29 October 2006: at 00:01 the clock goes back to 23:01 of the day before.
        ("America/St_Johns", 0, "2006-10-29T03:00:00Z", "2006-10-29T02:30:00Z"),
        # Samoa had no 30 December 2011: the day after it has the next boundary.
        ("Pacific/Apia", 4, "2011-12-30T13:59:59Z", "2011-12-29T14:00:00Z"),
        ("Pacific/Apia", 4, "2011-12-30T14:00:00Z", "2011-12-30T14:00:00Z"),
        ("Asia/Kathmandu", 4, "2024-06-15T00:00:00Z", "2024-06-14T22:15:00Z"),
    ],
)
def test_daily_boundary_where_the_clock_changes(zone: str, hour: int, now: str, expected: str) -> None:
    """An hour shown twice counts once, at first; one that is skipped counts at the change."""
    boundary = daily_boundary(datetime.fromisoformat(now), hour, zone)
    assert boundary == datetime.fromisoformat(expected)
    assert boundary.tzinfo is UTC


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"timezone": "Europe"}, "Europe"),
        ({"timezone": "../etc/passwd"}, "passwd"),
        ({"timezone": ""}, "timezone"),
        ({"daily_at": 24}, "24"),
        ({"daily_at": -1}, "-1"),
        ({"daily_at": 4.5}, "4.5"),
        ({"idle": timedelta(0)}, "idle"),
        ({"idle": timedelta(seconds=-1)}, "idle"),
        ({"combine": "both"}, "both"),
        ({"carry_over": 0}, "carry_over"),
        ({"carry_over": "sumary"}, "sumary"),
        ({"chat_types": {"room": ResetPolicy()}}, "room"),
        ({"platforms": {"slack": ResetPolicy(chat_types={"dm": ResetPolicy()})}}, "slack"),
    ],
)
def test_policy_refuses_what_cannot_work(values: dict[str, Any], names: str) -> None:
    """A value that cannot work is refused when the policy is made, and the message names it."""
    with pytest.raises(ValueError, match=names):
        ResetPolicy(**values)


def test_policy_reads_from_configuration() -> None:
    """A policy can come from plain data; a misspelt setting is refused rather than silently off."""
    data: dict[str, Any] = {
        "idle": "PT1H",
        "carry_over": 3,
        "platforms": {"slack": {"daily_at": 4, "carry_over": "summary"}},
    }
    policy = msgspec.convert(data, ResetPolicy)
    assert policy.idle == timedelta(hours=1)
    assert policy.for_origin(Origin("slack", chat_id="1")).carry_over == "summary"
    assert msgspec.convert(msgspec.to_builtins(policy), ResetPolicy) == policy
    with pytest.raises(ValueError, match="daily_hour"):
        msgspec.convert({"daily_hour": 4}, ResetPolicy)


def test_time_without_zone_is_refused() -> None:
    """A naive now is an error, not a guess."""
    with pytest.raises(ValueError, match="time zone"):
        reset_reason(IDLE, session(), NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="time zone"):
        daily_boundary(NOON.replace(tzinfo=None), 4, "UTC")


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("idle", ["nobody had written for more than 90 minutes"]),
        ("daily", ["daily reset at 04:00 (Europe/Berlin)"]),
        ("idle+daily", ["nobody had written for more than 90 minutes", "daily reset at 04:00 (Europe/Berlin)"]),
    ],
)
def test_notice_tells_both_the_true_reason(reason: Any, parts: list[str]) -> None:
    """Model and person are told why, and how to return to the old conversation."""
    policy = ResetPolicy(idle=timedelta(minutes=90), daily_at=4, timezone="Europe/Berlin")
    made = notice(reason, session(), policy, CHAT)
    assert made is not None
    assert made.for_user is not None
    for part in [*parts, "/resume", "Nothing of it was carried over."]:
        assert part in made.for_model
        assert part in made.for_user


@pytest.mark.parametrize(
    ("carry_over", "text"),
    [
        ("nothing", "Nothing of it was carried over."),
        ("summary", "Only its summary was carried over, if it had one."),
        (1, "Only its last turn was carried over."),
        (3, "Only its last turns were carried over, at most 3."),
    ],
)
def test_notice_says_what_was_kept(carry_over: Any, text: str) -> None:
    """What the new conversation begins with is said as it is."""
    made = notice("idle", session(), ResetPolicy(idle=timedelta(hours=1), carry_over=carry_over), CHAT)
    assert made is not None
    assert text in made.for_model


def test_notice_is_silent_where_nothing_was_lost() -> None:
    """An empty session, or one that was carried over whole, needs no word."""
    assert notice("idle", session(message_count=0), IDLE, CHAT) is None
    whole = ResetPolicy(idle=timedelta(hours=1), carry_over=6)
    assert notice("idle", session(message_count=6), whole, CHAT) is None
    assert notice("idle", session(message_count=7), whole, CHAT) is not None


@pytest.mark.parametrize(
    ("reason", "policy", "origin"),
    [
        ("idle", msgspec.structs.replace(IDLE, notify=False), CHAT),
        ("idle", IDLE, Origin("webhook", chat_id="hook")),
        ("idle", IDLE, Origin("api_server", chat_id="x")),
        ("idle", msgspec.structs.replace(IDLE, notify_exclude_platforms=("telegram",)), CHAT),
        ("manual", IDLE, CHAT),
    ],
    ids=["notify off", "webhook", "api_server", "excluded by policy", "manual"],
)
def test_person_is_not_told_but_the_model_is(reason: Any, policy: ResetPolicy, origin: Origin) -> None:
    """Where nobody reads it, or somebody asked for the reset, only the model is told."""
    made = notice(reason, session(), policy, origin)
    assert made is not None
    assert made.for_user is None
    assert "set aside" in made.for_model


def test_notice_uses_the_override_and_its_resume_command() -> None:
    """The notice speaks of the policy that applied to the session, and names that bot's own command."""
    override = ResetPolicy(idle=timedelta(days=1), resume_command="!resume")
    policy = ResetPolicy(idle=timedelta(hours=1), platforms={"telegram": override})
    made = notice("idle", session(), policy, CHAT)
    assert made is not None
    assert "more than 1 day." in made.for_model
    assert "!resume" in (made.for_user or "")


@pytest.mark.parametrize(
    ("idle", "text"),
    [
        (timedelta(days=2), "2 days"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=1), "1 minute."),
        (timedelta(seconds=90), "90 seconds"),
        (timedelta(seconds=1.5), "1.5 seconds"),
    ],
)
def test_notice_names_the_idle_time_exactly(idle: timedelta, text: str) -> None:
    """A span is given in the largest unit that says it exactly."""
    made = notice("idle", session(), ResetPolicy(idle=idle), CHAT)
    assert made is not None
    assert text in made.for_model


def test_notice_invents_no_figure_that_the_policy_no_longer_has() -> None:
    """When the policy changed since, the reason is still given, without a time that was never configured."""
    made = notice("idle+daily", session(), ResetPolicy(), CHAT)
    assert made is not None
    assert "by the daily reset and because nobody had written for a while" in made.for_model
