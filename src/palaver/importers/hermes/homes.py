"""A home of hermes's, or what there is of one: its database, its directory of sessions, or one file of either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import tzinfo
from pathlib import Path
from typing import Any

from palaver.importers.databases import UNREADABLE, opened_copy
from palaver.importers.folders import SourceFile
from palaver.importers.hermes.compaction import Told
from palaver.importers.hermes.lineage import links, ordered
from palaver.importers.hermes.logs import INDEX, NAMES, is_index, logs_in
from palaver.importers.hermes.routing import Route, from_index, from_table
from palaver.importers.hermes.sessions import Reading
from palaver.importers.hermes.tables import Tables
from palaver.importers.values import Note, SourceSession, note

__all__ = ["DATABASE", "read"]

DATABASE = "state.db"


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession | Note]:
    """Every session in it, parents first. Raises OSError where it is gone, or cannot be read."""
    with ExitStack() as stack:
        yield from _Home(file, zone).sessions(stack)


class _Home:
    """What is read of one home."""

    def __init__(self, file: SourceFile, zone: tzinfo | None) -> None:
        path = file.path
        self.place = file.place
        self.zone = zone
        self.notes: list[Note] = []
        self.tables: Tables | None = None
        self.database: tuple[Path, str] | None = None
        self.logs: dict[str, list[tuple[Path, str]]] = {}
        self.index: tuple[Path, str] | None = None
        self.strays: list[Any] = []
        self.told: dict[str, list[Told]] = {}
        """The messages of sessions that others follow."""
        prefix = "" if file.shown in ("", ".") else f"{file.shown}/"
        if path.is_dir():
            base = path / DATABASE
            if base.is_file() and not base.is_symlink():
                self.database = (base, prefix + DATABASE)
            inner = path / "sessions"
            if inner.is_dir() and not inner.is_symlink():
                self._take_sessions(inner, f"{prefix}sessions", named=False)
            elif self.database is None:
                self._take_sessions(path, prefix.rstrip("/"), named=not is_index(path / INDEX))
        elif path.suffix in (".jsonl", ".json"):
            match = NAMES.fullmatch(path.name)
            self.logs[match[1] if match else path.stem] = [(path, file.shown)]
        else:
            self.database = (path, file.shown)

    def _take_sessions(self, folder: Path, shown: str, *, named: bool) -> None:
        self.logs = logs_in(folder, shown, self.notes, named=named)
        index = folder / INDEX
        if index.is_file() and not index.is_symlink():
            self.index = (index, f"{shown}/{INDEX}" if shown else INDEX)

    def sessions(self, stack: ExitStack) -> Iterator[SourceSession | Note]:
        """Read them. What is told of no session comes between."""
        self._open(stack)
        tables = self.tables
        rows = {name: row.value for name, row in tables.sessions.items()} if tables is not None else {}
        found, circles = links(rows)
        names = [*rows]
        strays = self.strays = tables.strays() if tables is not None else []
        names += [name for name in strays if isinstance(name, str) and name]
        names += [name for name in self.logs if name not in rows and name not in strays]
        routes = self._routes(names, rows)
        followed = {link.parent for link in found.values()}
        prompts = self._prompts()
        for name in ordered(names, found):
            reading = self._begun(name, prompts, circle=name in circles)
            for path, shown in self.logs.get(name, ()):
                reading.take_log(path, shown)
            link = found.get(name)
            parent = self.told.get(link.parent, []) if link is not None else []
            models = tables.used(name) if tables is not None else []
            told = reading.finish(routes.get(name, []), link, parent, models)
            if name in followed:
                self.told[name] = told
            yield from self._noted()
            yield reading.session
        self._nameless(strays)
        yield from self._noted()

    def _noted(self) -> list[Note]:
        notes = list(self.notes)
        self.notes.clear()  # the tables write into it too
        return notes

    def _open(self, stack: ExitStack) -> None:
        if self.database is None:
            return
        path, shown = self.database
        try:
            database, steady = stack.enter_context(opened_copy(path))
            tables = Tables(database, shown, self.notes)
        except UNREADABLE as exc:
            self.notes.append(note("skipped", shown, None, f"the database cannot be read: {exc}"))
            return
        if not tables.known:
            self.notes.append(note("aside", shown, None, "a database, but none of hermes's"))
            return
        if not steady:
            told = "it was written to while it was copied; import again when hermes has stopped"
            self.notes.append(note("repaired", shown, None, told))
        self.tables = tables

    def _begun(self, name: str, prompts: dict[str, str], *, circle: bool) -> Reading:
        """A session with what the database has of it."""
        tables = self.tables
        row = tables.sessions.get(name) if tables is not None else None
        stored = row is not None or name in self.strays
        shown = self.database[1] if stored and self.database is not None else self.logs[name][0][1]
        reading = Reading(name, shown, self.place, self.zone)
        if tables is not None and row is not None:
            reading.describe(row, dict(tables.defaults["sessions"]), prompts)
        elif stored:
            reading.note("repaired", f"session {name!r} has messages and no row of its own; they tell the rest")
        if tables is not None and stored:
            reading.take_rows(tables, name)
        if circle:
            reading.note("repaired", "what it follows leads back to itself; it follows nothing now")
        return reading

    def _nameless(self, strays: list[Any]) -> None:
        for stray in strays:
            if isinstance(stray, str) and stray:
                continue
            for row in self.tables.messages(stray) if self.tables is not None else []:
                number = row.value.get("id")
                told = f"a message of the session {stray!r:.40}, which is no name"
                line = number if isinstance(number, int) else None
                self.notes.append(note("skipped", self.database[1] if self.database else "", line, told))

    def _prompts(self) -> dict[str, str]:
        """System prompts by their hashes, since version 23 or so."""
        if self.tables is None:
            return {}
        rows = self.tables.table("system_prompts")
        return {str(row.value.get("hash")): str(row.value["prompt"]) for row in rows if row.value.get("prompt")}

    # -- keys ---------------------------------------------------------------------------------------------------

    def _routes(self, names: list[str], rows: dict[str, dict[str, Any]]) -> dict[str, list[Route]]:
        """What each key points at, by session. The table is what hermes reads, where it has one."""
        chosen: dict[str, Route] = {}
        known = set(names)
        for route in (*self._table_routes(), *self._index_routes()):
            other = chosen.get(route.key)
            if other is None:
                chosen[route.key] = route
            elif other.session_id != route.session_id:
                better, worse = (other, route) if other.session_id in known else (route, other)
                chosen[route.key] = better
                told = f"{route.key!r} points at {worse.session_id!r} here; what counts is {better.source}"
                self.notes.append(note("repaired", worse.source, None, f"{told}: {better.session_id!r}"))
        out: dict[str, list[Route]] = {}
        for route in chosen.values():
            if route.session_id in known:
                out.setdefault(route.session_id, []).append(route)
            else:
                told = f"{route.key!r} points at session {route.session_id!r}, which is nowhere"
                self.notes.append(note("aside", route.source, None, told))
        self._unrouted(rows, chosen, out)
        return out

    def _table_routes(self) -> list[Route]:
        if self.tables is None or self.database is None:
            return []
        return from_table(self.tables.table("gateway_routing"), self.database[1], self.notes)

    def _index_routes(self) -> list[Route]:
        if self.index is None:
            return []
        path, shown = self.index
        try:
            data = path.read_bytes()
        except OSError as exc:
            self.notes.append(note("skipped", shown, None, f"it cannot be read: {exc.strerror or exc}"))
            return []
        return from_index(data, shown, self.notes)

    def _unrouted(self, rows: dict[str, dict[str, Any]], chosen: dict[str, Route], out: dict[str, list[Route]]) -> None:
        """A key that no route is left of belongs to its newest session that has not ended."""
        newest: dict[str, tuple[float, str]] = {}
        for name, row in rows.items():
            key, began = row.get("session_key"), row.get("started_at")
            if not isinstance(key, str) or not key or key in chosen or row.get("ended_at") is not None:
                continue
            when = float(began) if isinstance(began, (int, float)) else 0.0
            newest[key] = max(newest.get(key, (when, name)), (when, name))
        for key, (_, name) in newest.items():
            source = self.database[1] if self.database is not None else ""
            out.setdefault(name, []).append(Route(key, name, {}, source))
            told = f"no route is left of {key!r}; it points at the newest session that it led to, {name!r}"
            self.notes.append(note("repaired", source, None, told))
