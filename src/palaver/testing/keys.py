"""Conformance: keys are bound, what is kept about a session is changed, and holds expire."""

from __future__ import annotations

import pytest

from palaver.errors import InvalidMessage, PalaverError, SessionConflict
from palaver.model import Usage, assistant
from palaver.operations import Append, Bind, Finish, Hold, RecordUsage, Rotate, SetInfo
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
    HOUR,
    MINUTE,
    NOW,
    append,
    batch,
    begin,
    create,
    do,
    drafts,
    drain,
    later,
    new,
    refused,
    texts,
)

__all__ = ["Bindings", "Details"]


class Bindings(StoreCase):
    """Bind."""

    def test_a_session_may_have_several_keys(self, store: Store) -> None:
        """They are listed oldest first; each finds it."""
        create(store, "s", "a", key="z", owner="ann")
        do(store, Bind(at=AT + 1, owner="ann", key="m", session_id="s"))
        do(store, Bind(at=AT + 2, key="a", session_id="s"))
        assert store.info("s", None, NOW).keys == ("z", "m", "a")
        for key in ("z", "m", "a"):
            current = store.current("ann", key, NOW)
            assert current is not None
            assert current.id == "s"
            assert store.bound("ann", key) == "s"
        assert store.current("", "a", NOW) is None
        assert store.bound("", "a") is None

    def test_the_session_that_is_left_ends_with_its_last_key(self, store: Store) -> None:
        """A switch moves the key; a session that no key points at any more has ended."""
        create(store, "s1", "a", key="k1")
        create(store, "s2", "b", key="k2")
        do(store, Bind(at=AT + MINUTE, key="k1", session_id="s2"))
        left, joined = store.info("s1", None, NOW), store.info("s2", None, NOW)
        assert (left.ended_at, left.end_reason, left.keys) == (later(MINUTE), "switch", ())
        assert (joined.ended_at, joined.keys) == (None, ("k2", "k1"))
        assert {(c.session_id, c.kind) for c in drain(store)} >= {("s1", "ended"), ("s2", "bound")}

    def test_a_session_without_keys_is_no_ended_one(self, store: Store) -> None:
        """One that never had a key is written to until a key has left it."""
        create(store, "s", "a")
        do(store, Bind(at=AT, key="k", session_id="s"))
        assert store.info("s", None, NOW).ended_at is None
        assert append(store, "s", "b").seqs == (2,)

    def test_resuming_reopens(self, store: Store) -> None:
        """An ended session is written to again; the turn that its end interrupted stays interrupted."""
        create(store, "s", "a", key="k")
        begin(store, "hi", key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2")))
        do(store, Bind(at=AT + MINUTE, key="k", session_id="s"))
        info = store.info("s", None, NOW)
        assert (info.ended_at, info.end_reason, info.keys, info.turn_running) == (None, None, ("k",), False)
        assert store.info("s2", None, NOW).ended_at == later(MINUTE)
        assert append(store, "s", "b").seqs == (3,)
        assert begin(store, "c", "t2", key="k").kind == "begun"

    def test_binding_to_the_current_one_does_nothing(self, store: Store) -> None:
        """No rev, no change in the feed."""
        create(store, "s", "a", key="k")
        before, feed = store.info("s", None, NOW), drain(store)
        do(store, Bind(at=AT + HOUR, key="k", session_id="s"))
        assert store.info("s", None, NOW) == before
        assert drain(store) == feed

    def test_leaving_a_running_turn_interrupts_it(self, store: Store) -> None:
        """A switch away from its last key ends the session, and with it the turn."""
        create(store, "s1", key="k")
        create(store, "s2")
        begin(store, "hi", session_id="s1", key="k")
        do(store, Bind(at=AT, key="k", session_id="s2"))
        turn = store.turn("s1", None)
        assert turn is not None
        assert turn.state == "interrupted"
        assert store.open_turns(None, NOW) == []

    def test_to_and_fro(self, store: Store) -> None:
        """Switching back and forth leaves one open session each time."""
        create(store, "s1", "a", key="k")
        create(store, "s2", "b")
        for n in range(1, 5):
            target, other = ("s2", "s1") if n % 2 else ("s1", "s2")
            do(store, Bind(at=AT + n, key="k", session_id=target))
            current = store.current("", "k", NOW)
            assert current is not None
            assert current.id == target == store.bound("", "k")
            assert store.info(other, None, NOW).ended_at == later(n)


class Details(StoreCase):
    """SetInfo, Hold, RecordUsage."""

    def test_metadata_is_merged(self, store: Store) -> None:
        """New names are added, known ones replaced, those with null removed; nesting is replaced whole."""
        create(store)
        do(store, SetInfo(at=AT, session_id="s", metadata='{"a":1,"b":{"x":1},"c":[1]}'))
        do(store, SetInfo(at=AT, session_id="s", metadata='{"a":null,"b":{"y":2},"d":"\\u0000","e":null}'))
        assert store.info("s", None, NOW).metadata == {"b": {"y": 2}, "c": [1], "d": "\x00"}
        do(store, SetInfo(at=AT, session_id="s", metadata='{"b":null,"c":null,"d":null}'))
        assert store.info("s", None, NOW).metadata == {}

    def test_each_change_is_one_rev(self, store: Store) -> None:
        """rev grows by one; with `expected_rev` who comes second is refused; nothing to change changes nothing."""
        create(store)
        for n in range(1, 3):
            do(store, SetInfo(at=AT, session_id="s", metadata=f'{{"n":{n}}}', expected_rev=n - 1))
            assert store.info("s", None, NOW).rev == n
        error = refused(store, SetInfo(at=AT, session_id="s", metadata="{}", expected_rev=1), SessionConflict)
        assert (error.expected, error.actual) == (1, 2)
        before = drain(store)
        do(store, SetInfo(at=AT, session_id="s", expected_rev=2))
        assert store.info("s", None, NOW).rev == 2
        assert drain(store) == before
        assert [(c.kind, c.rev) for c in before] == [("created", 0), ("info", 1), ("info", 2)]

    @pytest.mark.parametrize("text", ["[1]", "null", "nonsense", '{"a":1e999}'])
    def test_what_is_no_json_object_is_refused_alone(self, store: Store, text: str) -> None:
        """The operation is answered by an error, and others in the same commit are done."""
        create(store)
        answers = batch(
            store,
            Append(at=AT, session_id="s", messages=drafts("a")),
            SetInfo(at=AT, session_id="s", metadata=text),
            Append(at=AT, session_id="s", messages=drafts("b")),
        )
        assert isinstance(answers[1], PalaverError)
        assert (answers[0].seqs, answers[2].seqs) == ((1,), (2,))

    def test_a_hold_lasts_until_it_expires(self, store: Store) -> None:
        """It is seen until then; the next hold drops it for good."""
        create(store, "s", "a")
        do(store, Hold(at=AT, session_id="s", name="job", until=AT + HOUR))
        (hold,) = store.info("s", None, later(HOUR - 1)).holds
        assert (hold.name, hold.until) == ("job", later(HOUR))
        assert store.info("s", None, later(HOUR)).holds == ()
        do(store, Hold(at=AT + 2 * HOUR, session_id="s", name="other", until=AT + 3 * HOUR))
        assert [h.name for h in store.info("s", None, NOW).holds] == ["other"]

    def test_holds_have_names(self, store: Store) -> None:
        """Each is prolonged and released by its own; releasing an unknown one harms nothing; none has no name."""
        create(store)
        for name, until in (("b", HOUR), ("a", HOUR), ("a", 2 * HOUR)):
            do(store, Hold(at=AT, session_id="s", name=name, until=AT + until))
        assert {h.name: h.until for h in store.info("s", None, NOW).holds} == {"a": later(2 * HOUR), "b": later(HOUR)}
        for name in ("b", "unknown"):
            do(store, Hold(at=AT, session_id="s", name=name, until=None))
        assert [h.name for h in store.info("s", None, NOW).holds] == ["a"]
        refused(store, Hold(at=AT, session_id="s", name="", until=AT + HOUR), InvalidMessage)

    def test_usage_is_summed(self, store: Store) -> None:
        """Over days, models and turns; the prompt's size and the model are the latest; costs are exact."""
        create(store)
        begin(store, "hi")
        cost = Usage(cost=None).cost
        assert cost is None
        do(store, RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=1, output_tokens=2, model="m1")))
        charge = Usage(input_tokens=10, reasoning_tokens=3, cached_tokens=4, cache_write_tokens=5, model="m2")
        do(store, RecordUsage(at=AT + 26 * HOUR, session_id="s", usage=charge))
        last = Usage(input_tokens=100, prompt_tokens=60, model="m2")
        end = Finish(
            at=AT + 27 * HOUR,
            session_id="s",
            token="t1",  # noqa: S106
            messages=drafts(assistant("a")),
            usage=last,
        )
        do(store, end)
        do(store, end)
        total = store.info("s", None, NOW).usage
        assert total == Usage(
            input_tokens=111,
            output_tokens=2,
            reasoning_tokens=3,
            cached_tokens=4,
            cache_write_tokens=5,
            prompt_tokens=60,
            model="m2",
        )
        assert texts(store.page("s", None)) == ["hi", "a"]
        lines = [(u.day, u.model, u.calls, u.usage.input_tokens) for u in store.usage(None)]
        assert lines == [("2026-03-05", "m1", 1, 1), ("2026-03-06", "m2", 2, 110)]

    @pytest.mark.parametrize("tokens", [1 << 63, 1 << 200])
    def test_an_absurd_charge_harms_nobody_else(self, store: Store, tokens: int) -> None:
        """A count that no store could keep is refused alone, and the store goes on."""
        create(store)
        answers = batch(
            store,
            Append(at=AT, session_id="s", messages=drafts("a")),
            RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=tokens)),
        )
        assert answers[0].seqs == (1,)
        assert isinstance(answers[1], PalaverError)
        assert append(store, "s", "b").seqs == (2,)
