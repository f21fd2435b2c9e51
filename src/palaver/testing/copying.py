"""Conformance: a session is told whole, and a store that is told it has the same session."""

from __future__ import annotations

import msgspec
import pytest

from palaver.erasure import Marks, SessionTarget
from palaver.errors import ContentErased, PalaverError, SessionConflict, SessionNotFound
from palaver.media import as_text
from palaver.model import ImagePart, Usage, user
from palaver.operations import (
    Append,
    BeginErasure,
    Bind,
    ClearErased,
    Compact,
    Create,
    Cut,
    Delete,
    Edit,
    EraseMessages,
    EraseSession,
    Finish,
    FinishErasure,
    Import,
    Purge,
    PurgeSession,
    RecordUsage,
    Restore,
    SetInfo,
    Settle,
    TakeErasures,
)
from palaver.records import Chunk, Piece, SessionRecord
from palaver.stores.base import Store
from palaver.stores.copying import copy_session
from palaver.stores.memory import MemoryStore
from palaver.testing.base import StoreCase
from palaver.testing.material import AT, NOW, append, batch, begin, create, do, drafts, live, new, refused, texts

__all__ = ["Copies"]

TOKEN = "t"  # noqa: S105 - of a lease, no secret
PICTURE = user(["Look", ImagePart(media_type="image/png", data=as_text(bytes(20_000)))])


def _fill(store: Store) -> None:
    """Sessions with something of everything."""
    create(store, "before")
    do(store, Bind(at=AT, owner="", key="k", session_id="before"))
    create(store, "s", "one", "two", "three", "four", "five", "six")
    batch(
        store,
        Bind(at=AT + 1, owner="", key="k", session_id="s"),
        Append(at=AT, session_id="s", messages=drafts(user("named", id="m-1"), PICTURE)),
        Edit(at=AT, session_id="s", seq=2, message=drafts("edited")[0]),
        Compact(at=AT, session_id="s", through_seq=3, text="a summary"),
        Cut(at=AT, session_id="s", from_seq=5, through_seq=5, kind="rewind"),
        Purge(at=AT, session_id="s", from_seq=6, through_seq=7),
        SetInfo(at=AT, session_id="s", title="T", tags=("a", "b"), pinned=True, metadata='{"x":1}'),
        RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=3, model="m")),
        Create(at=AT, owner="a", alias="mine", new=new("other", parent="s", parent_kind="fork")),
        Delete(at=AT, owner="a", session_id="other"),
    )
    begin(store, "begin", TOKEN, session_id="s")
    do(store, Finish(at=AT, session_id="s", token=TOKEN, messages=drafts("end")))


def _told(store: Store, session_id: str) -> tuple[SessionRecord, Chunk]:
    return store.record(session_id, None), store.chunk(session_id, None, after=0, limit=100)


def _erase(store: Store, session_id: str) -> None:
    erasure_id = f"of {session_id}"
    last = store.record(session_id, None).head.last_seq
    batch(
        store,
        BeginErasure(at=AT, erasure_id=erasure_id, target=SessionTarget(session_id), secret=b"secret" * 5),
        EraseSession(at=AT, erasure_id=erasure_id, session_id=session_id),
        EraseMessages(at=AT, erasure_id=erasure_id, session_id=session_id, from_seq=1, through_seq=last),
        ClearErased(at=AT, erasure_id=erasure_id, session_id=session_id),
        FinishErasure(at=AT, erasure_id=erasure_id),
    )


