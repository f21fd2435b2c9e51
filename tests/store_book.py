"""What sessions hold, kept from what operations promise: it knows nothing of rows, and no store made it."""

from __future__ import annotations

from typing import Any

import msgspec

from palaver import codec
from palaver.errors import PalaverError
from palaver.operations import (
    Append,
    Appended,
    Begin,
    Begun,
    Compact,
    Create,
    Cut,
    Delete,
    Edit,
    ErasedMessages,
    EraseMessages,
    EraseSession,
    Expire,
    Expired,
    Finish,
    Finished,
    Merge,
    NewSession,
    Operation,
    Purge,
    PurgeSession,
    Redo,
    Redone,
    Replace,
    Restore,
    Retry,
    Rotate,
    Rotated,
    Sweep,
)
from palaver.rows import CompactionRow, Draft, SessionRow, TodoRow, TurnRow


class Transcript:
    """What one session holds, by what the operations promise and nothing else."""

    def __init__(self) -> None:
        self.last = 0
        self.held: dict[int, tuple[str, str]] = {}
        """Role and text by position."""
        self.cuts: list[tuple[str, frozenset[int], int]] = []
        """What was taken back and not brought back: kind, positions, and where the session ended then."""
        self.rolled_back: set[int] = set()
        self.ids: dict[str, int] = {}
        self.turn_of: dict[int, int] = {}
        """First position of the turn, of the messages that a turn stored."""
        self.turns: dict[str, int] = {}
        """First position of the turn, by every token that was a lease on it."""
        self.told: dict[int, list[tuple[int, str, str]]] = {}
        """What was live of what a summary covers when it was made, by its id."""
        self.seen: dict[int, tuple[int, list[tuple[int, str, str]]]] = {}
        """Where the session ended and what was live, when a reader first saw a version of it."""
        self.merged: dict[int, list[tuple[str, str]]] = {}
        """What answers said before they were merged with their continuations."""

    def add(self, given: tuple[Draft, ...], turn: int = 0) -> tuple[int, ...]:
        """Where messages come to stand: each new one next, a known id where it stands."""
        out: list[int] = []
        for item in given:
            if item.id is not None and item.id in self.ids:
                out.append(self.ids[item.id])
                continue
            self.last += 1
            message = codec.decode(item.body)
            self.held[self.last] = (message.role, message.text)
            if item.id is not None:
                self.ids[item.id] = self.last
            if turn:
                self.turn_of[self.last] = turn
            out.append(self.last)
        return tuple(out)

    @property
    def dead(self) -> set[int]:
        """Positions that are not live."""
        return {seq for _, span, _ in self.cuts for seq in span}

    def cut(self, kind: str, span: range | set[int]) -> None:
        """Take positions back."""
        self.cuts.append((kind, frozenset(span), self.last))

    def now(self, seq: int) -> int:
        """Where a message stands that was answered again."""
        for kind, taken, last in self.cuts:
            if kind == "retry" and seq == min(taken):
                seq = last
        return seq

    def span(self, low: int, high: int) -> range:
        """The positions of a range that were given out."""
        return range(low, min(high, self.last) + 1)

    def live(self) -> list[tuple[int, str, str]]:
        """What a reader sees."""
        return [(seq, *content) for seq, content in sorted(self.held.items()) if seq not in self.dead]

    def read_at(self, rev: int) -> None:
        """A reader sees this version."""
        self.seen.setdefault(rev, (self.last, self.live()))

    def compacted(self, number: int, through: int, drafted_rev: int | None) -> None:
        """A summary stands for what is live now; since its draft was read, none of that changed."""
        self.told[number] = [m for m in self.live() if m[0] <= through]
        if drafted_rev in self.seen:
            last, live = self.seen[drafted_rev]
            assert [m for m in live if m[0] <= through] == [m for m in self.told[number] if m[0] <= last]

    def tells(self, number: int, through: int) -> bool:
        """Whether a summary tells of what is live now of what it covers. One that was carried over covers nothing."""
        return self.told.get(number, []) == [m for m in self.live() if m[0] <= through]

    def stored(self) -> list[tuple[int, str, str]]:
        """The same, with what cuts cover."""
        return [(seq, *content) for seq, content in sorted(self.held.items())]


