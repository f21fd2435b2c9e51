"""The commands that read, serve and chat; those that change a session are in `changes`, others in `transfer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast, get_args

import typer

from palaver import __version__
from palaver.cli import (
    apikeys,
    beginnings,
    changes,
    compaction,
    contents,
    copying,
    feed,
    inventory,
    keeping,
    listing,
    removing,
    reports,
    search,
    serving,
    settings,
    stores,
    todos,
    transcript,
    transfer,
    upkeep,
)
from palaver.cli.failures import FAILED, OK
from palaver.cli.options import Common, Debug, Json, Owner, Provider, Store, common_of, moment
from palaver.cli.output import Output
from palaver.cli.performing import perform
from palaver.model import Role

__all__ = ["app", "run"]

app = typer.Typer(
    name="palaver",
    help="Every conversation of an AI agent, in one durable store.",
    epilog="Example: palaver --store sqlite:///chat.db ls",
    add_completion=False,
    rich_markup_mode=None,  # help as plain text: the same on every terminal, in a pipe, and in the documentation
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: Sequence[str]) -> int:
    """Do what a command line says, and give the exit code."""
    command: Any = typer.main.get_command(app)
    try:
        command.main(args=list(arguments), prog_name="palaver")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else OK if exc.code is None else FAILED
    return OK


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"palaver {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    *,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
    version: Annotated[  # noqa: ARG001 - answered by its callback
        bool, typer.Option("--version", "-V", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Every conversation of an AI agent, in one durable store."""
    context.obj = Common(store=store, json=json, debug=debug)


serving.add_to(app)


@app.command("chat", epilog="Example: palaver chat --base-url http://127.0.0.1:11434/v1 --model llama3.2")
def chat(
    context: typer.Context,
    *,
    model: Annotated[str | None, typer.Option("--model", "-m", metavar="NAME", help="The model to talk to.")] = None,
    provider: Annotated[
        Provider | None,
        typer.Option(
            "--provider",
            metavar="NAME",
            help="Whose API: openai, which many others speak too, or anthropic; else the session's, else openai.",
        ),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Where it is, if not at the provider's own address.")
    ] = None,
    system: Annotated[str, typer.Option("--system", metavar="TEXT", help="Instructions to the model.")] = "",
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="KEY", help="The conversation's key; else local:dm, which all chats on a store share."
        ),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="SESSION", help="Go on with this one: its id, alias, key or title."),
    ] = None,
    incognito: Annotated[
        bool, typer.Option("--incognito", help="Keep nothing: the conversation is gone when the chat ends.")
    ] = False,
    owner: Owner = None,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Chat with a model in the terminal.

    What is not said here is as the session has it. The key to the API comes from $OPENAI_API_KEY or $ANTHROPIC_API_KEY,
    or the variable that the session names. The model may call a clock and a calculator.
    Every message is in the store before it is sent; `/help` lists commands. Needs the `chat` extra.
    """
    options = common_of(context).with_own(store=store, debug=debug)

    def work(output: Output) -> int:
        from palaver.cli import chat as chatting

        said = chatting.ChatOptions(
            provider=provider.value if provider is not None else None,
            base_url=base_url,
            model=model,
            system=system,
            key=key,
            owner=owner,
            session=session,
            incognito=incognito,
        )
        return chatting.start(stores.resolve_url(options.store), said, output)

    perform(options, work)


@app.command("ls", epilog="Example: palaver ls --active-since 2h")
def ls(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many at most.")] = 50,
    active_since: Annotated[
        str | None,
        typer.Option(
            "--active-since",
            metavar="TIME",
            help="Only those with a message since then: a span such as 2h or 1d12h, or an ISO time.",
        ),
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only those with this tag.")] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="Only those whose title says this somewhere.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option("--platform", metavar="NAME", help="Only those that began there.")
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only those with this agent.")] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="Only those through this account.")
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option("--parent", metavar="SESSION", help="Only what follows this one; with --all also its subagents'."),
    ] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Only pinned ones.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Only archived ones.")] = False,
    hidden: Annotated[bool, typer.Option("--hidden", help="Only hidden ones.")] = False,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Only deleted ones, which `undelete` brings back.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Also empty, archived and hidden sessions.")] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List sessions, those with the newest activity first."""
    since = moment(active_since, "--active-since")

    def work(options: Common, output: Output) -> None:
        with stores.open_for_reading(stores.resolve_url(options.store), owner) as manager:
            followed = stores.find(manager, parent).id if parent is not None else None
            listing.list_sessions(
                manager,
                output,
                limit=limit,
                active_since=since,
                everything=everything,
                deleted=deleted,
                tag=tag,
                title=title,
                platform=platform,
                agent=agent,
                account=account,
                pinned=pinned or None,
                archived=archived or None,
                hidden=hidden or None,
                parent=followed,
            )

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


