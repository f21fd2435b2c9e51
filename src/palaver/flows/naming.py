"""Finding the session that a person means: by its id, an alias, its title, or the beginning of one."""

from __future__ import annotations

from collections.abc import Sequence

from palaver import codec, titles
from palaver.core import Core, Target
from palaver.errors import SessionAmbiguous, SessionNotFound
from palaver.flows.sessions import known
from palaver.info import SessionName
from palaver.operations import Bind
from palaver.rows import SessionRow
from palaver.steps import Flow, call, write
from palaver.stores.base import SessionQuery

__all__ = ["bind", "named"]

MOST = 50
"""Sessions that are looked at of those whose names begin so."""
SHOWN = 5
"""Of these, named in an error."""
RECENT = 200
"""Sessions whose names are compared with one that nothing has."""
SHORTEST_ID = 4
"""Characters of an id that may stand for it: ids of one time begin alike."""


def named(core: Core, text: str) -> Flow[str]:
    """The id of the session that this names.

    The first of these that finds one: its id or alias; its title; its title without regard to case, width and
    spaces; the beginning of a title, or of an id. No look-up reads more than a few rows of an index.

    Raises SessionAmbiguous where the first that finds any finds several, SessionNotFound with names that are near.
    """
    text = codec.clean_text(text)
    try:
        return (yield from known(core, text))
    except SessionNotFound:
        pass
    key = titles.folded(text)
    if not key:
        raise SessionNotFound("an empty name names no session: give an id, an alias, a title or the beginning of one")
    beginning = core.store.beginning
    titled = yield from call(beginning, core.owner, key, by="title", limit=MOST)
    alike = [each for each in titled if titles.folded(each.title or "") == key]
    for found in ([each for each in alike if each.title == text], alike):
        if found:
            return _only(found, text, "is the title of")
    begun = []
    if len(text) >= SHORTEST_ID:
        begun = yield from call(beginning, core.owner, text.casefold(), by="id", limit=MOST)
    together = list({each.id: each for each in (*titled, *begun)}.values())
    if together:
        return _only(together, text, "begins the names of")
    raise SessionNotFound((yield from _unknown(core, text)))


def _only(found: Sequence[SessionName], text: str, does: str) -> str:
    if len(found) == 1:
        return found[0].id
    count = f"{len(found)} sessions" if len(found) < MOST else f"{MOST} sessions or more"
    shown = ", ".join(map(str, found[:SHOWN]))
    rest = ", …" if len(found) > SHOWN else ""
    msg = f"{text!r} {does} {count}: {shown}{rest}: give more of it, or an id"
    raise SessionAmbiguous(msg, candidates=found)


def _unknown(core: Core, text: str) -> Flow[str]:
    """What to say of a name that nothing has: what it may have meant, of the sessions with the newest activity."""
    query = SessionQuery(owner=core.owner, limit=RECENT, include_archived=True)
    recent = yield from call(core.store.sessions, query, core.now())
    by_name = {name: info for info in reversed(recent) for name in (info.title, info.id) if name is not None}
    near = [SessionName(id=by_name[name].id, title=by_name[name].title) for name in titles.near(text, by_name)]
    remedy = f"did you mean {', '.join(map(str, near))}?" if near else "list shows what there is"
    return f"no session has the id, alias or title {text!r}, and none begins so; {remedy}"


def bind(core: Core, target: Target, reference: str) -> Flow[str]:
    """Point a key at the session that this names; gives its id."""
    key = core.key(target)
    session_id = yield from named(core, reference)
    row: SessionRow = yield from write(Bind(at=core.at(), owner=core.owner, key=key, session_id=session_id))
    return row.id
