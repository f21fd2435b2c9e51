"""What the commands that take things away do, and what they say of it."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from palaver.cli import records, stores
from palaver.cli.amounts import counted, tally
from palaver.cli.failures import FOUND, OK, USAGE, Failure
from palaver.cli.output import Output
from palaver.cli.reach import deleted_session
from palaver.cli.terminal import one_line
from palaver.erasure import EraseReport, ScrubReport
from palaver.errors import SessionNotFound
from palaver.flows.erasing import Progress
from palaver.manager import SessionManager
from palaver.session import Session

__all__ = [
    "Asked",
    "clear",
    "delete",
    "delete_message",
    "edit",
    "erase",
    "merge",
    "purge",
    "retain",
    "scrub",
    "truncate",
    "undelete",
]

_STAYED = "unattributed"
"""What is counted although nobody erased it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What `palaver erase` was asked for."""

    owner: str | None
    user: str | None
    session: str | None
    dry_run: bool
    yes: bool
    scrub: bool
    again: bool = False
    """What was erased before and is there again, in place of the three."""

    @property
    def whom(self) -> str:
        """What is to go, for a person."""
        if self.again:
            return "what was erased before, and is there again"
        if self.owner is not None:
            return f"everything of owner {self.owner}"
        return f"everything of user {self.user}" if self.user is not None else f"session {self.session}"


def clear(session: Session, output: Output) -> None:
    """Begin anew in the same session."""
    session.clear()
    _tell(session, output, "it begins anew; `palaver redo` brings back what was there")


def truncate(session: Session, output: Output, after: int) -> None:
    """Keep the first part."""
    session.truncate(after=after)
    _tell(session, output, f"it ends with #{after} now; `palaver redo` brings back the rest")


def retain(session: Session, output: Output, last: int) -> None:
    """Keep the last part."""
    session.retain(last=last)
    left = session.info().message_count
    _tell(session, output, f"it has {counted(left, 'message')} now; `palaver redo` brings back the others")


def delete_message(session: Session, output: Output, seq: int) -> None:
    """Make one message live no more."""
    session.delete_message(seq)
    _tell(session, output, f"#{seq} is taken out; `palaver redo` brings it back")


def edit(session: Session, output: Output, seq: int, text: str) -> None:
    """Put new text in the place of a message."""
    message = session.edit(seq, sys.stdin.read() if text == "-" else text)
    if output.json:
        output.record({"session_id": session.id, **records.of_message(message)})
        return
    output.text(one_line(f"{session.id}: #{seq} says something else now"))


def merge(session: Session, output: Output, seq: int, continuation: int, separator: str) -> None:
    """Put the continuation of an answer at its end."""
    message = session.merge(seq, continuation, separator=separator)
    if output.json:
        output.record({"session_id": session.id, **records.of_message(message)})
        return
    output.text(one_line(f"{session.id}: #{seq} says what #{continuation} said, too"))


def delete(session: Session, output: Output) -> None:
    """Make the session not found. Its id stands alone on its line, for `undelete`."""
    title = session.info().title
    session.delete()
    if output.json:
        output.record({"session_id": session.id, "messages": 0, "restorable": True})
        return
    output.text(one_line(session.id))
    named = f" {title!r}" if title is not None else ""
    output.note(f"deleted{named}; `palaver undelete` with this id brings it back, and `palaver ls --deleted` finds it")


def undelete(manager: SessionManager, output: Output, session_id: str) -> None:
    """Bring a deleted session back."""
    try:
        session = manager.restore(session_id)
    except SessionNotFound as exc:
        msg = f"no session {session_id!r} can be brought back: `palaver ls --deleted` has the ids of those that can"
        raise SessionNotFound(msg) from exc
    _tell(session, output, "restored; it has ended, resume it to go on with it")


def purge(
    manager: SessionManager, output: Output, reference: str, first: int | None, last: int | None, *, yes: bool
) -> None:
    """Remove messages, or a whole session, for good."""
    try:
        session = stores.exactly(manager, reference)
    except SessionNotFound as missing:
        if first is not None:
            raise
        try:
            session = deleted_session(manager, reference)
        except SessionNotFound:
            raise missing from None
    what = f"session {session.id}" if first is None else f"#{first} to #{last} of session {session.id}"
    _confirm(f"Remove {what} for good", yes=yes)
    gone = session.purge(first, last)
    if output.json:
        output.record({"session_id": session.id, "messages": gone, "restorable": False})
        return
    output.text(one_line(f"{session.id}: removed {counted(gone, 'message')} for good"))


def erase(manager: SessionManager, output: Output, asked: Asked) -> int:
    """Erase, after saying what would go and asking; the exit code tells whether the files are clean, too."""
    with _told(manager, asked, dry_run=True) as would:
        report = would
    if asked.dry_run:
        _write(report, output)
        return OK
    if not asked.yes:
        parts = f", and parts of {counted(len(report.parts), 'session')}" if report.parts else ""
        messages = counted(report.counts.get("messages", 0), "message")
        _confirm(f"Erase {asked.whom}: {counted(len(report.sessions), 'session')}{parts}, {messages}", yes=False)
    with _told(manager, asked, dry_run=False) as done:
        _write(done, output)
    return OK if done.scrub is None or done.scrub.done else FOUND


def scrub(manager: SessionManager, output: Output) -> int:
    """Clean the files."""
    report = manager.scrub()
    if output.json:
        output.record(records.of(report))
    else:
        output.text(_scrubbed(report))
    return OK if report.done else FOUND


@contextmanager
def _told(manager: SessionManager, asked: Asked, *, dry_run: bool) -> Generator[EraseReport]:
    """The report of an erasure; a bar on standard error while it goes on, where that is a terminal."""
    try:
        with _progress() as progress:
            if asked.again:
                report = manager.erase_again(dry_run=dry_run, scrub=asked.scrub)
            else:
                report = manager.erase(
                    owner=asked.owner,
                    user=asked.user,
                    session=asked.session,
                    dry_run=dry_run,
                    scrub=asked.scrub,
                    progress=progress,
                )
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc
    yield report


@contextmanager
def _progress() -> Generator[Progress | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task("erasing", total=None)
        yield lambda what, done: bar.update(task, description=what, completed=done)


def _write(report: EraseReport, output: Output) -> None:
    if output.json:
        output.record(records.of(report))
        return
    verb = "would be erased" if report.dry_run else "erased"
    for session_id in report.sessions:
        output.text(one_line(f"{verb:<16}{session_id}"))
    for session_id in report.parts:
        output.text(one_line(f"{verb:<16}part of {session_id}"))
    output.text(tally({name: number for name, number in report.counts.items() if name != _STAYED}) or "nothing")
    if stayed := report.counts.get(_STAYED):
        said = counted(stayed, "message")
        output.note(
            f"{said} in conversations that others take part in without a sender's name: left, whoever said them"
        )
    if report.unfinished:
        output.note(f"finished {counted(report.unfinished, 'erasure')} first that had been interrupted")
    if report.scrub is not None:
        output.note(_scrubbed(report.scrub))
    elif not report.dry_run:
        output.note("free space in the files still holds it, until `palaver scrub`")
    for backup in report.backups:
        output.text(one_line(f"a backup still holds it: {backup}"))
    output.note(f"not in this store's reach: {'; '.join(report.beyond)}")


def _scrubbed(report: ScrubReport) -> str:
    if report.done:
        return f"the files were written anew: {report.size_before:,} bytes before, {report.size_after:,} now"
    return f"the files are not clean yet: {report.reason}"


def _confirm(question: str, *, yes: bool) -> None:
    """Ask, where somebody can answer; Failure where not, or where the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        msg = f"{question}? Nobody can be asked here: say --yes"
        raise Failure(msg, USAGE)
    sys.stderr.write(one_line(question) + "? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
        msg = "nothing was changed"
        raise Failure(msg, USAGE)


def _tell(session: Session, output: Output, text: str) -> None:
    """The session as it is now, for a program; for a person what changed."""
    if output.json:
        output.record(records.of(session.info()))
    else:
        output.text(one_line(f"{session.id}: {text}"))
