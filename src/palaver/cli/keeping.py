"""The commands that look after a store: check, backup, restore."""

from __future__ import annotations

from typing import Annotated

import typer

from palaver.cli import backups, reports, stores
from palaver.cli.options import Common, Debug, Json, Store, common_of
from palaver.cli.output import Output
from palaver.cli.performing import perform

__all__ = ["add_to"]


def check(
    context: typer.Context,
    session: Annotated[
        str | None, typer.Argument(metavar="SESSION", help="Only this one: its id, alias or key; else the whole store.")
    ] = None,
    *,
    notes: Annotated[
        bool, typer.Option("--notes", help="Also what is no fault: what windows mend, records that were set aside.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Of each fault also what it means, and what can be done.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended, after a backup; nothing readable is removed.")
    ] = False,
    backup: Annotated[
        str | None,
        typer.Option("--backup", metavar="PATH", help="Where the backup before a repair goes; else beside the store."),
    ] = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Look for faults in the store; changes nothing without `--repair`.

    Where there are none it writes nothing to standard output, and the exit code is 0; else a line for each, and 1.
    With `--repair` the exit code is 1 if faults are left.
    """
    if repair and (session is not None or notes):
        msg = "a repair is of the whole store, and mends faults only: leave SESSION and --notes out"
        raise typer.BadParameter(msg, param_hint="--repair")

    def work(options: Common, output: Output) -> int:
        url = stores.resolve_url(options.store)
        if repair:
            return reports.repair(url, backup, output)
        with reports.progress("checking", output) as progress:
            found = stores.findings(url, session, notes=notes, progress=progress)
        return reports.show_findings(found, output, explain=explain)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


def backup(
    context: typer.Context,
    destination: Annotated[
        str | None,
        typer.Argument(
            metavar="DEST", help="A new file, or a directory; else `backups` beside the store, where that is no server."
        ),
    ] = None,
    *,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="NUMBER", min=1, help="Remove all but so many of the backups made there."),
    ] = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy the store to a file, while others use it.

    The copy is of one moment. It is compared with the store, checked and synced before it has its name.
    """

    def work(options: Common, output: Output) -> None:
        backups.make(stores.resolve_url(options.store), destination, keep, output)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


def restore(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="BACKUP", help="The file that `palaver backup` made.")],
    destination: Annotated[
        str | None, typer.Argument(metavar="DEST", help="The store to make: a URL or a path; else --store.")
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a store that has content; it is kept beside the new one.")
    ] = False,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a store of a backup.

    The backup is verified first. Stop everything that uses the store: a store that is open is not replaced.
    """

    def work(options: Common, output: Output) -> None:
        to = destination if destination is not None else stores.resolve_url(options.store)
        backups.restore(path, to, output, force=force)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command("check", epilog="Example: palaver check --store sqlite:///chat.db || echo unwell")(check)
    app.command("backup", epilog="Example: palaver backup ~/backups/ --keep 7")(backup)
    app.command("restore", epilog="Example: palaver restore ~/backups/chat-20260305T120000000000Z.db chat.db")(restore)
