"""The statements of `queries.sql` and `doctor.sql`, by name. No other module holds SQL text."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

__all__ = ["migrations", "queries"]

_PACKAGE = "palaver.stores.sqlite"
_FILES = {_PACKAGE: ("queries.sql", "doctor.sql"), "palaver.stores.jsonl": ("queries.sql",)}
_MARK = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def queries(package: str = _PACKAGE) -> dict[str, str]:
    """Every statement of a package by its name, without comments and the final semicolon."""
    text = "\n".join((files(package) / name).read_text("utf-8") for name in _FILES[package])
    pieces = _MARK.split(text)[1:]
    found: dict[str, str] = {}
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        if name in found:
            msg = f"the statements name {name} twice"
            raise ValueError(msg)
        lines = [line.partition("--")[0].rstrip() for line in body.splitlines()]
        found[name] = "\n".join(line for line in lines if line).strip().removesuffix(";")
    return found


@cache
def migrations() -> tuple[str, ...]:
    """The migrations in order; the schema's version is how many were applied."""
    folder = files(_PACKAGE) / "migrations"
    named = sorted((f.name, f) for f in folder.iterdir() if f.name.endswith(".sql"))
    for number, (name, _) in enumerate(named, 1):
        if not name.startswith(f"{number:04}_"):
            msg = f"migration {name} should be number {number:04}: they are numbered from 0001 without gaps"
            raise ValueError(msg)
    return tuple(f.read_text("utf-8") for _, f in named)
