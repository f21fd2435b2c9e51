"""Conversations of a source, stored through the operations that everybody uses.

A session has the source's id as an alias, and the key that its agent computes. Messages have ids that are the same in
each run, so that a run after a crash goes on where the one before ended, and a later one brings only what is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from palaver import codec
from palaver.core import Core
from palaver.errors import InvalidKey, InvalidMessage, PalaverError, SessionConflict, SessionEnded, SessionNotFound
from palaver.exchanges import boundary
from palaver.flows import sessions as flows
from palaver.flows.compaction import compact
from palaver.importers.report import SessionReport
from palaver.importers.values import Note, SourceSession, note
from palaver.info import SessionInfo
from palaver.keys import explicit_key
from palaver.manager import SessionManager
from palaver.model import Message
from palaver.operations import Append, Create, NewSession, Operation
from palaver.rows import Draft
from palaver.steps import drive
from palaver.times import to_micros

__all__ = ["Writer"]

CHUNK = 500
"""Messages in one operation: others wait no longer than for that."""
_CHUNK_BYTES = 4 * 1024 * 1024
_PAGE = 1000
_TITLES = 1000


class Writer:
    """Takes conversations into one store, or (`dry_run`) tells what taking them in would do.

    Without a manager nothing is stored yet; that is for a dry run alone.
    """

    def __init__(self, manager: SessionManager | None, *, dry_run: bool = False) -> None:
        # An import is a verb of the manager that lives outside of it, as the server's are.
        self._core: Core | None = manager._core if manager is not None else None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._manager = manager
        self.dry_run = dry_run or manager is None
        self._planned: dict[str, set[str]] = {}
        """In a dry run: the messages that each new session would have by now."""

    def write(self, session: SourceSession) -> SessionReport:
        """Store what is new of a conversation. Raises StoreError."""
        notes = list(session.notes)
        _keep_storable(session, notes)
        ids = {message.id for message in session.messages if message.id is not None}
        alias, info, known = self._located(session, ids)
        if alias != session.alias:
            told = f"another store has a {session.alias} too; this one is {alias}"
            notes.append(note("aside", session.file, None, told))
        planned = self._planned.setdefault(alias, set()) if self.dry_run else set[str]()
        present = sum(message.id in known or message.id in planned for message in session.messages)
        new = _drafted(session, known.keys() | planned, notes)
        skipped = session.records - present - len(new)
        report = SessionReport(
            system=session.system,
            source_id=session.id,
            file=session.file,
            status="new" if info is None and not planned else "grown" if new else "unchanged",
            records=session.records,
            imported=len(new),
            present=present,
            skipped=skipped,
        )
        planned.update(draft.id for draft in new if draft.id is not None)
        key = self._key(session, alias, info, notes)
        report.key = key
        if not new and info is None and session.created_at is None and not planned:  # nothing of it could be read
            report.status, report.key = "refused", None
        elif not self.dry_run and self._core is not None and self._manager is not None:
            try:
                info = self._store(self._core, self._manager, session, alias, key, info, known, new, notes)
            except SessionEnded:
                reason = "its session has ended in the store: resume it under its key, and import again"
                notes.append(note("skipped", session.file, None, f"{len(new)} new messages; {reason}"))
                report.status, report.imported, report.skipped = "refused", 0, skipped + len(new)
        report.session_id = info.id if info is not None else None
        report.notes = tuple(notes)
        return report

    # -- finding ------------------------------------------------------------------------------------------------

    def _located(self, session: SourceSession, ids: set[str]) -> tuple[str, SessionInfo | None, dict[str, int]]:
        """The alias that is this session's, the session if there is one, and the messages that it holds.

        Two stores of one system may use one id: what comes from elsewhere and shares no message is another session.
        """
        tag = hashlib.sha256(session.place.encode(errors="replace")).hexdigest()[:8]
        for alias in (f"{session.alias}@{tag}", session.alias):
            info = self._named(alias)
            if info is None:
                continue
            known = self._held(info.id)
            imported: Any = info.metadata.get("imported")
            place = imported.get("place") if isinstance(imported, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - any JSON
            if alias != session.alias or place == session.place or not known or not ids or ids & known.keys():
                return alias, info, known
            return f"{session.alias}@{tag}", None, {}
        return session.alias, None, {}

    def _named(self, alias: str) -> SessionInfo | None:
        core = self._core
        if core is None:
            return None
        session_id = core.store.named(core.owner, alias)
        if session_id is None:
            return None
        try:
            return core.store.info(session_id, core.owner, core.now())
        except SessionNotFound:
            return None

    def _held(self, session_id: str) -> dict[str, int]:
        """Ids and positions of all messages that a session has, undone ones too."""
        found: dict[str, int] = {}
        core = self._core
        after = 0
        while core is not None:
            page = core.store.page(session_id, core.owner, after=after, limit=_PAGE, live=False)
            found.update((message.id, message.seq) for message in page if message.id is not None)
            last = max([*(message.seq for message in page), *page.corrupt], default=0)
            if not last:
                break
            after = last
        return found

    def _key(self, session: SourceSession, alias: str, info: SessionInfo | None, notes: list[Note]) -> str | None:
        """The key that the session gets; one that is taken, or that no store can keep, it does not get."""
        if info is not None:
            return session.key if session.key in info.keys else next(iter(info.keys), None)
        if session.key is None:
            return None
        try:
            key = explicit_key(session.key)
        except InvalidKey as exc:
            notes.append(note("repaired", session.file, None, f"it has no key in the store: {exc}"))
            return None
        core = self._core
        current = core.store.current(core.key_owner, key, core.now()) if core is not None else None
        if current is None and not (self.dry_run and alias != session.alias):
            return key
        other = current.id if current is not None else session.alias
        told = f"its key {key!r} points at {other} already; to continue this one, resume {alias} under that key"
        notes.append(note("repaired", session.file, None, told))
        return None

    # -- storing ------------------------------------------------------------------------------------------------

    def _store(
        self,
        core: Core,
        manager: SessionManager,
        session: SourceSession,
        alias: str,
        key: str | None,
        info: SessionInfo | None,
        known: dict[str, int],
        new: list[Draft],
        notes: list[Note],
    ) -> SessionInfo:
        if info is None:
            session_id = self._created(core, session, alias, key)
            info = core.store.info(session_id, core.owner, core.now())
        handle = manager.get(info.id)
        for chunk in _chunks(new):
            newest = max((draft.at for draft in chunk if draft.at is not None), default=core.at())
            operation = Append(at=min(newest, core.at()), owner=core.owner, session_id=info.id, messages=tuple(chunk))
            for draft, seq in zip(chunk, _committed(core, operation).seqs, strict=True):
                known[draft.id or ""] = seq
        before: dict[str, Any] = info.metadata.get("imported") or {}
        newer = str(session.updated_at or "") > str(before.get("updated_at") or "")
        if before.get("whole") and not new and not newer:
            return info
        through = max(
            (known.get(message.id or "", 0) for message in session.messages[: session.compacted_through]), default=0
        )
        summary = session.summary
        if summary is not None and before.get("summary") != _digest(summary):
            self._compact(core, handle.id, summary, through, session, notes)
        if session.title is not None and (not before.get("whole") or info.metadata.get("title") != session.title):
            self._retitle(core, info, session.title, session.file, notes)
        wanted = self._metadata(session, whole=True)
        changes = {name: each for name, each in wanted.items() if info.metadata.get(name) != each}
        if changes and (newer or not before.get("whole")):
            handle.set_metadata(changes)
        return handle.info()

    def _created(self, core: Core, session: SourceSession, alias: str, key: str | None) -> str:
        origin = msgspec.json.encode(session.origin).decode() if session.origin is not None else None
        now = core.now()
        made = NewSession(
            id=core.new_id(now),
            explicit=True,
            origin=origin,
            created_at=to_micros(session.created_at) if session.created_at is not None else None,
            metadata=codec.json_text(self._metadata(session, whole=False), "metadata"),
        )
        row = _committed(core, Create(at=to_micros(now), owner=core.owner, key=key, alias=alias, new=made))
        created: str = row.id
        return created

    def _metadata(self, session: SourceSession, *, whole: bool) -> dict[str, Any]:
        """The source's own, and where it comes from; `whole` is the mark that the import came to its end."""
        imported: dict[str, Any] = {"system": session.system, "file": session.file, "place": session.place}
        if session.updated_at is not None:
            imported["updated_at"] = str(session.updated_at)
        imported |= session.facts
        if whole:
            imported["whole"] = True
            if session.summary is not None:
                imported["summary"] = _digest(session.summary)
        return {**session.metadata, "imported": imported}

    def _compact(
        self, core: Core, session_id: str, text: str, through: int, session: SourceSession, notes: list[Note]
    ) -> None:
        """Let the source's summary stand for what it had archived."""
        tail = core.store.tail(session_id, core.owner, core.now(), limit=1)
        if tail.summary is not None and (tail.summary.text == text or tail.summary.through_seq >= through):
            return
        around: Sequence[Message] = drive(core.store, flows.turns_around(core, session_id, through)) if through else ()
        end = boundary(around, through)
        if end != through:
            told = f"the summary ended within an exchange, after message {through}; it ends before that, at {end}"
            notes.append(note("repaired", session.file, None, told))
        flow = compact(core, session_id, text, through_seq=end)
        try:
            drive(core.store, flow)
        except (SessionConflict, InvalidMessage) as exc:
            notes.append(note("repaired", session.file, None, f"its summary is in the metadata alone: {exc}"))

    def _retitle(self, core: Core, info: SessionInfo, title: str, file: str, notes: list[Note]) -> None:
        """Give the session its title, or the next one like it that is free."""
        for number in range(1, _TITLES):
            wanted = title if number == 1 else f"{title} #{number}"
            if wanted == info.title:
                return
            try:
                drive(core.store, flows.set_info(core, info.id, title=wanted))
            except SessionConflict:
                continue
            except (InvalidKey, InvalidMessage) as exc:
                notes.append(note("repaired", file, None, f"its title is in the metadata alone: {exc}"))
                return
            if number > 1:
                notes.append(note("repaired", file, None, f"the title {title!r} is taken; it is {wanted!r}"))
            return


