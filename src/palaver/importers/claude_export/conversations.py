"""A conversation of an export: a list of messages, each of which may name the one that it follows.

One message of the assistant holds all that it did for an answer: thoughts, texts, calls and their results. Here that
is several messages, as any agent has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.importers.branches import cut_ranges, ordered, path, resolved
from palaver.importers.claude_export.blocks import attached, read_blocks
from palaver.importers.exports import says
from palaver.importers.json_stream import Element
from palaver.importers.times import instant
from palaver.importers.values import Action, SourceSession, note
from palaver.keys import Origin
from palaver.model import Message, Part, Role, TextPart, ThinkingPart, ToolResult

__all__ = ["SYSTEM", "read_conversation"]

SYSTEM = "claude"
_ROOT = "00000000-0000-4000-8000-000000000000"
"""What the first message follows."""
_MESSAGE = frozenset(
    {
        "attachments",
        "content",
        "created_at",
        "files",
        "files_v2",
        "index",
        "parent_message_uuid",
        "sender",
        "sync_sources",
        "text",
        "updated_at",
        "uuid",
    }
)
_CONVERSATION = frozenset({"chat_messages", "created_at", "current_leaf_message_uuid", "name", "updated_at", "uuid"})


def read_conversation(element: Element, *, file: str) -> SourceSession:
    """The conversation that an element of the file is."""
    return _Reading(element, file).read()


class _Said(msgspec.Struct):
    """One message of the export."""

    number: int
    uuid: str
    parent: str | None
    value: dict[str, Any]


class _Reading:
    """One conversation, while it is read."""

    def __init__(self, element: Element, file: str) -> None:
        self.element = element
        self.file = file
        self.value: dict[str, Any] = element.value if is_object(element.value) else {}
        self.said: dict[str, _Said] = {}
        self.kept: list[bool] = []
        self.session = SourceSession(system=SYSTEM, id="", file=file, place=SYSTEM)

    def note(self, action: Action, reason: str) -> None:
        self.session.notes.append(note(action, self.file, self.element.number, reason))

    def read(self) -> SourceSession:
        session, element = self.session, self.element
        messages = self.value.get("chat_messages")
        if element.error is not None:
            reason = f"the conversation is damaged: {element.error}; what is whole before that is imported"
            session.notes.append(note("skipped", self.file, element.number, reason, element.head))
        elif not is_array(messages):
            session.notes.append(note("aside", self.file, element.number, "it is no conversation", element.head))
        for repair in element.repairs:
            self.note("repaired", repair)
        before: dict[str, str | None] = {}
        last: str | None = None
        for number, value in enumerate(messages if is_array(messages) else (), 1):
            uuid = self._take(number, value, last)
            if uuid is not None:
                before[uuid], last = last, uuid
        self._describe()
        links, wrong = resolved({uuid: each.parent for uuid, each in self.said.items()}, before.get)
        for uuid, reason in wrong.items():
            self.note("repaired", f"message {uuid:.60}: {reason}")
        live = path(links, self._leaf(links))
        at = session.created_at
        for uuid in ordered(links, live):
            at = self._message(self.said[uuid], at, live=uuid in live)
        session.created_at = session.created_at or at
        session.cuts = cut_ranges(self.kept)
        if session.cuts:
            session.facts["given_up"] = self.kept.count(False)
        session.records = len(session.messages) + sum(each.action == "skipped" for each in session.notes)
        return session

    def _take(self, number: int, value: Any, last: str | None) -> str | None:
        """Put a message into the tree; exports before 2025 are lists in which each follows the one before it."""
        if not is_object(value):
            self.note("skipped", f"message {number} is {type(value).__name__} and no object")
            return None
        uuid = value.get("uuid")
        if not isinstance(uuid, str) or not uuid or uuid in self.said:
            given = uuid
            uuid = (
                "cl-" + hashlib.sha256(repr(sorted(value.items(), key=str)).encode(errors="replace")).hexdigest()[:24]
            )
            other = self.said.get(given) if isinstance(given, str) else None
            if uuid in self.said or (other is not None and other.value == value):
                self.note("skipped", f"message {number} is there once already")
                return None
            self.note("repaired", f"message {number}: its uuid is {given!r:.60}; it is known by what it says")
        parent: Any = value.get("parent_message_uuid", last)
        if parent == _ROOT:
            parent = None
        elif parent is not None and not isinstance(parent, str):
            parent = "?"
        self.said[uuid] = _Said(number, uuid, parent, value)
        return uuid

    def _describe(self) -> None:
        session, value = self.session, self.value
        uuid = value.get("uuid")
        if isinstance(uuid, str) and uuid:
            session.id = uuid
        else:
            first = next(iter(self.said), self.element.head.hex())
            session.id = "~" + hashlib.sha256(first.encode()).hexdigest()[:24]
            if self.said:
                self.note("repaired", "it has no uuid; it is known by its first message")
        session.origin = Origin(SYSTEM, chat_id=session.id)
        name = value.get("name")
        session.title = name if isinstance(name, str) and name.strip() else None
        session.created_at = instant(value.get("created_at"), UTC)
        session.updated_at = instant(value.get("updated_at"), UTC)
        session.archived = value.get("is_archived") is True
        session.pinned = value.get("is_starred") is True
        session.metadata = {key: each for key, each in value.items() if key not in _CONVERSATION and says(each)}

    def _leaf(self, links: dict[str, str | None]) -> str | None:
        """Where the conversation goes on: as it says, or with the newest message that nothing follows."""
        current = self.value.get("current_leaf_message_uuid")
        if isinstance(current, str) and current in self.said:
            return current
        followed = set(links.values())
        ends = [each for uuid, each in self.said.items() if uuid not in followed]
        newest = max(ends, key=_newness, default=None)
        return newest.uuid if newest is not None else None

    # -- the messages ------------------------------------------------------------------------------------------

    def _message(self, said: _Said, last: datetime | None, *, live: bool) -> datetime | None:
        """Take in a message; the time that it got."""
        value = said.value
        sender = value.get("sender")
        if sender not in ("human", "user", "assistant"):
            self.note("skipped", f"message {said.number}: its sender is {sender!r:.40}")
            return last
        at = instant(value.get("created_at"), UTC)
        if at is None:
            at = last
            told = f"its time is {value.get('created_at')!r:.40}; it got that of the one before it"
            self.note("repaired", f"message {said.number}: {told}")
        content = value.get("content")
        parts, repairs = read_blocks(content if is_array(content) else [], said.uuid)
        text = value.get("text")
        if not parts and isinstance(text, str) and text:
            parts = [TextPart(text=text)]
        parts += attached(value)
        for repair in repairs:
            self.note("repaired", f"message {said.number}: {repair}")
        about = {key: each for key, each in value.items() if key not in _MESSAGE and says(each)}
        groups = _groups(parts, model=sender == "assistant")
        for number, group in enumerate(groups, 1):
            role: Role = (
                "tool" if isinstance(group[0], ToolResult) else "assistant" if sender == "assistant" else "user"
            )
            signed = any(isinstance(part, ThinkingPart) and part.signature for part in group)
            self.session.messages.append(
                Message(
                    role=role,
                    parts=tuple(group),
                    id=said.uuid if number == 1 else f"{said.uuid}#{number}",
                    created_at=at,
                    wire="anthropic" if signed else None,
                    metadata=about if number == 1 else {},
                )
            )
            self.session.lines.append(self.element.number)
            self.kept.append(live)
        if not groups:
            self.note("aside", f"message {said.number} says nothing")
        return at


def _groups(parts: Sequence[Part], *, model: bool) -> list[list[Part]]:
    """The parts of one message as those of several: results stand apart from what the assistant says."""
    if not model:
        return [list(parts)] if parts else []
    groups: list[list[Part]] = []
    for part in parts:
        if not groups or isinstance(part, ToolResult) != isinstance(groups[-1][0], ToolResult):
            groups.append([])
        groups[-1].append(part)
    return groups


def _newness(said: _Said) -> tuple[str, int]:
    at = said.value.get("created_at")
    return (at if isinstance(at, str) else "", said.number)
