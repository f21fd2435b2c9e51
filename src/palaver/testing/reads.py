"""Conformance: pages and tails of one session."""

from __future__ import annotations

import msgspec
import pytest

from palaver.errors import CorruptRecord, SessionConflict
from palaver.model import Message, assistant, system, tool, user
from palaver.operations import Append, Compact, Cut, Finish, Purge, Renew
from palaver.rows import Draft
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import (
    AT,
    HOUR,
    MINUTE,
    NOW,
    append,
    begin,
    create,
    do,
    drain,
    later,
    live,
    refused,
    seqs,
    texts,
)

__all__ = ["Damage", "Pages", "Tails"]


def _newest(messages: list[Message], limit: int, covered: int = 0) -> list[int]:
    """What a tail must hold, said once more and simply: positions from all live messages."""
    lead = 0
    while lead < len(messages) and messages[lead].role in {"system", "developer"}:
        lead += 1
    rest = [m for m in messages[lead:] if m.seq > covered][-limit:]
    asked = [m for m in messages if m.role == "user" and not {"hidden", "command"} & set(m.flags)]
    missing = asked[-1:] if not any(m in asked for m in rest) else []
    return seqs([*missing, *rest])


class Pages(StoreCase):
    """page."""

    def test_forwards(self, store: Store) -> None:
        """The first `limit` after a position; the next page begins where that ended."""
        create(store, "s", *(str(n) for n in range(1, 251)))
        got: list[Message] = []
        while page := store.page("s", None, after=got[-1].seq if got else 0, limit=40):
            assert len(page) <= 40
            got += page
        assert texts(got) == [str(n) for n in range(1, 251)]
        assert seqs(store.page("s", None)) == list(range(1, 101))

    def test_backwards(self, store: Store) -> None:
        """The last `limit` before a position, in order."""
        create(store, "s", *(str(n) for n in range(1, 101)))
        got: list[Message] = []
        while page := store.page("s", None, before=got[0].seq if got else None, limit=33, newest=True):
            got = [*page, *got]
        assert texts(got) == [str(n) for n in range(1, 101)]

    def test_bounds_are_exclusive(self, store: Store) -> None:
        """`after` < seq < `before`, from either end; bounds that hold nothing give nothing."""
        create(store, "s", *"abcdef")
        assert seqs(store.page("s", None, after=2, before=5)) == [3, 4]
        assert seqs(store.page("s", None, after=2, before=5, limit=1)) == [3]
        assert seqs(store.page("s", None, after=2, before=5, limit=1, newest=True)) == [4]
        assert seqs(store.page("s", None, after=-3, before=100)) == [1, 2, 3, 4, 5, 6]
        for after, before in ((3, 4), (5, 2), (6, None), (0, 1), (0, 0), (0, -1), (1 << 33, None), (1 << 70, 1 << 71)):
            assert store.page("s", None, after=after, before=before) == []
            assert store.page("s", None, after=after, before=before, newest=True) == []
        assert seqs(store.page("s", None, before=1 << 70)) == [1, 2, 3, 4, 5, 6]

    def test_across_what_is_cut(self, store: Store) -> None:
        """A page holds as many live messages as were asked for, whatever lies between."""
        create(store, "s", *(str(n) for n in range(1, 31)))
        for low, high in ((1, 2), (5, 9), (11, 11), (20, 28)):
            do(store, Cut(at=AT, session_id="s", from_seq=low, through_seq=high, kind="delete"))
        assert seqs(store.page("s", None, limit=4)) == [3, 4, 10, 12]
        assert seqs(store.page("s", None, limit=4, newest=True)) == [18, 19, 29, 30]
        assert seqs(store.page("s", None, after=4, before=12)) == [10]
        assert seqs(store.page("s", None, limit=3, live=False)) == [1, 2, 3]
        assert seqs(store.page("s", None, limit=3, newest=True, live=False)) == [28, 29, 30]

    @pytest.mark.parametrize("newest", [True, False])
    def test_none_at_a_time(self, store: Store, newest: bool) -> None:  # noqa: FBT001
        """A limit of 0 gives nothing."""
        create(store, "s", "a", "b")
        assert store.page("s", None, limit=0, newest=newest) == []

    def test_an_empty_session(self, store: Store) -> None:
        """Nothing, in every direction."""
        create(store)
        assert store.page("s", None) == store.page("s", None, newest=True, live=False) == []
        assert store.queued("s", None) == []
        tail = store.tail("s", None, NOW, limit=5)
        assert (tail.messages, tail.head, tail.summary, tail.anchor, tail.running_from) == ((), (), None, None, None)
        assert tail.complete


