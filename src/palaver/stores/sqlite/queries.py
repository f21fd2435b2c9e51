"""The statements of `queries.sql` and `doctor.sql`, by name. No other module holds SQL text.

What several statements of a file say in the same words is a fragment there, and `{its_name}` stands for it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["migrations", "queries", "statements"]

_PACKAGE = "palaver.stores.sqlite"
_ROOT = Path(__file__).parents[3]
"""Where `palaver` lies. `importlib.resources` would take as long to import as the rest of opening a store."""
_FILES = {_PACKAGE: ("queries.sql", "doctor.sql"), "palaver.stores.jsonl": ("queries.sql",)}
_MARK = re.compile(r"^-- (name|fragment): (\w+)\s*$", re.MULTILINE)
_FRAGMENT = re.compile(r"\{(\w+)\}")


@cache
def queries(package: str = _PACKAGE) -> dict[str, str]:
    """Every statement of a package by its name, without comments and the final semicolon."""
    folder = _folder(package)
    text = "\n".join((folder / name).read_text("utf-8") for name in _FILES[package])
    return statements(text)


def _folder(package: str) -> Path:
    return _ROOT.joinpath(*package.split("."))


def statements(text: str) -> dict[str, str]:
    """The statements in such a text, with their fragments in place.

    Raises ValueError for a name that is given twice, a fragment that is not there, and one that nothing uses.
    """
    pieces = _MARK.split(text)[1:]
    found: dict[str, str] = {}
    fragments: dict[str, str] = {}
    for kind, name, body in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        if name in found or name in fragments:
            msg = f"the statements name {name} twice"
            raise ValueError(msg)
        lines = [line.partition("--")[0].rstrip() for line in body.splitlines()]
        whole = "\n".join(line for line in lines if line).strip().removesuffix(";")
        (found if kind == "name" else fragments)[name] = whole
    used = {each for body in found.values() for each in _FRAGMENT.findall(body)}
    if odd := used ^ fragments.keys():
        msg = f"these fragments are used and not there, or there and not used: {', '.join(sorted(odd))}"
        raise ValueError(msg)
    return {name: _FRAGMENT.sub(lambda match: fragments[match[1]], body) for name, body in found.items()}


@cache
def migrations() -> tuple[str, ...]:
    """The migrations in order; the schema's version is how many were applied."""
    folder = _folder(_PACKAGE) / "migrations"
    named = sorted((f.name, f) for f in folder.iterdir() if f.name.endswith(".sql"))
    for number, (name, _) in enumerate(named, 1):
        if not name.startswith(f"{number:04}_"):
            msg = f"migration {name} should be number {number:04}: they are numbered from 0001 without gaps"
            raise ValueError(msg)
    return tuple(f.read_text("utf-8") for _, f in named)
