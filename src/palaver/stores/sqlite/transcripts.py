"""Reads of one session's messages and turns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from palaver import codec, media
from palaver.info import Page
from palaver.operations.ranges import merged
from palaver.rows import TurnRow
from palaver.stores import views
from palaver.stores.base import WholeTurn
from palaver.stores.sqlite.fields import PartRow, legible, shown
from palaver.stores.sqlite.rows import LAST, TURN_COLUMNS
from palaver.stores.sqlite.source import TURN, RowSource
from palaver.stores.tails import StoredRow, decoded, live_ranges

__all__ = ["TranscriptReads"]

_MANY = 1_000
"""Rows from which on the cyclic collector would cost more than it could ever find."""
"""Rows from which on the cyclic collector would cost more than it could ever find."""


class TranscriptReads(RowSource):
    """The reads of a transcript, but for its tail."""

    def page(
        self,
        session_id: str,
        owner: str | None,
        *,
        after: int,
        before: int | None,
        limit: int,
        newest: bool,
        live: bool,
    ) -> Page:
        if limit >= _MANY:
            with codec.no_gc():
                return self._page(session_id, owner, after, before, limit, newest=newest, live=live)
        return self._page(session_id, owner, after, before, limit, newest=newest, live=live)

    def _page(
        self,
        session_id: str,
        owner: str | None,
        after: int,
        before: int | None,
        limit: int,
        *,
        newest: bool,
        live: bool,
    ) -> Page:
        with self.snapshot():
            session, head, _ = self._found(session_id, owner)
            high = head.last_seq if before is None else min(before - 1, head.last_seq)
            dead = merged(self.cuts_of(session)) if live else []
            ranges = live_ranges(dead, max(after, 0) + 1, high)
            base = session.number << 32
            number = session.number
            rows: list[StoredRow] = []
            if newest:
                for low, top in reversed(ranges):
                    rows.extend((r[0], r[1], r[4], r[5]) for r in self.newest(number, low, top, limit - len(rows)))
                    if len(rows) >= limit:
                        break
                rows.reverse()
            else:
                for low, top in ranges:
                    got = self.sql.all("page", (base | low, base | top, limit - len(rows)))
                    rows = got if not rows else rows + got
                    if len(rows) >= limit:
                        break
        return decoded(self, session_id, rows)

    def turn(self, session_id: str, owner: str | None, first_seq: int | None) -> TurnRow | None:
        with self.snapshot():
            session, _, turn = self._found(session_id, owner)
            if first_seq is None:
                return turn
            row = self.sql.one("turn", (session.number << 32 | first_seq,)) if 0 < first_seq <= LAST else None
            return self.turn_of(row) if row is not None else None

    def whole_turn(self, session_id: str, owner: str | None, first_seq: int, now: datetime) -> WholeTurn | None:
        if not 0 < first_seq <= LAST:
            return None
        with self.snapshot():
            found = self._row(session_id, owner)
            session, (head, newest) = legible(found), self.state(found)
            base = session.number << 32
            row = found[TURN : TURN + TURN_COLUMNS]
            if newest is None or newest.first_seq != first_seq or isinstance(found, PartRow):
                one = self.sql.one("turn", (base | first_seq,))
                if one is None:
                    return None
                row = one
            turn = self.whole_turn_of(row, session_id)
            last = turn.end_seq or head.last_seq
            stored = self.sql.all("turn_bodies", (base | first_seq, base | last, first_seq))
            rows: dict[int, StoredRow] = {r[0]: (r[0], r[1], r[2], r[3]) for r in stored}
            for seq in turn.taken:
                taken = self.sql.one("message", (base | seq,))
                if taken is not None:
                    rows[seq] = (seq, taken[0], taken[3], taken[4])
            dead = merged(self.cuts_of(session))
        live = [rows[seq] for seq in sorted(rows) if not any(low <= seq <= high for low, high in dead)]
        info = shown(found, lambda each: views.info(each, head, now, turn=newest, lease_time=self.lease_time(now)))
        return WholeTurn(turn, info, decoded(self, session_id, live))

    def queued(self, session_id: str, owner: str | None) -> Page:
        with self.snapshot():
            session, _, _ = self._found(session_id, owner)
            base = session.number << 32
            seqs = self.sql.all("queue", (base, base | LAST))
            rows = [(s[0], self.sql.one("message", (base | s[0],))) for s in seqs]
        return decoded(self, session_id, [(seq, r[0], r[3], r[4]) for seq, r in rows if r is not None])

    def versions(self, session_id: str, owner: str | None, seq: int) -> Page:
        with self.snapshot():
            session, _, _ = self._found(session_id, owner)
            stored = self.one(session.number, seq) if 0 < seq <= LAST else None
            rows = self.sql.all("versions", (session.number << 32 | seq,)) if stored is not None else []
        at = stored.at if stored is not None else 0
        return decoded(self, session_id, [(seq, row[2], at, row[3]) for row in rows])

    def blobs(self, session_id: str, owner: str | None, addresses: Sequence[str]) -> dict[str, bytes]:
        with self.snapshot():
            session, _, _ = self._found(session_id, owner)
            base = session.number << 32
            rows = [(address, self.sql.one("blob", (address, base, base | LAST))) for address in addresses]
        found = {address: row[0] for address, row in rows if row is not None}
        for address, data in found.items():
            if media.address_of(data) != address:
                self.set_aside(f"media {address}", data)
        return {address: data for address, data in found.items() if f"media {address}" not in self._damaged}
