"""Lines of Palaver's own exports as the rows that a store keeps. What no store could have written is refused."""

from __future__ import annotations

import msgspec

from palaver import codec
from palaver.endpoints import admitted
from palaver.errors import InvalidMessage
from palaver.exporters.jsonl import Record, State, Version
from palaver.info import Notice, SessionInfo
from palaver.records import MessageRecord, SessionRecord
from palaver.rows import Draft, Head, SessionRow, StoredMessage, TurnRow, VersionRow
from palaver.times import to_micros

__all__ = ["message_record", "session_record", "session_row", "turn_row"]

_notice = msgspec.json.Decoder(Notice)


def session_row(info: SessionInfo, state: State) -> SessionRow:
    """The row of a session."""
    origin = msgspec.json.encode(info.origin).decode() if info.origin is not None else None
    return SessionRow(
        id=info.id,
        owner=info.owner or "",
        created_at=to_micros(info.created_at),
        rev=info.rev,
        explicit=state.explicit,
        parent=info.parent,
        parent_kind=info.parent_kind,
        reset_reason=info.reset_reason,
        notice=_known_notice(state.notice),
        origin=origin,
        title=info.title,
        title_source=info.title_source,
        settings=admitted(info.model) if info.model is not None else None,
        preview=info.preview,
        metadata=codec.json_text(info.metadata, "metadata") if info.metadata else None,
        tags=info.tags,
        holds=state.holds,
        archived=info.archived,
        pinned=info.pinned,
        hidden=info.hidden,
        ended_at=to_micros(info.ended_at) if info.ended_at is not None else None,
        end_reason=info.end_reason,
        deleted_at=to_micros(info.deleted_at) if info.deleted_at is not None else None,
        leading_seq=state.leading_seq,
        cut_count=len(state.cuts),
        compaction=max((row.id for row in state.compactions if not row.stale), default=0),
    )


def session_record(
    info: SessionInfo, state: State, *, last_seq: int, message_count: int, user_seq: int
) -> SessionRecord:
    """All of a session but its messages; the numbers are of those that were read."""
    return SessionRecord(
        row=session_row(info, state),
        head=Head(last_seq, message_count, to_micros(info.last_active_at), user_seq),
        keys=state.keys,
        aliases=state.aliases,
        cuts=tuple(cut for cut in state.cuts if 0 < cut.from_seq <= cut.through_seq <= last_seq),
        compactions=state.compactions,
        queued=tuple(seq for seq in state.queued if 0 < seq <= last_seq),
        usage=state.usage,
        purged_ids=state.purged_ids,
    )


def message_record(line: Record) -> MessageRecord:
    """A message as it is stored. Raises InvalidMessage for what no store could keep."""
    message = line.message
    seq = message.seq
    if seq < 1 or not 0 <= line.user_seq <= seq or not 0 <= line.turn_seq <= seq:
        msg = f"its positions cannot be: seq {seq}, user_seq {line.user_seq}, turn_seq {line.turn_seq}"
        raise InvalidMessage(msg)
    draft = codec.draft(message)
    return MessageRecord(
        row=StoredMessage(
            seq,
            draft.kind,
            seq - line.user_seq if line.user_seq else -1,
            seq - line.turn_seq + 1 if line.turn_seq else 0,
            draft.at or 0,
            bytes(draft.body),
        ),
        id=message.id if line.named else None,
        versions=tuple(_version(number, version) for number, version in enumerate(line.versions, 1)),
    )


def _version(number: int, version: Version) -> VersionRow:
    draft: Draft = codec.draft(version.message)
    edited_at = to_micros(version.edited_at) if version.edited_at is not None else 0
    return VersionRow(number if version.rev is None else version.rev, edited_at, draft.kind, bytes(draft.body))


def turn_row(row: TurnRow) -> TurnRow:
    """A turn as it is stored: nobody holds it."""
    return msgspec.structs.replace(
        row, session=0, token="", holder=None, expires_at=0, notice=_known_notice(row.notice)
    )


def _known_notice(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        _notice.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        msg = f"its notice cannot be read: {exc}"
        raise InvalidMessage(msg) from exc
    return text
