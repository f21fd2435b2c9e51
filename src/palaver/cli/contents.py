"""The commands about what is said in a session: storing it, and reading what stands behind it."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from palaver.cli import inputs, records
from palaver.cli.amounts import counted, size
from palaver.cli.failures import FOUND, OK, USAGE, Failure
from palaver.cli.options import Debug, Json, Owner, Position, Reference, Store, common_of, require_text
from palaver.cli.output import Output
from palaver.cli.performing import on_sessions, on_store
from palaver.cli.stores import find
from palaver.cli.terminal import one_line
from palaver.manager import SessionManager
from palaver.model import Message, TextPart
from palaver.operations import Appended
from palaver.session import Session

__all__ = ["add_to"]

Wire = Annotated[
    str | None,
    typer.Option("--wire", metavar="NAME", help="Whose format FILE has; else as it says itself, else openai_chat."),
]


class Speaker(enum.StrEnum):
    """Who may have said a text."""

    user = "user"
    assistant = "assistant"
    system = "system"
    developer = "developer"


def add_to(app: typer.Typer) -> None:
    """Give the program these commands."""
    app.command("append", epilog='Example: palaver append telegram:dm:42 "Remind me of Rome."')(append)
    app.command("replace", epilog="Example: palaver replace telegram:dm:42 messages.json --wire anthropic")(replace)
    app.command("versions", epilog="Example: palaver versions telegram:dm:42 3")(versions)
    app.command("media", epilog="Example: palaver media telegram:dm:42 5f1c…-20480 --output picture.png")(media)


def append(
    context: typer.Context,
    session: Reference,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="What is said; `-` reads standard input.")] = None,
    *,
    role: Annotated[
        Speaker, typer.Option("--role", metavar="ROLE", help=f"Who says TEXT: {', '.join(Speaker)}.")
    ] = Speaker.user,
    message_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="TEXT's own id: the same one twice is stored once.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="Messages in place of TEXT: JSON or lines of it; - is stdin."),
    ] = None,
    wire: Wire = None,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Store messages at the end of a session, all or none. No model is called."""
    if (text is None) is (file is None):
        msg = "give a TEXT, or --file with messages"
        raise typer.BadParameter(msg, param_hint="TEXT")
    if file is not None and message_id is not None:
        msg = "messages in a file have ids of their own"
        raise typer.BadParameter(msg, param_hint="--id")
    if wire is not None and file is None:
        msg = "it goes with --file"
        raise typer.BadParameter(msg, param_hint="--wire")
    require_text(text, "TEXT")
    require_text(message_id, "--id")

    def work(found: Session, output: Output) -> None:
        if file is not None:
            given = inputs.messages(file, wire)
        else:
            said = inputs.read("-") if text == "-" else text or ""
            given = [Message(role=role.value, parts=(TextPart(text=said),), id=message_id)]
        done = found.append(*given)
        if output.json:
            output.record(records.of(done))
            return
        output.text(one_line(f"{found.id}: {_numbers(done)} {'stored' if done.fresh else 'it had already'}"))

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, work)


def replace(
    context: typer.Context,
    session: Reference,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Messages: JSON or lines of it; - is standard input.")],
    *,
    wire: Wire = None,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Put messages in the place of all that a model sees of a session, all or none; the old ones stay stored.

    `show --raw` shows them. `clear` puts nothing in their place.
    """

    def work(found: Session, output: Output) -> None:
        done = found.replace(*inputs.messages(file, wire))
        if output.json:
            output.record(records.of(done))
            return
        output.text(one_line(f"{found.id}: {_numbers(done)} stand in the place of what was there"))

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_sessions(options, owner, session, work)


def versions(
    context: typer.Context,
    session: Reference,
    seq: Position,
    *,
    owner: Owner = None,
    store: Store = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a message said before each of its edits, oldest first."""

    def work(manager: SessionManager, output: Output) -> int:
        found = find(manager, session)
        page = found.versions(seq)
        for number, message in enumerate(page, 1):
            if output.json:
                output.record({"session_id": found.id, **records.of_message(message)})
            else:
                output.text(f"version {number}", "bold")
                output.text(message.text, indent=2)
        if page.corrupt:
            output.note("a version cannot be decoded; `palaver check` says more")
            return FOUND
        if not page and not output.json:
            output.note(f"#{seq} was not edited")
        return OK

    options = common_of(context).with_own(store=store, json=json, debug=debug)
    on_store(options, owner, work, reading=True)


def media(
    context: typer.Context,
    session: Reference,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Which content: `blob` of a part in `show --json`.")
    ],
    *,
    file: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="A new file; else standard output.")
    ] = None,
    owner: Owner = None,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Write an image, a recording or a file that a message shows, as its bytes."""
    if file is None and sys.stdout.isatty():
        msg = "a terminal takes no bytes: name a file, or write to a pipe"
        raise typer.BadParameter(msg, param_hint="--output")

    def work(found: Session, output: Output) -> None:
        data = found.media(address)
        if file is None:
            output.flush()
            sys.stdout.buffer.write(data)
            return
        try:
            with Path(file).open("xb") as opened:
                opened.write(data)
        except FileExistsError as exc:
            msg = f"there is a file {file}: name a new one"
            raise Failure(msg, USAGE) from exc
        output.note(f"{size(len(data))} written to {file}")

    options = common_of(context).with_own(store=store, debug=debug)
    on_sessions(options, owner, session, work, reading=True)


def _numbers(done: Appended) -> str:
    """`#3`, or `3 messages, #3 to #5`."""
    first, last = min(done.seqs), max(done.seqs)
    return f"#{first}" if len(done.seqs) == 1 else f"{counted(len(done.seqs), 'message')}, #{first} to #{last}"
