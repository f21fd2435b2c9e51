"""Options that many commands have."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from palaver.cli.moments import parse_since
from palaver.clock import utc_now

__all__ = [
    "Common",
    "Debug",
    "Json",
    "Owner",
    "Position",
    "Provider",
    "Reference",
    "References",
    "Store",
    "Yes",
    "common_of",
    "moment",
    "require_text",
]

_STORE_HELP = "The store. Else $PALAVER_STORE, else palaver.db in the user's data directory."

Store = Annotated[str | None, typer.Option("--store", metavar="URL", help=_STORE_HELP)]
Owner = Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Only what belongs to this owner.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON, one line for each thing.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where nobody can answer.")]
Reference = Annotated[
    str, typer.Argument(metavar="SESSION", help="A session's id, alias, key or title, or how a title or id begins.")
]
References = Annotated[
    list[str], typer.Argument(metavar="SESSION", help="Sessions, each by its id, alias, key or title; one or more.")
]
Position = Annotated[int, typer.Argument(metavar="SEQ", min=1, help="The message, by its number in `show`.")]


class Provider(enum.StrEnum):
    """Whose API a model has."""

    openai = "openai"
    anthropic = "anthropic"


@dataclass(frozen=True, slots=True)
class Common:
    """Options that may stand before the command as well as after it."""

    store: str | None = None
    json: bool = False
    debug: bool = False

    def with_own(self, *, store: str | None, json: bool = False, debug: bool = False) -> Common:
        """These, with what was said after the command: the nearer word counts."""
        nearest = store if store is not None else self.store  # an empty one too: it is told, and not passed over
        return Common(store=nearest, json=json or self.json, debug=debug or self.debug)


def common_of(context: typer.Context) -> Common:
    """What was said before the command."""
    found: Any = context.obj
    return found if isinstance(found, Common) else Common()


def moment(text: str | None, option: str) -> datetime | None:
    """The instant that an option names. Raises BadParameter."""
    try:
        return parse_since(text, utc_now()) if text is not None else None
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint=option) from exc


def require_text(text: str | None, where: str) -> None:
    """Refuse a blank text that was given for an option or argument."""
    if text is not None and not text.strip():
        msg = "it is empty"
        raise typer.BadParameter(msg, param_hint=where)
