"""`palaver ls`: which sessions there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import islice
from typing import Any

from msgspec import structs

from palaver.cli import records
from palaver.cli.amounts import counted
from palaver.cli.moments import shown
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.info import SessionInfo
from palaver.manager import SessionManager
from palaver.operations.removal import NOTHING_LEFT, PURGING
from palaver.titles import folded

__all__ = ["list_sessions"]

GAP = "  "
PAGE = 1_000
"""Sessions that are looked at together for those that were deleted."""
_GONE = NOTHING_LEFT | {PURGING}
"""Why sessions have ended that nothing brings back."""
NARROW = 20
"""Where keys and titles have fewer columns than this, a table would hide them: each session gets lines of its own."""


def list_sessions(
    manager: SessionManager,
    output: Output,
    *,
    limit: int,
    active_since: datetime | None,
    everything: bool,
    deleted: bool = False,
    **narrowed: Any,
) -> None:
    """Write the sessions, newest activity first, and say when there are more; with `deleted` only deleted ones."""
    asked: dict[str, Any] = {"active_since": active_since, **narrowed}
    if deleted:
        found = list(islice(_deleted(manager, asked), limit + 1))
    else:
        found = manager.list(
            limit=limit + 1,
            include_archived=everything,
            include_empty=everything,
            include_hidden=everything,
            **asked,
        )
    more = len(found) > limit
    turns = {turn.session_id: turn.alive for turn in manager.open_turns()}  # a list of sessions does not tell
    sessions = [structs.replace(each, turn_running=turns.get(each.id, False)) for each in found[:limit]]
    interrupted = {session_id for session_id, alive in turns.items() if not alive}
    if output.json:
        for session in sessions:
            output.record({**records.of(session), "turn_interrupted": session.id in interrupted})
        return
    if sessions:
        _write(sessions, output, interrupted)
    else:
        output.note(
            "no sessions" if everything or deleted else "no sessions; --all shows empty, archived and hidden ones too"
        )
    for each in sessions:
        if each.unreadable:
            output.note(f"{each.id}: damaged, and not shown: {', '.join(each.unreadable)}; `palaver check` says more")
    if more:
        output.note(f"there are more; --limit shows more than {limit}")


def _deleted(manager: SessionManager, asked: Mapping[str, Any]) -> Iterator[SessionInfo]:
    """Deleted sessions that can be brought back, whatever else they are, page by page: no list is of them alone.

    Lists do not find them by their titles, which others may have now.
    """
    title = folded(asked["title"]) if asked.get("title") is not None else None
    narrowed: dict[str, Any] = {**asked, "title": None}
    after: str | None = None
    while True:
        page = manager.list(
            limit=PAGE,
            after=after,
            include_deleted=True,
            include_archived=True,
            include_empty=True,
            include_hidden=True,
            **narrowed,
        )
        for info in page:
            restorable = info.deleted_at is not None and info.end_reason not in _GONE
            if restorable and (title is None or title in folded(info.title or "")):
                yield info
        if len(page) < PAGE:
            return
        after = page[-1].id


def _state(session: SessionInfo, interrupted: AbstractSet[str]) -> str:
    words = (
        ("running", session.turn_running),
        ("interrupted", session.id in interrupted),
        ("deleted", session.deleted_at is not None),
        ("ended", session.ended_at is not None and session.deleted_at is None),
        ("archived", session.archived),
        ("hidden", session.hidden),
        ("pinned", session.pinned),
    )
    return " ".join(word for word, holds in words if holds)


def _key(session: SessionInfo) -> str:
    if not session.keys:
        return "-"
    first, *others = session.keys
    return one_line(first) + (f" +{len(others)}" if others else "")


def _title(session: SessionInfo, interrupted: AbstractSet[str]) -> str:
    state = _state(session, interrupted)
    title = one_line(session.title or session.preview or "")
    return f"({state}) {title}" if state else title


def _columns(sessions: Sequence[SessionInfo], interrupted: AbstractSet[str]) -> dict[str, list[str]]:
    columns = {
        "ID": [one_line(s.id) for s in sessions],
        "LAST ACTIVE": [shown(s.last_active_at) for s in sessions],
        "MSGS": [str(s.message_count) for s in sessions],
        "OWNER": [one_line(s.owner or "") for s in sessions],
        "KEY": [_key(s) for s in sessions],
        "TITLE": [_title(s, interrupted) for s in sessions],
    }
    if not any(columns["OWNER"]):
        del columns["OWNER"]
    return columns


def _widths(columns: dict[str, list[str]], available: int) -> dict[str, int] | None:
    """How wide each column may be. Ids and times stay whole, since one copies them; keys and titles share the rest.

    None: there is no room for a table.
    """
    from rich.cells import cell_len

    widths = {name: max(cell_len(name), *map(cell_len, cells)) for name, cells in columns.items()}
    if "OWNER" in widths:
        widths["OWNER"] = min(widths["OWNER"], max(available // 6, 8))
    gaps = len(GAP) * (len(columns) - 1)
    left = available - gaps - sum(width for name, width in widths.items() if name not in {"KEY", "TITLE"})
    if left < NARROW:
        return None
    widths["KEY"] = min(widths["KEY"], max(left // 2, left - widths["TITLE"]))
    widths["TITLE"] = min(widths["TITLE"], left - widths["KEY"])
    return widths


def _write(sessions: Sequence[SessionInfo], output: Output, interrupted: AbstractSet[str]) -> None:
    columns = _columns(sessions, interrupted)
    widths = _widths(columns, output.width)
    if widths is None:
        for session in sessions:
            _block(session, output, interrupted)
        return
    output.row(list(columns), list(widths.values()), "bold", gap=GAP)
    for number in range(len(sessions)):
        output.row([cells[number] for cells in columns.values()], list(widths.values()), gap=GAP)


def _block(session: SessionInfo, output: Output, interrupted: AbstractSet[str]) -> None:
    output.text(one_line(session.id), "bold")
    output.text(f"{shown(session.last_active_at)}, {counted(session.message_count, 'message')}", indent=2)
    for line in (session.owner or "", _key(session), _title(session, interrupted)):
        if line:
            output.text(one_line(line), indent=2)
