"""A file of Claude Code's: which of its records are the conversation, which were given up, which are a subagent's.

Every record names the one that it follows (`parentUuid`); going back to an earlier prompt leaves what came after it in
the file, as a branch. The live transcript is the way from the newest message up to the first, and what belongs to it:
parallel calls are chained one below the other, and their results hang beside that way. A compaction begins a new
chain, which names the last message before it (`logicalParentUuid`), with a message that is the summary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.importers.asides import Asides
from palaver.importers.branches import cut_ranges, path, resolved
from palaver.importers.chat_records import Unusable
from palaver.importers.claude_code.messages import (
    DISPLAY,
    called,
    read_message,
    results,
    text_of,
    usage,
)
from palaver.importers.jsonl import Record
from palaver.importers.times import instant
from palaver.importers.used import by_day
from palaver.importers.values import SourceSession, note
from palaver.info import LineageKind
from palaver.keys import Origin

__all__ = ["SYSTEM", "Entry", "Scope", "read_scope"]

SYSTEM = "claude-code"
_FIRST = 20
"""Records that are asked for what all of them say."""
_ABOUT = ("cwd", "gitBranch", "version", "agentId", "slug", "entrypoint")


class Entry(msgspec.Struct):
    """One record that has a place in the chain."""

    line: int
    uuid: str
    parent: str | None
    value: dict[str, Any]
    head: bytes
    """How it begins in the file."""
    is_message: bool = False
    answer: str | None = None
    """The model's answer that it is a part of."""
    repairs: tuple[str, ...] = ()

    @property
    def is_summary(self) -> bool:
        """Whether it is the summary that a compaction put in the place of what was before."""
        return self.value.get("isCompactSummary") is True and self.value.get("type") == "user"


class Scope(msgspec.Struct, kw_only=True):
    """The records of one conversation: a session's, or those of a subagent."""

    id: str
    parent: str | None = None
    parent_kind: LineageKind = "import"
    file: str
    session: str | None = None
    """The session id that its own records have; others were copied from the session that it goes on."""
    entries: list[Entry] = []
    damaged: list[Record] = []
    asides: Asides
    title: str | None = None
    metadata: dict[str, Any] = {}


def read_scope(scope: Scope) -> SourceSession:
    """The conversation that these records are."""
    return _Reading(scope).read()


