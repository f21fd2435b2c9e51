"""When a conversation starts afresh, and what is said about it.

Nothing resets unless a policy asks for it: losing context by surprise hurts more than an old conversation does
(hermes shipped timers on by default, turned them off, and kept being asked for an opt-in boundary). Everything
here is a function of its arguments: `now` is given, never read from a clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

import msgspec

from palaver.info import Notice, SessionInfo
from palaver.keys import ChatType, Origin

__all__ = ["CarryOver", "Combine", "ResetPolicy", "ResetReason", "daily_boundary", "notice", "reset_reason"]

ResetReason: TypeAlias = Literal["idle", "daily", "idle+daily", "manual"]
"""Why a session was reset. `idle+daily` says that both conditions held; `manual` that somebody asked for it."""

Combine: TypeAlias = Literal["any", "all"]

CarryOver: TypeAlias = Literal["nothing", "summary"] | int
"""What the new session begins with: nothing, the old session's summary, or a copy of its last n turns."""

_CHAT_TYPES: frozenset[str] = frozenset(get_args(ChatType))
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


class ResetPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When sessions reset by themselves; `ResetPolicy()` is never.

    An override replaces the whole policy for its platform or chat type and inherits nothing from it. A platform's
    override wins over a chat type's, and that over the rest (the order of hermes).

    Raises ValueError for a value that cannot work: a time zone that is not known, an hour outside 0 to 23, an idle
    time that is not positive, fewer than one turn carried over, an override inside an override.
    """

    idle: timedelta | None = None
    """Reset when the newest message is older than this."""
    daily_at: int | None = None
    """Reset at this full hour (0 to 23) of every day in `timezone`."""
    timezone: str = "UTC"
    """IANA name, for instance `Europe/Berlin`, of the zone whose clock `daily_at` is read on."""
    combine: Combine = "any"
    """With both `idle` and `daily_at`: whether one of them is enough, or both must hold."""
    carry_over: CarryOver = "nothing"
    notify: bool = True
    """Tell the person about an automatic reset."""
    notify_exclude_platforms: tuple[str, ...] = ("api_server", "webhook")
    """Platforms where nobody reads such a message (those of hermes). The model is told there all the same."""
    resume_command: str = "/resume"
    """What the person sends to get the old session back; named in the notice."""
    platforms: dict[str, ResetPolicy] = {}  # msgspec gives every value its own copy
    chat_types: dict[ChatType, ResetPolicy] = {}  # likewise

    def __post_init__(self) -> None:
        _check_trigger(self)
        for name, override in [*self.platforms.items(), *self.chat_types.items()]:
            if override.platforms or override.chat_types:
                msg = f"the reset override for {name!r} has overrides of its own: put them on the outer policy"
                raise ValueError(msg)
        for chat_type in self.chat_types:
            if chat_type not in _CHAT_TYPES:
                msg = f"reset override for unknown chat type {chat_type!r}: use one of {sorted(_CHAT_TYPES)}"
                raise ValueError(msg)

    def for_origin(self, origin: Origin | None) -> ResetPolicy:
        """Give the policy that applies to sessions from this origin; None is an origin that is not known."""
        if origin is None:
            return self
        override = self.platforms.get(origin.platform)
        if override is None:
            override = self.chat_types.get(origin.chat_type)
        return self if override is None else override


def reset_reason(policy: ResetPolicy, session: SessionInfo, now: datetime) -> ResetReason | None:
    """Say why this session should be reset before its next message, or None where it should go on.

    It goes on when no condition holds, and also while a turn runs, while a hold has not expired, when it is pinned,
    has no message or has ended, and when `now` is before its last message (a clock that stepped back proves nothing).
    Overrides are chosen by the session's own origin, so that a sweep and a message decide alike.

    Raises ValueError when `now` has no time zone.
    """
    now = _utc(now)
    active = session.last_active_at.astimezone(UTC)
    if session.bound_at is not None:  # who resumes an old conversation wants it
        active = max(active, session.bound_at.astimezone(UTC))
    chosen = policy.for_origin(session.origin)
    if (
        session.ended_at is not None
        or session.message_count == 0
        or session.turn_running
        or session.pinned
        or now < active
    ):
        return None
    if any(hold.until > now for hold in session.holds):
        return None
    idle = chosen.idle is not None and now - active > chosen.idle
    daily = chosen.daily_at is not None and active < daily_boundary(now, chosen.daily_at, chosen.timezone)
    if idle and daily:
        return "idle+daily"
    if chosen.combine == "all" and chosen.idle is not None and chosen.daily_at is not None:
        return None
    if idle:
        return "idle"
    return "daily" if daily else None


def daily_boundary(now: datetime, hour: int, timezone: str) -> datetime:
    """Give the latest instant, at or before `now`, at which a day's `hour` was reached in `timezone`; in UTC.

    Every local day has exactly one. An hour that the clock shows twice counts when it is first shown. One that the
    clock skips counts as long after the change as it lies inside the gap, which is the change itself when the gap
    begins at that hour (PEP 495 reads such times so).

    Raises ValueError when `now` has no time zone.
    """
    now = _utc(now)
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    # Two days back, because a day that was left out (Samoa, 2011) shares its boundary with the day after it; one day
    # ahead, because a clock set back over midnight shows yesterday's date again after today has begun.
    boundaries = (_boundary(today + timedelta(days=days), hour, zone) for days in (1, 0, -1, -2))
    return next(boundary for boundary in boundaries if boundary <= now)


def notice(reason: ResetReason, session: SessionInfo, policy: ResetPolicy, origin: Origin) -> Notice | None:
    """Say what a reset did: `session` is the one that was left, `origin` where the first message after it came from.

    None when nothing was lost: the session had no message, or all of it was carried over. The model is told of
    every other reset. The person is told of automatic ones, unless `notify` is off or the platform is excluded;
    who reset by hand knows already. The text is the same whenever it is made, so prompt caches hold.
    """
    chosen = policy.for_origin(session.origin)
    if session.message_count == 0:
        return None
    if isinstance(chosen.carry_over, int) and session.message_count <= chosen.carry_over:
        return None  # a turn has at least one message
    cause, kept = _cause(reason, chosen), _kept(chosen.carry_over)
    for_model = (
        f"[This is a new conversation. The previous one here was set aside {cause}. {kept} "
        f"It is stored, and the person can return to it with {chosen.resume_command}.]"
    )
    for_user = f"I started a new conversation {cause}. {kept} Send {chosen.resume_command} to return to the old one."
    silent = reason == "manual" or not chosen.notify or origin.platform in chosen.notify_exclude_platforms
    return Notice(for_model=for_model, for_user=None if silent else for_user)


def _check_trigger(policy: ResetPolicy) -> None:
    if policy.idle is not None and policy.idle <= timedelta(0):
        msg = f"reset idle time is {policy.idle}: it must be positive; leave it out for no idle reset"
        raise ValueError(msg)
    if policy.daily_at is not None and policy.daily_at not in range(24):
        msg = f"reset daily_at is {policy.daily_at!r}: it must be a full hour from 0 to 23"
        raise ValueError(msg)
    if policy.combine not in get_args(Combine):
        msg = f"reset combine is {policy.combine!r}: use 'any' or 'all'"
        raise ValueError(msg)
    carry = policy.carry_over
    if carry not in ("nothing", "summary") if isinstance(carry, str) else carry < 1:
        msg = f"reset carry_over is {carry!r}: use 'nothing', 'summary' or a number of turns from 1"
        raise ValueError(msg)
    try:
        ZoneInfo(policy.timezone)
    except (LookupError, ValueError, OSError) as error:  # by Python version and by what the name collides with
        msg = (
            f"reset timezone {policy.timezone!r} is not known here: use an IANA name such as 'Europe/Berlin'; "
            "where the system has no time zone data, install the tzdata package"
        )
        raise ValueError(msg) from error


def _utc(now: datetime) -> datetime:
    if now.tzinfo is None:
        msg = "now has no time zone: pass an aware datetime, for instance datetime.now(UTC)"
        raise ValueError(msg)
    # Two times in one zone are subtracted by their wall clocks: across a change of the clock that is an hour wrong.
    return now.astimezone(UTC)


def _boundary(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=zone).astimezone(UTC)


def _cause(reason: ResetReason, policy: ResetPolicy) -> str:
    quiet = "for a while" if policy.idle is None else f"for more than {_duration(policy.idle)}"
    clock = "" if policy.daily_at is None else f" at {policy.daily_at:02}:00 ({policy.timezone})"
    match reason:
        case "idle":
            return f"because nobody had written {quiet}"
        case "daily":
            return f"by the daily reset{clock}"
        case "idle+daily":
            return f"by the daily reset{clock} and because nobody had written {quiet}"
        case "manual":
            return "on request"


def _kept(carry_over: CarryOver) -> str:
    match carry_over:
        case "nothing":
            return "Nothing of it was carried over."
        case "summary":
            return "Only its summary was carried over, if it had one."
        case 1:
            return "Only its last turn was carried over."
        case turns:
            return f"Only its last turns were carried over, at most {turns}."


def _duration(span: timedelta) -> str:
    for unit, seconds in _UNITS:
        count, rest = divmod(span, timedelta(seconds=seconds))
        if not rest:
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{span.total_seconds():g} seconds"
