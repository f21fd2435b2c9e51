"""Everything of one store into another, while the source is in use.

    the ledger of erasures -> every session, in the order that they were made -> what the feed told meanwhile

Nothing of it is remembered anywhere: what the target has is compared with the source, so a copy that was killed is gone
on with by doing it again, and one that is done again does nothing. The source is only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from palaver.clock import Clock, utc_now
from palaver.erasure import ScrubReport
from palaver.errors import CorruptRecord, CursorExpired, PalaverError, SessionNotFound, StoreError
from palaver.findings import Progress
from palaver.moving.comparing import CHUNK, differences, newest_turn, pieces, record_of
from palaver.moving.tally import Tally
from palaver.moving.values import CopyReport, Problem, ProblemKind
from palaver.operations import Import, Operation, Settle, Settled, TakeErasures
from palaver.records import Chunk, Piece
from palaver.rows import ERASED, ChangeKind
from palaver.stores.base import Change, Store
from palaver.times import to_micros

__all__ = ["Copier"]

_PAGE = 200
_BATCH = 64
"""Sessions in one commit, at most."""
_BATCH_BYTES = 8 * 1024 * 1024
_MARKS = 1000
_CHANGES = 1000
_NOBODY = "\x00"
"""No session has this id."""
_ERASED, _WHOLE = ChangeKind.ERASED.name.lower(), {ChangeKind.IMPORTED.name.lower(), ChangeKind.REPAIRED.name.lower()}


class Copier:
    """One copy. `target` None: a dry run into a store that is not there. Not for several threads."""

    def __init__(
        self,
        source: Store,
        target: Store | None,
        *,
        dry_run: bool = False,
        verify: bool = False,
        progress: Progress | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._source = source
        self._to = target
        self._dry_run = dry_run or target is None
        self._verify = verify
        self._progress = progress
        self._clock = clock
        self._cursor: str | None = None
        self._fresh = target is None or not target.erasable(0, limit=1)
        self._batch: list[tuple[Settle, int]] = []
        self._bytes = 0
        self._problems: dict[str, Problem] = {}
        self._guards: dict[str, int] = {}
        self._removed = False
        """Whether something was copied before it was erased."""
        self._scrub: ScrubReport | None = None
        self._total = self._done = 0
        self._tally = Tally()
        self._after: int | None = 0
        """The number of the session up to which all were looked at; None: all that there are."""
        self._walked = False
        self.caught_up = False

    @property
    def _target(self) -> Store:
        assert self._to is not None, "a dry run writes nothing"  # noqa: S101 - asked by the callers
        return self._to

    # ------------------------------------------------------------------ the two steps
    def copy(self) -> CopyReport:
        """Copy everything, and what came meanwhile. Raises StoreError, and SessionConflict as TakeErasures does.

        After an error it may be called again, and goes on where that came.
        """
        self._total = self._source.stats(None).messages
        self._take_erasures()
        if self._cursor is None:
            self._cursor = self._source.changes(None, limit=1, session_id=_NOBODY).cursor
        self._walk()
        if not self._dry_run:
            self.catch_up()
        return self.report()

    def catch_up(self) -> int:
        """Take along what the feed tells; how many changes that were. Raises as `copy`, and may be called again."""
        again = not self.caught_up
        self.caught_up = False
        looked = 0
        for page in self._pages():
            self._follow(page)
            looked += len(page)
            self._tally.changes += len(page)
        if again or looked:
            self._try_again()
        if self._removed:
            self._scrub = self._target.scrub()
            self._removed = not self._scrub.done
        self.caught_up = True
        return looked

    def _try_again(self) -> None:
        """What could not be had because another session had it, or was changed under way, as long as that helps."""
        before: set[str] | None = None
        while (now := {each.session_id for each in self._problems.values() if each.kind != "refused"}) != (
            before or set()
        ):
            before = now
            self._bring([(each, self._kept(each)) for each in sorted(now)])
            self._tally.later_look(now, self._problems)

    def _kept(self, session_id: str) -> int:
        """The position up to which the messages of a session are as they should be: only others are in its way."""
        mine = record_of(self._target, session_id) if self._problems[session_id].kind == "taken" else None
        return mine.head.last_seq if mine is not None else 0

    def report(self) -> CopyReport:
        """What was done so far."""
        return CopyReport(
            source=self._source.name,
            target=self._to.name if self._to is not None else "",
            dry_run=self._dry_run,
            sessions=self._tally.sessions,
            copied=self._tally.copied,
            unchanged=self._tally.unchanged,
            left_out=self._tally.left_out,
            messages=self._tally.messages,
            compared=self._tally.compared,
            changes=self._tally.changes,
            updated=self._tally.updated,
            erasures=self._tally.erasures,
            caught_up=self.caught_up,
            problems=tuple(self._problems.values()),
            scrub=self._scrub,
        )

    # ------------------------------------------------------------------ erasures
    def _take_erasures(self) -> None:
        """What was erased from the source is known to the target before anything comes that might be it."""
        erasures = tuple(self._source.erasures())
        self._tally.erasures = len(erasures)
        after = b""
        while not self._dry_run:
            page = self._source.marks(after, limit=_MARKS)
            if page.secret is None:
                return
            _outcome(self._target, TakeErasures(at=self._at(), secret=page.secret, marks=page.marks, erasures=erasures))
            if len(page.marks) < _MARKS:
                return
            after, erasures = page.marks[-1][0], ()

    # ------------------------------------------------------------------ every session
    def _walk(self) -> None:
        """Look at every session, and copy what the target has not so; from where the last walk was broken off."""
        count = self._tally.later_look if self._walked else self._tally.first_look
        while self._after is not None:
            page = self._source.erasable(self._after, limit=_PAGE)
            self._guards = {each.row.id: each.row.guarded_until for each in page}
            last_seqs = {each.row.id: each.last_seq for each in page}
            lacking = dict.fromkeys(last_seqs, 0) if self._fresh else dict(self._lacking(last_seqs))
            if self._dry_run:
                for session_id, there in lacking.items():
                    self._tally.stored(session_id)
                    self._tally.messages += last_seqs[session_id] - there
                    self._tell(last_seqs[session_id])
            else:
                self._bring([(session_id, 0) for session_id in lacking])
            count(last_seqs, self._problems)
            self._after = page[-1].row.number if page else None
        self._walked = True
        self._fresh = self._to is None

    def _lacking(self, last_seqs: dict[str, int]) -> Iterator[tuple[str, int]]:
        """Those of the sessions that the target has not just so, each with its last position there."""
        asked = [(session_id, 0) for session_id in last_seqs]
        both = zip(asked, pieces(self._source, asked, 0), pieces(self._target, asked, 0), strict=True)
        for (session_id, _), theirs, mine in both:
            if isinstance(mine, PalaverError) and not isinstance(mine, SessionNotFound):
                raise mine
            if isinstance(mine, PalaverError):
                self._tally.new(session_id)
            elif isinstance(theirs, Piece) and self._is_same(session_id, theirs, mine):
                self._problems.pop(session_id, None)
                self._tell(last_seqs[session_id])
                continue
            yield session_id, mine.record.head.last_seq if isinstance(mine, Piece) else 0

    def _is_same(self, session_id: str, theirs: Piece, mine: Piece) -> bool:
        """Whether nothing has to be written. What changes a message changes the record too, but for a turn's end."""
        if mine.record.row.end_reason == "erased" and theirs.record.row.end_reason == "erased":
            return True
        cuts = theirs.record.cuts
        if any(cut.kind == ERASED for cut in cuts) and cuts != mine.record.cuts:
            self._removed = True
        if mine.record != theirs.record or mine.turn != theirs.turn:
            return False
        if not self._verify:
            return True
        [(different, compared)] = differences(self._source, self._target, [(session_id, 0)])
        self._tally.compared += compared
        return different is None

    # ------------------------------------------------------------------ what came meanwhile
    def _pages(self) -> Iterator[list[Change]]:
        """What the feed tells since it was last asked; where that was pruned, every session is looked at again."""
        while True:
            self._walk()
            try:
                page = self._source.changes(self._cursor, limit=_CHANGES)
            except CursorExpired:
                self._cursor = self._source.changes(None, limit=1, session_id=_NOBODY).cursor
                self._take_erasures()
                self._after = 0
                continue
            if page:
                yield page
            self._cursor = page.cursor
            if not page:
                return

    def _follow(self, page: list[Change]) -> None:
        told: dict[str, list[Change]] = {}
        for change in page:
            told.setdefault(change.session_id, []).append(change)
        if any(change.kind == _ERASED for change in page):
            self._take_erasures()
            self._removed = True
        starts: list[tuple[str, int]] = []
        self._guards = {}
        for session_id, changes in told.items():
            if any(change.kind == _ERASED for change in changes):
                for each in self._source.erasable(0, limit=1, session_id=session_id):
                    self._guards[session_id] = each.row.guarded_until
            starts.append((session_id, self._start(session_id, changes)))
        self._bring(starts)
        self._tally.later_look(told, self._problems)

    def _start(self, session_id: str, changes: list[Change]) -> int:
        """The position after which something may be other than it is in the target."""
        mine = record_of(self._target, session_id)
        if mine is None:
            self._tally.new(session_id)
        if mine is None or any(change.kind in _WHOLE for change in changes):
            return 0
        turn = newest_turn(self._target, session_id)
        told = [change.from_seq for change in changes if change.from_seq]
        begun = [turn.first_seq] if turn is not None else []
        return min([mine.head.last_seq + 1, *told, *begun]) - 1

    # ------------------------------------------------------------------ sessions
    def _bring(self, asked: Sequence[tuple[str, int]]) -> None:
        """Make sessions in the target what they are in the source, from a position on, each."""
        self._batch, self._bytes = [], 0  # some may be left of what was broken off
        for (session_id, start), piece in zip(asked, pieces(self._source, asked), strict=True):
            if isinstance(piece, PalaverError):
                self._problem(session_id, "refused", str(piece))
            else:
                self._gather(session_id, start, piece)
        self._flush()

    def _gather(self, session_id: str, start: int, piece: Piece) -> None:
        """Put a session with those of the next commit; the chunks before the last are stored at once."""
        try:
            record = piece.record
            after, last, newest = start, record.head.last_seq, None
            while after < last:
                if newest is not None:
                    imported: int = _outcome(self._target, Import(at=self._at(), row=record.row, chunk=newest))
                    self._tally.messages += imported
                    self._tell(len(newest.messages))
                    newest = self._source.chunk(session_id, None, after=after, limit=CHUNK)
                else:
                    newest = piece.chunk or self._source.chunk(session_id, None, after=after, limit=CHUNK)
                if newest.unread:
                    msg = f"damaged: {'; '.join(newest.unread)}; `palaver check --repair` of the source sets it aside"
                    raise CorruptRecord(msg, store=self._source.name, location=f"session {session_id}")
                after = newest.through_seq
            if after > last:  # what came meanwhile is copied too, so the record has to know of it
                record = self._source.record(session_id, None)
        except StoreError:
            raise
        except PalaverError as refusal:
            self._problem(session_id, "refused", str(refusal))
            return
        guarded = self._guards.get(session_id, 0)
        self._batch.append((Settle(at=self._at(), record=record, chunk=newest, guarded_until=guarded), start))
        self._bytes += _size(newest)
        if len(self._batch) >= _BATCH or self._bytes >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Store what was gathered, and compare it."""
        batch, self._batch, self._bytes = self._batch, [], 0
        if not batch:
            return
        outcomes = self._target.commit([settle for settle, _ in batch])
        settled: dict[str, tuple[int, Settled]] = {}
        for (settle, start), outcome in zip(batch, outcomes, strict=True):
            session_id = settle.record.row.id
            if isinstance(outcome, StoreError):
                raise outcome
            if isinstance(outcome, PalaverError):
                self._problem(session_id, "refused", str(outcome))
            else:
                settled[session_id] = start, outcome
                self._tally.messages += outcome.new
        self._compare(settled)
        self._tell(sum(len(settle.chunk.messages) for settle, _ in batch if settle.chunk is not None))

    def _compare(self, stored: dict[str, tuple[int, Settled]]) -> None:
        asked = [(session_id, start) for session_id, (start, _) in stored.items()]
        found = differences(self._source, self._target, asked)
        for (session_id, (_, settled)), (different, compared) in zip(stored.items(), found, strict=True):
            self._tally.compared += compared
            taken = _taken(settled)
            if different is None:
                self._problems.pop(session_id, None)
                self._tally.stored(session_id)
            elif taken:
                self._problem(session_id, "taken", taken)
            else:
                self._problem(session_id, "differs", different)

    def _problem(self, session_id: str, kind: ProblemKind, reason: str) -> None:
        self._problems[session_id] = Problem(session_id=session_id, kind=kind, reason=reason)

    # ------------------------------------------------------------------ small things
    def _at(self) -> int:
        return to_micros(self._clock())

    def _tell(self, messages: int) -> None:
        self._done += messages
        if self._progress is not None:
            self._progress(self._done, max(self._total, self._done))


def _outcome(store: Store, operation: Operation) -> Any:
    [outcome] = store.commit([operation])
    if isinstance(outcome, PalaverError):
        raise outcome
    return outcome


def _size(chunk: Chunk | None) -> int:
    if chunk is None:
        return 0
    return sum(len(each.row.body) for each in chunk.messages) + sum(len(each.data) for each in chunk.blobs)


def _taken(settled: Settled) -> str:
    """What another session of the target has."""
    said = [f"the title it has is {settled.title!r}"] if settled.title is not None else []
    said += [f"the key {key!r} points at another session" for key in settled.keys]
    said += [f"the alias {alias!r} names another session" for alias in settled.aliases]
    return "; ".join(said)
