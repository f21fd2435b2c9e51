"""Connections to read by: those that have ended are in nobody's way, and none is kept for ever."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import psycopg
import pytest

import palaver
from palaver import StoreClosed, user
from palaver.stores import open_store
from palaver.stores.postgres import PostgresStore, lending
from palaver.stores.postgres.connection import is_idle
from tests.waiting import until

READERS = 8


def connected(url: str) -> list[int]:
    """The server's processes for connections of stores."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'palaver'"
        )
        return [row[0] for row in rows]


def soon(url: str, count: int) -> None:
    """Wait until there are so many: the server needs a moment to see that one was closed."""
    until(lambda: len(connected(url)) == count, f"{count} connections")


def opened(url: str) -> PostgresStore:
    """A store that reads, and has not written yet."""
    store = open_store(url)
    assert isinstance(store, PostgresStore)
    return store


def test_all_that_were_lent_have_ended(postgres_url: str) -> None:
    """However many a crowd left behind: the first read after the server ended them is answered, without a pause."""
    with opened(f"{postgres_url}?timeout=3") as store:
        with ExitStack() as stack:
            for _ in range(READERS):
                stack.enter_context(store._reading())
        soon(postgres_url, READERS)
        with psycopg.connect(postgres_url, autocommit=True) as other:
            for pid in connected(postgres_url):
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        soon(postgres_url, 0)
        assert store.stats(None).sessions == 0
        soon(postgres_url, 1)


@pytest.mark.parametrize(("limit", "left"), [("_MOST_IDLE", 1), ("_MOST_AGE", 0)])
def test_a_connection_is_not_kept_for_ever(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, limit: str, left: int
) -> None:
    """One that was not needed for long is closed, and one that is old is replaced; a read after that makes another."""
    monkeypatch.setattr(lending, limit, 0.0)
    with opened(postgres_url) as store:
        for _ in range(2):
            with ExitStack() as stack:
                for _ in range(3):
                    stack.enter_context(store._reading())
                soon(postgres_url, 3)
            soon(postgres_url, left)


def test_a_notice_ends_nothing(postgres_url: str) -> None:
    """A connection on which something came, such as a setting that an administrator changed, is lent again."""
    with opened(postgres_url) as store, psycopg.connect(postgres_url, autocommit=True) as other:
        assert store.stats(None).sessions == 0
        with store._reading() as reads:
            connection = reads.sql.connection  # type: ignore[attr-defined]
            connection.execute("LISTEN here")
        other.execute("NOTIFY here")
        until(lambda: not is_idle(connection), "the notification")
        with store._reading() as again:
            assert again.sql.connection is connection  # type: ignore[attr-defined]
            assert is_idle(connection)


def test_closed_while_some_are_lent(postgres_url: str) -> None:
    """Who reads is not disturbed; its connection ends with it, and nobody gets another."""
    store = opened(postgres_url)
    with store._reading() as reads:
        store.close()
        assert reads.stats(None).sessions == 0
        with pytest.raises(StoreClosed):
            store.stats(None)
    soon(postgres_url, 0)


def test_more_readers_than_connections(postgres_url: str) -> None:
    """They wait for each other, and each is answered."""
    with palaver.open(f"{postgres_url}?connections=2") as sessions:
        session = sessions.get_or_create("k")
        session.append(user("hi"))
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda: found.extend(each.text for each in session.messages()))
            for _ in range(4 * READERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == ["hi"] * 4 * READERS
