"""The commands that begin something: a session, a new one under a key, an answer anew."""

from __future__ import annotations

from typing import Annotated

import typer

from palaver.cli import inputs, records, stores
from palaver.cli.amounts import counted
from palaver.cli.options import Debug, Json, Owner, Reference, Store, common_of, require_text
from palaver.cli.output import Output
from palaver.cli.performing import on_sessions, on_store, perform
from palaver.cli.terminal import one_line
from palaver.manager import SessionManager
from palaver.session import Session

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the program these commands."""
    app.command("create", epilog='Example: palaver create --key local:rome --title "Trip to Rome"')(create)
    app.command("subagent", epilog='Example: palaver subagent telegram:dm:42 --title "Look for trains"')(subagent)
    app.command("reset", epilog="Example: palaver reset telegram:dm:42")(reset)
    app.command("retry", epilog="Example: palaver retry telegram:dm:42")(retry)


def create(
    context: typer.Context,
    *,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Where it goes on; else it is found by its id.")
    ] = None,
    alias: Annotated[str | None, typer.Option("--alias", metavar="NAME", help="Your own id for it.")] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TITLE", help="Its title.")] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="JSON", help="An object that is kept with it.")
    ] = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Leave it out of lists and searches, as `hide` does.")
    ] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a session, and write its id.

    Makes the store if there is none. Lists leave the session out while it has no message, and a sweep removes it then.
    """
    for text, where in ((key, "--key"), (alias, "--alias"), (title, "--title")):
        require_text(text, where)
    given = inputs.json_object(metadata, "--metadata") if metadata is not None else None
    options = common_of(context).with_own(store=store, json=json, debug=debug)

    def work(output: Output) -> None:
        with stores.open_or_make(stores.resolve_url(options.store), owner) as manager:
            made = manager.create(key, alias=alias, title=title, metadata=given, hidden=hidden)
            _write_id(made, output, f"made{f', under {key}' if key is not None else ''}")

    perform(options, work)


def subagent(
    context: typer.Context,
    session: Reference,
    *,
    alias: Annotated[str | None, typer.Option("--alias", metavar="NAME", help="Your own id for it.")] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TITLE", help="Its title.")] = None,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make the session of a subagent, and write its id: it is hidden, and deleted with the session it works for."""
    for text, where in ((alias, "--alias"), (title, "--title")):
        require_text(text, where)
    options = common_of(context).with_own(store=store, json=json, debug=debug)

    def work(found: Session, output: Output) -> None:
        _write_id(found.subagent(alias=alias, title=title), output, f"made, for {found.id}")

    on_sessions(options, owner, session, work)


def reset(
    context: typer.Context,
    session: Annotated[
        str | None, typer.Argument(metavar="SESSION", help="The session to be left: its id, alias, key or title.")
    ] = None,
    *,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Only this key, and no other that leads to its session.")
    ] = None,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Begin a new session under all keys of one, or under one key alone, and write its id.

    The old one stays; it has ended where no key leads to it any more, and `resume` goes on with it.
    """
    if (session is None) is (key is None):
        msg = "give a SESSION, or --key to move that key alone"
        raise typer.BadParameter(msg, param_hint="SESSION")
    options = common_of(context).with_own(store=store, json=json, debug=debug)

    def work(manager: SessionManager, output: Output) -> None:
        left = manager.resolve(key) if key is not None else stores.find(manager, session or "")
        made = manager.reset(key) if key is not None else left.reset()
        _write_id(made, output, f"it follows {left.id}, which stays; `palaver resume` goes back")

    on_store(options, owner, work)


def retry(
    context: typer.Context,
    session: Reference,
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take the newest answer back, and write the message that is to be answered again.

    No model is called: the message stands at the end then. The agent that gets it delivered again, under the same id,
    answers it; so does /retry in `palaver chat --session`. Until then `redo` brings the answer back.
    What tools did is not undone.
    """
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, _retry)


def _retry(session: Session, output: Output) -> None:
    turn = session.retry(timeout=0)
    asked = turn.message
    turn.fail("it was begun on the command line, which answers nothing")
    if asked is None:  # a retry stores the message again, so that its turn has one
        raise AssertionError
    if output.json:
        output.record({"type": "message", "live": True, "session_id": session.id, **records.of_message(asked)})
        return
    output.text(asked.text)
    output.note(f"{session.id}: #{asked.seq} is to be answered again; `palaver redo` goes back")


def _write_id(session: Session, output: Output, remark: str) -> None:
    """The new session's id alone on its line, for scripts; for a program all about it."""
    info = session.info()
    if output.json:
        output.record(records.of(info))
        return
    output.text(one_line(info.id))
    carried = f", with {counted(info.message_count, 'message')}" if info.message_count else ""
    output.note(f"{remark}{carried}")
