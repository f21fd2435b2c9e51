"""Conformance: what is to be done before a reset: made once, done by one worker at a time, given up after three."""

from __future__ import annotations

from typing import Any

from palaver.errors import SessionBusy, SessionConflict, SessionNotFound
from palaver.info import Todo
from palaver.operations import Append, Bind, ClaimTodo, Delete, EndTodo, PurgeSession, Restore, Rotate
from palaver.rows import Holder
from palaver.stores.base import Store
from palaver.stores.holders import current
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import AT, HOUR, MINUTE, NOW, append, create, do, drafts, drain, later, new, refused

__all__ = ["Todos"]

FAR = later(1000 * HOUR)


def reset(store: Store, old: str, fresh: str, *, at: int = AT, key: str = "k") -> Any:
    """Reset a key by hand, leaving a to-do behind."""
    rotate = Rotate(
        at=at, key=key, session_id=old, new=new(fresh, reset_reason="manual", parent=old), before_reset=True
    )
    return do(store, rotate)


def claim(
    token: str = "t1",  # noqa: S107 - the token of a claim, no secret
    session: str = "s",
    *,
    at: int = AT,
    **fields: Any,
) -> ClaimTodo:
    """A claim for ten minutes."""
    return ClaimTodo(at=at, session_id=session, token=token, micros=10 * MINUTE, **fields)


def settle(
    token: str = "t1",  # noqa: S107 - the token of a claim, no secret
    session: str = "s",
    *,
    at: int = AT,
    **fields: Any,
) -> EndTodo:
    """The end of a claim."""
    return EndTodo(at=at, session_id=session, token=token, **fields)


def waiting(store: Store, owner: str | None = None) -> list[Todo]:
    """To-dos that wait, due or not."""
    return store.todos(owner, "waiting", FAR)


