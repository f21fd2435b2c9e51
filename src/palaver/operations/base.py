"""What all operations share: finding the session, numbering messages, closing turns.

An operation is a frozen value. What it requires and does is its `apply`, written once and run by every store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from palaver import codec, media
from palaver.erasure import GUARD, mark, marks_of
from palaver.errors import (
    ContentErased,
    CorruptRecord,
    InvalidKey,
    InvalidMessage,
    SessionBusy,
    SessionConflict,
    SessionEnded,
    SessionNotFound,
)
from palaver.model import Usage
from palaver.operations.ledger import Ledger
from palaver.rows import (
    COPY,
    MEDIA,
    ROLE_MASK,
    UNSEEN,
    USER_KIND,
    ChangeKind,
    Draft,
    Head,
    SessionRow,
    StoredMessage,
    TurnRow,
    TurnState,
    UsageRow,
)
from palaver.times import SECOND, from_micros

__all__ = [
    "Appended",
    "KeyMoved",
    "Operation",
    "add_usage",
    "admit_media",
    "append",
    "bump",
    "busy_error",
    "close_turn",
    "guard",
    "holds_nothing_of_its_own",
    "interrupt",
    "is_held",
    "open_session",
    "preview_of",
    "refuse_erased",
    "require_no_turn",
    "require_rev",
    "require_text",
]

PREVIEW_LENGTH = 120
_DAY = 86_400 * SECOND
_MOST = (1 << 63) - 1
_LEADING = 2  # system and developer are kinds 1 and 2


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op"):
    """A write, as a value. `at` is the time of the caller's clock, in microseconds."""

    at: int

    def apply(self, ledger: Ledger) -> Any:
        """Do it, or raise a PalaverError and have done nothing."""
        raise NotImplementedError


class KeyMoved(SessionConflict):
    """The key points elsewhere than the caller read: read it again and retry. Managers do."""


class Appended(msgspec.Struct, frozen=True, gc=False):
    """Where messages came to stand. `seqs` are in the order they were given; a duplicate has its first position."""

    seqs: tuple[int, ...]
    last_seq: int
    fresh: bool = True
    """Whether anything was stored that was not there before."""
    session_id: str = ""
    """Where: the session may have been made, or found by its key, on the way."""


def open_session(ledger: Ledger, session_id: str, owner: str | None, *, writing: bool = False) -> SessionRow:
    """The session's row, or SessionNotFound for an unknown, deleted or foreign one; SessionEnded if `writing`."""
    row = ledger.find(session_id)
    if row is None or row.deleted_at is not None or (owner is not None and row.owner != owner):
        msg = f"no session {session_id!r}: check the id and the owner"
        raise SessionNotFound(msg)
    if writing and row.ended_at is not None:
        msg = f"session {session_id!r} has ended ({row.end_reason}): resume it to write to it"
        raise SessionEnded(msg)
    return row


def require_text(text: str | None, what: str) -> None:
    """InvalidKey for a name that no store could keep: with a lone surrogate or a NUL in it."""
    if text is None or (text.isascii() and "\x00" not in text):
        return
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        msg = f"{what} {text!r} holds a NUL or half a character; clean it with palaver.clean_text"
        raise InvalidKey(msg)


def require_rev(row: SessionRow, expected: int | None) -> None:
    """SessionConflict unless the session has the version that the caller saw."""
    if expected is not None and expected != row.rev:
        msg = f"session {row.id!r} has rev {row.rev}, not {expected}: read it again and retry"
        raise SessionConflict(msg, expected=expected, actual=row.rev)


def bump(ledger: Ledger, row: SessionRow, **changes: Any) -> SessionRow:
    """Store the row with these changes and the next version, and return it."""
    row = msgspec.structs.replace(row, rev=row.rev + 1, **changes)
    ledger.put_session(row)
    return row


