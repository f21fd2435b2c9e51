"""A transcript from the store, in pieces: memory does not grow with its length, and no snapshot stays open."""

from __future__ import annotations

from collections.abc import Iterator

from palaver.errors import MediaNotFound
from palaver.exporters.entries import Entry, Item, Unreadable
from palaver.info import Page, SessionInfo
from palaver.manager import SessionManager
from palaver.media import addresses
from palaver.model import Message
from palaver.session import Session

__all__ = ["read"]

PIECE = 200
"""Messages in one read."""


def read(
    manager: SessionManager,
    info: SessionInfo,
    *,
    everything: bool = True,
    media: bool = True,
    seen: set[str] | None = None,
) -> Iterator[Item]:
    """The messages of a session through `info.last_seq`, in order; what comes meanwhile is not among them.

    `everything`: also what is live no more, and what messages said before they were edited. `media`: also the content
    that messages refer to; with `seen`, each address once, and those that it holds already not at all. Each piece is
    as it was when it was read. Raises SessionNotFound where the session is gone, also half-way.
    """
    session = manager.get(info.id)
    edited = _edited(manager, info) if everything and info.rev else frozenset[int]()
    after = 0
    while after < info.last_seq:
        page = session.messages(after=after, before=info.last_seq + 1, limit=PIECE, live=not everything)
        places = [message.seq for message in page] + list(page.corrupt)
        if not places:
            return
        through = max(places)
        live = {message.seq for message in page}
        if everything:
            live = {m.seq for m in session.messages(after=after, before=through + 1, limit=PIECE)}
        items: list[Message | int] = sorted([*page, *page.corrupt], key=_place)
        for item in items:
            if isinstance(item, int):
                yield Unreadable(seq=item)
                continue
            versions = session.versions(item.seq) if item.seq in edited else Page()
            content, missing = _content(session, [item, *versions], seen) if media else ({}, ())
            yield Entry(
                message=item,
                live=item.seq in live,
                versions=tuple(versions),
                lost_versions=len(versions.corrupt),
                media=content,
                missing=missing,
            )
        after = through


def _place(item: Message | int) -> int:
    return item if isinstance(item, int) else item.seq


def _edited(manager: SessionManager, info: SessionInfo) -> frozenset[int]:
    """Positions of messages that were edited: the feed knows them, so that not every message need be asked."""
    found: set[int] = set()
    cursor: str | None = None
    while changes := manager.events(cursor, session_id=info.id):
        found.update(change.from_seq for change in changes if change.kind == "edited")
        cursor = changes[-1].cursor
    return frozenset(found)


def _content(
    session: Session, messages: list[Message], seen: set[str] | None
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    content: dict[str, bytes] = {}
    missing: list[str] = []
    for address in dict.fromkeys(address for message in messages for address in addresses(message)):
        if seen is not None and address in seen:
            continue
        try:
            content[address] = session.media(address)
        except MediaNotFound:
            missing.append(address)
            continue
        if seen is not None:
            seen.add(address)
    return content, tuple(missing)
