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

__all__ = ["Edits", "read"]

PIECE = 200
"""Messages in one read."""


class Edits:
    """Which messages were edited: the feed knows, so that not every message need be asked for its versions.

    The feed is read once, however many sessions are asked about. `session_id`: only this one will be.
    """

    def __init__(self, manager: SessionManager, session_id: str | None = None) -> None:
        self._manager = manager
        self._session_id = session_id
        self._cursor: str | None = None
        self._found: dict[str, set[int]] = {}

    def of(self, info: SessionInfo) -> frozenset[int]:
        """Positions of the session's edited messages, those edited just now included."""
        if not info.rev:  # nothing but appends
            return frozenset()
        while changes := self._manager.events(self._cursor, session_id=self._session_id):
            for change in changes:
                if change.kind == "edited":
                    self._found.setdefault(change.session_id, set()).add(change.from_seq)
            self._cursor = changes[-1].cursor
        return frozenset(self._found.get(info.id, ()))


def read(
    manager: SessionManager,
    info: SessionInfo,
    *,
    everything: bool = True,
    media: bool = True,
    seen: set[str] | None = None,
    edits: Edits | None = None,
) -> Iterator[Item]:
    """The messages of a session through `info.last_seq`, in order; what comes meanwhile is not among them.

    `everything`: also what is live no more, and what messages said before they were edited. `media`: also the content
    that messages refer to; with `seen`, each address once, and those that it holds already not at all. Give the same
    `edits` with each of several sessions. Each piece is as it was when it was read. Raises SessionNotFound where the
    session is gone, also half-way.
    """
    session = manager.get(info.id)
    edited = (edits or Edits(manager, info.id)).of(info) if everything else frozenset[int]()
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
