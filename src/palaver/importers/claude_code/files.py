"""Where Claude Code keeps its transcripts, and how they are known.

A session is `<project>/<session id>.jsonl`; its subagents are `agent-<id>.jsonl` beside it, or since 2.1 in
`<session id>/subagents/`, each with an `agent-<id>.meta.json` that says what kind of agent it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from palaver.formats.wire import is_object
from palaver.importers.claude_code.messages import is_message
from palaver.importers.claude_code.records import SYSTEM
from palaver.importers.claude_code.transcripts import is_session_id, read_file
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.jsonl import Record, plain_json
from palaver.importers.times import instant
from palaver.importers.values import SourceSession

__all__ = ["SYSTEM", "find", "read"]

_AGENT = "agent-"
_META = ".meta.json"
_LINKS = ("sessionId", "parentUuid", "leafUuid", "messageId")
_LAST = datetime.max.replace(tzinfo=UTC)


def find(folder: Folder) -> list[SourceFile]:
    """The transcripts in a folder, oldest first; those that go on with others, and subagents, after them."""
    found: list[tuple[bool, bool, datetime, str]] = []
    for name in list(folder.names):
        if not name.endswith(".jsonl"):
            continue
        stem = name.removesuffix(".jsonl")
        records = [record.value for record in folder.head(name) if _is_mine(record)]
        if not records and not (is_session_id(stem) and _is_torn(folder, name)):
            continue
        if records and not any(map(is_message, records)) and len(records) == len(folder.head(name)):
            folder.take(name)
            folder.note(name, "notes of Claude Code, such as titles of other sessions, and no message")
            continue
        begun = next((at for value in records if (at := instant(value.get("timestamp"), UTC)) is not None), _LAST)
        copied = any(value.get("sessionId", stem) != stem for value in records[:8])
        found.append((name.startswith(_AGENT), copied, begun, name))
    if any(agent for agent, *_ in found):
        folder.take(*(name for name in folder.names if name.startswith(_AGENT) and name.endswith(_META)))
    return [folder.source(SYSTEM, name, place=SYSTEM) for *_, name in sorted(found)]


def _is_mine(record: Record) -> bool:
    value = record.value
    return is_object(value) and isinstance(value.get("type"), str) and any(link in value for link in _LINKS)


def _is_torn(folder: Folder, name: str) -> bool:
    """Whether a file that is named as a session has nothing whole at its head."""
    head = folder.head(name)
    return bool(head) and all(record.error is not None for record in head)


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession]:  # noqa: ARG001 - all its times have one
    """The conversations of a file. Raises OSError where it is gone, or cannot be read."""
    beside = file.path.with_name(f"{file.path.stem}{_META}")
    about: dict[str, Any] = {}
    if beside.is_file() and not beside.is_symlink():
        about = _about(beside.read_bytes())
    yield from read_file(file.path.read_bytes(), file=file.shown, stem=file.path.stem, about=about)


def _about(data: bytes) -> dict[str, Any]:
    """What is known of a subagent; damage costs that, and no message."""
    try:
        value, _ = plain_json(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return {"agent": value} if is_object(value) else {}
