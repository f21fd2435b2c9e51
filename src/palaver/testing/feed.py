"""Conformance: the feed of changes is complete, in order, and can be resumed."""

from __future__ import annotations

import pytest

from palaver.errors import CursorExpired
from palaver.model import Usage, assistant
from palaver.operations import (
    Alias,
    Append,
    Bind,
    Compact,
    Cut,
    Finish,
    Hold,
    Operation,
    Purge,
    RecordUsage,
    Rotate,
    SetInfo,
)
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import AT, HOUR, NOW, append, begin, create, do, drafts, drain, new

__all__ = ["Feed"]


class Feed(StoreCase):
    """changes."""

    def test_every_operation_is_told_once(self, store: Store) -> None:
        """Each has its kind, the rev it left behind, and the positions it is about."""
        create(store, "s", "a", "b", key="k")
        operations: list[tuple[Operation, tuple[str, int, int, int]]] = [
            (Append(at=AT, session_id="s", messages=drafts("c", "d")), ("appended", 0, 3, 4)),
            (SetInfo(at=AT, session_id="s", metadata='{"a":1}'), ("info", 1, 0, 0)),
            (Hold(at=AT, session_id="s", name="h", until=AT + HOUR), ("held", 2, 0, 0)),
            (Compact(at=AT, session_id="s", through_seq=2, text="x"), ("compacted", 3, 1, 2)),
            (Cut(at=AT, session_id="s", from_seq=3, through_seq=3, kind="delete"), ("cut", 4, 3, 3)),
            (Bind(at=AT, key="k2", session_id="s"), ("bound", 5, 0, 0)),
            (Alias(at=AT, session_id="s", alias="y"), ("info", 6, 0, 0)),
        ]
        for operation, told in operations:
            last = drain(store)[-1].cursor
            do(store, operation)
            assert [(c.kind, c.rev, c.from_seq, c.through_seq) for c in store.changes(last)] == [told]
        last = drain(store)[-1].cursor
        do(store, RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=1)))
        do(store, Purge(at=AT, session_id="s", from_seq=4, through_seq=4))
        assert [(c.kind, c.from_seq, c.through_seq) for c in store.changes(last)] == [("usage", 0, 0), ("purged", 4, 4)]
        assert drain(store)[-1].rev == store.info("s", None, NOW).rev

    def test_it_is_read_page_by_page(self, store: Store) -> None:
        """Any page size gives the same changes, each once, from any cursor on."""
        for n in range(7):
            create(store, f"s{n}", "a", "b")
            begin(store, "hi", session_id=f"s{n}")
            do(store, Finish(at=AT, session_id=f"s{n}", token="t1", messages=drafts(assistant("x"))))  # noqa: S106
        every = drain(store)
        assert len(every) == 7 * 4
        for limit in (1, 2, 5, 100):
            assert drain(store, limit=limit) == every
        for n, change in enumerate(every):
            assert drain(store, change.cursor, limit=3) == every[n + 1 :]
        assert store.changes(every[-1].cursor) == []
        append(store, "s0", "late")
        assert [c.session_id for c in store.changes(every[-1].cursor)] == ["s0"]

    def test_of_one_session_or_one_owner(self, store: Store) -> None:
        """Scoped reads give the same cursors, and nothing of others."""
        create(store, "s1", "a", owner="ann")
        create(store, "s2", "b", owner="bob")
        create(store, "s3", "c", owner="ann")
        every = drain(store)
        assert drain(store, session_id="s2") == [c for c in every if c.session_id == "s2"]
        assert drain(store, owner="ann", limit=1) == [c for c in every if c.session_id != "s2"]
        assert drain(store, owner="ann", session_id="s2") == []
        assert drain(store, owner="eve") == []
        assert drain(store, session_id="none") == []
        assert drain(store, every[0].cursor, owner="bob") == [c for c in every if c.session_id == "s2"]

    def test_a_cursor_moves_past_what_was_not_asked_for(self, store: Store) -> None:
        """Whoever reads one quiet session goes on behind what others did, and misses nothing that comes."""
        create(store, "quiet", "a", owner="ann")
        first = store.changes(None, session_id="quiet")
        assert len(first) == 2
        for n in range(5):
            create(store, f"s{n}", "b", owner="bob")
        second = store.changes(first.cursor, session_id="quiet")
        mine = store.changes(first.cursor, owner="ann")
        assert second == mine == []
        assert second.cursor == mine.cursor == store.changes(None)[-1].cursor
        assert store.changes(second.cursor) == []
        assert store.changes(second.cursor).cursor == second.cursor
        append(store, "quiet", "c")
        assert [c.from_seq for c in store.changes(second.cursor, session_id="quiet")] == [2]
        assert store.changes(None, limit=3).cursor == store.changes(None)[2].cursor
        assert store.changes(first.cursor, limit=0).cursor == first.cursor
        assert store.changes(None, session_id="none").cursor == store.changes(None)[-1].cursor

    def test_an_empty_feed_has_a_cursor(self, store: Store) -> None:
        """It is behind nothing: all that comes is read from there."""
        cursor = store.changes(None).cursor
        assert store.changes(cursor) == []
        create(store, "s", "a")
        assert store.changes(cursor) == store.changes(None)

    def test_a_commit_wakes(self, store: Store, open_store: OpenStore) -> None:
        """Whoever waits in this process is called by each commit and by the store's closing.

        By no more, but where a server may tell of others' commits.
        """
        calls: list[int] = []
        with store.wakes.calling(lambda: calls.append(store.wakes.count)):
            create(store, "s", "a")
            assert len(calls) == 2 or (len(calls) > 2 and not store.local)
            seen = store.wakes.count
            append(store, "s", "b")
            store.wakes.wait(seen, 3600)
            assert len(calls) == 3 or (len(calls) > 3 and not store.local)
        called = len(calls)
        append(store, "s", "c")
        assert len(calls) == called
        other = open_store()
        with other.wakes.calling(lambda: calls.append(-1)):
            other.close()
        assert calls[-1] == -1

    def test_a_reset_is_told_by_both_sessions(self, store: Store) -> None:
        """The one that ended and the one that began, with the turn that was interrupted."""
        create(store, "s", key="k")
        begin(store, "hi", key="k")
        last = drain(store)[-1].cursor
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2", carried=drafts("hi"))))
        told = [(c.session_id, c.kind) for c in store.changes(last)]
        assert [kind for session, kind in told if session == "s"] == ["turn_interrupted", "ended"]
        assert [kind for session, kind in told if session == "s2"] == ["created", "appended", "reset"]

    @pytest.mark.parametrize("cursor", ["", "rubbish", "zz", "-1", "\x00", "1;", "f" * 40, "\N{GRINNING FACE}"])
    def test_a_cursor_of_no_store(self, store: Store, cursor: str) -> None:
        """CursorExpired, however long or strange it is; the store goes on."""
        create(store, "s", "a")
        with pytest.raises(CursorExpired):
            store.changes(cursor)
        assert len(drain(store)) == 2

    def test_a_cursor_that_the_feed_has_not_come_to(self, store: Store) -> None:
        """It is of another store, or of this one before it was lost: waiting there would miss all until then."""
        create(store, "s", "a")
        newest = store.changes(None).cursor
        beyond = f"{int(newest, 16) + 1:x}"
        for session_id, owner in ((None, None), ("s", None), (None, "ann")):
            with pytest.raises(CursorExpired):
                store.changes(beyond, session_id=session_id, owner=owner)
        assert store.changes(newest) == []
        append(store, "s", "b")
        assert [c.from_seq for c in store.changes(newest)] == [2]

    def test_no_changes_at_a_time(self, store: Store) -> None:
        """A limit of 0 gives nothing."""
        create(store, "s", "a")
        assert store.changes(None, limit=0) == []

    def test_cursors_outlive_the_store_that_gave_them(self, store: Store, open_store: OpenStore) -> None:
        """A cursor goes on where it was after the store is opened again."""
        create(store, "s", "a")
        cursor = drain(store)[-1].cursor
        if self.persistent:
            other = open_store()
            append(other, "s", "b")
            assert [c.from_seq for c in other.changes(cursor)] == [2]
            other.close()
        else:
            append(store, "s", "b")
        assert [c.from_seq for c in store.changes(cursor)] == [2]
