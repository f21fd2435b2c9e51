"""The commands that sweep and index, with their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from palaver.cli import search, stores
from palaver.cli.amounts import counted, parse_size
from palaver.cli.moments import parse_span
from palaver.cli.options import Debug, Json, Owner, Store, common_of
from palaver.cli.output import Output
from palaver.cli.performing import on_store, perform
from palaver.manager import SessionManager
from palaver.sweeping import SweepPolicy

__all__ = ["add_to"]

T = TypeVar("T")


def add_to(app: typer.Typer) -> None:
    """Give the program these commands."""
    app.command("sweep", epilog="Example: palaver sweep --archive-after 30d --delete-after 365d --dry-run")(sweep)
    app.command("index", epilog="Example: palaver index --anew")(index)


def sweep(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Change nothing; say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sessions are deleted.")] = False,
    empty_after: Annotated[
        str, typer.Option("--empty-after", metavar="TIME", help="Purge sessions without a message that are so old.")
    ] = "1h",
    purge_after: Annotated[
        str, typer.Option("--purge-after", metavar="TIME", help="Purge sessions that were deleted so long ago.")
    ] = "30d",
    archive_after: Annotated[
        str, typer.Option("--archive-after", metavar="TIME", help="Archive sessions that were silent for so long.")
    ] = "never",
    delete_after: Annotated[
        str, typer.Option("--delete-after", metavar="TIME", help="Delete sessions that were silent for so long.")
    ] = "never",
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="Delete the longest silent until the rest fits, as in 2GB."),
    ] = None,
    keep_changes: Annotated[
        int | None,
        typer.Option("--keep-changes", metavar="NUMBER", min=0, help="Cut the change feed to its newest lines."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="NUMBER", min=1, help="Do no more than so many things.")
    ] = None,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove what nobody needs any more, and say what and why.

    By itself: sessions that never had a message, those deleted a month ago, and what belongs to nothing. Pinned and
    held sessions stay, and those in which a turn runs. What is deleted can be restored until it is purged.
    A TIME is as in 2h, 30d or 1d12h, or never. Where a to-do before a reset was given up, the exit code is 1.
    """
    policy = SweepPolicy(
        empty_after=_read(parse_span, empty_after, "--empty-after"),
        purge_deleted_after=_read(parse_span, purge_after, "--purge-after"),
        archive_after=_read(parse_span, archive_after, "--archive-after"),
        delete_after=_read(parse_span, delete_after, "--delete-after"),
        max_bytes=_read(parse_size, max_size, "--max-size") if max_size is not None else None,
        keep_changes=keep_changes,
    )
    options = common_of(context).with_own(store=store, json=json, debug=debug)

    def work(output: Output) -> int:
        from palaver.cli import sweeping

        url = stores.resolve_url(options.store)
        opened: Any = stores.open_for_reading if dry_run else stores.open_for_writing
        with opened(url, owner) as manager:
            return sweeping.run(manager, output, policy, dry_run=dry_run, yes=yes, limit=limit)

    perform(options, work)


def index(
    context: typer.Context,
    *,
    anew: Annotated[bool, typer.Option("--anew", help="Throw the index away, and build it from the messages.")] = False,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take what is new into the search index, as a search does by itself.

    What is left is what came meanwhile, or what a store cannot take; the next one goes on.
    """

    def work(manager: SessionManager, output: Output) -> None:
        left = search.index(manager, output, anew=anew)
        if output.json:
            output.record({"left": left})
        else:
            output.text(f"{counted(left, 'change')} left" if left else "the search index has everything")

    on_store(common_of(context).with_own(store=store, json=json, debug=debug), None, work)


def _read(read: Callable[[str], T], text: str, option: str) -> T:
    try:
        return read(text)
    except (ValueError, OverflowError) as exc:
        raise typer.BadParameter(str(exc), param_hint=option) from exc
