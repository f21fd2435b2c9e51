"""A session of a million messages costs what one of a hundred costs, counted in the database's own steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import apsw
import pytest

import palaver
from palaver import Session, SessionManager, assistant, codec, user
from palaver.operations import Append, Cut
from palaver.stores.sqlite import SqliteStore

MESSAGES = 1_000_000
AT_ONCE = 10_000


class Work(NamedTuple):
    """What the database did: steps of its machine, and pages that it looked at."""

    steps: int
    pages: int


class Counted:
    """Counts the work of every connection that a store opens."""

    def __init__(self) -> None:
        self.steps = 0
        self.connections: list[apsw.Connection] = []

    def watch(self, connection: apsw.Connection) -> None:
        """A connection hook."""
        self.connections.append(connection)
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._profile)

    def _profile(self, event: dict[str, Any]) -> None:
        self.steps += int(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])

    def _pages(self) -> int:
        kinds = (apsw.SQLITE_DBSTATUS_CACHE_HIT, apsw.SQLITE_DBSTATUS_CACHE_MISS)
        return sum(c.status(kind)[0] for c in self.connections for kind in kinds)

    def of(self, work: Callable[[], object]) -> Work:
        """What one piece of work costs, done a second time: the first fills caches."""
        work()
        self.steps, pages = 0, self._pages()
        work()
        return Work(self.steps, self._pages() - pages)


@pytest.fixture(scope="module")
def counted() -> Iterator[Counted]:
    """A counter of all connections that are opened while this module's store lives."""
    counter = Counted()
    apsw.connection_hooks.append(counter.watch)
    yield counter
    apsw.connection_hooks.remove(counter.watch)


@pytest.fixture(scope="module")
def sessions(counted: Counted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionManager]:
    """A store with a session of a hundred messages and one of a million."""
    store = SqliteStore(str(tmp_path_factory.mktemp("long") / "chat.db"))
    with palaver.open(store) as opened:
        drafts = tuple(
            codec.draft(user(f"question {n}") if n % 2 == 0 else assistant(f"answer {n}")) for n in range(AT_ONCE)
        )
        for name, count in (("short", 100), ("long", MESSAGES)):
            session = opened.create(name)
            for start in range(0, count, AT_ONCE):
                some = drafts[: min(AT_ONCE, count - start)]
                [done] = store.commit([Append(at=session._core.at(), session_id=session.id, messages=some)])
                assert done.last_seq == start + len(some)
        yield opened


def both(sessions: SessionManager) -> tuple[Session, Session]:
    """The short and the long session."""
    return sessions.resolve("short"), sessions.resolve("long")


def test_all_of_it_is_there(sessions: SessionManager) -> None:
    """Its count, its end and its beginning are right."""
    _, long = both(sessions)
    info = long.info()
    assert (info.message_count, info.last_seq) == (MESSAGES, MESSAGES)
    assert [m.seq for m in long.messages(limit=3)] == [1, 2, 3]
    assert [m.seq for m in long.messages(limit=3, newest=True)] == [MESSAGES - 2, MESSAGES - 1, MESSAGES]


READS: dict[str, Callable[[Session], object]] = {
    "window(50)": lambda s: s.history(max_messages=50),
    "info": lambda s: s.info(),
    "newest page": lambda s: s.messages(limit=20, newest=True),
    "page in the middle": lambda s: s.messages(after=40, limit=20),
}


@pytest.mark.parametrize("name", list(READS))
def test_reading_costs_the_same(sessions: SessionManager, counted: Counted, name: str) -> None:
    """A window and a page cost the same number of steps in both; of pages a few more, for a deeper tree."""
    short, long = both(sessions)
    cost_short, cost_long = counted.of(lambda: READS[name](short)), counted.of(lambda: READS[name](long))
    assert cost_short.steps > 0
    assert abs(cost_long.steps - cost_short.steps) <= cost_short.steps // 10
    assert cost_long.pages <= cost_short.pages + 30


def test_appending_costs_the_same(sessions: SessionManager, counted: Counted) -> None:
    """An append and a whole turn cost the same number of steps in both."""

    def append(session: Session) -> object:
        return session.append(user("more"))

    def turn(session: Session) -> None:
        with session.begin_turn(user("question"), max_messages=50) as running:
            running.finish(assistant("answer"))

    costs = [(counted.of(partial(append, session)), counted.of(partial(turn, session))) for session in both(sessions)]
    for cost_short, cost_long in zip(*costs, strict=True):
        assert cost_short.steps > 0
        assert abs(cost_long.steps - cost_short.steps) <= cost_short.steps // 10 + 20
        assert cost_long.pages <= cost_short.pages + 60


def test_a_cut_of_the_long_session_costs_little(sessions: SessionManager, counted: Counted) -> None:
    """Hiding 900,000 messages does not touch them."""
    _, long = both(sessions)
    core = long._core
    cost = counted.of(
        lambda: core.store.commit(
            [Cut(at=core.at(), session_id=long.id, from_seq=1000, through_seq=900_000, kind="test")]
        )
    )
    assert cost.steps < 2000
    assert cost.pages < 200
    assert counted.of(lambda: long.history(max_messages=50)).steps < 2000
