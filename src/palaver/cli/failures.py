"""What the exit codes mean, and which one an error has."""

from __future__ import annotations

from palaver.errors import (
    MediaNotFound,
    PalaverError,
    SessionBusy,
    SessionConflict,
    SessionEnded,
    SessionNotFound,
    StoreError,
)

__all__ = [
    "EXIT_CODES",
    "FAILED",
    "FOUND",
    "INTERRUPTED",
    "MISSING",
    "NO_STORE",
    "OK",
    "REFUSED",
    "USAGE",
    "Failure",
    "exit_code",
]

OK = 0
FOUND = 1
USAGE = 2
MISSING = 3
NO_STORE = 4
FAILED = 5
REFUSED = 6
INTERRUPTED = 130

EXIT_CODES = {
    OK: "it did what was asked",
    FOUND: "it did, and found something wrong: `check` has findings, `show` or `export` met what cannot be decoded, "
    "`import` skipped damaged records, `sweep` reports to-dos that were given up",
    USAGE: "the command line is wrong: an unknown option, a value that cannot be, a URL of no store, an existing file",
    MISSING: "no such session",
    NO_STORE: "the store is missing or cannot be used: no file, no permission, no room, another program's file",
    FAILED: "anything else failed; `--debug` shows where",
    REFUSED: "the session is not in a state for it, and nothing was changed: nothing to undo or redo, a title that "
    "another has, a name that several have, a turn that runs, no message at that number",
    INTERRUPTED: "it was interrupted (Ctrl-C)",
}
"""A reader that goes away (`palaver ls | head`) is no error: the code is what it would have been."""


class Failure(Exception):
    """The command cannot go on: a message of one line for the person, and the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def exit_code(error: BaseException) -> int:
    """The exit code that an error leads to."""
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, (SessionNotFound, MediaNotFound)):
        return MISSING
    if isinstance(error, StoreError):
        return NO_STORE
    if isinstance(error, (SessionConflict, SessionBusy, SessionEnded)):
        return REFUSED
    if isinstance(error, PalaverError) and isinstance(error, ValueError):
        return USAGE  # an id, a key or a format on the command line
    return FAILED
