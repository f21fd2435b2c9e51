"""Doing the work of a command: on which store and sessions, and the way from an error to an exit code."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence

import typer

from palaver.cli import stores
from palaver.cli.failures import INTERRUPTED, OK, Failure, exit_code
from palaver.cli.options import Common
from palaver.cli.output import Output
from palaver.errors import PalaverError
from palaver.manager import SessionManager
from palaver.session import Session

__all__ = ["on_sessions", "on_store", "perform"]


def perform(options: Common, work: Callable[[Output], int | None]) -> None:
    """Do the work of a command, and end with its exit code; an error is told on one line."""
    output = Output(json=options.json)
    try:
        code = work(output) or OK
        output.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the end of the line: a person is told, and no trace covers their screen
        code = exit_code(exc)
        if options.debug:
            output.trace("".join(traceback.format_exception(exc)))
        output.error(_told(exc))
    raise typer.Exit(code)


def on_store(
    options: Common,
    owner: str | None,
    work: Callable[[SessionManager, Output], int | None],
    *,
    reading: bool = False,
) -> None:
    """Do the work on a store that can be written, or is opened for `reading`; it is not made where it is missing."""

    def run(output: Output) -> int | None:
        opened = stores.open_for_reading if reading else stores.open_for_writing
        with opened(stores.resolve_url(options.store), owner) as manager:
            return work(manager, output)

    perform(options, run)


def on_sessions(
    options: Common,
    owner: str | None,
    references: str | Sequence[str],
    work: Callable[[Session, Output], None],
    *,
    reading: bool = False,
) -> None:
    """Do the work on the sessions that are meant, one after the other: on none where one is not found."""
    named = [references] if isinstance(references, str) else references

    def run(manager: SessionManager, output: Output) -> None:
        for session in [stores.find(manager, each) for each in named]:
            work(session, output)

    on_store(options, owner, run, reading=reading)


def _told(error: Exception) -> str:
    if isinstance(error, (PalaverError, Failure)):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return f"{type(error).__name__}: {error} (this should not happen; --debug shows where)"
