"""A file of Claude Code's, taken apart: the session's own records, and those of each subagent that is written in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from palaver.formats.wire import is_object
from palaver.importers.asides import Asides
from palaver.importers.claude_code.messages import DISPLAY, is_message, response_id
from palaver.importers.claude_code.records import Entry, Scope, read_scope
from palaver.importers.jsonl import Record, read_records
from palaver.importers.values import SourceSession

__all__ = ["MARKS", "is_session_id", "read_file"]

MARKS = frozenset({"sessionId", "leafUuid", "parentUuid"})
"""Of which keys every record has one, but for notes that nobody misses."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TITLES = {"custom-title": "customTitle", "ai-title": "aiTitle", "summary": "summary"}
"""Records that name a session, and where; the first of these that there is has the say."""


def is_session_id(text: str) -> bool:
    """Whether a file name is the id of a session."""
    return _UUID.fullmatch(text) is not None


def read_file(data: bytes, *, file: str, stem: str, about: dict[str, Any] | None = None) -> Iterator[SourceSession]:
    """The conversations in a file: the session, and its subagents. `about` is what is known of a subagent beside it."""
    yield from _File(file, stem).read(data, about or {})


class _File:
    """One file, while it is read."""

    def __init__(self, file: str, stem: str) -> None:
        self.file = file
        self.stem = stem
        self.entries: list[Entry] = []
        self.damaged: list[Record] = []
        self.asides = Asides()
        self.titles: dict[str, list[tuple[str | None, str]]] = {}
        self.ids: dict[str, bytes] = {}

    def read(self, data: bytes, about: dict[str, Any]) -> Iterator[SourceSession]:
        for record in read_records(data, marks=MARKS):
            if record.error is not None or not is_object(record.value):
                why = record.error or "it is no object, so no record"
                self.damaged.append(Record(record.line, record.raw[:80], error=why))
            else:
                self._sort(record, record.value)
        yield from map(read_scope, self._scopes(about))

    def _sort(self, record: Record, value: dict[str, Any]) -> None:
        kind = value.get("type")
        name = _TITLES.get(kind) if isinstance(kind, str) else None
        if name is not None and isinstance(value.get(name), str) and value[name].strip():
            leaf = value["leafUuid"] if isinstance(value.get("leafUuid"), str) else None
            self.titles.setdefault(str(kind), []).append((leaf, value[name]))
            return
        message = is_message(value)
        uuid = value.get("uuid")
        if not message:
            shown = f"{kind}/{value['subtype']}" if isinstance(value.get("subtype"), str) else f"{kind}"
            self.asides.add(f"the program's own notes of type {shown:.60}", record.line)
            if not isinstance(uuid, str) or not uuid or uuid in self.ids:
                return
        if DISPLAY in value:  # the greater part of many files
            shown = value[DISPLAY]
            value[DISPLAY] = {"agentId": shown["agentId"]} if is_object(shown) and "agentId" in shown else {}
        digest = hashlib.sha256(record.raw).digest()
        repairs = list(record.repairs)
        if not isinstance(uuid, str) or not uuid or uuid[0] == "~":
            uuid = "~cc-" + digest.hex()[:24]  # it has no place in the chain, and stands where it stands
        known = self.ids.get(uuid)
        if known == digest:
            self.damaged.append(Record(record.line, record.raw[:80], error="the same record once more"))
            return
        if known is not None:
            given, uuid = uuid, f"{uuid}-{digest.hex()[:8]}"
            repairs.append(f"its uuid ({given:.60}) is that of another record; it got its own")
        self.ids[uuid] = digest
        parent = value.get("parentUuid")
        if parent is None:
            parent = value.get("logicalParentUuid")
        if parent is not None and not isinstance(parent, str):
            repairs.append(f"what it follows is {parent!r:.40}")
            parent = "?"
        answer = response_id(value) if message else None
        self.entries.append(Entry(record.line, uuid, parent, value, record.raw[:80], message, answer, tuple(repairs)))

    def _scopes(self, about: dict[str, Any]) -> Iterator[Scope]:
        """The session's own records, then those of each subagent."""
        messages = [entry for entry in self.entries if entry.is_message]
        said = [entry.value["sessionId"] for entry in messages if isinstance(entry.value.get("sessionId"), str)]
        newest = said[-1] if said else self.stem
        alone = all(entry.value.get("isSidechain") is True for entry in messages)
        if alone and messages:
            agent = next((e.value["agentId"] for e in messages if isinstance(e.value.get("agentId"), str)), None)
            name = f"agent-{agent}" if agent else self.stem
            yield self._scope(f"{newest}/{name}", newest, None, self.entries, about)
            return
        own = self.stem if is_session_id(self.stem) else newest
        groups = self._groups()
        sides = {uuid for group in groups.values() for uuid in group}
        copied = next((each for each in said if each != own), None)
        mine = [entry for entry in self.entries if entry.uuid not in sides]
        # A file that goes on with another session says whose the records are; one that was renamed says it of them all.
        session = own if own in said else None
        yield self._scope(own, copied if session else None, session, mine, {})
        for name, group in groups.items():
            yield self._scope(f"{own}/{name}", own, None, [e for e in self.entries if e.uuid in group], {})

    def _groups(self) -> dict[str, set[str]]:
        """Subagents in the session's file: by their id, or (before 2.0) by the record that each chain begins with."""
        groups: dict[str, set[str]] = {}
        group_of: dict[str, str] = {}
        for entry in self.entries:
            if entry.value.get("isSidechain") is not True:
                continue
            agent = entry.value.get("agentId")
            known = group_of.get(entry.parent) if entry.parent is not None else None
            name = f"agent-{agent}" if isinstance(agent, str) and agent else known or f"sidechain-{entry.uuid}"
            group_of[entry.uuid] = name
            groups.setdefault(name, set()).add(entry.uuid)
        return groups

    def _scope(
        self, name: str, parent: str | None, session: str | None, entries: list[Entry], about: dict[str, Any]
    ) -> Scope:
        """One conversation; the first of a file has with it what is known of the file as a whole."""
        damaged, self.damaged = self.damaged, []
        asides, self.asides = self.asides, Asides()
        ids = {entry.uuid for entry in entries}
        return Scope(
            id=name,
            parent=parent,
            session=session,
            file=self.file,
            entries=entries,
            damaged=damaged,
            asides=asides,
            parent_kind="fork" if session is not None else "subagent",
            title=self._title(ids) if parent is None or session is not None else None,
            metadata=about,
        )

    def _title(self, ids: set[str]) -> str | None:
        """What the session is called: by its user, by a model, or in a summary of it; files hold those of others."""
        for kind in _TITLES:
            for leaf, title in reversed(self.titles.get(kind, [])):
                if kind != "summary" or leaf in ids:
                    return title
        return None
