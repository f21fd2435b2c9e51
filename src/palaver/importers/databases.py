"""Other programs' SQLite databases, read from a private copy: nothing beside the source changes, not even a lock file.

What the write-ahead log holds is seen. Columns are looked up, never assumed. Text that is no UTF-8 is read all the
same, and of a damaged table every row that can be.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import apsw
import msgspec

__all__ = ["DAMAGE", "UNREADABLE", "Database", "Row", "opened_copy", "quoted"]

DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.IOError)
"""What SQLite raises where a database cannot be read."""
UNREADABLE = (*DAMAGE, apsw.SQLError)
"""The same, and what it raises where a schema makes no sense, or names what may not run."""
_BESIDE = ("-wal", "-journal")
"""What belongs to a database: the log that is not in it yet, or what a crash left to be taken back. The `-shm` file is
made from the log again."""
_TRIES = 5
_PROBED = 100_000
"""Row numbers that are tried one by one around a damaged place."""


try:
    import fcntl as _locks
except ImportError:  # Windows: nobody can tell there whether a copy is in use
    _locks = None  # type: ignore[assignment]
fcntl: Any = _locks
_PREFIX = "palaver-import-"
_IN_USE = "in-use"
"""A file that is locked as long as the copy beside it is used."""


class Row(msgspec.Struct):
    """A row, by its columns. `mended`: bytes in it that were no UTF-8 became U+FFFD."""

    value: dict[str, Any]
    mended: bool = False


@contextmanager
def _marked(folder: Path) -> Generator[None]:
    """Let others see that a folder is in use, for as long as this process lives."""
    made = folder / f"{_IN_USE}.new"
    with made.open("wb") as mark:
        if fcntl is not None:
            fcntl.flock(mark, fcntl.LOCK_EX)
        made.rename(folder / _IN_USE)  # only now: nobody finds it without its lock
        yield


def _remove_left_behind() -> None:
    """Remove copies that a killed import could not: they hold what somebody said."""
    if fcntl is None:
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            with (folder / _IN_USE).open("rb") as mark:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        except OSError:  # in use, another user's, or removed by somebody else
            continue


@contextmanager
def opened_copy(path: Path) -> Generator[tuple[Database, bool]]:
    """A copy of a database, which is gone again at the end, and whether the source held still while it was copied.

    Raises OSError where it cannot be copied, one of DAMAGE where there is no database in it.
    """
    _remove_left_behind()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder, _marked(Path(folder)):  # nobody else may look into it
        copy = Path(folder) / "copy.db"
        steady = any(_copied(path, copy) for _ in range(_TRIES))
        connection = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READWRITE)
        with closing(connection):
            # Its schema is not ours to trust: nothing that it names may run.
            connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
            yield Database(connection), steady


def _copied(path: Path, copy: Path) -> bool:
    """Copy a database with what belongs to it; whether none of it was written to meanwhile."""
    before = _state(path)
    shutil.copyfile(path, copy)
    for suffix in _BESIDE:
        source, target = Path(f"{path}{suffix}"), Path(f"{copy}{suffix}")
        target.unlink(missing_ok=True)
        if source.is_file() and not source.is_symlink():
            shutil.copyfile(source, target)
    return _state(path) == before


def _state(path: Path) -> list[tuple[int, int] | None]:
    out: list[tuple[int, int] | None] = []
    for suffix in ("", *_BESIDE):
        try:
            stat = Path(f"{path}{suffix}").stat()
        except FileNotFoundError:
            out.append(None)
        else:
            out.append((stat.st_mtime_ns, stat.st_size))
    return out


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


_FAILURES = 20_000
"""Reads that may fail until what is left is given up as it is: damage can make of a row's number any number."""


