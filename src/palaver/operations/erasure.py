"""Operations that erase: in small steps, each of which leaves the store sound, under a record of what is under way.

    BeginErasure -> for each session EraseSession, EraseMessages*, ClearErased, or EraseMessages* and EraseTraces
                 -> for copies EraseMessages(copies=True), for carried summaries EraseSummaries
                 -> FinishErasure -> (the store scrubs its files) -> Scrubbed

All of them may be done again: what is gone stays gone, and counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from palaver import codec, media
from palaver.erasure import GUARD, Again, Erasure, Owner, Person, Target, mark, marks_of, pseudonym
from palaver.errors import CorruptRecord, SessionConflict, SessionNotFound
from palaver.model import Message
from palaver.operations.base import Operation, bump, close_turn
from palaver.operations.continuations import answers_saying
from palaver.operations.ledger import Ledger
from palaver.operations.ranges import cut_range, cut_ranges
from palaver.rows import COPY, ERASED, ROLE_MASK, USER_KIND, ChangeKind, SessionRow, StoredMessage

__all__ = [
    "BeginErasure",
    "ClearErased",
    "EraseMessages",
    "EraseSession",
    "EraseSummaries",
    "EraseTraces",
    "ErasedMessages",
    "FinishErasure",
    "Scrubbed",
]

NOTHING_LEFT = "erased"
"""Why a session has ended that was erased."""
_LEADING = 2  # system and developer are kinds 1 and 2


class BeginErasure(Operation, frozen=True, kw_only=True, tag="begin_erasure"):
    """Put on record what is to be erased, so that it is gone on with after a crash. Returns the record."""

    erasure_id: str
    target: Target
    scope: str | None = None
    """The only owner whose sessions it may touch."""
    secret: bytes
    """What marks are keyed with from now on, where the store has nothing yet."""

    def apply(self, ledger: Ledger) -> Erasure:
        known = ledger.erasure(self.erasure_id)
        if known is not None:
            return known
        if ledger.secret() is None:
            ledger.put_secret(self.secret)
        if isinstance(self.target, Owner):
            ledger.add_erased(mark("owner", self.target.owner), self.at)
        elif isinstance(self.target, Person):
            for each in self.target.ids:
                ledger.add_erased(mark("user", self.target.platform, each), self.at)
        row = Erasure(id=self.erasure_id, began_at=self.at, target=self.target, scope=self.scope)
        ledger.put_erasure(row)
        return row


class EraseSession(Operation, frozen=True, kw_only=True, tag="erase_session"):
    """Take a session away at once and for good: nobody finds, restores or writes to it from now on.

    Its names, keys and texts go now, its messages by EraseMessages. Of its owner, where that one is erased, a
    pseudonym is left, so that what was used still adds up. Returns its last position.
    """

    erasure_id: str
    session_id: str

    def apply(self, ledger: Ledger) -> int:
        record = _record(ledger, self.erasure_id)
        row = ledger.find(self.session_id)
        if row is None:
            msg = f"no session {self.session_id!r}: check the id"
            raise SessionNotFound(msg)
        number, last = row.number, ledger.head(row.number).last_seq
        if row.end_reason == NOTHING_LEFT:
            return last
        turn = ledger.last_turn(number)
        if turn is not None and turn.state == "running":
            close_turn(ledger, turn, "interrupted", self.at, reason="the session was erased")
            ledger.add_change(number, row.rev, ChangeKind.TURN_INTERRUPTED)
        purged = row.end_reason == "purged"
        names, keys = ledger.aliases(number), ledger.keys(number)
        ledger.add_erased(mark("session", row.id), self.at)
        for _, alias in names:
            ledger.add_erased(mark("alias", alias), self.at)
        for owner, key in keys:
            ledger.add_erased(mark("key", owner, key), self.at)
            ledger.drop_binding(owner, key)
        if last:
            row = cut_range(ledger, row, 1, last, ERASED)
        ledger.put_title(row.owner, row.title, None, number)
        secret = ledger.secret()
        whose = row.owner
        again = isinstance(record.target, Again) and ledger.erased_at(mark("owner", row.owner)) is not None
        if (again or isinstance(record.target, Owner)) and secret is not None:
            whose = pseudonym(secret, row.owner)
        row = bump(
            ledger,
            SessionRow(
                number=number,
                id=row.id,
                owner=whose,
                created_at=row.created_at,
                rev=row.rev,
                cut_count=row.cut_count,
                parent=row.parent,
                parent_kind=row.parent_kind,
                ended_at=self.at,
                end_reason=NOTHING_LEFT,
                deleted_at=self.at,
            ),
        )
        ledger.add_change(number, row.rev, ChangeKind.ERASED, 1 if last else 0, last)
        _count(ledger, self.erasure_id, sessions=int(not purged), keys=len(keys), aliases=len(names))
        return last


class ErasedMessages(msgspec.Struct, frozen=True, gc=False):
    """What a step of EraseMessages did, and what the next one of the session must know."""

    gone: int
    following: bool = False
    """Whether what a model says next still answers the person."""
    turn: int = 0
    """First position of the person's newest turn."""
    copies: bool = False
    """Whether the range ended with a copy: copies stand first, and there may be more."""
    earlier: bool = False
    """Whether something of the range had been erased before."""
    unattributed: int = 0
    """Messages that name no sender, and stay."""


