"""Conformance: many threads, several handles, and the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from palaver.errors import PalaverError, SessionBusy, SessionConflict, StoreClosed
from palaver.model import user
from palaver.operations import Append, Begin, Create, Finish
from palaver.stores.base import SessionQuery, Store
from palaver.testing.base import OpenStore, StoreCase, assert_sound
from palaver.testing.material import (
    AT,
    EVERYTHING,
    NOW,
    append,
    begin,
    create,
    do,
    drafts,
    drain,
    lease,
    live,
    new,
    seqs,
    texts,
)

__all__ = ["Closing", "Threads"]

T = TypeVar("T")


def _together(count: int, work: Callable[[int], T]) -> list[T]:
    """What `work` returns for 0 to count - 1, in as many threads that begin at one time."""
    barrier = threading.Barrier(count)

    def run(n: int) -> T:
        barrier.wait(timeout=60)
        return work(n)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class Threads(StoreCase):
    """Any number of threads use one store."""

    def test_eight_threads_append_to_one_session(self, store: Store) -> None:
        """Every message is there once, each thread's in its order, and each has the position that was answered."""
        create(store)

        def work(n: int) -> list[tuple[int, str]]:
            return [(append(store, "s", f"{n}:{i}", at=AT + i).seqs[0], f"{n}:{i}") for i in range(50)]

        answered = [pair for pairs in _together(8, work) for pair in pairs]
        assert sorted(answered) == [(m.seq, m.text) for m in live(store)]
        assert seqs(live(store)) == list(range(1, 401))
        for n in range(8):
            assert [t for t in texts(live(store)) if t.startswith(f"{n}:")] == [f"{n}:{i}" for i in range(50)]

    def test_eight_threads_append_to_their_own_sessions(self, store: Store) -> None:
        """Each session holds its own messages, in order."""

        def work(n: int) -> None:
            create(store, f"s{n}", owner=f"owner {n}", key="k")
            for i in range(50):
                assert append(store, f"s{n}", f"{i}", expected_seq=i).seqs == (i + 1,)

        _together(8, work)
        for n in range(8):
            assert texts(live(store, f"s{n}")) == [str(i) for i in range(50)]

    def test_a_race_for_the_next_position(self, store: Store) -> None:
        """Of 16 that saw the same end, one appends; the others learn where the session ends now."""
        create(store, "s", "a")

        def work(n: int) -> Any:
            return store.commit([Append(at=AT, session_id="s", messages=drafts(str(n)), expected_seq=1)])[0]

        answers = _together(16, work)
        lost = [a for a in answers if isinstance(a, SessionConflict)]
        assert [a.seqs for a in answers if not isinstance(a, PalaverError)] == [(2,)]
        assert [(a.expected, a.actual) for a in lost] == [(1, 2)] * 15
        assert len(live(store)) == 2

    def test_a_race_of_redeliveries(self, store: Store) -> None:
        """The same message from 16 threads is stored once, and each learns where."""
        create(store, "s", "a")
        answers = _together(16, lambda _: append(store, "s", user("b", id="m1")))
        assert [a.seqs for a in answers] == [(2,)] * 16
        assert [a.fresh for a in answers].count(True) == 1
        assert texts(live(store)) == ["a", "b"]

    def test_a_race_for_the_turn(self, store: Store) -> None:
        """One of 16 begins; the others' messages are refused, and not stored."""
        create(store)

        def work(n: int) -> Any:
            operation = Begin(at=AT, session_id="s", message=drafts(str(n))[0], lease=lease(f"t{n}"))
            return store.commit([operation])[0]

        answers = _together(16, work)
        assert [isinstance(a, SessionBusy) for a in answers].count(True) == 15
        assert len(live(store)) == 1

    def test_a_race_of_messages_that_may_wait(self, store: Store) -> None:
        """One of 16 begins; the others are stored, and taken along by the next turn, all of them once."""
        create(store)
        begun = _together(16, lambda n: begin(store, str(n), f"t{n}", on_busy="store"))
        first = next(b for b in begun if b.kind == "begun")
        assert sorted(b.seq for b in begun) == list(range(1, 17))
        assert first.turn is not None
        do(store, Finish(at=AT, session_id="s", token=first.turn.token))
        assert begin(store, "next", "last").queued == tuple(range(2, 17))

    def test_a_race_for_a_key(self, store: Store) -> None:
        """One of 16 makes the session; the others are told which one it is."""
        answers = _together(16, lambda n: store.commit([Create(at=AT, key="k", new=new(f"s{n}"))])[0])
        (made,) = [a for a in answers if not isinstance(a, PalaverError)]
        assert [a.actual for a in answers if isinstance(a, SessionConflict)] == [made.id] * 15
        assert [info.id for info in store.sessions(EVERYTHING, NOW)] == [made.id]

    def test_readers_see_whole_states(self, store: Store) -> None:
        """While others write, a page holds whole appends in order, and what was seen once does not go away."""
        create(store)
        writing = threading.Event()

        def write() -> None:
            try:
                for n in range(0, 300, 3):
                    append(store, "s", *(str(n + i) for i in range(3)), at=AT + n)
            finally:
                writing.set()

        def read() -> int:
            seen, reads = 0, 0
            while not writing.is_set() or not reads:
                page = store.page("s", None, limit=1000)
                assert seqs(page) == list(range(1, len(page) + 1))
                assert len(page) % 3 == 0
                assert len(page) >= seen
                seen = len(page)
                newest = seqs(store.tail("s", None, NOW, limit=6).messages)
                assert newest == list(range(max(newest[-1] - 5, 1), newest[-1] + 1)) if newest else not seen
                assert store.info("s", None, NOW).message_count >= seen
                reads += 1
            return reads

        assert all(n is None or n > 0 for n in _together(4, lambda n: write() if n == 0 else read()))
        assert texts(live(store)) == [str(n) for n in range(300)]

    def test_the_feed_is_followed_while_others_write(self, store: Store) -> None:
        """A reader that asks again and again from its last cursor misses nothing and sees nothing twice."""
        for n in range(3):
            create(store, f"s{n}")
        done = threading.Event()
        left = threading.Semaphore(2)

        def work(n: int) -> list[str]:
            if n:
                for i in range(60):
                    append(store, f"s{n}", str(i))
                left.acquire()
                if not left.acquire(blocking=False):
                    done.set()
                else:
                    left.release()
                return []
            followed: list[str] = []
            while not done.is_set():
                followed += [c.cursor for c in drain(store, followed[-1] if followed else None, limit=7)]
            return followed + [c.cursor for c in drain(store, followed[-1] if followed else None)]

        followed = _together(3, work)[0]
        assert followed == [c.cursor for c in drain(store)]
        assert len(followed) == 3 + 2 * 60

    def test_several_handles_write_to_one_session(self, store: Store, open_store: OpenStore) -> None:
        """Two stores on the same data, two threads each: nothing is lost, doubled or out of its order."""
        other = open_store() if self.persistent else store
        create(store)
        _together(4, lambda n: [append((store, other)[n % 2], "s", f"{n}:{i}", at=AT + i) for i in range(25)])
        if self.persistent:
            other.close()
        assert seqs(live(store)) == list(range(1, 101))
        for n in range(4):
            assert [t for t in texts(live(store)) if t.startswith(f"{n}:")] == [f"{n}:{i}" for i in range(25)]


