"""What the verbs of one session, and of keys and collections, do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from palaver import codec
from palaver.core import Core, Target
from palaver.errors import SessionNotFound
from palaver.flows.drafting import drafts
from palaver.info import Page
from palaver.keys import Origin
from palaver.model import Message, Usage
from palaver.operations import (
    Alias,
    Append,
    Appended,
    Create,
    Delete,
    Hold,
    NewSession,
    Purge,
    PurgeSession,
    RecordUsage,
    Restore,
    SetInfo,
)
from palaver.rows import SUBAGENT, SessionRow
from palaver.steps import Flow, call, long_call, write
from palaver.times import to_micros
from palaver.titles import tidy

__all__ = [
    "add_alias",
    "append",
    "create",
    "delete",
    "find",
    "hold",
    "known",
    "messages",
    "promised",
    "purge",
    "record_usage",
    "rename",
    "restore",
    "set_info",
    "set_metadata",
    "subagent",
    "turns_around",
]

_AROUND = 200
"""Messages read on either side of where a summary shall end, to see that no exchange is torn."""
_FARTHEST = 100_000


def find(core: Core, target: Target) -> Flow[str]:
    """The id of the session that an origin or key points at, or SessionNotFound."""
    key = core.key(target)
    bound = yield from call(core.store.bound, core.key_owner, key)
    if bound is None:
        msg = f"no session under key {key!r}: get_or_create makes one"
        raise SessionNotFound(msg)
    return bound


def known(core: Core, reference: str) -> Flow[str]:
    """The id of the session with this id or alias, or SessionNotFound."""
    try:
        found = yield from call(core.store.info, reference, core.owner, core.now())
    except SessionNotFound:
        alias = yield from call(core.store.named, core.owner, reference)
        if alias is None:
            raise
        return alias
    return found.id


def promised(core: Core, target: Target, *, origin: Origin | None = None) -> Flow[tuple[str, NewSession | None]]:
    """Id of the session under an origin or key, and what its first message has to make where there is none.

    `origin` is where that one then comes from; None: from the target, if that is one.
    """
    bound = yield from call(core.store.bound, core.key_owner, core.key(target))
    if bound is not None:
        return bound, None
    new = core.new_session(target, core.now())
    if origin is not None:
        new = msgspec.structs.replace(new, origin=msgspec.json.encode(origin).decode())
    return new.id, new


def create(
    core: Core,
    target: Target | None,
    *,
    alias: str | None,
    title: str | None,
    metadata: Mapping[str, Any] | None,
    hidden: bool,
) -> Flow[str]:
    """Make a session on purpose; gives its id."""
    new = core.new_session(
        target,
        core.now(),
        explicit=True,
        title=title,
        metadata=codec.json_text(dict(metadata), "metadata") if metadata else None,
        hidden=hidden,
    )
    key = core.key(target) if target is not None else None
    row: SessionRow = yield from write(Create(at=core.at(), owner=core.owner, key=key, alias=alias, new=new))
    return row.id


def subagent(
    core: Core,
    session_id: str,
    *,
    alias: str | None,
    title: str | None,
    metadata: Mapping[str, Any] | None,
) -> Flow[str]:
    """Make the session of a subagent; gives its id."""
    new = core.new_session(
        None,
        core.now(),
        explicit=True,
        hidden=True,
        parent=session_id,
        parent_kind=SUBAGENT,
        title=title,
        metadata=codec.json_text(dict(metadata), "metadata") if metadata else None,
    )
    row: SessionRow = yield from write(Create(at=core.at(), owner=core.owner, alias=alias, new=new))
    return row.id


def append(
    core: Core,
    session_id: str,
    items: Sequence[Message],
    expected_seq: int | None,
    key: str | None = None,
    new: NewSession | None = None,
) -> Flow[Appended]:
    """Store messages at the end of a session."""
    given = yield from drafts(items)
    operation = Append(
        at=core.at(),
        owner=core.owner,
        session_id=session_id,
        key=key,
        create=new,
        messages=given,
        expected_seq=expected_seq,
    )
    done: Appended = yield from write(operation)
    return done


def messages(
    core: Core, session_id: str, *, after: int, before: int | None, limit: int, newest: bool, live: bool
) -> Flow[Page]:
    """A page of the transcript."""
    return (
        yield from long_call(
            core.store.page,
            session_id,
            core.owner,
            after=after,
            before=before,
            limit=limit,
            newest=newest,
            live=live,
        )
    )


def turns_around(core: Core, session_id: str, seq: int) -> Flow[Page]:
    """The messages about a position, from one of the user's before it to one after it: no exchange reaches farther."""
    count = _AROUND
    while True:
        low = max(0, seq - count)
        page = yield from call(
            core.store.page, session_id, core.owner, after=low, before=seq + count + 1, limit=2 * count
        )
        begins = low == 0 or any(m.role == "user" and m.seq <= seq for m in page)
        ends = len(page) < 2 * count or any(m.role == "user" and m.seq > seq for m in page)
        if (begins and ends) or count > _FARTHEST:
            return page
        count *= 4


