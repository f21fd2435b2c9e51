"""A session as nanobot stores it: a file of its own that nanobot reads again, in its naming since 0.3.0.

The first line is the metadata, then a message a line, in OpenAI's spelling. Times are of this machine, without a zone:
so nanobot writes them, and reads them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from palaver.exporters.entries import Entry, Item
from palaver.exporters.wording import media_line
from palaver.formats import render
from palaver.info import SessionInfo
from palaver.model import AudioPart, FilePart, Flag, ImagePart, Message, Part, TextPart, ThinkingPart, ToolResult

__all__ = ["count", "file_name", "key_of", "lines"]

_FLAGS: Mapping[Flag, str] = {"delivery": "_channel_delivery", "command": "_command", "hidden": "_hidden_history"}
_MEDIA = (ImagePart, AudioPart, FilePart)


def key_of(info: SessionInfo) -> str:
    """The key that nanobot finds it by; one is made up for a session without a key, so that it is not lost."""
    return info.keys[0] if info.keys else f"palaver:{info.id}"


def file_name(info: SessionInfo) -> str:
    """What nanobot calls the file of that key."""
    return base64.urlsafe_b64encode(key_of(info).encode()).rstrip(b"=").decode() + ".jsonl"


def count(item: Item) -> int:
    """How many lines an item of a transcript gets: none that is not live, one each for the results of several calls."""
    if not isinstance(item, Entry) or not item.live:
        return 0
    return max(1, len(item.message.tool_results)) if item.message.role == "tool" else 1


def lines(info: SessionInfo, items: Iterable[Item], *, summary: str | None = None, archived: int = 0) -> Iterator[str]:
    """The lines of a file. `summary` stands for the first `archived` messages."""
    metadata = {name: value for name, value in info.metadata.items() if name not in ("imported", "_last_summary")}
    if info.title is not None:
        metadata["title"] = info.title
    if summary is not None:
        metadata["_last_summary"] = {"text": summary, "last_active": _time(info.last_active_at)}
    yield _line(
        {
            "_type": "metadata",
            "key": key_of(info),
            "created_at": _time(info.created_at),
            "updated_at": _time(info.last_active_at),
            "metadata": metadata,
            "last_consolidated": archived,
        }
    )
    for item in items:
        if isinstance(item, Entry) and item.live:
            yield from (_line(record) for record in _records(item.message, item.media))


def _records(message: Message, media: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    """A message; several where it holds the results of several calls, which are a message each in this spelling."""
    files = [part.name for part in message.parts if isinstance(part, _MEDIA) and part.name and not _has_content(part)]
    parts = tuple(_part(part, media) for part in message.parts if not _is_file(part))
    rendered = render("openai_chat", [message.replace(parts=parts)], repair=False).messages
    for number, record in enumerate(rendered):
        thoughts = "\n\n".join(part.text for part in message.parts if isinstance(part, ThinkingPart) and part.text)
        if thoughts and message.role == "assistant":
            record.setdefault("reasoning_content", thoughts)
        if message.created_at is not None:
            record["timestamp"] = _time(message.created_at)
        if files and not number:
            record["media"] = files
        if message.sender is not None and message.sender.id:
            record["sender_id"] = message.sender.id
        record.update({name: True for flag, name in _FLAGS.items() if flag in message.flags})
        yield {**{name: value for name, value in message.metadata.items() if name not in record}, **record}


def _has_content(part: ImagePart | AudioPart | FilePart) -> bool:
    return not (part.data is None and part.url is None and part.blob is None)


def _is_file(part: Part) -> bool:
    """Whether a part only names a file: nanobot has a list of those."""
    return isinstance(part, _MEDIA) and bool(part.name) and not _has_content(part)


def _part(part: Part, media: Mapping[str, bytes]) -> Part:
    """Content that lies out of line stands in the message; what is gone has a line of text."""
    if isinstance(part, ToolResult):
        return msgspec.structs.replace(part, parts=tuple(_part(each, media) for each in part.parts))
    if not isinstance(part, _MEDIA) or part.blob is None or part.data is not None:
        return part
    data = media.get(part.blob)
    if data is None:
        return TextPart(text=media_line(part))
    return msgspec.structs.replace(part, data=base64.b64encode(data).decode(), blob=None)


def _time(at: datetime) -> str:
    return at.astimezone().replace(tzinfo=None).isoformat()


def _line(record: dict[str, Any]) -> str:
    return msgspec.json.encode(record).decode() + "\n"
