"""The commands that list what a store holds beside its sessions: open turns, backups, erasures."""

from __future__ import annotations

import typer

from palaver.cli import records
from palaver.cli.amounts import counted, size, tally
from palaver.cli.moments import shown
from palaver.cli.options import Debug, Json, Owner, Store, common_of
from palaver.cli.output import Output
from palaver.cli.performing import on_store
from palaver.cli.terminal import one_line
from palaver.manager import SessionManager
from palaver.times import from_micros

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the program these commands."""
    app.command("turns", epilog="Example: palaver turns --json")(turns)
    app.command("backups", epilog="Example: palaver backups")(backups)
    app.command("erasures", epilog="Example: palaver erasures")(erasures)


def turns(
    context: typer.Context, *, owner: Owner = None, store: Store = None, json: Json = False, debug: Debug = False
) -> None:
    """List turns that have not ended: those that run, and those that a crash cut off.

    The next turn of a session closes one that was cut off; the same message, delivered again, goes on with it.
    """

    def work(manager: SessionManager, output: Output) -> None:
        found = manager.open_turns()
        for turn in found:
            if output.json:
                output.record(records.of(turn))
                continue
            state = f"running, at most until {shown(turn.expires_at)}" if turn.alive else "interrupted"
            whose = f"  of {turn.owner}" if turn.owner else ""
            output.text(
                one_line(f"{turn.session_id}{whose}  from #{turn.first_seq}, since {shown(turn.began_at)}: {state}")
            )
        if not found and not output.json:
            output.note("no turn is open")

    on_store(common_of(context).with_own(store=store, json=json, debug=debug), owner, work, reading=True)


def backups(context: typer.Context, *, store: Store = None, json: Json = False, debug: Debug = False) -> None:
    """List the backups that were made of the store, the oldest first, as far as their files are still there."""

    def work(manager: SessionManager, output: Output) -> None:
        found = manager.backups()
        for each in found:
            if output.json:
                output.record(records.of(each))
                continue
            held = f"{counted(each.sessions, 'session')}, {counted(each.messages, 'message')}"
            output.text(one_line(f"{each.path}  {shown(each.made_at)}  {held}, {size(each.size_bytes)}"))
        if not found and not output.json:
            output.note("none was made, or none is there any more")

    on_store(common_of(context).with_own(store=store, json=json, debug=debug), None, work, reading=True)


def erasures(context: typer.Context, *, store: Store = None, json: Json = False, debug: Debug = False) -> None:
    """List every erasure, the oldest first, with counts and times alone; one that was cut off says so."""

    def work(manager: SessionManager, output: Output) -> None:
        found = manager.erasures()
        for each in found:
            if output.json:
                output.record(records.of(each))
                continue
            ended = f"ended {shown(from_micros(each.ended_at))}" if each.ended_at is not None else "not ended yet"
            output.text(
                one_line(
                    f"{each.id}  began {shown(from_micros(each.began_at))}, {ended}: {tally(each.counts) or 'nothing'}"
                )
            )
        if not found and not output.json:
            output.note("nothing was erased")

    on_store(common_of(context).with_own(store=store, json=json, debug=debug), None, work, reading=True)
