"""The commands that change one session, with their options."""

from __future__ import annotations

from typing import Annotated

import typer

from palaver.cli import rewriting, stores
from palaver.cli.options import Debug, Json, Owner, Reference, References, Store, common_of, require_text
from palaver.cli.performing import on_sessions, on_store

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the program these commands."""
    app.command("rename", epilog='Example: palaver rename telegram:dm:42 "Trip to Rome"')(rename)
    app.command("alias", epilog="Example: palaver alias telegram:dm:42 trip-to-rome")(alias)
    app.command("archive", epilog="Example: palaver archive telegram:dm:42")(archive)
    app.command("pin", epilog="Example: palaver pin telegram:dm:42")(pin)
    app.command("hide", epilog="Example: palaver hide cron:nightly")(hide)
    app.command("tag", epilog="Example: palaver tag telegram:dm:42 travel family")(tag)
    app.command("fork", epilog='Example: palaver fork telegram:dm:42 --at 12 --title "Rome, by train"')(fork)
    app.command("undo", epilog="Example: palaver undo telegram:dm:42 2")(undo)
    app.command("redo", epilog="Example: palaver redo telegram:dm:42")(redo)
    app.command("resume", epilog='Example: palaver resume "Trip to Rome" telegram:dm:42')(resume)


def rename(
    context: typer.Context,
    session: Reference,
    title: Annotated[
        str | None, typer.Argument(metavar="TITLE", help="Its title, which no other session of the owner has.")
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take the title away.")] = False,
    numbered: Annotated[
        bool, typer.Option("--numbered", help="Where another session has the title, take the next: Rome #2.")
    ] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Make a title of what was said first, where it has none of your own.")
    ] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Give a session a title."""
    if (title is not None) + none + suggest != 1:
        msg = "give a title, or --suggest, or --none to take it away"
        raise typer.BadParameter(msg, param_hint="TITLE")
    require_text(title, "TITLE")
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(
        options,
        owner,
        session,
        lambda found, output: rewriting.rename(found, output, title, numbered=numbered, suggest=suggest),
    )


def alias(
    context: typer.Context,
    session: Reference,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Your own id for it, which no other session of the owner has.")
    ],
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Give a session one more name, by which it is found as by its id; it keeps those that it has."""
    require_text(name, "NAME")
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, lambda found, output: rewriting.alias(found, output, name))


def archive(
    context: typer.Context,
    sessions: References,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back into the lists.")] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Leave a session out of lists; `ls --all` shows it."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(
        options,
        owner,
        sessions,
        lambda found, output: rewriting.archive(found, output, archived=not undo),
    )


def pin(
    context: typer.Context,
    sessions: References,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Keep it no more.")] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Keep a session from being archived or expired by age."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(
        options,
        owner,
        sessions,
        lambda found, output: rewriting.pin(found, output, pinned=not undo),
    )


def hide(
    context: typer.Context,
    sessions: References,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Show it again.")] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Leave a session out of lists and searches, as what runs for the machinery; `ls --hidden` shows it.

    What a reset puts in its place is hidden too.
    """
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, sessions, lambda found, output: rewriting.hide(found, output, hidden=not undo))


def tag(
    context: typer.Context,
    session: Reference,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG", help="Its tags: these, and no others.")] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take all tags away.")] = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Set a session's tags."""
    given = tuple(tags or ())
    if bool(given) is none:
        msg = "give tags, or --none to take all away"
        raise typer.BadParameter(msg, param_hint="TAG")
    for each in given:
        require_text(each, "TAG")
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(
        options,
        owner,
        session,
        lambda found, output: rewriting.tag(found, output, given),
    )


def fork(
    context: typer.Context,
    session: Reference,
    *,
    at: Annotated[
        int | None,
        typer.Option("--at", metavar="SEQ", min=0, help="The last message to copy, by its number in `show`; else all."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TITLE", help="The new session's title.")] = None,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a new session with copies of the messages of another, and write its id.

    Between a call and its result the copy ends before the call. The two share nothing from then on.
    """
    require_text(title, "--title")
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(
        options,
        owner,
        session,
        lambda found, output: rewriting.fork(found, output, at=at, title=title),
    )


def undo(
    context: typer.Context,
    session: Reference,
    turns: Annotated[int, typer.Argument(metavar="N", min=1, help="How many turns.")] = 1,
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take back the newest turns: what a person said, and all that followed.

    The messages stay stored: `redo` brings them back, and `show --raw` shows them.
    """
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(
        options,
        owner,
        session,
        lambda found, output: rewriting.undo(found, output, turns),
    )


def redo(
    context: typer.Context,
    session: Reference,
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring back what was taken back last, as long as no message came after it."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, rewriting.redo)


def resume(
    context: typer.Context,
    session: Reference,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Where the conversation goes on.")],
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Go on with a session under a key: the next message that comes there continues it.

    It is reopened if it had ended. What the key led to before ends if no other key leads there, and stays.
    """
    options = common_of(context).with_own(store=store, json=json, debug=debug)

    on_store(options, owner, lambda m, output: rewriting.resume(m, stores.find(m, session), key, output))
