"""hermes's messages, from rows of its database and from lines of its logs: one entry for each, comparable.

A row is known by what it says and not by its number or its time: hermes gives both anew when it rewrites a session, and
its log has one time for a whole turn. A result and a call are known by their ids alone: the database may hold an
older one in short.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.importers.chat_records import Unusable, read_message
from palaver.importers.databases import Row
from palaver.importers.hermes.tables import decoded
from palaver.importers.jsonl import Record, plain_json
from palaver.importers.times import instant
from palaver.model import Message

__all__ = ["DESCRIPTION", "Entry", "entry_of_record", "entry_of_row", "message_of", "text_of"]

DESCRIPTION = "session_meta"
"""The role of what describes a session and is no message: the first record of a log, and a row as well."""
_LIST = "\x00json:"
"""How content that is a list begins in the database."""
_HANDLED = frozenset({"id", "session_id", "timestamp", "active", "compacted"})
_JSON = ("reasoning_details", "codex_reasoning_items", "codex_message_items", "display_metadata")
_SAID = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
_UNREADABLE = "tool_calls cannot be read; they are in the metadata as text"
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Entry(msgspec.Struct):
    """A message of hermes's, wherever it stands."""

    file: str
    line: int
    """The number of the row, or the line."""
    value: dict[str, Any]
    """In OpenAI's spelling, with hermes's own keys beside it."""
    time: Any = None
    active: bool = True
    """False: taken back, or archived by a compaction."""
    compacted: bool = False
    repairs: list[str] = []
    raw: bytes = b""
    known_by: str = ""
    """What it is known by."""
    mended: bool = False
    """Whether its text could not be read exactly."""


def entry_of_row(row: Row, defaults: dict[str, Any], file: str) -> Entry:
    """A row of `messages`; `defaults` of its columns say what need not be kept."""
    given = row.value
    number = given.get("id")
    entry = Entry(
        file=file,
        line=number if isinstance(number, int) else 0,
        value={},
        time=given.get("timestamp"),
        active=given.get("active", 1) not in (0, "0"),
        compacted=given.get("compacted", 0) in (1, "1"),
        mended=row.mended,
    )
    if row.mended:
        entry.repairs.append("bytes that are no UTF-8 became U+FFFD")
    value = {
        name: _plain(each, name, entry)
        for name, each in given.items()
        if each is not None and name not in _HANDLED and each != defaults.get(name)
    }
    value["content"] = _content(given.get("content"), entry)
    value["role"] = given.get("role")
    calls = value.get("tool_calls")
    if isinstance(calls, str):
        value["tool_calls"] = _calls(value, calls, entry)
    for name in _JSON:
        if name in value:
            value[name] = decoded(value[name])
    entry.value = value
    _settle(entry)
    return entry


def entry_of_record(record: Record, file: str) -> Entry:
    """A line of a log, which is an object."""
    value = dict(record.value)
    value.setdefault("content", None)
    mended = any("U+FFFD" in repair for repair in record.repairs)
    entry = Entry(
        file=file,
        line=record.line,
        value=value,
        time=value.pop("timestamp", None),
        repairs=list(record.repairs),
        raw=record.raw,
        mended=mended,
    )
    _settle(entry)
    return entry


def _plain(value: Any, name: str, entry: Entry) -> Any:
    """A value as JSON has it."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        entry.repairs.append(f"{name} is {value}, which is no number in JSON, and became text")
        return str(value)
    return value


def _content(given: Any, entry: Entry) -> Any:
    if isinstance(given, bytes):
        text = given.decode("utf-8", "replace")
        entry.repairs.append("the content was bytes, and became text")
        given = text
    if not isinstance(given, str) or not given.startswith(_LIST):
        return given
    try:
        value, repairs = plain_json(given[len(_LIST) :])
    except (ValueError, RecursionError) as exc:
        entry.repairs.append(f"the content says that it is JSON, and is not ({exc}); it is kept as text")
        return given
    entry.repairs += repairs
    return value


def _calls(value: dict[str, Any], text: str, entry: Entry) -> Any:
    try:
        calls, repairs = plain_json(text)
    except (ValueError, RecursionError):
        entry.repairs.append(_UNREADABLE)
        value["unreadable_tool_calls"] = text
        return None
    entry.repairs += repairs
    return calls


def _settle(entry: Entry) -> None:
    """Put hermes's words in the place of OpenAI's, and say what the entry is known by."""
    value = entry.value
    if value.get("role") == "tool" and isinstance(value.get("tool_name"), str) and "name" not in value:
        value["name"] = value.pop("tool_name")
    if value.get("observed") in (0, False, "0"):
        del value["observed"]
    elif "observed" in value:
        value["observed"] = True
    entry.known_by = _known_by(value)


def _known_by(value: dict[str, Any]) -> str:
    role, content = value.get("role"), value.get("content")
    what: Any = content if content is not None else ""
    calls: Any = value.get("tool_calls")
    if role == "tool" and value.get("tool_call_id"):
        what = ["answers", value["tool_call_id"]]
    elif role == "assistant" and is_array(calls) and calls:
        ids = [call.get("id") if is_object(call) else None for call in calls]
        what = ["calls", ids] if all(ids) else ["calls", calls, what]
    return hashlib.sha256(_canonical([role, what]).encode(errors="surrogatepass")).hexdigest()[:24]


def text_of(value: dict[str, Any]) -> str:
    """What an entry says, without its media."""
    content = value.get("content")
    if isinstance(content, str):
        return content
    if not is_array(content):
        return ""
    return "".join(part["text"] for part in content if is_object(part) and isinstance(part.get("text"), str))


def message_of(entry: Entry, before: datetime | None, zone: tzinfo | None) -> tuple[Message, list[str]]:
    """The message, without an id, and what was mended; `before` is the time of the one before it. Raises Unusable."""
    value = dict(entry.value)
    thought = value.get("reasoning")
    if value.get("reasoning_content") is not None or not isinstance(thought, str):
        value.pop("reasoning", None)  # hermes keeps the same under both names
    else:
        thought = None
    try:
        message, rest, repairs = read_message(value)
    except Unusable:  # what stands beside what it says must not cost it
        beside = {name: value.pop(name) for name in list(value) if name not in _SAID}
        message, rest, repairs = read_message(value)
        rest |= beside
        repairs.append(f"{', '.join(beside)}: left out of the message, as no provider could be sent it")
    if thought is not None:
        rest["reasoning"] = thought
    at = _time(entry.time, zone)
    if at is None:
        at = before
        repairs.append(f"its time is {entry.time!r:.40}; it got that of the one before it")
    flags = message.flags
    if rest.get("display_kind") == "hidden" and message.role == "user":
        flags = ("injected",)  # hermes sends it to the model and does not show it: nobody typed it
    return message.replace(created_at=at, metadata=rest, flags=flags), [*entry.repairs, *repairs]


def _time(given: Any, zone: tzinfo | None) -> datetime | None:
    at = instant(given, zone)
    if at is None and isinstance(given, str):
        try:
            return instant(float(given), zone)
        except ValueError:
            return None
    return at
