"""A server whose disk is full: StoreFull, nothing lost, and all goes on when there is room again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import palaver
from palaver import StoreFull, user
from tests.disks import mounted
from tests.faults import kit
from tests.servers import keeping
from tests.servers.postgres import QUICK, Server, run_as


@pytest.fixture
def small() -> Iterator[Path]:
    """A file system with little room, and a folder `own` in it that is the server's."""
    place = keeping.free_folder("disk")
    place.chmod(0o755)
    with mounted(place, "24m"):
        own = place / "own"
        own.mkdir(0o700)
        owner = run_as()
        if owner is not None:
            os.chown(own, *owner)
        yield place


def test_no_room_for_tables(small: Path) -> None:
    """The log is elsewhere. Writing is refused and says why, reading goes on; with room the same store writes on."""
    server = Server(settings=QUICK).make().start()
    ballast = small / "ballast"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create tablespace small location '{small}/own'")  # type: ignore[arg-type, unused-ignore]
        connection.execute("create database chat tablespace small template template0")
    ballast.write_bytes(bytes(8 * 1024 * 1024))
    with palaver.open(server.url("chat")) as sessions:
        session = sessions.get_or_create("k")
        acknowledged: list[str] = []
        with pytest.raises(StoreFull) as full:  # noqa: PT012 - one of many appends will raise
            for number in range(10_000):
                session.append(user(f"{number} {os.urandom(6_000).hex()}", id=str(number)))
                acknowledged.append(str(number))
        assert full.value.outcome == "not_written"
        assert full.value.retryable
        assert len(acknowledged) > 50
        found = [text.partition(" ")[0] for text in kit.texts(sessions, "k")]
        assert found == acknowledged
        ballast.unlink()
        session.append(user("room", id="room"))
        assert len(kit.texts(sessions, "k")) == len(acknowledged) + 1
        assert sessions.check() == []
    server.stop()


def test_no_room_for_the_log(small: Path) -> None:
    """The server ends: what was under way is unknown. With room, and started again, the same store writes on."""
    # It is a commit that finds no room, and not what the server does beside it, of which the client hears no reason.
    quiet = ("max_wal_size=4GB", "wal_writer_delay=10s", "autovacuum=off", "checkpoint_timeout=1h")
    server = Server(settings=quiet).make(f"--waldir={small}/own", "--wal-segsize=1").start()
    ballast = small / "ballast"
    with palaver.open(server.url(timeout="10")) as sessions:
        session = sessions.get_or_create("k")
        acknowledged: list[str] = []
        ballast.write_bytes(bytes(12 * 1024 * 1024))
        with pytest.raises(StoreFull) as full:  # noqa: PT012 - one of many appends will raise
            for number in range(10_000):
                session.append(user(f"{number} {os.urandom(6_000).hex()}", id=str(number)))
                acknowledged.append(str(number))
        assert full.value.outcome == "unknown"
        assert full.value.retryable
        assert len(acknowledged) > 50
        ballast.unlink()
        if not server.recovers():  # it had no room for that, either
            server.start()
        session.append(user("room", id="room"))
        found = [text.partition(" ")[0] for text in kit.texts(sessions, "k")]
        assert found[: len(acknowledged)] == acknowledged
        assert found[len(acknowledged) :] in (["room"], [str(len(acknowledged)), "room"])
        assert sessions.check() == []
    server.stop()