class Database:
    """A database of which this process alone has the copy."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute: Callable[..., Any] = cast("Any", connection).execute  # its stub leaves the rows untyped
        self._columns: dict[str, dict[str, Any]] = {}
        self._execute("PRAGMA writable_schema = ON")  # one bad definition does not hide the others

    def columns(self, table: str) -> Mapping[str, Any]:
        """The columns of a table with their defaults; none where there is no such table. Raises one of DAMAGE."""
        if table not in self._columns:
            there = self._execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchall()
            asked = "SELECT CAST(name AS BLOB), CAST(dflt_value AS BLOB) FROM pragma_table_info(?) ORDER BY cid"
            found = self._execute(asked, (table,)).fetchall() if there else ()
            named = ((_text(name), _text(default)) for name, default in found)
            self._columns[table] = {name: _default(default) for name, default in named if name is not None}
        return self._columns[table]

    def tables(self) -> list[str]:
        """The names of all tables. Raises one of DAMAGE."""
        found = self._execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        return [str(row[0]) for row in found]

    def count(self, table: str) -> int | None:
        """How many rows a table has; None where they cannot be counted."""
        try:
            [[found]] = self._execute(f"SELECT count(*) FROM {quoted(table)}")  # noqa: S608 - names are quoted
        except DAMAGE:
            return None
        return int(found)

    def numbered(self, table: str, column: str) -> tuple[list[tuple[int, Any]], str | None]:
        """The number of every row that can be reached and its value in a column, ascending, and what is damaged.

        Around a damaged place rows are looked for from the end backwards, and one by one in between.
        """
        name, value = quoted(table), quoted(column)
        begin = f"SELECT rowid, typeof({value}), CAST({value} AS BLOB), {value} IS NULL FROM {name} NOT INDEXED"  # noqa: S608 - names are quoted
        found: dict[int, Any] = {}
        try:
            self._collect(found, f"{begin} ORDER BY rowid", ())
        except DAMAGE as exc:
            last = max(found, default=0)
            for low, high in self._gaps(found, begin, last):
                for number in range(low, high):
                    with contextlib.suppress(*DAMAGE):  # what cannot be reached is in the answer
                        self._collect(found, f"{begin} WHERE rowid = ?", (number,))
            return sorted(found.items()), f"table {table} is damaged after row {last}: {exc}"
        return list(found.items()), None

    def _gaps(self, found: dict[int, Any], begin: str, last: int) -> list[tuple[int, int]]:
        """Collect from the end backwards; between which numbers the damage lies."""
        back: dict[int, Any] = {}
        with contextlib.suppress(*DAMAGE):  # the other side of the place that is known already
            self._collect(back, f"{begin} WHERE rowid > ? ORDER BY rowid DESC", (last,))
        found |= back
        return [(last + 1, min(min(back, default=last + _PROBED), last + _PROBED))]

    def _collect(self, found: dict[int, Any], statement: str, bindings: tuple[Any, ...]) -> None:
        for number, kind, data, missing in self._execute(statement, bindings):
            text = b"" if data is None else data
            value = None if missing else text.decode("utf-8", "replace") if kind != "blob" else text
            found[number] = value

    def indexed(self, table: str, column: str) -> None:
        """See to it that rows are found by a column. Raises one of DAMAGE."""
        for row in self._execute(f"PRAGMA index_list({quoted(table)})").fetchall():
            info = self._execute(f"PRAGMA index_info({quoted(str(row[1]))})").fetchall()
            if info and info[0][2] == column and not row[4]:
                return
        name = quoted(f"palaver {table} {column}")
        self._execute(f"CREATE INDEX {name} ON {quoted(table)} ({quoted(column)})")

    def distinct(self, table: str, column: str) -> set[Any]:
        """The values in a column. Raises one of DAMAGE, UnicodeDecodeError."""
        found = self._execute(f"SELECT DISTINCT {quoted(column)} FROM {quoted(table)}")  # noqa: S608 - names are quoted
        return {row[0] for row in found}

    def rows(self, table: str, rest: str = "", bindings: tuple[Any, ...] = ()) -> list[Row]:
        """Rows of a table; `rest` is what follows its name in the statement. Raises one of DAMAGE."""
        names = list(self.columns(table))
        listed = ", ".join(quoted(name) for name in names)
        try:
            found = self._execute(f"SELECT {listed} FROM {quoted(table)} {rest}", bindings)  # noqa: S608 - names are quoted
            return [Row(dict(zip(names, row, strict=True))) for row in found]
        except UnicodeDecodeError:
            return self._careful_rows(table, names, rest, bindings)

    def _careful_rows(self, table: str, names: list[str], rest: str, bindings: tuple[Any, ...]) -> list[Row]:
        """The same, with text read as the bytes that it is."""
        listed = ", ".join(
            f"typeof({n}) = 'text', CASE typeof({n}) WHEN 'text' THEN CAST({n} AS BLOB) ELSE {n} END"
            for n in map(quoted, names)
        )
        out: list[Row] = []
        for found in self._execute(f"SELECT {listed} FROM {quoted(table)} {rest}", bindings):  # noqa: S608 - names are quoted
            row = Row({})
            for name, is_text, value in zip(names, found[::2], found[1::2], strict=True):
                row.value[name] = value
                if is_text and isinstance(value, bytes):
                    text = value.decode("utf-8", "replace")
                    row.mended = row.mended or text.encode() != value
                    row.value[name] = text
            out.append(row)
        return out

    def salvaged(self, table: str) -> tuple[list[Row], list[tuple[int, int | None]]]:
        """Every row of a damaged table that can be read, and the ranges of row numbers that cannot (None: to its end).

        Raises one of DAMAGE where not even the columns can be read.
        """
        self.columns(table)
        last = self._last(table)
        if last is None:
            return self._until_damage(table)
        rows: list[Row] = []
        lost: list[tuple[int, int | None]] = []
        waiting = [(1, last)]
        failures = 0
        while waiting:
            low, high = waiting.pop()
            try:
                rows += self.rows(table, "WHERE rowid BETWEEN ? AND ? ORDER BY rowid", (low, high))
            except DAMAGE:
                failures += 1
                if low == high or failures > _FAILURES:
                    before = lost[-1][1] if lost else None
                    lost[-1:] = [(lost[-1][0], high)] if before == low - 1 else [*lost[-1:], (low, high)]
                else:
                    middle = (low + high) // 2
                    waiting += [(middle + 1, high), (low, middle)]
        return rows, lost

    def _until_damage(self, table: str) -> tuple[list[Row], list[tuple[int, int | None]]]:
        rows: list[Row] = []
        after = 0
        try:
            while True:
                [[number]] = self._execute(
                    f"SELECT min(rowid) FROM {quoted(table)} WHERE rowid > ?",  # noqa: S608 - names are quoted
                    (after,),
                )
                if number is None:
                    return rows, []
                if number <= after:  # a damaged page has its rows in any order
                    return rows, [(after + 1, None)]
                rows += self.rows(table, "WHERE rowid = ?", (number,))
                after = number
        except DAMAGE:
            return rows, [(after + 1, None)]

    def _last(self, table: str) -> int | None:
        """The highest row number, from wherever it can be read."""
        tries: Iterable[tuple[str, tuple[Any, ...]]] = (
            (f"SELECT max(rowid) FROM {quoted(table)}", ()),  # noqa: S608 - names are quoted
            ("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)),
        )
        for statement, bindings in tries:
            try:
                found = self._execute(statement, bindings).fetchall()
            except UNREADABLE:  # the second table is not in every database
                continue
            if found and isinstance(found[0][0], int):
                return found[0][0]
        return None


def _text(data: bytes | None) -> str | None:
    """What the schema says; None for what damage has made of it."""
    try:
        return data.decode() if data is not None else None
    except UnicodeDecodeError:
        return None


def _default(text: str | None) -> Any:
    """What a column holds that nothing was put into, where that is a plain number or text."""
    if text is None:
        return None
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text[1:-1] if text[:1] == text[-1:] == "'" and len(text) > 1 else None
