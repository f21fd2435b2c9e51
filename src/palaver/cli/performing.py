"""Doing the work of a command: the way from an error to an exit code."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import typer

from palaver.cli.failures import INTERRUPTED, OK, Failure, exit_code
from palaver.cli.options import Common
from palaver.cli.output import Output
from palaver.errors import PalaverError

__all__ = ["perform"]


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


def _told(error: Exception) -> str:
    if isinstance(error, (PalaverError, Failure)):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return f"{type(error).__name__}: {error} (this should not happen; --debug shows where)"