class Closing(StoreCase):
    """close."""

    def test_nothing_works_after_it(self, open_store: OpenStore) -> None:
        """Every call raises StoreClosed; closing again does nothing."""
        store = open_store()
        create(store, "s", "a", key="k", alias="mine")
        store.close()
        store.close()
        calls: list[Callable[[], object]] = [
            lambda: store.commit([Append(at=AT, session_id="s", messages=drafts("b"))]),
            lambda: store.current("", "k", NOW),
            lambda: store.named("", "mine"),
            lambda: store.info("s", None, NOW),
            lambda: store.tail("s", None, NOW, limit=1),
            lambda: store.page("s", None),
            lambda: store.turn("s", None),
            lambda: store.whole_turn("s", None, 1, NOW),
            lambda: store.queued("s", None),
            lambda: store.sessions(SessionQuery(), NOW),
            lambda: store.open_turns(None, NOW),
            lambda: store.changes(None),
            lambda: store.usage(None),
            lambda: store.stats(None),
            store.check,
        ]
        for call in calls:
            with pytest.raises(StoreClosed) as raised:
                call()
            assert raised.value.outcome == "not_written"

    def test_a_store_is_its_own_context(self, open_store: OpenStore) -> None:
        """`with` closes it, after an error too."""
        store = open_store()
        with pytest.raises(ZeroDivisionError), store:
            raise ZeroDivisionError
        with pytest.raises(StoreClosed):
            live(store)

    def test_what_was_answered_for_is_there_again(self, open_store: OpenStore) -> None:
        """Opened again, a persistent store holds it all and goes on; one that keeps nothing is empty."""
        with open_store() as store:
            create(store, "s", "a", "b", key="k")
            begin(store, user("hi", id="m1"), key="k")
        with open_store() as again:
            if not self.persistent:
                assert again.sessions(EVERYTHING, NOW) == []
                return
            assert texts(live(again)) == ["a", "b", "hi"]
            done = do(again, Finish(at=AT, session_id="s", token="t1", messages=drafts("bye")))  # noqa: S106
            assert done.appended.seqs == (4,)
            assert append(again, "s", user("hi", id="m1")).seqs == (3,)
            assert_sound(again)

    def test_closing_while_others_write(self, open_store: OpenStore) -> None:
        """Each append is stored and answered for, or refused as StoreClosed; none hangs, none is half there."""
        store = open_store()
        create(store)
        some = threading.Event()

        def work(n: int) -> list[str]:
            if n == 0:
                some.wait(timeout=60)
                store.close()
                return []
            stored: list[str] = []
            for i in range(200):
                try:
                    append(store, "s", f"{n}:{i}")
                except StoreClosed:
                    break
                stored.append(f"{n}:{i}")
                some.set()
            return stored

        answered = [text for each in _together(5, work) for text in each]
        with open_store() as again:
            if self.persistent:
                assert sorted(texts(live(again))) == sorted(answered)
                assert_sound(again)
