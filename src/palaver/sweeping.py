"""What a sweep does with a session, and why: a function of the policies, the session and the time.

Nothing is swept that a person pinned, that work holds, in which a turn runs or a message waits, or whose newest message
lies in the future of the clock (one that stepped back proves nothing). What is removed for its age or for want of room
is deleted first, and can be restored until a later sweep purges it. A session that has fields which cannot be decoded
is left alone until a repair: they may be what would keep it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from palaver.info import SessionInfo, Todo
from palaver.reset import ResetPolicy, reset_reason

__all__ = [
    "Standing",
    "SweepAction",
    "SweepPolicy",
    "SweepQuery",
    "SweepReport",
    "SweepWhat",
    "decide",
    "oldest_first",
    "sought_before",
]

SweepWhat: TypeAlias = Literal["purge", "delete", "archive", "expire", "todo", "clean", "prune"]
"""`todo`: a session is over, and its to-do was made; `expire`: it was reset; `clean`: what belongs to nothing was
removed; `prune`: old lines of the change feed were."""

_HOUR = timedelta(hours=1)


class SweepPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a sweep removes, archives and resets. None is never.

    What nobody can miss is on by default; what could be missed is off. Raises ValueError for a time or a size that is
    negative.
    """

    empty_after: timedelta | None = _HOUR
    """Purge sessions that never had a message, and copies that a crash left half made, so long after they were stored.
    A new session that a reset left under its key stays: it has yet to say what happened."""
    purge_deleted_after: timedelta | None = timedelta(days=30)
    """Purge deleted sessions so long after they were deleted: until then they can be restored."""
    expire: bool = True
    """Reset sessions whose reset policy says that they are over, before their next message comes. Resets are off unless
    the manager's reset policy asks for them."""
    archive_after: timedelta | None = None
    """Archive sessions that have been silent for so long."""
    delete_after: timedelta | None = None
    """Delete sessions that have been silent for so long."""
    max_bytes: int | None = None
    """Delete the sessions that have been silent longest until the others' messages and media are not more than this.
    Content that several sessions show counts in each."""
    orphans: bool = True
    """Remove what belongs to nothing: content that no message shows, index entries of messages that are gone."""
    keep_changes: int | None = None
    """Keep so many of the newest lines of the change feed; a cursor from before them is then CursorExpired."""

    def __post_init__(self) -> None:
        for name in ("empty_after", "purge_deleted_after", "archive_after", "delete_after"):
            span = getattr(self, name)
            if span is not None and span < timedelta(0):
                msg = f"{name} is {span}: it is a length of time, such as timedelta(days=30), or None for never"
                raise ValueError(msg)
        for name in ("max_bytes", "keep_changes"):
            number = getattr(self, name)
            if number is not None and number < 0:
                msg = f"{name} is {number}: it is 0 or more, or None for no bound"
                raise ValueError(msg)


class SweepQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which sessions a sweep looks at: a page of them, in the order in which they were stored, without purged ones."""

    owner: str | None = None
    after: str | None = None
    """Session id that the page before ended with."""
    limit: int = 200
    active_before: datetime | None = None
    """Only those that were last active before this, and deleted, empty and half copied ones. None: all."""
    sizes: bool = False
    """Whether to say how large each is, which costs a look at all of its messages."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A session as a sweep sees it."""

    session: SessionInfo
    """Deleted ones too. `bound_at` is when a key was pointed at it last; `usage` is not filled in."""
    stored_at: datetime
    """When the store got it, or got it back; an imported conversation is older than that."""
    waiting: bool = False
    """Whether a message waits in it for a turn."""
    copies: bool = False
    """Whether its newest message is a copy: it holds nothing of its own."""
    half_copied: bool = False
    """Whether it is a fork that is being made, or whose making was cut off."""
    half_purged: bool = False
    """Whether it was purged, and some of its messages are still to be removed."""
    todo: Todo | None = None
    size: int = 0
    """Bytes of its messages and of what they show; 0 where nobody asked."""


class SweepAction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a sweep did, or in a dry run would do."""

    what: SweepWhat
    session_id: str | None = None
    """None for `clean` and `prune`, whose `reason` says what was removed."""
    owner: str | None = None
    reason: str


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep did; in a dry run, what it would do."""

    dry_run: bool
    actions: tuple[SweepAction, ...] = ()
    more: bool = False
    """Whether `limit` ended it before it was through: sweep again."""
    changed: int = 0
    """Sessions that were in use again when their turn came, and were left as they are."""
    given_up: tuple[Todo, ...] = ()
    """To-dos whose third attempt failed, of sessions that are not deleted: the first 100. Their resets went on."""

    @property
    def counts(self) -> dict[SweepWhat, int]:
        """How many actions of each kind."""
        out: dict[SweepWhat, int] = {}
        for action in self.actions:
            out[action.what] = out.get(action.what, 0) + 1
        return out


