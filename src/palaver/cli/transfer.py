"""The commands that bring conversations in and take them out, with their options."""

from __future__ import annotations

from typing import Annotated

import typer

from palaver import config
from palaver.cli import stores
from palaver.cli.jobs import Job
from palaver.cli.options import Common, Debug, Json, Owner, Store, common_of
from palaver.cli.output import Output
from palaver.cli.performing import perform
from palaver.exports import Format

__all__ = ["add_to"]


def export(
    context: typer.Context,
    sessions: Annotated[
        list[str] | None, typer.Argument(metavar="SESSION...", help="Ids, aliases or keys of sessions.")
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="All sessions, also archived and hidden ones.")
    ] = False,
    format: Annotated[  # noqa: A002 - the option's name
        Format,
        typer.Option("--format", "-f", metavar="FORMAT", help=f"One of {', '.join(Format)}."),
    ] = Format.jsonl,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A file; or a directory, which gets a file for each session."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    undone: Annotated[
        bool,
        typer.Option("--undone", help="In pages also what was undone, replaced or edited; jsonl always has it."),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", metavar="NUMBER", min=1, help="Of a provider's payload: how many of the newest messages."
        ),
    ] = None,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact", help="Hide ids, names, phone numbers, addresses and credentials, as far as rules can."
        ),
    ] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write conversations for other programs, for reading, or to train with.

    `jsonl` has everything; `markdown`, `html` and `text` are for reading; `openai_chat`, `anthropic` and so on are what
    a provider would be sent now; `sharegpt` and `messages` are for training. docs/export.md describes them.
    With `--json`, a line for each session that was written to `--output`.
    """

    def work(options: Common, written: Output) -> int:
        from palaver.cli import export as exporting

        with stores.open_for_reading(stores.resolve_url(options.store), owner) as manager:
            job = Job(
                references=sessions or (),
                everything=everything,
                format=format,
                output=output,
                undone=undone,
                force=force,
                limit=limit,
                secret=config.install_secret() if redact else None,
            )
            return exporting.export(manager, written, job)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda written: work(options, written))


def import_conversations(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file, or a directory with what an agent left there.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be imported; store nothing.")] = False,
    timezone: Annotated[
        str | None,
        typer.Option(
            "--timezone", metavar="ZONE", help="Where times without a zone were written; else this machine's zone."
        ),
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Whose the sessions shall be.")] = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Import the conversations of other systems: nanobot, hermes-agent, odysseus, picoclaw, lines of JSON.

    Transcripts of Claude Code and Codex CLI too, and the data exports of ChatGPT and Claude, zipped or not.
    The source is only read. What is stored already is not stored twice, so it can be run again, also after a crash.
    Makes the store if there is none.
    """
    from palaver.cli import importing

    try:
        zone = importing.zone_of(timezone)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--timezone") from exc

    def work(options: Common, output: Output) -> int:
        url = stores.resolve_url(options.store)
        return importing.run(url, owner, path, output, zone=zone, dry_run=dry_run)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command("export", epilog="Example: palaver export telegram:dm:42 --format html --output chat.html")(export)
    app.command("import", epilog="Example: palaver import ~/.nanobot --dry-run")(import_conversations)
