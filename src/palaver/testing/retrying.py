"""Conformance: a message is answered again, and the answer before comes back."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.errors import SessionBusy, SessionConflict, SessionEnded
from palaver.model import assistant, tool, user
from palaver.operations import Append, Begin, Compact, Cut, Edit, Finish, Purge, Redo, Redone, Retry, Rotate
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
    HOUR,
    NOW,
    append,
    begin,
    create,
    do,
    drafts,
    drain,
    later,
    lease,
    live,
    new,
    refused,
    seqs,
    stored,
    texts,
)

__all__ = ["Repeats"]


def _retry(token: str = "t2", at: int = AT, **fields: Any) -> Retry:  # noqa: S107 - the token of a lease, no secret
    return Retry(at=at, session_id="s", lease=lease(token), **fields)


def _finish(store: Store, token: str, *items: Any, **fields: Any) -> Any:
    return do(store, Finish(at=AT, session_id="s", token=token, messages=drafts(*items), **fields))


def _answered(store: Store) -> None:
    """A session with two turns; the second has a call and its result, and began with a message that has an id."""
    create(store, "s")
    begin(store, "one", "t0")
    _finish(store, "t0", assistant("first"))
    begin(store, user("two", id="m2", created_at=later(-HOUR)), "t1")
    do(store, Append(at=AT, session_id="s", messages=drafts(assistant("hm"), tool("c1", "42")), token="t1"))  # noqa: S106
    _finish(store, "t1", assistant("second"))


REDO = Redo(at=AT, session_id="s")


class Repeats(StoreCase):
    """Retry, and what Redo and a rollback make of it."""

    def test_the_newest_message_is_answered_again(self, store: Store) -> None:
        """It stands at the end with its time; what had answered it stays stored."""
        _answered(store)
        begun = do(store, _retry())
        assert (begun.kind, begun.seq, begun.turn.first_seq, begun.turn.state) == ("begun", 7, 7, "running")
        assert texts(live(store)) == ["one", "first", "two"]
        assert live(store)[-1].created_at == later(-HOUR)
        assert store.tail("s", None, NOW, limit=9).running_from == 7
        _finish(store, "t2", assistant("better"))
        assert texts(live(store)) == ["one", "first", "two", "better"]
        assert texts(stored(store)) == ["one", "first", "two", "hm", "42", "second", "two", "better"]
        assert [c.kind for c in drain(store)[-3:]] == ["cut", "turn_begun", "turn_finished"]

    def test_the_answer_before_comes_back_in_place_of_the_new_one(self, store: Store) -> None:
        """With redo, while nothing came after it; the new one stays stored."""
        _answered(store)
        do(store, Compact(at=AT, session_id="s", through_seq=6, text="so far"))
        do(store, _retry())
        assert store.tail("s", None, NOW, limit=9).summary is None
        _finish(store, "t2", assistant("worse"))
        assert do(store, REDO) == Redone(3, 6, 4)
        assert texts(live(store)) == ["one", "first", "two", "hm", "42", "second"]
        assert store.info("s", None, NOW).message_count == 6
        summary = store.tail("s", None, NOW, limit=9).summary
        assert summary is not None
        assert summary.text == "so far"
        refused(store, REDO, SessionConflict)
        assert texts(stored(store))[-2:] == ["two", "worse"]

    @pytest.mark.parametrize("state", ["interrupted", "rolled_back"])
    def test_a_retry_that_fails_loses_nothing(self, store: Store, state: Any) -> None:
        """Rolled back, it leaves the answer before by itself; interrupted, redo brings that back."""
        _answered(store)
        before = live(store)
        do(store, _retry())
        do(store, Append(at=AT, session_id="s", messages=drafts(assistant("I")), token="t2"))  # noqa: S106
        _finish(store, "t2", state=state)
        if state == "interrupted":
            assert texts(live(store)) == ["one", "first", "two", "I"]
            do(store, REDO)
        assert live(store) == before
        again = do(store, Begin(at=AT, session_id="s", message=drafts(user("two", id="m2"))[0], lease=lease("t3")))
        assert (again.kind, again.seq) == ("replayed", 3)

    def test_the_answer_before_stays_away_once_something_came(self, store: Store) -> None:
        """A message after the new answer, or in the middle of its turn, stands in the way."""
        _answered(store)
        do(store, _retry())
        append(store, "s", user("meanwhile"))
        _finish(store, "t2", assistant("better"))
        refused(store, REDO, SessionConflict)

    def test_a_message_that_comes_again_leads_to_the_new_answer(self, store: Store) -> None:
        """Its id is the same, and so is what a platform delivers twice; retried twice, the newest counts."""
        _answered(store)
        for n in (2, 3):
            do(store, _retry(f"t{n}"))
            _finish(store, f"t{n}", assistant(f"answer {n}"))
        again = begin(store, user("two", id="m2"), "t9")
        assert (again.kind, again.seq, again.turn is not None and again.turn.state) == ("replayed", 9, "finished")
        whole = store.whole_turn("s", None, 9, NOW)
        assert whole is not None
        assert texts(whole.messages) == ["two", "answer 3"]
        assert append(store, "s", user("two", id="m2")).fresh is False
        do(store, REDO)
        assert texts(live(store))[-1] == "answer 2"
        assert begin(store, user("two", id="m2"), "t9").seq == 7

    def test_what_came_without_a_turn_is_answered_too(self, store: Store) -> None:
        """After imports and appends; hidden messages and commands are not what is answered."""
        create(store, "s", "a", assistant("b"), user("/help", flags=("command",)), assistant("c"))
        assert do(store, _retry()).seq == 5
        assert texts(live(store)) == ["a"]

    def test_only_the_end_of_a_turn_that_was_steered(self, store: Store) -> None:
        """What the turn did before its newest message stays."""
        create(store, "s", "a", assistant("b"), "c", assistant("d"))
        do(store, _retry())
        assert (texts(live(store)), seqs(live(store))) == (["a", "b", "c"], [1, 2, 5])

    def test_after_an_undo_the_turn_before_is_answered_again(self, store: Store) -> None:
        """Although a later turn was taken back."""
        _answered(store)
        do(store, Cut(at=AT, session_id="s", from_seq=3, through_seq=6, kind="rewind"))
        assert do(store, _retry()).seq == 7
        _finish(store, "t2", assistant("again"))
        assert texts(live(store)) == ["one", "again"]

    def test_an_edited_message_is_answered_as_it_is_now(self, store: Store) -> None:
        """And still known by its id and its first words."""
        _answered(store)
        do(store, Edit(at=AT, session_id="s", seq=3, message=drafts(user("2", id="m2"))[0]))
        do(store, _retry())
        _finish(store, "t2", assistant("ok"))
        assert texts(live(store))[-2:] == ["2", "ok"]
        assert begin(store, user("two", id="m2"), "t9").kind == "replayed"

    def test_what_cannot_be_answered_is_refused(self, store: Store) -> None:
        """Nothing said, what was purged, a running turn, messages that wait, an ended session."""
        create(store, "s", assistant("hello"))
        refused(store, _retry(), SessionConflict)
        append(store, "s", "a")
        do(store, Purge(at=AT, session_id="s", from_seq=2, through_seq=2))
        refused(store, _retry(), SessionConflict)
        begin(store, "b", "t1")
        refused(store, _retry(), SessionBusy)
        begin(store, "c", "t3", on_busy="store")
        _finish(store, "t1", assistant("d"))
        refused(store, _retry(), SessionConflict)
        create(store, "e", "a", key="k")
        do(store, Rotate(at=AT, key="k", session_id="e", new=new("f")))
        refused(store, Retry(at=AT, session_id="e", lease=lease("t9")), SessionEnded)

    def test_a_turn_that_was_left_is_closed_on_the_way(self, store: Store) -> None:
        """Its lease is over, and its message is the one that is answered; the same operation again is one turn."""
        create(store, "s")
        begin(store, "a", "t1", micros=1)
        retry = _retry("t2", at=AT + HOUR)
        first = do(store, retry)
        assert do(store, retry).turn.first_seq == first.seq == 2
        turn = store.turn("s", None, 1)
        assert turn is not None
        assert turn.state == "interrupted"
        refused(store, Redo(at=AT + HOUR, session_id="s"), SessionBusy)
