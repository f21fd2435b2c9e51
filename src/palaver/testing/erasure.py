"""Conformance: an erased session is gone from every read and stays gone, and the erasure is on record."""

from __future__ import annotations

from palaver.erasure import Owner, SessionTarget, mark
from palaver.errors import SessionConflict, SessionNotFound
from palaver.media import as_text
from palaver.model import ImagePart, Usage, user
from palaver.operations import (
    Append,
    ClearErased,
    Compact,
    Create,
    Edit,
    EraseMessages,
    EraseSession,
    Finish,
    FinishErasure,
    PurgeSession,
    RecordUsage,
    Restore,
    Scrubbed,
    SetInfo,
)
from palaver.search import SearchQuery
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.erasure_material import erase_person, erase_session, finish, said, start
from palaver.testing.material import (
    AT,
    DELETED,
    EVERYTHING,
    NOW,
    begin,
    create,
    do,
    drafts,
    drain,
    new,
    refused,
)

__all__ = ["Erasures"]


class Erasures(StoreCase):
    """BeginErasure and what follows it."""

    def test_an_erased_session_is_gone(self, store: Store) -> None:
        """Messages, versions, media, ids, names, keys, turns and summaries; its numbers and what it used stay."""
        picture = user(ImagePart(data=as_text(b"x" * 20_000)))
        create(store, "s", user("a", id="m1"), picture, "c", key="k", alias="mine", owner="ann")
        do(store, SetInfo(at=AT, session_id="s", title="plans", metadata='{"a":1}', tags=("t",)))
        do(store, Compact(at=AT, session_id="s", through_seq=1, text="so far"))
        do(store, Edit(at=AT, session_id="s", seq=3, message=drafts("C")[0]))
        begin(store, "d")
        do(store, RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=5)))
        erase_session(store)
        assert store.sessions(EVERYTHING, NOW) == []
        [row] = store.sessions(DELETED, NOW)
        told = (row.title, row.preview, row.metadata, row.tags, row.origin, row.keys, row.message_count, row.parent)
        assert told == (None, None, {}, (), None, (), 0, None)
        assert (row.last_seq, row.end_reason, row.owner) == (4, "erased", "ann")
        assert store.current("ann", "k", NOW) is None
        assert store.named("ann", "mine") is None
        assert store.open_turns(None, NOW) == []
        assert store.usage(None)[0].usage.input_tokens == 5
        assert list(store.search(SearchQuery(text="c"))) == []
        [record] = store.erasures()
        assert (record.target, record.ended_at) == (None, AT)
        assert record.counts == {
            "sessions": 1,
            "keys": 1,
            "aliases": 1,
            "messages": 4,
            "versions": 1,
            "media": 1,
            "summaries": 1,
        }

    def test_nobody_can_bring_it_back(self, store: Store) -> None:
        """Not by restoring, writing, taking its id, or going on with its turn."""
        create(store, "s", "a", key="k")
        begin(store, "b")
        start(store, SessionTarget("s"))
        do(store, EraseSession(at=AT, erasure_id="e", session_id="s"))
        refused(store, Restore(at=AT, session_id="s"), SessionNotFound)
        refused(store, PurgeSession(at=AT, session_id="s"), SessionNotFound)
        refused(store, Finish(at=AT, session_id="s", token="t1", messages=drafts("late")), SessionNotFound)  # noqa: S106
        refused(store, Append(at=AT, session_id="s", messages=drafts("late")), SessionNotFound)
        refused(store, Create(at=AT, new=new("s")), SessionConflict)
        finish(store)

    def test_an_owner_leaves_a_pseudonym(self, store: Store) -> None:
        """What an erased owner used still adds up, under a name that says nothing, the same for all of theirs."""
        for name in ("s", "t"):
            create(store, name, "a", owner="ann")
            do(store, RecordUsage(at=AT, session_id=name, usage=Usage(input_tokens=5)))
        start(store, Owner("ann"))
        for name in ("s", "t"):
            do(store, EraseSession(at=AT, erasure_id="e", session_id=name))
        owners = {line.owner for line in store.usage(None)}
        assert len(owners) == 1
        assert "ann" not in str(owners.pop())
        assert store.usage("ann") == []
        assert store.stats(None).usage.input_tokens == 10
        finish(store)

    def test_erasing_again_is_erasing_once(self, store: Store) -> None:
        """Every step may be repeated, as after a crash: nothing is counted twice."""
        create(store, "s", "a", "b", "c", key="k")
        erase_session(store)
        before = store.erasures()
        assert do(store, EraseSession(at=AT, erasure_id="e", session_id="s")) == 3
        again = EraseMessages(at=AT, erasure_id="e", session_id="s", from_seq=1, through_seq=3)
        assert do(store, again).gone == 0
        do(store, ClearErased(at=AT, erasure_id="e", session_id="s"))
        finish(store)
        assert store.erasures() == before
        do(store, Scrubbed(at=AT, erasure_ids=("e",)))
        assert store.erasures()[0].scrubbed_at == AT

    def test_steps_need_their_record(self, store: Store) -> None:
        """No session is erased that no erasure was begun for; what lives on is not removed without a person."""
        create(store, "s", "a")
        refused(store, EraseSession(at=AT, erasure_id="e", session_id="s"), SessionConflict)
        refused(store, FinishErasure(at=AT, erasure_id="e"), SessionConflict)
        start(store, SessionTarget("s"))
        refused(store, EraseSession(at=AT, erasure_id="e", session_id="nobody"), SessionNotFound)
        step = EraseMessages(at=AT, erasure_id="e", session_id="s", from_seq=1, through_seq=1)
        refused(store, step, SessionConflict)
        refused(store, ClearErased(at=AT, erasure_id="e", session_id="s"), SessionConflict)
        finish(store)

    def test_it_outlives_a_restart(self, open_store: OpenStore) -> None:
        """The record of what is under way, its marks and counts; a scrubbed store says the same as before."""
        with open_store() as store:
            create(store, "s", user("a", id="m1"), "b")
            start(store, SessionTarget("s"))
            do(store, EraseSession(at=AT, erasure_id="e", session_id="s"))
            before = store.erasures()
            assert before[0].target == SessionTarget("s")
            assert [finding.kind for finding in store.check()] == ["erasure"]
            if not self.persistent:
                return
        with open_store() as store:
            assert store.erasures() == before
            step = EraseMessages(at=AT, erasure_id="e", session_id="s", from_seq=1, through_seq=2)
            assert do(store, step).gone == 2
            assert store.scrub().done
            do(store, FinishErasure(at=AT, erasure_id="e"))
            assert store.check() == []
            assert store.erased([mark("session", "s")]) == {mark("session", "s"): AT}

    def test_the_feed_says_so_without_content(self, store: Store) -> None:
        """A session and each range of messages is named as erased; nothing else is told."""
        create(store, "s", said("his", "8"), said("hers"), said("his", "8"), said("hers"))
        erase_person(store)
        do(store, EraseSession(at=AT, erasure_id="e", session_id="s"))
        told = [(c.kind, c.from_seq, c.through_seq) for c in drain(store) if c.kind == "erased"]
        assert told == [("erased", 2, 2), ("erased", 4, 4), ("erased", 1, 4)]
