"""Summaries: none outlives what it tells of, and none is made of what changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from palaver.errors import SessionConflict, SessionEnded, SessionNotFound
from palaver.model import assistant
from palaver.operations import (
    Append,
    Compact,
    Cut,
    Delete,
    Edit,
    Finish,
    KeyMoved,
    Operation,
    Purge,
    Redo,
    Replace,
    Rotate,
    SetInfo,
    Withdraw,
)
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import (
    AT,
    NOW,
    append,
    batch,
    begin,
    create,
    do,
    drafts,
    drain,
    new,
    refused,
    texts,
)

__all__ = ["Drafts", "Staleness", "Withdrawals"]


def _compact(through: int, expected: int = 0, text: str = "so far", rev: int | None = None) -> Compact:
    return Compact(at=AT, session_id="s", through_seq=through, text=text, expected=expected, drafted_rev=rev)


def _cut(low: int, high: int) -> Cut:
    return Cut(at=AT, session_id="s", from_seq=low, through_seq=high, kind="delete")


def _delete(seq: int) -> Operation:
    return _cut(seq, seq)


def _purge(seq: int) -> Operation:
    return Purge(at=AT, session_id="s", from_seq=seq, through_seq=seq)


def _edit(seq: int) -> Operation:
    return Edit(at=AT, session_id="s", seq=seq, message=drafts("other words")[0])


CHANGES: tuple[Callable[[int], Operation], ...] = (_edit, _delete, _purge)


def _current(store: Store) -> str | None:
    summary = store.tail("s", None, NOW, limit=9).summary
    return summary.text if summary is not None else None


def _rev(store: Store) -> int:
    return store.info("s", None, NOW).rev


def _stack(store: Store) -> None:
    """Eight messages, and three summaries: through 2, 4 and 6."""
    create(store, "s", *"abcdefgh")
    for number, (through, text) in enumerate(((2, "one"), (4, "two"), (6, "three"))):
        do(store, _compact(through, number, text))


class Drafts(StoreCase):
    """Compact of a draft that was read a while ago."""

    @pytest.mark.parametrize("change", CHANGES)
    def test_what_changed_since_the_draft_is_not_summarised(
        self, store: Store, change: Callable[[int], Operation]
    ) -> None:
        """A message that was edited, cut or purged while a model read it: its summary is refused, and told why."""
        create(store, "s", *"abcdef")
        drafted = _rev(store)
        do(store, change(3))
        error = refused(store, _compact(4, rev=drafted), SessionConflict)
        assert (error.expected, error.actual) == (drafted, drafted + 1)
        do(store, _compact(4, rev=_rev(store)))

    @pytest.mark.parametrize("change", CHANGES)
    def test_what_changed_behind_the_range_does_no_harm(self, store: Store, change: Callable[[int], Operation]) -> None:
        """Messages that came, went or changed after where the summary ends, a new name: it is taken."""
        create(store, "s", *"abcdef")
        drafted = _rev(store)
        do(store, change(5))
        append(store, "s", "g", "h")
        do(store, SetInfo(at=AT, session_id="s", title="later"))
        do(store, _compact(4, rev=drafted))
        assert _current(store) == "so far"

    def test_what_came_back_since_the_draft_is_not_summarised(self, store: Store) -> None:
        """A redo puts messages into the range that the draft did not have."""
        create(store, "s", *"abcdef")
        do(store, _cut(3, 3))
        drafted = _rev(store)
        do(store, Redo(at=AT, session_id="s"))
        refused(store, _compact(4, rev=drafted), SessionConflict)

    def test_what_changed_before_the_draft_is_known(self, store: Store) -> None:
        """Edits and cuts that the draft has seen are no reason to refuse it."""
        create(store, "s", *"abcdef")
        do(store, _edit(2))
        do(store, _cut(3, 3))
        do(store, _compact(4, rev=_rev(store)))

    def test_a_rollback_behind_the_range_does_no_harm(self, store: Store) -> None:
        """A turn may run, and be rolled back, while a model summarises what was before it."""
        create(store, "s", "a", assistant("b"))
        drafted = _rev(store)
        begin(store, "c")
        do(store, Finish(at=AT, session_id="s", token="t1", state="rolled_back"))  # noqa: S106
        do(store, _compact(2, rev=drafted))

    def test_an_edit_in_the_same_commit_counts(self, store: Store) -> None:
        """Also where it is not written yet."""
        create(store, "s", *"abcdef")
        drafted = _rev(store)
        answers = batch(store, _edit(3), _compact(4, rev=drafted))
        assert isinstance(answers[1], SessionConflict)
        assert _current(store) is None

    def test_an_edit_by_another_process_counts(self, store: Store, open_store: OpenStore) -> None:
        """What is asked is the store, not what this process remembers."""
        create(store, "s", *"abcdef")
        do(store, _compact(2))
        drafted = _rev(store)
        other = open_store() if self.persistent else store
        do(other, _edit(4))
        if other is not store:
            other.close()
        refused(store, _compact(5, 1, rev=drafted), SessionConflict)

    @pytest.mark.parametrize(
        ("ending", "error"),
        [
            (Rotate(at=AT, session_id="s", all_keys=True, new=new("next")), SessionEnded),
            (Delete(at=AT, session_id="s"), SessionNotFound),
        ],
    )
    def test_a_session_that_is_over_takes_no_summary(
        self, store: Store, ending: Operation, error: type[SessionEnded | SessionNotFound]
    ) -> None:
        """It was reset or deleted while a model read it."""
        create(store, "s", *"abcdef", key="k")
        drafted = _rev(store)
        do(store, ending)
        refused(store, _compact(4, rev=drafted), error)

    def test_everything_replaced_is_everything_changed(self, store: Store) -> None:
        """`Replace` cuts all that was there."""
        create(store, "s", *"abcdef")
        drafted = _rev(store)
        do(store, Replace(at=AT, session_id="s", messages=drafts("x")))
        refused(store, _compact(4, rev=drafted), SessionConflict)


class Staleness(StoreCase):
    """What becomes of summaries when something happens to what they cover."""

    @pytest.mark.parametrize(("seq", "left"), [(7, "three"), (5, "two"), (4, "one"), (3, "one"), (1, None)])
    @pytest.mark.parametrize("change", CHANGES)
    def test_windows_fall_back_to_the_newest_that_holds(
        self, store: Store, seq: int, left: str | None, change: Callable[[int], Operation]
    ) -> None:
        """Of a stack of three, those that cover the change are stale; the messages after the one that holds are raw."""
        _stack(store)
        do(store, change(seq))
        assert _current(store) == left
        tail = store.tail("s", None, NOW, limit=9)
        through = tail.summary.through_seq if tail.summary is not None else 0
        expected = [m.seq for m in store.page("s", None, after=through)]
        assert [m.seq for m in tail.messages] == expected

    def test_a_redo_makes_a_later_summary_stale(self, store: Store) -> None:
        """What comes back is not in a summary that was made while it was away."""
        create(store, "s", *"abcdef")
        do(store, _compact(1, 0, "one"))
        do(store, _cut(3, 3))
        do(store, _compact(4, 1, "two"))
        do(store, Redo(at=AT, session_id="s"))
        assert _current(store) == "one"
        assert texts(store.tail("s", None, NOW, limit=9).messages) == list("bcdef")

    def test_a_redo_does_not_hide_an_edit(self, store: Store) -> None:
        """A summary that a cut made stale does not hold again if what it covers was edited meanwhile."""
        create(store, "s", *"abcdef")
        do(store, _compact(4))
        do(store, _cut(3, 3))
        do(store, _edit(2))
        do(store, Redo(at=AT, session_id="s"))
        assert _current(store) is None

    def test_two_cuts_are_two_redos(self, store: Store) -> None:
        """A summary that both made stale holds when both are lifted."""
        create(store, "s", *"abcdef")
        do(store, _compact(4))
        do(store, _cut(3, 3))
        do(store, _cut(2, 2))
        do(store, Redo(at=AT, session_id="s"))
        assert _current(store) is None
        do(store, Redo(at=AT, session_id="s"))
        assert _current(store) == "so far"

    def test_messages_after_it_do_not_touch_a_summary(self, store: Store) -> None:
        """New ones, and their edits."""
        _stack(store)
        do(store, Append(at=AT, session_id="s", messages=drafts("i", assistant("j"))))
        do(store, _edit(9))
        assert _current(store) == "three"


class Withdrawals(StoreCase):
    """Withdraw."""

    def test_the_one_before_stands_again(self, store: Store) -> None:
        """One after the other is taken back; in the end the messages are all there is. The feed says how far."""
        _stack(store)
        for expected, left, through in ((3, "two", 4), (2, "one", 2), (1, None, 0)):
            answer = do(store, Withdraw(at=AT, session_id="s", expected=expected))
            assert (answer.text if answer is not None else None) == left
            assert _current(store) == left
            (change,) = drain(store)[-1:]
            assert (change.kind, change.through_seq) == ("compacted", through)
        assert texts(store.tail("s", None, NOW, limit=9).messages) == list("abcdefgh")
        assert do(store, _compact(3)).id == 4, "numbers of summaries are not reused"

    @pytest.mark.parametrize("expected", [0, 1, 2, 4])
    def test_only_the_newest_can_be_meant(self, store: Store, expected: int) -> None:
        """Whoever means another one has not seen what there is now."""
        _stack(store)
        error = refused(store, Withdraw(at=AT, session_id="s", expected=expected), SessionConflict)
        assert error.actual == 3

    def test_nothing_brings_it_back(self, store: Store) -> None:
        """No redo, and no cut and its redo."""
        create(store, "s", *"abcdef")
        do(store, _compact(4))
        do(store, Withdraw(at=AT, session_id="s", expected=1))
        do(store, _cut(3, 3))
        do(store, Redo(at=AT, session_id="s"))
        assert _current(store) is None
        refused(store, Withdraw(at=AT, session_id="s", expected=1), SessionConflict)

    def test_no_reset_carries_it_on(self, store: Store) -> None:
        """A reset that has read a summary takes it along only while it stands: what it tells of may be gone."""
        create(store, "s", *"abcdef", key="k")
        do(store, _compact(4))
        reset = Rotate(at=AT, key="k", session_id="s", new=new("next", summary="so far"))
        do(store, Withdraw(at=AT, session_id="s", expected=1))
        refused(store, reset, KeyMoved)
        do(store, _compact(4, text="anew"))
        refused(store, reset, KeyMoved)
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("next", summary="anew")))
        summary = store.tail("next", None, NOW, limit=9).summary
        assert summary is not None
        assert summary.text == "anew"

    def test_without_a_summary_there_is_nothing_to_take_back(self, store: Store) -> None:
        """Whatever is expected."""
        create(store, "s", "a")
        for expected in (0, 1):
            refused(store, Withdraw(at=AT, session_id="s", expected=expected), SessionConflict)
