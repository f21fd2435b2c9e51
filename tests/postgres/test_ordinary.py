"""What the server does by itself in one round trip is what `apply` does: the memory store answers the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from palaver import codec
from palaver.errors import StoreBusy
from palaver.model import Message, assistant, user
from palaver.operations import Append, Begin, Finish, Lease, NewSession, Operation, Rotate
from palaver.rows import Draft
from palaver.search import SearchQuery
from palaver.stores import open_store
from palaver.stores.base import Store
from palaver.times import from_micros

NOON = 1_800_000_000_000_000
DAY = 86_400_000_000


class Both:
    """A store on PostgreSQL and one in memory, which are told the same."""

    def __init__(self, postgres: Store, memory: Store) -> None:
        self.stores = postgres, memory

    def do(self, *operations: Operation) -> list[Any]:
        """Commit to both, compare what they answer, and give it."""
        mine, theirs = ([_told(each) for each in store.commit(operations)] for store in self.stores)
        assert mine == theirs
        return mine

    def compare(self, *session_ids: str) -> None:
        """All that is stored of these sessions is the same, and so is what is told of them."""
        for session_id in session_ids:
            mine, theirs = (_stored(store, session_id) for store in self.stores)
            assert mine == theirs


def _stored(store: Store, session_id: str) -> list[object]:
    """All that a store has of a session, and what its feed tells of it."""
    chunk = store.chunk(session_id, None, after=0, limit=1000)
    changes = store.changes(None, session_id=session_id)
    told = [(c.rev, c.kind, c.from_seq, c.through_seq) for c in changes]
    return [store.record(session_id, None), chunk.messages, chunk.turns, told]


def _told(answer: Any) -> Any:
    if isinstance(answer, Exception):
        return type(answer).__name__
    return answer


def _draft(message: Message) -> Draft:
    return codec.draft(message)


def _begin(at: int, token: str, message: Message, session_id: str | None = "a", **more: Any) -> Begin:
    given = {"key": "k", "owner": "ann"} | more
    return Begin(at=at, session_id=session_id, message=_draft(message), lease=Lease(token, 60_000_000), **given)


def test_turns_one_by_one(postgres_url: str) -> None:
    """First and later ones, with what gets in their way: redeliveries, a message that waits, a reset, another's key."""
    with open_store(f"{postgres_url}?clock=caller") as store, open_store("memory://") as memory:
        both, at = Both(store, memory), NOON
        create = NewSession(id="a")
        both.do(_begin(at, "t0", user("first", id="m0"), create=create, session_id=None))
        both.do(
            Finish(at=at + 1, session_id="a", token="t0", messages=(_draft(assistant("hi")),), calibration='{"a":1}')
        )
        for nth in range(1, 4):
            at += 10_000_000
            token = f"t{nth}"
            both.do(_begin(at, token, user(f"and {nth}", id=f"m{nth}"), budget="{}"))
            both.do(_begin(at, token, user(f"and {nth}", id=f"m{nth}"), budget="{}"))  # its answer was lost
            both.do(_begin(at + 1, "other", user("me too", id=f"o{nth}")))
            both.do(Append(at=at + 2, session_id="a", owner="ann", token=token, messages=(_draft(assistant("hm")),)))
            if nth == 2:
                both.do(_begin(at + 3, "other", user("I wait", id="w"), on_busy="store"))
            reply = (_draft(assistant(f"so {nth}", id=f"r{nth}")),)
            both.do(Finish(at=at + 4, session_id="a", owner="bob", token=token, messages=reply))
            both.do(Finish(at=at + 4, session_id="a", token="none", messages=reply))
            both.do(Finish(at=at + 5, session_id="a", owner="ann", token=token, anchor=nth, messages=reply))
            both.do(Finish(at=at + 5, session_id="a", owner="ann", token=token, anchor=nth, messages=reply))
            both.do(_begin(at + 6, "late", user(f"and {nth}", id=f"m{nth}")))
            both.do(_begin(at + 7, "late", user("another text", id=f"m{nth}")))
        both.do(Rotate(at=at, owner="ann", key="k", session_id="a", new=NewSession(id="b")))
        both.do(_begin(at, "u1", user("moved", id="n1")))
        for nth in (1, 2, 3):
            both.do(_begin(at + nth, f"u{nth}", user(f"here {nth}", id=f"n{nth}"), "b"))
            both.do(Finish(at=at + nth, session_id="b", token=f"u{nth}", messages=(_draft(user("by hand")),)))
            both.do(_begin(at + nth, f"v{nth}", user("and 1", id="m1"), "b"))  # of the session before
        both.do(_begin(at + 2 * DAY, "v9", user("and 1", id="m1"), "b"))  # so late that nobody asks there any more
        both.compare("a", "b")


