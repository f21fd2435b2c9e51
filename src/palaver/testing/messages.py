"""Conformance: messages are stored once, in order, as they were given."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from palaver.errors import SessionConflict, SessionEnded, SessionNotFound, TurnLost
from palaver.model import Message, Sender, ThinkingPart, ToolCall, Usage, assistant, system, tool, user
from palaver.operations import Append, Bind, Create, Finish, RecordUsage, Rotate, SetInfo
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
    EVERYTHING,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    append,
    batch,
    begin,
    create,
    do,
    drafts,
    drain,
    later,
    live,
    new,
    refused,
    seqs,
    stored,
    texts,
)

__all__ = ["Appends", "Batches"]

HOSTILE = [
    "",
    "\x00 and \x01 and \x7f",
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GRINNING FACE} \N{COMBINING ACUTE ACCENT} \N{RIGHT-TO-LEFT OVERRIDE}",
    "\u2028\u2029\ufeff\ufffe\U0010ffff",
    "'; DROP TABLE messages; -- \" \\ % _ ? :a $1 {} %s",
    '{"role":"system","seq":1}\n{"seq":2}\r\n',
    "line\nbreaks\r\n\t and \N{NO-BREAK SPACE} spaces ",
]


class Appends(StoreCase):
    """Append."""

    def test_positions_begin_at_one_and_go_on(self, store: Store) -> None:
        """Messages get positions from 1, in the order they were given, over several appends."""
        create(store)
        first = append(store, "s", "a", "b")
        second = append(store, "s", "c")
        assert (first.seqs, first.last_seq, first.fresh, first.session_id) == ((1, 2), 2, True, "s")
        assert (second.seqs, second.last_seq) == ((3,), 3)
        assert [(m.seq, m.text) for m in live(store)] == [(1, "a"), (2, "b"), (3, "c")]

    def test_sessions_number_apart(self, store: Store) -> None:
        """Each session has its own positions."""
        create(store, "one", "a", "b")
        create(store, "two", "c")
        assert (seqs(live(store, "one")), seqs(live(store, "two"))) == ([1, 2], [1])

    def test_an_append_of_nothing_stores_nothing(self, store: Store) -> None:
        """No messages: no position is used and the feed says nothing."""
        create(store, "s", "a")
        before = drain(store)
        done = append(store, "s")
        assert (done.seqs, done.last_seq, done.fresh) == ((), 1, False)
        assert drain(store) == before

    def test_everything_in_a_message_is_kept(self, store: Store) -> None:
        """Parts, sender, flags, usage, metadata and unknown keys come back as they were given."""
        given = [
            system("be brief"),
            user("hi", id="m1", sender=Sender(id="7", name="Ann"), flags=("injected",), metadata={"a": [1, None, {}]}),
            assistant(
                [ThinkingPart(text="", signature="sig"), "text"],
                ToolCall(call_id="c1", name="add", arguments='{"a": 1e2}', extra='{"x":null}'),
                usage=Usage(input_tokens=1, cost=Decimal("0.10")),
                wire="anthropic",
            ),
            tool("c1", "2", is_error=False),
        ]
        create(store, "s", *given)
        bare = [m.replace(seq=0, created_at=None, id=g.id) for m, g in zip(live(store), given, strict=True)]
        assert bare == given

    def test_a_message_without_a_time_gets_that_of_the_operation(self, store: Store) -> None:
        """`created_at` is the time of the append, to the microsecond, unless the message brought its own."""
        own = datetime(2001, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
        create(store)
        append(store, "s", "a", user("b", created_at=own), at=AT + 123_457)
        assert [m.created_at for m in live(store)] == [later(123_457), own]

    def test_a_repeated_id_is_stored_once(self, store: Store) -> None:
        """The same id with the same content keeps its first position; nothing is stored, the feed says nothing."""
        create(store, "s", user("a", id="m1"), "b")
        before = drain(store)
        again = append(store, "s", user("a", id="m1"), at=AT + HOUR)
        assert (again.seqs, again.last_seq, again.fresh) == ((1,), 2, False)
        assert texts(live(store)) == ["a", "b"]
        assert drain(store) == before

    def test_only_what_is_new_of_an_append_is_stored(self, store: Store) -> None:
        """An append of known and new messages stores the new ones and answers for all, in order."""
        create(store, "s", user("a", id="m1"))
        done = append(store, "s", user("b", id="m2"), user("a", id="m1"), "c", user("b", id="m2"))
        assert (done.seqs, done.last_seq, done.fresh) == ((2, 1, 3, 2), 3, True)
        assert texts(live(store)) == ["a", "b", "c"]

    def test_an_id_names_one_content(self, store: Store) -> None:
        """The same id with other content is a SessionConflict that names the position, and nothing is stored."""
        create(store, "s", user("a", id="m1"))
        error = refused(
            store,
            Append(at=AT, session_id="s", messages=drafts("new", user("other", id="m1"))),
            SessionConflict,
        )
        assert error.actual == 1

    def test_an_id_with_two_contents_in_one_append_is_refused(self, store: Store) -> None:
        """Two messages with one id and different content cannot be stored together."""
        create(store)
        messages = drafts(user("a", id="m1"), user("b", id="m1"))
        refused(store, Append(at=AT, session_id="s", messages=messages), SessionConflict)

    def test_the_same_content_is_a_matter_of_role_and_parts(self, store: Store) -> None:
        """A redelivery may bring another time and other flags; another role is other content."""
        create(store, "s", user("a", id="m1"))
        assert append(store, "s", user("a", id="m1", created_at=NOW, flags=("injected",))).seqs == (1,)
        messages = drafts(assistant("a", id="m1"))
        refused(store, Append(at=AT, session_id="s", messages=messages), SessionConflict)

    def test_ids_are_unique_in_their_session_only(self, store: Store) -> None:
        """Two sessions may hold different messages with one id."""
        create(store, "one", user("a", id="m1"))
        create(store, "two", user("b", id="m1"))
        assert texts(live(store, "two")) == ["b"]

    def test_ids_are_compared_exactly(self, store: Store) -> None:
        """Case, spaces and the way that a letter is composed tell ids apart."""
        ids = ["m", "M", "m ", " m", "é", "e\N{COMBINING ACUTE ACCENT}", "'", "%", "x" * 1000]
        create(store, "s", *(user(f"{n}", id=i) for n, i in enumerate(ids)))
        again = append(store, "s", *(user(f"{n}", id=i) for n, i in enumerate(ids)))
        assert again.seqs == tuple(range(1, len(ids) + 1))
        assert [m.id for m in live(store)] == ids

    def test_expected_seq_lets_the_first_through(self, store: Store) -> None:
        """`expected_seq` is the last position that the caller saw: who comes second gets a SessionConflict."""
        create(store, "s", "a")
        assert append(store, "s", "b", expected_seq=1).seqs == (2,)
        operation = Append(at=AT, session_id="s", messages=drafts("c"), expected_seq=1)
        error = refused(store, operation, SessionConflict)
        assert (error.expected, error.actual) == (1, 2)

    def test_expected_seq_of_an_empty_session_is_zero(self, store: Store) -> None:
        """0 means: nothing was there."""
        create(store)
        refused(store, Append(at=AT, session_id="s", messages=drafts("a"), expected_seq=1), SessionConflict)
        assert append(store, "s", "a", expected_seq=0).seqs == (1,)

    def test_a_retry_with_expected_seq_is_answered_as_the_first_time(self, store: Store) -> None:
        """A retry of what was stored is no conflict, although the position that was expected is past."""
        create(store, "s", "a")
        for _ in range(2):
            done = append(store, "s", user("b", id="m1"), user("c", id="m2"), expected_seq=1)
            assert done.seqs == (2, 3)
        assert texts(live(store)) == ["a", "b", "c"]

    def test_a_retry_that_brings_more_is_a_conflict(self, store: Store) -> None:
        """A stale `expected_seq` lets nothing new in, not even beside what is known."""
        create(store, "s", user("a", id="m1"))
        messages = drafts(user("a", id="m1"), user("b", id="m2"))
        refused(store, Append(at=AT, session_id="s", messages=messages, expected_seq=0), SessionConflict)

    def test_unknown_and_foreign_sessions_are_not_found(self, store: Store) -> None:
        """A session of another owner is as unknown as one that does not exist."""
        create(store, "s", "a", owner="ann")
        refused(store, Append(at=AT, session_id="no", messages=drafts("b")), SessionNotFound)
        refused(store, Append(at=AT, session_id="s", owner="bob", messages=drafts("b")), SessionNotFound)
        assert append(store, "s", "b", owner="ann").seqs == (2,)
        assert append(store, "s", "c").seqs == (3,)

    def test_an_ended_session_takes_nothing(self, store: Store) -> None:
        """SessionEnded, until the session is resumed."""
        create(store, "s", "a", key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2")))
        refused(store, Append(at=AT, session_id="s", messages=drafts("b")), SessionEnded)
        do(store, Bind(at=AT, key="k", session_id="s"))
        assert append(store, "s", "b").seqs == (2,)

    def test_by_key_the_session_is_made_with_its_first_message(self, store: Store) -> None:
        """With a key and what to make, an unbound key gets a session; a bound one means the session that it has."""
        first = append(store, "s1", "a", owner="ann", key="k", create=new("s1"))
        second = append(store, "s2", "b", owner="ann", key="k", create=new("s2"))
        assert (first.session_id, first.seqs) == ("s1", (1,))
        assert (second.session_id, second.seqs) == ("s1", (2,))
        current = store.current("ann", "k", NOW)
        assert current is not None
        assert (current.id, current.message_count) == ("s1", 2)
        assert [info.id for info in store.sessions(EVERYTHING, NOW)] == ["s1"]

    def test_appends_move_no_rev(self, store: Store) -> None:
        """The rev tells of everything but appends; the etag of both."""
        create(store, "s", "a")
        before = store.info("s", None, NOW)
        append(store, "s", "b")
        after = store.info("s", None, NOW)
        assert after.rev == before.rev
        assert after.etag != before.etag

    def test_the_preview_is_the_beginning_of_what_a_person_wrote(self, store: Store) -> None:
        """At most 120 characters of the first user message that a model may see, on one line."""
        create(store, "s", system("x"), user("cmd", flags=("command",)), assistant("y"))
        assert store.info("s", None, NOW).preview is None
        append(store, "s", user(" Hello\n\n  world " + "x" * 200))
        append(store, "s", "second")
        assert store.info("s", None, NOW).preview == ("Hello world " + "x" * 200)[:120]

    def test_only_messages_move_last_active(self, store: Store) -> None:
        """The creation time at first; then the time of the newest append, whatever else was done since."""
        create(store, "s")
        assert store.info("s", None, NOW).last_active_at == NOW
        append(store, "s", "a", at=AT + MINUTE)
        do(store, SetInfo(at=AT + HOUR, session_id="s", metadata='{"a":1}'))
        assert store.info("s", None, NOW).last_active_at == later(MINUTE)
        append(store, "s", "b", at=AT + MINUTE + 1)
        assert store.info("s", None, NOW).last_active_at == later(MINUTE + 1)

    def test_a_clock_that_steps_back_changes_no_order(self, store: Store) -> None:
        """After an hour back, messages follow those before, and last_active_at does not go back."""
        create(store, "s", "a")
        assert append(store, "s", "b", at=AT - HOUR).seqs == (2,)
        assert append(store, "s", "c", at=AT - HOUR + SECOND).seqs == (3,)
        assert texts(live(store)) == ["a", "b", "c"]
        assert texts(store.tail("s", None, NOW, limit=2).messages) == ["b", "c"]
        assert store.info("s", None, NOW).last_active_at == NOW

    @pytest.mark.parametrize("year", [1970, 2031, 9999])
    def test_a_dated_message_does_not_date_its_session(self, store: Store, year: int) -> None:
        """last_active_at is when the newest message was stored (within a second), not what the message says."""
        create(store, "s", "a")
        dated = user("b", created_at=datetime(year, 1, 1, tzinfo=UTC))
        append(store, "s", dated, at=AT + 10)
        append(store, "s", "c", at=AT + 20)
        append(store, "s", dated, at=AT + 30)
        active = store.info("s", None, NOW).last_active_at
        assert NOW <= active <= later(SECOND)
        assert live(store)[1].created_at == dated.created_at

    @pytest.mark.parametrize("text", HOSTILE)
    def test_any_text_comes_back(self, store: Store, text: str) -> None:
        """Control characters, every plane of Unicode, and what looks like SQL, JSON or lines comes back as it was."""
        create(store, "s", user(text), user([text, text], name=text or None, metadata={text: text}))
        assert texts(live(store)) == [text, text + text]
        assert live(store)[1].metadata == {text: text}
        assert texts(store.tail("s", None, NOW, limit=5).messages) == [text, text + text]

    def test_a_large_message_comes_back(self, store: Store) -> None:
        """Five megabytes in one message, beside small ones."""
        text = "0123456789abcdef" * (5 * 1024 * 1024 // 16)
        create(store, "s", "small", user(text), "after")
        assert [len(m.text) for m in live(store)] == [5, len(text), 5]
        assert live(store)[1].text == text

    def test_deep_metadata_comes_back(self, store: Store) -> None:
        """Nesting as deep as the codec lets through is stored and read."""
        deep: object = None
        for _ in range(190):
            deep = [deep]
        create(store, "s", user("a", metadata={"deep": deep}))
        assert live(store)[0].metadata == {"deep": deep}


class Batches(StoreCase):
    """Several operations in one call."""

    def test_nothing_to_do(self, store: Store) -> None:
        """No operations, no answers."""
        assert store.commit([]) == []

    def test_operations_are_done_in_order(self, store: Store) -> None:
        """A later operation of one call finds what an earlier one did."""
        answers = batch(
            store,
            Create(at=AT, key="k", new=new("s")),
            Append(at=AT, session_id="s", messages=drafts("a")),
            Rotate(at=AT, key="k", session_id="s", new=new("s2")),
            Append(at=AT, session_id="s2", messages=drafts("b"), expected_seq=0),
        )
        assert answers[1].seqs == answers[3].seqs == (1,)
        assert texts(live(store, "s2")) == ["b"]

    def test_one_that_fails_fails_alone(self, store: Store) -> None:
        """What stands before and after a refused operation on the same session is stored, without a gap."""
        create(store, "s", user("a", id="m1"))
        answers = batch(
            store,
            Append(at=AT, session_id="s", messages=drafts("b")),
            Append(at=AT, session_id="s", messages=drafts(user("x", id="m2"), user("not a", id="m1"))),
            Append(at=AT, session_id="no", messages=drafts("x")),
            Append(at=AT, session_id="s", messages=drafts("c")),
        )
        assert isinstance(answers[1], SessionConflict)
        assert isinstance(answers[2], SessionNotFound)
        assert (answers[0].seqs, answers[3].seqs) == ((2,), (3,))
        assert texts(live(store)) == ["a", "b", "c"]
        assert append(store, "s", user("other", id="m2")).seqs == (4,), "the refused message left no id behind"

    def test_a_refused_session_leaves_nothing(self, store: Store) -> None:
        """Its id, its key and its carried messages are free again, for a later operation of the same call too."""
        create(store, "s", alias="taken")
        answers = batch(
            store,
            Create(at=AT, key="k", alias="taken", new=new("s2", carried=drafts("x"))),
            Create(at=AT, key="k", new=new("s2")),
            Append(at=AT, session_id="s2", messages=drafts("a")),
        )
        assert isinstance(answers[0], SessionConflict)
        assert answers[2].seqs == (1,)
        assert texts(stored(store, "s2")) == ["a"]

    def test_a_refused_end_of_a_turn_leaves_the_turn(self, store: Store) -> None:
        """A Finish whose reply is refused ends nothing and charges nothing."""
        create(store, "s", user("old", id="m1"))
        begin(store, "hi")
        usage = Usage(input_tokens=5, model="m")
        messages = drafts("x", user("not old", id="m1"))
        operation = Finish(at=AT, session_id="s", token="t1", messages=messages, usage=usage)  # noqa: S106
        more = Append(at=AT, session_id="s", token="t1", messages=drafts("y"))  # noqa: S106
        answers = batch(store, operation, more)
        assert isinstance(answers[0], SessionConflict)
        assert answers[1].seqs == (3,)
        turn = store.turn("s", None)
        assert turn is not None
        assert turn.state == "running"
        assert store.usage(None) == []

    def test_a_batch_charges_and_counts_for_each(self, store: Store) -> None:
        """Counters go on after a refused operation as if it had not been there."""
        create(store)
        charge = RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=1, model="m"))
        lost = Append(at=AT, session_id="s", token="none", messages=drafts("x"))  # noqa: S106
        answers = batch(store, charge, lost, charge, Append(at=AT, session_id="s", messages=drafts("a")))
        assert isinstance(answers[1], TurnLost)
        info = store.info("s", None, NOW)
        assert (info.message_count, info.last_seq) == (1, 1)
        assert info.usage is not None
        assert info.usage.input_tokens == 2

    def test_large_batches_are_done_whole(self, store: Store) -> None:
        """More operations than a store may take at a time are still done in order."""
        create(store)
        operations = [Append(at=AT, session_id="s", messages=drafts(str(i))) for i in range(1500)]
        answers = batch(store, *operations)
        assert [a.seqs for a in answers] == [(i,) for i in range(1, 1501)]
        assert texts(live(store)) == [str(i) for i in range(1500)]

    def test_what_was_given_is_not_changed(self, store: Store) -> None:
        """Reading a message and changing its metadata changes nothing in the store."""
        given: Message = user("a", metadata={"list": [1]})
        create(store, "s", given)
        given.metadata["list"].append(2)
        live(store)[0].metadata["more"] = True
        assert live(store)[0].metadata == {"list": [1]}