class _Reading:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.entries = {entry.uuid: entry for entry in scope.entries}
        self.links: dict[str, str | None] = {}
        self.preserved = _preserved(scope.entries)
        self.session = SourceSession(
            system=SYSTEM,
            id=scope.id,
            file=scope.file,
            place=SYSTEM,
            origin=Origin(SYSTEM, chat_id=scope.id),
            title=scope.title,
            parent=scope.parent,
            parent_kind=scope.parent_kind,
        )

    def read(self) -> SourceSession:
        scope, session = self.scope, self.session
        for record in scope.damaged:
            session.notes.append(note("skipped", scope.file, record.line, record.error or "", record.raw))
        self._resolve()
        live = self._live()
        self._describe()
        kept = self._messages(live)
        session.cuts = cut_ranges(kept)
        if session.cuts:
            session.facts["given_up"] = kept.count(False)
        session.records = len(session.messages) + sum(each.action == "skipped" for each in session.notes)
        session.notes += scope.asides.notes(scope.file)
        return session

    def _resolve(self) -> None:
        """Make a chain of the records, whatever they say."""
        before: dict[str, str | None] = {}
        last: str | None = None
        parents: dict[str, str | None] = {}
        for entry in self.scope.entries:
            before[entry.uuid] = last
            last = entry.uuid
            parent = entry.parent
            boundary = entry.is_summary or entry.value.get("subtype") == "compact_boundary"
            if parent is None and (boundary or self.scope.parent_kind == "subagent"):
                parent = before[entry.uuid]  # old boundaries do not say it, nor does who calls a subagent again
            parents[entry.uuid] = parent
        self.links, wrong = resolved(parents, before.get)
        for uuid, reason in wrong.items():
            if before[uuid] is not None:
                self._note_repair(self.entries[uuid], f"{reason}; it follows the record before it")

    def _live(self) -> set[str]:
        entries = self.scope.entries
        messages = [entry for entry in entries if entry.is_message]
        leaf = next((entry.uuid for entry in reversed(messages) if entry.uuid[0] != "~"), None)
        live = path(self.links, leaf)
        answers = {entry.answer for entry in messages if entry.uuid in live}
        answers.discard(None)
        for entry in messages:
            if entry.answer in answers or entry.uuid[0] == "~":
                live.add(entry.uuid)
        beside = [entry for entry in messages if entry.uuid not in live and results(entry.value)]
        if beside:
            inside = [entry for entry in messages if entry.uuid in live]
            calls = {call for entry in inside for call in called(entry.value)}
            answered = {call for entry in inside for call in results(entry.value)}
            for entry in beside:
                here = set(results(entry.value))
                if here & calls and not here & answered:
                    live.add(entry.uuid)
                    answered |= here
        return live

    def _ordered(self, live: set[str]) -> Iterator[tuple[Entry, bool]]:
        """The messages as they stand in the file, but the parts of one answer together; and whether one goes on."""
        first: dict[str, int] = {}
        keyed: list[tuple[int, int, Entry]] = []
        for place, entry in enumerate(self.scope.entries):
            if not entry.is_message:
                continue
            answer = entry.answer if entry.uuid in live else None
            keyed.append((place if answer is None else first.setdefault(answer, place), place, entry))
        before: str | None = None
        for _, _, entry in sorted(keyed, key=lambda each: each[:2]):
            answer = entry.answer if entry.uuid in live else None
            yield entry, answer is not None and answer == before
            before = answer

    def _messages(self, live: set[str]) -> list[bool]:
        """Fill in the messages; which of them are live."""
        session, scope = self.session, self.scope
        kept: list[bool] = []
        charged: dict[str, int] = {}
        summaries: list[str] = []
        last = newest = session.created_at
        for entry, joins in self._ordered(live):
            here = entry.uuid in live
            if entry.is_summary and here:
                summaries.append(text_of(entry.value))
                session.compacted_through = self._covered()
                continue
            try:
                messages, repairs = read_message(entry.value, session.metadata)
            except Unusable as exc:
                session.notes.append(note("skipped", scope.file, entry.line, str(exc), entry.head))
                continue
            stamp = entry.value.get("timestamp")
            at = instant(stamp, UTC)
            if at is None:
                at = last
                repairs.append(f"its time is {stamp!r:.40}; it got that of the one before it")
            last = at
            newest = at if newest is None or (at is not None and at > newest) else newest
            place = len(session.messages)
            for number, message in enumerate(messages, 1):
                made = message.replace(
                    id=entry.uuid.removeprefix("~") + (f"#{number}" if number > 1 else ""),
                    created_at=at,
                    joins=message.joins if number > 1 else joins,
                )
                home = self._copied_from(entry)
                if home is not None and made.id is not None:
                    session.copies[len(session.messages)] = (home, made.id)
                session.messages.append(made)
                session.lines.append(entry.line)
                kept.append(here)
            self._charge(entry, charged, place)
            for repair in (*entry.repairs, *repairs):
                self._note_repair(entry, repair)
        session.updated_at = newest
        session.usage = by_day(self.session.messages[place] for place in charged.values())
        if summaries:
            session.summary = summaries.pop()
            session.facts |= {"earlier_summaries": summaries} if summaries else {}
        return kept

    def _covered(self) -> int:
        """How many of the messages so far a summary stands for: the last ones may have been kept beside it."""
        messages = self.session.messages
        return next((place for place, each in enumerate(messages) if each.id in self.preserved), len(messages))

    def _charge(self, entry: Entry, charged: dict[str, int], place: int) -> None:
        """Note what an answer used, with its first record: each of its records says it, the last one rightly."""
        if entry.value.get("type") != "assistant" or self._copied_from(entry) is not None:
            return
        used = usage(entry.value)
        if used is None:
            return
        place = charged.setdefault(entry.answer or entry.uuid, place)
        message = self.session.messages[place]
        if message.usage is None or message.usage.output_tokens < used.output_tokens:
            self.session.messages[place] = message.replace(usage=used)

    def _copied_from(self, entry: Entry) -> str | None:
        """The session that a record was written in, if the file only goes on from there."""
        said = entry.value.get("sessionId")
        return said if isinstance(said, str) and self.scope.session not in (None, said) else None

    def _describe(self) -> None:
        """Fill in what all records say alike."""
        session = self.session
        messages = [entry.value for entry in self.scope.entries if entry.is_message]
        times = (instant(value.get("timestamp"), UTC) for value in messages)
        session.created_at = next((at for at in times if at is not None), None)
        for value in messages[:_FIRST]:
            for name in _ABOUT:
                if isinstance(value.get(name), str) and value[name]:
                    session.metadata.setdefault(name, value[name])
        session.metadata |= self.scope.metadata
        shown = sum(DISPLAY in value for value in messages)
        if shown:
            results = "1 result" if shown == 1 else f"{shown} results"
            told = f"what Claude Code showed of {results} ({DISPLAY}): imported is what the model saw of it"
            session.notes.append(note("aside", session.file, None, told))

    def _note_repair(self, entry: Entry, reason: str) -> None:
        self.session.notes.append(note("repaired", self.scope.file, entry.line, reason))


def _preserved(entries: Sequence[Entry]) -> frozenset[str]:
    """The messages that compactions left beside their summaries."""
    out: set[str] = set()
    for entry in entries:
        about = entry.value.get("compactMetadata")
        kept = about.get("preservedMessages") if is_object(about) else None
        uuids = kept.get("uuids") if is_object(kept) else None
        if is_array(uuids):
            out.update(each for each in uuids if isinstance(each, str))
    return frozenset(out)
