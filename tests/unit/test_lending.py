"""The connections that a SQLite store reads by."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from palaver.errors import StoreClosed, StoreUnavailable
from palaver.stores.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    """A store of which also what is its own business is looked at."""
    with SqliteStore(str(tmp_path / "chat.db")) as store:
        yield store


def is_closed(reads: Any) -> bool:
    """Whether a connection can be used no more."""
    try:
        reads.sql.script("SELECT 1")
    except apsw.ConnectionClosedError:
        return True
    return False


def test_one_is_kept_for_the_next(store: Any) -> None:
    """And two that read at the same time have one each."""
    with store._reading() as first, store._reading() as second:
        assert first is not second
    with store._reading() as again:
        assert again in (first, second)


def test_one_that_is_lent_while_everything_is_forgotten(store: Any) -> None:
    """It knows what was, and is closed when it is given back; the next one begins anew."""
    with store._reading() as before:
        store._lending.forget()
        assert not is_closed(before)
    assert is_closed(before)
    with store._reading() as after:
        assert after is not before


def test_one_that_is_lent_while_the_store_is_closed(store: Any) -> None:
    """It is closed when it is given back, and no other is lent."""
    with store._reading() as reads:
        store.close()
        assert not is_closed(reads)
    assert is_closed(reads)
    with pytest.raises(StoreClosed):
        store._reading()


def test_errors_are_the_stores_own_and_give_it_back(store: Any) -> None:
    """What SQLite raises is said in words; anything else is left alone. Neither costs a connection."""
    with store._reading() as reads:
        pass
    with pytest.raises(StoreUnavailable, match="damaged"), store._reading():
        raise apsw.CorruptError("malformed")
    with pytest.raises(StoreUnavailable, match="damaged"), store._reading():
        b"\xff".decode()
    with pytest.raises(KeyError), store._reading():
        raise KeyError
    with store._reading() as again:
        assert again is reads


def test_a_fork_waits_for_those_that_are_lent(store: Any) -> None:
    """And who wants to read meanwhile waits for the fork."""
    order: list[str] = []
    reading, asked = threading.Event(), threading.Event()

    def read() -> None:
        with store._reading():
            reading.set()
            asked.wait()
            order.append("read")

    def read_later() -> None:
        with store._reading():
            order.append("read after")

    first = threading.Thread(target=read)
    first.start()
    reading.wait()
    threading.Timer(0.02, asked.set).start()
    store._lending.hold()
    later = threading.Thread(target=read_later)
    later.start()
    order.append("held")
    store._lending.release()
    for thread in (first, later):
        thread.join()
    assert order == ["read", "held", "read after"]
