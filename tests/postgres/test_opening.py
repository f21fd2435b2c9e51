"""Opening a store: a server that is just starting is waited for, and one that lets nobody in says so at once."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest

import palaver
from palaver import StoreBusy, StoreUnavailable, user
from palaver.cli import main
from palaver.stores.postgres.errors import unreachable
from tests.faults import kit
from tests.servers.postgres import Server

LONG = 28.0
"""Seconds, many times what a restart takes, and less than anybody waits who is not told."""
NEVER = 5.0
"""Seconds: half of what a server that is away is tried for. Nobody waits so long for what cannot be."""


@contextmanager
def restarted(server: Server) -> Iterator[None]:
    """It is gone when the block begins, and is started once somebody has missed it."""
    logger = logging.getLogger("palaver.stores.postgres.connection")
    missed = threading.Event()

    class Missed(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "action", None) == "store_away":
                missed.set()

    def start() -> None:
        assert missed.wait(LONG), "nobody has missed it"
        server.start()

    server.stop()
    handler = Missed()
    logger.addHandler(handler)
    starting = threading.Thread(target=start)
    starting.start()
    try:
        yield
    finally:
        starting.join(LONG)
        logger.removeHandler(handler)


def test_opening_rides_out_a_restart(server: Server, url: str) -> None:
    """Whoever opens a store while its server is restarted gets it, as soon as it is there."""
    with palaver.open(url) as sessions:
        sessions.get_or_create("k").append(user("x"))
    with restarted(server), palaver.open(url) as sessions:
        assert kit.texts(sessions, "k") == ["x"]

    async def opened() -> int:
        async with palaver.aopen(url) as sessions:
            return len(await sessions.list())

    with restarted(server):
        assert asyncio.run(opened()) == 1


def test_opening_ends(server: Server, url: str) -> None:
    """A server that stays away is tried for so long as the URL says, and then the error names it."""
    server.stop()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"cannot be reached.*start it") as refused:
            palaver.open(f"{url}?timeout=0.5")
        assert 0.3 < time.monotonic() - began < LONG
        assert (refused.value.retryable, refused.value.outcome) == (True, "not_written")
        assert server.password not in str(refused.value)
    finally:
        server.start()


def test_serving_says_that_it_waits(server: Server, url: str) -> None:
    """`palaver serve` is started together with its database, and listens when that is there."""
    server.stop()
    running = subprocess.Popen(
        [sys.executable, "-m", "palaver", "--store", url, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(kit.SOURCE), "PYTHONUNBUFFERED": "1"},
    )
    try:
        said = kit.pipe(running.stderr).readline()
        assert "is away, and is tried for 10 s" in said
        assert server.password not in said
        server.start()
        assert "Palaver serves postgresql://" in kit.pipe(running.stdout).readline()
        assert "is back" in kit.pipe(running.stderr).readline()
    finally:
        running.terminate()
        running.communicate(timeout=LONG)


def test_a_command_says_that_it_waits(server: Server, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And then why it did not work."""
    server.stop()
    try:
        assert main(["--store", f"{url}?timeout=0.3", "ls"]) == 4
    finally:
        server.start()
    away, error = capsys.readouterr().err.splitlines()
    assert "is away, and is tried for 0.3 s" in away
    assert "cannot be reached" in error


def another(url: str, *, who: str | None = None, password: str | None = None, database: str | None = None) -> str:
    """The URL with another user, password or database."""
    parts = urlsplit(url)
    said = f"{who or parts.username}:{password or parts.password}@{parts.hostname}:{parts.port}"
    return f"postgresql://{said}/{database or parts.path[1:]}"


@pytest.fixture
def wrong(server: Server, url: str) -> dict[str, str]:
    """URLs with which nobody gets in."""
    database = urlsplit(url).path[1:]
    for text in (
        "drop role if exists guest, idle",
        f"revoke connect on database {database} from public",
        "create role guest login password 'g'",
        "create role idle nologin password 'g'",
    ):
        server.query(text)
    return {
        "password": another(url, password="wrong"),
        "no password": url.replace(f":{server.password}@", "@"),
        "user": another(url, who="nobody-at-all"),
        "no login": another(url, who="idle", password="g"),
        "database": another(url, database="not-there"),
        "connect": another(url, who="guest", password="g"),
    }


REMEDIES = {
    "password": r"password authentication failed.*look at the user and the password",
    "no password": r"no password supplied.*PGPASSWORD",
    "user": r"look at the user and the password",
    "no login": r"not permitted to log in.*look at the user",
    "database": r'database "not-there" does not exist; create this database',
    "connect": r"permission denied for database.*GRANT CONNECT",
}