def append(
    ledger: Ledger,
    row: SessionRow,
    drafts: Sequence[Draft],
    at: int,
    *,
    turn: int = 0,
    restoring: bool = False,
) -> Appended:
    """Give each draft the next position; one whose id is stored already keeps that position.

    `turn` is the first position of the turn that the messages belong to; 0: none, -1: the turn that the first of
    them begins. `restoring`: they were said before, elsewhere. Raises SessionConflict for a known id with other
    content, ContentErased for what was erased (asked of copies, of what is restored, and in guarded sessions).
    """
    number = row.number
    head = ledger.head(number)
    first = seq = head.last_seq
    user_seq = head.user_seq
    leading = row.leading_seq
    preview: str | None = None
    seqs: list[int] = []
    guarded = restoring or row.guarded_until > at
    for draft in drafts:
        if draft.id is not None:
            known = ledger.message_seq(number, draft.id)
            if known is not None:
                _require_same(ledger, row, known, draft)
                seqs.append(known)
                continue
        if guarded or draft.kind & COPY:
            refuse_erased(ledger, draft.body, draft.id, draft.at)
        seq += 1
        kind = draft.kind
        role = kind & ROLE_MASK
        if role == USER_KIND and not kind & UNSEEN:
            user_seq = seq
            if row.preview is None and preview is None:
                preview = preview_of(draft.body)
        elif role <= _LEADING and (leading == seq - 1 or (head.message_count == 0 and seq == first + 1)):
            leading = seq
        start = seq if turn < 0 else turn
        turn = start
        ledger.add_message(
            number,
            StoredMessage(
                seq,
                kind,
                seq - user_seq if user_seq else -1,
                seq - start + 1 if start else 0,
                at if draft.at is None else draft.at,
                bytes(draft.body),
            ),
        )
        if kind & MEDIA:
            admit_media(ledger, row, seq, draft)
        if draft.id is not None:
            ledger.put_message_id(number, draft.id, seq)
        seqs.append(seq)
    fresh = seq - first
    if fresh:
        last_active = max(head.last_active, at)
        ledger.put_head(number, Head(seq, head.message_count + fresh, last_active, user_seq))
        if preview is not None or leading != row.leading_seq:
            ledger.put_session(msgspec.structs.replace(row, preview=row.preview or preview, leading_seq=leading))
    return Appended(tuple(seqs), seq, fresh > 0, row.id)


def refuse_erased(ledger: Ledger, body: bytes | msgspec.Raw, message_id: str | None, at: int | None) -> None:
    """ContentErased for a message that was erased from this store."""
    if ledger.secret() is None:
        return
    try:
        message = codec.decode(body)
    except CorruptRecord:  # taken over as it is: nobody can say what it was
        return
    for marked in marks_of(message, message_id, at):
        erased = ledger.erased_at(marked)
        if erased is not None:
            when = from_micros(erased).isoformat(timespec="seconds")
            which = f" with id {message_id!r}" if message_id is not None else ""
            msg = f"a message{which} was erased from this store at {when}: it is not taken in again; leave it out"
            raise ContentErased(msg)


def guard(ledger: Ledger, row: SessionRow, at: int, *what: str) -> SessionRow:
    """Hold what comes to a session against what was erased, for a while, if this (see `mark`) was erased lately."""
    erased = ledger.erased_at(mark(*what)) if ledger.secret() is not None else None
    if erased is None or erased + GUARD <= max(at, row.guarded_until):
        return row
    row = msgspec.structs.replace(row, guarded_until=erased + GUARD)
    ledger.put_session(row)
    return row


def admit_media(ledger: Ledger, row: SessionRow, seq: int, draft: Draft) -> None:
    """Note what the message refers to. Content that it did not bring must be its owner's already."""
    brought = {blob.address: blob.data for blob in draft.blobs}
    for address in media.addresses(codec.decode(draft.body)):
        data = brought.get(address)
        if data is None and not ledger.has_media(row.owner, address):
            msg = f"no message of this owner holds the content {address!r}: give the content itself, as base64 in data"
            raise InvalidMessage(msg)
        ledger.add_media(row.number, seq, address, data)


def _require_same(ledger: Ledger, row: SessionRow, seq: int, draft: Draft) -> None:
    stored = ledger.message(row.number, seq)
    if stored is None:  # purged: the number and the id are all that is left, and it does not come back
        return
    versions = ledger.versions(row.number, seq)  # it is redelivered as it first came, whatever was made of it since
    first = versions[0].body if versions else stored.body
    if not codec.same_content(codec.decode(first), codec.decode(draft.body)):
        msg = (
            f"session {row.id!r} holds another message with id {draft.id!r}, at seq {seq}: "
            "an id names one content; edit that message, or give the new one its own id"
        )
        raise SessionConflict(msg, expected=draft.id, actual=seq)


