"""Conformance: messages that come while a turn runs are durable, and are taken along once."""

from __future__ import annotations

from palaver.errors import SessionBusy, SessionConflict, TurnLost
from palaver.model import assistant, user
from palaver.operations import Begin, Bind, Cut, Finish, Purge, Renew, Rotate, Take
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
    MINUTE,
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
    seqs,
    texts,
)

__all__ = ["Queue"]


def _waiting(store: Store) -> str:
    """A session whose turn runs (seq 1) and where two messages wait (2 and 3)."""
    create(store, "s", key="k")
    begin(store, "hi")
    for n in (2, 3):
        begin(store, user(f"waits {n}", id=f"w{n}"), "x", on_busy="store")
    return "s"


class Queue(StoreCase):
    """on_busy="store"."""

    def test_a_message_that_waits_is_stored(self, store: Store) -> None:
        """It has a position and is live at once; the running turn can see it; the feed names it."""
        create(store)
        begin(store, "hi")
        waits = begin(store, user("waits", id="w2"), "x", on_busy="store")
        assert (waits.kind, waits.session_id, waits.seq, waits.turn) == ("stored", "s", 2, None)
        assert [(m.seq, m.text) for m in store.queued("s", None)] == [(2, "waits")]
        assert texts(live(store)) == ["hi", "waits"]
        assert [(c.kind, c.from_seq, c.through_seq) for c in drain(store)][-1] == ("appended", 2, 2)

    def test_a_free_session_stores_nothing_aside(self, store: Store) -> None:
        """Where no turn runs, the message begins one."""
        create(store)
        assert begin(store, "hi", on_busy="store").kind == "begun"
        assert store.queued("s", None) == []

    def test_a_message_that_waits_comes_again(self, store: Store) -> None:
        """It is answered as the first time and stored once; who does not want to wait is told that a turn runs."""
        _waiting(store)
        again = begin(store, user("waits 2", id="w2"), "x", on_busy="store")
        assert (again.kind, again.seq) == ("stored", 2)
        assert seqs(store.queued("s", None)) == [2, 3]
        redelivered = Begin(at=AT, session_id="s", message=drafts(user("waits 2", id="w2"))[0], lease=lease("x"))
        refused(store, redelivered, SessionBusy)

    def test_finishing_tells_what_waits(self, store: Store) -> None:
        """The holder learns which messages came meanwhile, also when it finishes again."""
        _waiting(store)
        finish = Finish(at=AT, session_id="s", token="t1", first_seq=1, messages=drafts(assistant("a")))  # noqa: S106
        assert [do(store, finish).waiting for _ in range(2)] == [(2, 3), (2, 3)]

    def test_the_next_turn_takes_what_waits(self, store: Store) -> None:
        """Its own message comes last, all that waited go along, and nothing waits any more."""
        _waiting(store)
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("a"))))  # noqa: S106
        begun = begin(store, "next", "t2")
        assert (begun.kind, begun.seq, begun.queued) == ("begun", 5, (2, 3))
        assert begun.turn is not None
        assert (begun.turn.first_seq, begun.turn.taken) == (5, (2, 3))
        assert store.queued("s", None) == []
        done = do(store, Finish(at=AT, session_id="s", token="t2", messages=drafts(assistant("b"))))  # noqa: S106
        assert (done.appended.seqs, done.waiting) == ((6,), ())
        turn = store.turn("s", None, 5)
        assert turn is not None
        assert (turn.state, turn.end_seq) == ("finished", 6)

    def test_a_turn_begins_with_what_waits(self, store: Store) -> None:
        """Without a message of its own it begins with the oldest that waits; then there is nothing left."""
        _waiting(store)
        refused(store, Begin(at=AT, session_id="s", lease=lease("x"), on_busy="store"), SessionBusy)
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        begun = begin(store, None, "t2")
        assert (begun.kind, begun.seq, begun.queued) == ("begun", 2, (3,))
        do(store, Finish(at=AT, session_id="s", token="t2"))  # noqa: S106
        refused(store, Begin(at=AT, session_id="s", lease=lease("x")), SessionConflict)

    def test_a_waiting_message_comes_again_when_the_session_is_free(self, store: Store) -> None:
        """It begins the turn that takes all that wait, whichever of them it is."""
        _waiting(store)
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        begun = begin(store, user("waits 3", id="w3"), "t2")
        assert begun.kind == "begun"
        assert {begun.seq, *begun.queued} == {2, 3}
        assert begun.turn is not None
        assert begun.turn.message_seq == 3
        assert begun.turn.first_seq == 2
        assert store.queued("s", None) == []
        assert texts(live(store)) == ["hi", "waits 2", "waits 3"]

    def test_a_message_that_was_taken_along_comes_again(self, store: Store) -> None:
        """Each is answered by the turn that took it: busy while it runs, then handed back, then and later."""
        _waiting(store)
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        begin(store, user("next", id="m4"), "t2")
        for seq in (2, 3):
            again = drafts(user(f"waits {seq}", id=f"w{seq}"))[0]
            refused(store, Begin(at=AT, session_id="s", message=again, lease=lease("x")), SessionBusy)
        do(store, Finish(at=AT, session_id="s", token="t2", messages=drafts(assistant("a"))))  # noqa: S106
        for _ in range(2):
            for seq, message in (
                (2, user("waits 2", id="w2")),
                (3, user("waits 3", id="w3")),
                (4, user("next", id="m4")),
            ):
                found = begin(store, message, "x")
                assert (found.kind, found.seq) == ("replayed", seq)
                assert found.turn is not None
                assert found.turn.first_seq == 4
            begin(store, "more", "t3")
            do(store, Finish(at=AT, session_id="s", token="t3"))  # noqa: S106

    def test_what_waits_survives_an_interrupted_turn(self, store: Store) -> None:
        """A lease that ran out leaves the queue to the next turn."""
        create(store)
        begin(store, "hi", micros=MINUTE)
        begin(store, "waits", "x", on_busy="store")
        do(store, Renew(at=AT, session_id="s", token="t1", micros=1))  # noqa: S106 - the token of a lease
        begun = begin(store, "next", "t2", at=AT + 2 * MINUTE)
        assert (begun.seq, begun.queued) == (3, (2,))

    def test_a_rollback_lets_what_waited_wait_again(self, store: Store) -> None:
        """What a turn took from the queue was others': it stays live and is taken by the next turn."""
        _waiting(store)
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        begin(store, user("next", id="m4"), "t2")
        append(store, "s", assistant("a"), token="t2")  # noqa: S106
        done = do(store, Finish(at=AT, session_id="s", token="t2", state="rolled_back"))  # noqa: S106
        assert done.waiting == (2, 3)
        assert texts(live(store)) == ["hi", "waits 2", "waits 3"]
        assert seqs(store.queued("s", None)) == [2, 3]
        begun = begin(store, user("next", id="m4"), "t3")
        assert (begun.kind, begun.seq, begun.queued) == ("begun", 6, (2, 3))

    def test_a_rollback_of_a_turn_without_a_message_of_its_own(self, store: Store) -> None:
        """It can be begun again with the same messages, once; the turn after it is another."""
        _waiting(store)
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        begin(store, None, "t2")
        append(store, "s", assistant("a"), token="t2")  # noqa: S106
        do(store, Finish(at=AT, session_id="s", token="t2", state="rolled_back"))  # noqa: S106
        begun = begin(store, None, "t3")
        assert (begun.seq, begun.queued) == (2, (3,))
        assert begun.turn is not None
        assert (begun.turn.state, begun.turn.token) == ("running", "t3")
        do(store, Finish(at=AT, session_id="s", token="t3", messages=drafts(assistant("b"))))  # noqa: S106
        assert begin(store, user("waits 3", id="w3"), "x").kind == "replayed"
        assert texts(live(store)) == ["hi", "waits 2", "waits 3", "b"]

    def test_a_running_turn_takes_what_waits(self, store: Store) -> None:
        """Take hands it to the turn: it waits no more, the feed says so, and the turn's end answers it."""
        _waiting(store)
        take = Take(at=AT, session_id="s", token="t1", first_seq=1)  # noqa: S106
        assert do(store, take) == (2, 3)
        assert store.queued("s", None) == []
        assert [(c.kind, c.from_seq, c.through_seq) for c in drain(store)][-1] == ("taken", 2, 3)
        turn = store.turn("s", None)
        assert turn is not None
        assert (turn.first_seq, turn.taken) == (1, (2, 3))
        before = drain(store)
        assert do(store, take) == ()
        assert drain(store) == before
        begin(store, "waits longer", "x", on_busy="store")
        done = do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("a"))))  # noqa: S106
        assert done.waiting == (4,)
        again = begin(store, user("waits 3", id="w3"), "x")
        assert (again.kind, again.seq) == ("replayed", 3)
        assert again.turn is not None
        assert again.turn.first_seq == 1
        assert texts(live(store)) == ["hi", "waits 2", "waits 3", "waits longer", "a"]

    def test_all_in_one_commit(self, store: Store) -> None:
        """Beginning, waiting, taking, finishing and purging in one call is what it is in several."""
        create(store)
        store_it = Begin(at=AT, session_id="s", message=drafts("waits")[0], lease=lease("x"), on_busy="store")
        answers = batch(
            store,
            Begin(at=AT, session_id="s", message=drafts("hi")[0], lease=lease("t1")),
            store_it,
            Take(at=AT, session_id="s", token="t1"),  # noqa: S106
            Take(at=AT, session_id="s", token="no"),  # noqa: S106
            store_it,
            Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("a"))),  # noqa: S106
            Begin(at=AT, session_id="s", lease=lease("t2")),
        )
        assert (answers[2], answers[5].waiting) == ((2,), (3,))
        assert (answers[6].kind, answers[6].seq) == ("begun", 3)
        assert texts(live(store)) == ["hi", "waits", "waits", "a"]

    def test_taken_and_purged_in_one_commit(self, store: Store) -> None:
        """Each message that is removed counts once."""
        _waiting(store)
        take = Take(at=AT, session_id="s", token="t1")  # noqa: S106
        answers = batch(store, take, Purge(at=AT, session_id="s", from_seq=1, through_seq=3))
        assert answers == [(2, 3), 3]
        assert live(store) == []

    def test_purged_and_rolled_back_in_one_commit(self, store: Store) -> None:
        """What is purged is no part of the turn that is rolled back: nothing is cut twice."""
        create(store, "s")
        begin(store, "hi")
        batch(
            store,
            Purge(at=AT, session_id="s", from_seq=1, through_seq=1),
            Finish(at=AT, session_id="s", token="t1", state="rolled_back"),  # noqa: S106
        )
        assert live(store) == []
        assert store.info("s", None, NOW).rev == 1

    def test_only_the_holder_takes(self, store: Store) -> None:
        """Another token, and a turn that is over, are TurnLost, and what waits goes on waiting."""
        _waiting(store)
        refused(store, Take(at=AT, session_id="s", token="t2"), TurnLost)  # noqa: S106
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        refused(store, Take(at=AT, session_id="s", token="t1"), TurnLost)  # noqa: S106

    def test_a_rollback_gives_back_what_was_taken(self, store: Store) -> None:
        """What a running turn had taken is live and waits again."""
        _waiting(store)
        do(store, Take(at=AT, session_id="s", token="t1"))  # noqa: S106
        append(store, "s", assistant("a"), token="t1")  # noqa: S106
        done = do(store, Finish(at=AT, session_id="s", token="t1", state="rolled_back"))  # noqa: S106
        assert done.waiting == (2, 3)
        assert texts(live(store)) == ["waits 2", "waits 3"]
        assert begin(store, user("waits 2", id="w2"), "t2").kind == "begun"

    def test_a_purged_message_waits_no_more(self, store: Store) -> None:
        """What is gone is taken along by nobody and tells nobody that it waits."""
        _waiting(store)
        do(store, Purge(at=AT, session_id="s", from_seq=2, through_seq=2))
        assert seqs(store.queued("s", None)) == [3]
        done = do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        assert done.waiting == (3,)
        begun = begin(store, "next", "t2")
        assert (begun.seq, begun.queued) == (4, (3,))

    def test_a_message_that_was_cut_waits_no_more(self, store: Store) -> None:
        """What is not live begins no turn."""
        _waiting(store)
        do(store, Cut(at=AT, session_id="s", from_seq=2, through_seq=3, kind="rewind"))
        assert store.queued("s", None) == []
        assert do(store, Finish(at=AT, session_id="s", token="t1")).waiting == ()  # noqa: S106
        refused(store, Begin(at=AT, session_id="s", lease=lease("x")), SessionConflict)

    def test_a_reset_leaves_what_waits_behind(self, store: Store) -> None:
        """It stays with the session it was stored in, and is taken when that is resumed."""
        _waiting(store)
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2")))
        assert begin(store, "fresh", "t2", session_id="s2", key="k").queued == ()
        do(store, Bind(at=AT, key="k", session_id="s"))
        assert begin(store, "back", "t3", key="k").queued == (2, 3)
