"""Reads of the PostgreSQL store, each in one short snapshot."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

import msgspec
import psycopg
from psycopg import errors

from palaver.stores.base import ChangePage, FeedLag, Stats
from palaver.stores.postgres.clock import ServerClock
from palaver.stores.postgres.feed import Settling, feed_lag, read_changes
from palaver.stores.postgres.place import Place
from palaver.stores.postgres.queries import migrations
from palaver.stores.postgres.searching import TsvectorIndex
from palaver.stores.postgres.standing import Standing
from palaver.stores.postgres.statements import Statements
from palaver.stores.postgres.upkeep import PostgresUpkeep
from palaver.stores.sqlite.indexing import Reindex, State, Step
from palaver.stores.sqlite.reads import Lines, RowReads
from palaver.stores.sqlite.rows import TURN_COLUMNS
from palaver.stores.sqlite.tails import KeptTail, TailCache
from palaver.stores.statements import Ask, Row

__all__ = ["PostgresReads"]

_WAITS = 3 + TURN_COLUMNS
"""Where a row of `tail_state` says that messages wait."""
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresReads(RowReads):
    """The reads on a connection that was lent for one of them."""

    unreadable = (errors.DataCorrupted, errors.IndexCorrupted, UnicodeDecodeError)
    after_all_text = "\U0010ffff" * 4
    upkeep_type = PostgresUpkeep

    def __init__(
        self,
        sql: Statements,
        place: Place,
        tails: TailCache,
        lines: Lines,
        settling: Settling | None = None,
        clock: ServerClock | None = None,
        standing: Standing | None = None,
    ) -> None:
        super().__init__(sql, place.name, tails, lines, TsvectorIndex(sql, place.name))
        self._statements = sql
        self._place = place
        self._inside = False
        self._settling = settling or Settling()
        self._clock = clock or ServerClock()
        self._standing = standing or Standing()
        self._ahead: tuple[bool, list[Row]] = False, []
        """What came with the state of a kept tail: whether messages wait, and those that are new."""
        self.schema = len(migrations(place.schema))

    @contextmanager
    def snapshot(self) -> Generator[None]:
        if self._inside:
            yield
            return
        self._inside = True
        self._statements.begin(_SNAPSHOT)
        try:
            yield
        except psycopg.Error:
            raise  # the connection is given back as it is: the pool rolls back, or closes it
        except Exception:
            self._statements.end()
            raise
        except BaseException:
            self._statements.connection.close()  # an interrupt: nothing more is waited for
            raise
        else:
            self._statements.end()
        finally:
            self._inside = False

    def lease_time(self, now: datetime) -> datetime:
        """The server's, as for writes, unless the URL says that the callers' clocks judge."""
        return now if self._place.clock == "caller" else self._clock.now() or now

    def _mark(self) -> tuple[float | None, int]:
        """When the server was started, where a pooler hides that it is another one than before; and `Standing`."""
        file = self._standing.known(self._statements)
        if not self._place.pooled:
            return None, file
        [(started,)] = self.sql.all("server_started")
        return float(started), file

    def _tail_state(self, session_id: str, kept: KeptTail, limit: int) -> Row | None:
        state = self.sql.one("tail_state", (kept.number, kept.last_seq, kept.rev, limit, session_id))
        if state is not None:
            waits, started, file, *new = state[_WAITS:]
            self._standing.told(file)
            if kept.mark != (started if self._place.pooled else None, file):
                return None
            self._ahead = bool(waits), list(zip(*new, strict=True)) if new[0] is not None else []
        return state

    def _bodies(self, kept: KeptTail, last: int) -> list[Row]:
        del kept  # they came with its state
        return [row for row in self._ahead[1] if row[0] <= last]

    def _waits(self, number: int) -> bool:
        del number
        return self._ahead[0]

    def together(self, asks: Sequence[Ask]) -> list[list[Row]]:
        return self._statements.together(asks)

    def holders_asks(self, number: int, ids: Sequence[str]) -> list[Ask]:
        return [("message_seqs", ([number] * len(ids), list(ids)))]

    def holders(self, ids: Sequence[str], answers: Sequence[list[Row]]) -> dict[str, int | None]:
        del ids  # they are in the rows
        [rows] = answers
        return {row[1]: row[2] for row in rows}

    def size(self) -> int:
        row = self.sql.one("database_size", (self._place.schema,))
        return int(row[0]) if row is not None else 0

    def integrity(self) -> list[str]:
        """Nothing: whether its files are whole is the server's to say (amcheck, data checksums)."""
        return []

    def stats(self, owner: str | None) -> Stats:
        found = super().stats(owner)
        return msgspec.structs.replace(found, feed_lag=self.feed_lag()) if owner is None else found

    def feed_lag(self) -> FeedLag:
        """See `Store.feed_lag`."""
        return feed_lag(self.sql)

    def changes(self, after: str | None, *, limit: int, session_id: str | None, owner: str | None) -> ChangePage:
        return read_changes(
            self.sql, self.snapshot, self._settling, after, limit=limit, session_id=session_id, owner=owner
        )

    def index_step(self, limit: int, at: int, state: State | None = None) -> Step | Reindex | None:
        self._settling.wait(self.sql)
        return super().index_step(limit, at, state)