def hold(core: Core, session_id: str, name: str, span: timedelta | None) -> Flow[None]:
    """Keep a session from being reset for a while; None releases the hold."""
    until = to_micros(core.now() + span) if span is not None else None
    yield from write(Hold(at=core.at(), owner=core.owner, session_id=session_id, name=name, until=until))


def set_metadata(core: Core, session_id: str, changes: Mapping[str, Any], expected_rev: int | None) -> Flow[None]:
    """Merge changes into a session's metadata; None removes a key."""
    yield from write(
        SetInfo(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            metadata=codec.json_text(dict(changes), "metadata"),
            expected_rev=expected_rev,
        )
    )


def set_info(core: Core, session_id: str, *, expected_rev: int | None = None, **changes: Any) -> Flow[None]:
    """Change the title, the tags, or whether the session is archived, pinned or hidden."""
    for name, value in changes.items():
        if isinstance(value, str) and not value.strip():
            raise ValueError(f"the {name} is empty; give None to take it away")
    yield from write(
        SetInfo(at=core.at(), owner=core.owner, session_id=session_id, expected_rev=expected_rev, **changes)
    )


def rename(core: Core, session_id: str, title: str | None, *, numbered: bool, generated: bool) -> Flow[str | None]:
    """Give a session a title, or take it away; gives the title that it has then."""
    if generated and title is not None:
        title = tidy(title)
    if title is not None and not title.strip():
        raise ValueError("the title is empty; give None to take it away")
    row: SessionRow
    if generated and title is None:  # nothing was said that would make a title
        return (yield from call(core.store.info, session_id, core.owner, core.now())).title
    row = yield from write(
        SetInfo(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            title=title,
            title_source="generated" if generated else "user",
            title_numbered=numbered or generated,
        )
    )
    return row.title


def add_alias(core: Core, session_id: str, name: str) -> Flow[None]:
    """Give a session one more name of the caller's own."""
    if not name.strip():
        raise ValueError("the alias is empty; give a name that the session is found by")
    yield from write(Alias(at=core.at(), owner=core.owner, session_id=session_id, alias=name))


def delete(core: Core, session_id: str, expected_rev: int | None) -> Flow[None]:
    """Make a session not found."""
    yield from write(Delete(at=core.at(), owner=core.owner, session_id=session_id, expected_rev=expected_rev))


def restore(core: Core, session_id: str) -> Flow[str]:
    """Bring a deleted session back; gives its id."""
    row: SessionRow = yield from write(Restore(at=core.at(), owner=core.owner, session_id=session_id))
    return row.id


def record_usage(core: Core, session_id: str, usage: Usage, usage_id: str | None) -> Flow[None]:
    """Add to what a session has used."""
    charged = core.priced(usage) or usage
    yield from write(RecordUsage(at=core.at(), owner=core.owner, session_id=session_id, usage=charged, id=usage_id))


def purge(
    core: Core, session_id: str, from_seq: int | None, through_seq: int | None, expected_rev: int | None
) -> Flow[int]:
    """Remove messages, or (without positions) the whole session, for good; gives how many messages."""
    if from_seq is None and through_seq is None:
        whole = PurgeSession(at=core.at(), owner=core.owner, session_id=session_id, expected_rev=expected_rev)
        removed: int = yield from write(whole)
        return removed
    if from_seq is None or through_seq is None:
        raise ValueError("give both from_seq and through_seq to purge messages, or neither to purge the session")
    gone: int = yield from write(
        Purge(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            from_seq=from_seq,
            through_seq=through_seq,
            expected_rev=expected_rev,
        )
    )
    return gone
