"""Conformance: the same message, or the same operation, comes again, and nothing happens twice."""

from __future__ import annotations

import msgspec

from palaver.errors import SessionBusy, SessionConflict, TurnLost
from palaver.model import Usage, assistant, user
from palaver.operations import Append, Begin, Begun, Finish, RecordUsage, Rotate, Rotated
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
    DAY,
    HOUR,
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

__all__ = ["Redelivery", "Retries"]

HI = drafts(user("hi", id="m1"))[0]
OTHER = drafts(user("not hi", id="m1"))[0]


def _turn(store: Store, message_id: str, token: str, session_id: str = "s", *, key: str | None = None) -> None:
    """A whole turn: a message and its reply."""
    begin(store, user("hi", id=message_id), token, session_id=session_id, key=key)
    reply = drafts(assistant(f"reply to {message_id}"))
    do(store, Finish(at=AT, session_id=session_id, token=token, messages=reply))


class Redelivery(StoreCase):
    """A platform sends a message again."""

    def test_of_a_finished_turn(self, store: Store) -> None:
        """The turn is handed back, with where it ended; nothing is stored and the feed says nothing."""
        create(store, "s", key="k")
        _turn(store, "m1", "t1", key="k")
        before = drain(store)
        again = begin(store, user("hi", id="m1"), "t2", key="k", at=AT + MINUTE)
        assert (again.kind, again.session_id, again.seq) == ("replayed", "s", 1)
        assert again.turn is not None
        assert (again.turn.state, again.turn.end_seq, again.turn.token) == ("finished", 2, "t1")
        assert drain(store) == before
        _turn(store, "m2", "t3", key="k")
        again = begin(store, user("hi", id="m1"), "t4", key="k", at=AT + MINUTE)
        assert again.kind == "replayed"
        assert again.turn is not None
        assert again.turn.end_seq == 2

    def test_of_the_running_turn(self, store: Store) -> None:
        """SessionBusy: it is being answered. For a caller who would have his message stored: it is."""
        create(store)
        begin(store, user("hi", id="m1"))
        refused(store, Begin(at=AT, session_id="s", message=HI, lease=lease("t2"), on_busy="raise"), SessionBusy)
        again = begin(store, user("hi", id="m1"), "t2", on_busy="store")
        assert (again.kind, again.seq, again.turn) == ("stored", 1, None)
        assert texts(live(store)) == ["hi"]
        assert list(store.queued("s", None)) == []

    def test_of_a_turn_whose_lease_ran_out(self, store: Store) -> None:
        """The turn goes on under the new token; the old holder has lost it; the message is there once."""
        create(store)
        begin(store, user("hi", id="m1"), micros=1)
        append(store, "s", assistant("half"), token="t1")  # noqa: S106
        taken = begin(store, user("hi", id="m1"), "t2", at=AT + MINUTE)
        assert (taken.kind, taken.seq) == ("taken_over", 1)
        assert taken.turn is not None
        assert (taken.turn.first_seq, taken.turn.token, taken.turn.state) == (1, "t2", "running")
        late = Append(at=AT + MINUTE, session_id="s", token="t1", messages=drafts(assistant("late")))  # noqa: S106
        refused(store, late, TurnLost)
        done = do(store, Finish(at=AT + MINUTE, session_id="s", token="t2", messages=drafts(assistant("whole"))))  # noqa: S106
        assert done.appended.seqs == (3,)
        assert texts(live(store)) == ["hi", "half", "whole"]

    def test_of_an_interrupted_turn(self, store: Store) -> None:
        """It is taken over where it stands."""
        create(store)
        begin(store, user("hi", id="m1"))
        do(store, Finish(at=AT, session_id="s", token="t1", state="interrupted", messages=drafts(assistant("half"))))  # noqa: S106
        taken = begin(store, user("hi", id="m1"), "t2")
        assert (taken.kind, taken.seq) == ("taken_over", 1)
        turn = store.turn("s", None)
        assert turn is not None
        assert (turn.state, turn.token, turn.reason, turn.ended_at) == ("running", "t2", None, None)

    def test_of_an_interrupted_turn_that_others_followed(self, store: Store) -> None:
        """The conversation has gone on: the turn is handed back as it ended."""
        create(store)
        begin(store, user("hi", id="m1"))
        do(store, Finish(at=AT, session_id="s", token="t1", state="interrupted"))  # noqa: S106
        _turn(store, "m2", "t2")
        again = begin(store, user("hi", id="m1"), "t3")
        assert (again.kind, again.seq) == ("replayed", 1)
        assert again.turn is not None
        assert again.turn.state == "interrupted"
        assert store.open_turns(None, NOW) == []

    def test_with_other_content(self, store: Store) -> None:
        """A known id with other content is a conflict, whether its turn runs or is over."""
        create(store, "s", key="k")
        begin(store, user("hi", id="m1"), key="k")
        again = Begin(at=AT, key="k", session_id="s", message=OTHER, lease=lease("t2"))
        refused(store, again, SessionConflict)
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        refused(store, again, SessionConflict)

    def test_of_a_message_that_was_appended(self, store: Store) -> None:
        """A message that was stored outside of a turn begins one where it stands, once."""
        create(store, "s", user("hi", id="m1"))
        first = begin(store, user("hi", id="m1"))
        assert (first.kind, first.seq) == ("begun", 1)
        assert first.turn is not None
        assert first.turn.message_seq == 1
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("a"))))  # noqa: S106
        again = begin(store, user("hi", id="m1"), "t2")
        assert (again.kind, again.seq) == ("replayed", 1)
        assert texts(live(store)) == ["hi", "a"]

    def test_after_a_rollback(self, store: Store) -> None:
        """The message begins anew, at a new position, as often as it is rolled back."""
        create(store)
        for n in range(3):
            begun = begin(store, user("hi", id="m1"), f"t{n}")
            assert (begun.kind, begun.seq) == ("begun", n + 1)
            do(store, Finish(at=AT, session_id="s", token=f"t{n}", state="rolled_back"))
            assert live(store) == []
        assert begin(store, user("hi", id="m1"), "last").seq == 4
        do(store, Finish(at=AT, session_id="s", token="last", messages=drafts(assistant("a"))))  # noqa: S106
        assert begin(store, user("hi", id="m1"), "t9").kind == "replayed"
        assert texts(live(store)) == ["hi", "a"]
        assert texts(stored(store)) == ["hi"] * 4 + ["a"]

    def test_across_a_reset(self, store: Store) -> None:
        """What the session before has answered is answered by its turn, and the new session stays empty."""
        create(store, "s", key="k")
        _turn(store, "m1", "t1", key="k")
        do(store, Rotate(at=AT + MINUTE, key="k", session_id="s", new=new("s2")))
        again = begin(store, user("hi", id="m1"), "t2", key="k", session_id="s2", at=AT + HOUR)
        assert (again.kind, again.session_id, again.seq) == ("replayed", "s", 1)
        assert again.turn is not None
        assert again.turn.end_seq == 2
        assert live(store, "s2") == []
        other = Begin(at=AT + HOUR, key="k", session_id="s2", message=OTHER, lease=lease("t2"))
        refused(store, other, SessionConflict)

    def test_across_a_reset_of_what_was_never_answered(self, store: Store) -> None:
        """It begins a turn in the new session."""
        create(store, "s", key="k")
        begin(store, user("hi", id="m1"), key="k")
        do(store, Rotate(at=AT + MINUTE, key="k", session_id="s", new=new("s2")))
        again = begin(store, user("hi", id="m1"), "t2", key="k", session_id="s2", at=AT + HOUR)
        assert (again.kind, again.session_id, again.seq) == ("begun", "s2", 1)

    def test_long_after_a_reset(self, store: Store) -> None:
        """Platforms redeliver within hours: after days the same id is another message."""
        create(store, "s", key="k")
        _turn(store, "m1", "t1", key="k")
        do(store, Rotate(at=AT + MINUTE, key="k", session_id="s", new=new("s2")))
        assert begin(store, user("x", id="m1"), "t2", key="k", session_id="s2", at=AT + 3 * DAY).kind == "begun"

    def test_that_would_reset_the_session(self, store: Store) -> None:
        """Rotate with `unless_message` does nothing where the session holds that message, and else resets."""
        create(store, "s", user("hi", id="m1"), key="k")
        before = drain(store)
        again = Rotate(at=AT, key="k", session_id="s", new=new("s2"), unless_message="m1")
        assert do(store, again) == Rotated(None, "s")
        assert drain(store) == before
        fresh = Rotate(at=AT, key="k", session_id="s", new=new("s2"), unless_message="m2")
        assert do(store, fresh) == Rotated("s", "s2")


