"""What every group of conformance tests starts from: an empty store, and what must hold after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal, TypeAlias

import msgspec
import pytest

from palaver.stores.base import Store
from palaver.testing.material import EVERYTHING, NOW, SECOND, drain, live, seqs, state_of, stored

__all__ = ["OpenStore", "StoreCase", "assert_sound"]

OpenStore: TypeAlias = Callable[[], Store]
"""Opens the store under test; called again, it opens the same data."""


class StoreCase:
    """A store to test, as its class attributes and its `open_store` fixture describe it."""

    persistent: ClassVar[bool] = True
    """Whether `open_store`, called again, also while the store is open, gives the same data; False: an empty store."""
    lease_clock: ClassVar[Literal["caller", "store"]] = "caller"
    """Whose clock judges leases: the time that operations carry (one machine), or the store's own (several)."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """A function that opens the store under test: empty at first, and with the same data when called again."""
        msg = f"{type(self).__name__} needs a fixture `open_store`, which returns a function that opens the store"
        raise NotImplementedError(msg)

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[Store]:
        """An empty store. After the test it must be sound, and the same when it is opened again."""
        opened = open_store()
        try:
            yield opened
            assert_sound(opened)
            before = state_of(opened)
        finally:
            opened.close()
        again = open_store()
        try:
            if self.persistent:
                assert state_of(again) == before, "a store that is opened again holds what it held"
                assert again.check() == []
            else:
                assert again.sessions(EVERYTHING, NOW) == []
        finally:
            again.close()


def assert_sound(store: Store) -> None:
    """What holds for every store at any time, whatever was done to it."""
    assert store.check() == []
    feed = drain(store)
    assert len({change.cursor for change in feed}) == len(feed), "each change has a cursor of its own"
    middle = len(feed) // 2
    assert not feed or drain(store, feed[middle].cursor, limit=3) == feed[middle + 1 :], "the feed can be resumed"
    for listed in store.sessions(EVERYTHING, NOW):
        info = store.info(listed.id, None, NOW)
        every, alive = stored(store, info.id), live(store, info.id)
        positions = seqs(every)
        assert positions == sorted(set(positions))
        assert all(1 <= seq <= info.last_seq for seq in positions)
        assert all(message.created_at is not None for message in every)
        assert [m for m in every if m.seq in set(seqs(alive))] == alive, "what is live is stored"
        assert info.message_count == len(alive)
        assert abs((listed.last_active_at - info.last_active_at).total_seconds()) * SECOND <= SECOND
        same = {"aliases": (), "usage": None, "turn_running": False, "last_active_at": info.last_active_at}
        assert msgspec.structs.replace(listed, **same) == msgspec.structs.replace(info, **same)
        for key in info.keys:
            current = store.current(info.owner or "", key, NOW)
            assert current is not None
            assert current.id == info.id
        changes = [change for change in feed if change.session_id == info.id]
        assert changes == drain(store, session_id=info.id)
        revs = [change.rev for change in changes]
        assert revs == sorted(revs)
        assert not revs or revs[-1] <= info.rev
        named = {seq for c in changes if c.from_seq for seq in range(c.from_seq, min(c.through_seq, info.last_seq) + 1)}
        assert set(positions) <= named, "the feed names the position of everything that was stored"
