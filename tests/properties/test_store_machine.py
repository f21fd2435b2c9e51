"""Two kinds of store, one contract: the same operations get the same answers, and every read agrees.

The memory store, and two SQLite stores on one file that are used by turns and opened anew by chance, are given the same
values. Beside them stands a book that no store keeps: what each transcript holds, by what the operations promise.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from palaver.errors import PalaverError
from palaver.info import SessionName
from palaver.moving import Copier
from palaver.operations import (
    ClaimTodo,
    EndTodo,
    Expire,
    Hold,
    NewSession,
    Operation,
    Sweep,
)
from palaver.rows import ERASED, kind_of
from palaver.search import SearchQuery, is_searchable, match, parse, searched_text
from palaver.stores import SessionQuery, Store, open_store
from palaver.stores.copying import copy_session
from palaver.sweeping import SweepQuery
from palaver.times import SECOND, from_micros
from palaver.titles import folded
from tests.servers.postgres import databases
from tests.store_book import Book, plain
from tests.store_operations import (
    ACTUAL,
    BEFORE,
    CURRENT,
    ERASING,
    KEYS,
    NEW,
    OWNERS,
    RUNNING,
    START,
    begins,
    creates,
    files,
    finishes,
    operations,
    short,
    steps,
)

pytestmark = pytest.mark.timeout(600)  # one test is hundreds of stories

EVERYTHING = 1_000_000
LISTED = (
    SessionQuery(limit=EVERYTHING),
    SessionQuery(limit=EVERYTHING, include_empty=True),
    SessionQuery(limit=EVERYTHING, include_ended=False),
    SessionQuery(limit=EVERYTHING, include_empty=True, hidden=True),
    SessionQuery(
        limit=EVERYTHING, include_archived=True, include_empty=True, include_hidden=True, include_deleted=True
    ),
)
"""What is asked of every store's lists."""


def asked(read: Callable[..., Any], *values: Any) -> Any:
    """What a read gives, or the error that it raises."""
    try:
        return plain(read(*values))
    except PalaverError as error:
        return plain(error)


def _names(found: list[SessionName]) -> list[SessionName]:
    """Names in one order where titles are alike: of several owners, or but for case."""
    return sorted(found, key=lambda name: (folded(name.title or ""), name.id))


def _stats(store: Store, owner: str | None) -> Any:
    """How much a store holds, without what is each store's own."""
    return msgspec.structs.replace(store.stats(owner), store="", schema=0, size_bytes=0)


def _erasable(store: Store) -> Any:
    """What an erasure sees, without what is each store's own."""
    found = store.erasable(0, limit=EVERYTHING)
    assert [each.row.number for each in found] == sorted(each.row.number for each in found)
    return sorted(
        (plain(each.row).id, plain(each.row), each.last_seq, sorted(each.keys), each.first_kind) for each in found
    )


