"""`palaver copy`: everything of one store into another, while the source is in use."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Event
from typing import Annotated, TypeVar

import typer

from palaver.cli import records, reports, stores
from palaver.cli.amounts import counted
from palaver.cli.failures import FOUND, INTERRUPTED, NO_STORE, OK, USAGE, Failure
from palaver.cli.options import Debug, Json, common_of
from palaver.cli.output import Output
from palaver.cli.performing import perform
from palaver.cli.reach import store_of
from palaver.cli.terminal import one_line
from palaver.errors import StoreError, StoreFull
from palaver.manager import SessionManager
from palaver.moving import Copier, CopyReport
from palaver.stores.base import Store

__all__ = ["add_to"]

T = TypeVar("T")

_LOOK = 0.5
"""Seconds between two looks at the feed of the source."""
_MOST = 5.0
"""Seconds between two tries of a server that is away, at most."""
_REMEDY = "give another SOURCE, as in palaver copy chat.db postgresql://localhost/agents"
_SHOWN = 20
"""Problems shown to a person; JSON has all of them."""


def copy(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The store to copy; it is only read.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The store to copy into; made if it is not there.")],
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Then take along what comes, until interrupted (Ctrl-C).")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every message, also of what the target has already.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be copied; store nothing.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy everything of one store into another, of any two kinds, while the source is in use.

    Sessions with all that was undone, edited, deleted or hidden, keys, aliases, summaries, turns, usage, content, and
    what is known of erasures. What was written is compared with the source. Run again, also after a crash, it writes
    only what is missing. docs/moving.md says how to switch a running service.

    Each session counts once: as copied (all of it, or what the target lacked), as there already, or as left out.
    With `--follow`, a server that is away is tried until it is back.
    """

    def work(output: Output) -> int:
        for url in (source, target):
            if url.partition("://")[0] == "memory":
                raise Failure(f"{url} keeps nothing: there is nothing to copy from it, or into it", USAGE)
        with stores.open_for_reading(source, None, remedy=_REMEDY) as read, _target(target, dry_run=dry_run) as written:
            if written is not None and store_of(read).name == store_of(written).name:
                raise Failure(f"{store_of(read).name} is both of them: name another to copy into", USAGE)
            to = store_of(written) if written is not None else None
            return _copy(store_of(read), to, output, dry_run=dry_run, verify=verify, follow=follow and not dry_run)

    perform(common_of(context).with_own(store=None, json=json, debug=debug), work)


@contextmanager
def _target(url: str, *, dry_run: bool) -> Generator[SessionManager | None]:
    """The store to write to; for a dry run only read, and None where there is none yet."""
    try:
        manager = stores.open_for_reading(url, None) if dry_run else stores.open_or_make(url, None)
    except Failure as exc:
        if not dry_run or exc.code != NO_STORE:
            raise
        yield None
        return
    with manager:
        yield manager


def _copy(source: Store, target: Store | None, output: Output, *, dry_run: bool, verify: bool, follow: bool) -> int:
    pause = Event()
    with reports.progress("copying", output) as progress:
        copier = Copier(source, target, dry_run=dry_run, verify=verify, progress=progress)
        report = _insisting(copier.copy, output, pause) if follow else copier.copy()
    if follow:
        _tell(report, output)
        output.note(f"following {source.name} until interrupted")
        _follow(copier, output, pause)
        report = copier.report()
    _write(report, output)
    if not dry_run and not report.caught_up:
        return INTERRUPTED
    return FOUND if report.problems else OK


def _follow(copier: Copier, output: Output, pause: Event) -> None:
    """Take along what comes, until interrupted, or nobody reads any more what is told."""
    try:
        while not output.closed:
            pause.wait(_LOOK)
            if _insisting(copier.catch_up, output, pause):
                _tell(copier.report(), output)
    except KeyboardInterrupt:
        return


def _insisting(work: Callable[[], T], output: Output, pause: Event) -> T:
    """Do it, again and again while a store cannot be used for now; a person is told of that, and of its end."""
    wait, away = _LOOK, False
    while True:
        try:
            done = work()
        except StoreError as error:
            if not _may_heal(error):
                raise
            if not away:
                output.note(f"{error}; it is tried until it is there, or this is interrupted")
            away = True
            pause.wait(wait)
            wait = min(_MOST, 2 * wait)
            continue
        if away:
            output.note("it is back; going on")
        return done


def _may_heal(error: StoreError) -> bool:
    """Whether it may be otherwise in a moment, without anybody's doing; what became of a write is found by looking."""
    return not isinstance(error, StoreFull) and (error.retryable or error.outcome == "unknown")


def _tell(report: CopyReport, output: Output) -> None:
    """That it has caught up."""
    if output.json:
        told = {"changes": report.changes, "messages": report.messages, "problems": len(report.problems)}
        output.record({"type": "caught_up", **told})
    else:
        changes, messages = counted(report.changes, "change"), counted(report.messages, "message")
        left = f", {len(report.problems):,} left out" if report.problems else ""
        output.note(f"caught up; {changes} taken along and {messages} copied so far{left}")
    output.flush()


def _write(report: CopyReport, output: Output) -> None:
    if output.json:
        for problem in report.problems:
            output.record({"type": "problem", **records.of(problem)})
        output.record({"type": "report", **records.of(report), "problems": len(report.problems)})
        return
    for problem in report.problems[:_SHOWN]:
        output.text(one_line(f"{problem.kind}: {problem.session_id}: {problem.reason}"))
    if len(report.problems) > _SHOWN:
        output.text(f"and {len(report.problems) - _SHOWN:,} more; --json has all of them")
    done, most = ("would be copied", "at most ") if report.dry_run else ("copied", "")
    output.note(
        f"{counted(report.sessions, 'session')}: {report.copied:,} {done}, {report.unchanged:,} there already, "
        f"{report.left_out:,} left out; {most}{counted(report.messages, 'new message')}"
    )
    if report.dry_run:
        return
    if report.changes:
        output.note(
            f"{counted(report.changes, 'change')} came meanwhile; sessions were updated {report.updated:,} times"
        )
    if len(report.problems) > report.left_out:
        count = len(report.problems) - report.left_out
        output.note(f"{counted(count, 'session')} that the target has cannot follow the source any more")
    output.note(
        f"{counted(report.compared, 'message')} compared with the source: new ones, and others of the same sessions"
        if report.compared > report.messages
        else f"{counted(report.compared, 'message')} compared with the source"
    )
    if report.scrub is not None and not report.scrub.done:
        output.note(f"what was erased meanwhile may be left in free space: {report.scrub.reason}")


def add_to(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command("copy", epilog="Example: palaver copy chat.db jsonl:///conversations")(copy)
