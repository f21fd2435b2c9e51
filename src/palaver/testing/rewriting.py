"""Conformance: what was taken back can be had back, and what was edited is kept as it was."""

from __future__ import annotations

from typing import Any

from palaver.errors import InvalidMessage, SessionBusy, SessionConflict
from palaver.media import as_text
from palaver.model import ImagePart, Message, assistant, user
from palaver.operations import Append, Compact, Cut, Edit, Finish, Purge, Redo, Redone, Renew, Replace, SetInfo
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import (
    AT,
    HOUR,
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
    stored,
    texts,
)

__all__ = ["Edits", "Redos", "Replacements", "Titles"]


def _cut(low: int, high: int, **fields: Any) -> Cut:
    return Cut(at=AT, session_id="s", from_seq=low, through_seq=high, kind="rewind", **fields)


def _edit(seq: int, message: str | Message, **fields: Any) -> Edit:
    return Edit(at=AT, session_id="s", seq=seq, message=drafts(message)[0], **fields)


REDO = Redo(at=AT, session_id="s")


class Redos(StoreCase):
    """Redo, and Cut as it can be undone."""

    def test_what_was_cut_comes_back(self, store: Store) -> None:
        """Messages, counts, the newest message of the user and the summary are as they were."""
        create(store, "s", "a", assistant("b"), "c", assistant("d"))
        do(store, Compact(at=AT, session_id="s", through_seq=2, text="so far"))
        before = store.info("s", None, NOW), store.tail("s", None, NOW, limit=1), live(store)
        do(store, _cut(2, 4))
        assert store.tail("s", None, NOW, limit=1).summary is None
        assert do(store, REDO) == Redone(2, 4, 3)
        info = store.info("s", None, NOW)
        assert (info.message_count, info.last_seq, info.rev) == (4, 4, before[0].rev + 2)
        assert (store.tail("s", None, NOW, limit=1), live(store)) == before[1:]
        assert [change.kind for change in drain(store)[-2:]] == ["cut", "redone"]

    def test_several_come_back_one_by_one(self, store: Store) -> None:
        """The newest first, until nothing is left."""
        create(store, "s", "a", "b", "c")
        do(store, _cut(3, 3))
        do(store, _cut(2, 3))
        do(store, REDO)
        assert texts(live(store)) == ["a", "b"]
        do(store, REDO)
        assert texts(live(store)) == ["a", "b", "c"]
        refused(store, REDO, SessionConflict)

    def test_nothing_comes_back_once_something_came(self, store: Store) -> None:
        """A message after a cut stands in its place for good."""
        create(store, "s", "a", "b")
        do(store, _cut(2, 2))
        append(store, "s", "c")
        refused(store, REDO, SessionConflict)

    def test_what_is_gone_stays_gone(self, store: Store) -> None:
        """Neither a purge nor the rollback of a turn is undone, nor anything before it."""
        create(store, "s", "a", "b")
        do(store, _cut(1, 1))
        do(store, Purge(at=AT, session_id="s", from_seq=2, through_seq=2))
        refused(store, REDO, SessionConflict)
        create(store, "t", "a")
        begin(store, "b", session_id="t")
        do(store, Finish(at=AT, session_id="t", token="t1", state="rolled_back"))  # noqa: S106 - the token of a lease
        refused(store, Redo(at=AT, session_id="t"), SessionConflict)

    def test_a_cut_keeps_off_a_running_turn(self, store: Store) -> None:
        """Where asked to: what is before the turn can be cut, the turn cannot, and one whose holder left is closed."""
        create(store, "s", "a")
        begin(store, "b")
        refused(store, _cut(1, 2, unless_running=True), SessionBusy)
        do(store, _cut(1, 1, unless_running=True))
        do(store, Renew(at=AT, session_id="s", token="t1", micros=1))  # noqa: S106 - the token of a lease
        do(store, Cut(at=AT + HOUR, session_id="s", from_seq=2, through_seq=2, kind="rewind", unless_running=True))
        turn = store.turn("s", None)
        assert turn is not None
        assert turn.state == "interrupted"

    def test_a_cut_of_what_the_caller_saw(self, store: Store) -> None:
        """With the last position it knows of, a cut never takes a message that it did not see."""
        create(store, "s", "a", "b")
        error = refused(store, _cut(1, 9, expected_seq=1), SessionConflict)
        assert (error.expected, error.actual) == (1, 2)
        do(store, _cut(1, 9, expected_seq=2))
        assert live(store) == []

    def test_a_redo_survives_a_restart(self, open_store: OpenStore) -> None:
        """A lifted cut is lifted for good."""
        with open_store() as store:
            create(store, "s", "a", "b")
            do(store, _cut(2, 2))
            do(store, REDO)
        if self.persistent:
            with open_store() as store:
                assert texts(live(store)) == ["a", "b"]
                assert store.check() == []
                refused(store, REDO, SessionConflict)