class EraseMessages(Operation, frozen=True, kw_only=True, tag="erase_messages"):
    """Remove messages of a range for good, with their versions, media, ids and index entries, and summaries over them.

    In a session that was erased: all. Elsewhere, with `person`: what that person said, and what answered it, by the
    turn or else until somebody else speaks. With `copies`: copies of messages that were erased. With `marked`: what
    was erased before.

    `dry_run` says what would go, and changes nothing. A turn that began with such a message is closed as interrupted.
    """

    erasure_id: str
    session_id: str
    from_seq: int
    through_seq: int
    person: Person | None = None
    copies: bool = False
    marked: bool = False
    """What has the mark of something that was erased before."""
    following: bool = False
    turn: int = 0
    dry_run: bool = False

    def apply(self, ledger: Ledger) -> ErasedMessages:
        row = ledger.find(self.session_id)
        if row is None:
            msg = f"no session {self.session_id!r}: check the id"
            raise SessionNotFound(msg)
        stored = [ledger.message(row.number, seq) for seq in range(self.from_seq, self.through_seq + 1)]
        present = [m for m in stored if m is not None]
        everything = self.person is None and not self.copies and not self.marked
        if row.end_reason == NOTHING_LEFT or (everything and self.dry_run):
            done = ErasedMessages(len(present))
            if not self.dry_run:
                self._remove(ledger, row, present)
                if present:
                    ledger.purge_messages(row.number, self.from_seq, self.through_seq)
            return done
        if self.copies:
            chosen = [m for m in present if _is_erased_copy(ledger, m)]
            done = ErasedMessages(len(chosen), copies=bool(present) and present[-1].kind & COPY != 0)
        elif self.marked:
            names = [alias for _, alias in ledger.aliases(row.number)]
            chosen = [m for m in present if _was_erased(ledger, m, names)]
            done = ErasedMessages(len(chosen))
        elif self.person is not None:
            chosen, done = self._chosen(ledger, row, self.person)
        else:
            msg = f"session {row.id!r} was not erased: name the person whose messages shall go"
            raise SessionConflict(msg)
        if merged := _merged_into(ledger, row, chosen):
            chosen = sorted([*chosen, *merged], key=lambda m: m.seq)
            done = msgspec.structs.replace(done, gone=done.gone + len(merged))
        if chosen and not self.dry_run:
            self._erase(ledger, row, chosen)
        if len(present) < len(stored):
            spans = [(c.from_seq, c.through_seq) for c in ledger.cuts(row.number) if c.kind == ERASED]
            places = range(self.from_seq, self.through_seq + 1)
            gone = [seq for seq, m in zip(places, stored, strict=True) if m is None]
            earlier = any(lo <= seq <= hi for seq in gone for lo, hi in spans)
            done = msgspec.structs.replace(done, earlier=earlier)
        return done

    def _chosen(self, ledger: Ledger, row: SessionRow, person: Person) -> tuple[list[StoredMessage], ErasedMessages]:
        """What the person said, and what answered it."""
        erased = [(c.from_seq, c.through_seq) for c in ledger.cuts(row.number) if c.kind == ERASED]
        needles = [msgspec.json.encode(each) for each in person.ids]
        following, turn, unattributed = self.following, self.turn, 0
        chosen: list[StoredMessage] = []
        for seq in range(self.from_seq, self.through_seq + 1):
            m = ledger.message(row.number, seq)
            if m is None:
                following = following or any(lo <= seq <= hi for lo, hi in erased)
                continue
            role = m.kind & ROLE_MASK
            if role <= _LEADING:
                continue
            begun = seq - m.turn + 1 if m.turn else 0
            if role == USER_KIND:
                following = any(needle in m.body for needle in needles) and _says(m, person)
                if following and begun == seq:
                    turn = seq
                unattributed += not following and b'"sender"' not in m.body
                goes = following
            elif begun:
                goes = begun == turn or any(lo <= begun <= hi for lo, hi in erased)
            else:
                goes = following
            if goes:
                chosen.append(m)
        if unattributed and not self.dry_run:
            _count(ledger, self.erasure_id, unattributed=unattributed)
        return chosen, ErasedMessages(len(chosen), following, turn, unattributed=unattributed)

    def _erase(self, ledger: Ledger, row: SessionRow, chosen: list[StoredMessage]) -> None:
        """Remove messages of a session that lives on."""
        number = row.number
        row = msgspec.structs.replace(row, guarded_until=max(row.guarded_until, self.at + GUARD))
        ledger.put_session(row)  # what the platform delivers once more comes to this session, under the key of others
        row = self._forget_texts(ledger, row, chosen)
        first = chosen[0].seq
        gone = {m.seq for m in chosen}
        self._remove(ledger, row, chosen)
        running = ledger.last_turn(number)
        if running is not None and running.state == "running" and running.message_seq in gone:
            reason = "the message that began it was erased"
            close_turn(ledger, running, "interrupted", self.at, reason=reason)
            ledger.add_change(number, row.rev, ChangeKind.TURN_INTERRUPTED)
        runs = _runs(sorted(gone))
        row = cut_ranges(ledger, row, runs, ERASED)
        for lo, hi in runs:
            ledger.purge_messages(number, lo, hi)
            ledger.add_change(number, row.rev, ChangeKind.ERASED, lo, hi)
        _drop_summaries(ledger, row, self.erasure_id, first)
        todo = ledger.todo(number)
        if todo is not None and todo.error is not None:  # a worker's words about what it failed at
            ledger.put_todo(msgspec.structs.replace(todo, error=None))

    def _forget_texts(self, ledger: Ledger, row: SessionRow, chosen: list[StoredMessage]) -> SessionRow:
        """Take away what the session's row quotes of them: its preview, and a title that is the beginning of one."""
        bodies = [body for m in chosen for body in (m.body, *(v.body for v in ledger.versions(row.number, m.seq)))]
        quoting = quotes(row, bodies)
        if "title" in quoting:
            ledger.put_title(row.owner, row.title, None, row.number)
        return bump(ledger, row, **dict.fromkeys(quoting)) if quoting else row

    def _remove(self, ledger: Ledger, row: SessionRow, messages: list[StoredMessage]) -> None:
        """Keep the marks of messages, and forget their ids and the words about their turns; the caller purges them."""
        number = row.number
        versions = references = 0
        names = [alias for _, alias in ledger.aliases(number)]
        for m in messages:
            bodies = [m.body]
            for version in ledger.versions(number, m.seq):
                bodies.append(version.body)
                versions += 1
            for body in bodies:
                message = _decoded(body)
                if message is None:  # nobody can say what it was: nothing could bring it back
                    continue
                references += len(media.addresses(message))
                for marked in marks_of(message, message.id, m.at):
                    ledger.add_erased(marked, self.at)
                if message.id is not None:
                    ledger.put_message_id(number, message.id, None)
                    for alias in names:  # as an import knows it, whatever it makes of the content by then
                        ledger.add_erased(mark("message", alias, message.id), self.at)
            turn = ledger.turn(number, m.seq) if m.turn == 1 else None
            if turn is not None and row.end_reason != NOTHING_LEFT:
                ledger.put_turn(msgspec.structs.replace(turn, reason=None, notice=None))
        _count(ledger, self.erasure_id, messages=len(messages), versions=versions, media=references)


