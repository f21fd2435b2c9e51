"""What pages for people say of a message, and of parts that have no text."""

from __future__ import annotations

from datetime import UTC, datetime

from palaver.info import SessionInfo
from palaver.media import size_of
from palaver.model import AudioPart, FilePart, ImagePart, Message
from palaver.redact import clean

__all__ = ["facts", "head", "media_line", "moment", "title"]

MediaPart = ImagePart | AudioPart | FilePart
_KINDS = {ImagePart: "image", AudioPart: "audio", FilePart: "file"}


def moment(at: datetime) -> str:
    """A time, in UTC: a page does not say where it was made."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def title(info: SessionInfo) -> str:
    """What to call the session, on one line."""
    return clean(info.title or info.preview or "") or info.id


def facts(info: SessionInfo) -> dict[str, str]:
    """What stands in front of a conversation, by name; each on one line. What is not there is left out."""
    ended = f"{moment(info.ended_at)} ({info.end_reason})" if info.ended_at and info.end_reason else ""
    found = {
        "Session": info.id,
        "Where": info.origin.description if info.origin is not None else "",
        "Key": ", ".join(info.keys),
        "Owner": info.owner or "",
        "Began": moment(info.created_at),
        "Last active": moment(info.last_active_at),
        "Ended": ended or (moment(info.ended_at) if info.ended_at else ""),
        "Follows": f"{info.parent} ({info.parent_kind})" if info.parent else "",
        "Tags": ", ".join(info.tags),
        "Messages": f"{info.message_count:,}",
    }
    return {name: clean(value) for name, value in found.items() if value}


def head(message: Message, *, live: bool) -> tuple[str, list[str]]:
    """Who wrote a message, and what else is to say about it, on one line each."""
    who = message.sender.name or message.sender.id if message.sender is not None else message.name
    about = [f"#{message.seq}"]
    if message.created_at is not None:
        about.append(moment(message.created_at))
    about += message.flags
    if not live:
        about.append("undone or replaced")
    return (f"{message.role}: {clean(who)}" if who and clean(who) else message.role), about


def media_line(part: MediaPart) -> str:
    """The line that stands for content."""
    size = size_of(part)
    words = (part.name, part.media_type, f"{-(-size // 1024):,} KiB" if size else None, part.url or part.file_id)
    if part.url is not None and part.url.startswith("data:"):
        words = (*words[:3], None)
    said = ", ".join(clean(word) for word in words if word)
    return f"[{_KINDS[type(part)]}: {said}]" if said else f"[{_KINDS[type(part)]}]"
