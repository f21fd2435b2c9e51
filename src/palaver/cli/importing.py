"""`palaver import`: other systems' conversations into the store, and what became of each record of theirs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from palaver.cli import records, stores
from palaver.cli.amounts import counted
from palaver.cli.failures import FOUND, NO_STORE, OK, USAGE, Failure
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.importers import Action, Note, Report, SessionReport, import_path
from palaver.importers import adopt as adopt_directory
from palaver.manager import SessionManager
from palaver.stores.jsonl.foreign import ASIDE

__all__ = ["adopt", "run", "zone_of"]

_ORDER: tuple[Action, ...] = ("skipped", "repaired", "aside")
"""What was lost is told first: a person is shown only so many."""
_HEADER = 100
"""Bytes of the header of a SQLite file; four of them, from 68 on, say whose it is (https://sqlite.org/fileformat.html)."""
_TITLE = 60
"""Characters of a title that are shown."""
_SHOWN = 20
"""Notes shown to a person; JSON has all of them."""


def zone_of(name: str | None) -> tzinfo | None:
    """The time zone that an option names. Raises ValueError for one that is not known."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        msg = f"{name!r} is no time zone that is known here; write it as in America/Sao_Paulo"
        raise ValueError(msg) from exc


def run(url: str, owner: str | None, path: str, output: Output, *, zone: tzinfo | None, dry_run: bool) -> int:
    """Import, or tell what importing would do; the exit code tells whether a record was skipped."""
    with _store(url, owner, dry_run=dry_run) as manager, _progress() as progress:
        report = import_path(manager, path, zone=zone, dry_run=dry_run, progress=progress)
    if not report.sessions and not report.count("skipped"):
        for note in report.notes:
            output.note(_told(note))
        msg = f"nothing under {path} is a conversation that this version can import"
        if _is_own(path):
            msg = (
                f"{path} is a store of Palaver's: --store opens it; "
                "to bring what is in it here, `palaver export --all` it, and import that file"
            )
        raise Failure(msg, USAGE)
    _write(report, output)
    return FOUND if report.count("skipped") else OK


def adopt(directory: str, owner: str | None, output: Output, *, zone: tzinfo | None) -> int:
    """Make a JSONL store of nanobot's directory; the exit code is that of an import. Raises Failure."""
    if not Path(directory).expanduser().is_dir():
        msg = f"{directory} is no directory: name nanobot's workspace, or where its session files are"
        raise Failure(msg, USAGE)
    try:
        with _progress() as progress:
            report = adopt_directory(directory, owner=owner, zone=zone, progress=progress)
    except OSError as exc:
        msg = f"{exc.strerror or exc}: {exc.filename or directory}; nothing is lost: run it again"
        raise Failure(msg, NO_STORE) from exc
    if not report.sessions and not report.count("skipped"):
        output.note(f"{directory} has no session files of nanobot's, or they were adopted before")
        return OK
    _write(report, output)
    if not output.json:
        output.note(f"nanobot's files are in {Path(report.source) / ASIDE} now; the store is jsonl:///{report.source}")
    return FOUND if report.count("skipped") else OK


def _is_own(path: str) -> bool:
    """Whether a file says in its header that it is a SQLite store of Palaver's."""
    from palaver.stores.sqlite.connection import APPLICATION_ID

    file = Path(path).expanduser()
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        header = opened.read(_HEADER)
    return header.startswith(b"SQLite format 3\0") and header[68:72] == APPLICATION_ID.to_bytes(4)


@contextmanager
def _store(url: str, owner: str | None, *, dry_run: bool) -> Generator[SessionManager | None]:
    """The store; for a dry run only read, and None where there is none yet."""
    try:
        manager = stores.open_for_reading(url, owner) if dry_run else stores.open_or_make(url, owner)
    except Failure as exc:
        if not dry_run or exc.code != NO_STORE:
            raise
        yield None
        return
    with manager:
        yield manager


@contextmanager
def _progress() -> Generator[Callable[[int, int, str], None] | None]:
    """A bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task("importing", total=None)
        yield lambda done, files, _: bar.update(task, completed=done, total=files)


def _write(report: Report, output: Output) -> None:
    if output.json:
        for session in report.sessions:
            output.record({"type": "session", **records.of(session)})
        for note in report.notes:
            output.record({"type": "note", **records.of(note)})
        output.record({"type": "report", **_totals(report)})
        return
    for session in report.sessions:
        output.text(_line(session))
    notes = sorted(report.every_note(), key=lambda note: _ORDER.index(note.action))
    for note in notes[:_SHOWN]:
        output.text(_told(note))
    if len(notes) > _SHOWN:
        output.text(f"and {counted(len(notes) - _SHOWN, 'remark')} more; --json has all of them")
    done = "would be imported" if report.dry_run else "imported"
    output.note(
        f"{counted(len(report.sessions), 'session')}, {counted(report.total('records'), 'record')}: "
        f"{report.total('imported'):,} {done}, {report.total('present'):,} there already, "
        f"{report.total('skipped'):,} skipped; {report.count('repaired'):,} repaired"
    )


def _totals(report: Report) -> dict[str, object]:
    return {
        "source": report.source,
        "dry_run": report.dry_run,
        "sessions": len(report.sessions),
        "records": report.total("records"),
        "imported": report.total("imported"),
        "present": report.total("present"),
        "skipped": report.total("skipped"),
        "repairs": report.count("repaired"),
        "skips": report.count("skipped"),
        "asides": report.count("aside"),
    }


def _line(session: SessionReport) -> str:
    name = session.key or _described(session)
    where = f" ({session.session_id})" if session.session_id and session.session_id not in name else ""
    there = f", {session.present:,} there already" if session.present else ""
    lost = f", {session.skipped:,} skipped" if session.skipped else ""
    return one_line(f"{session.status:<10}{name}{where}: {counted(session.imported, 'message')}{there}{lost}")


def _described(session: SessionReport) -> str:
    """A session without a key: by its id nobody knows it again."""
    titled = f" {session.title[:_TITLE]!r}" if session.title else ""
    return f"{session.system} {session.source_id}{titled} in {session.file}"


def _told(note: Note) -> str:
    line = f":{note.line}" if note.line is not None else ""
    return one_line(f"{note.action}: {note.file}{line}: {note.reason}")
