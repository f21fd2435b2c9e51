"""Conformance: an answer and its continuation are made one, and two again."""

from __future__ import annotations

import pytest

from palaver import codec
from palaver.errors import InvalidMessage, SessionBusy, SessionConflict, SessionEnded
from palaver.model import Message, assistant, tool, user
from palaver.operations import Compact, Create, Cut, Edit, Merge, Purge, Redo, Rotate
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import AT, NOW, append, begin, create, do, live, new, refused, seqs, stored, texts

__all__ = ["Merges"]

BOTH = codec.draft(assistant("one two"))
REDO = Redo(at=AT, session_id="s")


def _merge(seq: int = 2, continuation: int = 4, message: str | Message = "one two") -> Merge:
    made = codec.draft(assistant(message) if isinstance(message, str) else message)
    return Merge(at=AT, session_id="s", seq=seq, continuation=continuation, message=made)


def _purge(low: int, high: int) -> Purge:
    return Purge(at=AT, session_id="s", from_seq=low, through_seq=high)


def _talk(store: Store) -> None:
    create(store, "s", "count", assistant("one"), "go on", assistant(" two"), "go on", assistant(" three"), "thanks")


class Merges(StoreCase):
    """Merge, and Redo after it."""

    def test_a_continuation_goes_into_its_answer(self, store: Store) -> None:
        """At once with the request for it; what the answer said before is a version of it."""
        _talk(store)
        rev = store.info("s", None, NOW).rev
        do(store, _merge())
        assert texts(live(store)) == ["count", "one two", "go on", " three", "thanks"]
        assert seqs(live(store)) == [1, 2, 5, 6, 7]
        assert texts(store.versions("s", None, 2)) == ["one"]
        info = store.info("s", None, NOW)
        assert (info.message_count, info.last_seq, info.rev) == (5, 7, rev + 2)

    def test_redo_makes_them_two_again(self, store: Store) -> None:
        """One after another, and merged again they can be taken apart again; not after the answer was edited."""
        _talk(store)
        whole = texts(live(store))
        for _ in range(2):
            do(store, _merge())
            do(store, _merge(2, 6, "one two three"))
            assert texts(live(store)) == ["count", "one two three", "thanks"]
            do(store, REDO)
            assert texts(live(store)) == ["count", "one two", "go on", " three", "thanks"]
            do(store, REDO)
            assert texts(live(store)) == whole
        do(store, _merge())
        do(store, Edit(at=AT, session_id="s", seq=2, message=codec.draft(assistant("edited"))))
        refused(store, REDO, SessionConflict)

    def test_what_stands_between_is_not_lost(self, store: Store) -> None:
        """An answer between the two, or a result, refuses the merge; hidden messages and commands do not."""
        _talk(store)
        refused(store, _merge(2, 6), SessionConflict)
        append(
            store, "s", assistant("a"), tool("c", "1"), assistant("b"), user("/x", flags=("command",)), assistant("c")
        )
        refused(store, _merge(8, 10), SessionConflict)
        do(store, Cut(at=AT, session_id="s", from_seq=4, through_seq=4, kind="delete"))
        do(store, _merge(2, 6))  # what is cut already is not lost by it
        do(store, _merge(10, 12, "b c"))
        assert texts(live(store)) == ["count", "one two", "thanks", "a", "1", "b c"]

    @pytest.mark.parametrize(("seq", "continuation"), [(1, 2), (2, 3), (4, 2), (2, 2), (2, 9), (0, 2), (-1, 4)])
    def test_both_are_answers(self, store: Store, seq: int, continuation: int) -> None:
        """Live ones, and the continuation comes later."""
        _talk(store)
        refused(store, _merge(seq, continuation), SessionConflict)

    def test_what_is_refused(self, store: Store) -> None:
        """Another version, other content than an answer, a running turn, a session that has ended."""
        _talk(store)
        refused(store, _merge(message=user("one two")), InvalidMessage)
        refused(store, _merge(message=assistant("one two").replace(id="m")), InvalidMessage)
        refused(
            store, Merge(at=AT, session_id="s", seq=2, continuation=4, message=BOTH, expected_rev=9), SessionConflict
        )
        begin(store, "more")
        append(store, "s", assistant("x"), token="t1")  # noqa: S106 - the token of a lease
        append(store, "s", assistant("y"), token="t1")  # noqa: S106
        refused(store, _merge(9, 10), SessionBusy)
        do(store, Create(at=AT, key="k", new=new("t")))
        append(store, "t", assistant("x"), assistant("y"))
        do(store, Rotate(at=AT, key="k", session_id="t", new=new("u")))
        refused(store, Merge(at=AT, session_id="t", seq=1, continuation=2, message=BOTH), SessionEnded)

    def test_a_summary_that_covers_it_is_stale(self, store: Store) -> None:
        """It tells of what is said no more."""
        _talk(store)
        do(store, Compact(at=AT, session_id="s", through_seq=6, text="so far"))
        do(store, _merge())
        assert store.tail("s", None, NOW, limit=9).summary is None

    def test_the_id_stays_and_is_redelivered(self, store: Store) -> None:
        """The answer comes as it first came, and is known."""
        create(store, "s", "count", assistant("one").replace(id="m1"), "go on", assistant(" two"))
        do(store, _merge(message=assistant("one two").replace(id="m1")))
        assert append(store, "s", assistant("one").replace(id="m1")).seqs == (2,)

    @pytest.mark.parametrize("undone", [False, True])
    def test_what_an_answer_goes_on_saying_is_not_purged(self, store: Store, undone: bool) -> None:  # noqa: FBT001
        """The answer is named, and nothing has changed; with it, or after it, the continuation goes."""
        _talk(store)
        do(store, _merge())
        if undone:
            do(store, REDO)
        before = (store.info("s", None, NOW), texts(live(store)))
        for low, high in ((4, 4), (3, 7)):
            error = refused(store, _purge(low, high), SessionConflict)
            assert "the answer at seq 2" in str(error)
            assert error.actual == 2
        assert (store.info("s", None, NOW), texts(live(store))) == before
        assert do(store, _purge(3, 3)) == 1  # the request for it was not merged
        assert do(store, _purge(2, 2)) == 1
        assert texts(store.versions("s", None, 2)) == []
        assert do(store, _purge(4, 4)) == 1
        assert texts(stored(store)) == ["count", "go on", " three", "thanks"]

    def test_what_went_through_another_answer_is_not_purged(self, store: Store) -> None:
        """A continuation of a continuation is said by the first answer too; one range takes all of it."""
        _talk(store)
        do(store, _merge(4, 6, " two three"))
        do(store, _merge(2, 4, "one two three"))
        for low, high in ((6, 6), (4, 6), (4, 4)):
            assert refused(store, _purge(low, high), SessionConflict).actual == 2
        assert do(store, _purge(2, 6)) == 5
        assert texts(stored(store)) == ["count", "thanks"]

    def test_what_was_taken_in_before_was_not_said(self, store: Store) -> None:
        """An answer that was taken in, and taken out again, before it grew says nothing of what it grew by."""
        _talk(store)
        do(store, _merge(2, 4))
        do(store, REDO)
        do(store, _merge(4, 6, " two three"))
        assert refused(store, _purge(6, 6), SessionConflict).actual == 4