def test_who_is_not_let_in_is_told_at_once(server: Server, wrong: dict[str, str]) -> None:
    """What is wrong and what mends it; not that the server be started, and not after trying for long."""
    assert wrong.keys() == REMEDIES.keys()
    for what, url in wrong.items():
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=REMEDIES[what]) as refused:
            palaver.open(url)
        assert time.monotonic() - began < NEVER
        assert (refused.value.retryable, refused.value.outcome) == (False, "not_written")
        assert "start it" not in str(refused.value)
        assert f"127.0.0.1:{server.port}/" in str(refused.value)
        assert server.password not in str(refused.value)
        assert isinstance(refused.value.__cause__, psycopg.OperationalError)


def test_a_password_that_is_changed(server: Server, url: str) -> None:
    """A store that is open is told so with its next connection, and goes on when it is let in."""
    with palaver.open(another(url, who="postgres") + "?connections=1") as sessions:
        session = sessions.get_or_create("k")
        session.append(user("x", id="x"))
        server.query("alter role postgres password 'changed'")
        try:
            with psycopg.connect(another(url, password="changed"), autocommit=True) as other:
                other.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'palaver'"
                )
            for call in (sessions.list, lambda: session.append(user("y", id="y"))):
                began = time.monotonic()
                with pytest.raises(StoreUnavailable, match="look at the user and the password") as refused:
                    call()
                assert time.monotonic() - began < NEVER
                assert not refused.value.retryable
        finally:
            with psycopg.connect(another(url, password="changed"), autocommit=True) as other:
                other.execute(f"alter role postgres password '{server.password}'")
        session.append(user("y", id="y"))
        assert kit.texts(sessions, "k") == ["x", "y"]


def test_a_server_with_no_connection_left(server: Server, url: str) -> None:
    """That may be otherwise in a moment: StoreBusy, after the URL's time."""
    server.query("drop role if exists few")
    server.query("create role few login password 'g' connection limit 0")
    with pytest.raises(StoreBusy, match="takes no more connections") as refused:
        palaver.open(another(url, who="few", password="g") + "?timeout=0.3")
    assert refused.value.retryable


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_all_text(server: Server, encoding: str) -> None:
    """It is refused before anything is made there, and the error says which one to make."""
    name = f"text_{encoding.lower()}"
    server.query(f"create database {name} template template0 encoding '{encoding}' locale 'C'")
    with pytest.raises(StoreUnavailable, match=f"encoding {encoding}, and text needs UTF8") as refused:
        palaver.open(server.url(name))
    assert not refused.value.retryable
    with psycopg.connect(server.url(name)) as connection:
        assert connection.execute("select to_regnamespace('palaver') is null").fetchone() == (True,)


HOST = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "kind", "retryable", "told"),
    [
        ("FATAL:  the database system is starting up", StoreUnavailable, True, "cannot be reached"),
        ("FATAL:  the database system is not yet accepting connections", StoreUnavailable, True, "cannot be reached"),
        ("FATAL:  sorry, too many clients already", StoreBusy, True, "takes no more"),
        ("FATAL:  no pg_hba.conf entry for host", StoreUnavailable, False, "pg_hba.conf"),
        ("FATAL:  no such user: x", StoreUnavailable, False, "user"),
        ("FATAL:  Passwort-Authentifizierung für Benutzer »x« fehlgeschlagen", StoreUnavailable, True, "password"),
        ('ВАЖНО:  база данных "x" не существует', StoreUnavailable, True, "refuses the connection"),
        ("Connection refused", StoreUnavailable, True, "start it"),
    ],
)
def test_what_servers_say(said: str, kind: type[Exception], retryable: bool, told: str) -> None:
    """By its words; a language that is not known is told as a refusal, and tried again."""
    error = unreachable(psycopg.OperationalError(HOST + said), "postgresql://10.0.0.1/x")
    assert (type(error), error.retryable) == (kind, retryable)
    assert told in str(error)


def test_what_several_servers_say() -> None:
    """One that only starts may let in whom another one does not."""
    starts, refuses = HOST + "FATAL:  the database system is starting up", HOST + 'FATAL:  database "x" does not exist'
    assert unreachable(psycopg.OperationalError(f"{refuses}\n{starts}"), "x").retryable
    assert not unreachable(psycopg.OperationalError(f"{refuses}\n{HOST}Connection refused"), "x").retryable
