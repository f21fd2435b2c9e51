"""Opening SQLite files: who may, how safely, and which schema they have."""

from __future__ import annotations

import os
import random
import stat
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import apsw

from palaver.codec import CODEC_VERSION
from palaver.errors import SchemaMismatch, StoreBusy, StoreUnavailable
from palaver.stores.schema import oldest_code, require_usable
from palaver.stores.sqlite.errors import translate
from palaver.stores.sqlite.filesystem import filesystem_type, is_network
from palaver.stores.sqlite.headroom import Headroom
from palaver.stores.sqlite.queries import migrations
from palaver.stores.sqlite.statements import Statements

__all__ = ["APPLICATION_ID", "Opener"]

APPLICATION_ID = 0x50414C41  # "PALA", in the file's header
_OLDEST = 16
"""From this bit of the header's number on is how many migrations code must know; 0: all."""
_FIRST_WAIT = 0.000_2
_HURRIED_WAIT = 0.002
"""An event loop may stand still that long; see Store.commit_at_once."""
_LONGEST_WAIT = 0.005
_CHECKPOINT_WAIT = 0.05
_SHORT_LOG = 1 << 20
_INDEX = f"{os.sep}.palaver{os.sep}index.db"
"""Where a store of JSONL files has its index."""


class Opener:
    """How to open one database file.

    `exclusive`: one process only, with a rollback journal: safe on a network file system.
    `read_only`: never writes, and refuses to. Not `make`: only where there is a file.
    Not `durable`: a power loss may take the newest commits, and no others.
    """

    def __init__(
        self,
        path: str,
        *,
        name: str,
        timeout: float = 30.0,
        read_only: bool = False,
        make: bool = True,
        exclusive: bool = False,
        vfs: str | None = None,
        durable: bool = True,
    ) -> None:
        self.path = os.path.abspath(path)  # noqa: PTH100 - keeps a symbolic link as it is, which SQLite resolves
        self.name = name
        self.timeout = timeout
        self.read_only = read_only
        self.make = make
        self.exclusive = exclusive
        self.vfs = vfs
        self.durable = durable
        self.impatient = False
        self._hurried: set[int] = set()
        """Threads that must not wait long for another process."""

    def require_quick(self) -> None:
        """Raise StoreBusy unless the file is there and has no long log: one that a process left has to be read back."""
        log = f"{self.path}-wal"
        try:
            quick = os.stat(self.path).st_size > 0  # noqa: PTH116 - as quick as it gets
            if quick and os.access(log, os.F_OK):  # there is none, mostly
                quick = os.stat(log).st_size <= _SHORT_LOG  # noqa: PTH116 - the same
        except OSError:  # told of where it is opened
            quick = False
        if not quick:
            raise StoreBusy(f"{self.name}: opening the file may take long: open it in a thread")

    def prepare(self) -> None:
        """Make the directory and the file, for this user alone, or say why it cannot be."""
        if self.durable and self.path.endswith(_INDEX):  # what is written there is in no file, and goes with it
            lines = self.path.removesuffix(_INDEX)
            raise StoreUnavailable(f"{self.name}: this is the index of a store of JSONL files: open jsonl:///{lines}")
        kind = filesystem_type(self.path)
        if is_network(kind) and not self.exclusive:
            msg = (
                f"{self.name} lies on a network file system ({kind}), where SQLite's locks cannot be trusted. "
                "Keep it on a local disk, use PostgreSQL, or, if only one process will ever use the file, "
                "open it with ?exclusive=1"
            )
            raise StoreUnavailable(msg)
        try:
            if stat.S_ISREG(os.stat(self.path).st_mode):  # noqa: PTH116 - as quick as it gets
                return
        except OSError:
            pass  # it is made, or told of, below
        path = Path(self.path)
        try:
            if self.make and not self.read_only and not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)  # SQLite gives -wal and -shm the same mode
                os.close(fd)
            regular = stat.S_ISREG(path.stat().st_mode)
        except OSError as exc:
            msg = f"{self.name}: {exc.strerror or exc}: {exc.filename or self.path}"
            raise StoreUnavailable(msg) from exc
        if not regular:
            what = "not a regular file"
            if (path / ".palaver").is_dir() or (path / "sessions").is_dir():
                what = f"a store of JSONL files: open jsonl:///{path}"
            elif path.is_dir():
                what = "a directory: name a file in it"
            raise StoreUnavailable(f"{self.name}: this is {what}")

    def writer(self) -> apsw.Connection:
        """A connection that writes durably, with the schema of this version."""
        connection = self._connect(apsw.SQLITE_OPEN_READWRITE)
        sql = Statements(connection)
        try:
            self.check_schema(connection)
            if connection.readonly("main"):
                return connection
            if self.exclusive:
                sql.pragma("PRAGMA locking_mode=EXCLUSIVE")
                sql.pragma("PRAGMA journal_mode=DELETE")
            else:
                self._enable_wal(connection)
            sql.pragma("PRAGMA synchronous=FULL" if self.durable else "PRAGMA synchronous=NORMAL")
            sql.pragma("PRAGMA journal_size_limit=67108864")
            self._migrate(connection)
        except apsw.Error as exc:
            connection.close()
            raise translate(exc, self.name) from exc
        except BaseException:
            connection.close()
            raise
        return connection

    def ready(self) -> apsw.Connection | None:
        """A connection for reading a database that needs nothing done before it is written to; None if it needs more.

        Who only reads then parses the schema once and opens one connection, not two. It may write by its flags, so that
        the last one to close tidies the log up as ever, and by a pragma it does not.

        Raises StoreBusy for one that needs more, in a thread that must not wait for that.
        """
        connection = self._ready()
        if connection is None and threading.get_ident() in self._hurried:
            raise StoreBusy(f"{self.name}: the file has to be made ready first: open it in a thread")
        return connection

    def _ready(self) -> apsw.Connection | None:
        if self.exclusive or self.read_only or not self.durable or not os.stat(self.path).st_size:  # noqa: PTH116
            return None
        connection = self._connect(apsw.SQLITE_OPEN_READWRITE)
        sql = Statements(connection)
        try:
            as_needed = (
                self.check_schema(connection) >= len(migrations())
                and not connection.readonly("main")
                and sql.pragma("PRAGMA journal_mode") == "wal"
            )
            if as_needed:
                sql.script("PRAGMA query_only=1")
                return connection
        except apsw.Error as exc:
            connection.close()
            raise translate(exc, self.name) from exc
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def headroom(self) -> Headroom | None:
        """What makes room in the log of a file that is synced and lies on a file system, where that can be done."""
        plain = self.durable and not self.exclusive and not self.read_only and self.vfs is None
        return Headroom(self.path) if plain and hasattr(os, "pwrite") else None

    def reader(self) -> apsw.Connection:
        """A connection that can only read."""
        try:
            connection = self._connect(apsw.SQLITE_OPEN_READONLY)
        except apsw.Error as exc:
            raise translate(exc, self.name) from exc
        return connection

    @contextmanager
    def lent(self) -> Generator[apsw.Connection]:
        """A connection that can only read, closed when the block is left."""
        connection = self.reader()
        try:
            yield connection
        finally:
            connection.close()

    def _connect(self, flags: int) -> apsw.Connection:
        try:
            connection = apsw.Connection(
                self.path,
                flags=apsw.SQLITE_OPEN_READONLY if self.read_only else flags,
                vfs=self.vfs,
                statementcachesize=200,
            )
        except apsw.Error as exc:
            raise translate(exc, self.name) from exc
        # With partial indexes SQLite would else plan a statement anew whenever its values change: ten times slower.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.set_busy_handler(self._waiter())
        return connection

    @contextmanager
    def without_waiting(self) -> Generator[None]:
        """What this thread does meanwhile waits for another process no longer than for a few commits."""
        thread = threading.get_ident()
        self._hurried.add(thread)
        try:
            yield
        finally:
            self._hurried.discard(thread)

    def _waiter(self) -> Callable[[int], bool]:
        """Wait for another process's lock: at first shorter than a commit, never longer than 5 ms, with jitter.

        SQLite's own handler sleeps up to 100 ms between tries and so loses every race against a busy process.
        """
        deadline = 0.0

        def wait(tries: int) -> bool:
            nonlocal deadline
            now = time.monotonic()
            if tries == 0:
                if threading.get_ident() in self._hurried:
                    deadline = now + _HURRIED_WAIT
                else:
                    # A checkpoint holds every writer up: it gives short reads the time to end, and no more.
                    deadline = now + (_CHECKPOINT_WAIT if self.impatient else self.timeout)
            if now >= deadline:
                return False
            longest = min(_LONGEST_WAIT, _FIRST_WAIT * (tries + 1))
            time.sleep(random.uniform(_FIRST_WAIT / 2, longest))  # noqa: S311 - jitter, not a secret
            return True

        return wait

    def _enable_wal(self, connection: apsw.Connection) -> None:
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                mode = Statements(connection).pragma("PRAGMA journal_mode=WAL")
            except apsw.BusyError:  # SQLite does not call the busy handler while it changes the mode
                if time.monotonic() >= deadline:
                    raise
                time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - jitter, not a secret
                continue
            if mode != "wal":
                msg = f"{self.name}: this file system has no WAL mode ({mode}); keep the file on a local disk"
                raise StoreUnavailable(msg)
            return

    def check_schema(self, connection: apsw.Connection) -> int:
        """How many migrations a file has had.

        Raises StoreUnavailable or SchemaMismatch for one that is not for this version.
        Asked in one snapshot: another process may be making the schema at this moment.
        """
        sql = Statements(connection)
        sql.script("BEGIN")
        try:
            return self._check_schema(sql)
        finally:
            if connection.in_transaction:
                sql.script("ROLLBACK")

    def _check_schema(self, sql: Statements) -> int:
        version, oldest = _version(sql)
        application = _number(sql, "PRAGMA application_id")
        foreign = application != APPLICATION_ID
        if foreign and (version or _number(sql, "SELECT count(*) FROM sqlite_master")):
            msg = f"{self.name} is the SQLite database of another program; choose another path"
            raise StoreUnavailable(msg)
        known = len(migrations())
        if version > known:
            require_usable(self.name, version, oldest, known)
        if version < known and sql.connection.readonly("main"):
            msg = f"{self.name} has schema {version} and is read-only; this version of Palaver needs {known}"
            raise SchemaMismatch(msg, found=version, supported=known)
        if version:
            codec = _number(sql, "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'codec'")
            if codec > CODEC_VERSION:
                msg = (
                    f"{self.name} holds messages of codec {codec}; this version of Palaver reads up to {CODEC_VERSION}"
                )
                raise SchemaMismatch(msg, found=codec, supported=CODEC_VERSION)
        return version

    def _migrate(self, connection: apsw.Connection) -> None:
        sql = Statements(connection)
        if _version(sql)[0] >= len(migrations()):
            return
        for number, script in enumerate(migrations(), 1):
            sql.script("BEGIN IMMEDIATE")
            try:
                if _version(sql)[0] < number:  # another process may have been faster
                    sql.script(script)
                    sql.script(f"PRAGMA application_id={APPLICATION_ID}")
                    oldest = oldest_code(migrations()[:number])
                    said = number if oldest == number else oldest << _OLDEST | number
                    sql.script(f"PRAGMA user_version={said}")
                sql.script("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    sql.script("ROLLBACK")
                raise


def _version(sql: Statements) -> tuple[int, int]:
    """How many migrations a file has had, and how many who uses it must know.

    Both are in its header, which can be read without making files beside it.
    """
    said = _number(sql, "PRAGMA user_version")
    version = said & ((1 << _OLDEST) - 1)
    return version, said >> _OLDEST or version


def _number(sql: Statements, statement: str) -> int:
    return int(sql.pragma(statement) or 0)
