"""A server that is away: who asks is told so before long, a restart is ridden out, and nobody has to begin anew."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

import palaver
from palaver import Session, SessionManager, StoreError, StoreUnavailable, user
from palaver.server import app
from tests.e2e.asking import BASE
from tests.faults import kit
from tests.postgres.proxy import Proxy
from tests.servers.postgres import Server
from tests.waiting import until

LONG = 28.0
"""Seconds, many times what an answer takes, and less than the `timeout` of a URL that says nothing of it."""
SOON = "?timeout=1&connect_timeout=2"
"""Of a URL: how long its server is waited for."""
READS: list[Callable[[SessionManager, Session], object]] = [
    lambda sessions, _: sessions.list(),
    lambda _, session: session.messages(),
    lambda _, session: session.info(),
    lambda _, session: session.history(),
    lambda sessions, _: sessions.search("x"),
    lambda sessions, _: sessions.stats(),
]


@contextmanager
def away(server: Server, end: str = "stop") -> Iterator[None]:
    """It is gone, and comes again."""
    getattr(server, end)()
    try:
        yield
    finally:
        server.start()


@contextmanager
def standing_still(server: Server, url: str) -> Iterator[tuple[str, Proxy]]:
    """A URL of the same database, and what can hold everything up on the way there."""
    proxy = Proxy(server.port)
    try:
        yield url.replace(f":{server.port}/", f":{proxy.port}/"), proxy
    finally:
        proxy.close()


@contextmanager
def interrupted(when: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """What is inside is left with Ctrl-C, and soon, once something is so."""
    main = threading.main_thread().ident
    assert main is not None
    moments: list[float] = []

    def inside() -> bool:  # else it would end the tests
        frames = traceback.walk_stack(sys._current_frames().get(main))
        return any(frame.f_globals.get("__name__", "").startswith("palaver.stores") for frame, _ in frames)

    def interrupt() -> None:
        until(lambda: inside() and when(), "what is to be interrupted")
        time.sleep(0.2)  # nothing to wait for: it is to be deep inside
        moments.append(time.monotonic())
        signal.pthread_kill(main, signal.SIGINT)

    sender = threading.Thread(target=interrupt, daemon=True)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    assert time.monotonic() - moments[0] < LONG / 4
    sender.join(LONG)


def store_of(sessions: Any) -> Any:
    """What is beneath a manager."""
    return sessions._core.store


def test_who_asks_is_told_that_it_is_away(server: Server, url: str) -> None:
    """Reads and writes end with StoreUnavailable, which names the server and says what to do; nothing was written."""
    with palaver.open(url + SOON) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("x", id="x"))
        began = time.monotonic()
        with away(server, "kill"):
            for read in READS:
                with pytest.raises(StoreUnavailable, match="start it") as refused:
                    read(sessions, session)
                assert f"127.0.0.1:{server.port}/" in str(refused.value)
                assert server.password not in str(refused.value)
                assert (refused.value.outcome, refused.value.retryable) == ("not_written", True)
                assert isinstance(refused.value.__cause__, psycopg.OperationalError)
            with pytest.raises(StoreUnavailable, match="start it") as refused:
                session.append(user("y", id="y"))
            assert refused.value.outcome == "not_written"
            assert time.monotonic() - began < LONG
        for read in READS:
            read(sessions, session)
        session.append(user("y", id="y"))
        assert kit.texts(sessions, "k") == ["x", "y"]


def test_all_who_wait_for_a_connection_are_told(server: Server, url: str) -> None:
    """That others wait for the same server is not what is wrong: nobody hears of StoreBusy."""
    with palaver.open(url + SOON + "&connections=1") as sessions:
        sessions.get_or_create("k").append(user("x"))
        errors: list[BaseException] = []

        def read() -> None:
            try:
                sessions.list()
            except StoreError as error:
                errors.append(error)

        threads = [threading.Thread(target=read) for _ in range(8)]
        with away(server):
            for each in threads:
                each.start()
            for each in threads:
                each.join(LONG)
        assert {type(each) for each in errors} == {StoreUnavailable}
        assert len(errors) == len(threads)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_readers_ride_out_a_restart(server: Server, url: str, end: str) -> None:
    """Whoever reads while the server is restarted gets what it asked for, and no error."""
    with palaver.open(url) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("x"))
        ending = threading.Event()
        errors: list[BaseException] = []
        counts = [0] * 4

        def read(number: int) -> None:
            try:
                while not ending.is_set():
                    for each in READS:
                        each(sessions, session)
                    counts[number] += 1
            except BaseException as error:  # noqa: BLE001 - told to the test
                errors.append(error)

        def all_read(more: int) -> bool:
            return bool(errors) or min(counts) >= more

        threads = [threading.Thread(target=read, args=(number,)) for number in range(len(counts))]
        for each in threads:
            each.start()
        try:
            until(lambda: all_read(3), "the readers")
            with away(server, end):
                pass
            back = time.monotonic()
            before = max(counts)
            until(lambda: all_read(before + 3), "the readers to go on")
            assert time.monotonic() - back < LONG
        finally:
            ending.set()
            for each in threads:
                each.join(LONG)
        assert errors == []


def test_a_server_that_stands_still(server: Server, url: str) -> None:
    """It is not waited for without end; what became of a message that was on its way there its id tells."""
    with standing_still(server, url) as (through, proxy), palaver.open(through + SOON) as sessions:
        session = sessions.get_or_create("k")
        for text in ("x", "y"):
            session.append(user(text, id=text))
        sessions.list()
        proxy.flows.clear()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as refused:
            session.append(user("z", id="z"))
        assert (refused.value.outcome, refused.value.retryable) == ("unknown", False)
        with pytest.raises(StoreUnavailable) as refused:
            sessions.list()
        assert refused.value.outcome == "not_written"
        assert time.monotonic() - began < LONG
        proxy.flows.set()
        session.append(user("z", id="z"))
        assert kit.texts(sessions, "k") == ["x", "y", "z"]
        assert len(sessions.list()) == 1


def test_what_takes_long_is_waited_for(url: str) -> None:
    """A server that is there and has much to do is no server that is away."""
    with palaver.open(f"{url}?timeout=0.3") as sessions, store_of(sessions)._lender.lend() as connection:
        assert connection.execute("select pg_sleep(1.2), 7").fetchone()[1] == 7


def test_an_interrupt_leaves_a_read(server: Server, url: str) -> None:
    """Ctrl-C ends what the server was doing, and waits neither for that nor for a server that stands still."""
    with standing_still(server, url) as (through, proxy), palaver.open(through) as sessions:
        sessions.get_or_create("k").append(user("x"))
        asked = "select count(*) from pg_stat_activity where query like 'select pg_sleep(77)%' and state = 'active'"

        def runs() -> bool:
            return server.query(asked) == [(1,)]

        with interrupted(runs), store_of(sessions)._lender.lend() as connection:
            connection.execute("select pg_sleep(77)")
        until(lambda: not runs(), "the server to have been told")
        assert len(sessions.list()) == 1
        proxy.flows.clear()
        with interrupted():
            sessions.list()
        proxy.flows.set()
        assert len(sessions.list()) == 1


def test_an_interrupt_leaves_a_write(server: Server, url: str) -> None:
    """Ctrl-C while a message waits for its session's lock: it may be there later, and is there once."""
    with palaver.open(url) as sessions, palaver.open(url) as others:
        session = sessions.get_or_create("k")
        for text in ("x", "y"):
            session.append(user(text, id=text))
        store = store_of(sessions)
        lock = max(store.locks_held)
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        with psycopg.connect(url) as other:
            other.execute("select pg_advisory_xact_lock(%s)", (lock,))
            with interrupted(lambda: server.query(waits) == [(1,)]):
                session.append(user("z", id="z"))
            assert not store.committing
            others.get_or_create("another").append(user("elsewhere"))
            sessions.get_or_create("a third").append(user("here"))
        session.append(user("z", id="z"))
        assert kit.texts(sessions, "k") == ["x", "y", "z"]


