"""Servers and networks that break under load: no acknowledged message is lost, none is stored twice, all goes on."""

from __future__ import annotations

import time
from typing import Any, cast

import psycopg
import pytest

import palaver
from palaver import StoreBusy, StoreError, user
from palaver.stores.postgres.place import Place
from tests.faults import kit
from tests.postgres.load import Load
from tests.postgres.proxy import Proxy
from tests.servers.postgres import Server
from tests.waiting import until


def store_of(sessions: palaver.SessionManager) -> Any:
    """What is beneath a manager."""
    return sessions._core.store


def end_all(server: Server) -> int:
    """Cut off every connection of the store, whatever it is doing."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        asked = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'palaver'"
        [(count,)] = connection.execute(asked).fetchall()
        return int(count)


def test_connections_ended_in_the_middle_of_batches(server: Server, url: str) -> None:
    """`pg_terminate_backend`, again and again: who writes notices, or is answered all the same."""
    with Load(url) as load:
        for _ in range(15):
            load.goes_on(30)
            assert end_all(server) > 0
        load.goes_on()
        load.end()


def test_the_server_restarts_under_load(server: Server, url: str) -> None:
    """Stopped by its administrator, and killed: writers are back by themselves."""
    with Load(url) as load:
        for end in (server.stop, server.kill):
            load.goes_on()
            end()
            server.start()
            load.goes_on()
        load.end()


def test_a_network_that_drops_and_stalls(server: Server, url: str) -> None:
    """Connections that are cut are made anew; what stands still goes on, or ends with an error that says so."""
    proxy = Proxy(server.port)
    try:
        through = url.replace(f":{server.port}/", f":{proxy.port}/")
        with Load(through) as load:
            for _ in range(5):
                load.goes_on(20)
                proxy.drop()
            load.goes_on(20)
            proxy.flows.clear()
            before = len(load.moments)
            time.sleep(0.3)  # nothing to wait for: that nothing is acknowledged is what is looked at
            # One answer may have been on its way: that of a batch with a message of each of the writers.
            assert len(load.moments) <= before + len(load.acknowledged)
            proxy.flows.set()
            load.goes_on(20)
            proxy.flows.clear()
            proxy.drop()
            proxy.flows.set()
            load.goes_on(20)
            load.end(url)
    finally:
        proxy.close()


def test_every_connection_is_lent(url: str) -> None:
    """A read that finds no free connection waits so long as the URL says, and then is StoreBusy; nothing hangs."""
    with palaver.open(f"{url}?connections=1&timeout=0.5") as sessions:
        sessions.get_or_create("k").append(user("x"))
        store = sessions._core.store
        with store._reading():  # type: ignore[attr-defined]
            began = time.monotonic()
            with pytest.raises(StoreBusy) as busy:
                sessions.list()
            assert time.monotonic() - began > 0.4
            assert busy.value.retryable
        assert len(sessions.list()) == 1


def test_a_lock_that_is_not_given_up(server: Server, url: str) -> None:
    """A write that waits for somebody else is StoreBusy after the URL's time, and wrote nothing.

    On a new connection, and on one that has been made ready for many such writes.
    """
    with palaver.open(f"{url}?timeout=0.5") as sessions, psycopg.connect(url) as other:
        one = sessions.get_or_create("k")
        one.append(user("x"))
        [number] = other.execute("select number from palaver.sessions").fetchone() or ()
        held = f"select pg_advisory_xact_lock({Place.of(url).session_lock(number)})"
        for round_ in range(4):
            for statement in ("lock table palaver.messages in access exclusive mode", held):
                other.execute(cast("Any", statement))
                with pytest.raises(StoreError) as refused:
                    one.append(user("y", id=f"y{round_}"))
                assert refused.value.outcome == "not_written"
                other.rollback()
            one.append(user("y", id=f"y{round_}"))
            for nth in range(4):
                one.append(user(f"\x00 and \x01, {nth}", id=f"\x00\x01{round_}.{nth}"))
        said = kit.texts(sessions, "k")
        assert said == ["x", *(["y", *(f"\x00 and \x01, {nth}" for nth in range(4))] * 4)]
        assert one.append(user("\x00 and \x01, 3", id="\x00\x013.3")).fresh is False


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, LookupError])
def test_nothing_is_logged_of_a_connection_that_dies(
    server: Server, url: str, caplog: pytest.LogCaptureFixture, error: type[BaseException] | None
) -> None:
    """Statements that go out together end with what went wrong first, and psycopg writes nothing beside that."""
    with palaver.open(url) as sessions, store_of(sessions)._lender.lend() as connection:
        sql = store_of(sessions)._opener.statements(connection)
        mine = connection.info.backend_pid

        def together() -> None:
            with sql.pipeline():
                sql.start("server_started")
                server.query(f"select pg_terminate_backend({mine})")
                until(lambda: server.query(f"select 1 from pg_stat_activity where pid = {mine}") == [], "its end")
                if error is not None:
                    raise error
                sql.start("server_started").fetchall()

        with pytest.raises(error or psycopg.OperationalError):
            together()
    assert caplog.records == []