class Copies(StoreCase):
    """`record`, `chunk`, Import and Settle."""

    def test_a_copy_is_equal(self, store: Store) -> None:
        """From this store into another, and from another into this one; a second time nothing happens."""
        _fill(store)
        with MemoryStore() as other:
            for session_id in ("before", "s", "other"):
                copy_session(store, other, session_id, AT)
                assert _told(other, session_id) == _told(store, session_id)
            feed = other.changes(None)
            copy_session(store, other, "s", AT)
            assert other.changes(None) == feed
            assert other.check() == []

    def test_a_copy_from_elsewhere_is_equal(self, store: Store) -> None:
        """All that another store told is here, and works: keys, ids, undone messages, content, turns."""
        with MemoryStore() as other:
            _fill(other)
            for session_id in ("before", "s", "other"):
                copy_session(other, store, session_id, AT)
                assert _told(store, session_id) == _told(other, session_id)
            feed = store.changes(None)
            copy_session(other, store, "s", AT)
            assert store.changes(None) == feed
        current = store.current("", "k", NOW)
        assert current is not None
        assert current.id == "s"
        assert append(store, "s", user("named", id="m-1")).fresh is False, "a purged message does not come back"
        with pytest.raises(SessionNotFound):
            store.info("other", None, NOW)

    def test_several_are_told_as_one_is(self, store: Store) -> None:
        """In the order asked for, each with what `record`, `turn` and `chunk` give, or raise; one at least."""
        _fill(store)
        asked = [("nobody", 0), ("s", 0), ("other", 0), ("s", 4), ("nobody", 0), ("before", 0), ("s", 100)]
        for limit in (0, 2, 100):
            found: list[Piece | PalaverError] = []
            while len(found) < len(asked):
                some = store.pieces(asked[len(found) :], limit=limit)
                assert some
                found += some
            assert len(found) == len(asked)
            for (session_id, after), piece in zip(asked, found, strict=True):
                if session_id == "nobody":
                    assert isinstance(piece, SessionNotFound)
                    continue
                assert isinstance(piece, Piece)
                assert piece.record == store.record(session_id, None)
                turn = None if session_id == "other" else store.turn(session_id, None)
                assert piece.turn == (msgspec.structs.replace(turn, session=0) if turn is not None else None)
                chunk = store.chunk(session_id, None, after=after, limit=limit) if limit else None
                assert piece.chunk == chunk
        assert store.pieces([], limit=5) == []

    def test_what_is_large_is_told_some_at_a_time(self, store: Store) -> None:
        """Of sessions that are too large together the first are given, so that memory is bounded."""
        asked = [(f"large {i}", 0) for i in range(6)]
        for session_id, _ in asked:
            create(store, session_id, "x" * 1_500_000, "y" * 1_000_000)
        some = store.pieces(asked, limit=100)
        assert [piece.record.row.id for piece in some if isinstance(piece, Piece)] == ["large 0", "large 1"]

    def test_what_came_since_comes_with_the_next_copy(self, store: Store) -> None:
        """Messages, edits, cuts, purges: afterwards the copy is equal again."""
        with MemoryStore() as other:
            _fill(other)
            copy_session(other, store, "before", AT)
            copy_session(other, store, "s", AT)
            append(other, "s", "more", "and more")
            do(other, Edit(at=AT, session_id="s", seq=1, message=drafts("one, edited")[0]))
            do(other, Cut(at=AT, session_id="s", from_seq=9, through_seq=9, kind="delete"))
            do(other, Purge(at=AT, session_id="s", from_seq=2, through_seq=2))
            copy_session(other, store, "s", AT)
            assert _told(store, "s") == _told(other, "s")

    def test_half_a_copy_is_not_listed_and_goes_on(self, store: Store) -> None:
        """Until it is settled the session is hidden, and without its key."""
        with MemoryStore() as other:
            _fill(other)
            record = other.record("s", None)
            half = other.chunk("s", None, after=0, limit=3)
            assert do(store, Import(at=AT, row=record.row, chunk=half)) == 3
            assert do(store, Import(at=AT, row=record.row, chunk=half)) == 0
            assert store.info("s", None, NOW).hidden
            assert store.current("", "k", NOW) is None
            copy_session(other, store, "s", AT)
            assert msgspec.structs.replace(store.record("s", None), keys=()) == msgspec.structs.replace(record, keys=())

    def test_what_was_changed_here_is_left_alone(self, store: Store) -> None:
        """An import never overwrites what happened here: neither what was never imported, nor what went on since."""
        with MemoryStore() as other:
            _fill(other)
            create(store, "s", "mine")
            record, chunk = _told(other, "s")
            refused(store, Import(at=AT, row=record.row, chunk=chunk), SessionConflict)
            refused(store, Settle(at=AT, record=record), SessionConflict)
            create(other, "plain", "one")
            copy_session(other, store, "plain", AT)
            append(store, "plain", "hello")
            record, chunk = _told(other, "plain")
            refused(store, Settle(at=AT, record=record), SessionConflict)
        assert texts(live(store)) == ["mine"]

    def test_what_another_session_has_stays_with_it(self, store: Store) -> None:
        """Its key, its alias and its title; the answer tells which."""
        do(store, Create(at=AT, key="k", alias="mine", new=new("x", title="T")))
        with MemoryStore() as other:
            _fill(other)
            do(other, Create(at=AT, alias="mine", new=new("y", title="U")))
            settled = copy_session(other, store, "s", AT)
            assert (settled.title, settled.keys) == ("T #2", ("k",))
            assert copy_session(other, store, "y", AT).aliases == ("mine",)
        current = store.current("", "k", NOW)
        assert current is not None
        assert current.id == "x"

    def test_a_deleted_sessions_title_is_free(self, store: Store) -> None:
        """It has it still, and so may another; restored where it comes from, it has the one that is left there."""
        with MemoryStore() as other:
            create(other, "gone", "one")
            do(other, SetInfo(at=AT, session_id="gone", title="T"))
            copy_session(other, store, "gone", AT)
            do(other, Delete(at=AT, session_id="gone"))
            copy_session(other, store, "gone", AT)
            do(store, Create(at=AT, new=new("mine", title="T")))
            do(other, Restore(at=AT, session_id="gone"))
            assert copy_session(other, store, "gone", AT).title == "T #2"
            assert store.info("mine", None, NOW).title == "T"
            assert store.check() == []

    def test_a_copy_can_be_one_operation(self, store: Store) -> None:
        """With its only chunk, a session is there whole, or (its message was erased here) not at all."""
        with MemoryStore() as other:
            create(other, "s", "one", "two")
            record, chunk = _told(other, "s")
            do(store, Settle(at=AT, record=record, chunk=chunk))
            assert _told(store, "s") == (record, chunk)
            create(other, "t", "three")
            create(store, "same", "three")
            _erase(store, "same")
            record, chunk = _told(other, "t")
            refused(store, Settle(at=AT, record=record, chunk=chunk), ContentErased)
            with pytest.raises(SessionNotFound):
                store.record("t", None)

    def test_what_is_gone_there_goes_here(self, store: Store) -> None:
        """A session that was copied, and purged or erased then: a tombstone here too, and its names are free."""
        with MemoryStore() as other:
            _fill(other)
            create(other, "p", "one", "two")
            do(other, Bind(at=AT, owner="", key="p-key", session_id="p"))
            for session_id in ("before", "s", "p"):
                copy_session(other, store, session_id, AT)
            _erase(other, "s")
            do(other, PurgeSession(at=AT, session_id="p"))
            page = other.marks(b"", limit=100)
            assert page.secret is not None
            do(store, TakeErasures(at=AT, secret=page.secret, marks=page.marks, erasures=tuple(other.erasures())))
            for session_id in ("s", "p"):
                copy_session(other, store, session_id, AT)
                assert _told(store, session_id) == _told(other, session_id)
                copy_session(other, store, session_id, AT)
            assert store.current("", "p-key", NOW) is None
            do(store, Create(at=AT, new=new("again", title="T")))
            assert store.check() == []

    def test_what_was_erased_there_is_not_taken_in_here(self, store: Store) -> None:
        """The marks and records of a store's erasures, page by page; a store with marks of its own takes none."""
        with MemoryStore() as other:
            create(other, "s", "one", "two", "three")
            _erase(other, "s")
            marks: list[tuple[bytes, int]] = []
            while page := other.marks(marks[-1][0] if marks else b"", limit=2).marks:
                marks += page
            whole = other.marks(b"", limit=100)
            assert marks == list(whole.marks)
            assert [mark for mark, _ in marks] == sorted({mark for mark, _ in marks})
            assert whole.secret is not None
            assert store.marks(b"", limit=100) == Marks()
            take = TakeErasures(at=AT, secret=whole.secret, marks=whole.marks, erasures=tuple(other.erasures()))
            assert do(store, take) == 1
            assert do(store, take) == 0
            assert (store.marks(b"", limit=100), store.erasures()) == (whole, other.erasures())
            with MemoryStore() as old:
                create(old, "s", "one")
                record, chunk = _told(old, "s")
                refused(store, Settle(at=AT, record=record, chunk=chunk), ContentErased)
            refused(store, msgspec.structs.replace(take, secret=b"another" * 4), SessionConflict)

    def test_a_foreign_session_is_not_told(self, store: Store) -> None:
        """Neither by `record` nor by `chunk`; a deleted one is."""
        _fill(store)
        with pytest.raises(SessionNotFound):
            store.record("other", "b")
        with pytest.raises(SessionNotFound):
            store.chunk("other", "b", after=0, limit=1)
        assert store.record("other", "a").row.owner == "a"
        assert store.chunk("other", "a", after=0, limit=1).messages == ()
        with pytest.raises(SessionNotFound):
            store.record("nobody", None)
