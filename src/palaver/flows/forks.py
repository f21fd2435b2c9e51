"""A fork: a new session that begins with copies of another one's messages."""

from __future__ import annotations

from collections.abc import Sequence

from palaver import codec
from palaver.core import Core
from palaver.errors import PalaverError, SessionConflict
from palaver.exchanges import boundary
from palaver.flows.history import copy
from palaver.flows.sessions import turns_around
from palaver.info import SessionInfo
from palaver.model import Message
from palaver.operations import Append, Compact, Create, NewSession, Operation, SetInfo
from palaver.steps import Flow, call, commit, long_call

__all__ = ["fork"]

_CHUNK = 500


def fork(core: Core, session_id: str, at: int | None, title: str | None) -> Flow[str]:
    """Make a session with copies of what is live through a position (None: all of it); gives its id.

    Inside an exchange it ends before it: half an exchange is no history. The summary comes along where all that it
    covers does. A long one is hidden until it is whole, so that a crash leaves nothing that looks like a fork.
    """
    info = yield from call(core.store.info, session_id, core.owner, core.now())
    through = info.last_seq
    if at is not None and not 0 <= at <= through:
        msg = f"session {session_id!r} has positions 1 to {through}; there is no message at seq {at} to fork at"
        raise SessionConflict(msg, expected=at, actual=through)
    if at is not None and at < through:
        through = boundary((yield from turns_around(core, session_id, at)), at) if at > 0 else 0
    chunk, done = yield from _chunk(core, session_id, 0, through)
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
        carried=tuple(copy(m, session_id) for m in chunk),
        hidden=not done,
    )
    owner = info.owner or core.owner
    yield from _write(Create(at=core.at(), owner=owner, new=new))
    kept = [m.seq for m in chunk]
    while not done:
        chunk, done = yield from _chunk(core, session_id, chunk[-1].seq, through)
        drafts = tuple(copy(m, session_id) for m in chunk)
        yield from _write(Append(at=core.at(), owner=owner, session_id=new.id, messages=drafts, expected_seq=len(kept)))
        kept += [m.seq for m in chunk]
    yield from _finish(core, owner, info, new, kept)
    return new.id


def _chunk(core: Core, session_id: str, after: int, through: int) -> Flow[tuple[list[Message], bool]]:
    """The next live messages up to a position, and whether they are the last."""
    if after >= through:
        return [], True
    page = yield from long_call(core.store.page, session_id, core.owner, after=after, before=through + 1, limit=_CHUNK)
    return page, len(page) < _CHUNK


def _finish(core: Core, owner: str | None, info: SessionInfo, new: NewSession, kept: Sequence[int]) -> Flow[None]:
    tail = yield from call(core.store.tail, info.id, core.owner, core.now(), limit=1)
    summary = tail.summary
    if summary is not None and kept and summary.through_seq <= kept[-1]:
        covered = sum(seq <= summary.through_seq for seq in kept)
        yield from _write(Compact(at=core.at(), owner=owner, session_id=new.id, through_seq=covered, text=summary.text))
    if new.hidden:
        yield from _write(SetInfo(at=core.at(), owner=owner, session_id=new.id, hidden=False))


def _write(operation: Operation) -> Flow[None]:
    [outcome] = yield from commit(operation)
    if isinstance(outcome, PalaverError):
        raise outcome