def preview_of(body: bytes | msgspec.Raw) -> str:
    """The beginning of what a message says, on one line."""
    text = " ".join(codec.decode(body).text.split())
    return text[:PREVIEW_LENGTH]


def close_turn(ledger: Ledger, turn: TurnRow, state: TurnState, at: int, **changes: Any) -> TurnRow:
    """Store the turn as ended and give up its lease."""
    turn = msgspec.structs.replace(
        turn,
        state=state,
        holder=None,
        expires_at=0,
        ended_at=at,
        end_seq=ledger.head(turn.session).last_seq,
        **changes,
    )
    ledger.put_turn(turn)
    return turn


def holds_nothing_of_its_own(ledger: Ledger, number: int) -> bool:
    """Whether a session is empty, or holds copies only (they come first)."""
    head = ledger.head(number)
    if head.message_count == 0:
        return True
    newest = ledger.message(number, head.last_seq)
    return newest is not None and newest.kind & COPY != 0


def is_held(ledger: Ledger, turn: TurnRow, at: int) -> bool:
    """Whether a running turn's lease still keeps others out."""
    return turn.expires_at > ledger.now(at) and ledger.alive(turn.holder)


def interrupt(ledger: Ledger, row: SessionRow, turn: TurnRow, at: int, reason: str = "its lease ran out") -> None:
    """Close a turn that its holder has left."""
    close_turn(ledger, turn, "interrupted", at, reason=reason)
    ledger.add_change(row.number, row.rev, ChangeKind.TURN_INTERRUPTED)


def busy_error(row: SessionRow) -> SessionBusy:
    """The answer to who comes while a turn runs."""
    return SessionBusy(f'a turn is running in session {row.id!r}: wait for it, or begin with on_busy="store"')


def require_no_turn(ledger: Ledger, row: SessionRow, through_seq: int, at: int) -> None:
    """SessionBusy if a turn runs that positions up to this one belong to; one whose holder is gone is closed."""
    turn = ledger.last_turn(row.number)
    if turn is None or turn.state != "running" or through_seq < turn.first_seq:
        return
    if is_held(ledger, turn, at):
        raise busy_error(row)
    interrupt(ledger, row, turn, at)


def add_usage(ledger: Ledger, row: SessionRow, usage: Usage, at: int) -> None:
    """Add to what the session used that day with that model."""
    day = at // _DAY
    model = usage.model or ""
    require_text(model, "model")
    require_text(usage.cost_source, "cost_source")
    was = ledger.usage(row.number, day, model) or UsageRow(session=row.number, day=day, model=model)
    if usage.cost is not None and not usage.cost.is_finite():
        msg = f"a cost of {usage.cost} cannot be added up; give a finite amount, or None"
        raise InvalidMessage(msg)
    cost = int(usage.cost * 10**9) if usage.cost is not None else 0
    prompt = usage.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens
    total = UsageRow(
        session=was.session,
        day=day,
        model=model,
        calls=was.calls + 1,
        input_tokens=was.input_tokens + usage.input_tokens,
        output_tokens=was.output_tokens + usage.output_tokens,
        cached_tokens=was.cached_tokens + usage.cached_tokens,
        cache_write_tokens=was.cache_write_tokens + usage.cache_write_tokens,
        reasoning_tokens=was.reasoning_tokens + usage.reasoning_tokens,
        prompt_tokens=prompt,
        cost=was.cost + cost,
        updated_at=at,
        priced=was.priced + (usage.cost is not None),
        cost_source=usage.cost_source if usage.cost is not None else was.cost_source,
    )
    if any(isinstance(n, int) and not -_MOST <= n <= _MOST for n in msgspec.structs.astuple(total)):
        msg = f"session {row.id!r} cannot have used that much: {usage}"
        raise InvalidMessage(msg)
    ledger.put_usage(total)
