"""Sessions that Palaver wrote, taken into a store as they were: same ids, positions, cuts, summaries, turns."""

from __future__ import annotations

import msgspec

from palaver.core import Core
from palaver.errors import ContentErased, InvalidKey, InvalidMessage, SessionConflict, SessionNotFound
from palaver.importers.commits import committed
from palaver.importers.erased import Unerased, was_erased
from palaver.importers.report import SessionReport
from palaver.importers.values import SavedSession, note
from palaver.manager import SessionManager
from palaver.operations import Import, Settle, Settled
from palaver.reach import core_of
from palaver.records import Chunk, SessionRecord

__all__ = ["Restorer"]


class Restorer:
    """Takes saved sessions into one store, or (`dry_run`) tells what taking them in would do."""

    def __init__(self, manager: SessionManager | None, *, dry_run: bool = False) -> None:
        self._core: Core | None = core_of(manager) if manager is not None else None
        self._dry_run = dry_run or manager is None

    def write(self, saved: SavedSession) -> SessionReport:
        """Store what is new of a session. Raises StoreError."""
        row, refusal = saved.row, self._foreign(saved)
        report = SessionReport(
            system="palaver",
            source_id=row.id,
            file=saved.file,
            title=row.title if refusal is None else None,  # it may have been erased, or be nobody's business here
            session_id=row.id,
        )
        stored = self._last_seq(saved)
        known = stored is not None
        unerased = Unerased(self._core if refusal is None else None)  # else nothing of it is looked at
        for whole in saved.pieces:
            piece: Chunk | SessionRecord
            if isinstance(whole, Chunk):
                report.records += len(whole.messages)
                piece = unerased.chunk(whole)
            else:
                piece = unerased.record(whole)
            if refusal is None:
                try:
                    self._take(saved, piece, report)
                except (ContentErased, SessionConflict, InvalidMessage, InvalidKey) as exc:
                    refusal = str(exc)
            if refusal is not None and isinstance(piece, Chunk):
                report.present += self._same(piece, saved)
        report.skipped = saved.skipped + len(unerased.gone)
        report.records += saved.skipped
        if unerased.gone:
            told = f"{len(unerased.gone)} messages were erased from this store, and are not taken in again"
            saved.notes.append(note("skipped", saved.file, None, told))
        report.status = "grown" if known and report.imported else "unchanged" if known else "new"
        left = report.records - report.imported - report.present - report.skipped
        if refusal is not None and left:
            saved.notes.append(note("skipped", saved.file, None, f"{left} messages of {saved.row.id}: {refusal}"))
            report.status, report.skipped = "refused", report.skipped + left
        elif refusal is None and not self._dry_run:
            report.key = self._key(saved)
        report.notes = tuple(saved.notes)
        return report

    def _foreign(self, saved: SavedSession) -> str | None:
        if was_erased(self._core, saved.row.id):
            return "it was erased from this store, and is not taken in again"
        owner = self._core.owner if self._core is not None else None
        if owner is None or saved.row.owner in ("", owner):
            return None
        return f"it belongs to another owner than {owner!r}: import it without an owner"

    def _owned(self, saved: SavedSession) -> str:
        owner = self._core.owner if self._core is not None else None
        return saved.row.owner if owner is None else owner

    def _last_seq(self, saved: SavedSession) -> int | None:
        """Where the session ends in the store; None where it is not there."""
        if self._core is None:
            return None
        try:
            return self._core.store.record(saved.row.id, self._core.owner).head.last_seq
        except SessionNotFound:
            return None

    def _key(self, saved: SavedSession) -> str | None:
        if self._core is None:
            return None
        keys = self._core.store.record(saved.row.id, self._core.owner).keys
        return keys[0].key if keys else None

    def _take(self, saved: SavedSession, piece: Chunk | SessionRecord, report: SessionReport) -> None:
        core = self._core
        if core is None or self._dry_run:
            if isinstance(piece, Chunk):
                present = self._same(piece, saved)
                report.present += present
                report.imported += len(piece.messages) - present
            return
        owner = self._owned(saved)
        if isinstance(piece, Chunk):
            row = msgspec.structs.replace(saved.row, owner=owner)
            [new] = committed(core, Import(at=core.at(), row=row, chunk=piece))
            report.imported += new
            report.present += len(piece.messages) - new
            return
        record = msgspec.structs.replace(piece, row=msgspec.structs.replace(piece.row, owner=owner))
        settled: Settled
        [settled] = committed(core, Settle(at=core.at(), record=record))
        if settled.title is not None:
            told = f"the title {record.row.title!r} is taken; it is {settled.title!r}"
            saved.notes.append(note("repaired", saved.file, None, told))
        for key in settled.keys:
            told = f"its key {key!r} points at another session: to continue this one, resume {record.row.id} there"
            saved.notes.append(note("repaired", saved.file, None, told))
        for alias in settled.aliases:
            saved.notes.append(note("repaired", saved.file, None, f"its alias {alias!r} names another session"))

    def _same(self, piece: Chunk, saved: SavedSession) -> int:
        """How many messages of a chunk the store has already, just like that."""
        core = self._core
        if core is None:
            return 0
        there: dict[int, bytes] = {}
        after = piece.from_seq - 1
        while after < piece.through_seq:
            try:
                some = core.store.chunk(saved.row.id, core.owner, after=after, limit=1000, media=False)
            except SessionNotFound:
                return 0
            there.update((message.row.seq, message.row.body) for message in some.messages)
            if some.through_seq <= after:
                break
            after = some.through_seq
        return sum(there.get(message.row.seq) == message.row.body for message in piece.messages)