class Tails(StoreCase):
    """tail."""

    def test_the_newest_messages(self, store: Store) -> None:
        """At most `limit`, in order; `complete` tells whether there are older ones."""
        create(store, "s", *"abcde")
        for limit in range(1, 8):
            tail = store.tail("s", None, NOW, limit=limit)
            assert texts(tail.messages) == list("abcde")[-limit:]
            assert tail.complete is (limit >= 5)

    def test_what_a_person_said_last_is_always_there(self, store: Store) -> None:
        """However far back it lies; hidden messages and commands are not what a model answers."""
        said = [user("asked"), user("/reset", flags=("command",)), user("secret", flags=("hidden",))]
        create(store, "s", "before", *said, *(assistant(str(n)) for n in range(60)))
        tail = store.tail("s", None, NOW, limit=3)
        assert texts(tail.messages) == ["asked", "57", "58", "59"]
        assert not tail.complete
        assert texts(store.tail("s", None, NOW, limit=100).messages)[:4] == ["before", "asked", "/reset", "secret"]

    def test_nobody_has_said_anything(self, store: Store) -> None:
        """A transcript without a user message is read as it is."""
        create(store, "s", *(assistant(str(n)) for n in range(5)))
        assert texts(store.tail("s", None, NOW, limit=2).messages) == ["3", "4"]

    def test_leading_instructions(self, store: Store) -> None:
        """System and developer messages at the beginning come apart, outside of the limit; later ones stay in place."""
        developer = Message(role="developer", parts=user("two").parts)
        create(store, "s", system("one"), developer, "a", system("three"), assistant("b"))
        tail = store.tail("s", None, NOW, limit=10)
        assert (texts(tail.head), texts(tail.messages)) == (["one", "two"], ["a", "three", "b"])
        tail = store.tail("s", None, NOW, limit=1)
        assert (texts(tail.head), texts(tail.messages), tail.complete) == (["one", "two"], ["a", "b"], False)

    def test_leading_instructions_in_several_appends(self, store: Store) -> None:
        """They lead as long as nothing else came between."""
        create(store)
        append(store, "s", system("one"))
        append(store, "s", system("two"))
        append(store, "s", "hi")
        append(store, "s", system("three"))
        tail = store.tail("s", None, NOW, limit=10)
        assert (texts(tail.head), texts(tail.messages)) == (["one", "two"], ["hi", "three"])

    def test_a_running_turn(self, store: Store) -> None:
        """Where it began, while its lease holds."""
        create(store, "s", "a")
        assert store.tail("s", None, NOW, limit=5).running_from is None
        begin(store, "hi", micros=MINUTE)
        assert store.tail("s", None, NOW, limit=5).running_from == 2
        if self.lease_clock == "caller":
            assert store.tail("s", None, later(2 * MINUTE), limit=5).running_from is None
        do(store, Renew(at=AT, session_id="s", token="t1", micros=HOUR))  # noqa: S106
        assert store.tail("s", None, later(2 * MINUTE), limit=5).running_from == 2
        do(store, Finish(at=AT, session_id="s", token="t1", anchor=2))  # noqa: S106
        tail = store.tail("s", None, NOW, limit=5)
        assert (tail.running_from, tail.anchor) == (None, 2)

    def test_tools_are_not_taken_apart_by_the_store(self, store: Store) -> None:
        """A limit may fall between a call and its result; legality is decided above."""
        create(store, "s", "a", assistant("b"), tool("c1", "result"), "c")
        assert [m.role for m in store.tail("s", None, NOW, limit=2).messages] == ["tool", "user"]

    def test_the_tail_keeps_up(self, store: Store) -> None:
        """After every operation, whoever made it, a tail that was read before is not served once more."""
        create(store, "s", system("be brief"))
        covered = 0

        def same() -> None:
            for limit in (1, 3, 50):
                tail = store.tail("s", None, NOW, limit=limit)
                assert seqs(tail.messages) == _newest(live(store), limit, covered)

        for n in range(6):
            begin(store, f"user {n}", f"t{n}", at=AT + n)
            same()
            append(store, "s", assistant("step"), token=f"t{n}")
            same()
            append(store, "s", "from elsewhere")
            same()
            end = Finish(at=AT, session_id="s", token=f"t{n}", state="rolled_back" if n % 3 == 2 else "finished")
            do(store, end)
            same()
        low, high = seqs(live(store))[4], seqs(live(store))[6]
        do(store, Cut(at=AT, session_id="s", from_seq=low, through_seq=high, kind="rewind"))
        same()
        newest = live(store)[-1].seq
        do(store, Purge(at=AT, session_id="s", from_seq=newest, through_seq=newest))
        same()
        covered = seqs(live(store))[3]
        do(store, Compact(at=AT, session_id="s", through_seq=covered, text="so far"))
        same()
        do(store, Cut(at=AT, session_id="s", from_seq=1, through_seq=2, kind="delete"))
        covered = 0
        same()

    def test_a_tail_that_was_read_before_keeps_its_head(self, store: Store) -> None:
        """Instructions that are appended while nothing else is there lead the session, whoever looked meanwhile."""
        create(store)
        assert store.tail("s", None, NOW, limit=9).head == ()
        for n, text in enumerate(("one", "two"), 1):
            append(store, "s", system(text))
            tail = store.tail("s", None, NOW, limit=9)
            assert (texts(tail.head), texts(tail.messages)) == (["one", "two"][:n], [])
        append(store, "s", system("three"))
        append(store, "s", "hi")
        tail = store.tail("s", None, NOW, limit=9)
        assert (texts(tail.head), texts(tail.messages)) == (["one", "two", "three"], ["hi"])

    def test_a_tail_that_was_read_before_forgets_what_is_covered(self, store: Store) -> None:
        """A message of a person that a summary covers is left out as soon as a person speaks again."""
        create(store, "s", "a", assistant("b"))
        do(store, Compact(at=AT, session_id="s", through_seq=2, text="so far"))
        assert texts(store.tail("s", None, NOW, limit=9).messages) == ["a"]
        append(store, "s", assistant("c"), user("secret", flags=("hidden",)))
        assert texts(store.tail("s", None, NOW, limit=9).messages) == ["a", "c", "secret"]
        append(store, "s", "d")
        assert texts(store.tail("s", None, NOW, limit=9).messages) == ["c", "secret", "d"]
        newer = ["c", "secret", "d"]
        for n in range(8):
            append(store, "s", assistant(str(n)))
            newer.append(str(n))
            expected = newer[-3:] if "d" in newer[-3:] else ["d", *newer[-3:]]
            assert texts(store.tail("s", None, NOW, limit=3).messages) == expected

    def test_what_another_handle_wrote_is_seen(self, store: Store, open_store: OpenStore) -> None:
        """A read sees every commit that returned before it, by whomever; positions go on after all of them."""
        other = open_store() if self.persistent else store
        create(store, "s", "a")
        for n in range(5):
            writer, reader = (store, other) if n % 2 else (other, store)
            reader.tail("s", None, NOW, limit=5)
            assert append(writer, "s", str(n), expected_seq=n + 1).seqs == (n + 2,)
            assert texts(reader.tail("s", None, NOW, limit=1).messages) == [str(n)]
            assert reader.info("s", None, NOW).message_count == n + 2
            (answer,) = reader.commit([Append(at=AT, session_id="s", messages=(), expected_seq=0)])
            assert not isinstance(answer, SessionConflict)
        assert drain(store) == drain(other)
        if self.persistent:
            other.close()


