"""`palaver sweep`: what a sweep does, or would do, line by line; and asking before anything is deleted."""

from __future__ import annotations

import sys

import typer

from palaver.cli import records
from palaver.cli.amounts import counted
from palaver.cli.failures import FOUND, OK, USAGE, Failure
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.info import Todo
from palaver.manager import SessionManager
from palaver.sweeping import SweepAction, SweepPolicy, SweepReport, SweepWhat

__all__ = ["run"]

_STEP = 500
"""How much is done before the next word to who waits."""
_DONE: dict[SweepWhat, str] = {
    "purge": "purged",
    "delete": "deleted",
    "archive": "archived",
    "expire": "reset",
    "todo": "to be done before their reset",
    "clean": "pieces of garbage removed",
    "prune": "cut of the change feed",
}


def run(
    manager: SessionManager, output: Output, policy: SweepPolicy, *, dry_run: bool, yes: bool, limit: int | None
) -> int:
    """Sweep until there is no more to do, or `limit`; the exit code tells whether a to-do was given up."""
    if not dry_run and not yes:
        _ask(manager, policy)
    actions: list[SweepAction] = []
    changed = 0
    while True:
        left = limit - len(actions) if limit is not None else None
        room = _STEP if not dry_run else 1_000_000
        report = manager.sweep(policy, dry_run=dry_run, limit=room if left is None else min(room, left))
        for action in report.actions:
            _tell(action, output)
        actions += report.actions
        changed += report.changed
        if dry_run or not report.more or not report.actions or (limit is not None and len(actions) >= limit):
            break
        if sys.stderr.isatty() and not output.json:
            output.note(f"{counted(len(actions), 'thing')} done so far")
    _sum_up(report, actions, changed, output)
    return FOUND if report.given_up else OK


def _ask(manager: SessionManager, policy: SweepPolicy) -> None:
    """Have it confirmed where conversations would be deleted for their age or their size."""
    if policy.delete_after is None and policy.max_bytes is None:
        return
    planned = manager.sweep(policy, dry_run=True, limit=1_000_000).counts.get("delete", 0)
    if not planned:
        return
    told = counted(planned, "session")
    if not sys.stdin.isatty():
        msg = f"{told} would be deleted: look with --dry-run, then say --yes"
        raise Failure(msg, USAGE)
    if not typer.confirm(f"{told} will be deleted (and can be restored until they are purged). Go on?", err=True):
        raise Failure("nothing was done", USAGE)


def _tell(action: SweepAction, output: Output) -> None:
    if output.json:
        output.record({"type": "action", **records.of(action)})
        return
    whose = f" of {action.owner}" if action.owner is not None else ""
    output.text(one_line(f"{action.what:<8}{action.session_id or ''}{whose}: {action.reason}"))


def _sum_up(report: SweepReport, actions: list[SweepAction], changed: int, output: Output) -> None:
    counts: dict[SweepWhat, int] = {}
    for action in actions:
        counts[action.what] = counts.get(action.what, 0) + 1
    if output.json:
        for todo in report.given_up:
            output.record({"type": "given_up", **records.of(todo)})
        output.record(
            {"type": "report", "dry_run": report.dry_run, "counts": counts, "more": report.more, "changed": changed}
        )
        return
    for todo in report.given_up:
        output.text(_given_up(todo))
    done = ", ".join(f"{count:,} {_DONE[what]}" for what, count in counts.items())
    would = "a sweep would leave: " if report.dry_run and done else ""
    output.note(f"{would}{done or 'nothing to sweep'}")
    if changed:
        output.note(f"{counted(changed, 'session')} came into use meanwhile, and stayed")
    if report.more:
        output.note("there is more to sweep")


def _given_up(todo: Todo) -> str:
    return one_line(f"given up {todo.session_id}: its to-do failed {todo.failures} times, at last: {todo.error}")
