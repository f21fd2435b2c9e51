"""The page of all sessions, and of what a search finds in them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Literal, TypeAlias, cast, get_args

import msgspec
from markupsafe import Markup
from starlette.responses import Response

from palaver.aio import AsyncSessionManager
from palaver.errors import SessionNotFound
from palaver.info import SessionInfo
from palaver.redact import clean
from palaver.search import SearchPage
from palaver.server.inspector.access import keys_of
from palaver.server.inspector.markup import marked
from palaver.server.inspector.stored import now_of
from palaver.server.inspector.templating import link
from palaver.server.inspector.visits import View, Visit, page
from palaver.server.pages import trial
from palaver.server.reach import session_handle

__all__ = ["VIEWS", "Filter", "fingerprint", "listed"]

PAGE = 30
_LOOKED_AT = 20
"""Pages of sessions that are looked through for those that a state asks for, before the reader is asked to go on."""

State: TypeAlias = Literal["", "open", "running", "ended", "pinned", "archived", "deleted", "hidden"]
STATES: tuple[tuple[State, str], ...] = (
    ("", "Any state"),
    ("open", "Open"),
    ("running", "A turn is running"),
    ("ended", "Ended"),
    ("pinned", "Pinned"),
    ("archived", "Archived"),
    ("hidden", "Hidden"),
    ("deleted", "Deleted"),
)
SINCE: tuple[tuple[str, str], ...] = (
    ("", "Any time"),
    ("1h", "Last hour"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("365d", "Last year"),
)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions are shown."""

    q: str = ""
    platform: str = ""
    owner: str = ""
    agent: str = ""
    tag: str = ""
    state: State = ""
    since: str = ""

    @classmethod
    def of(cls, visit: Visit) -> Filter:
        """What the query asks for; what it says wrongly is left out."""
        given = {name: visit.query.get(name, "").strip()[:256] for name in cls.__struct_fields__}
        state = given.pop("state")
        since = given.pop("since")
        return cls(
            **given,
            state=cast("State", state) if state in get_args(State) else "",
            since=since if since in dict(SINCE) else "",
        )

    @property
    def narrows(self) -> bool:
        """Whether it leaves anything out."""
        return any(msgspec.structs.astuple(self))

    def after(self, now: datetime) -> datetime | None:
        """Activity before this is left out."""
        if not self.since:
            return None
        number = int(self.since[:-1])
        return now - (timedelta(hours=number) if self.since.endswith("h") else timedelta(days=number))

    @property
    def query(self) -> str:
        """It, as a query."""
        return self.url().partition("?")[2]

    def url(self, **more: object) -> str:
        """The page that this filter makes."""
        return link(**{**msgspec.structs.asdict(self), **more})


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A session in the list."""

    info: SessionInfo
    name: str
    stamp: str


def scoped(visit: Visit, wanted: Filter) -> AsyncSessionManager | None:
    """The sessions of the owner that is asked for; None where the visitor may see none of those."""
    if not wanted.owner:
        return visit.sessions
    if visit.visitor.owner is not None:
        return visit.sessions if wanted.owner == visit.visitor.owner else None
    return visit.sessions.for_owner(wanted.owner)


async def listed(
    sessions: AsyncSessionManager, wanted: Filter, after: str | None, *, limit: int = PAGE
) -> tuple[list[SessionInfo], str | None]:
    """A page of sessions, and where the next one begins."""
    narrowed: dict[str, Any] = {
        "platform": wanted.platform or None,
        "agent": wanted.agent or None,
        "tag": wanted.tag or None,
        "pinned": True if wanted.state == "pinned" else None,
        "archived": True if wanted.state == "archived" else None,
        "hidden": True if wanted.state == "hidden" else None,
        "active_since": wanted.after(now_of(sessions)),
        "include_ended": wanted.state not in {"open", "running"},
        "include_archived": wanted.state in {"archived", "pinned", "deleted", "hidden", "running"},
        "include_hidden": wanted.state in {"hidden", "running"},
        "include_deleted": wanted.state == "deleted",
        "include_empty": wanted.state in {"pinned", "archived", "hidden", "deleted"},
    }
    if wanted.state in {"", "open", "pinned", "archived", "hidden"}:
        rows = await sessions.list(limit=limit + 1, after=after, **narrowed)
        return rows[:limit], rows[limit - 1].id if len(rows) > limit else None
    kept: list[SessionInfo] = []
    for _ in range(_LOOKED_AT):
        rows = await sessions.list(limit=200, after=after, **narrowed)
        for row in rows:
            after = row.id
            if _is(row, wanted.state):
                kept.append(row)
                if len(kept) == limit:
                    return kept, after
        if len(rows) < 200:
            return kept, None
    return kept, after


def _is(info: SessionInfo, state: State) -> bool:
    if state == "running":
        return info.turn_running
    return info.ended_at is not None if state == "ended" else info.deleted_at is not None


def fingerprint(rows: Sequence[SessionInfo]) -> str:
    """What a page knows of these sessions: another text once there is something new to show."""
    said = "|".join(f"{row.id} {row.etag} {int(row.turn_running)}" for row in rows)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


async def _with_usage(sessions: AsyncSessionManager, rows: Sequence[SessionInfo]) -> list[Listed]:
    """The sessions with what they used, which lists do not say."""
    out: list[Listed] = []
    for row in rows:
        info = row
        if row.deleted_at is None:
            try:
                info = await session_handle(sessions, row.id).info()
            except SessionNotFound:  # it was deleted in this moment
                continue
        stamp = f"{info.etag}.{int(info.turn_running)}"
        out.append(Listed(info=info, name=clean(info.title or info.preview or "") or info.id, stamp=stamp))
    return out


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a search found."""

    seq: int
    role: str
    at: datetime
    snippet: Markup
    url: str


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one session."""

    session_id: str
    name: str
    owner: str | None
    hits: tuple[Hit, ...]


def _grouped(results: SearchPage) -> list[Hits]:
    """Hits by session, where they follow each other."""
    out: list[Hits] = []
    for session_id, group in groupby(results, key=lambda hit: hit.session_id):
        hits = list(group)
        made = tuple(
            Hit(
                seq=hit.seq,
                role=hit.role,
                at=hit.created_at,
                snippet=marked(hit.snippet, hit.highlights),
                url=f"{link('sessions', session_id, at=hit.seq)}#m{hit.seq}",
            )
            for hit in hits
        )
        name = clean(hits[0].title or "") or session_id
        out.append(Hits(session_id=session_id, name=name, owner=hits[0].owner, hits=made))
    return out


async def show(visit: Visit) -> Response:
    """Sessions, newest activity first; or what a search finds."""
    wanted = Filter.of(visit)
    sessions = scoped(visit, wanted)
    now = now_of(visit.sessions)
    shared: dict[str, Any] = {"wanted": wanted, "states": STATES, "times": SINCE, "now": now}
    if wanted.q:
        results = SearchPage()
        if sessions is not None:
            results = await sessions.search(
                wanted.q,
                platform=wanted.platform or None,
                since=wanted.after(now),
                cursor=visit.query.get("cursor") or None,
                limit=PAGE,
                session_id=visit.query.get("session") or None,
            )
        return await page(visit, "search.html", results=_grouped(results), found=results, **shared)
    after = visit.query.get("after") or None
    rows, following = await listed(sessions, wanted, after) if sessions is not None else ([], None)
    base = f"{visit.request.url.scheme}://{visit.request.headers['host']}"
    return await page(
        visit,
        "sessions.html",
        rows=await _with_usage(sessions, rows) if sessions is not None else [],
        following=following,
        first=after is None,
        platforms=sorted({row.origin.platform for row in rows if row.origin is not None}),
        tags=sorted({tag for row in rows for tag in row.tags}),
        seen=fingerprint(rows),
        commands=trial(base, keyed=keys_of(visit.request) is not None),
        **shared,
    )


VIEWS = (View("GET", "/", show),)
