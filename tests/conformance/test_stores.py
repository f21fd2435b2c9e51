"""Every store that Palaver brings keeps the one contract."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from palaver.errors import StoreClosed
from palaver.operations import Create, NewSession
from palaver.search import SearchQuery
from palaver.stores import Store
from palaver.stores import open_store as open_url
from palaver.testing import OpenStore, StoreConformance
from palaver.testing.base import StoreCase
from palaver.testing.copying import Copies
from palaver.testing.feed import Feed
from palaver.testing.material import AT, do, drafts
from palaver.testing.messages import Appends, Batches
from palaver.testing.queue import Queue
from palaver.testing.ranges import Purges
from palaver.testing.threads import Closing
from tests.servers.postgres import databases


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


class TestJsonl(StoreConformance):
    """The JSONL store."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        """One directory."""
        return lambda: open_url(f"jsonl:///{tmp_path}/store")


class TestJsonlWithoutIndex(StoreConformance):
    """The JSONL store, whose index is lost whenever nobody has it open: all is in the files."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        """One directory."""
        opened: list[Store] = []

        def open_it() -> Store:
            if all(_is_closed(store) for store in opened):
                shutil.rmtree(tmp_path / "store" / ".palaver", ignore_errors=True)
            opened.append(open_url(f"jsonl:///{tmp_path}/store"))
            return opened[-1]

        return open_it

    def test_it_is_there_when_the_store_is_opened_again(self, open_store: OpenStore) -> None:
        """The search index is made anew as well, by the first search that may take its time."""
        with open_store() as store:
            do(store, Create(at=AT, new=NewSession(id="s", carried=drafts("plum one"))))
            assert [hit.seq for hit in store.search(SearchQuery(text="plum"))] == [1]
        with open_store() as store:
            assert [hit.seq for hit in store.search(SearchQuery(text="plum"))] == [1]


class TestPostgres(StoreConformance):
    """The PostgreSQL store, whose server judges leases."""

    lease_clock = "store"

    @pytest.fixture
    def open_store(self) -> Iterator[OpenStore]:
        """One database, whose schema was made once."""
        there = databases()
        url = there.new("palaver", lambda url: open_url(url).close())
        yield lambda: open_url(url)
        there.drop(url)


class _InPartitions(StoreCase):
    """The same, with tables that are partitioned."""

    lease_clock = "store"

    @pytest.fixture
    def open_store(self) -> Iterator[OpenStore]:
        """One database, whose schema was made once."""
        there = databases()
        url = there.new("partitioned", lambda url: open_url(f"{url}?partitions=3").close())
        yield lambda: open_url(f"{url}?partitions=3")
        there.drop(url)


class TestPostgresInPartitions(_InPartitions, Appends, Batches, Queue, Purges, Copies, Feed, Closing):
    """What writes to the tables that are partitioned and reads from them."""


@pytest.mark.soak
class TestAllOfPostgresInPartitions(_InPartitions, StoreConformance):
    """The whole suite: the other tests once more, for who has the minutes."""


def _is_closed(store: Store) -> bool:
    try:
        store.stats(None)
    except StoreClosed:
        return True
    return False


def test_no_group_hides_a_test_of_another() -> None:
    """Every test of every group is run: no two groups of the suite have a test of one name."""
    names = [name for group in StoreConformance.__mro__ for name in vars(group) if name.startswith("test_")]
    assert len(names) == len(set(names)) > 200
