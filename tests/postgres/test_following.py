"""`palaver copy --follow` where a server is away for longer than a call waits for it: it goes on when that is back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

import palaver
from palaver import user
from tests.faults import kit
from tests.faults.kit import pipe
from tests.servers.postgres import Server
from tests.waiting import PATIENCE

SOON = "?timeout=0.5&connect_timeout=2"
"""Of a URL: how long its server is tried by one call."""


class Follower:
    """`palaver copy --follow` in a process of its own."""

    def __init__(self, source: str, target: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "palaver", "copy", "--follow", "--json", source, target],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(kit.SOURCE)},
        )

    def record(self) -> dict[str, object]:
        """The next line of its output."""
        found: dict[str, object] = json.loads(pipe(self.process.stdout).readline())
        return found

    def note(self) -> str:
        """The next line that it has for a person."""
        return pipe(self.process.stderr).readline()

    def end(self) -> tuple[int, dict[str, object]]:
        """Interrupt it; its exit code, and what it says last."""
        self.process.send_signal(signal.SIGINT)
        report = self.record()
        return self.process.wait(PATIENCE), report


@contextmanager
def following(source: str, target: str) -> Iterator[Follower]:
    """A follower that has caught up."""
    follower = Follower(source, target)
    try:
        assert follower.record()["type"] == "caught_up"
        assert follower.note().startswith("following ")
        yield follower
    finally:
        follower.process.kill()
        follower.process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("away", ["target", "source"])
def test_it_outlives_a_server(server: Server, url: str, away: str, tmp_path: Path) -> None:
    """Of what it copies from or into: it says that it has lost it, and that it is back, and lacks nothing then."""
    file = f"{tmp_path}/chat.db"
    source, target = (file, url) if away == "target" else (url, file)
    ends = [each + SOON if each == url else each for each in (source, target)]
    with palaver.open(source) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("before"))
        with following(*ends) as follower:
            server.stop()
            if away == "target":
                session.append(user("while it was away"))
            lost = follower.note()
            assert "cannot be reached" in lost
            assert "tried until it is there" in lost
            assert server.password not in lost
            server.start()
            if away == "source":
                session.append(user("while it was away"))
            assert "it is back" in follower.note()
            session.append(user("after"))
            while (told := follower.record())["messages"] != 3:
                assert told["type"] == "caught_up"
            code, report = follower.end()
    assert (code, report["sessions"], report["copied"], report["messages"], report["problems"]) == (0, 1, 1, 3, 0)
    with palaver.open(target) as copy:
        assert kit.texts(copy, "k") == ["before", "while it was away", "after"]


def test_it_ends_where_nobody_lets_it_in(server: Server, url: str, tmp_path: Path) -> None:
    """A password that is another one now does not heal by waiting: the exit code says that the store cannot be used."""
    file = f"{tmp_path}/chat.db"
    with palaver.open(file) as sessions:
        sessions.get_or_create("k").append(user("before"))
        server.query("drop role if exists copies")
        server.query("create role copies login superuser password 'one'")
        theirs = url.replace(f"postgres:{server.password}@", "copies:one@")
        with following(file, theirs) as follower:
            server.query("alter role copies password 'other'")
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'copies'")
            sessions.resolve("k").append(user("more"))
            assert "look at the user and the password" in follower.note()
            assert follower.process.wait(PATIENCE) == 4