def _again(first: Begun) -> Begun:
    """What the same commit answers once more: other messages may have come since."""
    return msgspec.structs.replace(first, rev=None)


class Retries(StoreCase):
    """A caller who never got the answer commits the very same value again."""

    def test_a_begin_with_its_own_token(self, store: Store) -> None:
        """The turn that it began is answered again, as the first time, notice included."""
        create(store, "old", key="k")
        do(store, Rotate(at=AT, key="k", session_id="old", new=new("s", notice='{"for_model":"fresh"}')))
        operation = Begin(at=AT, key="k", session_id="s", message=HI, lease=lease("t1"))
        first = do(store, operation)
        before = drain(store)
        assert first.kind == "begun"
        assert first.notice is not None
        for _ in range(2):
            assert do(store, operation) == _again(first)
        assert drain(store) == before
        assert texts(live(store)) == ["hi"]

    def test_a_begin_on_first_contact(self, store: Store) -> None:
        """The session that it made is found again; no second one is made."""
        operation = Begin(at=AT, key="k", create=new("s"), message=drafts("hi")[0], lease=lease("t1"))
        first = do(store, operation)
        assert do(store, operation) == _again(first)
        assert texts(live(store)) == ["hi"]

    def test_a_begin_that_took_waiting_messages_along(self, store: Store) -> None:
        """The answer is the same, before and after the turn has stored something."""
        create(store)
        begin(store, "hi")
        begin(store, "waits", "x", on_busy="store")
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("a"))))  # noqa: S106
        operation = Begin(at=AT, session_id="s", message=drafts("next")[0], lease=lease("t2"))
        first = do(store, operation)
        assert (first.seq, first.queued) == (4, (2,))
        assert do(store, operation) == _again(first)
        append(store, "s", assistant("b"), token="t2")  # noqa: S106
        again = do(store, operation)
        assert (again.kind, again.seq, again.queued) == ("begun", 4, (2,))

    def test_a_begin_without_a_message(self, store: Store) -> None:
        """The waiting messages that it took are named again, after the turn has stored something too."""
        create(store)
        begin(store, "hi")
        begin(store, "waits", "x", on_busy="store")
        begin(store, "waits too", "x", on_busy="store")
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        operation = Begin(at=AT, session_id="s", lease=lease("t2"))
        first = do(store, operation)
        assert (first.seq, first.queued) == (2, (3,))
        assert do(store, operation) == _again(first)
        append(store, "s", assistant("b"), token="t2")  # noqa: S106
        again = do(store, operation)
        assert (again.kind, again.seq, again.queued) == ("begun", 2, (3,))

    def test_a_begin_with_a_message_that_was_appended(self, store: Store) -> None:
        """The position of that message is answered, after the turn has stored something too."""
        create(store, "s", "a", user("hi", id="m1"))
        operation = Begin(at=AT, session_id="s", message=HI, lease=lease("t1"))
        first = do(store, operation)
        assert first.seq == 2
        append(store, "s", assistant("b"), token="t1")  # noqa: S106
        again = do(store, operation)
        assert (again.kind, again.seq, again.queued) == ("begun", 2, ())

    def test_a_begin_that_took_a_turn_over(self, store: Store) -> None:
        """It is told again that it took over."""
        create(store)
        begin(store, user("hi", id="m1"), micros=1)
        operation = Begin(at=AT + MINUTE, session_id="s", message=HI, lease=lease("t2"))
        first = do(store, operation)
        again = do(store, operation)
        assert (first.kind, first.seq) == (again.kind, again.seq) == ("taken_over", 1)
        assert again.turn == first.turn

    def test_a_begin_whose_session_is_anothers(self, store: Store) -> None:
        """Knowing a token gives nobody the turn of another owner."""
        create(store, "s", owner="ann")
        begin(store, user("hi", id="m1"), owner="ann")
        foreign = Begin(at=AT, session_id="s", owner="bob", message=HI, lease=lease("t1"))
        (answer,) = store.commit([foreign])
        assert isinstance(answer, LookupError)

    def test_a_charge_with_an_id(self, store: Store) -> None:
        """RecordUsage with an id charges once; without one, each time."""
        create(store)
        usage = Usage(input_tokens=5, model="m")
        for n, charge_id in enumerate(["u1", "u1", "u2", None, None]):
            do(store, RecordUsage(at=AT + n * SECOND, session_id="s", usage=usage, id=charge_id))
        info = store.info("s", None, NOW)
        assert info.usage is not None
        assert info.usage.input_tokens == 20
        assert append(store, "s", user("a", id="u1")).seqs == (1,), "ids of charges are none of messages"