class Edits(StoreCase):
    """Edit."""

    def test_an_edit_says_something_else_in_the_same_place(self, store: Store) -> None:
        """Position, time and id stay; what it said is kept as a version; counts do not change."""
        create(store, "s", user("a", id="m1"), assistant("b"))
        was = live(store)[0]
        assert do(store, _edit(1, user("A", id="m1"))) == 1
        assert live(store)[0] == was.replace(parts=user("A").parts)
        assert list(store.versions("s", None, 1)) == [was]
        assert do(store, _edit(1, user("AA", id="m1"))) == 2
        assert texts(store.versions("s", None, 1)) == ["a", "A"]
        info = store.info("s", None, NOW)
        assert (info.message_count, info.last_seq, info.rev) == (2, 2, 2)
        change = drain(store)[-1]
        assert (change.kind, change.from_seq, change.through_seq) == ("edited", 1, 1)

    def test_windows_show_the_edit(self, store: Store) -> None:
        """Also one that was read just before."""
        create(store, "s", "a", "b")
        store.tail("s", None, NOW, limit=10)
        do(store, _edit(2, "B"))
        assert texts(store.tail("s", None, NOW, limit=10).messages) == ["a", "B"]

    def test_a_redelivery_is_known_by_what_first_came(self, store: Store) -> None:
        """The platform sends the message again as it was: that is no conflict with what was made of it."""
        create(store, "s", user("a", id="m1"))
        do(store, _edit(1, user("A", id="m1")))
        assert append(store, "s", user("a", id="m1")).seqs == (1,)
        refused(store, Append(at=AT, session_id="s", messages=drafts(user("A", id="m1"))), SessionConflict)

    def test_the_preview_follows_the_first_message(self, store: Store) -> None:
        """And only that one."""
        create(store, "s", "first", "second")
        do(store, _edit(2, "changed"))
        assert store.info("s", None, NOW).preview == "first"
        do(store, _edit(1, "better"))
        assert store.info("s", None, NOW).preview == "better"

    def test_a_summary_of_what_was_edited_is_stale(self, store: Store) -> None:
        """Windows fall back to the one before; edits after it leave it alone."""
        create(store, "s", "a", "b", "c", "d")
        do(store, Compact(at=AT, session_id="s", through_seq=1, text="one"))
        do(store, Compact(at=AT, session_id="s", through_seq=3, text="three", expected=1))
        do(store, _edit(4, "D"))
        summary = store.tail("s", None, NOW, limit=9).summary
        assert summary is not None
        assert summary.text == "three"
        do(store, _edit(2, "B"))
        summary = store.tail("s", None, NOW, limit=9).summary
        assert summary is not None
        assert summary.text == "one"
        refused(store, REDO, SessionConflict)

    def test_what_cannot_be_edited(self, store: Store) -> None:
        """What is not live, what is not there, another role or visibility, a turn that runs, an older version."""
        create(store, "s", "a", "b", "c")
        do(store, _cut(2, 2))
        for seq in (0, 2, 4, 1 << 40):
            refused(store, _edit(seq, "x"), SessionConflict)
        refused(store, _edit(1, assistant("x")), InvalidMessage)
        refused(store, _edit(1, user("x", flags=("hidden",))), InvalidMessage)
        refused(store, _edit(1, "x", expected_rev=7), SessionConflict)
        begin(store, "d")
        refused(store, _edit(4, "x"), SessionBusy)
        do(store, _edit(1, "x"))

    def test_an_edit_that_fails_in_a_batch_leaves_nothing(self, store: Store) -> None:
        """Those before and after it do."""
        create(store, "s", "a", "b")
        answers = batch(store, _edit(1, "A"), _edit(1, assistant("no")), _edit(2, "B"), _edit(1, "AA"))
        assert [type(answer).__name__ for answer in answers] == ["int", "InvalidMessage", "int", "int"]
        assert texts(live(store)) == ["AA", "B"]
        assert texts(store.versions("s", None, 1)) == ["a", "A"]

    def test_stored_and_edited_in_one_commit(self, store: Store) -> None:
        """A message that is not written yet is edited as well."""
        create(store, "s", "a")
        batch(store, Append(at=AT, session_id="s", messages=drafts("b")), _edit(2, "B"))
        assert (texts(live(store)), texts(store.versions("s", None, 2))) == (["a", "B"], ["b"])

    def test_versions_hold_their_media_and_go_with_the_message(self, store: Store) -> None:
        """An earlier version can still be shown; a purge leaves neither it nor its content."""
        picture = user(ImagePart(data=as_text(b"x" * 20_000)))
        create(store, "s", picture)
        do(store, _edit(1, "only text"))
        [version] = store.versions("s", None, 1)
        [part] = version.parts
        assert isinstance(part, ImagePart)
        assert part.blob is not None
        assert store.blobs("s", None, [part.blob]) == {part.blob: b"x" * 20_000}
        do(store, Purge(at=AT, session_id="s", from_seq=1, through_seq=1))
        assert (list(store.versions("s", None, 1)), store.blobs("s", None, [part.blob])) == ([], {})

    def test_an_edit_survives_a_restart(self, open_store: OpenStore) -> None:
        """Content and versions."""
        with open_store() as store:
            create(store, "s", "a")
            do(store, _edit(1, "A"))
        if self.persistent:
            with open_store() as store:
                assert (texts(live(store)), texts(store.versions("s", None, 1))) == (["A"], ["a"])
                assert store.check() == []