class ClearErased(Operation, frozen=True, kw_only=True, tag="clear_erased"):
    """Remove what an erased session had beside its messages: ids, names, turns, summaries."""

    erasure_id: str
    session_id: str

    def apply(self, ledger: Ledger) -> None:
        row = ledger.find(self.session_id)
        if row is None or row.end_reason != NOTHING_LEFT:
            msg = f"session {self.session_id!r} was not erased"
            raise SessionConflict(msg)
        summaries = len(ledger.compactions(row.number))
        ledger.purge_records(row.number)
        _count(ledger, self.erasure_id, summaries=summaries)


class EraseTraces(Operation, frozen=True, kw_only=True, tag="erase_traces"):
    """Take a person's names out of a session that others take part in: out of its origin, and keys of theirs."""

    erasure_id: str
    session_id: str
    person: Person
    keys: tuple[tuple[str, str], ...] = ()
    """Owner and key of those that are this person's alone."""

    def apply(self, ledger: Ledger) -> None:
        row = ledger.find(self.session_id)
        if row is None or row.end_reason == NOTHING_LEFT:
            return
        number = row.number
        dropped = 0
        for owner, key in self.keys:
            bound = ledger.binding(owner, key)
            if bound is not None and bound.session == number:
                ledger.add_erased(mark("key", owner, key), self.at)
                ledger.drop_binding(owner, key)
                dropped += 1
        changes: dict[str, Any] = {}
        if dropped and not ledger.keys(number) and row.ended_at is None:
            changes |= {"ended_at": self.at, "end_reason": "its last key was erased"}
        origin = _without_person(row.origin, self.person)
        if origin != row.origin:
            changes["origin"] = origin
        if changes or dropped:
            row = bump(ledger, row, **changes)
            ledger.add_change(number, row.rev, ChangeKind.ERASED)
            _count(ledger, self.erasure_id, keys=dropped)


