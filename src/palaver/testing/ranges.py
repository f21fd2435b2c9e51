"""Conformance: messages are hidden, removed and summarised, and their numbers never come back."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.errors import SessionConflict
from palaver.model import assistant, system, user
from palaver.operations import Append, Compact, Cut, Finish, Purge
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import (
    AT,
    HOUR,
    MINUTE,
    NOW,
    append,
    batch,
    begin,
    create,
    do,
    drafts,
    drain,
    live,
    refused,
    seqs,
    stored,
    texts,
)

__all__ = ["Compactions", "Cuts", "Purges"]

HUGE = 1 << 70


def _cut(store: Store, low: int, high: int, **fields: Any) -> None:
    do(store, Cut(at=AT, session_id="s", from_seq=low, through_seq=high, kind="rewind", **fields))


def _purge(store: Store, low: int, high: int) -> int:
    gone: int = do(store, Purge(at=AT, session_id="s", from_seq=low, through_seq=high))
    return gone


def _compact(store: Store, through: int, expected: int = 0, text: str = "so far") -> int:
    made = do(store, Compact(at=AT, session_id="s", through_seq=through, text=text, expected=expected))
    assert (made.text, made.through_seq, made.previous, made.stale) == (text, through, expected, False)
    number: int = made.id
    return number


def _summary(store: Store) -> tuple[int, str, int] | None:
    found = store.tail("s", None, NOW, limit=100).summary
    return (found.id, found.text, found.through_seq) if found is not None else None


class Cuts(StoreCase):
    """Cut."""

    def test_what_is_cut_is_live_no_more_and_stays_stored(self, store: Store) -> None:
        """It is gone from pages, tails and counts, and is there for who asks for everything."""
        create(store, "s", "a", "b", "c", "d")
        _cut(store, 2, 3)
        assert texts(live(store)) == ["a", "d"]
        assert texts(stored(store)) == ["a", "b", "c", "d"]
        assert texts(store.tail("s", None, NOW, limit=10).messages) == ["a", "d"]
        info = store.info("s", None, NOW)
        assert (info.message_count, info.last_seq, info.rev) == (2, 4, 1)
        (change,) = drain(store, session_id="s")[-1:]
        assert (change.kind, change.from_seq, change.through_seq, change.rev) == ("cut", 2, 3, 1)

    def test_numbers_go_on_after_a_cut(self, store: Store) -> None:
        """The next message comes after the highest position ever given, cut or not."""
        create(store, "s", "a", "b", "c")
        _cut(store, 2, 3)
        assert append(store, "s", "d", expected_seq=3).seqs == (4,)
        _cut(store, 1, 4)
        assert live(store) == []
        assert append(store, "s", "e").seqs == (5,)
        assert texts(live(store)) == ["e"]

    def test_cuts_may_overlap(self, store: Store) -> None:
        """A position that is cut twice counts once; each cut is a rev."""
        create(store, "s", *"abcdefghij")
        for n, (low, high) in enumerate([(3, 5), (4, 6), (3, 5), (9, 10), (1, 1), (1, 8)], 1):
            _cut(store, low, high)
            info = store.info("s", None, NOW)
            assert (info.message_count, info.rev) == (len(live(store)), n)
        assert live(store) == []

    def test_many_single_cuts(self, store: Store) -> None:
        """Every second message is deleted: the others are read in order, a page and a window at a time."""
        create(store, "s", *(str(n) for n in range(1, 121)))
        store.commit([Cut(at=AT, session_id="s", from_seq=n, through_seq=n, kind="delete") for n in range(2, 121, 2)])
        assert seqs(live(store)) == list(range(1, 120, 2))
        assert seqs(store.page("s", None, after=10, limit=3)) == [11, 13, 15]
        assert seqs(store.page("s", None, before=20, limit=3, newest=True)) == [15, 17, 19]
        tail = store.tail("s", None, NOW, limit=5)
        assert (seqs(tail.messages), tail.complete) == ([111, 113, 115, 117, 119], False)

    def test_the_end_may_be_left_open(self, store: Store) -> None:
        """A range is clipped at the end of the transcript, in the feed too."""
        create(store, "s", "a", "b", "c")
        _cut(store, 2, HUGE)
        append(store, "s", "d")
        assert texts(live(store)) == ["a", "d"]
        cuts = [(c.from_seq, c.through_seq) for c in drain(store) if c.kind == "cut"]
        assert cuts == [(2, 3)]

    @pytest.mark.parametrize(("low", "high"), [(0, 2), (-5, 2), (3, 2), (4, 4), (4, HUGE), (HUGE, HUGE)])
    def test_what_is_no_range_of_the_transcript(self, store: Store, low: int, high: int) -> None:
        """SessionConflict, for a cut and for a purge."""
        create(store, "s", "a", "b", "c")
        refused(store, Cut(at=AT, session_id="s", from_seq=low, through_seq=high, kind="x"), SessionConflict)
        refused(store, Purge(at=AT, session_id="s", from_seq=low, through_seq=high), SessionConflict)

    def test_who_comes_second_is_refused(self, store: Store) -> None:
        """`expected_rev` guards cuts and purges; appends do not disturb them."""
        create(store, "s", "a", "b", "c")
        append(store, "s", "d")
        _cut(store, 4, 4, expected_rev=0)
        for operation in (
            Cut(at=AT, session_id="s", from_seq=1, through_seq=1, kind="x", expected_rev=0),
            Purge(at=AT, session_id="s", from_seq=1, through_seq=1, expected_rev=0),
        ):
            error = refused(store, operation, SessionConflict)
            assert (error.expected, error.actual) == (0, 1)
        do(store, Purge(at=AT, session_id="s", from_seq=1, through_seq=1, expected_rev=1))

    def test_a_known_id_stays_known(self, store: Store) -> None:
        """A redelivery of a message that was cut does not bring it back."""
        create(store, "s", user("a", id="m1"), "b")
        _cut(store, 1, 1)
        again = append(store, "s", user("a", id="m1"))
        assert (again.seqs, again.fresh) == ((1,), False)
        assert texts(live(store)) == ["b"]

    def test_the_tail_after_a_long_rewind(self, store: Store) -> None:
        """What lies before the cut is read, the newest message of a person with it, however long the cut is."""
        create(store, "s", "first", *(assistant(str(n)) for n in range(20)))
        append(store, "s", *(f"user {n}" for n in range(1200)))
        _cut(store, 22, 10_000)
        tail = store.tail("s", None, NOW, limit=3)
        assert texts(tail.messages) == ["first", "17", "18", "19"]
        assert not tail.complete
        append(store, "s", assistant("after"))
        assert texts(store.tail("s", None, NOW, limit=2).messages) == ["first", "19", "after"]
        _cut(store, 1, 1)
        assert texts(store.tail("s", None, NOW, limit=2).messages) == ["19", "after"]

    def test_a_cut_ends_the_meaning_of_an_anchor(self, store: Store) -> None:
        """Where the window began is told until a cut takes that message away."""
        create(store, "s", "a", "b", "c")
        begin(store, "hi")
        do(store, Finish(at=AT, session_id="s", token="t1", anchor=2))  # noqa: S106
        assert store.tail("s", None, NOW, limit=10).anchor == 2
        _cut(store, 2, 3)
        assert [store.tail("s", None, NOW, limit=10).anchor for _ in range(2)] == [None, None]

    def test_an_anchor_that_was_cut_before(self, store: Store) -> None:
        """An anchor that moves to a message that was cut means nothing, though a tail was read before."""
        create(store, "s", "a", "b", "c")
        _cut(store, 1, 1)
        for token, anchor, shown in (("t1", 2, 2), ("t2", 1, None)):
            begin(store, "hi", token)
            do(store, Finish(at=AT, session_id="s", token=token, anchor=anchor))
            assert [store.tail("s", None, NOW, limit=2).anchor for _ in range(2)] == [shown, shown]

    def test_leading_instructions_can_be_cut(self, store: Store) -> None:
        """A cut system message leads nothing."""
        create(store, "s", system("one"), system("two"), "hi")
        _cut(store, 1, 1)
        tail = store.tail("s", None, NOW, limit=10)
        assert (texts(tail.head), texts(tail.messages)) == (["two"], ["hi"])


class Purges(StoreCase):
    """Purge."""

    def test_what_is_purged_is_gone(self, store: Store) -> None:
        """From every read; the count, the feed and the answer tell how much."""
        create(store, "s", "a", "b", "c", "d")
        assert _purge(store, 2, 3) == 2
        assert texts(stored(store)) == texts(live(store)) == ["a", "d"]
        info = store.info("s", None, NOW)
        assert (info.message_count, info.last_seq) == (2, 4)
        (change,) = drain(store)[-1:]
        assert (change.kind, change.from_seq, change.through_seq) == ("purged", 2, 3)

    def test_a_purge_is_one_rev(self, store: Store) -> None:
        """rev grows by one for it, also where it takes the preview away."""
        create(store, "s", "a", "b")
        assert store.info("s", None, NOW).preview == "a"
        _purge(store, 1, 1)
        info = store.info("s", None, NOW)
        assert info.preview is None
        assert (info.rev, drain(store)[-1].rev) == (1, 1)

    def test_numbers_are_never_reused(self, store: Store) -> None:
        """After the end, or everything, is purged, the next message still comes after what was there."""
        create(store, "s", "a", "b", "c")
        assert _purge(store, 3, 3) == 1
        assert store.info("s", None, NOW).last_seq == 3
        assert append(store, "s", "d").seqs == (4,)
        assert _purge(store, 1, HUGE) == 3
        assert stored(store) == []
        assert append(store, "s", "e", expected_seq=4).seqs == (5,)
        assert store.info("s", None, NOW).message_count == 1

    def test_numbers_are_never_reused_in_one_commit(self, store: Store) -> None:
        """Storing, purging and storing again in one call gives new positions."""
        create(store)
        answers = batch(
            store,
            Append(at=AT, session_id="s", messages=drafts(user("a", id="m1"), "b")),
            Purge(at=AT, session_id="s", from_seq=1, through_seq=2),
            Append(at=AT, session_id="s", messages=drafts("c")),
            Purge(at=AT, session_id="s", from_seq=3, through_seq=3),
        )
        assert (answers[1], answers[3]) == (2, 1)
        assert append(store, "s", "d").seqs == (4,)
        assert texts(stored(store)) == ["d"]

    def test_numbers_are_never_reused_by_who_opens_the_store_anew(self, store: Store, open_store: OpenStore) -> None:
        """The high-water mark is stored, not found from what is left."""
        create(store, "s", *"abcde")
        _purge(store, 4, 5)
        if self.persistent:
            other = open_store()
            assert append(other, "s", "f").seqs == (6,)
            other.close()
        else:
            assert append(store, "s", "f").seqs == (6,)
        assert texts(live(store)) == ["a", "b", "c", "f"]

    def test_what_was_cut_can_be_purged(self, store: Store) -> None:
        """Live or not, it is counted as removed once."""
        create(store, "s", "a", "b", "c", "d")
        _cut(store, 2, 3)
        assert _purge(store, 3, 4) == 2
        assert _purge(store, 3, 4) == 0
        assert (texts(live(store)), texts(stored(store))) == (["a"], ["a", "b"])

    @pytest.mark.parametrize("apart", [True, False])
    def test_a_purged_message_does_not_come_back(self, store: Store, apart: bool) -> None:  # noqa: FBT001
        """Its id keeps its position, whatever content it is sent with, in the same commit and later."""
        create(store, "s", user("a", id="m1"), "b")
        purge = Purge(at=AT, session_id="s", from_seq=1, through_seq=1)
        again = [Append(at=AT, session_id="s", messages=drafts(user(text, id="m1"))) for text in ("a", "other")]
        answers = batch(store, purge, *again) if not apart else [do(store, each) for each in (purge, *again)]
        assert [(a.seqs, a.fresh) for a in answers[1:]] == [((1,), False)] * 2
        assert texts(stored(store)) == ["b"]

    def test_the_newest_message_of_a_person_may_be_purged(self, store: Store) -> None:
        """The one before it is the newest then."""
        create(store, "s", "first", assistant("1"), "second", assistant("2"), assistant("3"))
        _purge(store, 3, 3)
        assert texts(store.tail("s", None, NOW, limit=1).messages) == ["first", "3"]
        append(store, "s", assistant("4"))
        assert texts(store.tail("s", None, NOW, limit=2).messages) == ["first", "3", "4"]
        _purge(store, 1, 1)
        assert texts(store.tail("s", None, NOW, limit=2).messages) == ["3", "4"]

    def test_a_message_cannot_be_purged_before_it_came(self, store: Store) -> None:
        """A range that goes beyond the end removes what is there and nothing of what comes later."""
        create(store, "s", "a", "b")
        assert _purge(store, 2, 100) == 1
        append(store, "s", "c", at=AT + HOUR)
        assert texts(live(store)) == ["a", "c"]


class Compactions(StoreCase):
    """Compact."""

    def test_a_summary_stands_for_what_it_covers(self, store: Store) -> None:
        """Windows get the summary and what comes after it; the messages stay where they were."""
        create(store, "s", "a", assistant("b"), "c", assistant("d"))
        number = _compact(store, 2)
        tail = store.tail("s", None, NOW, limit=10)
        assert tail.summary is not None
        assert (tail.summary.id, tail.summary.text, tail.summary.through_seq) == (number, "so far", 2)
        assert (tail.summary.previous, tail.summary.stale, tail.summary.created_at) == (None, False, NOW)
        assert (texts(tail.messages), tail.complete) == (["c", "d"], True)
        assert texts(live(store)) == ["a", "b", "c", "d"]
        info = store.info("s", None, NOW)
        assert (info.message_count, info.rev) == (4, 1)
        (change,) = drain(store)[-1:]
        assert (change.kind, change.through_seq) == ("compacted", 2)

    def test_the_newest_message_of_a_person_comes_before_the_rest(self, store: Store) -> None:
        """Although the summary covers it."""
        create(store, "s", "a", "b", assistant("c"), assistant("d"))
        _compact(store, 3)
        assert texts(store.tail("s", None, NOW, limit=10).messages) == ["b", "d"]

    def test_everything_may_be_covered(self, store: Store) -> None:
        """Only the newest message of a person is left beside the summary."""
        create(store, "s", system("be brief"), "a", assistant("b"))
        _compact(store, 3)
        tail = store.tail("s", None, NOW, limit=10)
        assert (texts(tail.head), texts(tail.messages)) == (["be brief"], ["a"])

    def test_summaries_stack(self, store: Store) -> None:
        """Each begins where the one before ends; only who saw the newest may add to it."""
        create(store, "s", *"abcdef")
        first = _compact(store, 2, text="one")
        second = _compact(store, 4, first, text="two")
        assert second > first
        tail = store.tail("s", None, NOW, limit=10)
        assert tail.summary is not None
        assert (tail.summary.text, tail.summary.previous) == ("two", first)
        for expected in (0, first, second + 1):
            operation = Compact(at=AT, session_id="s", through_seq=5, text="x", expected=expected)
            error = refused(store, operation, SessionConflict)
            assert (error.expected, error.actual) == (expected, second)

    @pytest.mark.parametrize("through", [-1, 0, 1, 2, 7, HUGE])
    def test_a_summary_goes_further_than_the_one_before(self, store: Store, through: int) -> None:
        """It ends inside the transcript and beyond the one before."""
        create(store, "s", *"abcdef")
        number = _compact(store, 2)
        operation = Compact(at=AT, session_id="s", through_seq=through, text="x", expected=number)
        refused(store, operation, SessionConflict)

    def test_the_running_turn_is_left_alone(self, store: Store) -> None:
        """A summary ends before it; when the turn is over, it may cover it."""
        create(store, "s", "a", assistant("b"))
        begin(store, "hi")
        append(store, "s", assistant("c"), token="t1")  # noqa: S106
        for through in (3, 4):
            refused(store, Compact(at=AT, session_id="s", through_seq=through, text="x"), SessionConflict)
        number = _compact(store, 2)
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        _compact(store, 4, number)

    def test_a_summary_of_nothing(self, store: Store) -> None:
        """The first one may cover nothing; the next one goes on from there."""
        create(store, "s", "a", "b")
        number = _compact(store, 0, text="background")
        tail = store.tail("s", None, NOW, limit=10)
        assert tail.summary is not None
        assert (tail.summary.text, texts(tail.messages)) == ("background", ["a", "b"])
        _compact(store, 1, number)

    @pytest.mark.parametrize("operation", [Cut, Purge])
    def test_a_cut_inside_makes_a_summary_stale(self, store: Store, operation: type[Cut | Purge]) -> None:
        """Windows fall back to the one before, or to none; a new one may be made from there."""
        create(store, "s", *"abcdefgh")
        first = _compact(store, 2, text="one")
        second = _compact(store, 5, first, text="two")
        kind: dict[str, Any] = {"kind": "delete"} if operation is Cut else {}
        do(store, operation(at=AT, session_id="s", from_seq=7, through_seq=7, **kind))
        assert _summary(store) == (second, "two", 5)
        do(store, operation(at=AT + MINUTE, session_id="s", from_seq=4, through_seq=4, **kind))
        assert _summary(store) == (first, "one", 2)
        assert texts(store.tail("s", None, NOW, limit=10).messages) == ["c", "e", "f", "h"]
        third = _compact(store, 6, first, text="three")
        assert third > second, "numbers of summaries are not reused"
        do(store, operation(at=AT, session_id="s", from_seq=1, through_seq=1, **kind))
        assert _summary(store) is None
        assert texts(store.tail("s", None, NOW, limit=10).messages) == ["b", "c", "e", "f", "h"]
        assert _compact(store, 3, text="four") > third

    def test_a_rollback_after_a_summary_leaves_it(self, store: Store) -> None:
        """Only what it covers makes it stale."""
        create(store, "s", "a", assistant("b"))
        number = _compact(store, 2)
        begin(store, "hi")
        do(store, Finish(at=AT, session_id="s", token="t1", state="rolled_back"))  # noqa: S106
        assert _summary(store) == (number, "so far", 2)
