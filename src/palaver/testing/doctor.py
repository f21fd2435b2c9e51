"""Conformance: what a store says of its own health, and copies of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver.errors import SessionNotFound, StoreUnavailable
from palaver.model import assistant
from palaver.operations import Cut, Delete
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import AT, NOW, create, do, state_of

__all__ = ["Doctor"]


class Doctor(StoreCase):
    """check, repair, backup."""

    def test_a_sound_store_is_well(self, store: Store) -> None:
        """Nothing is found, in the whole or in part, and progress is told by whoever has any."""
        create(store, "s", "a", assistant("b"), "c", owner="ann")
        create(store, "t", "d", owner="bob")
        do(store, Cut(at=AT, session_id="s", from_seq=1, through_seq=2, kind="delete"))
        told: list[tuple[int, int]] = []
        assert store.check(notes=True, progress=lambda done, total: told.append((done, total))) == []
        assert all(done <= total for done, total in told)
        assert store.check("ann") == store.check(session_id="s") == store.check("ann", session_id="s") == []

    def test_of_a_session_that_is_not_there(self, store: Store) -> None:
        """An unknown or foreign session is not found; a deleted one can be looked at."""
        create(store, "s", "a", owner="ann")
        with pytest.raises(SessionNotFound):
            store.check(session_id="none")
        with pytest.raises(SessionNotFound):
            store.check("bob", session_id="s")
        do(store, Delete(at=AT, session_id="s"))
        assert store.check(session_id="s") == []

    def test_repairing_what_is_well(self, store: Store) -> None:
        """A repair of a sound store does nothing."""
        create(store, "s", "a", assistant("b"))
        before = state_of(store)
        assert store.repair(NOW) == []
        assert state_of(store) == before

    def test_a_backup_is_made_or_refused(self, store: Store, tmp_path: Path) -> None:
        """It is there and remembered, or the store says that it has none to make and writes nothing."""
        create(store, "s", "a")
        path = tmp_path / "copies" / "b.db"
        if not self.persistent:
            with pytest.raises(StoreUnavailable):
                store.backup(str(path), NOW)
            assert not path.parent.exists()
            assert store.backups() == []
            return
        before = state_of(store)
        made = store.backup(str(path), NOW)
        assert (made.path, made.made_at, made.sessions, made.messages) == (str(path), NOW, 1, 1)
        assert made.cursor == store.changes(None)[-1].cursor
        assert path.exists()
        assert store.backups() == [made]
        assert state_of(store) == before
        with pytest.raises(FileExistsError):
            store.backup(str(path), NOW)
        path.unlink()
        assert store.backups() == []