class Replacements(StoreCase):
    """Replace."""

    def test_other_messages_stand_in_the_place_of_all(self, store: Store) -> None:
        """What was live is cut and stays stored; the new ones come after it, under ids that they may share."""
        create(store, "s", user("a", id="m1"), "b")
        done = do(store, Replace(at=AT, session_id="s", messages=drafts(user("A", id="m1"), "c"), expected_seq=2))
        assert done.seqs == (3, 4)
        assert (texts(live(store)), texts(stored(store))) == (["A", "c"], ["a", "b", "A", "c"])
        assert store.info("s", None, NOW).message_count == 2
        assert append(store, "s", user("A", id="m1")).seqs == (3,)

    def test_an_empty_session_takes_them_too(self, store: Store) -> None:
        """And nothing leaves nothing."""
        create(store, "s")
        assert do(store, Replace(at=AT, session_id="s", messages=drafts("a"))).seqs == (1,)
        do(store, Replace(at=AT, session_id="s", messages=()))
        assert live(store) == []

    def test_who_has_not_seen_the_end_replaces_nothing(self, store: Store) -> None:
        """A message that came meanwhile is a SessionConflict; a turn that runs is SessionBusy."""
        create(store, "s", "a", "b")
        refused(store, Replace(at=AT, session_id="s", messages=drafts("x"), expected_seq=1), SessionConflict)
        begin(store, "c")
        refused(store, Replace(at=AT, session_id="s", messages=drafts("x")), SessionBusy)


class Titles(StoreCase):
    """SetInfo: titles, tags and marks."""

    def test_titles_are_unique_per_owner(self, store: Store) -> None:
        """The second session of an owner that wants one is refused, and told who has it; given up, it is free."""
        create(store, "s", "a", owner="ann")
        create(store, "t", "a", owner="ann")
        create(store, "u", "a", owner="bob")
        for session_id in ("s", "u"):
            do(store, SetInfo(at=AT, session_id=session_id, title="plans"))
        error = refused(store, SetInfo(at=AT, session_id="t", title="plans"), SessionConflict)
        assert error.actual == "s"
        batch(store, SetInfo(at=AT, session_id="s", title="old plans"), SetInfo(at=AT, session_id="t", title="plans"))
        assert [store.info(i, None, NOW).title for i in "stu"] == ["old plans", "plans", "plans"]
        do(store, SetInfo(at=AT, session_id="t", title=None))
        do(store, SetInfo(at=AT, session_id="s", title="plans"))

    def test_two_sessions_exchange_their_titles_in_one_commit(self, store: Store) -> None:
        """No order of writing them may fail."""
        create(store, "s", "a")
        create(store, "t", "a")
        do(store, SetInfo(at=AT, session_id="s", title="x"))
        do(store, SetInfo(at=AT, session_id="t", title="y"))
        swap = [("s", "z"), ("t", "x"), ("s", "y")]
        answers = batch(store, *[SetInfo(at=AT, session_id=i, title=title) for i, title in swap])
        assert not [answer for answer in answers if isinstance(answer, Exception)]
        assert [store.info(i, None, NOW).title for i in "st"] == ["y", "x"]

    def test_marks_and_tags(self, store: Store) -> None:
        """They are set and taken away; what is not given stays; what does not change is no version."""
        create(store, "s", "a")
        do(store, SetInfo(at=AT, session_id="s", tags=("work",), archived=True, pinned=True, hidden=True))
        do(store, SetInfo(at=AT, session_id="s", archived=False, pinned=True))
        info = store.info("s", None, NOW)
        assert (info.tags, info.archived, info.pinned, info.hidden, info.rev) == (("work",), False, True, True, 2)
        do(store, SetInfo(at=AT, session_id="s", pinned=True))
        assert store.info("s", None, NOW).rev == 2