def _keep_storable(session: SourceSession, notes: list[Note]) -> None:
    """Leave out metadata that no store could keep."""
    for kept in (session.metadata, session.facts):
        for name in list(kept):
            try:
                codec.json_text({name: kept[name]}, "metadata")
            except InvalidMessage as exc:
                del kept[name]
                notes.append(note("repaired", session.file, None, f"its metadata {name!r:.40} is left out: {exc}"))


def _drafted(session: SourceSession, there: Collection[str], notes: list[Note]) -> list[Draft]:
    """The messages that are not there yet, as a store takes them; those that none could keep are skipped."""
    out: list[Draft] = []
    for message, line in zip(session.messages, session.lines, strict=True):
        if message.id in there:
            continue
        try:
            out.append(codec.draft(message))
        except InvalidMessage as exc:
            notes.append(note("skipped", session.file, line, str(exc)))
    return out


def _chunks(drafts: list[Draft]) -> list[list[Draft]]:
    """The same in pieces that are small enough for one operation."""
    out: list[list[Draft]] = []
    size = 0
    for draft in drafts:
        weight = len(bytes(draft.body)) + sum(len(blob.data) for blob in draft.blobs)
        if not out or len(out[-1]) >= CHUNK or size + weight > _CHUNK_BYTES:
            out.append([])
            size = 0
        out[-1].append(draft)
        size += weight
    return out


def _committed(core: Core, operation: Operation) -> Any:
    [outcome] = core.store.commit([operation])
    if isinstance(outcome, PalaverError):
        raise outcome
    return outcome


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
