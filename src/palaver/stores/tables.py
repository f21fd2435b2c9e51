"""The tables of a ledger: rows read once, and what was put kept apart until the store writes it, or takes it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from palaver.erasure import Erasure
from palaver.records import ImportMark
from palaver.rows import (
    Binding,
    CompactionRow,
    CutRow,
    Head,
    SessionRow,
    StoredMessage,
    TodoRow,
    TurnRow,
    UsageRow,
    VersionRow,
)
from palaver.stores.loading import Loading

__all__ = ["ChangeRow", "Table", "Tables"]

K = TypeVar("K")
V = TypeVar("V")
ChangeRow = tuple[int, int, int, int, int]
"""Session number, rev, kind, first and last position."""

_ABSENT: Any = object()
_CACHED_ROWS = 50_000


class Table(Generic[K, V]):
    """Rows by key: loaded when first asked for, dirty once put."""

    __slots__ = ("dirty", "load", "rows", "undo")

    def __init__(self, load: Callable[[K], V | None], undo: list[tuple[Table[Any, Any], Any, Any, bool]]) -> None:
        self.rows: dict[K, V | None] = {}
        self.dirty: dict[K, None] = {}
        self.load = load
        self.undo = undo

    def get(self, key: K) -> V | None:
        try:
            return self.rows[key]
        except KeyError:
            row = self.rows[key] = self.load(key)
            return row

    def put(self, key: K, row: V | None) -> None:
        self.undo.append((self, key, self.rows.get(key, _ABSENT), key in self.dirty))
        self.rows[key] = row
        self.dirty[key] = None

    def changed(self) -> Iterable[tuple[K, V | None]]:
        rows = self.rows
        return [(key, rows[key]) for key in self.dirty]

    def take_back(self, key: K, row: V | None, *, dirty: bool) -> None:
        if row is _ABSENT:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row
        if not dirty:
            self.dirty.pop(key, None)


def _nothing(_key: Any) -> None:
    """Of rows that are only ever written."""


class Tables(Loading):
    """All tables of a ledger, and what a commit does beside putting rows."""

    def __init__(self) -> None:
        self._undo: list[tuple[Table[Any, Any], Any, Any, bool]] = []
        table = self._table
        self.sessions: Table[int, SessionRow] = table(self._load_session)
        self.numbers: Table[str, int] = table(self._load_number)
        self.heads: Table[int, Head] = table(self._load_head)
        self.bindings: Table[tuple[str, str], Binding] = table(self._load_binding)
        self.bound: Table[int, tuple[tuple[str, str], ...]] = table(self._load_keys)
        self.aliases_by_name: Table[tuple[str, str], int] = table(self._load_alias)
        self.titles: Table[tuple[str, str], int] = table(self._load_titled)
        self.messages: Table[tuple[int, int], StoredMessage] = table(self._load_message)
        self.message_ids: Table[tuple[int, str], int] = table(self._load_message_seq)
        self.version_lists: Table[tuple[int, int], tuple[VersionRow, ...]] = table(self._load_versions)
        self.media_refs: Table[tuple[str, int, int], bool] = table(_nothing)
        """Which message, by session number and position, refers to which content."""
        self.blobs: Table[str, bytes] = table(_nothing)
        self.turns: Table[tuple[int, int], TurnRow] = table(self._load_turn)
        self.last_turns: Table[int, int] = table(self._load_last_turn)
        self.queues: Table[int, tuple[int, ...]] = table(self._load_queue)
        self.todos: Table[int, TodoRow] = table(self._load_todo)
        self.cut_lists: Table[int, tuple[CutRow, ...]] = table(self._load_cuts)
        self.compaction_lists: Table[int, tuple[CompactionRow, ...]] = table(self._load_compactions)
        self.usage_rows: Table[tuple[int, int, str], UsageRow] = table(self._load_usage)
        self.import_marks: Table[int, ImportMark] = table(self._load_import_mark)
        self.erasures: Table[str, Erasure] = table(self._load_erasure)
        self.secrets: Table[str, bytes] = table(self._load_secret)
        """At most one, under the empty name."""
        self.erased: Table[bytes, int] = table(self._load_erased)
        self.changes: list[ChangeRow] = []
        self.purges: list[tuple[int, int, int]] = []
        self.gone: list[int] = []
        """Sessions that this commit purges: until it is flushed, the database still has their records."""
        self.rewrites: list[tuple[int, int]] = []
        """Stored messages that changed: they are written again, the others for the first time."""
        self._trims = 0

    def _table(self, load: Callable[[K], V | None]) -> Table[K, V]:
        made = Table(load, self._undo)
        self._tables = (*getattr(self, "_tables", ()), made)
        return made

    def _take_back(self, undo: int, changes: int, purges: int, rewrites: int, gone: int) -> None:
        while len(self._undo) > undo:
            table, key, row, dirty = self._undo.pop()
            table.take_back(key, row, dirty=dirty)
        del self.changes[changes:]
        del self.purges[purges:]
        del self.rewrites[rewrites:]
        del self.gone[gone:]

    def abandon(self) -> None:
        """Take back everything since the last flush."""
        self._take_back(0, 0, 0, 0, 0)

    def flushed(self) -> None:
        """What was dirty is stored now."""
        for table in {entry[0] for entry in self._undo}:
            table.dirty.clear()
        self._undo.clear()
        self.changes.clear()
        self.purges.clear()
        self.rewrites.clear()
        self.gone.clear()

    def trim(self) -> None:
        """Forget what later operations will hardly ask for, so that memory stays bounded."""
        self.messages.rows.clear()
        self.message_ids.rows.clear()
        self.version_lists.rows.clear()
        self.media_refs.rows.clear()
        self.blobs.rows.clear()
        self.erased.rows.clear()
        self._trims += 1
        if self._trims % 64 == 0 and sum(len(t.rows) for t in self._tables) > _CACHED_ROWS:
            self.forget()

    def forget(self) -> None:
        """Forget everything: somebody else wrote, or a commit failed."""
        self._undo.clear()
        self.changes.clear()
        self.purges.clear()
        self.rewrites.clear()
        self.gone.clear()
        for table in self._tables:
            table.rows.clear()
            table.dirty.clear()

    def doubt(self) -> None:
        """Forget what another process may have changed; which session has which number is no such thing."""
        known, secret = self.numbers.rows, self.secrets.rows.get("")
        self.numbers.rows = {}
        self.forget()
        self.numbers.rows = known
        if secret is not None:  # once made, it stays
            self.secrets.rows[""] = secret