class EraseSummaries(Operation, frozen=True, kw_only=True, tag="erase_summaries"):
    """Remove every summary of a session: it began with one of a session of which something was erased."""

    erasure_id: str
    session_id: str

    def apply(self, ledger: Ledger) -> int:
        row = ledger.find(self.session_id)
        if row is None or row.end_reason == NOTHING_LEFT:
            return 0
        if not any(c.through_seq == 0 for c in ledger.compactions(row.number)):
            return 0
        return _drop_summaries(ledger, row, self.erasure_id, 0)


class FinishErasure(Operation, frozen=True, kw_only=True, tag="finish_erasure"):
    """Everything is gone: forget whom it was about. Returns the record."""

    erasure_id: str

    def apply(self, ledger: Ledger) -> Erasure:
        row = _record(ledger, self.erasure_id)
        if row.ended_at is None:
            row = msgspec.structs.replace(row, target=None, scope=None, ended_at=self.at)
            ledger.put_erasure(row)
        return row


class Scrubbed(Operation, frozen=True, kw_only=True, tag="scrubbed"):
    """The store's files were cleaned: of all erasures that had ended nothing is left in them."""

    erasure_ids: tuple[str, ...]

    def apply(self, ledger: Ledger) -> None:
        for each in self.erasure_ids:
            ledger.put_erasure(msgspec.structs.replace(_record(ledger, each), scrubbed_at=self.at))


def _record(ledger: Ledger, erasure_id: str) -> Erasure:
    row = ledger.erasure(erasure_id)
    if row is None:
        msg = f"no erasure {erasure_id!r} was begun here"
        raise SessionConflict(msg)
    return row


def _count(ledger: Ledger, erasure_id: str, **more: int) -> None:
    row = _record(ledger, erasure_id)
    counts = {**row.counts, **{name: row.counts.get(name, 0) + n for name, n in more.items() if n}}
    if counts != row.counts:
        ledger.put_erasure(msgspec.structs.replace(row, counts=counts))


