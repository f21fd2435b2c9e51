"""`palaver serve` and `palaver config`: the HTTP server, where its libraries are installed, and what it is set to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from palaver import config
from palaver.cli.configuration import Setting, configured, shown_value
from palaver.cli.failures import FAILED, USAGE, Failure
from palaver.cli.options import Common, Debug, Json, Store, common_of
from palaver.cli.output import Output
from palaver.cli.performing import perform

__all__ = ["add_to"]

Config = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="PATH", help="A TOML file. Else $PALAVER_CONFIG, else palaver/config.toml of the user."
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting, by the name that `palaver config` has for it."),
]
Host = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; else 127.0.0.1.")]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="NUMBER", min=0, max=65535, help="Port to listen on, else 8080; 0 takes a free one."
    ),
]
SweepEvery = Annotated[
    str | None,
    typer.Option("--sweep-every", metavar="TIME", help="How often to sweep, as `palaver sweep` does; else each hour."),
]

UpstreamUrl = Annotated[
    str | None,
    typer.Option("--upstream", metavar="URL", help="Who answers what is passed through: https://api.openai.com/v1"),
]
UpstreamKey = Annotated[
    str | None, typer.Option("--upstream-key", metavar="NAME", help="The environment variable that holds its key.")
]
AnthropicUrl = Annotated[
    str | None,
    typer.Option("--anthropic-upstream", metavar="URL", help="Who answers /v1/messages, if it is somebody else."),
]
AnthropicKey = Annotated[
    str | None,
    typer.Option("--anthropic-upstream-key", metavar="NAME", help="The variable that holds the key of that one."),
]


def serve(
    context: typer.Context,
    *,
    host: Host = None,
    port: Port = None,
    sweep_every: SweepEvery = None,
    upstream: UpstreamUrl = None,
    upstream_key: UpstreamKey = None,
    anthropic_upstream: AnthropicUrl = None,
    anthropic_upstream_key: AnthropicKey = None,
    sets: Sets = None,
    config: Config = None,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Serve the HTTP API.

    Makes the store if there is none. Needs the `server` extra. `--sweep-every never` leaves the sweeping to others.
    What is not said here is as the environment has it, else the file, else as `palaver config` shows.
    """
    options = common_of(context).with_own(store=store, debug=debug)

    def work(_: Output) -> None:
        said = {
            "host": host,
            "port": port,
            "sweep_every": sweep_every,
            "upstream": upstream,
            "upstream_key": upstream_key,
            "anthropic_upstream": anthropic_upstream,
            "anthropic_upstream_key": anthropic_upstream_key,
        }
        _start({name: each.value for name, each in _settings(options, said, sets, config).items()})

    perform(options, work)


def show(
    context: typer.Context,
    *,
    host: Host = None,
    port: Port = None,
    sweep_every: SweepEvery = None,
    sets: Sets = None,
    config: Config = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what `palaver serve` is set to, and where each value comes from.

    An option counts most, then the environment (`PALAVER_` and the name, as in PALAVER_PORT), then the file.
    """
    options = common_of(context).with_own(store=store, json=json, debug=debug)

    def work(output: Output) -> None:
        said = {"host": host, "port": port, "sweep_every": sweep_every}
        found = _settings(options, said, sets, config).values()
        wide = max(len(each.name) for each in found)
        for each in found:
            if output.json:
                output.record({"name": each.name, "value": shown_value(each), "source": each.source})
            else:
                output.text(f"{each.name:<{wide}}  {shown_value(each)}  ({each.source})")

    perform(options, work)


def _settings(options: Common, said: Mapping[str, Any], sets: list[str] | None, file: str | None) -> dict[str, Setting]:
    """What counts. Raises Failure for what cannot be."""
    given = dict(said)
    for each in sets or ():
        name, separator, value = each.partition("=")
        if not separator:
            raise Failure(f"--set {each!r} is not NAME=VALUE, as in --set port=9000", USAGE)
        given[name] = value
    if options.store is not None:
        given["store"] = options.store
    found = configured(given, file=file)
    if found["store"].value is None:
        try:
            found["store"] = Setting("store", config.store_url(), "default")
        except ValueError as exc:
            raise Failure(str(exc), USAGE) from exc
    return found


def _start(said: dict[str, Any]) -> None:
    """Serve the store until interrupted. Raises Failure where an extra is not installed."""
    try:
        from palaver.server import Limits, Upstream, serve
        from palaver.server.observed import tracer
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("palaver"):
            raise
        msg = (
            f"the server needs {exc.name}, which is not installed: "
            "install Palaver with its server extra, in a clone with pip install -e '.[server]'"
        )
        raise Failure(msg, FAILED) from exc
    try:
        traces = tracer() if said.pop("traces") else None
    except ModuleNotFoundError as exc:
        raise Failure(f"traces need {exc.name}, which is not installed: install the extra otel", FAILED) from exc
    url, key = said.pop("upstream"), said.pop("upstream_key")
    other_url, other_key = said.pop("anthropic_upstream"), said.pop("anthropic_upstream_key")
    asked = url or other_url
    if asked is None and (key or other_key):
        raise Failure("a key without an upstream opens nothing: give --upstream too", USAGE)
    try:
        upstream = None
        if asked is not None:
            upstream = Upstream(url=asked, credential=key, anthropic_url=other_url, anthropic_credential=other_key)
        limits = Limits(**{name: said.pop(name) for name in Limits.__struct_fields__ if name in said})
        serve(said.pop("store"), limits=limits, traces=traces, upstream=upstream, **said)
    except ModuleNotFoundError as exc:
        raise Failure(str(exc), FAILED) from exc
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command("serve", epilog="Example: palaver serve --port 9000")(serve)
    app.command("config", epilog="Example: palaver config --set log_level=info")(show)
