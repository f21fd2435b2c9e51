"""`palaver events`: what happened, and what happens."""

from __future__ import annotations

from typing import Annotated

import typer

from palaver.cli import records, stores
from palaver.cli.options import Common, Debug, Json, Owner, Store, common_of
from palaver.cli.output import Output
from palaver.cli.performing import perform
from palaver.cli.terminal import one_line
from palaver.manager import SessionManager
from palaver.stores.base import Change

__all__ = ["add_to"]

_AT_ONCE = 1_000
_WAIT = 10.0
"""Seconds of one wait: what writes elsewhere is looked for meanwhile, and an interrupt is heard."""


def events(
    context: typer.Context,
    *,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Only what came after it; else from the beginning.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="SESSION", help="Only of this one: its id, alias or key.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many at most; else all.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Then wait for what comes, until interrupted.")
    ] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what happened in the store: every change once, without its content.

    The first column is the cursor to go on from. docs/events.md says what the kinds mean.
    """

    def work(options: Common, output: Output) -> None:
        with stores.open_for_reading(stores.resolve_url(options.store), owner) as manager:
            found = stores.find(manager, session).id if session is not None else None
            _write(manager, output, after, found, limit, follow=follow)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


def _write(
    manager: SessionManager,
    output: Output,
    after: str | None,
    session_id: str | None,
    limit: int | None,
    *,
    follow: bool,
) -> None:
    left = limit
    while not output.closed and left != 0:
        size = _AT_ONCE if left is None else min(left, _AT_ONCE)
        page = manager.events(after, limit=size, session_id=session_id)
        if not page and not follow:
            return
        if not page:
            output.flush()
            page = manager.events(page.cursor, limit=size, session_id=session_id, wait=_WAIT)
        for change in page:
            _tell(change, output)
        after = page.cursor
        left = left - len(page) if left is not None else None


def _tell(change: Change, output: Output) -> None:
    if output.json:
        output.record(records.of(change))
        return
    where = ""
    if change.from_seq:
        where = f"#{change.from_seq}" + (f"-{change.through_seq}" if change.through_seq > change.from_seq else "")
    output.text(one_line(f"{change.cursor} {change.session_id} {change.kind} {where}".rstrip()))


def add_to(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command("events", epilog="Example: palaver events --follow --json")(events)
