"""Two kinds of store, one contract: the same operations get the same answers, and every read agrees.

The memory store, and two SQLite stores on one file that are used by turns and opened anew by chance, are given the same
values. Beside them stands a transcript that knows nothing of rows: it is kept from what the operations promise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from palaver import codec
from palaver.errors import PalaverError
from palaver.model import Usage, assistant, system, tool, user
from palaver.operations import (
    Append,
    Appended,
    Begin,
    Begun,
    Bind,
    Compact,
    Create,
    Cut,
    Finish,
    Finished,
    Hold,
    Lease,
    NewSession,
    Operation,
    Purge,
    RecordUsage,
    Renew,
    Rotate,
    Rotated,
    SetInfo,
)
from palaver.rows import Draft, SessionRow, TurnRow
from palaver.stores import SessionQuery, Store, open_store
from palaver.stores.holders import current as this_process
from palaver.times import SECOND, from_micros

START = 1_700_000_000_000_000
EVERYTHING = 1_000_000
# Resolved when the operation is committed, from what the memory store says then.
NEW, CURRENT, RUNNING, ACTUAL = "<new>", "<current>", "<running>", -1
SESSIONS = ("#0", "#0", "#0", "#1", "#2", "s1")
"""The newest session, the one before, and the one before that; an id that may be anybody's."""
KEYS = ("k1", "k2", "k3")
OWNERS = ("", "a")
LATER = from_micros(START + 10**15)  # a time of a message's own, years ahead of the clock


# Messages of all kinds that stores tell apart, and the same few ids again and again, once with other content.
texts = st.sampled_from(
    (
        user("hi"),
        user("old", created_at=LATER),
        user("/help", flags=("command",)),
        assistant("well"),
        tool("c1", "42"),
        system("be kind"),
    )
)
known = st.sampled_from(
    (*[user("one", id="m1"), user("two", id="m2"), assistant("three", id="m3")] * 3, user("!", id="m1"))
)
drafts = st.one_of(texts, known).map(codec.draft)
several = st.lists(drafts, min_size=0, max_size=3).map(tuple)
owners = st.sampled_from((*[None] * 8, "", "a"))
sessions = st.sampled_from(SESSIONS)
keys = st.sampled_from(KEYS)
seqs = st.one_of(st.integers(1, 4), st.integers(0, 12))
revs = st.sampled_from((None, None, None, ACTUAL, 1))
seconds = st.sampled_from((1, 600))
holders = st.sampled_from((None, this_process(), msgspec.structs.replace(this_process(), started="long ago")))
leases = st.builds(Lease, token=st.just(NEW), micros=seconds.map(lambda s: s * SECOND), holder=holders)
new_sessions = st.builds(
    NewSession,
    id=st.sampled_from((NEW, NEW, NEW, "s1")),
    explicit=st.booleans(),
    title=st.sampled_from((None, None, "plans", "notes")),
    metadata=st.sampled_from((None, '{"a":1}')),
    notice=st.sampled_from((None, '{"for_model":"anew"}')),
    summary=st.sampled_from((None, None, "they met")),
    carried=several,
)
usages = st.builds(
    Usage, input_tokens=st.integers(0, 9), output_tokens=st.integers(0, 9), model=st.sampled_from((None, "m", "n"))
)
begins = st.one_of(
    st.builds(
        Begin,
        at=st.just(0),
        owner=owners,
        key=keys,
        session_id=st.sampled_from((*[CURRENT] * 9, "#0")),
        create=st.one_of(new_sessions, new_sessions, st.none()),
        message=st.one_of(drafts, drafts, st.none()),
        lease=leases,
        on_busy=st.sampled_from(("raise", "store")),
    ),
    st.builds(
        Begin,
        at=st.just(0),
        owner=owners,
        session_id=sessions,
        message=st.one_of(drafts, drafts, st.none()),
        lease=leases,
        on_busy=st.sampled_from(("raise", "store")),
    ),
)
appends = st.one_of(
    st.builds(
        Append,
        at=st.just(0),
        owner=owners,
        session_id=sessions,
        messages=several,
        expected_seq=st.sampled_from((None, None, None, None, ACTUAL, 3)),
        token=st.sampled_from((None, None, None, RUNNING, RUNNING, "stolen")),
        lease_micros=seconds.map(lambda s: s * SECOND),
    ),
    st.builds(
        Append, at=st.just(0), owner=owners, session_id=st.just(""), key=keys, create=new_sessions, messages=several
    ),
)
by_id: dict[str, Any] = {"at": st.just(0), "owner": owners, "session_id": sessions}
tokens = st.sampled_from((*[RUNNING] * 6, "stolen"))
states = st.sampled_from(("finished", "finished", "interrupted", "rolled_back"))
finishes = st.builds(
    Finish, **by_id, token=tokens, state=states, messages=several, usage=st.none() | usages, anchor=seqs
)
creates = st.builds(
    Create,
    at=st.just(0),
    owner=owners,
    key=st.none() | keys,
    alias=st.sampled_from((None, "x", "y")),
    new=new_sessions,
)
rotates = st.builds(
    Rotate,
    at=st.just(0),
    owner=owners,
    key=st.none() | keys,
    session_id=st.sampled_from((*[CURRENT] * 6, "#0")),
    all_keys=st.booleans(),
    new=new_sessions,
    unless_message=st.sampled_from((None, None, "m1")),
)
# Time passes, or the caller's clock is set back: by less than a second, beyond a lease, beyond a day.
steps = st.sampled_from(
    (0, 0, 1, 300_000, 700_000, SECOND, 90 * SECOND, 700 * SECOND, 90_000 * SECOND, -1, -500_000, -3 * SECOND)
)
files = st.integers(0, 1)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    begins,
    appends,
    appends,
    rotates,
    rotates,
    finishes,
    st.builds(Renew, **by_id, token=tokens, micros=seconds.map(lambda s: s * SECOND)),
    creates,
    st.builds(Bind, **by_id, key=keys),
    st.builds(SetInfo, **by_id, metadata=st.sampled_from((None, '{"a":null,"b":[1]}', '{"c":"é"}')), expected_rev=revs),
    st.builds(Hold, **by_id, name=st.sampled_from(("h", "i", "")), until=st.sampled_from((None, 1, 600))),
    st.builds(
        Cut, **by_id, from_seq=seqs, through_seq=seqs, kind=st.sampled_from(("rewind", "delete")), expected_rev=revs
    ),
    st.builds(Purge, **by_id, from_seq=seqs, through_seq=seqs, expected_rev=revs),
    st.builds(
        Compact, **by_id, through_seq=seqs, text=st.just("so far"), expected=st.sampled_from((ACTUAL, ACTUAL, 1))
    ),
    st.builds(RecordUsage, **by_id, usage=usages, id=st.sampled_from((None, "u1"))),
)


