"""The schema of a PostgreSQL store: making it, migrating it while others write, and which code may use it.

Each migration is one transaction, under an advisory lock, so that one process does it and the others find it done. A
process that dies in the middle of it leaves nothing. It has the store's lock alone, as writers and it would otherwise
wait for each other's tables. What changes a table waits for those who read it, and everybody else waits behind it; so
it waits for no longer than a moment, lets them pass, and tries again. What takes long does not belong into a migration.
"""

from __future__ import annotations

import re
import time
from typing import Any, cast

from psycopg.errors import LockNotAvailable

from palaver.codec import CODEC_VERSION
from palaver.errors import SchemaMismatch, StoreUnavailable
from palaver.stores.postgres.clock import ServerClock
from palaver.stores.postgres.connection import PalaverConnection
from palaver.stores.postgres.place import Place
from palaver.stores.postgres.queries import migrations, partitioning
from palaver.stores.postgres.statements import Statements
from palaver.stores.schema import oldest_code, require_usable

__all__ = ["Schema"]

_SAID = re.compile(r"palaver (\d+)(?:, for code from (\d+) on)?")
"""The comment on the schema. Without its second half, code must know as many migrations."""
_MOMENT = "500ms"
"""How long a migration waits for a lock, and all who come after it for what they want."""
_PAUSE = 0.5


class Schema:
    """The schema of one place, seen through a connection."""

    def __init__(self, place: Place, connection: PalaverConnection, sql: Statements, clock: ServerClock) -> None:
        self._place = place
        self._connection = connection
        self._sql = sql
        self._clock = clock

    def prepare(self) -> None:
        """Make or migrate it. Raises SchemaMismatch, StoreUnavailable, or psycopg's errors."""
        place = self._place
        self._require_encoding()
        known = len(migrations(place.schema))
        version, oldest = self._version()
        if not version and (place.read_only or not place.make):
            missing = FileNotFoundError(f"no schema {place.schema}")
            raise StoreUnavailable(f"{place.name}: there is no store in this database") from missing
        if version < known:
            if place.read_only:
                msg = f"{place.name} has schema {version} and is read-only; this version of Palaver needs {known}"
                raise SchemaMismatch(msg, found=version, supported=known)
            self._migrate()
            version, oldest = self._version()
        require_usable(place.name, version, oldest, known)
        self._require_partitions()
        row = self._sql.one("meta", ("codec",))
        codec = int(row[0]) if row is not None and str(row[0]).isdigit() else CODEC_VERSION
        if codec > CODEC_VERSION:
            msg = f"{place.name} holds messages of codec {codec}; this version of Palaver reads up to {CODEC_VERSION}"
            raise SchemaMismatch(msg, found=codec, supported=CODEC_VERSION)

    def _require_encoding(self) -> None:
        """Refuse a database that could not hold all text; what its encoding is the server says to each new client."""
        encoding = self._connection.info.parameter_status("server_encoding")
        if encoding not in {None, "UTF8"}:
            msg = (
                f"{self._place.name}: the database has the encoding {encoding}, and text needs UTF8: make another one "
                "(CREATE DATABASE agents TEMPLATE template0 ENCODING 'UTF8')"
            )
            raise StoreUnavailable(msg)

    def _version(self) -> tuple[int, int]:
        """How many migrations the schema has had, and how many who uses it must know; 0: there is none."""
        row = self._connection.execute(
            "SELECT obj_description(n.oid, 'pg_namespace'), n.oid IS NOT NULL"
            " AND EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = n.oid),"
            " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
            " FROM (SELECT %s::text AS schema) s LEFT JOIN pg_namespace n ON n.nspname = s.schema",
            (self._place.schema,),
        ).fetchone()
        if row is None:
            return 0, 0
        self._clock.told(int(row[2]))
        said = _SAID.fullmatch(str(row[0] or ""))
        if said is not None:
            return int(said[1]), int(said[2] or said[1])
        if bool(row[1]):
            msg = (
                f"{self._place.name}: the schema {self._place.schema!r} belongs to another program; "
                "choose another with ?schema=name"
            )
            raise StoreUnavailable(msg)
        return 0, 0

    # ------------------------------------------------------------------ migrating
    def _migrate(self) -> None:
        """Each migration in a transaction of its own. Raises LockNotAvailable where others do not let it."""
        deadline = time.monotonic() + self._place.timeout
        for number in range(1, len(migrations(self._place.schema)) + 1):
            while True:
                try:
                    self._apply(number)
                    break
                except LockNotAvailable:
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(_PAUSE)

    def _apply(self, number: int) -> None:
        schema, run = self._place.schema, self._connection.execute
        scripts = migrations(schema)[:number]
        with self._connection.transaction():
            run("SELECT set_config('lock_timeout', %s, true)", (_MOMENT,))
            run("SELECT pg_advisory_xact_lock(%s::bigint)", (self._place.lock("migrate"),))
            if self._version()[0] >= number:
                return
            run("SELECT pg_advisory_xact_lock(%s::bigint)", (self._place.lock("store"),))
            parts = self._place.partitions if number == 1 else self._partitions()
            run(cast("Any", f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            run(cast("Any", scripts[-1]))
            if parts:
                run("SELECT set_config('partitioning.number', %s, true)", (str(parts),))
                run(cast("Any", partitioning(schema)))
            said = f"palaver {number}, for code from {oldest_code(scripts)} on"
            run(cast("Any", f"COMMENT ON SCHEMA {schema} IS '{said}'"))

    # ------------------------------------------------------------------ partitions
    def _partitions(self) -> int:
        """How many partitions tables have; 0: none."""
        [(number,)] = self._sql.all("partitions", (self._place.schema,))
        return int(number)

    def _require_partitions(self) -> None:
        wanted = self._place.partitions
        if wanted and (had := self._partitions()) != wanted:
            msg = (
                f"{self._place.name} has {had or 'no'} partitions, and the URL asks for {wanted}: they are made with "
                "the store. Leave partitions= out, or copy into another schema (palaver copy)"
            )
            raise StoreUnavailable(msg)
