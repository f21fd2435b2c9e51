"""What the figures should be. A gate is a report's remark, never a test: it depends on the machine."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.material import scheme_of
from bench.sources import SOURCES
from bench.writing import Figures
from palaver import formats

__all__ = ["TITLES", "Row", "figures", "rows"]


class Row(msgspec.Struct, frozen=True):
    """One line of the report."""

    figure: str
    label: str
    form: str = "{:,.2f}"
    sense: Literal[">=", "<=", ""] = ""
    gate: float = 0.0

    def verdict(self, value: float) -> str:
        """Whether the figure reaches its gate; nothing where there is none."""
        if not self.sense:
            return ""
        return "PASS" if (value >= self.gate if self.sense == ">=" else value <= self.gate) else "below"

    def line(self, value: float) -> str:
        """The row with its value, its gate and the verdict."""
        gate = f"{self.sense} {self.form.format(self.gate)}" if self.sense else ""
        return f"    {self.label:<52}{self.form.format(value):>12}  {gate:<14}{self.verdict(value)}".rstrip()


_COUNT = "{:,.0f}"
_PER_SECOND = "{:,.0f}/s"
_TIMES = "{:,.2f}x"
_MS = "{:,.3f} ms"
_NONE_LOST = (Row("errors", "errors", _COUNT, "<=", 0), Row("lost", "acknowledged and lost", _COUNT, "<=", 0))
_DISK = Row("reference_us", "the disk: append and fdatasync, median", "{:,.0f} us")

TITLES = {
    "w1": "one session, one append at a time",
    "w2": "a window of 50 in a long session",
    "w3": "load a long session, decoded",
    "w4": "list 50 of many sessions",
    "w5": "many tasks append, each to its own session",
    "w5t": "many threads append, on the sync API",
    "w6": "several processes append to one store",
    "w7": "disk, import, memory",
    "t1": "a whole turn in a long session",
    "wires": "a long payload of each wire, parsed and rendered",
    "s1": "search in a long store",
    "i1": "import what other systems left",
    "p1": "one session, one append at a time, beside psycopg alone",
    "p5": "many tasks append, beside a pool of psycopg",
}

_ROWS: dict[str, tuple[Row, ...]] = {
    "w1": (
        _DISK,
        Row("sync_rate", "appends, sync", _PER_SECOND),
        Row("async_rate", "appends, async", _PER_SECOND),
        Row("sync_of_disk", "sync, of the disk's rate", _TIMES, ">=", 0.60),
        Row("async_of_disk", "async, of the disk's rate", _TIMES, ">=", 0.60),
        Row("over_plain", "over plain, the slower of the two", _TIMES, ">=", 1.6),
        Row("syncs_per_append", "syncs per append, outside checkpoints", "{:,.2f}", "<=", 1.0),
        Row("growth", "the last 200 against the first, in disk time", _TIMES, "<=", 1.1),
        Row("p99_ms", "99th percentile, sync", _MS),
        Row("lost", "acknowledged and lost", _COUNT, "<=", 0),
    ),
    "w2": (
        Row("warm_ms", "warm", _MS),
        Row("cold_ms", "opening the store included", _MS),
        Row("warm_over_plain", "warm, over plain", _TIMES, ">=", 4.0),
        Row("cold_over_plain", "opening included, over plain", _TIMES, ">=", 2.0),
        Row("growth", "long session against short", _TIMES, "<=", 1.2),
    ),
    "w3": (Row("load_ms", "load", _MS), Row("over_plain", "over plain", _TIMES, ">=", 1.5)),
    "w4": (
        Row("list_ms", "list", _MS),
        Row("growth", "many sessions against a tenth of them", _TIMES, "<=", 1.2),
    ),
    "w5": (
        _DISK,
        Row("rate", "appends", _PER_SECOND),
        Row("over_plain", "over plain", _TIMES, ">=", 10.0),
        Row("over_disk", "over the disk's rate", _TIMES),
        Row("p99_of_sync", "99th percentile, of one fdatasync", _TIMES, "<=", 25.0),
        *_NONE_LOST,
    ),
    "w5t": (
        _DISK,
        Row("rate", "appends", _PER_SECOND),
        Row("over_plain", "over plain", _TIMES, ">=", 5.0),
        Row("p99_of_sync", "99th percentile, of one fdatasync", _TIMES),
        *_NONE_LOST,
    ),
    "w6": (
        _DISK,
        Row("rate", "appends, all processes", _PER_SECOND),
        Row("over_plain", "over plain", _TIMES, ">=", 1.6),
        Row("p99_of_sync", "99th percentile, of one fdatasync", _TIMES, "<=", 400.0),
        Row("longest_ms", "longest", _MS),
        *_NONE_LOST,
    ),
    "w7": (
        Row("bytes_per_message", "disk, bytes per message", _COUNT),
        Row("bytes_of_json", "disk, of the caller's JSON", _TIMES, "<=", 1.3),
        Row("import_ms", "import palaver, beyond bare Python", "{:,.0f} ms", "<=", 80),
        Row("listed_mb", "memory with all sessions listed", "{:,.1f} MB", "<=", 45),
    ),
    "t1": (
        _DISK,
        Row("rate", "turns", _PER_SECOND),
        Row("of_appends", "of the rate of lone appends", _TIMES, ">=", 0.28),
        Row("of_disk", "of the disk's rate", _TIMES),
        Row("syncs_per_turn", "syncs per turn, outside checkpoints", "{:,.2f}", "<=", 2.0),
        Row("p99_ms", "99th percentile", _MS),
    ),
    "wires": tuple(
        row
        for wire in formats.wires()
        for row in (
            Row(f"parse_{wire}", f"{wire}: parse, of json.loads", _TIMES, "<=", 4.0),
            Row(f"render_{wire}", f"{wire}: render, of json.dumps", _TIMES, "<=", 4.0),
        )
    ),
    "s1": (
        Row("common_ms", "first 20 of a word that many messages have", _MS),
        Row("several_ms", "three words", _MS),
        Row("phrase_ms", "a phrase", _MS),
        Row("prefix_ms", "a beginning", _MS),
        Row("rare_ms", "a rare word", _MS),
        Row("one_han_ms", "one Chinese character", _MS),
        Row("two_han_ms", "two Chinese characters", _MS),
        Row("worst_ms", "the slowest of these", _MS, "<=", 50.0),
        Row("catch_up_ms", "a search when many messages are new", _MS, "<=", 1_000.0),
        Row("appends", "appends with the index, of those without", _TIMES, ">=", 0.85),
        Row("index_us", "indexing, per message", "{:,.0f} us"),
        Row("index_bytes", "the index on disk, bytes per message", _COUNT),
    ),
    "i1": (
        *(Row(f"{name}_rate", f"messages of {name}", _PER_SECOND) for name in SOURCES),
        Row("slowest_rate", "the slowest: 200,000 in 20 seconds", _PER_SECOND, ">=", 10_000),
    ),
    "p1": (
        Row("raw_rate", "psycopg: one row, one commit", _PER_SECOND),
        Row("sync_rate", "appends, sync", _PER_SECOND),
        Row("async_rate", "appends, async", _PER_SECOND),
        Row("sync_of_raw", "P1: sync, of psycopg's rate", _TIMES, ">=", 0.6),
        Row("async_of_raw", "P1: async, of that of its async connection", _TIMES, ">=", 0.6),
        *_NONE_LOST,
    ),
    "p5": (
        Row("raw_rate", "psycopg: async pool, 16 connections", _PER_SECOND),
        Row("rate", "appends", _PER_SECOND),
        Row("over_raw", "P5: over the pool", _TIMES, ">=", 3.0),
        Row("p99_ms", "99th percentile", _MS),
        *_NONE_LOST,
    ),
}

_LINES: dict[str, dict[str, float]] = {
    "w1": {"sync_of_disk": 0.8, "async_of_disk": 0.8},
    "w5": {"over_plain": 8.0},
}
"""Gates of a JSONL store that are others than SQLite's."""
_OF_ITSELF = frozenset({"growth", "errors", "lost", "sync_of_raw", "async_of_raw", "over_raw"})
"""Gates that mean something for a server, too: the others compare with a file on this machine."""


def figures(workload: str) -> set[str]:
    """The figures that a workload's rows show."""
    return {row.figure for row in _ROWS[workload]}


def rows(workload: str, found: Figures, kind: str = "sqlite") -> list[tuple[Row, float]]:
    """The rows of a workload whose figures were found, with the gates of that kind of store."""
    return [(_gated(row, workload, kind), found[row.figure]) for row in _ROWS[workload] if row.figure in found]


def _gated(row: Row, workload: str, kind: str) -> Row:
    if scheme_of(kind) == "jsonl":
        return msgspec.structs.replace(row, gate=_LINES.get(workload, {}).get(row.figure, row.gate))
    if "://" in kind and row.figure not in _OF_ITSELF:
        return msgspec.structs.replace(row, sense="", gate=0.0)
    return row
