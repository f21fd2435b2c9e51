"""What stands in picoclaw's files: the messages of a conversation and what is kept about it, damaged or not.

Three layouts: `STEM.json` (until March 2026) has all of it in one object, `STEM.jsonl` a message a line with
`STEM.meta.json` beside it, and `STEM.json.migrated` is what the first was called once the second was made of it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.importers.chat_records import Identities
from palaver.importers.jsonl import Record, cleaned, plain_json, read_records

__all__ = ["Entry", "Transcript", "begins_as_legacy", "merged", "read_legacy", "read_lines", "read_meta"]

_LEGACY = re.compile(rb'\s*\{\s*"key"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"messages"\s*:\s*(?:\[|null)')
_KEY = re.compile(r'"key"\s*:\s*("(?:[^"\\]|\\.)*")')
_SUMMARY = re.compile(r'"summary"\s*:\s*("(?:[^"\\]|\\.)*")')
_MESSAGES = re.compile(r'"messages"\s*:\s*\[')
_RECORD = re.compile(r'\{\s*"role"\s*:')
_SPACE = re.compile(r"[\s,]*")
_TRIES = 200
_BOM = "\ufeff"


class Entry(msgspec.Struct, frozen=True):
    """One message, or what is left of it, and where it stands."""

    file: str
    line: int
    """Of a JSON file: which message it is."""
    record: Record
    position: int = 0
    """Among the lines that are not empty, from 1: what picoclaw's `skip` counts."""
    before: dict[str, Any] | None = None
    """What an older file has of the same message. Its id is made of that: moving it gave it a time, not a new id."""


class Transcript(msgspec.Struct):
    """What one file says."""

    entries: list[Entry] = []
    about: dict[str, Any] = {}
    """What it says beside the messages."""
    faults: tuple[str, ...] = ()
    """What is wrong with the file as a whole."""


def begins_as_legacy(head: bytes) -> bool:
    """Whether a file begins as the legacy manager wrote it."""
    return _LEGACY.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def read_lines(data: bytes, file: str) -> list[Entry]:
    """The entries of JSON lines."""
    entries: list[Entry] = []
    line = position = 0
    for record in read_records(data):
        position += record.line != line
        line = record.line
        entries.append(Entry(file, line, record, position))
    return entries


def read_meta(data: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a meta file says, and what is wrong with it; of a damaged one what can still be read."""
    text, faults = _decoded(data)
    try:
        value, repairs = plain_json(text)
    except (ValueError, RecursionError) as exc:
        return _salvaged(text, text), (*faults, f"it is damaged ({exc})")
    if not is_object(value):
        return {}, (*faults, f"it is {type(value).__name__} and not an object")
    return value, (*faults, *repairs)


def read_legacy(data: bytes, file: str) -> Transcript:
    """A conversation of the time before JSON lines; of a torn file the messages before the tear."""
    text, faults = _decoded(data)
    try:
        value, repairs = plain_json(text)
    except (ValueError, RecursionError) as exc:
        return _torn(text, file, (*faults, f"it is damaged ({exc})"))
    if not is_object(value):
        return Transcript(faults=(*faults, f"it is {type(value).__name__} and not a conversation"))
    given = value.get("messages")
    messages: list[Any] = given if is_array(given) else []
    if given is not None and not is_array(given):
        faults = (*faults, f"its messages are {type(given).__name__} and not a list")
    entries = [_entry(file, number, each) for number, each in enumerate(messages, 1)]
    about = {name: each for name, each in value.items() if name != "messages"}
    return Transcript(entries, about, (*faults, *repairs))


def _decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        return data.decode().removeprefix(_BOM), ()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").removeprefix(_BOM), ("bytes that are no UTF-8 became U+FFFD",)


def _entry(file: str, number: int, value: Any) -> Entry:
    return Entry(file, number, Record(number, json.dumps(value).encode(), value))


def _torn(text: str, file: str, faults: tuple[str, ...]) -> Transcript:
    """What is whole in a damaged file: a message that cannot be read costs itself, wherever it stands."""
    begin = _MESSAGES.search(text)
    if begin is None:
        return Transcript(about=_salvaged(text, text), faults=faults)
    entries: list[Entry] = []
    decoder = json.JSONDecoder()
    place = begin.end()
    for _ in range(_TRIES):
        place = _end_of_space(text, place)
        try:
            while text[place : place + 1] == "{":
                value, end = decoder.raw_decode(text, place)
                entries.append(_entry(file, len(entries) + 1, cleaned(value)))
                place = _end_of_space(text, end)
        except (ValueError, RecursionError):
            pass  # said below, with what cannot be read
        if text[place : place + 1] == "]":
            break
        following = _RECORD.search(text, place + 1)
        end = following.start() if following is not None else len(text)
        raw = text[place:end].encode("utf-8", "replace")
        number = len(entries) + 1
        entries.append(Entry(file, number, Record(number, raw, error="it is torn, or no JSON")))
        place = end
        if following is None:
            break
    return Transcript(entries, _salvaged(text[: begin.start()], text[place:]), faults)


def _end_of_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found is not None else place


def _salvaged(before: str, after: str) -> dict[str, Any]:
    """The key and the summary in what is no whole JSON, from before the messages and from after them."""
    found: dict[str, Any] = {}
    for name, pattern, text in (("key", _KEY, before), ("summary", _SUMMARY, after)):
        match = pattern.search(text)
        if match is None:
            continue
        try:
            found[name] = plain_json(match[1])[0]
        except ValueError:
            continue  # the report says already that the file is damaged
    return found


def merged(newer: list[Entry], older: list[Entry]) -> tuple[list[Entry], int, int]:
    """One conversation of two files of it; how many of the older one it begins with, and how many are in both.

    They are compared by what they say: picoclaw gives messages a time when it moves them. What only the older one
    has stands behind what it stands behind there.
    """
    places = {name: index for index, name in enumerate(_names(newer)) if name is not None}
    behind: dict[int, list[Entry]] = {}
    last = -1
    twins: dict[int, dict[str, Any]] = {}
    for entry, name in zip(older, _names(older), strict=True):
        index = places.get(name, -1) if name is not None else -1
        last = max(last, index)
        if index < 0:
            behind.setdefault(last, []).append(entry)
        else:
            twins[index] = entry.record.value
    out = list(behind.get(-1, ()))
    front = len(out)
    for index, entry in enumerate(newer):
        out.append(msgspec.structs.replace(entry, before=twins[index]) if index in twins else entry)
        out += behind.get(index, ())
    return out, front, len(twins)


def _names(entries: list[Entry]) -> list[str | None]:
    """What each says, with how often it was said before; None for what cannot be read."""
    identities = Identities("")
    return [
        identities.of(entry.record.value, "content", "role", "tool_call_id") if is_object(entry.record.value) else None
        for entry in entries
    ]