class StoreMachine(RuleBasedStateMachine):
    """Operations by chance, on all stores."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "a.db"
        self.memory = open_store("memory://")
        self.files = [self.opened(), self.opened()]
        self.now = START
        self.made = 0
        self.book = Book()
        self.before: list[Operation] = []
        self.changes: list[Any] = []
        self.active: dict[str, Any] = {}
        self.revs: dict[str, int] = {}
        self.looked = True
        self.sound = True
        self.compared = False

    def opened(self) -> Store:
        """The store in files, once more."""
        return open_store(self.path)

    def teardown(self) -> None:
        """Compare everything a last time, and leave nothing."""
        try:
            if self.sound and not self.compared:
                self.look_at_everything()
            if self.sound and len(self.book.sessions) % 3 == 0:  # copies take longer than all the rest
                self._agree_on_copies()
        finally:
            for store in (self.memory, *self.files):
                store.close()
            self.folder.cleanup()

    # ------------------------------------------------------------------ steps
    @initialize(first=short(begins), second=short(creates))
    def begin_somewhere(self, first: Operation, second: Operation) -> None:
        """There is something to work on from the start."""
        self._commit([*ERASING, self._resolved(first), self._resolved(second)], 0)

    @rule(batch=st.lists(operations, min_size=1, max_size=4), file=files, micros=steps)
    def commit(self, batch: list[Operation], file: int, micros: int) -> None:
        """Commit a batch, of which some operations fail, through either SQLite store."""
        self.now += micros
        self._commit([self._resolved(operation) for operation in batch], file)

    @rule(
        begin=short(begins), between=st.lists(operations, max_size=2), finish=short(finishes), file=files, micros=steps
    )
    def converse(self, begin: Operation, between: list[Operation], finish: Operation, file: int, micros: int) -> None:
        """A turn with other things in between, by both SQLite stores."""
        self.commit([begin], file, micros)
        if between:
            self.commit(between, 1 - file, micros)
        self.commit([finish], file, 0)

    @precondition(lambda self: self.before)
    @rule(file=files)
    def repeat(self, file: int) -> None:
        """Commit the same values once more, as a caller does who got no answer."""
        self._commit(self.before, file)

    @rule(file=files)
    def open_anew(self, file: int) -> None:
        """A process ends and begins again."""
        self.files[file].close()
        self.files[file] = self.opened()

    @precondition(lambda self: not self.compared)
    @rule()
    def look_at_everything(self) -> None:
        """Every read of every store agrees."""
        self.compared = True
        self._agree_on_sessions()
        for session_id in (*self.book.sessions, "unknown"):
            self._agree_on(session_id)
        for named_owner in OWNERS:
            for key in KEYS:
                self._agree(lambda s, o, k: s.current(o, k, from_micros(self.now)), named_owner, key)
                self._agree(lambda s, o, k: s.bound(o, k), named_owner, key)
            for alias in ("x", "z"):
                self._agree(lambda s, o, a: s.named(o, a), named_owner, alias)
        for owner in (None, *OWNERS):
            self._agree(self._open_turns, owner)
            self._agree(lambda s, o: s.usage(o), owner)
            self._agree(lambda s, o: self._told(s, owner=o), owner)
            self._agree(_stats, owner)
        self._agree(lambda s: s.erasures())
        self._agree(_erasable)
        self._agree_on_searches()
        self._agree_on_upkeep()
        self._agree(lambda s: s.check())
        assert [finding for finding in self.memory.check() if finding.kind != "todo"] == []

    # ------------------------------------------------------------------ what always holds
    @invariant()
    def transcripts_are_what_was_stored(self) -> None:
        """Each session holds exactly what its operations promised, in every store."""
        if self.looked:
            return
        self.looked = True
        now = from_micros(self.now)
        for store in (self.memory, *self.files):
            for session_id in self.book.living():
                transcript = self.book.sessions[session_id]
                for live, expected in ((True, transcript.live()), (False, transcript.stored())):
                    page = store.page(session_id, None, limit=EVERYTHING, live=live)
                    assert [(m.seq, m.role, m.text) for m in page] == expected
                    assert page.corrupt == ()
                summary = store.tail(session_id, None, now, limit=1).summary
                assert summary is None or transcript.tells(summary.id, summary.through_seq)
                info = store.info(session_id, None, now)
                assert (info.message_count, info.last_seq) == (len(transcript.live()), transcript.last)
        self.sound = True

    @invariant()
    def nothing_goes_back(self) -> None:
        """No session's activity or version goes back, none is active before it was made, and the feed only grows."""
        for session_id in self.book.living():
            info = self.memory.info(session_id, None, from_micros(self.now))
            assert info.last_active_at >= self.active.get(session_id, info.created_at)
            assert info.rev >= self.revs.get(session_id, 0)
            self.active[session_id], self.revs[session_id] = info.last_active_at, info.rev
            self.book.sessions[session_id].read_at(info.rev)
        changes = self.memory.changes(None, limit=EVERYTHING)
        assert changes[: len(self.changes)] == self.changes
        self.changes = changes

    # ------------------------------------------------------------------ how
    def _agree_on_copies(self) -> None:
        """What each store tells of a session is the same, and a store that is told so has the same session."""
        copies = [open_store("memory://"), open_store(Path(self.folder.name) / f"copy-{self.made}-{self.now}.db")]
        sources = [self.memory, self.files[0]]
        for session_id in self.book.sessions:
            self._agree(lambda s, i: s.record(i, None), session_id)
            self._agree(lambda s, i: s.chunk(i, None, after=0, limit=3), session_id)
            copy_session(sources[0], copies[1], session_id, self.now)
        # Of what is only half erased less is taken along, or nothing: its erasure is to be ended first.
        whole = {session_id for session_id in self.book.sessions if not self._half_erased(session_id)}
        refused: set[str] = set()
        for source, copy in zip(sources, reversed(copies), strict=True):  # one has the sessions, and not the erasures
            report = Copier(source, copy).copy()
            found = {each.session_id for each in report.problems if "was erased from this store" in each.reason}
            assert {each.session_id for each in report.problems} - found <= self.book.sessions.keys() - whole
            refused |= found
            assert copy.erasures() == source.erasures()
        for copy in copies:
            for session_id in whole - refused:
                record = copy.record(session_id, None)
                assert record == self.memory.record(session_id, None)
                for after in (0, 2):
                    wanted = self.memory.chunk(session_id, None, after=after, limit=EVERYTHING)
                    assert copy.chunk(session_id, None, after=after, limit=EVERYTHING) == wanted
            assert copy.check() == []
            copy.close()

    def _half_erased(self, session_id: str) -> bool:
        """Whether messages are stored of which an erasure has said that they are gone."""
        cuts = [cut for cut in self.memory.record(session_id, None).cuts if cut.kind == ERASED]
        stored = self.memory.chunk(session_id, None, after=0, limit=EVERYTHING).messages
        return any(cut.from_seq <= each.row.seq <= cut.through_seq for cut in cuts for each in stored)

    def _commit(self, batch: list[Operation], file: int) -> None:
        self.before = batch
        self.looked = self.sound = self.compared = False
        expected = self.memory.commit(batch)
        answers = self.files[file].commit(batch)
        assert [plain(answer) for answer in answers] == [plain(answer) for answer in expected]
        for operation, answer in zip(batch, answers, strict=True):
            self.book.record(operation, answer)
        now = from_micros(self.now)
        for session_id in self.book.sessions:  # what the other store remembers must not be what it answers
            other = self.files[1 - file]
            assert asked(other.info, session_id, None, now) == asked(self.memory.info, session_id, None, now)

    def _new(self, new: NewSession | None) -> NewSession | None:
        if new is None or new.id != NEW:
            return new
        self.made += 1
        return msgspec.structs.replace(new, id=f"n{self.made}", parent=self._named(new.parent))

    def _named(self, session_id: str | None) -> str | None:
        """The session that `#0` and the like stand for: so many before the newest."""
        if session_id is None or not session_id.startswith("#"):
            return session_id
        known = list(self.book.sessions)
        return known[-1 - int(session_id[1:]) % len(known)] if known else "none"

    def _resolved(self, operation: Operation) -> Operation:
        """The operation at this time, with what its caller would have read before."""
        changed: dict[str, Any] = {"at": self.now}
        given = msgspec.structs.asdict(operation)
        for name in ("new", "create"):
            if name in given:
                changed[name] = self._new(given[name])
        if "lease" in given:
            self.made += 1
            changed["lease"] = msgspec.structs.replace(given["lease"], token=f"t{self.made}")
        if isinstance(operation, Hold) and operation.until is not None:
            changed["until"] = self.now + operation.until * SECOND
        session_id = given.get("session_id")
        if session_id == CURRENT:
            found = None
            if given["key"] is not None:
                found = self.memory.current(given["owner"] or "", given["key"], from_micros(self.now))
            session_id = changed["session_id"] = found.id if found is not None else None
        if session_id is not None and session_id.startswith("#"):
            session_id = changed["session_id"] = self._named(session_id)
        if isinstance(operation, ClaimTodo):
            self.made += 1
            changed["token"] = f"c{self.made}"
        if isinstance(operation, (EndTodo, Expire, Sweep)):
            changed |= self._swept_before(session_id, given)
        elif session_id in self.book.living():
            changed |= self._read_before(session_id, given)
        return msgspec.structs.replace(operation, **changed)

    def _read_before(self, session_id: str, given: dict[str, Any]) -> dict[str, Any]:
        now = from_micros(self.now)
        info = self.memory.info(session_id, None, now)
        out: dict[str, Any] = {}
        if given.get("token") == RUNNING:
            turn = self.memory.turn(session_id, None)
            out["token"] = turn.token if turn is not None else "none"
        if given.get("expected_rev") == ACTUAL:
            out["expected_rev"] = info.rev
        if given.get("drafted_rev") in (ACTUAL, BEFORE):
            out["drafted_rev"] = max(0, info.rev - 2 * (given["drafted_rev"] == BEFORE))
        if given.get("expected_seq") == ACTUAL:
            out["expected_seq"] = info.last_seq
        if given.get("expected") == ACTUAL:
            summary = self.memory.tail(session_id, None, now, limit=1).summary
            out["expected"] = summary.id if summary is not None else 0
        return out

    def _swept_before(self, session_id: str | None, given: dict[str, Any]) -> dict[str, Any]:
        """What a sweep, or a worker, would have read of a session, deleted or not."""
        query = SweepQuery(limit=EVERYTHING)
        found = [s for s in self.memory.standings(query, from_micros(self.now)) if s.session.id == session_id]
        session, todo = (found[0].session, found[0].todo) if found else (None, None)
        actual = {
            "expected_seq": session.last_seq if session is not None else 0,
            "expected_rev": session.rev if session is not None else 0,
            "through_seq": todo.through_seq if todo is not None else 0,
        }
        out: dict[str, Any] = {name: actual[name] for name in actual if given.get(name) == ACTUAL}
        if given.get("token") == RUNNING:
            out["token"] = todo.token if todo is not None else "none"
        return out

    def _agree(self, read: Callable[..., Any], *values: Any) -> None:
        expected = asked(read, self.memory, *values)
        for store in self.files:
            assert asked(read, store, *values) == expected

    def _told(self, store: Store, **scope: Any) -> list[Any]:
        """The changes, without their cursors where these are each store's own."""
        return list(store.changes(None, limit=EVERYTHING, **scope))

    def _agree_on(self, session_id: str) -> None:
        now = from_micros(self.now)
        for owner in (None, *OWNERS):
            self._agree(lambda s, o: s.info(session_id, o, now), owner)
        for limit in (1, 2, 5, 100):
            self._agree(lambda s, n: s.tail(session_id, None, now, limit=n), limit)
        for after, before, limit, newest, live in (
            (0, None, 2, False, True),
            (0, None, 3, True, True),
            (2, 7, 3, False, False),
            (1, 6, 2, True, True),
            (3, 4, 5, False, True),
            (90, None, 5, True, True),
        ):
            window = {"after": after, "before": before, "limit": limit, "newest": newest, "live": live}
            self._agree(lambda s, w: s.page(session_id, None, **w), window)
        for first in (None, 1, 2, 3):
            self._agree(lambda s, f: s.turn(session_id, None, f), first)
        self._agree(lambda s: s.queued(session_id, None))
        self._agree(lambda s: self._told(s, session_id=session_id))
        self._agree(lambda s: s.usage(None, session_id=session_id, since=from_micros(START + 80_000 * SECOND)))

    def _agree_on_upkeep(self) -> None:
        """Sweeps and workers see the same; nothing belongs to nothing."""
        now = from_micros(self.now)
        for owner in (None, *OWNERS):
            self._agree(lambda s, o: s.standings(SweepQuery(owner=o, limit=EVERYTHING, sizes=True), now), owner)
            for state in ("waiting", "claimed", "given_up"):
                self._agree(lambda s, o, each: s.todos(o, each, now), owner, state)
        for store in self.files:
            assert store.clean(dry_run=True) == []

    def _agree_on_searches(self) -> None:
        """Each store finds what a plain scan finds: what is live, was said here, and is not hidden."""
        terms = {text: parse(text) for text in ("hi", "one", "well", "kind", "help", "thr*", '"two"')}
        said = [
            (session_id, message.seq, searched_text(message))
            for session_id in self.book.living()
            for message in self.memory.page(session_id, None, limit=EVERYTHING)
            if is_searchable(kind_of(message))
        ]
        for text, parsed in terms.items():
            query = SearchQuery(text=text, limit=EVERYTHING, include_hidden=True)
            found = self.memory.search(query)
            assert {(hit.session_id, hit.seq) for hit in found} == {(i, n) for i, n, has in said if match(parsed, has)}
            for store in self.files:
                page = store.search(query)
                assert (list(page), page.behind) == (list(found), 0)
        for owner in OWNERS:
            self._agree(lambda s, o: s.search(SearchQuery(text="hi", owner=o, limit=3, role="user")), owner)
            self._agree(lambda s, o: s.search(SearchQuery(text="hi", owner=o, limit=3, tag="work")), owner)

    @rule(file=files)
    def search_by_itself(self, file: int) -> None:
        """One process searches, so that its index and the others' commits meet in any order."""
        self.files[file].index(limit=3)

    @rule(file=files)
    def index_anew(self, file: int) -> None:
        """The index is thrown away."""
        self.files[file].reindex()

    def _open_turns(self, store: Store, owner: str | None) -> list[Any]:
        """Oldest first; of those that began at one instant, any may come first."""
        turns = store.open_turns(owner, from_micros(self.now))
        assert [turn.began_at for turn in turns] == sorted(turn.began_at for turn in turns)
        return sorted(turns, key=lambda turn: (turn.began_at, turn.session_id))

    def _agree_on_sessions(self) -> None:
        """Listings agree on what is listed and, to the second, on its order; pages hold each session once."""
        now = from_micros(self.now)
        second = timedelta(seconds=1)
        for owner in (None, *OWNERS):
            for wanted in LISTED:
                query = msgspec.structs.replace(wanted, owner=owner)
                expected = {info.id: info for info in self.memory.sessions(query, now)}
                for store in (self.memory, *self.files):
                    listed = store.sessions(query, now)
                    assert [info.id for info in listed] == self._paged(store, query)
                    assert {info.id for info in listed} == set(expected)
                    for info in listed:
                        lag = expected[info.id].last_active_at - info.last_active_at
                        assert timedelta(0) <= lag < second
                        assert (
                            msgspec.structs.replace(info, last_active_at=info.last_active_at + lag) == expected[info.id]
                        )
                    for newer, older in pairwise(listed):
                        assert expected[newer.id].last_active_at > expected[older.id].last_active_at - second

        for owner in (None, *OWNERS):
            for text, by in (("", "title"), ("plans", "title"), ("n", "title"), ("", "id"), ("s", "id"), ("01", "id")):
                self._agree(lambda s, o, t, b: _names(s.beginning(o, t, by=b, limit=EVERYTHING)), owner, text, by)

    def _paged(self, store: Store, query: SessionQuery) -> list[str]:
        out: list[str] = []
        query = msgspec.structs.replace(query, limit=2)
        while True:
            page = [info.id for info in store.sessions(query, from_micros(self.now))]
            if not page:
                return out
            out += page
            query = msgspec.structs.replace(query, after=page[-1])


