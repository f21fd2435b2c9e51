"""The writing connection of the index, with a record of what a commit wrote: the files' lines are made of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

from palaver.stores.jsonl.lines import KEPT_META, LOGGED, MENDS, UNLOGGED
from palaver.stores.sqlite.queries import queries
from palaver.stores.sqlite.statements import Statements, Values

__all__ = ["PACKAGE", "RecordingStatements"]

PACKAGE = "palaver.stores.jsonl"


_AS_THEY_ARE = LOGGED.keys() - {"drop_binding", "drop_alias", "put_meta"}
"""Statements of which nothing has to be asked before they are kept."""


class RecordingStatements(Statements):
    """Statements that are kept, with their values, while `recorded` is a list."""

    __slots__ = ("blobs", "dropped", "recorded")

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__(connection, PACKAGE)
        self.recorded: list[tuple[str, Any]] | None = None
        self.blobs: list[tuple[str, bytes]] = []
        """Content that came with it, by address."""
        self.dropped: list[str] = []
        """Addresses of content that may not be needed any more."""

    def begin(self) -> None:
        """Keep what is written from now on."""
        self.recorded, self.blobs, self.dropped = [], [], []

    def end(self) -> list[tuple[str, Any]]:
        """Keep nothing more, and give what was kept."""
        recorded, self.recorded = self.recorded or [], None
        return recorded

    def run(self, name: str, values: Values = ()) -> None:
        if self.recorded is not None:
            self._keep(name, values)
        super().run(name, values)

    def many(self, name: str, rows: Iterable[Values]) -> None:
        if self.recorded is not None:
            rows = list(rows)
            if name in _AS_THEY_ARE:
                self.recorded += [(name, values) for values in rows]
            else:
                for values in rows:
                    self._keep(name, values)
        super().many(name, rows)

    def _keep(self, name: str, values: Any) -> None:
        assert self.recorded is not None  # noqa: S101 - asked by the callers
        if name in _AS_THEY_ARE:
            self.recorded.append((name, values))
        elif name in LOGGED:
            if name == "drop_binding":  # whose it was is known until it is dropped
                row = self.one("key_of", values)
                if row is None:
                    return
                values = (*values, row[0])
            elif name == "drop_alias":
                row = self.one("alias", values)
                if row is None:
                    return
                values = (*values, row[0])
            elif name == "put_meta" and values[0] not in KEPT_META:
                return
            self.recorded.append((name, values))
        elif name == "put_blob":
            self.blobs.append((values[0], values[1]))
        elif name == "drop_unheld_blob":
            self.dropped.append(values["address"])
        elif (
            name not in UNLOGGED
            and not name.startswith(MENDS)
            and queries().get(name, "").startswith(("INSERT", "UPDATE", "DELETE"))
        ):
            msg = f"the statement {name} writes, and has no line: name it in LOGGED or UNLOGGED"
            raise AssertionError(msg)