class Damage(StoreCase):
    """Records that cannot be decoded."""

    def test_a_damaged_message_bricks_nothing(self, open_store: OpenStore) -> None:
        """It is left out and named, by pages and by tails; the rest is read, and the session goes on."""
        store = open_store()
        damaged = Draft(msgspec.Raw(b'{"role":"nobody"}'), 4)
        create(store, "s", "a")
        do(store, Append(at=AT + 1, session_id="s", messages=(damaged,)))
        for last in (2, 3):
            tail = store.tail("s", None, NOW, limit=5)
            assert (seqs(tail.messages), len(tail.corrupt)) == ([1, 3][: last - 1], 1)
            page = store.page("s", None)
            assert (seqs(page), len(page.corrupt)) == ([1, 3][: last - 1], 1)
            assert page.corrupt == tail.corrupt
            assert page.corrupt == (2,)
            info = store.info("s", None, NOW)
            assert (info.last_seq, info.message_count) == (last, last)
            if last == 2:
                assert append(store, "s", "c", at=AT + 2).seqs == (3,)
        assert [finding.kind for finding in store.check()] == ["corrupt"]
        store.close()

    def test_damage_is_refused_where_it_would_be_read(self, store: Store) -> None:
        """A message whose preview cannot be made, for it cannot be decoded, is refused at the door."""
        create(store)
        damaged = Draft(msgspec.Raw(b'{"role":"nobody"}'), 3)
        refused(store, Append(at=AT, session_id="s", messages=(damaged,)), CorruptRecord)
        assert live(store) == []
