"""Conformance: reads over many sessions."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from palaver.errors import InvalidKey, SessionNotFound
from palaver.model import Usage, assistant
from palaver.operations import Create, Cut, Delete, Finish, RecordUsage, Rotate, SetInfo
from palaver.stores.base import SessionQuery, Stats, Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
    DAY,
    EVERYTHING,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    append,
    begin,
    create,
    do,
    drafts,
    later,
    new,
    refused,
)

__all__ = ["Accounts", "Listings"]


def _ids(store: Store, query: SessionQuery) -> list[str]:
    return [info.id for info in store.sessions(query, NOW)]


class Listings(StoreCase):
    """sessions and open_turns."""

    def test_newest_activity_first(self, store: Store) -> None:
        """A message moves its session to the top; other changes move nothing."""
        for n in range(4):
            create(store, f"s{n}", "a", at=AT + n * MINUTE)
        assert _ids(store, SessionQuery()) == ["s3", "s2", "s1", "s0"]
        append(store, "s1", "b", at=AT + HOUR)
        do(store, SetInfo(at=AT + 2 * HOUR, session_id="s0", metadata='{"a":1}'))
        assert _ids(store, SessionQuery()) == ["s1", "s3", "s2", "s0"]

    def test_what_is_listed_is_what_is_there(self, store: Store) -> None:
        """Counts, keys, positions and running turns are as `info` tells them; only usage is left out."""
        create(store, "s", "a", key="k", owner="ann")
        for n in range(3):
            append(store, "s", "b", at=AT + n)
        do(store, RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=1)))
        begin(store, "hi", at=AT + 3)
        (listed,) = store.sessions(SessionQuery(), NOW)
        info = store.info("s", None, NOW)
        assert listed == msgspec.structs.replace(info, usage=None, last_active_at=listed.last_active_at)
        assert abs((listed.last_active_at - info.last_active_at).total_seconds()) < 1
        assert listed.turn_running

    def test_page_by_page(self, store: Store) -> None:
        """Each session comes once, in the same order, whatever the page's size, also where times are equal."""
        for n in range(11):
            create(store, f"s{n:02}", "a", at=AT + n // 4 * MINUTE)
        whole = _ids(store, EVERYTHING)
        assert sorted(whole) == [f"s{n:02}" for n in range(11)]
        for limit in (1, 2, 5, 20):
            got: list[str] = []
            while page := _ids(store, SessionQuery(limit=limit, after=got[-1] if got else None)):
                assert len(page) <= limit
                got += page
            assert got == whole
        assert _ids(store, SessionQuery(limit=0)) == []

    def test_a_page_after_nobody(self, store: Store) -> None:
        """After a session that is unknown, or another owner's: SessionNotFound."""
        create(store, "s", "a", owner="ann")
        for query in (SessionQuery(after="no"), SessionQuery(after="s", owner="bob")):
            with pytest.raises(SessionNotFound):
                store.sessions(query, NOW)

    def test_a_page_after_a_deleted_one(self, store: Store) -> None:
        """Where deleted sessions are listed, a page may end with one, and the next goes on from there."""
        for n in range(4):
            create(store, f"s{n}", "a", at=AT + n * MINUTE)
        for session_id in ("s1", "s2"):
            do(store, Delete(at=AT + HOUR, session_id=session_id))
        read: list[str] = []
        while page := _ids(store, SessionQuery(limit=1, after=read[-1] if read else None, include_deleted=True)):
            read += page
        assert read == ["s3", "s2", "s1", "s0"]
        with pytest.raises(SessionNotFound):
            store.sessions(SessionQuery(after="s2"), NOW)

    def test_of_one_owner(self, store: Store) -> None:
        """An owner sees his own; the operator (None) sees all; the empty owner is one of them."""
        for session, owner in (("s1", "ann"), ("s2", "bob"), ("s3", None), ("s4", "ann")):
            create(store, session, "a", owner=owner)
        assert sorted(_ids(store, SessionQuery(owner="ann"))) == ["s1", "s4"]
        assert _ids(store, SessionQuery(owner="")) == ["s3"]
        assert _ids(store, SessionQuery(owner="eve")) == []
        assert len(_ids(store, SessionQuery())) == 4
        assert [info.owner for info in store.sessions(SessionQuery(owner=""), NOW)] == [None]

    def test_active_since(self, store: Store) -> None:
        """Sessions that were active at that time or later."""
        for n in range(4):
            create(store, f"s{n}", "a", at=AT + n * HOUR)
        assert _ids(store, SessionQuery(active_since=later(2 * HOUR))) == ["s3", "s2"]
        assert _ids(store, SessionQuery(active_since=later(2 * HOUR + 1))) == ["s3"]
        assert _ids(store, SessionQuery(active_since=later(DAY))) == []

    def test_empty_sessions_are_left_out(self, store: Store) -> None:
        """Unless asked for. One whose messages were cut is not empty: it has had some."""
        create(store, "empty")
        create(store, "cut", "a")
        do(store, Cut(at=AT, session_id="cut", from_seq=1, through_seq=1, kind="clear"))
        assert _ids(store, SessionQuery()) == ["cut"]
        assert sorted(_ids(store, SessionQuery(include_empty=True))) == ["cut", "empty"]

    def test_a_session_is_listed_from_its_first_message_on(self, store: Store) -> None:
        """At once, also where the message came within a moment of the session."""
        create(store, "s")
        append(store, "s", "a", at=AT + 1)
        (info,) = store.sessions(SessionQuery(), NOW)
        assert (info.id, info.message_count, info.last_seq) == ("s", 1, 1)

    def test_ended_sessions_may_be_left_out(self, store: Store) -> None:
        """They are listed unless that is refused."""
        create(store, "s", "a", key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2", carried=drafts("a"))))
        assert sorted(_ids(store, SessionQuery())) == ["s", "s2"]
        assert _ids(store, SessionQuery(include_ended=False)) == ["s2"]

    def test_open_turns(self, store: Store) -> None:
        """Every turn that has not ended, oldest first, with its lease; whoever it belongs to."""
        for n, owner in enumerate(("ann", "bob", "ann", "ann")):
            create(store, f"s{n}", "a", owner=owner)
            begin(store, "hi", session_id=f"s{n}", at=AT - n * SECOND, micros=HOUR)
        do(store, Finish(at=AT, session_id="s3", token="t1"))  # noqa: S106
        turns = store.open_turns(None, NOW)
        assert [t.session_id for t in turns] == ["s2", "s1", "s0"]
        assert [(t.first_seq, t.alive, t.owner) for t in turns] == [
            (2, True, "ann"),
            (2, True, "bob"),
            (2, True, "ann"),
        ]
        assert turns[0].began_at == later(-2 * SECOND)
        assert [t.session_id for t in store.open_turns("ann", NOW)] == ["s2", "s0"]
        assert store.open_turns("eve", NOW) == []
        if self.lease_clock == "caller":
            assert turns[0].expires_at == later(HOUR - 2 * SECOND)
            assert [t.alive for t in store.open_turns(None, later(HOUR - SECOND))] == [False, False, True]


class Accounts(StoreCase):
    """usage and stats."""

    def test_usage_by_session_day_and_model(self, store: Store) -> None:
        """One line each, oldest day first, in UTC days; costs are exact to a billionth of a dollar."""
        create(store, "s1", owner="ann")
        create(store, "s2", owner="bob")
        cost = Decimal("0.000000001")
        for session, at, usage in (
            ("s1", AT + 12 * HOUR, Usage(input_tokens=3, model="m")),
            ("s1", AT + 12 * HOUR - 1, Usage(input_tokens=1, output_tokens=2, model="m", cost=cost)),
            ("s2", AT, Usage(input_tokens=4, cost=Decimal("12.5"))),
            ("s1", AT, Usage(input_tokens=5, model="m", cost=3 * cost)),
        ):
            do(store, RecordUsage(at=at, session_id=session, usage=usage))
        lines = [(u.session_id, u.owner, u.day, u.model, u.calls, u.usage.input_tokens) for u in store.usage(None)]
        assert lines == [
            ("s1", "ann", "2026-03-05", "m", 2, 6),
            ("s2", "bob", "2026-03-05", "", 1, 4),
            ("s1", "ann", "2026-03-06", "m", 1, 3),
        ]
        assert [u.usage.cost for u in store.usage(None)] == [4 * cost, Decimal("12.5"), None]
        assert [u.session_id for u in store.usage("bob")] == ["s2"]
        assert [u.day for u in store.usage(None, session_id="s1")] == ["2026-03-05", "2026-03-06"]
        assert store.usage("bob", session_id="s1") == []
        assert [u.day for u in store.usage(None, since=later(12 * HOUR))] == ["2026-03-06"]
        assert len(store.usage(None, since=later(12 * HOUR - 1))) == 3

    def test_a_cost_that_is_not_known_is_not_nothing(self, store: Store) -> None:
        """A line says of how many calls the cost is known, and whose price the newest was; free is not unknown."""
        create(store, "s")
        for usage in (
            Usage(input_tokens=1, model="m", cost=Decimal("0.5"), cost_source="a list of March"),
            Usage(input_tokens=2, model="m"),
            Usage(input_tokens=3, model="m", cost=Decimal("0.25"), cost_source="a list of April"),
            Usage(input_tokens=4, model="free", cost=Decimal(0), cost_source="the provider"),
            Usage(input_tokens=5, model="unknown"),
        ):
            do(store, RecordUsage(at=AT, session_id="s", usage=usage))
        lines = {u.model: (u.calls, u.priced_calls, u.usage.cost, u.usage.cost_source) for u in store.usage(None)}
        assert lines == {
            "m": (3, 2, Decimal("0.75"), "a list of April"),
            "free": (1, 1, Decimal(0), "the provider"),
            "unknown": (1, 0, None, None),
        }
        stats = store.stats(None)
        assert (stats.calls, stats.priced_calls, stats.usage.cost) == (5, 3, Decimal("0.75"))
        refused(store, RecordUsage(at=AT, session_id="s", usage=Usage(cost=Decimal(1), cost_source="\x00")), InvalidKey)

    def test_an_ended_session_can_be_charged(self, store: Store) -> None:
        """What a call cost is known after it, and the session may have been reset meanwhile."""
        create(store, "s", key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2")))
        do(store, RecordUsage(at=AT, session_id="s", usage=Usage(output_tokens=1)))
        assert [(u.session_id, u.usage.output_tokens) for u in store.usage(None)] == [("s", 1)]

    def test_stats(self, store: Store) -> None:
        """How much there is, in all and of one owner."""
        none = store.stats(None)
        assert (none.sessions, none.messages, none.open_turns, none.owners, none.usage) == (0, 0, 0, 0, Usage())
        create(store, "s1", "a", "b", "c", owner="ann")
        create(store, "s2", "d", owner="ann")
        create(store, "s3", owner="bob")
        begin(store, "hi", session_id="s3", at=AT + 1)
        append(store, "s3", assistant("x"), token="t1", at=AT + 2)  # noqa: S106
        do(store, Cut(at=AT, session_id="s1", from_seq=2, through_seq=3, kind="rewind"))
        append(store, "s1", "e", at=AT + 3)
        for session, tokens in (("s1", 1), ("s3", 10)):
            usage = Usage(input_tokens=tokens, output_tokens=1, cost=Decimal("0.25"))
            do(store, RecordUsage(at=AT, session_id=session, usage=usage))

        def counted(stats: Stats) -> tuple[int, ...]:
            return stats.sessions, stats.messages, stats.open_turns, stats.owners, stats.usage.input_tokens

        assert counted(store.stats(None)) == (3, 5, 1, 2, 11)
        assert counted(store.stats("ann")) == (2, 3, 0, 1, 1)
        assert counted(store.stats("eve")) == (0, 0, 0, 0, 0)
        every = store.stats(None)
        assert (every.usage.output_tokens, every.usage.cost) == (2, Decimal("0.50"))
        assert every.size_bytes > 0
        assert every.store == store.name
        assert every.feed_lag.changes == store.feed_lag().changes == 0

    def test_a_store_that_holds_nothing(self, store: Store) -> None:
        """Every read has an answer."""
        assert store.sessions(EVERYTHING, NOW) == []
        assert store.open_turns(None, NOW) == []
        assert store.changes(None) == []
        assert store.usage(None) == []
        assert store.check() == []
        assert store.current("", "k", NOW) is None
        assert store.named("", "a") is None

    def test_titles_and_origins_are_listed_as_they_are(self, store: Store) -> None:
        """A listing tells what a person recognises a conversation by."""
        do(store, Create(at=AT, new=new("s", title="Plans \N{GRINNING FACE}", explicit=True, carried=drafts("hi"))))
        (info,) = store.sessions(SessionQuery(), NOW)
        assert (info.title, info.preview, info.message_count) == ("Plans \N{GRINNING FACE}", "hi", 1)
