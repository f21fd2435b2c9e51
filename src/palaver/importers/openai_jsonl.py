"""JSON lines of OpenAI-style messages: one message a line, or one conversation a line (`{"messages": [...]}`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

from palaver.formats.wire import is_array, is_object
from palaver.importers.chat_records import ROLES, Identities, Unusable, read_message
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.jsonl import Record, read_records
from palaver.importers.times import instant
from palaver.importers.values import SourceSession, note

__all__ = ["SYSTEM", "begins", "find", "read", "read_file"]

SYSTEM = "openai"
_TIMES = ("created_at", "timestamp", "created")
_NAMES = ("conversation_id", "session_id", "id")


def find(folder: Folder) -> list[SourceFile]:
    """The files that begin with a message or a conversation."""
    return [
        folder.source(SYSTEM, name) for name in list(folder.names) if name.endswith(".jsonl") and _is_mine(folder, name)
    ]


def _is_mine(folder: Folder, name: str) -> bool:
    for record in folder.head(name):
        if begins(record):
            return True
        if record.error is None and is_object(record.value):
            return False
    return False


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession]:
    """The conversations of a file. Raises OSError where it is gone, or cannot be read."""
    data = file.path.read_bytes()
    return read_file(data, file=file.shown, stem=file.path.stem, place=file.place, zone=zone)


def begins(record: Record) -> bool:
    """Whether a record is a message, or a whole conversation."""
    return record.error is None and (_is_message(record.value) or _is_conversation(record.value))


def _is_message(value: Any) -> bool:
    return is_object(value) and isinstance(value.get("role"), str) and value["role"].strip().lower() in ROLES


def _is_conversation(value: Any) -> bool:
    messages = value.get("messages") if is_object(value) else value
    return is_array(messages) and any(_is_message(each) for each in messages)


def read_file(data: bytes, *, file: str, stem: str, place: str, zone: tzinfo | None) -> Iterator[SourceSession]:
    """The conversations in a file: one for each line that holds one, and one of all lines that are messages.

    A session is named after the file and its first message, so that it is known again when it has grown.
    """
    loose = SourceSession(system=SYSTEM, id=stem, file=file, place=place)
    single: list[tuple[int, Record]] = []
    names: dict[str, int] = {}
    for record in read_records(data):
        if record.error is None and _is_conversation(record.value):
            yield _conversation(record, stem, loose, zone, names)
        else:
            single.append((record.line, record))
    if single:
        _fill(loose, single, zone)
        if loose.messages:
            loose.id = f"{stem}:{loose.messages[0].id}"
        yield loose


def _conversation(
    record: Record, stem: str, like: SourceSession, zone: tzinfo | None, names: dict[str, int]
) -> SourceSession:
    whole = record.value
    about = {name: each for name, each in whole.items() if name != "messages"} if is_object(whole) else {}
    messages = whole["messages"] if is_object(whole) else whole
    own = next((about[name] for name in _NAMES if isinstance(about.get(name), str) and about[name]), None)
    if own is None:
        text = json.dumps(messages, sort_keys=True)
        own = f"{stem}:{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    count = names[own] = names.get(own, 0) + 1
    title = about.get("title")
    session = SourceSession(
        system=SYSTEM,
        id=own if count == 1 else f"{own}-{count}",
        file=like.file,
        place=like.place,
        title=title if isinstance(title, str) and title.strip() else None,
        created_at=next((at for name in _TIMES if (at := instant(about.get(name), zone))), None),
        metadata=about,
        notes=[note("repaired", like.file, record.line, repair) for repair in record.repairs],
    )
    _fill(session, [(record.line, Record(record.line, b"", each)) for each in messages], zone)
    return session


def _fill(session: SourceSession, records: list[tuple[int, Record]], zone: tzinfo | None) -> None:
    """Take the records in as the session's messages, in order."""
    session.messages, session.lines = [], []
    identities = Identities("oa-")
    ids: dict[str, tuple[int, str]] = {}
    session.records = len(records)
    for line, record in records:
        value: Any = record.value
        if record.error is not None or not is_object(value):
            reason = record.error or "it is no object, so no message"
            session.notes.append(note("skipped", session.file, line, reason, record.raw))
            continue
        made = identities.of(value, "\0")  # all of it counts
        try:
            message, rest, repairs = read_message(value)
        except Unusable as exc:
            session.notes.append(note("skipped", session.file, line, str(exc), record.raw))
            continue
        given = rest.get("id")
        if isinstance(given, str) and given and given[0] != "~":
            before = ids.setdefault(given, (line, made))
            if before == (line, made):
                made = str(rest.pop("id"))
            elif made.rpartition("-")[0] == before[1]:  # the same record again
                session.notes.append(note("skipped", session.file, line, f"the same as on line {before[0]}"))
                continue
            else:
                repairs.append(f"its id is that of line {before[0]}, which says something else; it got its own")
        at = None
        for name in _TIMES:
            at = instant(rest.get(name), zone)
            if at is not None:
                del rest[name]
                break
        session.messages.append(message.replace(id=made, created_at=at, metadata=rest))
        session.lines.append(line)
        session.notes += [note("repaired", session.file, line, repair) for repair in (*record.repairs, *repairs)]
    if session.created_at is None:
        session.created_at = next((m.created_at for m in session.messages if m.created_at is not None), None)
