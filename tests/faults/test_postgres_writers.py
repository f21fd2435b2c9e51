"""Many writers on one PostgreSQL, in stores of their own: nothing lost, nothing twice, a feed that says it in order."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
import psycopg
import pytest

from palaver import codec
from palaver.clock import utc_now
from palaver.errors import InvalidMessage, PalaverError, SessionConflict, SessionEnded, StoreBusy
from palaver.model import assistant, user
from palaver.operations import Append, Begin, Create, Finish, Lease, NewSession, Operation, Renew, Rotate
from palaver.stores import Store, open_store
from palaver.stores.base import Change
from palaver.stores.postgres.place import Place
from tests.servers.postgres import VERSIONS
from tests.waiting import until

SESSIONS = 4
STORES = 3
BATCHES = 25


def now() -> int:
    """The time, in microseconds."""
    return int(time.time() * 1e6)


def made(url: str) -> None:
    """Sessions to write to."""
    with open_store(url) as store:
        store.commit([Create(at=now(), key=f"k{n}", new=NewSession(id=f"s{n}")) for n in range(SESSIONS)])


def at_once(url: str, work: Callable[[Store, int], None], count: int = STORES) -> None:
    """Run this in as many threads, each with a store of its own."""
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with open_store(url) as store:
                work(store, number)
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def append(session: int, text: str, **fields: Any) -> Append:
    """A message on its way."""
    return Append(at=now(), session_id=f"s{session}", messages=(codec.draft(user(text, id=text)),), **fields)


@pytest.mark.parametrize("postgres_url", VERSIONS, indirect=True)
def test_batches_over_the_same_sessions(postgres_url: str) -> None:
    """Each message once, positions without a gap; a reader that follows meanwhile sees each change once, in order."""
    made(postgres_url)
    done = threading.Event()
    told: list[Change] = []

    def follow() -> None:
        with open_store(postgres_url) as store:
            cursor: str | None = None
            while True:
                last = done.is_set()
                page = store.changes(cursor, limit=50)
                told.extend(page)
                cursor = page.cursor
                if last and not page:
                    return

    def write(store: Store, number: int) -> None:
        for n in range(BATCHES):
            order = [(number + n + i) % SESSIONS for i in range(SESSIONS)]
            operations: list[Operation] = [append(each, f"{number}-{n}") for each in order]
            assert not [answer for answer in store.commit(operations) if isinstance(answer, PalaverError)]

    reader = threading.Thread(target=follow)
    reader.start()
    try:
        at_once(postgres_url, write)
    finally:
        done.set()
        reader.join()
    with open_store(postgres_url) as store:
        every = {f"{number}-{n}" for number in range(STORES) for n in range(BATCHES)}
        for session in range(SESSIONS):
            page = store.page(f"s{session}", None, limit=1000)
            assert sorted(m.text for m in page) == sorted(every)
            assert [m.seq for m in page] == list(range(1, len(every) + 1))
        assert told == store.changes(None, limit=100_000)
        assert store.check() == []
    seqs: dict[str, list[int]] = defaultdict(list)
    for change in told:
        if change.kind == "appended":
            seqs[change.session_id].append(change.from_seq)
    assert all(each == sorted(each) for each in seqs.values())
    assert len(told) == len({change.cursor for change in told}) == SESSIONS * (1 + STORES * BATCHES)


def test_everybody_gets_his_turn_with_expected_seq(postgres_url: str) -> None:
    """Who read before another wrote is refused, reads again, and gets through in the end."""
    made(postgres_url)

    def write(store: Store, number: int) -> None:
        for n in range(10):
            while True:
                seen = store.info("s0", None, utc_now()).last_seq
                [answer] = store.commit([append(0, f"{number}-{n}", expected_seq=seen)])
                if not isinstance(answer, SessionConflict):
                    assert not isinstance(answer, PalaverError)
                    break

    at_once(postgres_url, write, 4)
    with open_store(postgres_url) as store:
        page = store.page("s0", None, limit=1000)
        assert len({m.text for m in page}) == len(page) == 40


def test_a_key_that_moves_while_turns_begin_by_it(postgres_url: str) -> None:
    """Whoever read the key before is told, and no turn begins in a session that was left."""
    made(postgres_url)

    def write(store: Store, number: int) -> None:
        for n in range(15):
            info = store.current("", "k0", utc_now())
            assert info is not None
            if number == 0:
                store.commit([Rotate(at=now(), key="k0", session_id=info.id, new=NewSession(id=f"r{n}"))])
            else:
                message = codec.draft(user(f"{number}-{n}", id=f"{number}-{n}"))
                begin = Begin(at=now(), key="k0", session_id=info.id, message=message, lease=Lease(f"{number}-{n}", 1))
                [answer] = store.commit([begin])
                assert isinstance(answer, PalaverError) or answer.session_id == info.id

    at_once(postgres_url, write)
    with open_store(postgres_url) as store:
        assert store.check() == []


def test_a_lock_that_somebody_keeps(postgres_url: str) -> None:
    """StoreBusy, and nothing is written; afterwards all goes on."""
    made(postgres_url)
    with open_store(f"{postgres_url}?timeout=0.2") as store, psycopg.connect(postgres_url) as other:
        store.commit([append(0, "a")])
        other.execute("LOCK TABLE palaver.heads IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreBusy) as caught:
            store.commit([append(0, "b")])
        assert caught.value.outcome == "not_written"
        other.rollback()
        store.commit([append(0, "b")])
        assert [m.text for m in store.page("s0", None)] == ["a", "b"]


def test_the_feed_waits_for_older_transactions(postgres_url: str) -> None:
    """While an older transaction is open nothing after it is told; then all is, and no cursor has skipped it."""
    made(postgres_url)
    with open_store(postgres_url) as store, psycopg.connect(postgres_url) as other:
        cursor = store.changes(None).cursor
        other.execute("CREATE TABLE elsewhere (n int)")  # takes a transaction id, and keeps it
        store.commit([append(0, "a")])
        held = store.changes(cursor)
        assert held == []
        other.rollback()
        assert [change.from_seq for change in store.changes(held.cursor)] == [1]


def test_connections_that_are_cut(postgres_url: str) -> None:
    """The server ends every connection of the store while it is idle: the next write and read connect anew."""
    made(postgres_url)
    with open_store(postgres_url) as store:
        for n in range(3):
            store.commit([append(0, str(n))])
            assert len(store.page("s0", None)) == n + 1
            with psycopg.connect(postgres_url, autocommit=True) as other:
                _cut(other)
        store.commit([append(0, "3")])
        assert [m.text for m in store.page("s0", None)] == ["0", "1", "2", "3"]


def _cut(other: psycopg.Connection[Any]) -> None:
    """End every other connection to the database, and wait until those are gone; new ones may come meanwhile."""
    rows = other.execute(
        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchall()
    cut = [row[0] for row in rows]
    left = "SELECT 1 FROM pg_stat_activity WHERE pid = ANY (%s)"
    until(lambda: other.execute(left, (cut,)).fetchone() is None, "their end")


def test_a_server_that_was_moved(postgres_url: str) -> None:
    """Changes of transactions that this server has not had are found; a repair has the feed go on behind them."""
    made(postgres_url)
    with open_store(postgres_url) as store, psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("UPDATE palaver.changes SET position = position + (1000000::bigint << 14)")
        assert [finding.problem for finding in store.check()] == ["feed_gap"]
        assert [done.problem for done in store.repair(utc_now())] == ["feed_gap"]
        assert store.check() == []
        cursor = store.changes(None).cursor
        store.commit([append(0, "a")])
        assert [change.kind for change in store.changes(cursor)] == ["appended"]


def test_a_forked_child_has_connections_of_its_own(postgres_url: str) -> None:
    """Parent and child go on with the same store, at the same time, and neither disturbs the other."""
    made(postgres_url)
    with open_store(postgres_url) as store:
        store.commit([append(0, "before")])
        assert len(store.page("s0", None)) == 1
        child = os.fork()
        if child == 0:
            try:
                store.commit([append(0, f"child-{n}") for n in range(5)])
                os._exit(0 if len(store.page("s0", None)) >= 6 else 2)
            finally:
                os._exit(3)
        store.commit([append(0, f"parent-{n}") for n in range(5)])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        store.commit([append(0, "after")])
        assert len(store.page("s0", None)) == 12
        assert store.check() == []


def test_a_commit_of_another_store_wakes(postgres_url: str) -> None:
    """Whoever waits is woken by what another process commits, also after the server cut the connection that listens."""
    made(postgres_url)
    with open_store(postgres_url) as here, open_store(postgres_url) as there:
        woken = threading.Event()
        with here.wakes.calling(woken.set):
            for n in range(2):
                until(lambda: _listens(postgres_url), "somebody who listens")
                time.sleep(0.3)  # what it is told when it begins to listen
                woken.clear()
                there.commit([append(0, f"{n}")])
                assert woken.wait(30)
                with psycopg.connect(postgres_url, autocommit=True) as other:
                    other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
                    )
                until(lambda: _listens(postgres_url), "somebody who listens again")


def _listens(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as other:
        found = other.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        return found.fetchone() is not None


def _begin(token: str) -> Begin:
    message = codec.draft(user(token, id=token))
    return Begin(at=now(), session_id="s0", message=message, lease=Lease(token, 1_000_000))


def _finish(token: str) -> Finish:
    return Finish(
        at=now(), session_id="s0", token=token, messages=(codec.draft(assistant("done", id=f"{token} done")),)
    )


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
@pytest.mark.parametrize(
    "late",
    [
        lambda: [append(0, "late")],
        lambda: [append(0, "late"), append(0, "later")],
        lambda: [_begin("late")],
        lambda: [append(0, "late", expected_seq=3)],
    ],
    ids=["one", "several", "a turn", "the general way"],
)
def test_a_database_that_isolates_more_than_usual(
    postgres_url: str, isolation: str, late: Callable[[], list[Operation]]
) -> None:
    """Who has waited for a session sees what was committed meanwhile: nothing is stored in one that has ended."""
    made(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        name = other.info.dbname
        other.execute(cast("Any", f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{isolation}'"))
        with open_store(postgres_url) as store:
            for operation in (append(0, "early"), _begin("t"), _finish("t")):
                assert not isinstance(store.commit([operation])[0], PalaverError)
            [number] = cast("Any", other.execute("SELECT number FROM palaver.sessions WHERE id = 's0'").fetchone())
            with ThreadPoolExecutor(1) as pool:
                with other.transaction():
                    lock = Place.of(postgres_url).session_lock(number)
                    other.execute("SELECT pg_advisory_xact_lock(%s::bigint)", (lock,))
                    answers = pool.submit(store.commit, late())
                    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    until(lambda: other.execute(cast("Any", waiting)).fetchone() is not None, "its waiting")
                    other.execute("UPDATE palaver.sessions SET ended_at = 1, end_reason = 'reset' WHERE id = 's0'")
                assert {type(answer) for answer in answers.result()} == {SessionEnded}
            assert [message.text for message in store.page("s0", None)] == ["early", "t", "done"]


def test_a_number_that_the_database_cannot_hold_harms_its_operation_alone(postgres_url: str) -> None:
    """Alone and in a batch; and a lease that is long beyond reason is no error."""
    made(postgres_url)
    huge = 1 << 70
    with open_store(postgres_url) as store:
        for operation in (append(0, "early"), _begin("t")):
            assert not isinstance(store.commit([operation])[0], PalaverError)
        at = msgspec.structs.replace(codec.draft(user("at", id="at")), at=huge)
        renewing = Renew(at=now(), session_id="s0", token="t", micros=huge)
        for refused in (renewing, Append(at=now(), session_id="s0", messages=(at,))):
            [answer, other] = store.commit([refused, append(0, type(refused).__name__)])
            assert isinstance(answer, InvalidMessage)
            assert not isinstance(other, PalaverError)
        [answer] = store.commit([append(0, "kept", token="t", lease_micros=1 << 61)])
        assert not isinstance(answer, PalaverError)
        assert [message.text for message in store.page("s0", None)] == ["early", "t", "Renew", "Append", "kept"]
