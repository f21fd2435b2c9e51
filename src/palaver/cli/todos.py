"""`palaver todos`: what is to be done about sessions before, or after, they are reset.

A program claims a to-do in one process and ends it in another: the claim belongs to no process, and lasts its time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from palaver.cli import records, stores
from palaver.cli.moments import parse_span, shown
from palaver.cli.options import Common, Debug, Json, Owner, Store, common_of, require_text
from palaver.cli.output import Output
from palaver.cli.performing import on_store
from palaver.cli.reach import of_nobody
from palaver.cli.terminal import one_line
from palaver.info import Todo
from palaver.manager import SessionManager

__all__ = ["add_to"]

Session = Annotated[str, typer.Argument(metavar="SESSION", help="Whose to-do: a session's id, alias, key or title.")]
Token = Annotated[str, typer.Option("--token", metavar="TOKEN", help="The claim's, as `claim` wrote it.")]


def add_to(app: typer.Typer) -> None:
    """Give the program this group of commands."""
    group = typer.Typer(
        help="What is to be done about sessions before they are reset.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list", epilog="Example: palaver todos list --json")(list_todos)
    group.command("claim", epilog="Example: palaver todos claim 01m7wn65aqe0mz5ma2r6p7 --lease 10m --json")(claim)
    group.command(
        "acknowledge",
        epilog="Example: palaver todos acknowledge 01m7wn65aqe0mz5ma2r6p7 --token 9mc4h2v0k7rt --through 12",
    )(acknowledge)
    group.command(
        "fail",
        epilog='Example: palaver todos fail 01m7wn65aqe0mz5ma2r6p7 "no answer" --token 9mc4h2v0k7rt',
    )(fail)
    app.add_typer(group, name="todos")


def list_todos(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many at most.")] = 100,
    given_up: Annotated[
        bool, typer.Option("--given-up", help="What failed three times, until it is acknowledged.")
    ] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List what waits to be claimed, or what was given up, the oldest first.

    There is something where the agent keeps to-dos (`before_reset`).
    """

    def work(manager: SessionManager, output: Output) -> None:
        found = manager.due(limit=limit, given_up=given_up)
        for todo in found:
            _tell(todo, output)
        if not found and not output.json:
            output.note("nothing was given up" if given_up else "nothing waits to be claimed")

    on_store(_options(context, store, json=json, debug=debug), owner, work, reading=True)


def claim(
    context: typer.Context,
    session: Session,
    *,
    lease: Annotated[str, typer.Option("--lease", metavar="TIME", help="For how long, as in 10m or 2h.")] = "10m",
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take a session's to-do, so that no other worker does it, and write the token that ends the claim.

    It is about the messages whose numbers are written. The claim ends by itself when its time is over.
    """
    try:
        span = parse_span(lease)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--lease") from exc
    if not span:
        msg = "a claim ends some time: write a span such as 10m"
        raise typer.BadParameter(msg, param_hint="--lease")

    def work(manager: SessionManager, output: Output) -> None:
        _tell(of_nobody(manager).claim(stores.find(manager, session).id, lease=span or timedelta()), output)

    on_store(_options(context, store, json=json, debug=debug), owner, work)


def acknowledge(
    context: typer.Context,
    session: Session,
    *,
    token: Annotated[
        str, typer.Option("--token", metavar="TOKEN", help="The claim's; none for a to-do that was given up.")
    ] = "",
    through: Annotated[
        int, typer.Option("--through", metavar="SEQ", min=0, help="The last message that was done, as the claim said.")
    ] = 0,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say that a claimed to-do is done, or take one off the table that was given up."""
    if bool(token) is not bool(through):
        msg = "give --token and --through as the claim said, or neither for a to-do that was given up"
        raise typer.BadParameter(msg, param_hint="--token")

    def work(manager: SessionManager, output: Output) -> None:
        named = _named(stores.find(manager, session).id, token, through)
        _tell(manager.acknowledge(named), output)

    on_store(_options(context, store, json=json, debug=debug), owner, work)


def fail(
    context: typer.Context,
    session: Session,
    reason: Annotated[str, typer.Argument(metavar="REASON", help="What went wrong, for whoever looks at it later.")],
    *,
    token: Token,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say that a claimed to-do could not be done: it is due again in five minutes, and given up the third time."""
    require_text(reason, "REASON")

    def work(manager: SessionManager, output: Output) -> None:
        _tell(manager.fail(_named(stores.find(manager, session).id, token, 0), reason), output)

    on_store(_options(context, store, json=json, debug=debug), owner, work)


def _options(context: typer.Context, store: str | None, *, json: bool, debug: bool) -> Common:
    """What was said before the group's name too."""
    return common_of(context).with_own(store=store, json=json, debug=debug)


def _named(session_id: str, token: str, through_seq: int) -> Todo:
    """As much of a to-do as its end asks for."""
    made_at = datetime.fromtimestamp(0, UTC)
    return Todo(
        session_id=session_id,
        reason="",
        state="claimed" if token else "given_up",
        made_at=made_at,
        token=token,
        through_seq=through_seq,
    )


def _tell(todo: Todo, output: Output) -> None:
    if output.json:
        output.record(records.of(todo))
        return
    what = f"#{todo.after_seq + 1} to #{todo.through_seq}"
    words = [todo.session_id, todo.state.replace("_", " "), what, todo.reason, f"since {shown(todo.made_at)}"]
    if todo.failures:
        words.append(f"failed {todo.failures} times: {todo.error}")
    output.text(one_line("  ".join(words)))
    if todo.token and todo.state == "claimed":
        output.text(one_line(f"--token {todo.token} --through {todo.through_seq}"), indent=2)
