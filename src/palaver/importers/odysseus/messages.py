"""Rows of `chat_messages`, each a message: what odysseus's columns and its JSON beside them mean."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.importers.attachments import attached
from palaver.importers.chat_records import Identities, read_message
from palaver.importers.jsonl import plain_json
from palaver.importers.times import instant
from palaver.model import Flag, Message, Part

__all__ = ["Reading", "moment", "read_row"]

_BLOCKS = frozenset({"text", "image", "image_url", "audio", "input_audio", "input_image", "document", "file"})
"""Content is a list only if all of its entries are of these types: anything else is JSON that somebody pasted."""
_COLUMNS = frozenset({"id", "session_id", "role", "content", "metadata", "meta_data", "timestamp"})
_SUMMARY = re.compile(r"\[Conversation summary[^\]\n]*\]\s*")


class Reading(msgspec.Struct):
    """What became of a row."""

    message: Message
    repairs: list[str]
    summary: str | None = None
    """What it says of messages that odysseus has compacted, and deleted."""


def moment(value: Any) -> datetime | None:
    """A time of odysseus's, which writes UTC without saying so."""
    at = instant(value, UTC)
    return at if at is not None and at.year > 1 else None


def read_row(values: dict[str, Any], identities: Identities, seen: set[str]) -> Reading:
    """The message in a row. Its time is None where the row has none. Raises Unusable."""
    repairs: list[str] = []
    kept = _metadata(values.get("metadata", values.get("meta_data")), repairs)
    message, _, mended = read_message({"role": values.get("role"), "content": _content(values.get("content"))})
    repairs += mended
    at = moment(values.get("timestamp"))
    told = moment(kept.get("timestamp"))
    if told is not None and (at is None or at == told):
        at = told
        del kept["timestamp"]
    kept.pop("_db_id", None)  # the row's own number in memory, sometimes of another row
    for name, value in values.items():
        if name not in _COLUMNS and value is not None and not isinstance(value, bytes):
            kept.setdefault(name, value)
    hidden = kept.get("hidden") is True
    flags: list[Flag] = ["hidden"] if hidden else []
    if kept.get("source") == "slash":
        flags.append("command")
    summary = None
    if message.role == "system" and hidden and kept.get("compacted"):
        summary = _SUMMARY.sub("", message.text, count=1) or None
    message = message.replace(
        id=_identity(values, identities, seen, repairs),
        created_at=at,
        flags=tuple(flags),
        parts=(*message.parts, *_files(kept)),
        metadata=kept,
    )
    return Reading(message, repairs, summary)


def _identity(values: dict[str, Any], identities: Identities, seen: set[str], repairs: list[str]) -> str:
    own = values.get("id")
    if isinstance(own, str) and own and own[0] != "~" and "\0" not in own and own not in seen:
        seen.add(own)
        return own
    repairs.append(f"its id is {own!r:.40}; it got one made of what it says")
    return identities.of({name: value for name, value in values.items() if not isinstance(value, bytes)}, "\0")


def _metadata(given: Any, repairs: list[str]) -> dict[str, Any]:
    if given is None or given == "":
        return {}
    try:
        value, mended = plain_json(given) if isinstance(given, str) else (given, ())
    except (ValueError, RecursionError) as exc:
        repairs.append(f"its metadata is no JSON ({exc}); it is kept as text")
        return {"malformed": given}
    repairs += mended
    if value is None:
        return {}
    if is_object(value):
        return value
    repairs.append(f"its metadata is {type(value).__name__} and not an object; it is kept as it is")
    return {"malformed": given if isinstance(given, (str, int, float)) else repr(given)}


def _content(given: Any) -> Any:
    """Text, or the list of blocks that the text stands for: odysseus's own rule."""
    if isinstance(given, bytes):
        return given.decode("utf-8", "replace")
    if not isinstance(given, str) or not given.startswith("[{") or '"type"' not in given:
        return given
    try:
        blocks, _ = plain_json(given)
    except (ValueError, RecursionError):
        return given
    if is_array(blocks) and all(is_object(block) and block.get("type") in _BLOCKS for block in blocks):
        return blocks
    return given


def _files(kept: dict[str, Any]) -> tuple[Part, ...]:
    """The files that came with a message, by name: odysseus keeps their bytes elsewhere, under ids in the metadata."""
    attachments = kept.get("attachments")
    parts: list[Part] = []
    for each in attachments if is_array(attachments) else ():
        name = each.get("name") if is_object(each) else None
        kind = each.get("mime") if is_object(each) else None
        if isinstance(name, str) and name:
            parts.append(attached(name, name=name, media_type=kind if isinstance(kind, str) and kind else None))
    return tuple(parts)
