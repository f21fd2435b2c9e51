"""The commands for what is kept about a session: its model, its metadata, and what holds it."""

from __future__ import annotations

from typing import Annotated

import typer

from palaver.cli import inputs, records
from palaver.cli.moments import parse_span
from palaver.cli.options import Debug, Json, Owner, Reference, Store, common_of, require_text
from palaver.cli.output import Output
from palaver.cli.performing import on_sessions
from palaver.cli.terminal import one_line
from palaver.endpoints import ModelSettings
from palaver.session import Session

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the program these commands."""
    app.command("model", epilog="Example: palaver model telegram:dm:42 gpt-5-mini --credential TEAM_API_KEY")(model)
    app.command("metadata", epilog="""Example: palaver metadata telegram:dm:42 '{"mood": "curious"}'""")(metadata)
    app.command("hold", epilog="Example: palaver hold telegram:dm:42 export --for 2h")(hold)


def model(
    context: typer.Context,
    session: Reference,
    name: Annotated[str | None, typer.Argument(metavar="MODEL", help="The model that answers.")] = None,
    *,
    wire: Annotated[
        str | None, typer.Option("--wire", metavar="NAME", help="Whose API: openai_chat, anthropic and so on.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Where it is, if not at the provider's own address.")
    ] = None,
    credential: Annotated[
        str | None, typer.Option("--credential", metavar="NAME", help="The variable that holds the key; never the key.")
    ] = None,
    parameters: Annotated[
        str | None, typer.Option("--parameters", metavar="JSON", help="What else a request says, such as temperature.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the settings away.")] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say which model answers in a session, and where it is, in the place of what was set before.

    Forks and resets carry it on, and `palaver chat` goes by it. Without a model it shows what is set.
    """
    given = any(each is not None for each in (name, wire, base_url, credential, parameters))
    if given and none:
        msg = "give settings, or --none to take them away"
        raise typer.BadParameter(msg, param_hint="--none")
    for text, where in ((name, "MODEL"), (wire, "--wire"), (base_url, "--base-url"), (credential, "--credential")):
        require_text(text, where)
    settings = ModelSettings(
        model=name,
        wire=wire,
        base_url=base_url,
        credential=credential,
        parameters=inputs.json_object(parameters, "--parameters") if parameters is not None else {},
    )

    def work(found: Session, output: Output) -> None:
        if given or none:
            found.set_model(None if none else settings)
        info = found.info()
        if output.json:
            output.record(records.of(info))
            return
        if info.model is None:
            output.text(one_line(f"{found.id}: no model is set"))
            return
        said = {field: value for field, value in records.of(info.model).items() if value}
        output.text(one_line(f"{found.id}: {', '.join(f'{field} {value}' for field, value in said.items())}"))

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, work, reading=not (given or none))


def metadata(
    context: typer.Context,
    session: Reference,
    changes: Annotated[
        str | None, typer.Argument(metavar="JSON", help="An object that is merged in; a null removes its key.")
    ] = None,
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Change what a program keeps with a session, and write all of it as it is then, as one line of JSON."""
    given = inputs.json_object(changes, "JSON") if changes is not None else None

    def work(found: Session, output: Output) -> None:
        if given:
            found.set_metadata(given)
        info = found.info()
        if output.json:
            output.record(records.of(info))
        else:
            output.record(info.metadata)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, work, reading=given is None)


def hold(
    context: typer.Context,
    session: Reference,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What works for it: by this name it is released.")],
    *,
    span: Annotated[str, typer.Option("--for", metavar="TIME", help="For how long at most, as in 2h or 1d.")] = "1h",
    release: Annotated[bool, typer.Option("--release", help="Hold it no more.")] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Keep a session from being reset, archived or removed by a sweep while something works for it."""
    require_text(name, "NAME")
    try:
        length = parse_span(span)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--for") from exc
    if length is None or not length:
        msg = "a hold ends some time: write a span such as 2h"
        raise typer.BadParameter(msg, param_hint="--for")

    def work(found: Session, output: Output) -> None:
        found.hold(name, None if release else length)
        if output.json:
            output.record(records.of(found.info()))
            return
        output.text(
            one_line(f"{found.id}: {'released' if release else 'held'} by {name}{'' if release else f' for {span}'}")
        )

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, work)