@app.command("show", epilog="Example: palaver show telegram:dm:42 --window")
def show(
    context: typer.Context,
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="A session's id, alias, key or title, or how a title or id begins.")
    ],
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many of the newest messages at most.")
    ] = 50,
    window: Annotated[
        bool, typer.Option("--window", help="What a model would see, what was mended for it, what it does not see.")
    ] = False,
    ancestors: Annotated[
        bool, typer.Option("--ancestors", help="Also what was said in the sessions that this one goes on from.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="All of each message as it is stored, and those undone or replaced.")
    ] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a conversation."""
    if window + raw + ancestors > 1:
        msg = "give one of them"
        raise typer.BadParameter(msg, param_hint="--window, --raw, --ancestors")

    def work(options: Common, output: Output) -> int:
        with stores.open_for_reading(stores.resolve_url(options.store), owner) as manager:
            found = stores.find(manager, session)
            if window:
                return transcript.show_window(found, output, limit=limit)
            if ancestors:
                return transcript.show_chain(found, output, limit=limit)
            return transcript.show_transcript(found, output, limit=limit, raw=raw)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


@app.command("search", epilog="""Example: palaver search '"train to Rome" tick*' --since 30d --around 2""")
def search_messages(
    context: typer.Context,
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help='What to look for: words, "phrases" in quotes, beginnings*; all of them.'),
    ],
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many at most.")] = 20,
    around: Annotated[
        int, typer.Option("--around", "-C", metavar="NUMBER", min=0, help="Show so many messages before and after.")
    ] = 0,
    session: Annotated[
        str | None, typer.Option("--session", metavar="SESSION", help="Only in this one: its id, alias, key or title.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option("--platform", metavar="NAME", help="Only in sessions that began there.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Only in sessions with this agent.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="Only in sessions through this account.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only in sessions with this tag.")] = None,
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help=f"Only messages of: {', '.join(get_args(Role))}.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only what was said since then: 2h, 30d, an ISO time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only what was said before then.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Also in hidden sessions.")] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Find messages in all conversations, the best first.

    First it takes what is new into the store's search index; nothing else of the store changes.
    """
    if role is not None and role not in get_args(Role):
        msg = f"{role!r} is no role; there are {', '.join(get_args(Role))}"
        raise typer.BadParameter(msg, param_hint="--role")
    began, ended = moment(since, "--since"), moment(until, "--until")

    def work(options: Common, output: Output) -> None:
        with stores.open_for_writing(stores.resolve_url(options.store), owner) as manager:
            found = stores.find(manager, session).id if session is not None else None
            search.search(
                manager,
                output,
                text,
                session_id=found,
                platform=platform,
                agent=agent,
                account=account,
                tag=tag,
                role=cast("Role | None", role),
                since=began,
                until=ended,
                limit=limit,
                around=around,
                include_hidden=everything,
            )

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


@app.command("stats", epilog="Example: palaver stats --by model --since 30d")
def stats(
    context: typer.Context,
    *,
    by: Annotated[
        reports.Grouping | None,
        typer.Option("--by", metavar="WHAT", help=f"What was used, by: {', '.join(reports.Grouping)}."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="With --by: from that day on; a span such as 7d, or an ISO time."),
    ] = None,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show how much is stored, or with `--by` what was used, and what it cost as far as that is known."""
    began = moment(since, "--since")
    if since is not None and by is None:
        msg = "give --by too: all that is stored is counted, whenever it was stored"
        raise typer.BadParameter(msg, param_hint="--since")

    def work(options: Common, output: Output) -> None:
        with stores.open_for_reading(stores.resolve_url(options.store), owner) as manager:
            if by is not None:
                reports.show_usage(manager, output, by, began)
            else:
                reports.show_stats(manager, output)

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    perform(options, lambda output: work(options, output))


for commands in (
    inventory,
    beginnings,
    changes,
    settings,
    contents,
    removing,
    compaction,
    transfer,
    copying,
    keeping,
    feed,
    upkeep,
    todos,
    apikeys,
):
    commands.add_to(app)
