"""The step of an erasure that removes messages, with everything that says what they said."""

from __future__ import annotations

import msgspec

from palaver import media
from palaver.erasure import GUARD, Person, mark, marks_of
from palaver.errors import SessionConflict, SessionNotFound
from palaver.operations.base import Operation, bump, close_turn
from palaver.operations.continuations import answers_saying
from palaver.operations.erasure_records import NOTHING_LEFT, count, decoded, drop_summaries
from palaver.operations.ledger import Ledger
from palaver.operations.quoting import quotes
from palaver.operations.ranges import cut_ranges, runs
from palaver.rows import COPY, ERASED, ROLE_MASK, USER_KIND, ChangeKind, SessionRow, StoredMessage

__all__ = ["EraseMessages", "ErasedMessages"]

_LEADING = 2  # system and developer are kinds 1 and 2


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
    left: int = 0
    """Messages of the range that stay, of whatever kind; told where copies are looked for."""


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
        if self.copies:
            goes = {m.seq for m in chosen}
            done = msgspec.structs.replace(done, left=sum(m.seq not in goes for m in present))
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
            count(ledger, self.erasure_id, unattributed=unattributed)
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
        spans = runs(sorted(gone))
        row = cut_ranges(ledger, row, spans, ERASED)
        for lo, hi in spans:
            ledger.purge_messages(number, lo, hi)
            ledger.add_change(number, row.rev, ChangeKind.ERASED, lo, hi)
        drop_summaries(ledger, row, self.erasure_id, first)
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
                message = decoded(body)
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
        count(ledger, self.erasure_id, messages=len(messages), versions=versions, media=references)


def _says(stored: StoredMessage, person: Person) -> bool:
    """Whether a message is the person's. One that names them and cannot be read counts as theirs."""
    message = decoded(stored.body)
    return message is None or (message.sender is not None and message.sender.id in person.ids)


def _is_erased_copy(ledger: Ledger, stored: StoredMessage) -> bool:
    message = decoded(stored.body) if stored.kind & COPY else None
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
    message = decoded(stored.body)
    if message is None:
        return False
    marks = [*marks_of(message, message.id, stored.at)]
    if message.id is not None:
        marks += [mark("message", name, message.id) for name in names]
    return any(ledger.erased_at(each) is not None for each in marks)
