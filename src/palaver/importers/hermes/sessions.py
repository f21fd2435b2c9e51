"""hermes's sessions, put together from its database, its logs and its index of keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from palaver.formats.wire import is_object
from palaver.importers.chat_records import Unusable
from palaver.importers.databases import Row
from palaver.importers.hermes.compaction import Told, compaction, same_beginning
from palaver.importers.hermes.lineage import Link
from palaver.importers.hermes.logs import Log, read_log
from palaver.importers.hermes.merging import merged
from palaver.importers.hermes.records import DESCRIPTION, Entry, entry_of_row, message_of
from palaver.importers.hermes.routing import Route, origin_of
from palaver.importers.hermes.tables import Tables, decoded
from palaver.importers.hermes.usage import usage_of
from palaver.importers.times import instant
from palaver.importers.values import Action, SourceSession, note
from palaver.model import Flag

__all__ = ["SYSTEM", "Reading"]

SYSTEM = "hermes"
_PUT_ELSEWHERE = frozenset({"id", "title", "started_at", "parent_session_id", "archived", "pinned", "hidden"})
_SECRETS = frozenset(
    {"api_key", "apikey", "authorization", "password", "secret", "token", "access_token", "auth_token"}
)
_SUMMARY_FLAGS: tuple[Flag, ...] = ("hidden", "injected")


class Reading:
    """One session, while it is put together."""

    def __init__(self, name: str, file: str, place: str, zone: tzinfo | None) -> None:
        self.zone = zone
        self.session = SourceSession(system=SYSTEM, id=name, file=file, place=place)
        self.entries: list[Entry] = []
        self.descriptions: list[dict[str, Any]] = []
        self.described: list[int] = []
        """Rows that describe the session."""

    def note(self, action: Action, reason: str, *, file: str | None = None, line: int | None = None) -> None:
        """Say what became of something."""
        self.session.notes.append(note(action, file or self.session.file, line, reason))

    # -- what it is made of -------------------------------------------------------------------------------------

    def describe(self, row: Row, defaults: dict[str, Any], prompts: dict[str, str]) -> None:
        """Take in its row in `sessions`."""
        session, given = self.session, row.value
        if row.mended:
            self.note("repaired", "bytes of its description that are no UTF-8 became U+FFFD")
        title = given.get("title")
        session.title = title if isinstance(title, str) and title.strip() else None
        session.created_at = instant(given.get("started_at"), self.zone)
        if session.created_at is None:
            self.note(
                "repaired", f"it began at {given.get('started_at')!r:.40}, which is no time; its messages tell it"
            )
        for name in ("archived", "pinned", "hidden"):
            setattr(session, name, given.get(name) in (1, "1"))
        session.ended_at = instant(given.get("ended_at"), self.zone)
        session.ended_reason = given["end_reason"] if isinstance(given.get("end_reason"), str) else None
        kept = {
            name: decoded(value)
            for name, value in given.items()
            if value is not None and name not in _PUT_ELSEWHERE and value != defaults.get(name)
        }
        prompt = prompts.get(str(given.get("system_prompt_hash")))
        if prompt is not None:
            kept.setdefault("system_prompt", prompt)
        self._keep("session", kept)

    def _keep(self, name: str, kept: dict[str, Any]) -> None:
        """Keep what hermes knows of the session, but for credentials."""
        clean, secrets = _without_secrets(kept)
        if secrets:
            self.note("aside", f"credentials stay where they are: {', '.join(sorted(secrets))}")
        if clean:
            self.session.facts[name] = clean

    def take_rows(self, tables: Tables, session_id: Any) -> None:
        """Take in its rows in `messages`."""
        before: Entry | None = None
        for row in tables.messages(session_id):
            if row.value.get("role") == DESCRIPTION:
                number = row.value.get("id")
                self.described.append(number if isinstance(number, int) else 0)
                if row.value.get("content") is not None:
                    self.descriptions.append({"content": decoded(row.value["content"])})
                continue
            entry = entry_of_row(row, dict(tables.defaults["messages"]), self.session.file)
            if before is not None and _doubled(before, entry):
                self.session.records += 1
                told = f"the same row, time and all, as row {before.line}"
                self.session.notes.append(note("skipped", entry.file, entry.line, told))
                continue
            self.entries.append(entry)
            before = entry

    def take_log(self, path: Path, shown: str) -> None:
        """Take in a log. One that cannot be opened is noted."""
        try:
            log = read_log(path, shown)
        except OSError as exc:
            self.note("skipped", f"it cannot be read: {exc.strerror or exc}", file=shown)
            return
        self.session.notes += log.notes
        self.descriptions += log.descriptions
        stored = len(self.entries)
        both = merged(self.entries, log.items)
        self.entries = both.entries
        for item in both.covered:
            self.note("aside", "this line is damaged; the database has its message", file=shown, line=item.line)
        for old, new in both.restored:
            self.note("repaired", f"row {old.line} is damaged; this line has its message", file=shown, line=new.line)
        for record in both.lost:
            self.session.records += 1
            reason = record.error or "it cannot be read"
            self.session.notes.append(note("skipped", shown, record.line, reason, record.raw))
        if stored:
            self._compare(log, both.known + len(both.covered) + len(both.restored), both.added)

    def _compare(self, log: Log, known: int, added: int) -> None:
        if known:
            self.note("aside", f"{known} of its messages are those that {self.session.file} has", file=log.file)
        if added:
            self.note("repaired", f"{added} messages are in this file alone, and are taken from it", file=log.file)

    # -- what becomes of it -------------------------------------------------------------------------------------

    def finish(
        self, routes: Sequence[Route], link: Link | None, parent: Sequence[Told], models: Sequence[Row]
    ) -> list[Told]:
        """Fill in the session; gives what its messages are known by."""
        session = self.session
        self._route(routes)
        told = self._messages()
        if link is not None:
            session.parent, session.parent_kind = link.parent, link.kind
            if link.lineage is not None:
                session.facts["lineage"] = link.lineage
        self._lies_over(told, link, parent)
        times = [message.created_at for message in session.messages if message.created_at is not None]
        if session.created_at is None and times:
            session.created_at = times[0]
        session.updated_at = max(times, default=session.created_at)
        row = session.facts.get("session", {})
        session.usage = usage_of(row, models, session.updated_at)
        if self.descriptions:
            self._keep("session_meta", self.descriptions[0])
        for line in self.described:
            self.note("aside", f"{DESCRIPTION} of {session.id}: it is no message", line=line)
        return told

    def _route(self, routes: Sequence[Route]) -> None:
        session = self.session
        row = session.facts.get("session", {})
        former = row.get("session_key")
        keys = [route.key for route in routes]
        session.key, session.more_keys = (keys[0] if keys else None), tuple(keys[1:])
        given = routes[0].entry.get("origin") if routes else None
        session.origin = origin_of(given if is_object(given) else row.get("origin_json"), session.key or former)
        if not routes:
            return
        entry = {name: value for name, value in routes[0].entry.items() if name != "origin" and value is not None}
        self._keep("route", entry)
        if session.created_at is None:
            session.created_at = instant(entry.get("created_at"), self.zone)

    def _messages(self) -> list[Told]:
        """Take the entries in as messages; those that are none are skipped."""
        session = self.session
        counts: dict[str, int] = {}
        told: list[Told] = []
        good: list[Entry] = []
        before: datetime | None = session.created_at
        for entry in self.entries:
            count = counts[entry.known_by] = counts.get(entry.known_by, 0) + 1
            session.records += 1
            try:
                message, repairs = message_of(entry, before, self.zone)
            except Unusable as exc:
                session.notes.append(note("skipped", entry.file, entry.line, str(exc), entry.raw or None))
                continue
            before = message.created_at
            name = f"he-{entry.known_by}" + (f"-{count}" if count > 1 else "")
            session.messages.append(message.replace(id=name))
            session.lines.append(entry.line)
            session.notes += [note("repaired", entry.file, entry.line, repair) for repair in repairs]
            told.append(Told(session.id, entry.known_by, name, entry.active))
            good.append(entry)
        self.entries = good
        return told

    def _lies_over(self, told: Sequence[Told], link: Link | None, parent: Sequence[Told]) -> None:
        """Summaries, copies, and what was taken back."""
        session = self.session
        lineage = link.lineage if link is not None else None
        found = compaction(self.entries, told, parent, continues=link is not None and lineage in (None, "compression"))
        for index in found.summaries:
            message = session.messages[index]
            metadata = {**message.metadata, "compaction_summary": True}
            session.messages[index] = message.replace(flags=_SUMMARY_FLAGS, metadata=metadata)
        session.summary, session.compacted_through = found.text, found.through
        copies = found.copies or (same_beginning(told, parent) if lineage == "branch" else {})
        session.copies = {index: (source.session, source.id) for index, source in copies.items()}
        undone = [
            index
            for index, entry in enumerate(self.entries)
            if not entry.active and not (entry.compacted and index < found.through)
        ]
        session.cuts = [(index, index + 1) for index in undone]
        archived = sum(entry.compacted for entry in self.entries)
        if archived:
            session.facts["compacted_through"] = archived
        loose = sum(self.entries[index].compacted for index in undone)
        if loose:
            told_of = f"{loose} messages were archived by a compaction whose summary is not there; they are undone here"
            self.note("repaired", told_of)


def _doubled(one: Entry, other: Entry) -> bool:
    """Whether a row is the one before it, written once more."""
    return (
        one.known_by == other.known_by
        and one.time == other.time
        and isinstance(one.time, float)
        and not one.time.is_integer()
        and (one.active, one.compacted) == (other.active, other.compacted)
        and one.value == other.value
    )


def _without_secrets(value: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The same without what is called like a credential, and how that is called."""
    found: set[str] = set()

    def clean(node: Any) -> Any:
        if isinstance(node, list):
            return [clean(each) for each in node]  # pyright: ignore[reportUnknownVariableType] - any JSON
        if not is_object(node):
            return node
        secret = {name for name, each in node.items() if name.lower() in _SECRETS and isinstance(each, str) and each}
        found.update(secret)
        return {name: clean(each) for name, each in node.items() if name not in secret}

    return clean(value), found