def test_batches_of_appends(postgres_url: str) -> None:
    """Several for one session and for several, with ids, turns, and one among them that is not ordinary."""
    with open_store(f"{postgres_url}?clock=caller") as store, open_store("memory://") as memory:
        both, at = Both(store, memory), NOON
        for name in "abc":
            create, key = NewSession(id=name), f"k{name}"
            both.do(_begin(at, f"t{name}", user("hello"), session_id=None, key=key, create=create))

        def add(name: str, at: int, *messages: Message, **more: Any) -> Append:
            return Append(at=at, session_id=name, messages=tuple(map(_draft, messages)), **more)

        turn = {"token": "ta", "lease_micros": 60_000_000}
        both.do(
            add("a", at + 5, assistant("1"), user("2", id="x"), assistant("3")),
            add("b", at + 3, assistant("4", id="x")),
            add("a", at + 4, assistant("5"), owner=None, **turn),
            add("c", at + 9_000_000, user("6")),
            add("a", at + 6, user("7"), assistant("8")),
        )
        both.do(
            add("a", at, assistant("9"), owner="ann"), add("a", at, assistant("10")), add("b", at, user("x", id="y"))
        )
        both.do(add("a", at, assistant("11")), add("a", at, user("2", id="x")), add("a", at, user("other", id="x")))
        both.do(add("a", at, assistant("12"), owner="bob"), add("b", at, assistant("13")))
        both.do(add("b", at, assistant("14"), **turn), add("c", at, assistant("15")))
        both.do(add("a", at + 50_000_000, assistant("16"), **turn), add("c", at, assistant("17"), user("18")))
        both.compare("a", "b", "c")


def test_several_who_take_words_into_the_index(postgres_url: str) -> None:
    """Two processes at it at the same time: a step that was worked out in advance is done once, or by the other."""
    with open_store(postgres_url) as one, open_store(postgres_url) as two:
        make = NewSession(id="a")
        one.commit([_begin(NOON, "t", user("hello"), session_id=None, create=make)])
        for nth in range(4):
            many = tuple(_draft(assistant(f"pear n{nth * 700 + each}")) for each in range(700))
            one.commit([Append(at=NOON, session_id="a", messages=many)])
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda store: store.index(limit=100_000), (one, two))) == [0, 0]
        query = SearchQuery(text="pear", limit=5_000, catch_up=0)
        assert len(one.search(query)) == len(two.search(query)) == 2_800
        assert one.check() == []


def test_the_index_takes_whatever_a_step_cuts(postgres_url: str) -> None:
    """A change with more messages than a step has, and messages larger than one, are found all the same."""
    with open_store(f"{postgres_url}?clock=caller") as store, open_store("memory://") as memory:
        both = Both(store, memory)
        both.do(_begin(NOON, "t", user("hello"), session_id=None, create=NewSession(id="a")))
        many = tuple(_draft(assistant(f"pear n{nth}", id=f"p{nth}")) for nth in range(1_200))
        both.do(Append(at=NOON, session_id="a", messages=many))
        for nth in range(3):
            long = _draft(assistant(f"plum {'x' * 1_500_000} n{nth}"))
            both.do(Append(at=NOON, session_id="a", messages=(long, _draft(assistant("quince")))))
        assert store.index(limit=700) > 0
        for word, count in (("pear", 1_200), ("plum", 3), ("quince", 3), ("n1199", 1)):
            query = SearchQuery(text=word, limit=2_000, catch_up=5_000)
            found, expected = (len(each.search(query)) for each in both.stores)
            assert found == expected == min(count, expected)


@pytest.mark.parametrize("count", [1, 3])
def test_a_lock_that_is_not_given_up(postgres_url: str, count: int) -> None:
    """One append and several, on a connection that has been in use: StoreBusy in time, and nothing is written."""
    with open_store(f"{postgres_url}?clock=caller&timeout=0.3") as store:
        store.commit([_begin(NOON, "t", user("hello"), None, key="k", owner=None, create=NewSession(id="a"))])
        store.commit([Finish(at=NOON, session_id="a", token="t", messages=(_draft(assistant("hi")),))])
        appends = [Append(at=NOON, session_id="a", messages=(_draft(user(f"{nth}")),)) for nth in range(count)]
        for _ in range(8):  # until its statements are prepared
            store.commit(appends)
        before = store.info("a", None, from_micros(NOON)).message_count
        with psycopg.connect(postgres_url) as other:
            other.execute("LOCK TABLE palaver.heads IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreBusy):
                store.commit(appends)
            other.rollback()
        assert store.info("a", None, from_micros(NOON)).message_count == before
        store.commit(appends)
