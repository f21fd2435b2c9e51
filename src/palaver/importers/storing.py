"""One conversation of a source on its way into the store: its messages, and then what lies over them.

Each step can be done twice: what a run that died had done is found done. The mark that all of it was done comes last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from palaver import codec
from palaver.core import Core
from palaver.importers import commits
from palaver.importers.at_once import at_once, is_simple
from palaver.importers.locating import free_key, held, is_there
from palaver.importers.overlays import Overlays
from palaver.importers.provenance import digest, metadata, says_otherwise, undone_in
from palaver.importers.reviving import went_back
from palaver.importers.titles import Titles
from palaver.importers.values import Note, SourceSession, note
from palaver.info import SessionInfo
from palaver.operations import Append, Bind, Create, NewSession, Operation
from palaver.rows import SUBAGENT, Draft
from palaver.times import to_micros

__all__ = ["Storing"]


class Storing:
    """Stores one session of a source. `stored` are the sessions that were before it, by system, place and id there."""

    def __init__(
        self,
        core: Core,
        session: SourceSession,
        stored: Mapping[tuple[str, str, str], str | None],
        titles: Titles,
        notes: list[Note],
    ) -> None:
        self._core = core
        self._session = session
        self._stored = stored
        self._titles = titles
        self._notes = notes
        self._elsewhere: dict[str, dict[str, int]] = {}
        """Positions of messages in other sessions that messages of this one are copies of."""

    def store(
        self,
        alias: str,
        key: str | None,
        info: SessionInfo | None,
        known: dict[str, int],
        new: Sequence[tuple[int, Draft]],
    ) -> SessionInfo:
        """Store what is new; `known` learns where it came to stand. Raises StoreError, SessionEnded."""
        core, session = self._core, self._session
        if info is None and is_simple(session) and (whole := self._at_once(alias, key, new)) is not None:
            return core.store.info(whole, core.owner, core.now())
        creation = None if info is not None else self._creation(alias, key)
        session_id = creation.new.id if creation is not None else info.id if info is not None else ""
        before: dict[str, Any] = (info.metadata.get("imported") or {}) if info is not None else {}
        if before.get("undone") not in (None, digest("\n".join(undone_in(session)))):
            new = went_back(core, session, session_id, known, new, self._notes)
        self._append(session_id, known, new, (creation,) if creation is not None else ())
        info = info or core.store.info(session_id, core.owner, core.now())
        if key is not None and key not in info.keys:
            commits.committed(core, Bind(at=core.at(), owner=core.owner, key=key, session_id=info.id))
        before = info.metadata.get("imported") or {}
        wanted = metadata(session, before, whole=True)
        newer = str(session.updated_at or "") > str(before.get("updated_at") or "")
        lies_over = before.get("over") == wanted["imported"].get("over")
        if before.get("whole") and not new and not newer and lies_over and not says_otherwise(session, before):
            return info
        overlays = Overlays(core, session, self._titles, self._notes, {index for index, _ in new})
        overlays.lay(info, known, before)
        for text in session.more_keys:
            self._bind(info, alias, text)
        overlays.describe(info, before, wanted)
        return core.store.info(info.id, core.owner, core.now())

    def _note(self, reason: str) -> None:
        self._notes.append(note("repaired", self._session.file, None, reason))

    # -- the session --------------------------------------------------------------------------------------------

    def _at_once(self, alias: str, key: str | None, new: Sequence[tuple[int, Draft]]) -> str | None:
        """Store the whole of it in one commit; its id, or None where that cannot be done."""
        chunks = commits.chunks(new, self._session.copies)
        creation = self._creation(alias, key)
        if len(chunks) > 1 or creation.key != key:
            return None
        given = self._session.title
        title = self._titles.next(given)
        made = at_once(self._core, self._session, creation, chunks[0] if chunks else (), title)
        if made is not None and title != given:
            self._note(f"the title {given!r} is taken; it is {title!r}")
        return made

    def _creation(self, alias: str, key: str | None) -> Create:
        core, session = self._core, self._session
        origin = msgspec.json.encode(session.origin).decode() if session.origin is not None else None
        now = core.now()
        parent = self._parent()
        bound = core.store.bound(core.key_owner, key) if key is not None else None
        made = NewSession(
            id=core.new_id(now),
            explicit=True,
            origin=origin,
            created_at=to_micros(min(session.created_at, now)) if session.created_at is not None else None,
            metadata=codec.json_text(metadata(session, {}, whole=False), "metadata"),
            parent=parent,
            parent_kind=session.parent_kind if parent is not None else None,
            hidden=parent is not None and session.parent_kind == SUBAGENT,
        )
        return Create(at=to_micros(now), owner=core.owner, key=key if bound is None else None, alias=alias, new=made)

    def _parent(self) -> str | None:
        session = self._session
        if session.parent is None:
            return None
        parent = self._stored.get((session.system, session.place, session.parent))
        # Perhaps an import before this one brought it.
        parent = parent or self._core.store.named(self._core.owner, f"{session.system}:{session.parent}")
        if parent is None or (session.parent_kind == SUBAGENT and not is_there(self._core, parent)):
            self._note(f"it follows {session.parent!r}, which is not there; it stands by itself")
            return None
        return parent

    # -- the messages -------------------------------------------------------------------------------------------

    def _append(
        self, session_id: str, known: dict[str, int], new: Sequence[tuple[int, Draft]], first: Sequence[Operation]
    ) -> None:
        """Store messages; the first of them together with what has to be done before."""
        core = self._core
        if first and not new:
            commits.committed(core, *first)
        for chunk in commits.chunks(new, self._session.copies):
            drafts = tuple(self._marked(index, draft, session_id, known) for index, draft in chunk)
            newest = max((draft.at for draft in drafts if draft.at is not None), default=core.at())
            operation = Append(
                at=min(newest, core.at()), owner=core.owner, session_id=session_id, messages=drafts, restoring=True
            )
            appended = commits.committed(core, *first, operation)[-1]
            first = ()
            for draft, seq in zip(drafts, appended.seqs, strict=True):
                known[draft.id or ""] = seq

    def _marked(self, index: int, draft: Draft, session_id: str, known: Mapping[str, int]) -> Draft:
        """A message that is a copy says of which it is one."""
        session = self._session
        source = session.copies.get(index)
        if source is None:
            return draft
        name, message_id = source
        home: str | None = session_id
        if name != session.id:
            home = self._stored.get((session.system, session.place, name))
            if home is not None and home not in self._elsewhere:
                self._elsewhere[home] = held(self._core, home)
            known = self._elsewhere.get(home or "", {})
        seq = known.get(message_id)
        if home is None or seq is None:
            return draft
        return codec.draft(session.messages[index].replace(copied_from=f"{home}~{seq}"))

    def _bind(self, info: SessionInfo, alias: str, text: str) -> None:
        core = self._core
        if text in info.keys:
            return
        key = free_key(core, self._session, alias, text, self._notes)
        if key is not None:
            commits.committed(core, Bind(at=core.at(), owner=core.owner, key=key, session_id=info.id))
