"""A session in any form, and which sessions there are: what `palaver export` and the server have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from palaver.errors import CorruptRecord, SessionNotFound, StoreUnavailable
from palaver.exporters import html, jsonl, markdown, nanobot, payloads, text, training
from palaver.exporters.entries import Damage, Entry, Item
from palaver.exporters.reading import info_of, read, read_whole, record_of
from palaver.exporters.redaction import Redactor, names_in
from palaver.exports import Format
from palaver.info import SessionInfo
from palaver.manager import SessionManager
from palaver.records import SessionRecord
from palaver.rows import TurnRow
from palaver.stores.sqlite.salvage import is_damage

__all__ = ["Wanted", "Watch", "ids_of_all", "text_of"]

T = TypeVar("T", bound=Item | TurnRow | Damage)
Damaged: TypeAlias = Callable[[StoreUnavailable | CorruptRecord], None]
"""Is told where the store is damaged, and may raise."""
_PAGE = 500


class Watch(Protocol):
    """Sees what is exported go by; it gives all of it on."""

    def __call__(self, items: Iterable[T], /) -> Iterator[T]:
        """The same items."""
        ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a session."""

    format: Format
    undone: bool = False
    """In pages also what was undone, replaced or edited; jsonl always has it."""
    limit: int | None = None
    """Of a provider's payload: how many of the newest messages."""
    secret: bytes | None = None
    """With it, the export is redacted."""

    def refusal(self) -> str | None:
        """Why this cannot be meant; None: it can."""
        if self.undone and not (self.format.is_page or self.format is Format.jsonl):
            return f"{self.format.value} has only what is live: undone has no meaning there"
        if self.limit is not None and not self.format.is_payload:
            return f"{self.format.value} has all messages: a limit is for what a provider would be sent"
        return None


def text_of(
    manager: SessionManager,
    info: SessionInfo,
    wanted: Wanted,
    *,
    seen: set[str],
    watch: Watch = iter,
    damaged: Damaged,
) -> Iterator[str]:
    """The text of one session, in pieces; between two of them nothing of the store is held.

    `seen`: addresses of content that the same file of JSON lines has already. `damaged` is told where the store's file
    is damaged in the session's place, so that only what is live can be had, and may raise.
    Raises SessionNotFound where it is gone, also half-way, StoreError.
    """
    form = wanted.format
    redactor: Redactor | None = None
    if wanted.secret is not None:
        known = (item.message for item in read(manager, info, media=False) if isinstance(item, Entry))
        redactor = Redactor(info, wanted.secret, names_in(info, known))
    shown = redactor.info(info) if redactor is not None else info
    if form.is_payload:
        messages = manager.get(info.id).history(max_messages=wanted.limit).messages
        sent = [entry.message for entry in watch([Entry(message=message) for message in messages])]
        if redactor is not None:
            sent = [redactor.message(message) for message in sent]
        yield from payloads.payload(shown, sent, form.value)
        return
    record = _record(manager, info, damaged) if form is Format.jsonl and redactor is None else None
    if record is not None:
        whole = watch(read_whole(manager, record, seen=seen))
        yield from jsonl.lines(info_of(record, info), whole, record=record)
        return
    items: Iterable[Item] = read(
        manager,
        info,
        everything=(form is Format.jsonl and redactor is not None) or wanted.undone,
        media=redactor is None and form in {Format.jsonl, Format.html, Format.nanobot},
        seen=seen if form is Format.jsonl else None,
    )
    items = watch(items)
    if redactor is not None:
        items = redactor.items(items)
    if form is Format.nanobot:
        # A summary is prose of what was said: a redacted export goes without, as its state does in lines of JSON.
        summary, archived = _summary(manager, info) if redactor is None else (None, 0)
        yield from nanobot.lines(shown, items, summary=summary, archived=archived)
        return
    yield from _written(form, shown, items, redacted=redactor is not None)


def _summary(manager: SessionManager, info: SessionInfo) -> tuple[str | None, int]:
    """The summary that stands in windows now, and for how many of the messages that nanobot's lines have."""
    record = record_of(manager, info.id)
    row = next((row for row in record.compactions if row.id == record.row.compaction), None)
    if row is None:
        return None, 0
    live = read(manager, info, everything=False, media=False)
    covered = (item for item in live if isinstance(item, Entry) and item.message.seq <= row.through_seq)
    return row.text, sum(nanobot.count(item) for item in covered)


def _record(manager: SessionManager, info: SessionInfo, damaged: Damaged) -> SessionRecord | None:
    """All of a session but its messages; None where the file is damaged there, and only what is live can be had."""
    try:
        return record_of(manager, info.id)
    except CorruptRecord as error:
        damaged(error)
    except StoreUnavailable as error:
        if not is_damage(error):
            raise
        damaged(error)
    return None


def _written(form: Format, info: SessionInfo, items: Iterable[Item], *, redacted: bool) -> Iterator[str]:
    if form is Format.jsonl:
        return jsonl.lines(info, items, redacted=redacted)
    if form is Format.markdown:
        return markdown.page(info, items)
    if form is Format.html:
        return html.page(info, items)
    if form is Format.text:
        return text.page(info, items)
    return training.sharegpt(info, items) if form is Format.sharegpt else training.plain(info, items)


def ids_of_all(manager: SessionManager, damaged: Damaged) -> list[str]:
    """Every session there is; in a damaged store those that the change feed names, where they cannot be listed."""
    try:
        return _listed(manager)
    except StoreUnavailable as error:
        if not is_damage(error):
            raise
        damaged(error)
    return _in_feed(manager)


def _in_feed(manager: SessionManager) -> list[str]:
    named: dict[str, None] = {}
    cursor: str | None = None
    while page := manager.events(cursor, limit=_PAGE):
        named.update((change.session_id, None) for change in page)
        cursor = page.cursor
    return [session_id for session_id in named if _may_be_there(manager, session_id)]


def _may_be_there(manager: SessionManager, session_id: str) -> bool:
    """False for what was deleted or purged, as far as that can be read."""
    try:
        manager.get(session_id).info()
    except SessionNotFound:
        return False
    except StoreUnavailable as error:
        if not is_damage(error):
            raise
    return True


def _listed(manager: SessionManager) -> list[str]:
    """Every session there is, oldest activity last; one that moves to the front meanwhile is met a second time."""
    found: dict[str, None] = {}
    for _ in range(3):  # the second time is for what moved; one that is busier than that is never done
        before = len(found)
        after: str | None = None
        while some := manager.list(
            limit=_PAGE, after=after, include_archived=True, include_empty=True, include_hidden=True
        ):
            found.update(dict.fromkeys(info.id for info in some))
            after = some[-1].id
        if len(found) == before:
            break
    return list(found)
