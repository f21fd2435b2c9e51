"""Daily boundaries over random instants in zones whose clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from palaver.info import SessionInfo
from palaver.reset import ResetPolicy, daily_boundary, reset_reason

ZONES = (
    "America/Sao_Paulo",  # changed at midnight until 2019
    "Europe/Berlin",
    "Australia/Lord_Howe",  # changes by half an hour
    "America/St_Johns",  # changed at 00:01, back over midnight
    "America/Scoresbysund",  # changes around midnight, and changed its zone in 2024
    "Pacific/Apia",  # left out a day in 2011
    "UTC",
)
zones = st.sampled_from(ZONES)
hours = st.integers(0, 23)
instants = st.datetimes(datetime(1975, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  aware by timezones


@st.composite
def near_changes(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and an instant that is often within two days of a change of its clock."""
    zone, now = draw(zones), draw(instants)
    if draw(st.booleans()):
        info = ZoneInfo(zone)
        for day in range(400):
            before, after = now + timedelta(days=day), now + timedelta(days=day + 1)
            if before.astimezone(info).utcoffset() != after.astimezone(info).utcoffset():
                return zone, before + draw(st.timedeltas(timedelta(hours=-24), timedelta(hours=48)))
    return zone, now


def is_skipped(wall: datetime, zone: str) -> bool:
    """Whether no clock in this zone ever showed that time."""
    info = ZoneInfo(zone)
    return wall.replace(tzinfo=info).astimezone(UTC).astimezone(info).replace(tzinfo=None) != wall


@given(near_changes(), hours)
def test_boundary_is_the_hour_of_a_local_day(where: tuple[str, datetime], hour: int) -> None:
    """The boundary is at or before now, and shows that hour unless the clock skipped it."""
    zone, now = where
    boundary = daily_boundary(now, hour, zone)
    local = boundary.astimezone(ZoneInfo(zone))
    assert boundary <= now
    if (local.hour, local.minute) != (hour, 0):
        days = (local.date(), local.date() - timedelta(days=1))
        assert any(is_skipped(datetime.combine(day, time(hour)), zone) for day in days)
    assert daily_boundary(boundary, hour, zone) == boundary
    assert daily_boundary(boundary - timedelta(microseconds=1), hour, zone) < boundary


@given(near_changes(), hours)
def test_every_local_day_has_exactly_one_boundary(where: tuple[str, datetime], hour: int) -> None:
    """Over ten days, stepping from boundary to boundary meets each local date once and leaves none out."""
    zone, start = where
    info = ZoneInfo(zone)
    met: list[datetime] = []
    at = start + timedelta(days=10)
    while at > start:
        boundary = daily_boundary(at, hour, zone)
        met.append(boundary)
        at = boundary - timedelta(microseconds=1)
    met.reverse()
    expected = {
        datetime.combine(date, time(hour), tzinfo=info).astimezone(UTC)
        for date in ((met[0].astimezone(info) + timedelta(days=day)).date() for day in range(-2, 14))
    }
    assert met == sorted(instant for instant in expected if met[0] <= instant <= met[-1])
    assert len(set(met)) == len(met)


@given(near_changes(), hours, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_daily_reset_happens_once_per_day(where: tuple[str, datetime], hour: int, silence: timedelta) -> None:
    """A session is reset exactly when a boundary lies after its last message; the next message is safe from it."""
    zone, now = where
    last = now - silence
    policy = ResetPolicy(daily_at=hour, timezone=zone)

    def talked(at: datetime) -> SessionInfo:
        return SessionInfo(id="s", created_at=last, last_active_at=at, message_count=1)

    crossed = daily_boundary(now, hour, zone) != daily_boundary(last, hour, zone)
    assert reset_reason(policy, talked(last), now) == ("daily" if crossed else None)
    assert reset_reason(policy, talked(now), now) is None


@given(instants, st.timedeltas(timedelta(0), timedelta(days=9)), st.timedeltas(timedelta(seconds=1), timedelta(days=9)))
def test_idle_reset_depends_on_silence_alone(now: datetime, silence: timedelta, idle: timedelta) -> None:
    """Only the time since the newest message counts, in whatever zone both are written."""
    info = SessionInfo(id="s", created_at=now - silence, last_active_at=now - silence, message_count=1)
    here = now.astimezone(ZoneInfo("America/Sao_Paulo"))
    assert reset_reason(ResetPolicy(idle=idle), info, here) == ("idle" if silence > idle else None)
