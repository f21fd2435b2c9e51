"""`palaver export`: conversations, written in forms that people and programs read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from palaver.cli.amounts import counted
from palaver.cli.failures import FOUND, OK, USAGE, Failure
from palaver.cli.files import Draft
from palaver.cli.jobs import Format, Job
from palaver.cli.output import Output
from palaver.cli.stores import find
from palaver.errors import SessionNotFound, StoreUnavailable
from palaver.exporters import (
    Entry,
    Item,
    Redactor,
    Unreadable,
    html,
    info_of,
    jsonl,
    markdown,
    names_in,
    payloads,
    read,
    read_whole,
    record_of,
    training,
)
from palaver.formats import wires
from palaver.info import SessionInfo
from palaver.manager import SessionManager
from palaver.model import Message
from palaver.records import SessionRecord
from palaver.stores.sqlite.salvage import is_damage

__all__ = ["export"]

T = TypeVar("T")

PAGE = 500
PATIENCE = 2.0
"""Seconds without a word, after which a person is told how far it is."""


_SUFFIXES = {Format.markdown: ".md", Format.html: ".html", Format.jsonl: ".jsonl"}


@dataclass(slots=True)
class _Tally:
    """What was written of one session."""

    session: str
    messages: int = 0
    lost: int = 0
    total: int = 0
    is_written: bool = True
    told_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where sessions come from, and what is wanted of them."""

    manager: SessionManager
    output: Output
    job: Job
    unread: list[str] = field(default_factory=list[str])
    """Sessions of which nothing could be read."""


def export(manager: SessionManager, output: Output, job: Job) -> int:
    """Write the sessions; the exit code says whether something in them could not be read."""
    _require_sense(job, output)
    ids = _all_ids(manager, output) if job.everything else _named_ids(manager, job.references)
    if len(ids) > 1 and job.format is Format.html and not job.is_directory:
        msg = "html is a page for each session: name a directory with --output"
        raise Failure(msg, USAGE)
    if job.format is Format.jsonl:  # ids are in the order of their making: what a session refers to comes before it
        ids = sorted(ids)
    if not ids:
        output.note("no sessions")
    source = _Source(manager, output, job)
    tallies = _to_directory(source, ids) if job.is_directory else _to_one(source, ids)
    lost = sum(tally.lost for tally in tallies) + len(source.unread)
    if lost:
        output.note(f"{lost:,} stored things could not be read; `palaver check` names them")
    if job.output is not None:
        written = sum(tally.messages for tally in tallies)
        output.note(f"exported {counted(len(tallies), 'session')}, {counted(written, 'message')} to {job.output}")
    return FOUND if lost else OK


def _require_sense(job: Job, output: Output) -> None:
    """Refuse what cannot be meant, before anything is written."""
    if job.everything == bool(job.references):
        msg = "name sessions, or give --all" if not job.everything else "name sessions, or give --all; not both"
        raise Failure(msg, USAGE)
    if output.json and job.output is None:
        msg = "--json says what was written to --output: name a file or a directory"
        raise Failure(msg, USAGE)
    if job.undone and job.format not in {Format.jsonl, Format.markdown, Format.html}:
        msg = f"{job.format.value} has only what is live: leave --undone out"
        raise Failure(msg, USAGE)
    if job.limit is not None and job.format.value not in wires():
        msg = f"{job.format.value} has all messages: --limit is for what a provider would be sent"
        raise Failure(msg, USAGE)


def _named_ids(manager: SessionManager, references: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(find(manager, reference).id for reference in references))


def _all_ids(manager: SessionManager, output: Output) -> list[str]:
    """Every session there is; in a damaged store those that the change feed names, where they cannot be listed."""
    try:
        return _listed_ids(manager)
    except StoreUnavailable as error:
        if not is_damage(error):
            raise
        output.note(str(error))
        output.note("the sessions cannot be listed: those are exported that the change feed names")
    return _ids_in_feed(manager)


def _ids_in_feed(manager: SessionManager) -> list[str]:
    named: dict[str, None] = {}
    cursor: str | None = None
    while page := manager.events(cursor, limit=PAGE):
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


def _listed_ids(manager: SessionManager) -> list[str]:
    """Every session there is, oldest activity last; one that moves to the front meanwhile is met a second time."""
    found: dict[str, None] = {}
    for _ in range(3):  # the second time is for what moved; one that is busier than that is never done
        before = len(found)
        after: str | None = None
        while some := manager.list(
            limit=PAGE, after=after, include_archived=True, include_empty=True, include_hidden=True
        ):
            found.update(dict.fromkeys(info.id for info in some))
            after = some[-1].id
        if len(found) == before:
            break
    return list(found)


def _present(source: _Source, ids: Sequence[str]) -> Iterator[tuple[_Tally, SessionInfo]]:
    """Each session as it is now. One of all that has gone since they were listed is passed over, and said so."""
    for session_id in ids:
        try:
            info = source.manager.get(session_id).info()
        except SessionNotFound:
            if not source.job.everything:
                raise
            source.output.note(f"{session_id}: deleted meanwhile, and not exported")
            continue
        except StoreUnavailable as error:
            _pass_over(source, session_id, error)
            continue
        yield _Tally(session_id), info


