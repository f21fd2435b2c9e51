"""Looking for everything that is wrong with a SQLite store, without changing anything.

What it finds are spots: a problem of `palaver.findings` and where it is. A report makes findings of them for people, a
repair keeps the places. Everything is read in pieces, so that neither memory nor the WAL grows with the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from palaver.errors import SessionNotFound
from palaver.findings import Finding, Findings, Progress, finding
from palaver.operations.ranges import joined, merged, without
from palaver.rows import GONE
from palaver.stores.sqlite.bodies import check_bodies, check_versions
from palaver.stores.sqlite.fields import damaged_fields
from palaver.stores.sqlite.media import check_media
from palaver.stores.sqlite.rows import LAST, cut_row, head_row, newer_head
from palaver.stores.sqlite.spots import Sink, Source, Spot
from palaver.stores.statements import Row, Statements
from palaver.stores.tails import live_ranges

__all__ = ["Checking", "Report", "Scope", "gaps", "newest_user"]

_SESSIONS_AT_ONCE = 500
_EVERY = (1 << 63) - 1

# Statements that give spots, with the problem that they look for.
_RELATIONS = (
    ("check_meta", "meta"),
    ("check_number_mark", "number_reuse"),
    ("check_messages", "session_missing"),
    ("check_ids", "id_orphan"),
    ("check_versions", "version_orphan"),
    ("check_turns", "turn_orphan"),
    ("check_queue", "queue_orphan"),
    ("check_cuts", "cut_orphan"),
    ("check_compactions", "compaction_orphan"),
    ("check_usage", "usage_orphan"),
    ("check_imports", "import_orphan"),
    ("check_todos", "todo_orphan"),
    ("check_given_up", "todo_given_up"),
    ("check_erasures", "erasure_unfinished"),
    ("check_aliases", "alias_orphan"),
    ("check_keys", "key_orphan"),
    ("check_keys_ended", "key_ended"),
    ("check_previous", "key_previous"),
    ("check_media_refs", "media_ref_orphan"),
    ("check_media", "media_missing"),
    ("check_cut_counts", "cut_count"),
    ("check_summaries", "summary_pointer"),
    ("check_parents", "parent_missing"),
    ("check_titles", "title_twice"),
    ("check_running", "turn_running"),
    ("check_states", "turn_state"),
    ("check_index", "index_gone"),
    ("check_search_state", "index_state"),
    ("check_revs", "rev_behind"),
    ("check_feed", "feed_gap"),
    ("check_feed_orphans", "feed_orphan"),
)
_INDEX_FAULTS = ("missing from index", "wrong # of entries in index", "non-unique entry in index")


class Scope(NamedTuple):
    """What to look at; nothing given: everything."""

    owner: str | None = None
    session_id: str | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.owner is None and self.session_id is None


class Report:
    """Findings made of spots."""

    def __init__(self, source: Source) -> None:
        self._sql = source.sql
        self._findings = Findings(source.name)
        self._ids: dict[int, str | None] = {}

    def take(self, spot: Spot) -> None:
        """A spot, as a finding with its session's name."""
        session_id = self._id(spot.number)
        parts = [spot.place] if spot.place is not None else []
        if spot.place is None and spot.number is not None:
            parts.append(f"session {session_id}" if session_id is not None else f"session number {spot.number}")
            parts += [f"seq {spot.seq}"] if spot.seq is not None else []
        self._findings.add(
            finding(spot.problem, ", ".join(parts) or "store", spot.detail, session_id=session_id, seq=spot.seq)
        )

    def _id(self, number: int | None) -> str | None:
        if number is None:
            return None
        if number not in self._ids:
            if len(self._ids) >= _SESSIONS_AT_ONCE:
                self._ids.clear()
            row = self._sql.one("check_session_of", (number,))
            self._ids[number] = row[0] if row is not None else None
        return self._ids[number]

    def all(self) -> list[Finding]:
        """All findings."""
        return self._findings.all()