class LinesMachine(StoreMachine):
    """The same with the JSONL store, whose index is now and then lost."""

    def opened(self) -> Store:
        """The directory, once more."""
        return open_store(f"jsonl:///{self.folder.name}/lines")

    @rule()
    def lose_the_index(self) -> None:
        """Nobody uses the store, and somebody deletes what can be made anew."""
        for store in self.files:
            store.close()
        shutil.rmtree(Path(self.folder.name) / "lines" / ".palaver")
        self.files = [self.opened(), self.opened()]


class ServerMachine(StoreMachine):
    """The same with two PostgreSQL stores in one schema, a new one each time, whose callers' clock judges leases."""

    url = ""
    schemas = 0

    def __init__(self) -> None:
        cls = type(self)
        cls.url = cls.url or databases().new()
        cls.schemas += 1
        self.place = f"{cls.url}?clock=caller&schema=machine_{cls.schemas}"
        super().__init__()

    def opened(self) -> Store:
        """The schema, once more."""
        return open_store(self.place)

    def _told(self, store: Store, **scope: Any) -> list[Any]:
        told = super()._told(store, **scope)
        assert [int(c.cursor, 16) for c in told] == sorted({int(c.cursor, 16) for c in told})
        return [msgspec.structs.replace(change, cursor="") for change in told]


StoreMachine.TestCase.settings = settings(stateful_step_count=20)
TestStores = StoreMachine.TestCase
LinesMachine.TestCase.settings = settings(stateful_step_count=20, max_examples=25)  # each syncs files
TestLines = LinesMachine.TestCase
ServerMachine.TestCase.settings = settings(stateful_step_count=20, max_examples=15)  # each makes a schema
TestServers = ServerMachine.TestCase
