"""The JSONL store: the files are the truth, and an index of SQLite answers what is asked of them."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from palaver.clock import utc_now
from palaver.erasure import ScrubReport
from palaver.errors import StoreError, StoreUnavailable
from palaver.findings import Finding, Progress, Repaired
from palaver.operations import Operation
from palaver.stores.base import Stats
from palaver.stores.jsonl import aside, lost
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.foreign import nanobot_files, refusal
from palaver.stores.jsonl.ledger import Behind, JsonlLedger, WriteAnew
from palaver.stores.jsonl.putting_back import PutBack
from palaver.stores.jsonl.queries import schema
from palaver.stores.jsonl.recording import PACKAGE, RecordingStatements
from palaver.stores.jsonl.remainder import opened, remainder
from palaver.stores.jsonl.replay import catch_up
from palaver.stores.jsonl.snapshots import snapshot
from palaver.stores.jsonl.standing import settle
from palaver.stores.sqlite.errors import translate
from palaver.stores.sqlite.spots import Sink, Spot
from palaver.stores.sqlite.statements import Statements
from palaver.stores.sqlite.store import SqliteStore
from palaver.times import to_micros

__all__ = ["JsonlStore"]

LEAST = 256 * 1024
"""Files that are smaller than that may have what nobody needs."""
FILES = 16
"""How many files one cleaning looks at."""


class JsonlStore(SqliteStore):
    """See `palaver.stores.base.Store`.

    `sessions/` has a file of lines for each session, `media/` the content that they refer to, `.palaver/` the index,
    which may be deleted while nobody uses the store: it is made anew. What `commit` answered for has been synced to
    the files. A file that somebody changed is read again when the store is opened.
    """

    def __init__(
        self,
        path: str,
        *,
        timeout: float = 30.0,
        read_only: bool = False,
        make: bool = True,
        beside_nanobot: bool = False,
    ) -> None:
        """Open the directory, or make it; not `make`: only where it has a store.

        `beside_nanobot`: although session files of nanobot's lie there, which are left alone.
        Raises StoreUnavailable or SchemaMismatch.
        """
        root = Path(path)
        self._directory = Directory(root, f"jsonl:///{path}")
        self._beside_nanobot = beside_nanobot
        settle(root.absolute())
        if not beside_nanobot:
            self._refuse_nanobot(root)
        if not make and not self._directory.exists():
            missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            raise StoreUnavailable(f"{self._directory.name}: there is no store in this directory") from missing
        if not read_only:
            self._directory.prepare()
        super().__init__(
            str(self._directory.index),
            timeout=timeout,
            read_only=read_only,
            name=f"jsonl:///{path}",
            durable=False,
        )

    # ------------------------------------------------------------------ opening
    def _refuse_nanobot(self, root: Path) -> None:
        """Leave a directory as it is that nanobot uses. Where there is an index, it tells strange files itself."""
        if not root.is_dir():
            return
        try:
            found = next(nanobot_files(root, inside=not self._directory.index.exists()), None)
        except OSError as exc:
            msg = f"{self._directory.name}: {exc.strerror or exc}: {exc.filename or root}"
            raise StoreUnavailable(msg) from exc
        if found is not None:
            raise refusal(root, found)

    def _connect(self) -> None:
        try:
            super()._connect()
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, apsw.NotADBError | apsw.CorruptError) or self._opener.read_only:
                raise
            for file in self._directory.hidden.glob("index.db*"):  # all of it is in the files
                file.replace(file.with_name(f"damaged-{file.name}"))
            self._opener.prepare()
            super()._connect()
        if self._writable:
            self._catch_up()
            foreign = self._directory.foreign
            if foreign and not self._beside_nanobot:
                self._close_connections()
                raise refusal(self._directory.root, foreign[0])

    def _open_ledger(self, writer: apsw.Connection) -> JsonlLedger:
        recording = RecordingStatements(writer)
        self._writes = recording
        self._jsonl = JsonlLedger(recording, self._directory)
        return self._jsonl

    def _catch_up(self) -> None:
        writes = self._writes
        self._directory.forget()
        self._lending.tails.clear()  # files may have been changed by hand
        self._lending.lines.clear()
        try:
            writes.script("BEGIN IMMEDIATE")
            try:
                writes.script(schema())
                catch_up(writes, self._directory)
                writes.script("COMMIT")
            finally:
                if self._writer.in_transaction:
                    writes.script("ROLLBACK")
        except apsw.Error as exc:
            raise translate(exc, self.name) from exc

    # ------------------------------------------------------------------ writing
    def _transact(self, operations: list[Operation]) -> list[Any]:
        self._directory.settle()
        self._jsonl.is_replaced = False
        try:
            try:
                results = super()._transact(operations)
            except Behind:
                self._catch_up()
                results = super()._transact(operations)
        except Behind as exc:
            file = f"sessions/{exc}" if exc.args else "the files"
            msg = (
                f"{self.name}: {file} holds something else than what is known of it, also when read again: is another "
                "program writing there? A file that is no session's (see `palaver check`) has to be moved away"
            )
            raise StoreUnavailable(msg) from exc
        except StoreError as error:
            self._failed(error)
            raise
        except BaseException:
            self._interrupted()
            raise
        self._directory.settle()
        ledger = self._jsonl
        for address in ledger.unneeded:
            self._directory.drop_media(address)
        ledger.unneeded = []
        return results

    def _failed(self, error: StoreError) -> None:
        """The files hold what the index does not: nobody was answered for it, and it is taken back."""
        if error.outcome == "unknown" or not self._take_back():
            error.outcome = "unknown"
            if self._broken is None:
                # A failed sync may have dropped what a second one would report as safe.
                self._broken = StoreUnavailable(f"{error}; the store writes no more: open it again", outcome="unknown")

    def _interrupted(self) -> None:
        """What broke the commit off, Ctrl-C for one, may have come before the index had it, or after."""
        if self._writer.in_transaction:
            self._roll_back()
        if self._jsonl.is_behind:
            self._take_back()
        else:
            self._directory.settle()

    def _take_back(self) -> bool:
        return not self._jsonl.is_replaced and self._directory.take_back()

    # ------------------------------------------------------------------ files that are mostly dead
    def clean(self, *, limit: int = 500, dry_run: bool = False) -> list[str]:
        """See `Store.clean`; files of which less than half is needed are written anew, one commit each.

        Each file is looked at when it has grown to twice what it was, so that looking costs a part of the writing.
        """
        found = super().clean(limit=limit, dry_run=dry_run)
        return found + self._shrink(min(limit - len(found), FILES), dry_run=dry_run)

    def _garbage(self, limit: int) -> list[tuple[str, str | int]]:
        """As another store has it; what no message shows stays while messages may be put back that do."""
        found = super()._garbage(limit)
        return [each for each in found if each[0] != "media"] if aside.kept_aside(self._directory) else found

    def _shrink(self, limit: int, *, dry_run: bool) -> list[str]:
        told: list[str] = []
        kept: list[tuple[int, int]] = []
        dead: list[int] = []
        with self._opener.lent() as connection:
            sql = Statements(connection, PACKAGE)
            for session, name, size in sql.all("grown_files", {"least": LEAST, "limit": max(0, limit)}):
                needed = len(snapshot(sql, session, 0))
                if size < 2 * needed:
                    kept.append((session, size))
                    continue
                dead.append(session)
                told.append(f"lines that nobody needs in {name}: {size - needed:,} of {size:,} bytes")
        if not dry_run and self._writable:
            for session in dead:
                self._write_anew(WriteAnew(at=to_micros(utc_now()), sessions=(session,)))
            if kept:
                self._write_anew(WriteAnew(at=to_micros(utc_now()), sessions=(), examined=tuple(kept)))
        return told

    def _write_anew(self, operation: WriteAnew) -> None:
        [answer] = self._committer.commit([operation], alone=True)
        if isinstance(answer, Exception):
            raise answer

    # ------------------------------------------------------------------ reports
    def stats(self, owner: str | None) -> Stats:
        return msgspec.structs.replace(super().stats(owner), size_bytes=self._directory.bytes_held())

    def check(
        self,
        owner: str | None = None,
        *,
        session_id: str | None = None,
        notes: bool = False,
        progress: Progress | None = None,
    ) -> list[Finding]:
        found = super().check(owner, session_id=session_id, notes=notes, progress=progress)
        if owner is None:
            with self._opener.lent() as connection:
                sql = Statements(connection, PACKAGE)
                lacking = aside.findings(sql, self._directory, session_id)
                cut = lost.shorter(sql, self._directory) if session_id is None else []
            found = aside.explained(found, lacking) + lacking + lost.unread(cut)
        return found + aside.unread(self._directory) if owner is None and session_id is None else found

    def repair(self, now: datetime) -> list[Repaired]:
        with self._opener.lent() as connection:
            cut = lost.shorter(Statements(connection, PACKAGE), self._directory)
        if cut:  # while the store is open: they are read before they are written
            self._write_anew(WriteAnew(at=to_micros(now), sessions=tuple(number for number, _, _, _ in cut)))
        done = [self._put_back(path, now) for path in aside.kept_aside(self._directory)]
        done += super().repair(now)
        if any(each.count for each in done):  # it mended the index
            self.rewrite(now)
        return done

    def _look(self, sink: Sink) -> None:
        """As another store does, but for what is missing and may still be put back: that is not marked as purged."""
        with self._opener.lent() as connection:
            left = aside.sessions_aside(Statements(connection, PACKAGE), self._directory)
        kept = bool(aside.kept_aside(self._directory))

        def may_come_back(spot: Spot) -> bool:
            return (spot.problem == "gap" and spot.number in left) or (spot.problem == "media_unheld" and kept)

        super()._look(lambda spot: None if may_come_back(spot) else sink(spot))

    def _put_back(self, path: Path, now: datetime) -> Repaired:
        """What a file lost, from what was set aside of it, which is needed no more then."""
        done = self._mend(PutBack(at=to_micros(now), problem="lines_lost", places=(), name=path.name))
        if done.failed is None:
            with self._opener.lent() as connection:
                left = remainder(Statements(connection, PACKAGE), opened(path))
            if not left.taken:
                path.unlink()
        return done

    def rewrite(self, now: datetime) -> None:
        """Write every file anew, without what nobody needs any more: undone states, old turns of a title, and so on.

        Nothing of what can be read goes. Raises StoreError.
        """
        self._write_anew(WriteAnew(at=to_micros(now)))

    @property
    def _backups_of(self) -> str:
        """As if the directory were a file in itself: its index, which backups are made of, may be deleted."""
        root = self._directory.root.absolute()
        return str(root / f"{root.name}.db")

    def scrub(self) -> ScrubReport:
        for path in self._directory.hidden.glob("damaged-*"):
            path.unlink()
        while super().clean():  # content whose last message went with a commit that a process died in
            pass
        return super().scrub()

    # ------------------------------------------------------------------ life
    def before_fork(self) -> None:
        super().before_fork()
        self._directory.forget()

    def close(self) -> None:
        if self._closed:
            return
        self._committer.close()
        try:
            self._fold()
        finally:
            super().close()
            self._directory.forget()

    def _fold(self) -> None:
        """Leave files that are complete without the journal, unless another process writes: then it will.

        What a process left that ended in the middle of a commit is for who writes or opens next: it reads the journal.
        """
        if not self._writable or self._broken is not None:
            return
        try:
            with self._opener.without_waiting():
                self._writes.script("BEGIN IMMEDIATE")
            try:
                if not self._jsonl.is_behind:
                    self._directory.fold()
            finally:
                self._writes.script("ROLLBACK")
        except apsw.BusyError:
            return
        except apsw.Error as exc:
            raise translate(exc, self.name) from exc
