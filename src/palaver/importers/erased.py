"""What was erased from the store does not come back with an import: it is left out, and the report says so."""

from __future__ import annotations

from msgspec.structs import replace

from palaver import codec
from palaver.core import Core
from palaver.erasure import mark, marks_of
from palaver.errors import CorruptRecord
from palaver.importers.values import Note, SourceSession, note
from palaver.operations.quoting import quotes
from palaver.operations.ranges import joined, merged
from palaver.records import Chunk, MessageRecord, SessionRecord
from palaver.rows import ERASED, CutRow, Draft

__all__ = ["Unerased", "keep_unerased", "was_erased"]

_AT_ONCE = 500


def was_erased(core: Core | None, session_id: str) -> bool:
    """Whether a session with this id was erased from the store."""
    return core is not None and bool(core.store.erased([mark("session", session_id)]))


class Unerased:
    """A session that Palaver had written, without the messages that were erased from the store since.

    What is left of its record tells nothing of them: no summary that reaches one, no title or preview that quotes one.
    """

    def __init__(self, core: Core | None) -> None:
        self._core = core if core is not None and core.store.erasures() else None
        self.gone: list[int] = []
        """Positions of those that were left out."""
        self._said: list[bytes] = []
        self._users: list[int] = []

    def chunk(self, piece: Chunk) -> Chunk:
        """What of a chunk was not erased."""
        if self._core is None:
            return piece
        marks = [self._marks(each) for each in piece.messages]
        erased = self._core.store.erased([each for of in marks for each in of])
        kept: list[MessageRecord] = []
        for each, of in zip(piece.messages, marks, strict=True):
            if erased.keys().isdisjoint(of):
                kept.append(each)
                if each.row.back == 0:
                    self._users.append(each.row.seq)
                continue
            self.gone.append(each.row.seq)
            self._said += [each.row.body, *(version.body for version in each.versions)]
        if len(kept) == len(piece.messages):
            return piece
        gone = set(self.gone)
        turns = [replace(turn, reason=None, notice=None) if turn.first_seq in gone else turn for turn in piece.turns]
        return replace(piece, messages=tuple(kept), turns=tuple(turns))

    def record(self, record: SessionRecord) -> SessionRecord:
        """What there is to know of the session without them."""
        if not self.gone:
            return record
        dead = merged(record.cuts)
        gone = set(self.gone)
        spans = joined([(seq, seq) for seq in self.gone])
        live = [seq for seq in self.gone if not _within(seq, dead)]
        head = record.head
        if head.user_seq in gone:
            newest = next((seq for seq in reversed(self._users) if not _within(seq, dead)), 0)
            head = replace(head, user_seq=newest)
        summaries = tuple(each for each in record.compactions if each.through_seq < self.gone[0])
        row = replace(
            record.row,
            compaction=max((each.id for each in summaries if not each.stale), default=0),
            cut_count=len(record.cuts) + len(spans),
            **dict.fromkeys(quotes(record.row, self._said)),
        )
        first, rev = len(record.cuts) + 1, record.row.rev
        cuts = tuple(
            CutRow(first + index, low, high, ERASED, rev, head.last_seq) for index, (low, high) in enumerate(spans)
        )
        todo = record.todo
        return replace(
            record,
            row=row,
            head=replace(head, message_count=head.message_count - len(live)),
            cuts=(*record.cuts, *cuts),
            compactions=summaries,
            queued=tuple(seq for seq in record.queued if seq not in gone),
            todo=replace(todo, error=None) if todo is not None else None,
        )

    @staticmethod
    def _marks(message: MessageRecord) -> tuple[bytes, ...]:
        try:
            said = codec.decode(message.row.body)
        except CorruptRecord:  # taken over as it is: nobody can say what it was
            return ()
        return marks_of(said, message.id, message.row.at)


def _within(seq: int, spans: list[tuple[int, int]]) -> bool:
    return any(low <= seq <= high for low, high in spans)


def keep_unerased(
    core: Core | None, session: SourceSession, alias: str, drafts: list[tuple[int, Draft]], notes: list[Note]
) -> list[tuple[int, Draft]]:
    """The messages that were not erased from the store; of an erased conversation neither title, names nor summary."""
    if core is None or not core.store.erasures():
        return drafts
    kept: list[tuple[int, Draft]] = []
    for begin in range(0, len(drafts), _AT_ONCE):
        some = drafts[begin : begin + _AT_ONCE]
        marks = [_marks(alias, draft) for _, draft in some]
        erased = core.store.erased([each for of in marks for each in of])
        kept += [draft for draft, of in zip(some, marks, strict=True) if erased.keys().isdisjoint(of)]
    if len(kept) < len(drafts):
        told = f"{len(drafts) - len(kept)} messages were erased from this store, and are not taken in again"
        notes.append(note("skipped", session.file, None, told))
    if core.store.erased([mark("alias", alias)]):
        said = "it was erased from this store: its title, summary, names and metadata are not taken in again"
        notes.append(note("aside", session.file, None, said))
        session.title = session.summary = None
        session.metadata, session.facts, session.aliases, session.more_keys, session.tags = {}, {}, (), (), ()
        if not kept:  # nothing is left that a session could be made of
            session.created_at = None
    return kept


def _marks(alias: str, draft: Draft) -> tuple[bytes, ...]:
    said = marks_of(codec.decode(draft.body), draft.id, draft.at)
    return said if draft.id is None else (*said, mark("message", alias, draft.id))
