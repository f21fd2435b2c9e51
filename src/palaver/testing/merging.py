"""Conformance: an answer and its continuation are made one, and two again."""

from __future__ import annotations

import pytest

from palaver import codec
from palaver.errors import InvalidMessage, SessionBusy, SessionConflict, SessionEnded
from palaver.model import Message, assistant, tool, user
from palaver.operations import Compact, Create, Cut, Edit, Merge, Redo, Rotate
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import AT, NOW, append, begin, create, do, live, new, refused, seqs, texts

__all__ = ["Merges"]

BOTH = codec.draft(assistant("one two"))
REDO = Redo(at=AT, session_id="s")


def _merge(seq: int = 2, continuation: int = 4, message: str | Message = "one two") -> Merge:
    made = codec.draft(assistant(message) if isinstance(message, str) else message)
    return Merge(at=AT, session_id="s", seq=seq, continuation=continuation, message=made)


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
