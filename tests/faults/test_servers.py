"""The servers that tests run against are real, and nothing of them is left, however the tests end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.faults.kit import pipe
from tests.servers import keeping
from tests.servers.postgres import QUICK, VERSIONS, Server, databases
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]
WITH_SERVER = """
import sys, time
sys.path.insert(0, {root!r})
from tests.servers import keeping
from tests.servers.postgres import QUICK, Server
server = Server(settings=QUICK).make().start()
print(keeping.keeper(), server.process.pid, server.folder.parent, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("postgres_url", VERSIONS, indirect=True)
def test_a_test_gets_an_empty_database(postgres_url: str) -> None:
    """Of the version that it asks for, as another user than root."""
    with psycopg.connect(postgres_url) as connection:
        [(number,)] = connection.execute("select current_setting('server_version_num')::int / 10000").fetchall()
        assert number in VERSIONS
        assert (
            connection.execute("select relname from pg_class where relnamespace = 'public'::regnamespace").fetchall()
            == []
        )
        assert connection.execute("show server_encoding").fetchone() == ("UTF8",)


def test_copies_of_a_template_are_prepared_once() -> None:
    """What makes it is called for the first only, and no copy sees what was written to another."""
    prepared: list[str] = []

    def prepare(url: str) -> None:
        prepared.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("create table there (n int)")

    there = databases()
    urls = [there.new("tested", prepare) for _ in range(2)]
    for url in urls:
        with psycopg.connect(url) as connection:
            assert connection.execute(
                "insert into there values (1) returning (select count(*) from there)"
            ).fetchone() == (0,)
    for url in urls:
        there.drop(url)
    assert len(prepared) == 1


@pytest.mark.parametrize("who", ["tests", "keeper"])
def test_nothing_is_left_after_a_kill(who: str, tmp_path: Path) -> None:
    """The tests killed: servers and files are gone. Their keeper killed: the servers are."""
    script = tmp_path / "tests_that_die.py"
    script.write_text(WITH_SERVER.format(root=str(ROOT)))
    running = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    try:
        keeper, server, folder = pipe(running.stdout).readline().split()
        assert alive(int(server))
        os.kill(running.pid if who == "tests" else int(keeper), signal.SIGKILL)
        until(lambda: not alive(int(server)), "the end of the server")
        if who == "tests":
            until(lambda: not Path(folder).exists(), "the end of its files")
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        running.kill()
        running.wait(PATIENCE)
        pipe(running.stdout).close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_server_is_killed_and_starts_again() -> None:
    """All of it dies at once, and what was committed is there again."""
    server = Server(settings=QUICK).make().start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table kept (n int)")
    server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url(), connect_timeout=2)
    server.start()
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)
    server.stop()


def test_a_program_that_is_not_there() -> None:
    """The keeper says so, and goes on."""
    with pytest.raises(OSError, match="No such file"):
        keeping.start(["/nonexistent/postgres"], Path("/dev/null"))
    assert databases().new()
