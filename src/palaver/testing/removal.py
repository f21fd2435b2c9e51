"""Conformance: a deleted session is not found, and comes back whole."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.errors import SessionConflict, SessionNotFound
from palaver.media import as_text
from palaver.model import ImagePart, Usage, user
from palaver.operations import (
    Append,
    Begin,
    Bind,
    Compact,
    Create,
    Cut,
    Delete,
    Edit,
    Finish,
    PurgeSession,
    RecordUsage,
    Restore,
    SetInfo,
)
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import (
    AT,
    DELETED,
    EVERYTHING,
    NOW,
    append,
    batch,
    begin,
    create,
    do,
    drafts,
    drain,
    lease,
    live,
    new,
    refused,
    texts,
)

__all__ = ["Deletions"]

DELETE = Delete(at=AT, session_id="s")
RESTORE = Restore(at=AT, session_id="s")
PURGE = PurgeSession(at=AT, session_id="s")


def _reads(store: Store) -> list[Any]:
    """Every read of one session, to be tried."""
    return [
        lambda: store.info("s", None, NOW),
        lambda: store.tail("s", None, NOW, limit=9),
        lambda: store.page("s", None),
        lambda: store.turn("s", None),
        lambda: store.whole_turn("s", None, 1, NOW),
        lambda: store.queued("s", None),
        lambda: store.versions("s", None, 1),
        lambda: store.blobs("s", None, ["x"]),
    ]


class Deletions(StoreCase):
    """Delete and Restore."""

    def test_a_deleted_session_is_not_found(self, store: Store) -> None:
        """By no read and no write; lists leave it out unless they are asked for it."""
        create(store, "s", "a", "b")
        store.tail("s", None, NOW, limit=9)
        do(store, DELETE)
        for read in _reads(store):
            with pytest.raises(SessionNotFound):
                read()
        for operation in (
            Append(at=AT, session_id="s", messages=drafts("c")),
            Cut(at=AT, session_id="s", from_seq=1, through_seq=1, kind="rewind"),
            SetInfo(at=AT, session_id="s", title="x"),
            Bind(at=AT, key="k", session_id="s"),
            DELETE,
        ):
            refused(store, operation, SessionNotFound)
        assert store.sessions(EVERYTHING, NOW) == []
        [info] = store.sessions(DELETED, NOW)
        assert (info.id, info.deleted_at, info.end_reason) == ("s", NOW, "deleted")
        assert store.stats(None).sessions == 0

    def test_it_comes_back_whole(self, store: Store) -> None:
        """Messages, counts and numbers are as they were; it has ended, and can be resumed."""
        create(store, "s", "a", "b", key="k")
        do(store, DELETE)
        do(store, RESTORE)
        info = store.info("s", None, NOW)
        assert (texts(live(store)), info.message_count, info.deleted_at, info.keys) == (["a", "b"], 2, None, ())
        assert info.ended_at is not None
        do(store, Bind(at=AT, key="k", session_id="s"))
        assert append(store, "s", "c").seqs == (3,)
        assert [c.kind for c in drain(store, session_id="s")[-4:]] == ["deleted", "restored", "bound", "appended"]

    def test_its_keys_point_at_nothing(self, store: Store) -> None:
        """The next message under one begins a new session."""
        create(store, "s", "a", key="k")
        do(store, Bind(at=AT, key="l", session_id="s"))
        do(store, DELETE)
        assert [store.current("", key, NOW) for key in "kl"] == [None, None]
        assert [store.bound("", key) for key in "kl"] == [None, None]
        begun = do(store, Begin(at=AT, key="k", create=new("t"), message=drafts("b")[0], lease=lease("t1")))
        assert (begun.session_id, begun.seq) == ("t", 1)

    def test_its_turn_is_closed(self, store: Store) -> None:
        """Who runs one finds the session gone; restored, it can begin another."""
        create(store)
        begin(store, "a")
        do(store, DELETE)
        assert store.open_turns(None, NOW) == []
        refused(store, Finish(at=AT, session_id="s", token="t1"), SessionNotFound)  # noqa: S106 - the token of a lease
        do(store, RESTORE)
        turn = store.turn("s", None)
        assert turn is not None
        assert turn.state == "interrupted"

    def test_its_title_is_free(self, store: Store) -> None:
        """Another session may take it; restored, this one has it back if nobody did."""
        create(store, "s", "a")
        create(store, "t", "a")
        do(store, SetInfo(at=AT, session_id="s", title="plans"))
        do(store, DELETE)
        do(store, RESTORE)
        assert store.info("s", None, NOW).title == "plans"
        do(store, DELETE)
        do(store, SetInfo(at=AT, session_id="t", title="plans"))
        do(store, RESTORE)
        assert [store.info(i, None, NOW).title for i in "st"] == [None, "plans"]

    def test_only_its_owner_deletes_and_restores(self, store: Store) -> None:
        """For others it is not found; restoring what was not deleted is a conflict."""
        create(store, "s", "a", owner="ann")
        refused(store, Delete(at=AT, owner="bob", session_id="s"), SessionNotFound)
        refused(store, RESTORE, SessionConflict)
        refused(store, Delete(at=AT, session_id="s", expected_rev=9), SessionConflict)
        do(store, Delete(at=AT, owner="ann", session_id="s"))
        refused(store, Restore(at=AT, owner="bob", session_id="s"), SessionNotFound)
        refused(store, Restore(at=AT, session_id="nobody"), SessionNotFound)
        do(store, Restore(at=AT, owner="ann", session_id="s"))

    def test_what_it_has_used_was_used(self, store: Store) -> None:
        """Deleting a session takes nothing off the bill."""
        create(store, "s", "a")
        do(store, RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=5)))
        do(store, DELETE)
        assert store.stats(None).usage.input_tokens == 5
        assert [line.usage.input_tokens for line in store.usage(None)] == [5]

    def test_deleted_and_made_again_in_one_commit(self, store: Store) -> None:
        """Its key is free for the next operation of the same commit."""
        create(store, "s", "a", key="k")
        answers = batch(store, DELETE, Create(at=AT, key="k", new=new("t")), RESTORE)
        assert not [answer for answer in answers if isinstance(answer, Exception)]
        current = store.current("", "k", NOW)
        assert current is not None
        assert current.id == "t"
        assert texts(live(store)) == ["a"]

    def test_a_purged_session_says_nothing_any_more(self, store: Store) -> None:
        """Messages, versions, media, summaries, ids, names and keys are gone; its numbers are not given again."""
        picture = user(ImagePart(data=as_text(b"x" * 20_000)))
        create(store, "s", user("a", id="m1"), picture, "c", key="k", alias="mine", owner="ann")
        do(store, SetInfo(at=AT, session_id="s", title="plans", metadata='{"a":1}', tags=("t",)))
        do(store, Compact(at=AT, session_id="s", through_seq=1, text="so far"))
        do(store, Edit(at=AT, session_id="s", seq=3, message=drafts("C")[0]))
        begin(store, "d")
        do(store, RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=5)))
        assert do(store, PURGE) == 4
        assert store.sessions(EVERYTHING, NOW) == []
        [row] = store.sessions(DELETED, NOW)
        said = (row.title, row.preview, row.metadata, row.tags, row.origin, row.keys, row.message_count)
        assert said == (None, None, {}, (), None, (), 0)
        assert (row.last_seq, row.end_reason) == (4, "purged")
        assert store.current("ann", "k", NOW) is None
        assert store.named("ann", "mine") is None
        assert store.open_turns(None, NOW) == []
        assert store.usage(None)[0].usage.input_tokens == 5
        assert store.check() == []
        refused(store, PURGE, SessionNotFound)
        refused(store, RESTORE, SessionNotFound)
        create(store, "t", user("a", id="m1"), key="k", alias="mine", owner="ann")
        refused(store, Create(at=AT, new=new("s")), SessionConflict)

    def test_a_deleted_session_can_be_purged(self, store: Store) -> None:
        """That is what a sweep does; and an empty one, and one of another owner is not found."""
        create(store, "s", "a", owner="ann")
        create(store, "t")
        do(store, DELETE)
        refused(store, PurgeSession(at=AT, owner="bob", session_id="s"), SessionNotFound)
        assert do(store, PURGE) == 1
        assert do(store, PurgeSession(at=AT, session_id="t")) == 0
        assert store.check() == []

    def test_purged_and_named_anew_in_one_commit(self, store: Store) -> None:
        """Its key, alias and ids are free for the next operation of the same commit."""
        create(store, "s", user("a", id="m1"), key="k", alias="mine")
        answers = batch(store, PURGE, Create(at=AT, key="k", alias="mine", new=new("t")))
        assert not [answer for answer in answers if isinstance(answer, Exception)]
        assert store.named(None, "mine") == "t"

    def test_a_purge_that_fails_in_a_batch_takes_nothing(self, store: Store) -> None:
        """All of it is there for the operation after it."""
        create(store, "s", user("a", id="m1"), key="k", alias="mine")
        answers = batch(
            store,
            PurgeSession(at=AT, session_id="s", expected_rev=9),
            Append(at=AT, session_id="s", messages=drafts(user("a", id="m1"))),
        )
        assert isinstance(answers[0], SessionConflict)
        assert answers[1].seqs == (1,)
        assert store.named(None, "mine") == "s"

    def test_a_deletion_survives_a_restart(self, open_store: OpenStore) -> None:
        """And `check` finds nothing wrong with it."""
        with open_store() as store:
            create(store, "s", "a", key="k")
            do(store, DELETE)
            assert store.check() == []
        if self.persistent:
            with open_store() as store:
                assert store.sessions(EVERYTHING, NOW) == []
                do(store, RESTORE)
                assert texts(live(store)) == ["a"]
                assert store.check() == []
