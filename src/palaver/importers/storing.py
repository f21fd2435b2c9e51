"""One conversation of a source on its way into the store: its messages, and then what lies over them.

Each step can be done twice: what a run that died had done is found done. The mark that all of it was done comes last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from palaver import codec
from palaver.core import Core
from palaver.errors import InvalidKey, InvalidMessage, PalaverError, SessionConflict
from palaver.exchanges import boundary
from palaver.flows import sessions as flows
from palaver.flows.compaction import compact
from palaver.importers.at_once import at_once, is_simple
from palaver.importers.charging import charges, totals
from palaver.importers.locating import free_key, held, is_there, live
from palaver.importers.reviving import went_back
from palaver.importers.titles import Titles
from palaver.importers.values import Note, SourceSession, note
from palaver.info import SessionInfo
from palaver.model import Message
from palaver.operations import Alias, Append, Bind, Create, Cut, NewSession, Operation, RecordUsage, SetInfo
from palaver.rows import SUBAGENT, Draft
from palaver.steps import drive
from palaver.times import to_micros

__all__ = ["CHUNK", "Storing"]

CHUNK = 500
"""Messages in one operation: others wait no longer than for that."""
_CHUNK_BYTES = 4 * 1024 * 1024
_TITLES = 10_000
_MARKS = ("archived", "pinned", "hidden")


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
        self._fresh: set[int] = set()
        """Which messages this run brought, by their index."""
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
        if before.get("undone") not in (None, _digest("\n".join(self._undone()))):
            new = went_back(core, session, session_id, known, new, self._notes)
        self._append(session_id, known, new, (creation,) if creation is not None else ())
        self._fresh = {index for index, _ in new}
        info = info or core.store.info(session_id, core.owner, core.now())
        if key is not None and key not in info.keys:
            _committed(core, Bind(at=core.at(), owner=core.owner, key=key, session_id=info.id))
        before = info.metadata.get("imported") or {}
        wanted = self._metadata(before, whole=True)
        newer = str(session.updated_at or "") > str(before.get("updated_at") or "")
        lies_over = before.get("over") == wanted["imported"].get("over")
        if before.get("whole") and not new and not newer and lies_over:
            return info
        cut = self._cut(info.id, known, before)
        self._compact(info.id, known, before, anew=cut)
        self._retitle(info, before)
        for text in session.more_keys:
            self._bind(info, alias, text)
        self._describe(info, before, wanted)
        return core.store.info(info.id, core.owner, core.now())

    def _note(self, reason: str) -> None:
        self._notes.append(note("repaired", self._session.file, None, reason))

    # -- the session --------------------------------------------------------------------------------------------

    def _at_once(self, alias: str, key: str | None, new: Sequence[tuple[int, Draft]]) -> str | None:
        """Store the whole of it in one commit; its id, or None where that cannot be done."""
        chunks = _chunks(new, self._session.copies)
        creation = self._creation(alias, key, whole=True)
        if len(chunks) > 1 or creation.key != key:
            return None
        given = self._session.title
        title = self._titles.next(given)
        made = at_once(self._core, self._session, creation, chunks[0] if chunks else (), title)
        if made is not None and title != given:
            self._note(f"the title {given!r} is taken; it is {title!r}")
        return made

    def _creation(self, alias: str, key: str | None, *, whole: bool = False) -> Create:
        core, session = self._core, self._session
        origin = msgspec.json.encode(session.origin).decode() if session.origin is not None else None
        now = core.now()
        parent = self._parent()
        bound = core.store.current(core.key_owner, key, now) if key is not None else None
        made = NewSession(
            id=core.new_id(now),
            explicit=True,
            origin=origin,
            created_at=to_micros(min(session.created_at, now)) if session.created_at is not None else None,
            metadata=codec.json_text(self._metadata({}, whole=whole), "metadata"),
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

    def _metadata(self, before: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
        """The source's own, and where it comes from; `whole` is the mark that the import came to its end."""
        session = self._session
        imported: dict[str, Any] = {"system": session.system, "file": session.file, "place": session.place}
        if session.updated_at is not None:
            imported["updated_at"] = str(session.updated_at)
        imported |= session.facts
        if whole:
            imported["whole"] = True
            imported |= self._over(before)
        return {**session.metadata, "imported": imported}

    def _over(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """What of the source lies over the messages, to be known again when it has changed."""
        session = self._session
        out: dict[str, Any] = {}
        if session.key is not None:
            out["key"] = session.key
        if session.more_keys:
            out["more_keys"] = list(session.more_keys)
        if session.ended_at is not None or session.ended_reason is not None:
            ended = {"at": session.ended_at and str(session.ended_at), "reason": session.ended_reason}
            out["ended"] = {name: value for name, value in ended.items() if value is not None}
        if session.title is not None:
            out["title"] = session.title
        if session.summary is not None:
            out["summary"] = _digest(session.summary)
        undone = self._undone()
        if undone or before.get("undone"):
            out["undone"] = _digest("\n".join(undone))
        marks = [name for name in _MARKS if getattr(session, name)]
        if marks or session.tags or before.get("marks"):
            out["marks"] = {name: name in marks for name in _MARKS} | {"tags": list(session.tags)}
        if session.aliases:
            out["aliases"] = list(session.aliases)
        if session.usage:
            out["used"] = totals(session.usage, before.get("used") or {})
        if out:
            out["over"] = _digest(codec.json_text(out, "metadata"))
        return out

    # -- the messages -------------------------------------------------------------------------------------------

    def _append(
        self, session_id: str, known: dict[str, int], new: Sequence[tuple[int, Draft]], first: Sequence[Operation]
    ) -> None:
        """Store messages; the first of them together with what has to be done before."""
        core = self._core
        if first and not new:
            _committed(core, *first)
        for chunk in _chunks(new, self._session.copies):
            drafts = tuple(self._marked(index, draft, session_id, known) for index, draft in chunk)
            newest = max((draft.at for draft in drafts if draft.at is not None), default=core.at())
            operation = Append(
                at=min(newest, core.at()), owner=core.owner, session_id=session_id, messages=drafts, restoring=True
            )
            appended = _committed(core, *first, operation)[-1]
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

    # -- what lies over them ------------------------------------------------------------------------------------

    def _undone(self) -> list[str]:
        """The ids of the messages that the source took back."""
        session = self._session
        return [message.id or "" for low, high in session.cuts for message in session.messages[low:high]]

    def _cut(self, session_id: str, known: Mapping[str, int], before: Mapping[str, Any]) -> bool:
        """Take back what the source took back since; whether there was any. What was restored here stays so."""
        core = self._core
        undone = self._undone()
        if before.get("undone") == _digest("\n".join(undone)):
            return False
        wanted = {known[message_id] for message_id in undone if message_id in known}
        ranges = list(_runs(sorted(wanted & live(core, session_id, wanted))))
        for low, high in ranges:
            operation = Cut(
                at=core.at(), owner=core.owner, session_id=session_id, from_seq=low, through_seq=high, kind="rewind"
            )
            _committed(core, operation)
        return bool(ranges)

    def _compact(self, session_id: str, known: Mapping[str, int], before: Mapping[str, Any], *, anew: bool) -> None:
        """Let the source's summary stand for what it had archived."""
        core, session = self._core, self._session
        text = session.summary
        if text is None or (before.get("summary") == _digest(text) and not anew):
            return
        through = self._covered(known)
        tail = core.store.tail(session_id, core.owner, core.now(), limit=1)
        if tail.summary is not None and (tail.summary.text == text or tail.summary.through_seq >= through):
            return
        around: Sequence[Message] = drive(core.store, flows.turns_around(core, session_id, through)) if through else ()
        end = boundary(around, through)
        if end != through:
            self._note(f"the summary ended within an exchange, after message {through}; it ends before that, at {end}")
        flow = compact(core, session_id, text, through_seq=end)
        try:
            drive(core.store, flow)
        except (SessionConflict, InvalidMessage) as exc:
            self._note(f"its summary is in the metadata alone: {exc}")

    def _covered(self, known: Mapping[str, int]) -> int:
        """Through where the summary stands: before the first message that the source still has beside it.

        What an earlier import brought and the source has removed since is behind its summary too.
        """
        messages, count = self._session.messages, self._session.compacted_through
        first = known.get(messages[count].id or "") if count < len(messages) else None
        if first is not None and count not in self._fresh:
            return first - 1
        return max((known.get(message.id or "", 0) for message in messages[:count]), default=0)

    def _retitle(self, info: SessionInfo, before: Mapping[str, Any]) -> None:
        """Give the session its title, or the next one like it that is free."""
        core, title = self._core, self._session.title
        if title is None or (before.get("whole") and before.get("title") == title):
            return
        for _ in range(_TITLES):
            wanted = self._titles.next(title)
            if wanted == info.title:
                return
            try:
                drive(core.store, flows.set_info(core, info.id, title=wanted))
            except SessionConflict:
                continue
            except (InvalidKey, InvalidMessage) as exc:
                self._note(f"its title is in the metadata alone: {exc}")
                return
            if wanted != title:
                self._note(f"the title {title!r} is taken; it is {wanted!r}")
            return
        self._note(f"the title {title!r} is taken, with {_TITLES} numbers behind it; it is in the metadata alone")

    def _describe(self, info: SessionInfo, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Mark it and charge what it used, and in the end, with the mark that all is done, its metadata."""
        core = self._core
        steps = [(each, "its tags are left out") for each in self._marking(info.id, before)]
        steps += [(each, "what it used is in the metadata alone") for each in self._charging(info.id, before)]
        for name in self._session.aliases:
            naming = Alias(at=core.at(), owner=core.owner, session_id=info.id, alias=name)
            steps.append((naming, f"it is not found by its other name {name!r:.100}"))
        changes = {name: each for name, each in wanted.items() if info.metadata.get(name) != each}
        if changes:
            text = codec.json_text(changes, "metadata")
            steps.append((SetInfo(at=core.at(), owner=core.owner, session_id=info.id, metadata=text), ""))
        outcomes = core.store.commit([step for step, _ in steps]) if steps else []
        for outcome, (_, told) in zip(outcomes, steps, strict=True):
            if isinstance(outcome, (InvalidKey, InvalidMessage, SessionConflict)) and told:
                self._note(f"{told}: {outcome}")
            elif isinstance(outcome, PalaverError):
                raise outcome

    def _marking(self, session_id: str, before: Mapping[str, Any]) -> Iterator[Operation]:
        """Archive it, pin it, tag it, as far as the source did so since."""
        core, session = self._core, self._session
        was: Mapping[str, Any] = before.get("marks") or {}
        changes: dict[str, Any] = {
            name: getattr(session, name) for name in _MARKS if getattr(session, name) != was.get(name, False)
        }
        if list(session.tags) != was.get("tags", []):
            changes["tags"] = session.tags
        if changes:
            yield SetInfo(at=core.at(), owner=core.owner, session_id=session_id, **changes)

    def _charging(self, session_id: str, before: Mapping[str, Any]) -> Iterator[Operation]:
        """Count what it used since. It was used then: on that day, at what it cost."""
        core = self._core
        for name, at, usage in charges(self._session.usage, before.get("used") or {}):
            moment = min(to_micros(at), core.at()) if at is not None else core.at()
            yield RecordUsage(at=moment, owner=core.owner, session_id=session_id, usage=usage, id=name)

    def _bind(self, info: SessionInfo, alias: str, text: str) -> None:
        core = self._core
        if text in info.keys:
            return
        key = free_key(core, self._session, alias, text, self._notes)
        if key is not None:
            _committed(core, Bind(at=core.at(), owner=core.owner, key=key, session_id=info.id))


def _runs(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending positions as ranges."""
    low = high = 0
    for seq in seqs:
        if low and seq == high + 1:
            high = seq
            continue
        if low:
            yield low, high
        low = high = seq
    if low:
        yield low, high


def _chunks(new: Sequence[tuple[int, Draft]], copies: Mapping[int, Any]) -> list[list[tuple[int, Draft]]]:
    """The same in pieces that are small enough for one operation. Copies come after what they are copies of."""
    out: list[list[tuple[int, Draft]]] = []
    size = 0
    for index, draft in new:
        weight = len(bytes(draft.body)) + sum(len(blob.data) for blob in draft.blobs)
        turns = bool(out) and (index in copies) != (out[-1][-1][0] in copies)
        if not out or turns or len(out[-1]) >= CHUNK or size + weight > _CHUNK_BYTES:
            out.append([])
            size = 0
        out[-1].append((index, draft))
        size += weight
    return out


def _committed(core: Core, *operations: Operation) -> list[Any]:
    """What came of operations in one transaction; the first that failed is raised."""
    outcomes = core.store.commit(list(operations))
    for outcome in outcomes:
        if isinstance(outcome, PalaverError):
            raise outcome
    return outcomes


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