@st.composite
def named(draw: st.DrawFn, strategy: Callable[[], st.SearchStrategy[Any]]) -> Any:
    """What a strategy draws, without writing the strategy out where a failing run is reported."""
    return draw(strategy())


def short(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same strategy under a short name."""
    return named(lambda: strategy)


operations = short(OPERATIONS)


class Transcript:
    """What one session holds, by what the operations promise and nothing else."""

    def __init__(self) -> None:
        self.last = 0
        self.held: dict[int, tuple[str, str]] = {}
        """Role and text by position."""
        self.dead: set[int] = set()
        self.rolled_back: set[int] = set()
        self.ids: dict[str, int] = {}
        self.turn_of: dict[int, int] = {}
        """First position of the turn, of the messages that a turn stored."""
        self.turns: dict[str, int] = {}
        """First position of the turn, by every token that was a lease on it."""

    def add(self, given: tuple[Draft, ...], turn: int = 0) -> tuple[int, ...]:
        """Where messages come to stand: each new one next, a known id where it stands."""
        out: list[int] = []
        for item in given:
            if item.id is not None and item.id in self.ids:
                out.append(self.ids[item.id])
                continue
            self.last += 1
            message = codec.decode(item.body)
            self.held[self.last] = (message.role, message.text)
            if item.id is not None:
                self.ids[item.id] = self.last
            if turn:
                self.turn_of[self.last] = turn
            out.append(self.last)
        return tuple(out)

    def span(self, low: int, high: int) -> range:
        """The positions of a range that were given out."""
        return range(low, min(high, self.last) + 1)

    def live(self) -> list[tuple[int, str, str]]:
        """What a reader sees."""
        return [(seq, *content) for seq, content in sorted(self.held.items()) if seq not in self.dead]

    def stored(self) -> list[tuple[int, str, str]]:
        """The same, with what cuts cover."""
        return [(seq, *content) for seq, content in sorted(self.held.items())]


class Book:
    """All transcripts."""

    def __init__(self) -> None:
        self.sessions: dict[str, Transcript] = {}

    def of(self, session_id: str, new: NewSession | None = None) -> Transcript:
        """The transcript of a session, which this operation may have made."""
        known = self.sessions.get(session_id)
        if known is not None:
            return known
        assert new is not None, f"{session_id} came from nowhere"
        assert new.id == session_id
        made = self.sessions[session_id] = Transcript()
        made.add(new.carried)
        return made

    def record(self, operation: Operation, answer: Any) -> None:
        """Keep what an operation did that was answered so, and hold the answer against what was expected."""
        match operation, answer:
            case _, PalaverError():
                pass
            case Append(), Appended():
                transcript = self.of(answer.session_id, operation.create)
                before = transcript.last
                turn = transcript.turns[operation.token] if operation.token is not None else 0
                assert answer.seqs == transcript.add(operation.messages, turn)
                assert (answer.last_seq, answer.fresh) == (transcript.last, transcript.last > before)
            case Begin(), Begun():
                self._begun(operation, answer)
            case Finish(), Finished():
                self._finished(operation, answer)
            case Create(), SessionRow():
                assert answer.id not in self.sessions
                self.of(answer.id, operation.new)
            case Rotate(), Rotated():
                self.of(answer.session, operation.new)
            case Cut(), SessionRow():
                transcript = self.of(operation.session_id)
                transcript.dead.update(transcript.span(operation.from_seq, operation.through_seq))
            case Purge(), int():
                transcript = self.of(operation.session_id)
                span = transcript.span(operation.from_seq, operation.through_seq)
                assert answer == sum(transcript.held.pop(seq, None) is not None for seq in span)
                transcript.dead.update(span)
            case _:
                assert not isinstance(answer, Exception)

    def _begun(self, operation: Begin, answer: Begun) -> None:
        transcript = self.of(answer.session_id, operation.create)
        item = operation.message
        if item is not None and answer.seq > transcript.last:
            assert answer.kind in ("begun", "stored")
            if item.id is not None and transcript.ids.get(item.id) in transcript.rolled_back:
                del transcript.ids[item.id]  # as if it had never come
            first = answer.turn.first_seq if answer.kind == "begun" and answer.turn is not None else 0
            assert transcript.add((item,), first) == (answer.seq,)
        elif item is not None:
            known = item.id is not None and transcript.ids.get(item.id) == answer.seq
            assert known or operation.lease.token in transcript.turns, answer
        else:
            assert answer.seq <= transcript.last
        if answer.turn is not None and answer.kind in ("begun", "taken_over"):
            transcript.turns[operation.lease.token] = answer.turn.first_seq

    def _finished(self, operation: Finish, answer: Finished) -> None:
        transcript = self.of(operation.session_id)
        turn = transcript.turns[operation.token]
        done = answer.appended
        if done.fresh:
            assert done.seqs == transcript.add(operation.messages, turn)
        assert all(0 < seq <= transcript.last for seq in (*done.seqs, *answer.waiting))
        if operation.state == "rolled_back":
            own = {seq for seq, first in transcript.turn_of.items() if first == turn}
            transcript.dead |= own
            transcript.rolled_back |= own


def plain(answer: Any) -> Any:
    """An answer without the numbers that each store has of its own; errors by what they say."""
    if isinstance(answer, PalaverError):
        return type(answer), str(answer), getattr(answer, "expected", None), getattr(answer, "actual", None)
    if isinstance(answer, SessionRow):
        return msgspec.structs.replace(answer, number=0)
    if isinstance(answer, TurnRow):
        return msgspec.structs.replace(answer, session=0)
    if isinstance(answer, Begun) and answer.turn is not None:
        return msgspec.structs.replace(answer, turn=plain(answer.turn))
    return answer


def asked(read: Callable[[], Any]) -> Any:
    """What a read gives, or the error that it raises."""
    try:
        return plain(read())
    except PalaverError as error:
        return plain(error)


class StoreMachine(RuleBasedStateMachine):
    """Operations by chance, on all stores."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "a.db"
        self.memory = open_store("memory://")
        self.files = [open_store(self.path), open_store(self.path)]
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

    def teardown(self) -> None:
        """Compare everything a last time, and leave nothing."""
        try:
            if self.sound and not self.compared:
                self.look_at_everything()
        finally:
            for store in (self.memory, *self.files):
                store.close()
            self.folder.cleanup()

    # ------------------------------------------------------------------ steps
    @initialize(first=short(begins), second=short(creates))
    def begin_somewhere(self, first: Operation, second: Operation) -> None:
        """There is something to work on from the start."""
        self._commit([self._resolved(first), self._resolved(second)], 0)

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
        self.files[file] = open_store(self.path)

    @precondition(lambda self: not self.compared)
    @rule()
    def look_at_everything(self) -> None:
        """Every read of every store agrees."""
        self.compared = True
        self._agree_on_sessions()
        for session_id in (*self.book.sessions, "unknown"):
            self._agree_on(session_id)
        for owner in OWNERS:
            for key in KEYS:
                self._agree(lambda s, o=owner, k=key: s.current(o, k, from_micros(self.now)))
            for alias in ("x", "z"):
                self._agree(lambda s, o=owner, a=alias: s.named(o, a))
        for owner in (None, *OWNERS):
            self._agree(lambda s, o=owner: self._open_turns(s, o))
            self._agree(lambda s, o=owner: s.usage(o))
            self._agree(lambda s, o=owner: s.changes(None, owner=o))
            self._agree(lambda s, o=owner: msgspec.structs.replace(s.stats(o), store="", schema=0, size_bytes=0))
        self._agree(lambda s: s.check())
        assert self.memory.check() == []

    # ------------------------------------------------------------------ what always holds
    @invariant()
    def transcripts_are_what_was_stored(self) -> None:
        """Each session holds exactly what its operations promised, in every store."""
        if self.looked:
            return
        self.looked = True
        now = from_micros(self.now)
        for store in (self.memory, *self.files):
            for session_id, transcript in self.book.sessions.items():
                for live, expected in ((True, transcript.live()), (False, transcript.stored())):
                    page = store.page(session_id, None, limit=EVERYTHING, live=live)
                    assert [(m.seq, m.role, m.text) for m in page] == expected
                    assert page.corrupt == ()
                info = store.info(session_id, None, now)
                assert (info.message_count, info.last_seq) == (len(transcript.live()), transcript.last)
        self.sound = True

    @invariant()
    def nothing_goes_back(self) -> None:
        """No session's activity or version goes back, none is active before it was made, and the feed only grows."""
        for session_id in self.book.sessions:
            info = self.memory.info(session_id, None, from_micros(self.now))
            assert info.last_active_at >= self.active.get(session_id, info.created_at)
            assert info.rev >= self.revs.get(session_id, 0)
            self.active[session_id], self.revs[session_id] = info.last_active_at, info.rev
        changes = self.memory.changes(None, limit=EVERYTHING)
        assert changes[: len(self.changes)] == self.changes
        self.changes = changes

    # ------------------------------------------------------------------ how
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
            assert self.files[1 - file].info(session_id, None, now) == self.memory.info(session_id, None, now)

    def _new(self, new: NewSession | None) -> NewSession | None:
        if new is None or new.id != NEW:
            return new
        self.made += 1
        return msgspec.structs.replace(new, id=f"n{self.made}")

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
            known = list(self.book.sessions)
            session_id = changed["session_id"] = known[-1 - int(session_id[1:]) % len(known)] if known else "none"
        if session_id in self.book.sessions:
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
        if given.get("expected_seq") == ACTUAL:
            out["expected_seq"] = info.last_seq
        if given.get("expected") == ACTUAL:
            summary = self.memory.tail(session_id, None, now, limit=1).summary
            out["expected"] = summary.id if summary is not None else 0
        return out

    def _agree(self, read: Callable[[Store], Any]) -> None:
        expected = asked(lambda: read(self.memory))
        for store in self.files:
            assert asked(lambda s=store: read(s)) == expected

    def _agree_on(self, session_id: str) -> None:
        now = from_micros(self.now)
        for owner in (None, *OWNERS):
            self._agree(lambda s, o=owner: s.info(session_id, o, now))
        for limit in (1, 2, 5, 100):
            self._agree(lambda s, n=limit: s.tail(session_id, None, now, limit=n))
        for after, before, limit, newest, live in (
            (0, None, 2, False, True),
            (0, None, 3, True, True),
            (2, 7, 3, False, False),
            (1, 6, 2, True, True),
            (3, 4, 5, False, True),
            (90, None, 5, True, True),
        ):
            window = {"after": after, "before": before, "limit": limit, "newest": newest, "live": live}
            self._agree(lambda s, w=window: s.page(session_id, None, **w))
        for first in (None, 1, 2, 3):
            self._agree(lambda s, f=first: s.turn(session_id, None, f))
        self._agree(lambda s: s.queued(session_id, None))
        self._agree(lambda s: s.changes(None, session_id=session_id))
        self._agree(lambda s: s.usage(None, session_id=session_id, since=from_micros(START + 80_000 * SECOND)))

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
            for ended, empty in ((True, True), (False, False), (True, False)):
                query = SessionQuery(owner=owner, limit=EVERYTHING, include_ended=ended, include_empty=empty)
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

    def _paged(self, store: Store, query: SessionQuery) -> list[str]:
        out: list[str] = []
        query = msgspec.structs.replace(query, limit=2)
        while True:
            page = [info.id for info in store.sessions(query, from_micros(self.now))]
            if not page:
                return out
            out += page
            query = msgspec.structs.replace(query, after=page[-1])


StoreMachine.TestCase.settings = settings(stateful_step_count=20)
TestStores = StoreMachine.TestCase