class Todos(StoreCase):
    """ClaimTodo and EndTodo, and the resets that make to-dos."""

    def test_a_reset_leaves_a_todo(self, store: Store) -> None:
        """It names the old session, what it held and why; only where it was asked for."""
        create(store, "s", "a", "b", key="k")
        reset(store, "s", "t")
        [todo] = waiting(store)
        assert (todo.session_id, todo.reason, todo.after_seq, todo.through_seq) == ("s", "manual", 0, 2)
        assert (todo.state, todo.made_at, todo.failures) == ("waiting", NOW, 0)
        append(store, "t", "c")
        do(store, Rotate(at=AT, key="k", session_id="t", new=new("u")))
        assert len(waiting(store)) == 1
        assert [c.kind for c in drain(store, session_id="s")][-1] == "todo_added"

    def test_nothing_to_do_for_what_holds_nothing(self, store: Store) -> None:
        """An empty session, one of copies, and one that goes on under another key have none."""
        create(store, "s", key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("t", carried=drafts("x")), before_reset=True))
        create(store, "u", "a", key="l")
        do(store, Bind(at=AT, key="m", session_id="u"))
        reset(store, "u", "v", key="l")
        assert waiting(store) == []

    def test_one_worker_at_a_time(self, store: Store) -> None:
        """Who comes second is told; the same claim again is the same; done, it is nobody's."""
        create(store, "s", "a", key="k")
        reset(store, "s", "t")
        assert do(store, claim()).state == "claimed"
        refused(store, claim("t2"), SessionBusy)
        assert do(store, claim()).token == "t1"  # noqa: S105 - a token of a claim
        refused(store, settle("t2", through_seq=1), SessionConflict)
        assert waiting(store) == []
        assert do(store, settle(through_seq=1)).state == "done"
        assert do(store, settle(through_seq=1)).state == "done"
        refused(store, claim("t3"), SessionConflict)
        kinds = [c.kind for c in drain(store, session_id="s")]
        assert kinds[-3:] == ["todo_added", "todo_claimed", "todo_done"]

    def test_a_claim_that_ran_out_is_free(self, store: Store) -> None:
        """Another worker takes it, and the first one is too late; the loss counts as a failure."""
        create(store, "s", "a", key="k")
        reset(store, "s", "t")
        do(store, claim())
        if self.lease_clock == "caller":
            assert store.todos(None, "claimed", NOW) == []
            [left] = store.todos(None, "claimed", later(10 * MINUTE))
            assert left.session_id == "s"
            assert do(store, claim("t2", at=AT + 11 * MINUTE)).failures == 1
            refused(store, settle(at=AT + 12 * MINUTE, through_seq=1), SessionConflict)
            assert do(store, settle("t2", at=AT + 12 * MINUTE, through_seq=1)).state == "done"

    def test_a_claim_of_a_dead_process_is_free_at_once(self, store: Store) -> None:
        """Nobody waits for a worker that is certain not to come back."""
        create(store, "s", "a", key="k")
        reset(store, "s", "t")
        here = current()
        do(store, claim(holder=Holder(here.host, here.pid, "long ago")))
        [left] = store.todos(None, "claimed", NOW)
        assert left.state == "claimed"
        assert do(store, claim("t2")).token == "t2"  # noqa: S105 - a token of a claim

    def test_who_lets_it_run_out_may_still_end_it(self, store: Store) -> None:
        """As long as nobody has taken it over."""
        create(store, "s", "a", key="k")
        reset(store, "s", "t")
        do(store, claim())
        assert do(store, settle(at=AT + HOUR, through_seq=1)).state == "done"

    def test_given_up_after_three(self, store: Store) -> None:
        """Each failure waits a while; the third is the last, `check` says so, and it can be taken off the table."""
        create(store, "s", "a", key="k")
        reset(store, "s", "t")
        for number, expected in enumerate(("waiting", "waiting", "given_up"), 1):
            at = AT + number * HOUR
            do(store, claim(f"t{number}", at=at))
            failed = do(store, settle(f"t{number}", at=at, error=f"no model {number}"))
            assert (failed.state, failed.failures, failed.error) == (expected, number, f"no model {number}")
            if self.lease_clock == "caller" and expected == "waiting":
                assert store.todos(None, "waiting", later(number * HOUR + MINUTE)) == []
                assert len(store.todos(None, "waiting", later(number * HOUR + 5 * MINUTE))) == 1
        assert waiting(store) == []
        [given_up] = store.todos(None, "given_up", NOW)
        assert given_up.failures == 3
        [finding] = store.check()
        assert (finding.kind, finding.where) == ("todo", "session s")
        refused(store, claim("t4"), SessionConflict)
        assert [c.kind for c in drain(store, session_id="s")][-1] == "todo_given_up"
        assert do(store, settle("")).state == "done"
        assert store.check() == []

    def test_workers_that_vanish_use_it_up(self, store: Store) -> None:
        """A to-do that kills its worker does not kill workers for ever."""
        create(store, "s", "a", key="k")
        reset(store, "s", "t")
        here = current()
        gone = Holder(here.host, here.pid, "long ago")
        states = [do(store, claim(f"t{n}", holder=gone)).state for n in range(4)]
        assert states == ["claimed", "claimed", "claimed", "given_up"]
        do(store, settle(""))

    def test_a_session_that_goes_on_has_the_rest_to_do(self, store: Store) -> None:
        """Resumed and reset again: what was done before is not done again, and nothing is left out."""
        create(store, "s", "a", "b", key="k")
        reset(store, "s", "t")
        do(store, claim())
        do(store, settle(through_seq=2))
        do(store, Bind(at=AT, key="k", session_id="s"))
        reset(store, "s", "u")
        assert waiting(store) == []
        do(store, Bind(at=AT, key="k", session_id="s"))
        append(store, "s", "c")
        reset(store, "s", "v")
        [todo] = waiting(store)
        assert (todo.after_seq, todo.through_seq) == (2, 3)

    def test_what_came_while_it_was_done_waits(self, store: Store) -> None:
        """A worker settles what it was given; a reset meanwhile has made it more."""
        create(store, "s", "a", key="k")
        reset(store, "s", "t")
        do(store, claim())
        do(store, Bind(at=AT, key="k", session_id="s"))
        append(store, "s", "b")
        reset(store, "s", "u")
        assert do(store, settle(through_seq=1)).state == "waiting"
        [todo] = waiting(store)
        assert (todo.after_seq, todo.through_seq) == (1, 2)

    def test_todos_are_their_owners(self, store: Store) -> None:
        """Another owner sees none, and claims none."""
        create(store, "s", "a", key="k", owner="ann")
        do(store, Rotate(at=AT, owner="ann", key="k", session_id="s", new=new("t"), before_reset=True))
        assert [todo.owner for todo in waiting(store, "ann")] == ["ann"]
        assert waiting(store, "bob") == []
        refused(store, claim(owner="bob"), SessionNotFound)
        assert len(waiting(store)) == 1

    def test_deleted_and_purged(self, store: Store) -> None:
        """A deleted session's to-do waits for it to come back; purged, it is gone."""
        create(store, "s", "a", key="k")
        reset(store, "s", "t")
        do(store, Delete(at=AT, session_id="s"))
        assert waiting(store) == []
        refused(store, claim(), SessionNotFound)
        do(store, Restore(at=AT, session_id="s"))
        assert len(waiting(store)) == 1
        do(store, PurgeSession(at=AT, session_id="s"))
        assert waiting(store) == []

    def test_oldest_first_and_no_more_than_asked(self, store: Store) -> None:
        """By when they were made."""
        for n in (2, 0, 1):
            create(store, f"s{n}", "a", key=f"k{n}")
            reset(store, f"s{n}", f"t{n}", at=AT + n, key=f"k{n}")
        assert [todo.session_id for todo in waiting(store)] == ["s0", "s1", "s2"]
        assert [todo.session_id for todo in store.todos(None, "waiting", FAR, limit=2)] == ["s0", "s1"]

    def test_a_claim_survives_a_restart(self, open_store: OpenStore) -> None:
        """With its token, so that its worker can end it."""
        with open_store() as store:
            create(store, "s", "a", key="k")
            reset(store, "s", "t")
            do(store, claim())
        if self.persistent:
            with open_store() as store:
                refused(store, claim("t2"), SessionBusy)
                do(store, Append(at=AT, session_id="t", messages=drafts("x")))
                assert do(store, settle(through_seq=1)).state == "done"