def decide(
    policy: SweepPolicy, resets: ResetPolicy, standing: Standing, now: datetime, *, before_reset: bool
) -> SweepAction | None:
    """Say what a sweep does with a session, or None where it leaves it alone. Raises ValueError for a naive `now`."""
    session = standing.session
    if session.unreadable:
        return None
    if standing.half_purged:
        return _action("purge", session, "it was purged, and not yet to the end")
    if session.deleted_at is not None:
        over = _over(policy.purge_deleted_after, session.deleted_at, now)
        return _action("purge", session, f"it was deleted {_when(session.deleted_at)}") if over else None
    if _is_kept(standing, now):
        return None
    quiet = _quiet_since(session)
    if standing.half_copied:
        over = _over(policy.empty_after, max(quiet, standing.stored_at), now)
        return _action("purge", session, f"a copy of {session.parent} that was never finished") if over else None
    if session.last_seq == 0:
        promised = session.parent_kind == "reset" and session.keys  # it has a notice to give, and its parent to name
        if promised or not _over(policy.empty_after, max(quiet, standing.stored_at), now):
            return None
        return _action("purge", session, f"empty since {_when(standing.stored_at)}")
    asked = standing.todo is not None and standing.todo.state in ("waiting", "claimed")
    if not asked and _over(policy.delete_after, max(quiet, standing.stored_at), now):
        return _action("delete", session, f"silent since {_when(quiet)}")
    if policy.expire and session.keys and not standing.copies:
        action = _expiry(resets, standing, now, before_reset=before_reset)
        if action is not None:
            return action
    if not session.archived and _over(policy.archive_after, max(quiet, standing.stored_at), now):
        return _action("archive", session, f"silent since {_when(quiet)}")
    return None


def _expiry(resets: ResetPolicy, standing: Standing, now: datetime, *, before_reset: bool) -> SweepAction | None:
    session, todo = standing.session, standing.todo
    reason = reset_reason(resets, session, now)
    if reason is None:
        return None
    if not before_reset or (todo is not None and todo.state == "given_up" and todo.through_seq >= session.last_seq):
        aside = "; its to-do was given up" if before_reset else ""
        return _action("expire", session, f"{reason}, silent since {_when(_quiet_since(session))}{aside}")
    if todo is not None and todo.state == "done" and todo.through_seq >= session.last_seq:
        return _action("expire", session, f"{reason}, silent since {_when(_quiet_since(session))}")
    if todo is not None and todo.state in ("waiting", "claimed") and todo.through_seq >= session.last_seq:
        return None
    return _action("todo", session, f"{reason}, silent since {_when(_quiet_since(session))}")


def oldest_first(policy: SweepPolicy, standings: Iterable[Standing], now: datetime) -> list[SweepAction]:
    """What goes for want of room: the sessions that were silent longest, until the others fit into `max_bytes`.

    `standings` are those that the sweep leaves where they are; what is kept counts, and stays.
    """
    found = [s for s in standings if s.session.deleted_at is None]
    left = sum(s.size for s in found)
    out: list[SweepAction] = []
    if policy.max_bytes is None:
        return out
    for standing in sorted(found, key=lambda s: (_quiet_since(s.session), s.session.id)):
        if left <= policy.max_bytes:
            break
        asked = standing.todo is not None and standing.todo.state in ("waiting", "claimed")
        if standing.size == 0 or asked or standing.half_copied or _is_kept(standing, now):
            continue
        left -= standing.size
        reason = f"{standing.size:,} bytes, silent since {_when(_quiet_since(standing.session))}, to make room"
        out.append(_action("delete", standing.session, reason))
    return out


def sought_before(policy: SweepPolicy, resets: ResetPolicy, now: datetime) -> datetime | None:
    """Sessions with messages that were active at this time or later cannot be meant by any rule; None: any may be."""
    spans: list[timedelta] = [span for span in (policy.archive_after, policy.delete_after) if span is not None]
    if policy.expire:
        for each in (resets, *resets.platforms.values(), *resets.chat_types.values()):
            if each.daily_at is not None:
                return None
            if each.idle is not None:
                spans.append(each.idle)
    if policy.max_bytes is not None:
        return None
    first = datetime.min.replace(tzinfo=now.tzinfo)
    return now - min(spans) if spans and min(spans) < now - first else first


def _is_kept(standing: Standing, now: datetime) -> bool:
    session = standing.session
    held = any(hold.until > now for hold in session.holds)
    kept = session.pinned or held or session.turn_running or standing.waiting or now < session.last_active_at
    return kept or session.unreadable != ()


def _quiet_since(session: SessionInfo) -> datetime:
    """When anybody last had to do with it: who resumes an old conversation wants it."""
    return max(session.last_active_at, session.bound_at or session.last_active_at)


def _over(span: timedelta | None, since: datetime, now: datetime) -> bool:
    return span is not None and now - since > span


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _action(what: SweepWhat, session: SessionInfo, reason: str) -> SweepAction:
    return SweepAction(what=what, session_id=session.id, owner=session.owner, reason=reason)
