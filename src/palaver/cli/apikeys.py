"""`palaver keys`: who may ask the server."""

from __future__ import annotations

import enum
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from palaver import apikeys
from palaver.apikeys import ApiKey, KeyFile
from palaver.cli import stores
from palaver.cli.failures import MISSING, USAGE, Failure
from palaver.cli.moments import parse_span, shown
from palaver.cli.options import Common, Debug, Json, Store, common_of
from palaver.cli.output import Output
from palaver.cli.performing import perform
from palaver.clock import utc_now

__all__ = ["add_to", "key_file"]

File = Annotated[
    str | None,
    typer.Option("--file", metavar="PATH", help="The file of the keys. Else $PALAVER_KEYS, else beside the store."),
]


class May(enum.StrEnum):
    """What a key allows; each has the ones before it."""

    read = "read"
    write = "write"
    admin = "admin"


def key_file(options: Common, given: str | None) -> KeyFile:
    """The file of the keys to the store that is meant. Raises Failure where nothing says where it is."""
    if given is not None:
        return KeyFile(Path(given).expanduser())
    try:
        return KeyFile(apikeys.keys_path(stores.resolve_url(options.store)))
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who has it, in a few words; to tell keys apart.")],
    *,
    may: Annotated[
        May,
        typer.Option(
            "--may",
            metavar="WHAT",
            help="read, write, or admin: to remove for good too, and without --owner to look after the store.",
        ),
    ] = May.write,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="For the sessions of this owner alone; else of all.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="For how long, as in 90d or 12h; or never.")
    ] = "never",
    file: File = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a key for the server, and write it to standard output, this once.

    Only a hash of it is kept. A server that runs asks for keys within a second of the first one.
    """

    def work(options: Common, output: Output) -> None:
        now = utc_now()
        keys = key_file(options, file)
        try:
            span = parse_span(expires)
            until = now + span if span is not None else None
            made, text = keys.create(name, now=now, may=may.value, owner=owner, expires_at=until)
        except (ValueError, OverflowError) as exc:
            raise Failure(str(exc), USAGE) from exc
        if output.json:
            output.record({**_record(made, now), "key": text})
            return
        output.text(text)
        output.note(_told(made, now))
        output.note(f"shown this once: {keys.path} keeps a hash of it alone")

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


def listing(
    context: typer.Context, *, file: File = None, store: Store = None, json: Json = False, debug: Debug = False
) -> None:
    """List the keys to the server, oldest first, also those that were revoked."""

    def work(options: Common, output: Output) -> None:
        now = utc_now()
        found = _read(key_file(options, file))
        if not found and not output.json:
            output.note("no keys: the server asks nobody for one; `palaver keys create NAME` makes the first")
        for each in found:
            if output.json:
                output.record(_record(each, now))
            else:
                output.text(_told(each, now))

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The id or the name of the key.")],
    *,
    file: File = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a key open nothing any more; servers that run know it within a second."""

    def work(options: Common, output: Output) -> None:
        now = utc_now()
        try:
            revoked = key_file(options, file).revoke(key, now=now)
        except LookupError as exc:
            raise Failure(str(exc.args[0]), MISSING) from exc
        except ValueError as exc:
            raise Failure(str(exc), USAGE) from exc
        if output.json:
            output.record(_record(revoked, now))
        else:
            output.text(_told(revoked, now))

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


def _read(keys: KeyFile) -> tuple[ApiKey, ...]:
    try:
        return keys.all()
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc


def _record(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "may": key.may,
        "owner": key.owner,
        "state": key.state(now),
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at is not None else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at is not None else None,
    }


def _told(key: ApiKey, now: datetime) -> str:
    whose = f"owner {key.owner}" if key.owner is not None else "all owners"
    until = f", until {shown(key.expires_at)}" if key.expires_at is not None else ""
    return f"{key.id}  {key.state(now)}  may {key.may}, {whose}{until}  {key.name}"


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    group = typer.Typer(help="Keys to the server: who may ask it, and for what.", rich_markup_mode=None)
    group.command("create", epilog="Example: palaver keys create 'telegram bot' --may write --owner ana")(create)
    group.command("list", epilog="Example: palaver keys list --json")(listing)
    group.command("revoke", epilog="Example: palaver keys revoke 'telegram bot'")(revoke)
    app.add_typer(group, name="keys")
