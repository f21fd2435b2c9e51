"""The commands that take things away, with their options; what cannot be undone asks first."""

from __future__ import annotations

from typing import Annotated

import typer

from palaver.cli import removal
from palaver.cli.options import Debug, Json, Owner, Position, Reference, Store, Yes, common_of
from palaver.cli.performing import on_sessions, on_store

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the program these commands."""
    app.command("clear", epilog="Example: palaver clear telegram:dm:42")(clear)
    app.command("truncate", epilog="Example: palaver truncate telegram:dm:42 --after 12")(truncate)
    app.command("retain", epilog="Example: palaver retain telegram:dm:42 --last 20")(retain)
    app.command("delete-message", epilog="Example: palaver delete-message telegram:dm:42 3")(delete_message)
    app.command("edit", epilog='Example: palaver edit telegram:dm:42 3 "What is 2+3?"')(edit)
    app.command("merge", epilog="Example: palaver merge telegram:dm:42 12 14")(merge)
    app.command("delete", epilog="Example: palaver delete telegram:dm:42")(delete)
    app.command("undelete", epilog="Example: palaver undelete 01m7wn65aqe0mz5ma2r6p7")(undelete)
    app.command("purge", epilog="Example: palaver purge telegram:dm:42 --from 3 --through 8 --yes")(purge)
    app.command("erase", epilog="Example: palaver erase --user telegram:7 --dry-run")(erase)
    app.command("scrub", epilog="Example: palaver scrub --store sqlite:///chat.db")(scrub)


def clear(
    context: typer.Context,
    session: Reference,
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Begin anew in the same session: a model sees nothing of it any more; `redo` brings it back."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, removal.clear)


def truncate(
    context: typer.Context,
    session: Reference,
    *,
    after: Annotated[
        int, typer.Option("--after", metavar="SEQ", min=0, help="The last message that stays, by its number in `show`.")
    ],
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Keep the first part of a conversation; a model sees the rest no more, and `redo` brings it back."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, lambda found, output: removal.truncate(found, output, after))


def retain(
    context: typer.Context,
    session: Reference,
    *,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, help="How many of the newest messages stay.")],
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Keep the newest messages of a conversation, and its instructions; `redo` brings the others back.

    Fewer stay where so many would tear a call from its result.
    """
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, lambda found, output: removal.retain(found, output, last))


def delete_message(
    context: typer.Context,
    session: Reference,
    seq: Position,
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take one message out of a conversation; it stays stored, and `redo` brings it back. `purge` removes it."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, lambda found, output: removal.delete_message(found, output, seq))


def edit(
    context: typer.Context,
    session: Reference,
    seq: Position,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it shall say; `-` reads standard input.")],
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Put new text in the place of a message; what it said before is kept."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, lambda found, output: removal.edit(found, output, seq, text))


def merge(
    context: typer.Context,
    session: Reference,
    seq: Position,
    continuation: Annotated[
        int, typer.Argument(metavar="CONTINUATION", min=1, help="The message that goes on with it, by its number.")
    ],
    *,
    separator: Annotated[
        str, typer.Option("--separator", metavar="TEXT", help="What stands between the two texts.")
    ] = "",
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Put the continuation of an answer at its end; the request for more goes, and `redo` makes them two again."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(
        options, owner, session, lambda found, output: removal.merge(found, output, seq, continuation, separator)
    )


def delete(
    context: typer.Context,
    session: Reference,
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a session not found; all of it stays, and `undelete` brings it back by its id until it is purged."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, removal.delete)


def undelete(
    context: typer.Context,
    session: Annotated[str, typer.Argument(metavar="ID", help="The id of a deleted session, as `delete` wrote it.")],
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring a deleted session back. It has ended, and no key points at it."""
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_store(options, owner, lambda m, output: removal.undelete(m, output, session))


def purge(
    context: typer.Context,
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="A session's id, alias or key; of a deleted one its id.")
    ],
    *,
    first: Annotated[
        int | None, typer.Option("--from", metavar="SEQ", min=1, help="The first message to remove; else all.")
    ] = None,
    last: Annotated[int | None, typer.Option("--through", metavar="SEQ", min=1, help="The last one.")] = None,
    yes: Yes = False,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove messages, or a whole session, for good. `erase` also removes copies, and keeps it from coming back."""
    if (first is None) is not (last is None):
        msg = "give both --from and --through, or neither to remove the whole session"
        raise typer.BadParameter(msg, param_hint="--from")
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_store(options, owner, lambda m, output: removal.purge(m, output, session, first, last, yes=yes))


def erase(
    context: typer.Context,
    *,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="All that this owner has.")] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="PLATFORM:ID", help="All that this person said, and what answered it."),
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="One session, also a deleted one: its id or alias.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="What was erased before and is there again, as after an old backup.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go; change nothing.")] = False,
    yes: Yes = False,
    no_scrub: Annotated[
        bool, typer.Option("--no-scrub", help="Leave the files as they are for now; `scrub` cleans them later.")
    ] = False,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Erase an owner, a person or a session, everywhere in the store.

    Also earlier versions, copies, summaries, search, media and names; at the end the files are written anew, while
    others wait to write. What was erased is kept out of later imports. Killed in the middle, the next one finishes it.
    """
    if sum(each is not None for each in (owner, user, session)) + again != 1:
        msg = "name what is to be erased: --owner, --user, --session or --again, and one of them alone"
        raise typer.BadParameter(msg, param_hint="--user")
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    asked = removal.Asked(
        owner=owner, user=user, session=session, again=again, dry_run=dry_run, yes=yes, scrub=not no_scrub
    )
    on_store(options, None, lambda m, output: removal.erase(m, output, asked))


def scrub(context: typer.Context, *, store: Store = None, json: Json = False, debug: Debug = False) -> None:
    """Write the store's files anew, so that free space holds nothing of what was removed.

    Others wait to write meanwhile. It needs as much room as the store takes.
    """
    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_store(options, None, removal.scrub)
