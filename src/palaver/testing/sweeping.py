"""Conformance: what a sweep reads of a session and does to it, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.errors import CursorExpired, SessionEnded, SessionNotFound
from palaver.media import as_text
from palaver.model import ImagePart, user
from palaver.operations import (
    Append,
    Begin,
    Bind,
    ClaimTodo,
    Create,
    Delete,
    EndTodo,
    Expire,
    Expired,
    Finish,
    Hold,
    KeyMoved,
    PurgeSession,
    Restore,
    SetInfo,
    Sweep,
    SweepVerb,
)
from palaver.search import SearchQuery
from palaver.stores.base import Store
from palaver.sweeping import Standing, SweepQuery
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import (
    AT,
    DELETED,
    EVERYTHING,
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
    texts,
)

__all__ = ["Pruning", "Standings", "Sweeps"]


def standing(store: Store, session_id: str = "s", **query: Any) -> Standing:
    """A session as a sweep sees it."""
    [found] = [s for s in store.standings(SweepQuery(**query), NOW) if s.session.id == session_id]
    return found


def swept(store: Store, verb: SweepVerb, session_id: str = "s", **fields: Any) -> Sweep:
    """A step of a sweep that saw the session as it is now."""
    info = standing(store, session_id).session
    seen: dict[str, Any] = {"expected_seq": info.last_seq, "expected_rev": info.rev, "at": AT, **fields}
    return Sweep(session_id=session_id, verb=verb, **seen)


def expiry(store: Store, fresh: str = "t", **fields: Any) -> Expire:
    """The reset of a session by a sweep that saw it as it is now."""
    info = standing(store).session
    made = new(fresh, parent="s", parent_kind="reset", reset_reason="idle", notice='{"for_model":"anew"}')
    seen: dict[str, Any] = {"expected_seq": info.last_seq, "expected_rev": info.rev, "at": AT, **fields}
    return Expire(session_id="s", new=made, **seen)


class Standings(StoreCase):
    """The read that a sweep decides by."""

    def test_all_sessions_in_pages(self, store: Store) -> None:
        """Hidden, archived, ended, empty and deleted ones; purged ones not. Each once, as they were stored."""
        for n in range(7):
            create(store, f"s{n}", *(["a"] if n else []), key=f"k{n}")
        do(store, SetInfo(at=AT, session_id="s1", hidden=True))
        do(store, SetInfo(at=AT, session_id="s2", archived=True))
        do(store, Delete(at=AT, session_id="s3"))
        do(store, PurgeSession(at=AT, session_id="s4"))
        do(store, Bind(at=AT, key="k5", session_id="s6"))
        found: list[str] = []
        after = None
        while page := store.standings(SweepQuery(limit=2, after=after), NOW):
            found += [s.session.id for s in page]
            after = found[-1]
        assert found == ["s0", "s1", "s2", "s3", "s5", "s6"]
        with pytest.raises(SessionNotFound):
            store.standings(SweepQuery(after="nobody"), NOW)

    def test_sweeps_of_one_owner(self, store: Store) -> None:
        """And of all, where none is named."""
        create(store, "s", "a", owner="ann")
        create(store, "t", "a", owner="bob")
        assert [s.session.id for s in store.standings(SweepQuery(owner="ann"), NOW)] == ["s"]
        with pytest.raises(SessionNotFound):
            store.standings(SweepQuery(owner="ann", after="t"), NOW)

    def test_only_quiet_ones_where_asked(self, store: Store) -> None:
        """Those that were active before, and deleted, empty and half copied ones."""
        for n in range(3):
            create(store, f"s{n}")
            do(store, Append(at=AT + n * HOUR, session_id=f"s{n}", messages=drafts("a")))
        do(store, Delete(at=AT + 3 * HOUR, session_id="s2"))
        found = store.standings(SweepQuery(active_before=later(HOUR)), NOW)
        assert [s.session.id for s in found] == ["s0", "s2"]
        create(store, "s3", at=AT + 9 * HOUR)
        half = new("s4", parent="s0", parent_kind="fork", hidden=True, carried=drafts("x"))
        do(store, Create(at=AT + 9 * HOUR, new=half))
        found = store.standings(SweepQuery(active_before=later(HOUR)), NOW)
        assert [s.session.id for s in found] == ["s0", "s2", "s3", "s4"]

    def test_what_says_whether_anybody_needs_it(self, store: Store) -> None:
        """Keys and when they were pointed, turns, what waits, copies, and holds."""
        create(store, "s", "a", key="k")
        do(store, Bind(at=AT + HOUR, key="l", session_id="s"))
        do(store, Hold(at=AT, session_id="s", name="h", until=AT + HOUR))
        seen = standing(store)
        assert (seen.session.keys, seen.session.bound_at) == (("k", "l"), later(HOUR))
        assert (seen.session.turn_running, seen.waiting, seen.copies, seen.todo) == (False, False, False, None)
        assert [hold.name for hold in seen.session.holds] == ["h"]
        begin(store, "b")
        do(
            store,
            Begin(at=AT, session_id="s", message=drafts("c")[0], lease=lease("t2"), on_busy="store"),
        )
        seen = standing(store)
        assert (seen.session.turn_running, seen.waiting, seen.session.last_seq) == (True, True, 3)

    def test_copies_are_told_from_what_was_said(self, store: Store) -> None:
        """A session of copies holds nothing of its own until somebody writes."""
        copied = user("x").replace(copied_from="p")
        do(store, Create(at=AT, new=new("s", carried=drafts(copied))))
        assert standing(store).copies
        append(store, "s", "a")
        assert not standing(store).copies

    def test_a_fork_that_was_cut_off(self, store: Store) -> None:
        """It is hidden until it is whole; a whole one that somebody hides is not taken for it."""
        create(store, "p", "x")
        do(store, Create(at=AT, new=new("s", parent="p", parent_kind="fork", hidden=True, carried=drafts("x"))))
        assert standing(store).half_copied
        append(store, "s", "y")
        assert standing(store).half_copied
        do(store, SetInfo(at=AT, session_id="s", hidden=False))
        do(store, SetInfo(at=AT, session_id="s", hidden=True))
        assert not standing(store).half_copied

    def test_when_it_was_stored(self, store: Store) -> None:
        """An imported conversation is older than its place in the store; one that was restored is new again."""
        do(store, Create(at=AT, key="k", new=new("s", created_at=AT - 1000 * HOUR)))
        seen = standing(store)
        assert (seen.session.created_at, seen.stored_at) == (later(-1000 * HOUR), NOW)
        assert seen.session.last_active_at == seen.session.bound_at == seen.session.created_at
        do(store, Delete(at=AT, session_id="s"))
        do(store, Restore(at=AT + HOUR, session_id="s"))
        assert standing(store).stored_at == later(HOUR)

    def test_how_large_it_is(self, store: Store) -> None:
        """Its messages, and what they show, where that was asked for."""
        picture = ImagePart(data=as_text(b"x" * 20_000))
        create(store, "s", "a" * 1000)
        create(store, "t", user(picture))
        assert standing(store).size == 0
        assert 1000 < standing(store, sizes=True).size < 1200
        assert 20_000 < standing(store, "t", sizes=True).size < 20_400


class Sweeps(StoreCase):
    """Expire and Sweep."""

    def test_a_session_that_is_over_is_reset(self, store: Store) -> None:
        """Its keys point at a new session, which tells the first message what happened, once."""
        create(store, "s", "a", key="k")
        do(store, Bind(at=AT, key="l", session_id="s"))
        assert do(store, expiry(store)) == Expired(session="t")
        assert store.info("t", None, NOW).keys == ("k", "l")
        old = store.info("s", None, NOW)
        assert (old.ended_at, old.end_reason, old.keys) == (NOW, "reset", ())
        begun = do(store, Begin(at=AT, key="k", session_id="t", message=drafts("b")[0], lease=lease("t1")))
        assert (begun.notice, begun.session_is_new) == ('{"for_model":"anew"}', True)
        do(store, Finish(at=AT, session_id="t", token="t1"))  # noqa: S106 - the token of a lease
        again = do(store, Begin(at=AT, key="k", session_id="t", message=drafts("c")[0], lease=lease("t2")))
        assert again.notice is None
        assert [c.kind for c in drain(store, session_id="s")][-2:] == ["ended", "expired"]
        refused(store, Expire(at=AT, session_id="s", expected_seq=1, expected_rev=9, new=new("u")), SessionEnded)

    def test_its_todo_comes_first(self, store: Store) -> None:
        """The session stays until that is done, however often a sweep looks."""
        create(store, "s", "a", key="k")
        assert do(store, expiry(store, before_reset=True)) == Expired(added=True)
        assert do(store, expiry(store, before_reset=True)) == Expired()
        todo = standing(store).todo
        assert todo is not None
        assert (todo.state, todo.reason) == ("waiting", "idle")
        do(store, ClaimTodo(at=AT, session_id="s", token="w", micros=HOUR))  # noqa: S106 - the token of a claim
        assert do(store, expiry(store, before_reset=True)) == Expired()
        do(store, EndTodo(at=AT, session_id="s", token="w", through_seq=1))  # noqa: S106 - the token of a claim
        assert do(store, expiry(store, before_reset=True)) == Expired(session="t")
        assert standing(store).todo is not None

    @pytest.mark.parametrize("verb", ["expire", "delete", "archive", "purge"])
    def test_who_uses_it_wins(self, store: Store, verb: Any) -> None:
        """A message, a turn, a hold, a resume or a rename since the sweep looked: nothing is done."""
        uses = [
            Append(at=AT, session_id="s0", messages=drafts("b")),
            Begin(at=AT, session_id="s1", message=drafts("b")[0], lease=lease("t1")),
            Hold(at=AT, session_id="s2", name="h", until=AT + HOUR),
            Bind(at=AT, key="other", session_id="s3"),
            SetInfo(at=AT, session_id="s4", title="x"),
        ]
        for number, use in enumerate(uses):
            name = f"s{number}"
            create(store, name, "a", key=f"k{number}")
            info = standing(store, name).session
            seen: dict[str, Any] = {
                "at": AT,
                "session_id": name,
                "expected_seq": info.last_seq,
                "expected_rev": info.rev,
            }
            do(store, use)
            before = store.info(name, None, NOW)
            if verb == "expire":
                refused(store, Expire(new=new(f"t{number}"), **seen), KeyMoved)
            else:
                refused(store, Sweep(verb=verb, **seen), KeyMoved)
            assert store.info(name, None, NOW) == before

    def test_a_held_session_is_left_alone(self, store: Store) -> None:
        """Also by a sweep that saw the hold; when that has run out, no more."""
        create(store, "s", "a", key="k")
        do(store, Hold(at=AT, session_id="s", name="h", until=AT + HOUR))
        refused(store, swept(store, "delete"), KeyMoved)
        refused(store, expiry(store), KeyMoved)
        do(store, swept(store, "delete", at=AT + HOUR))

    def test_a_message_that_waits_keeps_it(self, store: Store) -> None:
        """It is answered where it was said."""
        create(store, "s", key="k")
        begin(store, "a")
        do(store, Begin(at=AT, session_id="s", message=drafts("b")[0], lease=lease("t2"), on_busy="store"))
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106 - the token of a lease
        refused(store, expiry(store), KeyMoved)
        refused(store, swept(store, "delete"), KeyMoved)

    def test_deleted_archived_purged(self, store: Store) -> None:
        """Each as the verb of a session does it, with a line in the feed that says who did."""
        for name in "stu":
            create(store, name, "a", "b", key=f"k{name}")
        do(store, swept(store, "archive", "s"))
        assert store.info("s", None, NOW).archived
        do(store, swept(store, "delete", "t"))
        with pytest.raises(SessionNotFound):
            store.info("t", None, NOW)
        assert do(store, swept(store, "purge", "u")) == 0
        kinds = {name: [c.kind for c in drain(store, session_id=name)][-2:] for name in "stu"}
        assert kinds == {"s": ["swept", "info"], "t": ["swept", "deleted"], "u": ["swept", "purged"]}
        do(store, Restore(at=AT, session_id="t"))
        assert texts(live(store, "t")) == ["a", "b"]
        refused(store, Sweep(at=AT, session_id="u", verb="purge"), SessionNotFound)

    def test_a_long_purge_is_done_in_steps(self, store: Store) -> None:
        """With the first step it is gone for every reader and cannot be restored; the last leaves nothing."""
        picture = user(ImagePart(data=as_text(b"x" * 20_000)))
        create(store, "s", *[f"n {n}" for n in range(10)], picture, key="k", alias="mine")
        do(store, Delete(at=AT, session_id="s"))
        step = swept(store, "purge", most=4)
        assert do(store, step) == 7
        assert standing(store).half_purged
        refused(store, Restore(at=AT, session_id="s"), SessionNotFound)
        assert store.named(None, "mine") is None
        assert store.check() == []
        assert [do(store, step), do(store, step)] == [3, 0]
        refused(store, step, SessionNotFound)
        [row] = store.sessions(DELETED, NOW)
        assert (row.end_reason, row.last_seq, row.message_count) == ("purged", 11, 0)
        assert store.sessions(EVERYTHING, NOW) == []
        assert store.standings(SweepQuery(sizes=True), NOW) == []

    def test_a_purge_that_was_begun_is_ended_at_once(self, store: Store) -> None:
        """By whoever purges the session without waiting for a sweep."""
        create(store, "s", *[f"n {n}" for n in range(10)])
        do(store, swept(store, "purge", most=4))
        assert do(store, PurgeSession(at=AT, session_id="s")) == 6
        assert store.standings(SweepQuery(), NOW) == []

    def test_only_its_owner_sweeps(self, store: Store) -> None:
        """For others it is not found."""
        create(store, "s", "a", owner="ann")
        refused(store, swept(store, "delete", owner="bob"), SessionNotFound)
        refused(store, swept(store, "purge", owner="bob"), SessionNotFound)
        do(store, swept(store, "delete", owner="ann"))

    def test_a_half_purged_session_survives_a_restart(self, open_store: OpenStore) -> None:
        """And the next sweep finds it."""
        with open_store() as store:
            create(store, "s", *[f"n {n}" for n in range(10)])
            do(store, swept(store, "purge", most=4))
        if self.persistent:
            with open_store() as store:
                assert store.check() == []
                assert standing(store).half_purged
                assert do(store, swept(store, "purge")) == 0

    def test_there_is_nothing_to_clean_in_a_sound_store(self, store: Store) -> None:
        """Whatever was purged or edited."""
        create(store, "s", "a", user(ImagePart(data=as_text(b"x" * 20_000))))
        store.index()
        do(store, PurgeSession(at=AT, session_id="s"))
        assert store.clean(dry_run=True) == store.clean() == []


class Pruning(StoreCase):
    """The feed may be cut short, and says so."""

    def test_old_cursors_expire(self, open_store: OpenStore) -> None:
        """What is left is whole and in order; None begins at the oldest of it; new changes come after."""
        with open_store() as store:
            for n in range(6):
                create(store, f"s{n}", "a")
            store.index()
            feed = drain(store)
            assert store.prune(4, dry_run=True) == len(feed) - 4
            assert drain(store) == feed
            assert store.prune(4) == len(feed) - 4
            assert store.prune(4) == store.prune(4, dry_run=True) == 0
            assert drain(store) == feed[-4:]
            with pytest.raises(CursorExpired, match="pruned"):
                store.changes(feed[0].cursor)
            assert store.changes(feed[-4].cursor) == feed[-3:]
            append(store, "s0", "b")
            [change] = store.changes(feed[-1].cursor)
            assert change.session_id == "s0"

    def test_the_whole_feed_may_go(self, open_store: OpenStore) -> None:
        """Positions are not given again; what is new is seen, and found."""
        with open_store() as store:
            create(store, "s", "a")
            store.index()
            last = drain(store)[-1].cursor
            assert store.prune(0) > 0
            assert drain(store) == store.changes(last) == []
            append(store, "s", "b")
            [change] = store.changes(last)
            assert change.kind == "appended"
            assert [hit.seq for hit in store.search(SearchQuery(text="b"))] == [2]
            assert [hit.seq for hit in store.search(SearchQuery(text="a"))] == [1]
            assert store.check() == []

    def test_pruning_survives_a_restart(self, open_store: OpenStore) -> None:
        """An old cursor is as old as before."""
        with open_store() as store:
            create(store, "s", "a", "b")
            append(store, "s", "c")
            store.index()
            first = drain(store)[0].cursor
            store.prune(1)
        if self.persistent:
            with open_store() as store:
                with pytest.raises(CursorExpired):
                    store.changes(first)
                assert len(drain(store)) == 1
