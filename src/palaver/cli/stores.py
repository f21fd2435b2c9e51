"""From what the command line says to an open store. Commands that only read make nothing, and change nothing."""

from __future__ import annotations

import logging

from palaver import config
from palaver.cli.failures import NO_STORE, USAGE, Failure
from palaver.errors import SessionNotFound, StoreUnavailable
from palaver.manager import SessionManager
from palaver.opening import open as open_manager
from palaver.session import Session

__all__ = ["find", "open_for_reading", "read_only", "resolve_url"]


def resolve_url(given: str | None) -> str:
    """The store that the option names, else the environment, else the one in the user's data directory."""
    try:
        return given or config.store_url()
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc


def read_only(url: str) -> str:
    """The URL of the same store, opened for reading alone and not made where it is missing."""
    scheme, separator, rest = url.partition("://")
    if not separator:  # a bare path is SQLite
        return config.sqlite_url(url) + "?mode=ro"
    if scheme != "sqlite":
        return url
    query = rest.partition("?")[2]
    if any(option.startswith("mode=") for option in query.split("&")):
        return url
    return f"{url}{'&' if query else '' if rest.endswith('?') else '?'}mode=ro"


def open_for_reading(url: str, owner: str | None) -> SessionManager:
    """The sessions of one owner, or of all. Raises Failure for a URL that cannot be or names nothing, StoreError."""
    # What goes wrong is told by the command, once; what the library logs beside that is for servers.
    logging.getLogger("palaver").addHandler(logging.NullHandler())
    try:
        manager = open_manager(read_only(url))
    except StoreUnavailable as exc:
        if not isinstance(exc.__cause__, FileNotFoundError):
            raise
        msg = f"there is no store at {url}: name another with --store or {config.STORE_VARIABLE}"
        raise Failure(msg, NO_STORE) from exc
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc
    if not owner:
        return manager
    return manager.for_owner(owner)


def find(manager: SessionManager, reference: str) -> Session:
    """The session with this id, alias or key. Raises SessionNotFound."""
    try:
        return manager.get(reference)
    except SessionNotFound:
        try:
            return manager.resolve(reference)
        except (SessionNotFound, ValueError):
            pass
    where = f" of owner {manager.owner!r}" if manager.owner is not None else ""
    msg = f"no session{where} has the id, alias or key {reference!r}: `palaver ls --all` lists what there is"
    raise SessionNotFound(msg)
