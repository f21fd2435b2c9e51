"""Databases on a PostgreSQL server, one for each place: what a directory is to a store with files."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

__all__ = ["drop_made", "made", "server", "shown"]

_known: dict[tuple[str, Path], str] = {}
_own: list[tuple[str, str]] = []
"""Server and name of what this process has made."""


@contextmanager
def server(said: str) -> Generator[str]:
    """The URL of a server: the one that is given, or of one that runs while the block does, for `postgresql` alone."""
    if said not in {"postgresql", "postgres"}:
        yield said
        return
    from tests.servers import keeping
    from tests.servers.postgres import Server

    try:
        # None of the tests' quick settings: a commit is synced to the disk before it is answered.
        yield Server().make().start().url()
    finally:
        keeping.shut_down()


def made(url: str, directory: Path) -> str:
    """URL of the database that belongs to a directory, made on that server if it is not there yet."""
    if (url, directory) not in _known:
        import psycopg
        from psycopg import sql

        name = f"palaver_bench_{hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:20]}"
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                _own.append((url, name))
        _known[url, directory] = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    return _known[url, directory]


def drop_made() -> None:
    """Remove the databases that this process has made."""
    while _own:
        import psycopg
        from psycopg import sql

        url, name = _own.pop()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    _known.clear()


def shown(kind: str) -> str:
    """A kind of store for the report: of a URL no user and no password; of a server also its version."""
    if "://" not in kind:
        return kind
    import psycopg

    parts = urlsplit(kind)
    with psycopg.connect(kind) as connection:
        [version] = connection.execute("SHOW server_version").fetchone() or ("",)
    return f"{parts.scheme}://{parts.hostname or ''} (PostgreSQL {version})"
