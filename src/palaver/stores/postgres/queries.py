"""The statements of `queries.sql` and `doctor.sql`, by name, and the migrations. No other module holds SQL text.

In the files the store's schema is called `palaver`, and parameters are `$1`, `$2` or `:names`; PostgreSQL has numbers
alone, so names become numbers here. Names are also written where SQLite has them, so that the same readers fill both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from palaver.stores.schema import oldest_code

__all__ = [
    "Statement",
    "backup_statements",
    "migrations",
    "partitioning",
    "queries",
    "require_fences",
    "require_schema",
]

_PACKAGE = "palaver.stores.postgres"
_MARK = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_NAMED = re.compile(r"(?<![:\w]):([a-z_]+)")
_SCHEMA = re.compile(r"\bpalaver\.")
_BEGINNINGS = ("take", "append_one", "append_many")
"""What every transaction that writes begins with."""
_USABLE = re.compile(r"[a-z_][a-z0-9_]{0,40}")


class Statement(NamedTuple):
    """A statement, and the names of its parameters in order; None: they are given in order."""

    text: str
    names: tuple[str, ...] | None

    def values(self, given: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
        """The values in the order of the numbers."""
        if isinstance(given, Mapping):
            return [given[name] for name in self.names or ()]
        return given


def require_schema(schema: str) -> str:
    """The name, if it is a plain one. Raises ValueError."""
    if not _USABLE.fullmatch(schema):
        raise ValueError(f"{schema!r} is no name for a schema: write small letters, digits and underscores")
    return schema


@cache
def queries(schema: str = "palaver") -> dict[str, Statement]:
    """Every statement by its name, without comments and the final semicolon, for a store in this schema."""
    return _read(schema, "queries.sql", "doctor.sql")


@cache
def backup_statements(schema: str = "palaver") -> dict[str, Statement]:
    """The same of `backup.sql`, whose `write_` statements are SQLite's."""
    return _read(schema, "backup.sql")


def _read(schema: str, *names: str) -> dict[str, Statement]:
    text = "\n".join((files(_PACKAGE) / name).read_text("utf-8") for name in names)
    pieces = _MARK.split(text)[1:]
    found: dict[str, Statement] = {}
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        if name in found:
            msg = f"the statements name {name} twice"
            raise ValueError(msg)
        lines = [line.partition("--")[0].rstrip() for line in body.splitlines()]
        sql = "\n".join(line for line in lines if line).strip().removesuffix(";")
        given = tuple(dict.fromkeys(_NAMED.findall(sql)))
        sql = _NAMED.sub(lambda match, given=given: f"${given.index(match[1]) + 1}", sql)  # type: ignore[misc]
        found[name] = Statement(_placed(sql, schema), given or None)
    return found


@cache
def migrations(schema: str = "palaver") -> tuple[str, ...]:
    """The migrations in order; the schema's version is how many were applied."""
    folder = files(_PACKAGE) / "migrations"
    named = sorted((f.name, f) for f in folder.iterdir() if f.name.endswith(".sql"))
    for number, (name, _) in enumerate(named, 1):
        if not name.startswith(f"{number:04}_"):
            msg = f"migration {name} should be number {number:04}: they are numbered from 0001 without gaps"
            raise ValueError(msg)
    return require_fences([_placed(f.read_text("utf-8"), schema) for _, f in named], schema)


def require_fences(scripts: Sequence[str], schema: str) -> tuple[str, ...]:
    """The migrations, if each that older code cannot go on with drops what every transaction of it begins with.

    Raises ValueError: code that is running does not look at the version again, and would write into tables that it
    does not know.
    """
    for number, script in enumerate(scripts[1:], 2):
        kept = [name for name in _BEGINNINGS if not re.search(rf"DROP FUNCTION [^;]*\b{schema}\.{name}\b", script)]
        if oldest_code(scripts[:number]) == number and kept:
            left = ", ".join(kept)
            msg = f"migration {number} refuses older code, but leaves it {left}: DROP FUNCTION, or say -- oldest code"
            raise ValueError(msg)
    return tuple(scripts)


@cache
def partitioning(schema: str = "palaver") -> str:
    """What makes partitions of tables that grow; see there."""
    return _placed((files(_PACKAGE) / "partitioning.sql").read_text("utf-8"), schema)


def _placed(sql: str, schema: str) -> str:
    return _SCHEMA.sub(f"{require_schema(schema)}.", sql)
