"""Commands by other names: what somebody types who knows the library, the HTTP API or another program."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["COMMANDS", "Commands"]

COMMANDS = {
    "compaction": "compact",
    "doctor": "check",
    "find": "show` or `palaver search",
    "history": "show --window",
    "info": "show",
    "list": "ls",
    "messages": "show",
    "open-turns": "turns",
    "remove": "delete",
    "repair": "check --repair",
    "rewind": "undo",
    "rm": "delete",
    "sessions": "ls",
    "unarchive": "archive --undo",
    "unhide": "hide --undo",
    "unpin": "pin --undo",
    "usage": "stats --by model",
    "window": "show --window",
}
"""What each of these is called here. None of them is a command: one thing has one name."""


class Commands(TyperGroup):
    """The commands; for another name of one, the error says which it is."""

    def invoke(self, ctx: Any) -> Any:
        """Do what the command line says. typer puts the name of Python's error before what a value should have been."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as exc:
            exc.message = exc.message.removeprefix("Value error, ")
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names."""
        meant = COMMANDS.get(args[0]) if args else None
        if meant is not None and args[0] not in self.commands:
            ctx.fail(f"No such command {args[0]!r}: it is `palaver {meant}`.")
        return super().resolve_command(ctx, args)
