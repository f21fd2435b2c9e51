"""A conversation with what it goes on from: the sessions before it, read backwards through their parents."""

from __future__ import annotations

import re

from palaver.core import Core
from palaver.errors import CursorExpired, SessionNotFound
from palaver.info import Chain, ChainMessage, SessionInfo
from palaver.model import Message
from palaver.rows import SUBAGENT
from palaver.steps import Flow, call, long_call

__all__ = ["chain"]

_LOOKED = 200
"""Messages that are looked at for where the copies begin: instructions may stand before them."""
_MOST = 10_000
"""Sessions that a chain goes back through: damage may have made a circle of them."""
_CURSOR = re.compile(r"(.+)~([0-9]{1,15})~([0-9]{1,6})", re.ASCII)


def chain(core: Core, session_id: str, limit: int, before: str | None) -> Flow[Chain]:
    """The newest live messages of a session and of those before it, oldest first; `before`: those before a cursor.

    Messages that a session begins with as copies are told once. A fork, a thread and a reset that carried messages over
    tell the copies, and the session before only what came before them; where an import says that one session goes on
    another, the other tells all of it, and the copies are left out, unless the other is gone. What a subagent was told
    is not what its parent was: there it ends.
    """
    found = Chain()
    first = yield from call(core.store.info, session_id, core.owner, core.now())
    place, end, hops = _place(before) if before is not None else (first.id, None, 0)
    while place:
        info = yield from _known(core, place)
        if info is None:
            found.missing = place
            break
        wanted = limit - len(found)
        page = yield from long_call(
            core.store.page, info.id, core.owner, before=end, limit=wanted, newest=True, live=True
        )
        told = any(_is_told_before(info, m) for m in page) and (yield from _known(core, info.parent or "")) is not None
        found[:0] = [
            ChainMessage(session_id=info.id, message=m) for m in page if not (told and _is_told_before(info, m))
        ]
        found.corrupt = (*((info.id, seq) for seq in page.corrupt), *found.corrupt)
        if len(page) + len(page.corrupt) == wanted:
            end = min([*(m.seq for m in page), *page.corrupt])
            if len(found) == limit:
                found.before = f"{info.id}~{end}~{hops}"
                break
            continue
        hops += 1
        place, end = (yield from _goes_on(core, info)) if hops < _MOST else ("", None)
    return found


def _known(core: Core, session_id: str) -> Flow[SessionInfo | None]:
    try:
        return (yield from call(core.store.info, session_id, core.owner, core.now()))
    except SessionNotFound:
        return None


def _place(cursor: str) -> tuple[str, int, int]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        msg = f"{cursor!r} is no cursor of a chain: it is what `before` of the page after says"
        raise CursorExpired(msg)
    return found[1], int(found[2]), int(found[3])


def _is_told_before(info: SessionInfo, message: Message) -> bool:
    return info.parent_kind == "import" and info.parent is not None and message.copied_from is not None


def _goes_on(core: Core, info: SessionInfo) -> Flow[tuple[str, int | None]]:
    """The session that comes before one, and where what it tells ends (None: it tells all); empty: there is none."""
    if info.parent is None or info.parent_kind == SUBAGENT:
        return "", None
    if info.parent_kind == "import":
        return info.parent, None
    page = yield from long_call(core.store.page, info.id, core.owner, limit=_LOOKED, live=True)
    for message in page:
        if message.role in {"system", "developer"}:
            continue
        if message.copied_from is None:
            break
        source, _, seq = message.copied_from.rpartition("~")
        return source, int(seq)
    return (info.parent, None) if info.parent_kind == "reset" else ("", None)
