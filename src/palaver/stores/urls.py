"""From a URL to a store."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from palaver.errors import StoreBusy, StoreUnavailable
from palaver.stores.base import Store

__all__ = ["open_at_once", "open_store", "require_path"]

_ALMOST_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_PLAIN = re.compile(r"sqlite:///([^?#%\s]+)")
"""What is as it is written: most URLs of files."""
_YES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_MODES = {"ro": {"read_only": True}, "rw": {"make": False}}


def open_store(url: str | os.PathLike[str]) -> Store:
    """The store behind a URL; a bare path is SQLite.

    `memory://` keeps nothing. `sqlite:///relative.db`, `sqlite:////absolute/path.db`, with `?timeout=SECONDS` to wait
    for other processes, `?mode=ro` to refuse writing, `?exclusive=1` for one process on a network file system,
    `?max_pages=N` as the largest size. `jsonl:///directory` is a file of lines for each session, with `?timeout=` and
    `?mode=`. With `?mode=rw` a store is not made where there is none, as in SQLite's own URLs.

    Raises ValueError for a URL that names no store or has a wrong option; StoreError where the store cannot be opened.
    """
    return _open(os.fspath(url))


def open_at_once(url: str | os.PathLike[str]) -> Store | None:
    """The store behind a URL, if that takes no longer than a few short reads; None: open it in a thread.

    So it is with a SQLite file that needs nothing done, once the process has opened one. Raises as `open_store` does.
    """
    text = os.fspath(url)
    if "palaver.stores.sqlite.store" not in sys.modules or text.partition("://")[0] not in {"sqlite", text}:
        return None
    try:
        return _open(text, at_once=True)
    except StoreBusy:
        return None


def _open(text: str, **known: Any) -> Store:
    if plain := _PLAIN.fullmatch(text):
        return _sqlite(plain[1], {}, **known)
    scheme, separator, _ = text.partition("://")
    if not separator:
        require_path(text)
        return _sqlite(str(Path(text).expanduser()), {}, **known)
    if scheme in {"postgresql", "postgres"}:
        return _postgres(text)
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    if scheme == "memory":
        return _memory(text, options)
    if scheme == "sqlite":
        if parts.netloc:
            raise ValueError(
                f"{text!r} names a host; a SQLite URL has three slashes: sqlite:///{parts.netloc}{parts.path}"
            )
        path = unquote(parts.path[1:])
        if not path:
            raise ValueError(f"{text!r} names no file; write sqlite:///path/to/file.db, or memory:// to keep nothing")
        return _sqlite(path, options, **known)
    if scheme == "jsonl":
        return _jsonl(text, parts.netloc, unquote(parts.path[1:]), options)
    raise ValueError(
        f"no store for {scheme}:// URLs; there are sqlite:///path, jsonl:///directory, postgresql://host/database "
        "and memory://, and a bare path is SQLite"
    )


def require_path(text: str) -> None:
    """Refuse what is neither a URL nor meant as a path: it would quietly make a second store. Raises ValueError."""
    if not text:
        raise ValueError("'' names no file; write chat.db, sqlite:///chat.db, or memory:// to keep nothing")
    if _ALMOST_URL.match(text) and not Path(text).exists():
        scheme, _, rest = text.partition(":")
        raise ValueError(
            f"{text!r} is neither a URL nor a plain path: write {scheme}:///{rest.lstrip('/')}, "
            f"or ./{text} for a file of that name"
        )


def _memory(url: str, options: dict[str, str]) -> Store:
    from palaver.stores.memory import MemoryStore

    _reject(url, options)
    return MemoryStore()


def _sqlite(path: str, options: dict[str, str], **known: Any) -> Store:
    from palaver.stores.sqlite import SqliteStore

    url = f"sqlite:///{path}"
    try:
        if "timeout" in options:
            known["timeout"] = float(options.pop("timeout"))
        if "max_pages" in options:
            known["max_pages"] = int(options.pop("max_pages"))
        if "exclusive" in options:
            known["exclusive"] = _YES[options.pop("exclusive")]
        if "mode" in options:
            known |= _MODES[options.pop("mode")]
    except (ValueError, KeyError) as exc:
        raise ValueError(f"{url}: an option has a value that it cannot have: {exc}") from exc
    _reject(url, options)
    if path == ":memory:":
        raise StoreUnavailable("a SQLite database in memory cannot be shared by threads; use memory://")
    return SqliteStore(path, **known)


def _jsonl(url: str, host: str, path: str, options: dict[str, str]) -> Store:
    from palaver.stores.jsonl import JsonlStore

    if host or not path:
        raise ValueError(f"{url!r} names no directory; write jsonl:///path/to/directory")
    known: dict[str, Any] = {}
    try:
        if "timeout" in options:
            known["timeout"] = float(options.pop("timeout"))
        if "mode" in options:
            known |= _MODES[options.pop("mode")]
    except (ValueError, KeyError) as exc:
        raise ValueError(f"{url}: an option has a value that it cannot have: {exc}") from exc
    _reject(url, options)
    return JsonlStore(path, **known)


def _postgres(url: str) -> Store:
    try:
        from palaver.stores.postgres import PostgresStore
    except ModuleNotFoundError as exc:
        if exc.name is None or not exc.name.startswith("psycopg"):
            raise
        msg = f"a PostgreSQL store needs the extra `postgres` ({exc.name} is missing): pip install 'palaver[postgres]'"
        raise StoreUnavailable(msg) from exc
    return PostgresStore(url)


def _reject(url: str, options: dict[str, str]) -> None:
    if options:
        raise ValueError(f"{url} has no option {', '.join(sorted(options))}")
