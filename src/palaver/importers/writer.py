"""Conversations of a source, stored through the operations that everybody uses.

A session has the source's id as an alias, and the key that its agent computes. Messages have ids that are the same in
each run, so that a run after a crash goes on where the one before ended, and a later one brings only what is new.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from palaver import codec
from palaver.core import Core
from palaver.errors import ContentErased, InvalidMessage, SessionConflict, SessionEnded, SessionNotFound
from palaver.formats.wire import is_object
from palaver.importers.erased import keep_unerased
from palaver.importers.locating import deleted, free_key, located
from palaver.importers.report import SessionReport
from palaver.importers.storing import Storing
from palaver.importers.titles import Titles
from palaver.importers.values import Note, SourceSession, note
from palaver.info import SessionInfo
from palaver.manager import SessionManager
from palaver.reach import core_of
from palaver.rows import Draft

__all__ = ["Writer"]

_TRIES = 5
"""How often a conversation is looked for anew that somebody else had stored meanwhile."""


class Writer:
    """Takes conversations into one store, or (`dry_run`) tells what taking them in would do.

    Without a manager nothing is stored yet; that is for a dry run alone.
    """

    def __init__(self, manager: SessionManager | None, *, dry_run: bool = False) -> None:
        self._core: Core | None = core_of(manager) if manager is not None else None
        self.dry_run = dry_run or manager is None
        self._planned: dict[str, set[str]] = {}
        """In a dry run: the messages that each new session would have by now."""
        self._planned_keys: dict[str, str] = {}
        self._stored: dict[tuple[str, str, str], str | None] = {}
        """What became of each session so far, by system, place and id there."""
        self._titles = Titles()

    def write(self, session: SourceSession) -> SessionReport:
        """Store what is new of a conversation. Raises StoreError."""
        notes = list(session.notes)
        _keep_storable(session, notes)
        for _ in range(_TRIES):
            # Another process that imports the same may store it between our look and our commit: then it is there.
            # One that deletes, purges or erases it then is looked at again too, and told of.
            with suppress(SessionConflict, SessionNotFound):
                return self._write(session, list(notes))
        return self._write(session, notes)

    def _write(self, session: SourceSession, notes: list[Note]) -> SessionReport:
        ids = {message.id for message in session.messages if message.id is not None}
        alias, info, known = located(self._core, session, ids)
        if alias != session.alias:
            told = f"another store has a {session.alias} too; this one is {alias}"
            notes.append(note("aside", session.file, None, told))
        if info is None and (why := deleted(self._core, session, alias)) is not None:
            return self._refused(session, why)
        planned = self._planned.setdefault(alias, set()) if self.dry_run else set[str]()
        present = sum(message.id in known or message.id in planned for message in session.messages)
        new = keep_unerased(self._core, session, alias, _drafted(session, known.keys() | planned, notes), notes)
        skipped = session.records - present - len(new)
        report = SessionReport(
            system=session.system,
            source_id=session.id,
            file=session.file,
            title=session.title,
            status="new" if info is None and not planned else "grown" if new else "unchanged",
            records=session.records,
            imported=len(new),
            present=present,
            skipped=skipped,
        )
        planned.update(draft.id for _, draft in new if draft.id is not None)
        key = report.key = self._key(session, alias, info, notes)
        if not new and info is None and session.created_at is None and not planned:  # nothing of it could be read
            report.status, report.key = "refused", None
        elif not self.dry_run and self._core is not None:
            storing = Storing(self._core, session, self._stored, self._titles, notes)
            rev = info.rev if info is not None else None
            try:
                info = storing.store(alias, key, info, known, new)
                if report.status == "unchanged" and info.rev != rev:
                    report.status = "changed"
            except SessionEnded:
                reason = "its session has ended in the store: resume it under its key, and import again"
                notes.append(note("skipped", session.file, None, f"{len(new)} new messages; {reason}"))
                report.status, report.imported, report.skipped = "refused", 0, skipped + len(new)
            except ContentErased as exc:  # since it was looked at
                notes.append(note("skipped", session.file, None, f"{exc}; import again for the rest"))
                report.status, report.imported, report.skipped = "refused", 0, skipped + len(new)
        report.session_id = info.id if info is not None else None
        self._stored[session.system, session.place, session.id] = report.session_id
        report.notes = tuple(notes)
        return report

    def _refused(self, session: SourceSession, why: str) -> SessionReport:
        """Nothing of a session is taken in."""
        left = note("skipped", session.file, None, f"{len(session.messages)} messages; {why}")
        return SessionReport(
            system=session.system,
            source_id=session.id,
            file=session.file,
            status="refused",
            records=session.records,
            skipped=session.records,
            notes=(*session.notes, left),
        )

    def _key(self, session: SourceSession, alias: str, info: SessionInfo | None, notes: list[Note]) -> str | None:
        """The key that the session has, or gets."""
        if info is not None and (session.key is None or session.key in info.keys or self._settled(session, info)):
            return session.key if session.key in info.keys else next(iter(info.keys), None)
        if session.key is None:
            return None
        planned = self._planned_keys.setdefault(session.key, alias) if self.dry_run else alias
        if planned != alias:
            told = f"its key {session.key!r} points at {planned} already; to continue this one, resume {alias} under it"
            notes.append(note("repaired", session.file, None, told))
            return None
        return free_key(self._core, session, alias, session.key, notes)

    def _settled(self, session: SourceSession, info: SessionInfo) -> bool:
        """Whether an import before this one saw to its key: what became of it since was done here."""
        imported: Any = info.metadata.get("imported")
        return is_object(imported) and imported.get("key") == session.key


def _keep_storable(session: SourceSession, notes: list[Note]) -> None:
    """Leave out metadata that no store could keep."""
    session.metadata, left = _storable(session.metadata)
    session.facts, more = _storable(session.facts)
    told = [f"its metadata {name} is left out: no store could keep it" for name in (*left, *more)]
    notes += [note("repaired", session.file, None, each) for each in told]


def _storable(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What of metadata a store can keep, and the names of the rest."""
    kept: dict[str, Any] = {}
    left: list[str] = []
    for name, value in metadata.items():
        try:
            codec.json_text({name: value}, "metadata")
        except InvalidMessage:
            left.append(f"{name!r:.40}")
        else:
            kept[name] = value
    return kept, left


def _drafted(session: SourceSession, there: Collection[str], notes: list[Note]) -> list[tuple[int, Draft]]:
    """The messages that are not there yet, by their index, as a store takes them; those that none keeps are skipped."""
    out: list[tuple[int, Draft]] = []
    for index, (message, line) in enumerate(zip(session.messages, session.lines, strict=True)):
        if message.id in there:
            continue
        try:
            out.append((index, codec.draft(message)))
            continue
        except InvalidMessage as exc:
            reason = str(exc)
        kept, left = _storable(message.metadata)
        try:
            out.append((index, codec.draft(message.replace(metadata=kept))))
        except InvalidMessage:
            notes.append(note("skipped", session.file, line, reason))
        else:
            notes.append(note("repaired", session.file, line, f"its metadata {', '.join(left)} is left out: {reason}"))
    return out
