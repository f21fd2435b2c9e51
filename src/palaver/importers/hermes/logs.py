"""The files in hermes's `sessions` directory: a log for each session, until mid-2026, and the index of keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.importers.hermes.merging import Logged
from palaver.importers.hermes.records import DESCRIPTION, entry_of_record
from palaver.importers.jsonl import Record, plain_json, read_records
from palaver.importers.values import Note, note

__all__ = ["INDEX", "NAMES", "Log", "is_index", "logs_in", "read_log"]

INDEX = "sessions.json"
NAMES = re.compile(r"(?:session_)?((?:cron_\w+_)?\d{8}_\d{6}(?:_[0-9a-f]{4,})?)\.jsonl?")
"""What hermes calls its logs: the time, and digits that tell two of one second apart."""
_LINK = "a symbolic link; name the file itself"


class Log(msgspec.Struct):
    """What a log says."""

    file: str
    items: list[Logged]
    """Its messages, and the lines that cannot be read."""
    descriptions: list[dict[str, Any]]
    """Its records that describe the session."""
    notes: list[Note]


def is_index(path: Path) -> bool:
    """Whether a file is an index of hermes's; others have files of that name too. Raises OSError."""
    if not path.is_file() or path.is_symlink():
        return False
    data = path.read_bytes()
    return b'"session_id"' in data and (b'"session_key"' in data or b'"memory_flushed"' in data)


def logs_in(folder: Path, shown: str, notes: list[Note], *, named: bool) -> dict[str, list[tuple[Path, str]]]:
    """The logs in a directory, by the sessions that they are of; with `named`, only what is called as hermes does."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for path in sorted(folder.iterdir()):
        told = f"{shown}/{path.name}" if shown else path.name
        match = NAMES.fullmatch(path.name)
        if path.name == INDEX or path.suffix not in (".jsonl", ".json") or (path.suffix == ".json" and match is None):
            continue
        if path.is_symlink():
            notes.append(note("skipped", told, None, _LINK))
        elif path.is_file() and (match is not None or not named):
            name = match[1] if match is not None else path.stem
            found.setdefault(name, []).append((path, told))
    for each in found.values():
        each.sort(key=lambda pair: pair[0].suffix != ".jsonl")
    return found


def read_log(path: Path, shown: str) -> Log:
    """Read a log. Raises OSError."""
    log = Log(shown, [], [], [])
    data = path.read_bytes()
    for record in read_records(data) if path.suffix == ".jsonl" else _listed(data, log):
        value = record.value
        if record.error is not None:
            log.items.append(record)
        elif not is_object(value):
            log.items.append(Record(record.line, record.raw, error="it is no object, so no message"))
        elif value.get("role") == DESCRIPTION:
            log.descriptions.append({name: each for name, each in value.items() if name != "role"})
        else:
            log.items.append(entry_of_record(record, shown))
    return log


def _listed(data: bytes, log: Log) -> list[Record]:
    """The messages of a file that is one object with all of them, as the command line once wrote it."""
    try:
        whole, repairs = plain_json(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        log.notes.append(note("skipped", log.file, None, f"no whole JSON: {exc}", data))
        return []
    messages = whole.get("messages") if is_object(whole) else None
    if not is_array(messages):
        log.notes.append(note("aside", log.file, None, "there are no messages in it"))
        return []
    log.notes += [note("repaired", log.file, None, repair) for repair in repairs]
    log.descriptions.append({name: each for name, each in whole.items() if name != "messages"})
    return [Record(number, b"", each) for number, each in enumerate(messages, 1)]
