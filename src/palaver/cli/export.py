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
from palaver.cli.jobs import Job
from palaver.cli.output import Output
from palaver.cli.stores import find
from palaver.errors import CorruptRecord, SessionNotFound, StoreUnavailable
from palaver.exporters import Damage, Entry, Item, Unreadable, Wanted, ids_of_all, nanobot, text_of
from palaver.exports import Format
from palaver.info import SessionInfo
from palaver.manager import SessionManager
from palaver.rows import TurnRow
from palaver.stores.sqlite.salvage import is_damage

__all__ = ["export"]

T = TypeVar("T", bound=Item | TurnRow | Damage)

PATIENCE = 2.0
"""Seconds without a word, after which a person is told how far it is."""


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
    if len(ids) > 1 and job.format.is_one_each and not job.is_directory:
        what = "page" if job.format.is_page else "file"
        msg = f"{job.format.value} is a {what} for each session: name a directory with --output"
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
    refusal = _wanted(job).refusal()
    if refusal is not None:
        raise Failure(refusal, USAGE)


def _wanted(job: Job) -> Wanted:
    return Wanted(format=job.format, undone=job.undone, limit=job.limit, secret=job.secret)


def _named_ids(manager: SessionManager, references: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(find(manager, reference).id for reference in references))


def _all_ids(manager: SessionManager, output: Output) -> list[str]:
    """Every session there is, as far as the store can tell."""

    def damaged(error: StoreUnavailable | CorruptRecord) -> None:
        output.note(str(error))
        output.note("the sessions cannot be listed: those are exported that the change feed names")

    return ids_of_all(manager, damaged)


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


def _pass_over(source: _Source, session_id: str, error: StoreUnavailable | CorruptRecord) -> None:
    """Go on without a session that stands where the store's file is damaged; raises any other error."""
    if isinstance(error, StoreUnavailable) and not is_damage(error):
        raise error
    source.unread.append(session_id)
    source.output.note(f"{session_id}: its place in the file is damaged, and it is not exported")


def _texts(source: _Source, tally: _Tally, info: SessionInfo, seen: set[str]) -> Iterator[str]:
    """The text of a session; none where it cannot be read, which is known before the first piece."""
    try:
        yield from _pieces(source, tally, info, seen)
    except (StoreUnavailable, CorruptRecord) as error:
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
                output.piece(text, is_json=not job.format.is_page)
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
    """A file for each session. What was written stays if it is broken off; each file is whole."""
    job = source.job
    directory = Path(str(job.output))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tallies: list[_Tally] = []
    named: set[Path] = set()
    for tally, info in _present(source, ids):
        path = directory / _name(info, job.format)
        if path in named:
            msg = f"two sessions have the key {nanobot.key_of(info)!r}: name one owner with --owner"
            raise Failure(msg, USAGE)
        named.add(path)
        with Draft(path, force=job.force) as draft:
            for text in _texts(source, tally, info, set()):
                draft.write(text)
            if not tally.is_written:
                continue
            draft.keep()
        tallies.append(tally)
        _report(source.output, tally, str(path))
    return tallies


def _name(info: SessionInfo, form: Format) -> str:
    return nanobot.file_name(info) if form is Format.nanobot else f"{info.id}{form.suffix}"


def _report(output: Output, tally: _Tally, path: str) -> None:
    if output.json:
        output.record({"session": tally.session, "file": path, "messages": tally.messages, "lost": tally.lost})


def _pieces(source: _Source, tally: _Tally, info: SessionInfo, seen: set[str]) -> Iterator[str]:
    """The text of one session in its format."""
    tally.total = info.last_seq

    def damaged(error: StoreUnavailable | CorruptRecord) -> None:
        source.unread.append(info.id)
        where = "its place in the file is damaged" if isinstance(error, StoreUnavailable) else str(error)
        source.output.note(f"{info.id}: {where}; only what is live is exported")

    def watch(items: Iterable[T]) -> Iterator[T]:
        return _watched(items, source.output, tally)

    return text_of(source.manager, info, _wanted(source.job), seen=seen, watch=watch, damaged=damaged)


def _watched(items: Iterable[T], output: Output, tally: _Tally) -> Iterator[T]:
    """The same, counted; a person is told how far it is where it takes long."""
    for item in items:
        if not isinstance(item, Entry | Unreadable):
            tally.lost += isinstance(item, Damage)
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
