"""From what the command line says to an open store.

Commands that only read change nothing, and no command that looks for a session makes a store.
"""

from __future__ import annotations

import logging
import os
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

from palaver import config
from palaver.cli.configuration import file_store, without_passwords
from palaver.cli.failures import NO_STORE, USAGE, Failure
from palaver.cli.output import Output
from palaver.errors import SessionNotFound, StoreUnavailable
from palaver.findings import Finding, Progress
from palaver.manager import SessionManager
from palaver.opening import open as open_manager
from palaver.session import Session
from palaver.stores.urls import require_path
from palaver.titles import near

__all__ = [
    "find",
    "findings",
    "open_for_reading",
    "open_for_writing",
    "open_or_make",
    "read_only",
    "require_destination",
    "resolve_url",
]

_SESSIONS_TRIED = 1_000
_GUESSES = 3


def resolve_url(given: str | None) -> str:
    """The store that the option names, else the environment, the file, or the one in the user's data directory."""
    if given is not None:
        if not given.strip():
            msg = "--store is empty: name a store such as sqlite:///chat.db, or leave the option out"
            raise Failure(msg, USAGE)
        return given
    try:
        named = None if os.environ.get(config.STORE_VARIABLE) else file_store()
        return named or config.store_url()
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc


def read_only(url: str) -> str:
    """The URL of the same store, opened for reading alone, where that can be, and not made where it is missing.

    Raises ValueError for what is neither a URL nor meant as a path.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:  # a bare path is SQLite
        require_path(url)
        return config.sqlite_url(Path(url).expanduser()) + "?mode=ro"
    if scheme == "memory":
        return url
    query = rest.partition("?")[2]
    if any(option.startswith("mode=") for option in query.split("&")):
        return url
    # The others take in what came from elsewhere (a file that was edited, what is to be searched) when they are read.
    mode = "ro" if scheme == "sqlite" else "rw"
    return f"{url}{'&' if query else '' if rest.endswith('?') else '?'}mode={mode}"


class _Waits(logging.Handler):
    """Tells a person what a command waits for."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "action", None) == "store_away":
            Output().note(record.getMessage())


def _opened(url: str) -> SessionManager:
    """The manager of a store. What goes wrong is told by the command; what is logged beside that is for servers."""
    for name in ("palaver", "psycopg"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    waits = _Waits()
    logging.getLogger("palaver").addHandler(waits)
    try:
        return open_manager(url)
    finally:
        logging.getLogger("palaver").removeHandler(waits)


def open_for_reading(
    url: str, owner: str | None, *, remedy: str = f"name another with --store or {config.STORE_VARIABLE}"
) -> SessionManager:
    """The sessions of one owner, or of all. Raises Failure for a URL that cannot be or names nothing, StoreError.

    `remedy`: what to do where there is no store.
    """
    try:
        opened = read_only(url)
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc
    try:
        manager = _opened(opened)
    except StoreUnavailable as exc:
        if not isinstance(exc.__cause__, FileNotFoundError):
            raise
        raise Failure(f"there is no store at {without_passwords(url)}: {remedy}", NO_STORE) from exc
    except ValueError as exc:  # it quotes what was opened: the person is shown what they wrote
        raise Failure(str(exc).replace(repr(opened), repr(url)), USAGE) from exc
    if not owner:
        return manager
    return manager.for_owner(owner)


def open_for_writing(url: str, owner: str | None) -> SessionManager:
    """The same, for commands that change what is stored, or its search index; it is not made where it is missing.

    Raises as `open_for_reading` does.
    """
    manager = open_for_reading(url, owner)
    if "://" in url and not url.startswith("sqlite:"):
        return manager
    manager.close()
    made = _opened(url)
    return made.for_owner(owner) if owner else made


def open_or_make(url: str, owner: str | None) -> SessionManager:
    """The same, to write to; it is made where it is missing. Raises Failure for a URL that cannot be, StoreError."""
    try:
        manager = _opened(url)
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc
    return manager.for_owner(owner) if owner else manager


def findings(
    url: str, session: str | None = None, *, notes: bool = False, progress: Progress | None = None
) -> list[Finding]:
    """Everything that is wrong with a store or a session; of a damaged file, what SQLite itself says about it.

    Raises as `open_for_reading` does, and SessionNotFound.
    """
    try:
        with open_for_reading(url, None) as manager:
            if session is None:
                return manager.check(notes=notes, progress=progress)
            try:
                return manager.check(session, notes=notes, progress=progress)
            except SessionNotFound:  # a key, perhaps
                return manager.check(find(manager, session).id, notes=notes, progress=progress)
    except StoreUnavailable as exc:
        from palaver.stores.sqlite import salvage

        if not salvage.is_damage(exc):
            raise
        found = salvage.damage(_file(read_only(url)))
        if not found:
            raise
        return found


def require_destination(url: str, destination: str | None) -> None:
    """Refuse to back up a store on a server without a name: it has no place of its own for files. Raises Failure."""
    if destination is None and urlsplit(url).scheme in {"postgresql", "postgres"}:
        name = without_passwords(url)
        msg = f"{name} is on a server, and has no place of its own for files: name one, as in palaver backup FILE"
        raise Failure(msg, USAGE)


def _file(url: str) -> str:
    """The file behind the URL of a SQLite store."""
    return unquote(urlsplit(url).path[1:])


def exactly(manager: SessionManager, reference: str) -> Session:
    """The session with this id, alias or key, and no other: for what cannot be undone. Raises SessionNotFound."""
    try:
        return manager.get(reference)
    except SessionNotFound:
        pass
    try:
        return manager.resolve(reference)
    except (SessionNotFound, ValueError):
        msg = f"no session has the id, alias or key {reference!r}: a title is not enough for this; `palaver ls` has ids"
        raise SessionNotFound(msg) from None


def find(manager: SessionManager, reference: str) -> Session:
    """The session with this id, alias or key; else with this title, or the only one whose title or id begins so.

    Raises SessionNotFound, SessionAmbiguous.
    """
    try:
        return exactly(manager, reference)
    except SessionNotFound:
        pass
    try:
        return manager.find(reference)
    except SessionNotFound:
        pass
    where = f" of owner {manager.owner!r}" if manager.owner is not None else ""
    likely = _near(reference, manager)
    guess = f"; did you mean {', '.join(likely)}?" if likely else ":"
    msg = (
        f"no session{where} has the id, alias, key or title {reference!r}{guess} `palaver ls --all` lists what there is"
    )
    raise SessionNotFound(msg)


def _near(reference: str, manager: SessionManager) -> list[str]:
    """A few keys, titles and ids that begin so or look alike, of the sessions with the newest activity."""
    start = reference.strip().casefold()
    if not start:
        return []
    sessions = manager.list(limit=_SESSIONS_TRIED, include_archived=True, include_empty=True, include_hidden=True)
    names = [name for s in sessions for name in (*s.keys, s.title, s.id) if name is not None]
    begun = islice((name for name in names if name.casefold().startswith(start)), _GUESSES)
    return list(begun) or near(reference, names)
