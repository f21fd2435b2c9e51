"""Conformance: one turn at a time runs in a session, for as long as its lease holds."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from palaver.errors import SessionBusy, SessionNotFound, TurnLost
from palaver.model import assistant
from palaver.operations import Append, Begin, Finish, Renew
from palaver.rows import Holder
from palaver.stores import holders
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
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
    later,
    lease,
    refused,
)

__all__ = ["Leases"]

HI = drafts("hi")[0]


class Leases(StoreCase):
    """Who may run, for how long, and who takes over."""

    def test_one_turn_at_a_time(self, store: Store) -> None:
        """While a lease holds, another message is refused and not stored; other sessions are free."""
        create(store)
        create(store, "s2")
        begin(store, "hi")
        refused(store, Begin(at=AT + MINUTE, session_id="s", message=HI, lease=lease("t2")), SessionBusy)
        assert begin(store, "hi", "t2", session_id="s2").kind == "begun"

    def test_a_lease_runs_out(self, store: Store) -> None:
        """Then the next message begins a turn, and the one before is closed as interrupted."""
        create(store)
        begin(store, "hi", micros=1)
        assert begin(store, "next", "t2", at=AT + MINUTE).kind == "begun"
        left = store.turn("s", None, 1)
        assert left is not None
        assert (left.state, left.end_seq) == ("interrupted", 1)
        assert "turn_interrupted" in [c.kind for c in drain(store)]
        for operation in (
            Append(at=AT + MINUTE, session_id="s", token="t1", messages=drafts("x")),  # noqa: S106
            Renew(at=AT + MINUTE, session_id="s", token="t1", micros=HOUR),  # noqa: S106
            Finish(at=AT + MINUTE, session_id="s", token="t1", messages=drafts("x")),  # noqa: S106
        ):
            refused(store, operation, TurnLost)

    def test_whose_clock_judges(self, store: Store) -> None:
        """A caller whose clock is ahead takes a living turn only where its clock is the one that counts."""
        create(store)
        begin(store, "hi", micros=10 * MINUTE)
        ahead = Begin(at=AT + 11 * MINUTE, session_id="s", message=HI, lease=lease("t2"))
        if self.lease_clock == "caller":
            assert do(store, ahead).kind == "begun"
            assert store.open_turns(None, later(11 * MINUTE))[0].expires_at == later(21 * MINUTE)
        else:
            refused(store, ahead, SessionBusy)

    def test_an_expired_lease_that_nobody_took_still_works(self, store: Store) -> None:
        """Its holder may store, renew and finish."""
        create(store)
        begin(store, "hi", micros=1)
        append(store, "s", assistant("a"), token="t1", at=AT + HOUR)  # noqa: S106
        do(store, Renew(at=AT + HOUR, session_id="s", token="t1", micros=HOUR))  # noqa: S106
        refused(store, Begin(at=AT + HOUR + MINUTE, session_id="s", message=HI, lease=lease("t2")), SessionBusy)
        done = do(store, Finish(at=AT + 3 * HOUR, session_id="s", token="t1", messages=drafts("x")))  # noqa: S106
        assert done.appended.seqs == (3,)

    def test_every_append_of_the_turn_renews_its_lease(self, store: Store) -> None:
        """The lease lasts for the given time from the append; an append from elsewhere renews nothing."""
        create(store)
        begin(store, "hi", micros=1)
        append(store, "s", assistant("a"), token="t1", lease_micros=HOUR, at=AT + MINUTE)  # noqa: S106
        late = AT + 40 * MINUTE
        refused(store, Begin(at=late, session_id="s", message=HI, lease=lease("t2")), SessionBusy)
        do(store, Renew(at=late, session_id="s", token="t1", micros=1))  # noqa: S106
        append(store, "s", "from elsewhere", at=late, lease_micros=HOUR)
        assert begin(store, "next", "t2", at=late + MINUTE).kind == "begun"

    def test_only_the_holder_renews(self, store: Store) -> None:
        """Another token, an ended turn and a session without one are TurnLost."""
        create(store)
        renew = Renew(at=AT, session_id="s", token="t1", micros=HOUR)  # noqa: S106
        refused(store, renew, TurnLost)
        begin(store, "hi")
        refused(store, msgspec.structs.replace(renew, token="t2"), TurnLost)  # noqa: S106
        refused(store, msgspec.structs.replace(renew, session_id="no"), SessionNotFound)
        do(store, renew)
        do(store, Finish(at=AT, session_id="s", token="t1"))  # noqa: S106
        refused(store, renew, TurnLost)

    def test_only_the_holder_finishes(self, store: Store) -> None:
        """Another token ends nothing and stores nothing."""
        create(store)
        begin(store, "hi")
        refused(store, Finish(at=AT, session_id="s", token="t2", messages=drafts("x")), TurnLost)  # noqa: S106
        refused(store, Append(at=AT, session_id="s", token="t2", messages=drafts("x")), TurnLost)  # noqa: S106

    def test_the_lease_of_a_dead_process_is_free(self, store: Store) -> None:
        """On one machine it is known at once that the holder is gone; of another machine it is not."""
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        here = holders.current()
        gone = Holder(here.host, child.pid, "long ago")
        for n, (holder, free) in enumerate(
            [(gone, True), (Holder(here.host, here.pid, "before"), True), (here, False), (Holder("x", 1, "?"), False)]
        ):
            session = create(store, f"s{n}")
            do(store, Begin(at=AT, session_id=session, message=HI, lease=lease("t1", HOUR, holder)))
            assert store.open_turns(None, NOW)[-1].alive is not free
            assert store.info(session, None, NOW).turn_running is not free
            next_turn = Begin(at=AT + SECOND, session_id=session, message=HI, lease=lease("t2", HOUR))
            if free:
                assert do(store, next_turn).kind == "begun"
            else:
                refused(store, next_turn, SessionBusy)
                do(store, Finish(at=AT, session_id=session, token="t1"))  # noqa: S106
                do(store, next_turn)
            do(store, Finish(at=AT, session_id=session, token="t2"))  # noqa: S106