def _pass_over(source: _Source, session_id: str, error: StoreUnavailable) -> None:
    """Go on without a session that stands where the store's file is damaged; raises any other error."""
    if not is_damage(error):
        raise error
    source.unread.append(session_id)
    source.output.note(f"{session_id}: its place in the file is damaged, and it is not exported")


def _texts(source: _Source, tally: _Tally, info: SessionInfo, seen: set[str]) -> Iterator[str]:
    """The text of a session; none where it cannot be read, which is known before the first piece."""
    try:
        yield from _pieces(source, tally, info, seen)
    except StoreUnavailable as error:
        if tally.messages or tally.lost:
            raise
        tally.is_written = False
        _pass_over(source, info.id, error)


def _to_one(source: _Source, ids: Sequence[str]) -> list[_Tally]:
    """All sessions one after the other, to the file or to standard output."""
    output, job = source.output, source.job
    tallies: list[_Tally] = []
    seen: set[str] = set()
    if job.output is None:
        for tally, info in _present(source, ids):
            for text in _texts(source, tally, info, seen):
                output.piece(text, is_json=job.format not in {Format.markdown, Format.html})
                if output.closed:
                    return tallies
            if tally.is_written:
                tallies.append(tally)
        return tallies
    with Draft(Path(job.output), force=job.force) as draft:
        for tally, info in _present(source, ids):
            for text in _texts(source, tally, info, seen):
                draft.write(text)
            if tally.is_written:
                tallies.append(tally)
        draft.keep()
    for tally in tallies:
        _report(output, tally, job.output)
    return tallies


def _to_directory(source: _Source, ids: Sequence[str]) -> list[_Tally]:
    """A file for each session, named by its id. What was written stays if it is broken off; each file is whole."""
    job = source.job
    directory = Path(str(job.output))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tallies: list[_Tally] = []
    for tally, info in _present(source, ids):
        path = directory / f"{info.id}{_SUFFIXES.get(job.format, '.json')}"
        with Draft(path, force=job.force) as draft:
            for text in _texts(source, tally, info, set()):
                draft.write(text)
            if not tally.is_written:
                continue
            draft.keep()
        tallies.append(tally)
        _report(source.output, tally, str(path))
    return tallies


def _report(output: Output, tally: _Tally, path: str) -> None:
    if output.json:
        output.record({"session": tally.session, "file": path, "messages": tally.messages, "lost": tally.lost})


def _pieces(source: _Source, tally: _Tally, info: SessionInfo, seen: set[str]) -> Iterator[str]:
    """The text of one session in its format."""
    manager, job = source.manager, source.job
    redactor: Redactor | None = None
    if job.secret is not None:
        known = (item.message for item in read(manager, info, media=False) if isinstance(item, Entry))
        redactor = Redactor(info, job.secret, names_in(info, known))
    shown = redactor.info(info) if redactor is not None else info
    if job.format.value in wires():
        messages: Sequence[Message] = manager.get(info.id).history(max_messages=job.limit).messages
        if redactor is not None:
            messages = [redactor.message(message) for message in messages]
        tally.messages = len(messages)
        yield from payloads.payload(shown, messages, job.format.value)
        return
    tally.total = info.last_seq
    record = _record(source, info) if job.format is Format.jsonl and redactor is None else None
    if record is not None:
        whole = _watched(read_whole(manager, record, seen=seen), source.output, tally)
        yield from jsonl.lines(info_of(record, info), whole, record=record)
        return
    items: Iterable[Item] = read(
        manager,
        info,
        everything=(job.format is Format.jsonl and redactor is not None) or job.undone,
        media=redactor is None and job.format in {Format.jsonl, Format.html},
        seen=seen if job.format is Format.jsonl else None,
    )
    items = _watched(items, source.output, tally)
    if redactor is not None:
        items = redactor.items(items)
    yield from _written(job.format, shown, items, redacted=redactor is not None)


def _record(source: _Source, info: SessionInfo) -> SessionRecord | None:
    """All of a session but its messages; None where the file is damaged there, and only what is live can be had."""
    try:
        return record_of(source.manager, info.id)
    except StoreUnavailable as error:
        if not is_damage(error):
            raise
        source.unread.append(info.id)
        source.output.note(f"{info.id}: its place in the file is damaged; only what is live is exported")
        return None


def _written(form: Format, info: SessionInfo, items: Iterable[Item], *, redacted: bool) -> Iterator[str]:
    if form is Format.jsonl:
        return jsonl.lines(info, items, redacted=redacted)
    if form is Format.markdown:
        return markdown.page(info, items)
    if form is Format.html:
        return html.page(info, items)
    return training.sharegpt(info, items) if form is Format.sharegpt else training.plain(info, items)


def _watched(items: Iterable[T], output: Output, tally: _Tally) -> Iterator[T]:
    """The same, counted; a person is told how far it is where it takes long."""
    for item in items:
        if not isinstance(item, Entry | Unreadable):
            yield item
            continue
        seq = item.message.seq if isinstance(item, Entry) else item.seq
        if isinstance(item, Entry):
            tally.messages += 1
            tally.lost += item.lost_versions + len(item.missing)
        else:
            tally.lost += 1
        now = time.monotonic()
        if now - tally.told_at >= PATIENCE:
            tally.told_at = now
            output.note(f"{tally.session}: message {seq:,} of {tally.total:,}")
        yield item
