"""Which session each key of hermes's points at: its routing table, and the `sessions.json` that it had before."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from palaver.errors import InvalidKey
from palaver.formats.wire import is_object
from palaver.importers.databases import Row
from palaver.importers.hermes.tables import decoded
from palaver.importers.jsonl import cleaned
from palaver.importers.values import Note, note
from palaver.keys import Origin

__all__ = ["Route", "from_index", "from_table", "origin_of"]

_ENTRY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*(?=\{)')
_WORDS = ("chat_name", "chat_topic", "user_name")
_IDS = ("chat_id", "thread_id", "user_id", "user_id_alt", "chat_id_alt")


class Route(msgspec.Struct):
    """What hermes says that a key points at."""

    key: str
    session_id: str
    entry: dict[str, Any]
    source: str
    """The file that says so."""


def from_index(data: bytes, file: str, notes: list[Note]) -> list[Route]:
    """The routes in a `sessions.json`; of a damaged one, those that are whole."""
    text = data.decode("utf-8", "replace")
    try:
        index = json.loads(text)
    except (ValueError, RecursionError) as exc:
        notes.append(note("repaired", file, None, f"it is damaged ({exc}); what is whole in it is read", data))
        index = dict(_whole_entries(text))
    if not is_object(index):
        notes.append(note("skipped", file, None, f"it is {type(index).__name__} and no index of sessions", data))
        return []
    out: list[Route] = []
    for key, entry in cleaned(index).items():
        if is_object(entry) and isinstance(entry.get("session_id"), str) and entry["session_id"]:
            out.append(Route(key, entry["session_id"], entry, file))
        elif not key.startswith("_"):  # since 0.19 a text explains the file
            notes.append(note("skipped", file, None, f"the entry {key!r} names no session", str(entry).encode()))
    return out


def _whole_entries(text: str) -> list[tuple[str, Any]]:
    decoder = json.JSONDecoder()
    out: list[tuple[str, Any]] = []
    place = 0
    while (found := _ENTRY.search(text, place)) is not None:
        place = found.end()
        try:
            entry, end = decoder.raw_decode(text, place)
            key = json.loads(f'"{found[1]}"', strict=False)
        except (ValueError, RecursionError):
            continue
        if is_object(entry) and "session_id" in entry:
            out.append((key, entry))
            place = end
    return out


def from_table(rows: list[Row], file: str, notes: list[Note]) -> list[Route]:
    """The routes in `gateway_routing`. Of several directories that have a key, the one written last counts."""
    newest: dict[str, tuple[float, Route]] = {}
    for row in rows:
        key, entry, at = (row.value.get(name) for name in ("session_key", "entry_json", "updated_at"))
        entry = decoded(entry)
        if not isinstance(key, str) or not is_object(entry) or not isinstance(entry.get("session_id"), str):
            notes.append(note("skipped", file, None, f"the route {key!r:.80} names no session"))
            continue
        when = float(at) if isinstance(at, (int, float)) else 0.0
        before = newest.get(key)
        if before is None or when >= before[0]:
            newest[key] = (when, Route(key, entry["session_id"], entry, file))
    return [route for _, route in newest.values()]


def origin_of(given: Any, key: str | None) -> Origin | None:
    """Where a conversation takes place, as an entry says it; None where it says nothing that makes sense."""
    if not is_object(given):
        return None
    told: dict[str, Any] = {}
    for name in (*_WORDS, *_IDS):
        value = given.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            told[name] = str(value)
    space = given.get("scope_id") or given.get("guild_id")
    if isinstance(space, (str, int)):
        told["space_id"] = str(space)
    slots = (key or "").split(":")
    if len(slots) > 2 and slots[0] == "agent" and slots[1] != "main":
        told["agent"] = slots[1]
    try:
        return Origin(given.get("platform") or "", given.get("chat_type") or "dm", **told)
    except InvalidKey:
        return None