class Checking:
    """One check of one store."""

    def __init__(self, source: Source, sink: Sink, progress: Progress | None = None) -> None:
        self._source = source
        self._sql = source.sql
        self._sink = sink
        self._progress = progress
        self._done = 0
        self._total = 0
        self._is_damaged = False

    def run(self, scope: Scope, *, notes: bool = False) -> None:
        """Look at everything in the scope. Raises SessionNotFound for a session that is not there."""
        numbers = self._numbers(scope)
        if scope.everything:
            self._integrity()
        for name, problem in (*_RELATIONS, *((("check_quarantined", "quarantined"),) if notes else ())):
            self._guarded(lambda name=name, problem=problem: self._relation(name, problem, numbers))  # type: ignore[misc]
        self._guarded(lambda: self._circles(numbers))
        self._total = self._size(numbers)
        if numbers is None:
            self._guarded(lambda: self._messages(0, _EVERY))
            self._guarded(lambda: check_media(self._source, self._sink))
        for number in sorted(numbers) if numbers is not None else ():
            span = number << 32, number << 32 | LAST
            self._guarded(lambda span=span: self._messages(*span))  # type: ignore[misc]
        for number, _, _ in self._sessions(scope):
            self._guarded(lambda number=number: self._session(number), number)  # type: ignore[misc]

    def _guarded(self, look: Callable[[], None], number: int | None = None) -> None:
        """A check ends with what it could see, whatever the file has become. The file is said to be damaged once."""
        try:
            look()
        except self._source.unreadable as exc:
            if number is not None or not self._is_damaged:
                # By its number: its name is asked of the file that cannot be read.
                place = self._source.name if number is None else f"session number {number}"
                lost = f"; {self._source.lost(number)}" if number is not None else ""
                self._sink(
                    Spot("database", None, None, place, f"it cannot be read to its end: {exc}{lost}".rstrip("; "))
                )
            self._is_damaged = True

    # ------------------------------------------------------------------ what is looked at
    def _numbers(self, scope: Scope) -> set[int] | None:
        """The numbers of the sessions in the scope; None: all."""
        return None if scope.everything else {row[0] for row in self._sessions(scope)}

    def _sessions(self, scope: Scope) -> Iterator[Row]:
        if scope.session_id is not None:
            row = self._sql.one("number_by_id", (scope.session_id,))
            of = self._sql.one("check_session_of", (row[0],)) if row is not None else None
            if row is None or of is None or scope.owner not in {None, of[1]}:
                msg = f"no session {scope.session_id!r}: check the id and the owner"
                raise SessionNotFound(msg)
            yield (row[0], *of)
            return
        after = 0
        while True:
            if scope.owner is None:
                page = self._sql.all("check_session_page", (after, _SESSIONS_AT_ONCE))
            else:
                page = self._sql.all("check_owned", (scope.owner, after, _SESSIONS_AT_ONCE))
            if not page:
                return
            yield from page
            after = page[-1][0]

    def _size(self, numbers: set[int] | None) -> int:
        if self._progress is None:
            return 0
        if numbers is None:
            return int(self._sql.all("check_size")[0][0])
        return sum(self._sql.all("check_numbers", (n << 32, n << 32 | LAST))[0][1] for n in numbers)

    # ------------------------------------------------------------------ the whole file
    def _integrity(self) -> None:
        for line in self._source.integrity():
            problem = "database_index" if any(fault in line for fault in _INDEX_FAULTS) else "database"
            self._is_damaged = self._is_damaged or problem == "database"
            place = self._source.name
            self._sink(Spot("index_state" if "search_index" in line else problem, None, None, place, line))

    def _relation(self, name: str, problem: str, numbers: set[int] | None) -> None:
        for number, seq, place, detail in self._sql.each(name):
            if numbers is None or number in numbers:
                self._sink(Spot(problem, number, seq, place, detail))

    def _circles(self, numbers: set[int] | None) -> None:
        """Circles of parents. A parent is older than its child, so a circle has a session that is not."""
        told: set[int] = set()
        for (start,) in self._sql.all("check_late_parents"):
            seen = {start}
            row = self._sql.one("check_parent", (start,))
            while row is not None and row[0] not in seen:
                seen.add(row[0])
                row = self._sql.one("check_parent", (row[0],))
            if row is None or row[0] != start or told & seen:
                continue
            told |= seen
            if numbers is None or start in numbers:
                self._sink(Spot("parent_circle", start, None, None, "its parents form a circle"))

    # ------------------------------------------------------------------ messages
    def _messages(self, low: int, high: int) -> None:
        for looked in check_bodies(self._source, self._sink, low, high):
            self._done += looked
            if self._progress is not None:
                self._progress(self._done, max(self._done, self._total))
        check_versions(self._source, self._sink, low, high)

    # ------------------------------------------------------------------ one session
    def _session(self, number: int) -> None:
        with self._source.snapshot():
            row = self._sql.one("head", (number,))
            if row is None:
                return
            for problem, seq, detail in damaged_fields(self._sql, number):
                self._sink(Spot(problem, number, seq, None, detail))
            base = number << 32
            stored = head_row(row)
            head = newer_head(stored, self._sql.one("newest_after", (base | stored.last_seq, base | LAST)))
            cuts = tuple(cut_row(r) for r in self._sql.all("cuts", (number,)))
            live = live_ranges(merged(cuts), 1, LAST)
            count = sum(self._sql.all("count_messages", (base | low, base | high))[0][0] for low, high in live)
            user = newest_user(self._sql, number, live)
            holes = gaps(self._sql, number, head.last_seq)
        if count != head.message_count:
            detail = f"it counts {head.message_count} messages and holds {count}"
            self._sink(Spot("count", number, None, None, detail))
        if user != head.user_seq:
            detail = f"its newest user message is said to be seq {head.user_seq}, and is {user}"
            self._sink(Spot("newest_user", number, None, None, detail))
        purged = joined([(c.from_seq, c.through_seq) for c in cuts if c.kind in GONE])
        for low, high in holes:
            for first, last in without(purged, low, high):
                detail = f"no message at seq {first} to {last}, and nobody purged them"
                self._sink(Spot("gap", number, first, None, detail))


def newest_user(sql: Statements, number: int, live: list[tuple[int, int]]) -> int:
    """Position of the newest replayable user message in these ranges; 0: there is none."""
    base = number << 32
    for low, high in reversed(live):
        row = sql.one("check_newest_user", (base | low, base | min(high, LAST)))
        if row is not None and row[0]:
            return int(row[0])
    return 0


def gaps(sql: Statements, number: int, last_seq: int) -> list[tuple[int, int]]:
    """Positions through `last_seq` that hold no message."""
    base = number << 32
    newest, count = sql.all("check_numbers", (base, base | LAST))[0]
    if count == last_seq == newest:
        return []
    if not count:
        return [(1, last_seq)] if last_seq else []
    first = sql.all("check_first", (base, base | LAST))[0][0]
    holes = [(1, first - 1)] if first > 1 else []
    for low, high in sql.all("check_holes", {"low": base, "high": base | LAST}):
        holes.append((low, high if high is not None else last_seq))
    return [(low, high) for low, high in holes if low <= high]