def _drop_summaries(ledger: Ledger, row: SessionRow, erasure_id: str, seq: int) -> int:
    """Remove every summary that reaches a position: it may tell what stood there, and those after it go on from it."""
    rows = ledger.compactions(row.number)
    kept = tuple(c for c in rows if c.through_seq < seq)
    if len(kept) == len(rows):
        return 0
    ledger.put_compactions(row.number, kept)
    row = bump(ledger, row, compaction=max((c.id for c in kept if not c.stale), default=0))
    ledger.add_change(row.number, row.rev, ChangeKind.ERASED)
    _count(ledger, erasure_id, summaries=len(rows) - len(kept))
    return len(rows) - len(kept)


def quotes(row: SessionRow, bodies: Iterable[bytes]) -> list[str]:
    """Which of its preview and its title say what one of these messages says."""
    texts = [text for body in bodies if (text := _plain(body))]
    found: list[str] = []
    if row.preview is not None and any(text.startswith(_squeezed(row.preview)) for text in texts):
        found.append("preview")
    title = _squeezed(row.title or "").rstrip("….")
    if title and any(title in text for text in texts):
        found.append("title")
    return found


def _decoded(body: bytes) -> Message | None:
    try:
        return codec.decode(body)
    except CorruptRecord:
        return None


def _says(stored: StoredMessage, person: Person) -> bool:
    """Whether a message is the person's. One that names them and cannot be read counts as theirs."""
    message = _decoded(stored.body)
    return message is None or (message.sender is not None and message.sender.id in person.ids)


def _is_erased_copy(ledger: Ledger, stored: StoredMessage) -> bool:
    message = _decoded(stored.body) if stored.kind & COPY else None
    if message is None or message.copied_from is None:
        return False
    session_id, _, seq = message.copied_from.rpartition("~")
    source = ledger.find(session_id)
    if source is None or not seq.isdecimal():
        return False
    return source.end_reason == NOTHING_LEFT or any(
        c.kind == ERASED and c.from_seq <= int(seq) <= c.through_seq for c in ledger.cuts(source.number)
    )


def _merged_into(ledger: Ledger, row: SessionRow, chosen: list[StoredMessage]) -> list[StoredMessage]:
    """Answers that say, or as a version said, what these say too: continuations that were merged into them."""
    seqs = {m.seq for m in chosen}
    answers = answers_saying(ledger.cuts(row.number), seqs.__contains__) if seqs else []
    found = [ledger.message(row.number, seq) for seq in answers]
    return [m for m in found if m is not None]


def _was_erased(ledger: Ledger, stored: StoredMessage, names: list[str]) -> bool:
    """Whether a message has the mark of one that was erased."""
    message = _decoded(stored.body)
    if message is None:
        return False
    marks = [*marks_of(message, message.id, stored.at)]
    if message.id is not None:
        marks += [mark("message", name, message.id) for name in names]
    return any(ledger.erased_at(each) is not None for each in marks)


def _plain(body: bytes) -> str:
    message = _decoded(body)
    return _squeezed(message.text) if message is not None else ""


def _squeezed(text: str) -> str:
    return " ".join(text.split()).casefold()


def _without_person(origin: str | None, person: Person) -> str | None:
    """The origin of a shared session without who began it."""
    if origin is None:
        return None
    fields: dict[str, Any] = msgspec.json.decode(origin)
    if fields.get("platform") != person.platform:
        return origin
    if not {fields.get("user_id"), fields.get("user_id_alt")} & {*person.ids}:
        return origin
    for name in ("user_id", "user_id_alt", "user_name"):
        fields.pop(name, None)
    return msgspec.json.encode(fields).decode()


def _runs(seqs: list[int]) -> list[tuple[int, int]]:
    """Ascending positions as ranges without gaps."""
    out: list[tuple[int, int]] = []
    for seq in seqs:
        if out and seq == out[-1][1] + 1:
            out[-1] = (out[-1][0], seq)
        else:
            out.append((seq, seq))
    return out
