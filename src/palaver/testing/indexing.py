"""Conformance: search follows every change, and shows nothing that is gone, however far its index has come."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from palaver.model import Message, assistant
from palaver.operations import (
    Append,
    Cut,
    Edit,
    Finish,
    Operation,
    Purge,
    Redo,
    Replace,
    SetInfo,
)
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import AT, append, batch, begin, create, do, drafts
from palaver.testing.search import find, places, seqs

__all__ = ["Indexing"]


class Indexing(StoreCase):
    """search, index and reindex, as the transcript changes."""

    def test_a_search_knows_what_was_committed(self, store: Store) -> None:
        """Every commit that returned before is searched, by turns and appends alike, also after other searches."""
        create(store, "s")
        assert seqs(store, "plum") == []
        append(store, "s", "plum")
        assert seqs(store, "plum") == [1]
        begin(store, "plum two")
        do(store, Append(at=AT, session_id="s", messages=drafts(assistant("plum three")), token="t1"))  # noqa: S106
        begin(store, "plum four", "t2", on_busy="store")
        assert seqs(store, "plum") == [1, 2, 3, 4]
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("plum five"))))  # noqa: S106
        begin(store, None, "t3")
        do(store, Finish(at=AT, session_id="s", token="t3", messages=drafts(assistant("plum six"))))  # noqa: S106
        assert seqs(store, "plum") == [1, 2, 3, 4, 5, 6]
        assert find(store, "plum").behind == 0

    def test_what_is_cut_is_not_found_until_it_is_back(self, store: Store) -> None:
        """Cuts and redo count at once, whether the index knew the messages before or not."""
        create(store, "s", "plum", "plum", "plum")
        find(store, "plum")
        do(store, _cut(2, 3))
        assert seqs(store, "plum") == [1]
        do(store, Redo(at=AT, session_id="s"))
        assert seqs(store, "plum") == [1, 2, 3]
        append(store, "s", "plum")
        do(store, _cut(4, 4))
        assert seqs(store, "plum") == [1, 2, 3]
        do(store, Redo(at=AT, session_id="s"))
        assert seqs(store, "plum") == [1, 2, 3, 4]
        do(store, Replace(at=AT, session_id="s", messages=drafts("plum anew")))
        assert seqs(store, "plum") == [5]

    def test_a_turn_that_was_rolled_back_is_not_found(self, store: Store) -> None:
        """It is as if it had not been."""
        create(store, "s", "plum")
        begin(store, "plum")
        assert seqs(store, "plum") == [1, 2]
        do(store, Finish(at=AT, session_id="s", token="t1", state="rolled_back"))  # noqa: S106 - the token of a lease
        assert seqs(store, "plum") == [1]

    def test_what_was_edited_is_found_as_it_is(self, store: Store) -> None:
        """By its new words, and by its old ones no more, also where the index knows the old ones."""
        create(store, "s", "a plum", "a pear")
        assert seqs(store, "plum") == [1]
        do(store, _edit(1, "an apple"))
        assert seqs(store, "plum", catch_up=0) == []
        assert seqs(store, "apple") == [1]
        assert seqs(store, "plum") == []
        do(store, _edit(2, Message(role="user")))
        assert seqs(store, "pear") == []
        do(store, _edit(2, "a pear again"))
        assert [hit.snippet for hit in find(store, "pear")] == ["a pear again"]

    def test_what_was_purged_is_gone_at_once(self, store: Store) -> None:
        """From the index and from what is shown, in the commit of the purge, and it does not come back."""
        create(store, "s", "plum one", "plum two", "plum three")
        find(store, "plum")
        do(store, Purge(at=AT, session_id="s", from_seq=2, through_seq=2))
        assert seqs(store, "plum", catch_up=0) == [1, 3]
        assert [hit.snippet for hit in find(store, "plum two")] == []
        append(store, "s", "plum four")
        do(store, Purge(at=AT, session_id="s", from_seq=4, through_seq=4))
        assert seqs(store, "plum") == [1, 3]
        store.reindex()
        assert seqs(store, "plum") == [1, 3]
        assert store.check() == []

    def test_what_came_and_went_in_one_commit(self, store: Store) -> None:
        """Only what is left is found."""
        create(store, "s", "plum one")
        operations: list[Operation] = [
            Append(at=AT, session_id="s", messages=drafts("plum two", "plum three")),
            _edit(1, "pear one"),
            Purge(at=AT, session_id="s", from_seq=2, through_seq=2),
            _cut(9, 9),
        ]
        batch(store, *operations)
        assert seqs(store, "plum") == [3]
        assert seqs(store, "pear") == [1]

    def test_the_index_is_built_step_by_step(self, store: Store) -> None:
        """A search says how far behind it is; the steps come to an end, and then everything is found."""
        create(store, "s", *(f"plum {n}" for n in range(20)))
        do(store, SetInfo(at=AT, session_id="s", title="plums"))
        page = find(store, "plum", catch_up=0, limit=100)
        assert page.behind == 0 or len(page) < 20
        lefts = [store.index(limit=3) for _ in range(30)]
        assert lefts == sorted(lefts, reverse=True)
        assert lefts[-1] == store.index() == 0
        page = find(store, "plum", catch_up=0, limit=100)
        assert (len(page), page.behind) == (20, 0)

    def test_it_can_be_built_anew(self, store: Store) -> None:
        """Thrown away, it is built again from the messages, step by step, and meanwhile follows what happens."""
        create(store, "s", *(f"plum {n}" for n in range(10)))
        create(store, "t", "plum", owner="ann")
        find(store, "plum")
        store.reindex()
        store.index(limit=3)
        do(store, _edit(1, "pear"))
        do(store, Purge(at=AT, session_id="s", from_seq=2, through_seq=2))
        do(store, Purge(at=AT, session_id="s", from_seq=9, through_seq=9))
        append(store, "s", "plum late")
        while store.index(limit=3):
            pass
        expected = [*(("s", seq) for seq in (*range(3, 9), 10, 11)), ("t", 1)]
        assert places(find(store, "plum", limit=99, catch_up=0)) == expected
        assert store.check() == []

    def test_it_is_there_when_the_store_is_opened_again(self, open_store: OpenStore) -> None:
        """What was indexed need not be indexed again, and what was not is."""
        with open_store() as store:
            create(store, "s", "plum one")
            find(store, "plum")
            append(store, "s", "plum two")
        if self.persistent:
            with open_store() as store:
                assert seqs(store, "plum one", catch_up=0) == [1]
                assert seqs(store, "plum") == [1, 2]

    def test_threads_that_append_and_search(self, store: Store) -> None:
        """A search knows what its own thread stored before, whatever others do, and in the end everything is found."""
        for n in range(4):
            create(store, f"s{n}")

        def work(n: int) -> None:
            for i in range(15):
                append(store, f"s{n}", f"plum {i}")
                assert seqs(store, "plum", session_id=f"s{n}", limit=99) == list(range(1, i + 2))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert len(find(store, "plum", limit=99)) == 60

    def test_two_that_index_at_once(self, open_store: OpenStore) -> None:
        """Whoever comes second goes on where the first has come."""
        with open_store() as store:
            create(store, "s", *(f"plum {n}" for n in range(9)))
            if self.persistent:
                with open_store() as other:
                    other.index(limit=2)
                    append(other, "s", "plum late")
                    store.index(limit=2)
                    other.index(limit=2)
                    assert len(find(other, "plum")) == len(find(store, "plum")) == 10


def _cut(low: int, high: int) -> Cut:
    return Cut(at=AT, session_id="s", from_seq=low, through_seq=high, kind="rewind")


def _edit(seq: int, message: str | Message) -> Edit:
    return Edit(at=AT, session_id="s", seq=seq, message=drafts(message)[0])
