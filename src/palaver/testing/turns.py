"""Conformance: a turn begins, grows and ends."""

from __future__ import annotations

import msgspec
import pytest

from palaver.errors import SessionConflict, SessionEnded, SessionNotFound, TurnLost
from palaver.model import Usage, assistant, user
from palaver.operations import Append, Begin, Cut, Finish, KeyMoved, Rotate
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
    MINUTE,
    NOW,
    SECOND,
    append,
    begin,
    create,
    do,
    drafts,
    drain,
    lease,
    live,
    new,
    refused,
    stored,
    texts,
)

__all__ = ["Turns"]

HI = drafts("hi")[0]


class Turns(StoreCase):
    """Begin and Finish, when nothing comes between."""

    def test_the_first_message_makes_the_session(self, store: Store) -> None:
        """Begin on an unbound key makes the session, stores the message, takes the lease and binds the key."""
        begun = do(store, Begin(at=AT, owner="ann", key="k", create=new("s"), message=HI, lease=lease("t1")))
        assert (begun.kind, begun.session_id, begun.seq) == ("begun", "s", 1)
        assert (begun.session_is_new, begun.first_contact, begun.queued, begun.notice) == (True, True, (), None)
        assert (begun.turn.first_seq, begun.turn.state, begun.turn.token) == (1, "running", "t1")
        assert begun.turn.began_at == AT
        assert store.turn("s", "ann") == begun.turn
        current = store.current("ann", "k", NOW)
        assert current is not None
        assert (current.id, current.owner, current.message_count, current.turn_running) == ("s", "ann", 1, True)
        assert texts(live(store)) == ["hi"]

    def test_a_turn_from_message_to_reply(self, store: Store) -> None:
        """Messages of a turn are stored as they come; finishing stores the last ones and gives the lease up."""
        create(store, "s", key="k")
        begun = begin(store, user("hi", id="m1"), key="k")
        assert (begun.session_is_new, begun.first_contact) == (True, True)
        append(store, "s", assistant("thinking"), token="t1", at=AT + SECOND)  # noqa: S106
        done = do(
            store,
            Finish(
                at=AT + MINUTE,
                session_id="s",
                token="t1",  # noqa: S106
                messages=drafts(assistant("a"), assistant("b")),
                usage=Usage(input_tokens=7, model="m"),
                anchor=1,
                calibration='{"percent":120}',
            ),
        )
        assert (done.appended.seqs, done.appended.last_seq, done.waiting) == ((3, 4), 4, ())
        turn = store.turn("s", None)
        assert turn is not None
        assert (turn.state, turn.first_seq, turn.end_seq, turn.ended_at) == ("finished", 1, 4, AT + MINUTE)
        assert turn.anchor == 1
        assert turn.calibration == '{"percent":120}'
        assert turn == store.turn("s", None, 1)
        info = store.info("s", None, NOW)
        assert not info.turn_running
        assert info.usage is not None
        assert (info.usage.input_tokens, info.usage.model) == (7, "m")
        second = begin(store, "again", "t2", key="k")
        assert (second.kind, second.seq, second.session_is_new) == ("begun", 5, False)
        assert second.turn is not None
        assert second.turn.anchor == 1, "the next turn's window begins where this one's did"
        assert second.turn.calibration == '{"percent":120}', "and goes by what was learned of its estimates"

    def test_the_feed_tells_of_turns(self, store: Store) -> None:
        """Beginning, appending and finishing are one change each."""
        create(store)
        begin(store, "hi")
        append(store, "s", assistant("a"), token="t1")  # noqa: S106
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("b"))))  # noqa: S106
        feed = [(c.kind, c.from_seq, c.through_seq) for c in drain(store)]
        assert feed == [("created", 0, 0), ("turn_begun", 1, 1), ("appended", 2, 2), ("turn_finished", 3, 3)]

    def test_turns_are_found_by_where_they_began(self, store: Store) -> None:
        """`turn` gives the newest, or the one that began at a position; None where none did."""
        create(store, "other", "x")
        begin(store, "y", session_id="other")
        create(store)
        assert store.turn("s", None) is None
        begin(store, "hi")
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("a"))))  # noqa: S106
        begin(store, "again", "t2")
        first, second = store.turn("s", None, 1), store.turn("s", None, 3)
        assert first is not None
        assert second is not None
        assert (first.token, second.token) == ("t1", "t2")
        assert store.turn("s", None) == second
        assert store.turn("s", None, 2) is None

    def test_a_turn_is_read_whole(self, store: Store) -> None:
        """Running or ended, the newest or not: its row, its live messages alone, and its session as it is now."""
        create(store, key="k")
        begin(store, "one", key="k")
        append(store, "s", assistant("a"), token="t1")  # noqa: S106
        append(store, "s", "beside it")
        running = store.whole_turn("s", None, 1, NOW)
        assert running is not None
        assert running.turn == store.turn("s", None)
        assert texts(running.messages) == ["one", "a"]
        assert running.session == msgspec.structs.replace(store.info("s", None, NOW), keys=(), aliases=(), usage=None)
        assert running.session.turn_running
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("b"))))  # noqa: S106
        begin(store, "two", "t2", key="k")
        do(store, Cut(at=AT, session_id="s", from_seq=2, through_seq=2, kind="delete"))
        for owner in (None, ""):
            ended = store.whole_turn("s", owner, 1, NOW)
            assert ended is not None
            assert ended.turn == store.turn("s", None, 1)
            assert texts(ended.messages) == ["one", "b"]
            assert ended.session.turn_running, "another turn runs in it"
        assert [store.whole_turn("s", None, seq, NOW) for seq in (2, 3, 4, 6, 99)] == [None] * 5

    def test_a_turn_is_read_with_what_it_took_along(self, store: Store) -> None:
        """Messages that had waited are the turn's, in the order in which they are stored."""
        create(store)
        begin(store, "one")
        begin(store, "waits", "x", on_busy="store")
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("a"))))  # noqa: S106
        begun = begin(store, "two", "t2")
        assert begun.turn is not None
        whole = store.whole_turn("s", None, begun.turn.first_seq, NOW)
        assert whole is not None
        assert whole.turn == begun.turn
        assert texts(whole.messages) == ["waits", "two"]

    @pytest.mark.parametrize("first_seq", [-1, 0, 99, (1 << 32) | 1, 1 << 70])
    def test_no_turn_begins_outside_of_the_transcript(self, store: Store, first_seq: int) -> None:
        """A position that no session has, however large, is nobody's turn, and never another session's."""
        for session in ("a", "b", "c", "d"):
            create(store, session, owner=session)
            begin(store, "hi", session_id=session)
        assert [store.turn(session, session, first_seq) for session in ("a", "b", "c", "d")] == [None] * 4
        assert [store.whole_turn(session, session, first_seq, NOW) for session in ("a", "b", "c", "d")] == [None] * 4

    def test_a_key_that_points_nowhere(self, store: Store) -> None:
        """Without `create`, or with a session that the key does not point at: KeyMoved tells where it points."""
        error = refused(store, Begin(at=AT, key="k", message=HI, lease=lease("t")), KeyMoved)
        assert error.actual is None
        create(store, "s", key="k")
        error = refused(store, Begin(at=AT, key="k", session_id="x", message=HI, lease=lease("t")), KeyMoved)
        assert (error.expected, error.actual) == ("x", "s")
        error = refused(store, Begin(at=AT, key="k", create=new("s2"), message=HI, lease=lease("t")), KeyMoved)
        assert error.actual == "s"

    def test_keys_of_two_owners_never_meet(self, store: Store) -> None:
        """The same key of another owner is another key."""
        for owner in ("ann", "bob"):
            operation = Begin(at=AT, owner=owner, key="k", create=new(owner), message=HI, lease=lease("t"))
            assert do(store, operation).first_contact
        refused(
            store,
            Begin(at=AT, owner="ann", key="k", session_id="bob", message=HI, lease=lease("x")),
            KeyMoved,
        )
        refused(store, Begin(at=AT, owner="ann", session_id="bob", message=HI, lease=lease("x")), SessionNotFound)

    def test_an_ended_session_begins_nothing(self, store: Store) -> None:
        """SessionEnded by its id; by its key the new session is meant."""
        create(store, "s", "a", key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2")))
        refused(store, Begin(at=AT, session_id="s", message=HI, lease=lease("t")), SessionEnded)
        assert begin(store, "b", key="k", session_id="s2").kind == "begun"

    def test_a_message_or_somebody_waiting_is_needed(self, store: Store) -> None:
        """Without a message and with nothing that waits, nothing begins."""
        create(store, "s", "a")
        refused(store, Begin(at=AT, session_id="s", lease=lease("t")), SessionConflict)

    def test_a_notice_is_shown_once(self, store: Store) -> None:
        """The first turn of a session is handed its notice; the next one is not."""
        create(store, "old", key="k")
        do(store, Rotate(at=AT, key="k", session_id="old", new=new("s", notice='{"for_model":"fresh"}')))
        assert begin(store, "a", key="k").notice == '{"for_model":"fresh"}'
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        assert begin(store, "b", "t2", key="k").notice is None

    def test_finishing_twice_is_finishing_once(self, store: Store) -> None:
        """The same Finish again stores and charges nothing and has the same answer."""
        create(store)
        begin(store, "hi")
        finish = Finish(
            at=AT,
            session_id="s",
            token="t1",  # noqa: S106
            first_seq=1,
            messages=drafts(assistant("a"), assistant("b")),
            usage=Usage(input_tokens=7),
        )
        first = do(store, finish)
        before = drain(store)
        for _ in range(2):
            again = do(store, finish)
            assert (again.appended.seqs, again.appended.last_seq, again.appended.fresh) == ((2, 3), 3, False)
            append(store, "s", "from elsewhere")
        assert first.appended.seqs == (2, 3)
        assert [c.kind for c in drain(store, before[-1].cursor)] == ["appended", "appended"]
        assert [line.usage.input_tokens for line in store.usage(None)] == [7]

    def test_finishing_again_after_the_next_turn_began(self, store: Store) -> None:
        """What was stored is answered for, however late the question comes."""
        create(store)
        begin(store, "hi")
        finish = Finish(at=AT, session_id="s", token="t1", first_seq=1, messages=drafts(assistant("a")))  # noqa: S106
        do(store, finish)
        begin(store, "next", "t2")
        assert do(store, finish).appended.seqs == (2,)
        assert texts(live(store)) == ["hi", "a", "next"]

    def test_finishing_again_with_a_reply_that_was_stored_by_its_id(self, store: Store) -> None:
        """A reply that the turn had appended under its id keeps its position, at the first Finish and at the second."""
        create(store)
        begin(store, "hi")
        reply = assistant("a", id="r1")
        append(store, "s", reply, token="t1")  # noqa: S106
        append(store, "s", "from elsewhere")
        finish = Finish(at=AT, session_id="s", token="t1", first_seq=1, messages=drafts(reply))  # noqa: S106
        assert [do(store, finish).appended.seqs for _ in range(2)] == [(2,), (2,)]

    def test_a_turn_has_one_end(self, store: Store) -> None:
        """Finishing again with another reply is a conflict; ending it in another way is too late."""
        create(store)
        begin(store, "hi")
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("a"))))  # noqa: S106
        other = Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("b")))  # noqa: S106
        refused(store, other, SessionConflict)
        for state in ("interrupted", "rolled_back"):
            refused(store, Finish(at=AT, session_id="s", token="t1", state=state), TurnLost)  # noqa: S106

    def test_an_interrupted_turn_keeps_what_happened(self, store: Store) -> None:
        """Its messages stay live and its reason is kept."""
        create(store)
        begin(store, "hi")
        finish = Finish(
            at=AT,
            session_id="s",
            token="t1",  # noqa: S106
            state="interrupted",
            messages=drafts(assistant("a")),
            reason="boom",
        )
        do(store, finish)
        do(store, finish)
        turn = store.turn("s", None)
        assert turn is not None
        assert (turn.state, turn.reason, turn.end_seq) == ("interrupted", "boom", 2)
        assert texts(live(store)) == ["hi", "a"]
        assert begin(store, "next", "t2").kind == "begun"

    def test_a_turn_rolled_back_leaves_what_others_stored(self, store: Store) -> None:
        """The turn's own messages are live no longer; what came from elsewhere meanwhile stays, as does the past."""
        create(store, "s", "before")
        begin(store, "hi")
        append(store, "s", assistant("a"), token="t1")  # noqa: S106
        append(store, "s", "from elsewhere")
        append(store, "s", assistant("b"), token="t1")  # noqa: S106
        rev = store.info("s", None, NOW).rev
        for _ in range(2):
            do(store, Finish(at=AT, session_id="s", token="t1", state="rolled_back"))  # noqa: S106
            assert texts(live(store)) == ["before", "from elsewhere"]
        assert texts(stored(store)) == ["before", "hi", "a", "from elsewhere", "b"]
        assert store.info("s", None, NOW).rev > rev
        assert texts(store.tail("s", None, NOW, limit=1).messages) == ["from elsewhere"]
        assert append(store, "s", "next").seqs == (6,)

    def test_a_reset_ends_the_turn_that_runs(self, store: Store) -> None:
        """Its session ends, so the turn is interrupted, and its holder is told."""
        create(store, "s", key="k")
        begin(store, "hi", key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2")))
        turn = store.turn("s", None)
        assert turn is not None
        assert turn.state == "interrupted"
        assert store.open_turns(None, NOW) == []
        refused(store, Finish(at=AT, session_id="s", token="t1", messages=drafts("x")), TurnLost)  # noqa: S106
        refused(store, Append(at=AT, session_id="s", token="t1", messages=drafts("x")), TurnLost)  # noqa: S106