@pytest.mark.parametrize("still", [True, False])
def test_an_interrupt_ends_the_waiting_for_a_server(server: Server, url: str, still: bool) -> None:
    """Ctrl-C while a write or a read waits for one that stands still, or is away."""
    with standing_still(server, url) as (through, proxy), palaver.open(through) as sessions:
        session = sessions.get_or_create("k")
        for text in ("x", "y"):
            session.append(user(text, id=text))
        sessions.list()
        if still:
            proxy.flows.clear()
        else:
            server.kill()
        for call in (lambda: session.append(user("z", id="z")), sessions.list):
            with interrupted():
                call()
        if still:
            proxy.flows.set()
        else:
            server.start()
        session.append(user("z", id="z"))
        assert kit.texts(sessions, "k") == ["x", "y", "z"]


def test_a_task_that_is_cancelled(server: Server, url: str) -> None:
    """A task that waits for a server and reads goes when it is cancelled; if it writes, when the outcome is known."""

    async def tasks(through: str, proxy: Proxy) -> None:
        async with palaver.aopen(through + SOON) as sessions:
            session = await sessions.get_or_create("k")
            for text in ("x", "y"):
                await session.append(user(text, id=text))
            await sessions.list()
            proxy.flows.clear()
            for limit, call in ((LONG / 4, sessions.list()), (LONG, session.append(user("z", id="z")))):
                began = time.monotonic()
                with pytest.raises((asyncio.TimeoutError, StoreUnavailable)):
                    await asyncio.wait_for(call, 0.3)
                assert time.monotonic() - began < limit
            proxy.flows.set()
            await session.append(user("z", id="z"))
            assert [each.text for each in await session.messages()] == ["x", "y", "z"]

    with standing_still(server, url) as (through, proxy):
        asyncio.run(tasks(through, proxy))


