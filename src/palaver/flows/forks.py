"""A fork: a new session that begins with copies of another one's messages."""

from __future__ import annotations

from typing import NamedTuple

from palaver import codec
from palaver.core import Core
from palaver.errors import ContentErased, InvalidMessage, PalaverError, SessionConflict, StoreError
from palaver.exchanges import boundary
from palaver.flows.history import copy
from palaver.flows.sessions import turns_around
from palaver.info import SessionInfo
from palaver.model import Message
from palaver.operations import Append, Compact, Create, KeyMoved, PurgeSession, SetInfo
from palaver.rows import SessionRow
from palaver.steps import Flow, call, commit, long_call, write

__all__ = ["fork"]

_CHUNK = 500
_TRIES = 5


def fork(core: Core, session_id: str, at: int | None, title: str | None) -> Flow[str]:
    """Make a session with copies of what is live through a position (None: all of it); gives its id.

    Inside an exchange it ends before it: half an exchange is no history. The summary comes along where all that it
    covers does. A long one is hidden until it is whole, so that a crash leaves nothing that looks like a fork.
    """
    for attempt in range(_TRIES):
        try:
            return (yield from _fork(core, session_id, at, title))
        except (ContentErased, InvalidMessage, KeyMoved):
            # What was read was erased, or an image in it purged, before its copy was stored: it is read again.
            if attempt == _TRIES - 1:
                raise
    raise AssertionError


def _fork(core: Core, session_id: str, at: int | None, title: str | None) -> Flow[str]:
    info = yield from call(core.store.info, session_id, core.owner, core.now())
    through = info.last_seq
    if at is not None and not 0 <= at <= through:
        msg = f"session {session_id!r} has positions 1 to {through}; there is no message at seq {at} to fork at"
        raise SessionConflict(msg, expected=at, actual=through)
    if at is not None and at < through:
        through = boundary((yield from turns_around(core, session_id, at)), at) if at > 0 else 0
    chunk = yield from _chunk(core, session_id, 0, through)
    given = title or info.title  # a fork of a titled session has that title with the next number
    new = core.new_session(
        info.origin,
        core.now(),
        explicit=True,
        parent=session_id,
        parent_kind="fork",
        title=given,
        title_source="user" if title is not None else info.title_source,
        title_numbered=title is None,
        model=info.model,
        metadata=codec.json_text(info.metadata, "metadata") if info.metadata else None,
        carried=tuple(copy(m, session_id) for m in chunk.messages),
        hidden=not chunk.ends,
    )
    owner = info.owner or core.owner
    row: SessionRow = yield from write(Create(at=core.at(), owner=owner, new=new))
    try:
        yield from _complete(core, owner, info, row, chunk, through)
    except StoreError:
        raise
    except PalaverError:  # half of it is nothing that anybody asked for; what is left of it even so is swept
        yield from commit(PurgeSession(at=core.at(), owner=owner, session_id=new.id))
        raise
    return new.id


class _Chunk(NamedTuple):
    """Live messages in order, through which position they were looked for, and whether they are the last."""

    messages: list[Message]
    through: int
    ends: bool


def _chunk(core: Core, session_id: str, after: int, through: int) -> Flow[_Chunk]:
    """The next live messages up to a position. What cannot be decoded cannot be copied; `check` names it."""
    if after >= through:
        return _Chunk([], through, ends=True)
    page = yield from long_call(core.store.page, session_id, core.owner, after=after, before=through + 1, limit=_CHUNK)
    looked = max([after, *page.corrupt, *(m.seq for m in page[-1:])])
    return _Chunk(page, looked, ends=len(page) + len(page.corrupt) < _CHUNK)


def _complete(
    core: Core, owner: str | None, info: SessionInfo, row: SessionRow, chunk: _Chunk, through: int
) -> Flow[None]:
    """What comes after the first chunk, and the summary."""
    kept = [m.seq for m in chunk.messages]
    while not chunk.ends:
        chunk = yield from _chunk(core, info.id, chunk.through, through)
        drafts = tuple(copy(m, info.id) for m in chunk.messages)
        yield from write(Append(at=core.at(), owner=owner, session_id=row.id, messages=drafts, expected_seq=len(kept)))
        kept += [m.seq for m in chunk.messages]
    tail = yield from call(core.store.tail, info.id, core.owner, core.now(), limit=1)
    summary = tail.summary
    if summary is not None and kept and summary.through_seq <= kept[-1]:
        covered = sum(seq <= summary.through_seq for seq in kept)
        told = Compact(
            at=core.at(),
            owner=owner,
            session_id=row.id,
            through_seq=covered,
            text=summary.text,
            drafted_rev=row.rev,
        )
        [outcome] = yield from commit(told)
        if isinstance(outcome, SessionConflict):  # what it tells of was erased from the copies: perhaps from it too
            raise KeyMoved(str(outcome), expected=outcome.expected, actual=outcome.actual) from outcome
        if isinstance(outcome, PalaverError):
            raise outcome
    if row.hidden:
        yield from write(SetInfo(at=core.at(), owner=owner, session_id=row.id, hidden=False))
