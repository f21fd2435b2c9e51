"""The tables that the index has beside those of the SQLite store."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["schema"]


@cache
def schema() -> str:
    """The script that makes them where they are not there."""
    return (files("palaver.stores.jsonl") / "files.sql").read_text("utf-8")
