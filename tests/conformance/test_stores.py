"""Every store that Palaver brings keeps the one contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver.stores import open_store as open_url
from palaver.testing import OpenStore, StoreConformance


class TestMemory(StoreConformance):
    """The memory store."""

    persistent = False

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """A new memory store each time."""
        return lambda: open_url("memory://")


class TestSqlite(StoreConformance):
    """The SQLite store, in its default mode."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        """One file."""
        return lambda: open_url(f"sqlite:///{tmp_path}/store.db")


def test_no_group_hides_a_test_of_another() -> None:
    """Every test of every group is run: no two groups of the suite have a test of one name."""
    names = [name for group in StoreConformance.__mro__ for name in vars(group) if name.startswith("test_")]
    assert len(names) == len(set(names)) > 200