def test_it_can_be_closed_while_its_server_stands_still(server: Server, url: str) -> None:
    """Nothing is waited for, also not by who listens for changes."""
    with standing_still(server, url) as (through, proxy):
        sessions = palaver.open(through)
        sessions.get_or_create("k").append(user("x"))
        store = store_of(sessions)
        with store.wakes.calling(lambda: None):
            until(lambda: server.query("select 1 from pg_stat_activity where query like 'LISTEN%'") != [], "a listener")
        proxy.flows.clear()
        began = time.monotonic()
        sessions.close()
        assert time.monotonic() - began < LONG / 4


def test_the_server_answers_503(server: Server, url: str) -> None:
    """With when to come again; and it is well as soon as the store is."""
    with TestClient(app(url + SOON), base_url=BASE) as client:
        assert client.get("/v1/sessions").status_code == 200
        with away(server):
            refused = client.get("/v1/sessions")
            ready = client.get("/readyz")
        assert (ready.status_code, "StoreUnavailable" in ready.text, "in a moment" in ready.text) == (503, True, True)
        assert str(server.port) not in ready.text, "it is asked without a key"
        assert (refused.status_code, refused.json()["retryable"]) == (503, True)
        assert refused.json()["type"] == "/problems/store-unavailable"
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get("/v1/sessions").status_code == 200


def test_an_outage_is_logged_once(server: Server, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """That it is away, and that it is back, however often it was tried; and psycopg says nothing beside that."""
    with palaver.open(url + SOON) as sessions, caplog.at_level(logging.WARNING):
        session = sessions.get_or_create("k")
        session.append(user("x"))
        sessions.list()
        with away(server):
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    sessions.list()
                with pytest.raises(StoreUnavailable):
                    session.append(user("y"))
        session.append(user("y"))
        sessions.list()
    assert [getattr(each, "action", each.name) for each in caplog.records] == ["store_away", "store_back"]


def test_a_command_prints_its_own_error(server: Server, url: str) -> None:
    """And nothing of the libraries beneath it."""
    with palaver.open(url) as sessions:
        sessions.get_or_create("k").append(user("x"))
    with away(server):
        done = subprocess.run(
            [sys.executable, "-m", "palaver", "--store", url, "ls"],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(kit.SOURCE)},
            timeout=LONG * 3,
        )
    assert done.returncode != 0
    assert done.stdout == ""
    assert "cannot be reached" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3, done.stderr
    assert "palaver'" not in done.stderr
    assert server.password not in done.stderr