class Book:
    """All transcripts."""

    def __init__(self) -> None:
        self.sessions: dict[str, Transcript] = {}
        self.deleted: set[str] = set()
        self.erased: set[str] = set()
        self.gone: set[str] = set()
        """Those that were purged or erased: nothing brings them back."""
        self.went_at: dict[str, int] = {}
        self.parents: dict[str, str] = {}
        """Of each subagent's session, whose it is."""

    def living(self) -> list[str]:
        """Sessions that are found."""
        return [session_id for session_id in self.sessions if session_id not in self.deleted]

    def of(self, session_id: str, new: NewSession | None = None) -> Transcript:
        """The transcript of a session, which this operation may have made."""
        known = self.sessions.get(session_id)
        if known is not None:
            return known
        assert new is not None, f"{session_id} came from nowhere"
        assert new.id == session_id
        made = self.sessions[session_id] = Transcript()
        made.add(new.carried)
        return made

    def record(self, operation: Operation, answer: Any) -> None:  # noqa: C901, PLR0912, PLR0915 - one case for each operation
        """Keep what an operation did that was answered so, and hold the answer against what was expected."""
        match operation, answer:
            case _, PalaverError():
                pass
            case Append(), Appended():
                transcript = self.of(answer.session_id, operation.create)
                before = transcript.last
                turn = transcript.turns[operation.token] if operation.token is not None else 0
                assert answer.seqs == transcript.add(operation.messages, turn)
                assert (answer.last_seq, answer.fresh) == (transcript.last, transcript.last > before)
            case Begin(), Begun():
                self._begun(operation, answer)
            case Finish(), Finished():
                self._finished(operation, answer)
            case Create(), SessionRow():
                assert answer.id not in self.sessions
                self.of(answer.id, operation.new)
                if operation.new.parent_kind == "subagent":
                    self.parents[answer.id] = operation.new.parent or ""
            case Rotate(), Rotated():
                self.of(answer.session, operation.new)
            case Cut(), SessionRow():
                transcript = self.of(operation.session_id)
                transcript.cut(operation.kind, transcript.span(operation.from_seq, operation.through_seq))
            case Redo(), Redone():
                transcript = self.of(operation.session_id)
                kind, taken, last = transcript.cuts.pop()
                assert kind not in ("purge", "rollback", "erase")
                if kind == "retry":
                    own = set(transcript.span(last, transcript.last))
                    assert {transcript.turn_of.get(seq) for seq in own} == {last}
                    transcript.cut("rollback", own)
                    transcript.rolled_back |= own
                else:
                    assert last == transcript.last
                if kind == "merge":
                    transcript.held[min(taken) - 1] = transcript.merged[min(taken) - 1].pop()
                assert (answer.from_seq, answer.through_seq) == (min(taken), max(taken))
            case Compact(), CompactionRow():
                self.of(operation.session_id).compacted(answer.id, operation.through_seq, operation.drafted_rev)
            case Retry(), Begun():
                self._retried(operation, answer)
            case Delete(), SessionRow():
                self._deleted(operation.session_id, operation.at)
            case PurgeSession(), int():
                going = {operation.session_id, *self._below(operation.session_id)}
                assert answer == sum(len(self.sessions[each].held) for each in going)
                for each in going:
                    self.sessions[each].held.clear()
                self.deleted |= going
                self.gone |= going
            case EraseSession(), int():
                assert answer == self.sessions[operation.session_id].last
                self.deleted.add(operation.session_id)
                self.gone.add(operation.session_id)
                self.erased.add(operation.session_id)
            case EraseMessages(), ErasedMessages():
                self._erased(operation, answer)
            case Expire(), Expired():
                if answer.session is not None:
                    self.of(answer.session, operation.new)
            case Sweep(), int():
                self._swept(operation, answer)
            case Restore(), SessionRow():
                went = self.went_at[operation.session_id]
                with_it = {each for each in self._below(operation.session_id) if self.went_at.get(each) == went}
                self.deleted -= {operation.session_id, *(with_it - self.gone)}
            case Edit(), int():
                message = codec.decode(operation.message.body)
                self.of(operation.session_id).held[operation.seq] = (message.role, message.text)
            case Merge(), SessionRow():
                transcript = self.of(operation.session_id)
                live = {seq: role for seq, role, _ in transcript.live()}
                assert live[operation.seq] == live[operation.continuation] == "assistant"
                message = codec.decode(operation.message.body)
                transcript.merged.setdefault(operation.seq, []).append(transcript.held[operation.seq])
                transcript.held[operation.seq] = (message.role, message.text)
                transcript.cut("merge", transcript.span(operation.seq + 1, operation.continuation))
            case Replace(), Appended():
                transcript = self.of(operation.session_id)
                if transcript.last:
                    transcript.cut("replace", transcript.span(1, transcript.last))
                for item in operation.messages:
                    transcript.ids.pop(item.id or "", None)
                assert answer.seqs == transcript.add(operation.messages)
            case Purge(), int():
                transcript = self.of(operation.session_id)
                span = transcript.span(operation.from_seq, operation.through_seq)
                assert answer == sum(transcript.held.pop(seq, None) is not None for seq in span)
                transcript.cut("purge", span)
            case _:
                assert not isinstance(answer, Exception)

    def _erased(self, operation: EraseMessages, answer: ErasedMessages) -> None:
        transcript = self.sessions[operation.session_id]
        whole = operation.session_id in self.erased or not operation.copies
        copied = "n1" in self.erased  # what says "copied" is a copy of that session's first message
        gone = {
            seq
            for seq in range(operation.from_seq, operation.through_seq + 1)
            if seq in transcript.held and (whole or (copied and transcript.held[seq] == ("user", "copied")))
        }
        assert answer.gone == len(gone)
        if operation.dry_run or not gone:
            return
        for seq in gone:
            del transcript.held[seq]
        transcript.ids = {name: seq for name, seq in transcript.ids.items() if seq not in gone}
        if operation.session_id not in self.erased:
            transcript.cut("erase", gone)

    def _begun(self, operation: Begin, answer: Begun) -> None:
        transcript = self.of(answer.session_id, operation.create)
        item = operation.message
        if item is not None and answer.seq > transcript.last:
            assert answer.kind in ("begun", "stored")
            if item.id is not None and transcript.now(transcript.ids.get(item.id, 0)) in transcript.rolled_back:
                del transcript.ids[item.id]  # as if it had never come
            first = answer.turn.first_seq if answer.kind == "begun" and answer.turn is not None else 0
            assert transcript.add((item,), first) == (answer.seq,)
        elif item is not None:
            known = item.id is not None and transcript.now(transcript.ids.get(item.id, 0)) == answer.seq
            assert known or operation.lease.token in transcript.turns, answer
        else:
            assert answer.seq <= transcript.last
        if answer.turn is not None and answer.kind in ("begun", "taken_over"):
            transcript.turns[operation.lease.token] = answer.turn.first_seq

    def _below(self, session_id: str) -> set[str]:
        """Sessions of its subagents, and of theirs, of which anything is left."""
        out: set[str] = set()
        for name in self.parents:  # parents are older
            if self.parents[name] in {session_id, *out}:
                out.add(name)
        return out - self.erased

    def _deleted(self, session_id: str, at: int) -> None:
        for each in {session_id, *self._below(session_id)} - self.deleted:
            self.deleted.add(each)
            self.went_at[each] = at

    def _swept(self, operation: Sweep, left: int) -> None:
        if operation.verb == "archive":
            return
        self._deleted(operation.session_id, operation.at)
        if operation.verb == "purge":
            self.gone.add(operation.session_id)
        held = self.sessions[operation.session_id].held
        if operation.verb == "purge" and held:
            first = min(held)
            for seq in [seq for seq in held if seq < first + operation.most]:
                del held[seq]
        assert left == (len(held) if operation.verb == "purge" else 0)

    def _retried(self, operation: Retry, answer: Begun) -> None:
        transcript = self.of(answer.session_id)
        known = transcript.turns.get(operation.lease.token)
        if known is not None and answer.turn is not None and answer.turn.first_seq == known:
            return  # the same operation again: the turn that it began, unless a redo has undone that since
        asked = max(seq for seq, role, text in transcript.live() if role == "user" and text != "/help")
        transcript.cuts.append(("retry", frozenset(transcript.span(asked, transcript.last)), transcript.last + 1))
        transcript.last += 1
        transcript.held[transcript.last] = transcript.held[asked]
        transcript.turn_of[transcript.last] = transcript.last
        transcript.turns[operation.lease.token] = transcript.last
        assert answer.turn is not None
        assert (answer.kind, answer.seq, answer.turn.first_seq) == ("begun", transcript.last, transcript.last)

    def _finished(self, operation: Finish, answer: Finished) -> None:
        transcript = self.of(operation.session_id)
        turn = transcript.turns[operation.token]
        done = answer.appended
        if done.fresh:
            assert done.seqs == transcript.add(operation.messages, turn)
        assert all(0 < seq <= transcript.last for seq in (*done.seqs, *answer.waiting))
        if operation.state == "rolled_back":
            own = {seq for seq, first in transcript.turn_of.items() if first == turn}
            if own:
                transcript.cut("rollback", own)
            transcript.rolled_back |= own
            transcript.cuts = [cut for cut in transcript.cuts if (cut[0], cut[2]) != ("retry", turn)]


def plain(answer: Any) -> Any:
    """An answer without the numbers that each store has of its own; errors by what they say."""
    if isinstance(answer, PalaverError):
        return type(answer), str(answer), getattr(answer, "expected", None), getattr(answer, "actual", None)
    if isinstance(answer, SessionRow):
        return msgspec.structs.replace(answer, number=0)
    if isinstance(answer, (TodoRow, TurnRow)):
        return msgspec.structs.replace(answer, session=0)
    if isinstance(answer, Begun) and answer.turn is not None:
        return msgspec.structs.replace(answer, turn=plain(answer.turn))
    return answer
