"""Conformance: what subagents said is a session of its own, which goes where the session goes that they worked for."""

from __future__ import annotations

from palaver.errors import SessionConflict, SessionNotFound
from palaver.operations import Create, Delete, PurgeSession, Restore, SetInfo, Sweep
from palaver.stores.base import SessionQuery, Store
from palaver.testing.base import StoreCase
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
    live,
    new,
    refused,
    texts,
)

__all__ = ["Subagents"]

DELETE = Delete(at=AT, session_id="s")


def _subagent(store: Store, session_id: str, parent: str = "s", *items: str) -> None:
    made = new(session_id, explicit=True, hidden=True, parent=parent, parent_kind="subagent")
    do(store, Create(at=AT, new=made))
    if items:
        append(store, session_id, *items)


def _ids(store: Store, query: SessionQuery = EVERYTHING) -> set[str]:
    return {info.id for info in store.sessions(query, NOW)}


class Subagents(StoreCase):
    """Sessions whose parent_kind is `subagent`."""

    def test_a_subagents_session_is_listed_when_it_is_asked_for(self, store: Store) -> None:
        """It is hidden, and says whose it is; lists can be asked for what follows one session."""
        create(store, "s", "a")
        create(store, "t", "a")
        _subagent(store, "x", "s", "look")
        _subagent(store, "y", "t", "look")
        info = store.info("x", None, NOW)
        assert (info.parent, info.parent_kind, info.hidden) == ("s", "subagent", True)
        assert _ids(store, SessionQuery()) == {"s", "t"}
        assert _ids(store, SessionQuery(parent="s")) == set()
        assert _ids(store, SessionQuery(parent="s", include_hidden=True)) == {"x"}
        assert _ids(store, SessionQuery(parent="s", include_hidden=True, owner="else")) == set()

    def test_a_subagent_has_the_owner_of_its_parent(self, store: Store) -> None:
        """Whoever makes it; and a parent that is not there, or is foreign, has none."""
        create(store, "s", owner="ana")
        made = new("x", parent="s", parent_kind="subagent")
        refused(store, Create(at=AT, owner="bo", new=made), SessionNotFound)
        refused(store, Create(at=AT, new=new("x", parent="nobody", parent_kind="subagent")), SessionNotFound)
        do(store, Create(at=AT, new=made))
        assert store.info("x", "ana", NOW).owner == "ana"
        do(store, DELETE)
        refused(store, Create(at=AT, new=new("y", parent="s", parent_kind="subagent")), SessionNotFound)

    def test_it_is_deleted_and_restored_with_its_parent(self, store: Store) -> None:
        """With the subagents that it had itself; other children stay, and what went before stays away."""
        create(store, "s", "a")
        for name, parent in (("x", "s"), ("y", "x"), ("z", "s")):
            _subagent(store, name, parent, "look")
        do(store, Create(at=AT, new=new("fork", parent="s", parent_kind="fork")))
        do(store, Delete(at=AT - 1, session_id="z"))
        begin(store, "go on", session_id="y")
        do(store, DELETE)
        assert _ids(store) == {"fork"}
        assert [info.deleted_at for info in store.sessions(DELETED, NOW) if info.id in "sxy"] == [NOW] * 3
        assert store.open_turns(None, NOW) == []
        do(store, Restore(at=AT, session_id="s"))
        assert _ids(store) == {"s", "x", "y", "fork"}
        assert texts(live(store, "y")) == ["look", "go on"]
        refused(store, Restore(at=AT, session_id="x"), SessionConflict)

    def test_it_is_purged_with_its_parent(self, store: Store) -> None:
        """Also where the parent was deleted before; a subagent that is purged alone leaves its parent."""
        create(store, "s", "a", "b")
        for name, parent in (("x", "s"), ("y", "x"), ("z", "s")):
            _subagent(store, name, parent, "look")
        assert do(store, PurgeSession(at=AT, session_id="z")) == 1
        assert _ids(store) == {"s", "x", "y"}
        do(store, DELETE)
        assert do(store, PurgeSession(at=AT, session_id="s")) == 4
        for name in "sxyz":
            refused(store, Restore(at=AT, session_id=name), SessionNotFound)

    def test_a_swept_session_takes_its_subagents_along(self, store: Store) -> None:
        """An empty one is purged at once, and what its subagent said can still be restored."""
        create(store, "s")
        create(store, "t", "a")
        _subagent(store, "x", "s", "look")
        _subagent(store, "y", "t", "look")
        do(store, Sweep(at=AT + 2 * HOUR, session_id="s", verb="purge"))
        do(store, Sweep(at=AT + 2 * HOUR, session_id="t", verb="delete", expected_seq=1))
        assert _ids(store) == set()
        do(store, Restore(at=AT, session_id="x"))
        assert texts(live(store, "x")) == ["look"]

    def test_archiving_and_hiding_are_each_sessions_own(self, store: Store) -> None:
        """A subagent's session may be shown, and is archived by itself."""
        create(store, "s", "a")
        _subagent(store, "x", "s", "look")
        do(store, SetInfo(at=AT, session_id="s", archived=True))
        do(store, SetInfo(at=AT, session_id="x", hidden=False))
        assert _ids(store, SessionQuery()) == {"x"}
