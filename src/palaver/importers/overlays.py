"""What lies over the messages of an imported session: cuts, the summary, the title, marks, and what it used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from palaver import codec
from palaver.core import Core
from palaver.errors import InvalidKey, InvalidMessage, PalaverError, SessionConflict
from palaver.exchanges import boundary
from palaver.flows import sessions as flows
from palaver.flows.compaction import compact
from palaver.importers import commits
from palaver.importers.charging import charges
from palaver.importers.locating import live_positions
from palaver.importers.provenance import MARKS, digest, undone_in
from palaver.importers.titles import Titles
from palaver.importers.values import Note, SourceSession, note
from palaver.info import SessionInfo
from palaver.model import Message
from palaver.operations import Alias, Cut, Operation, RecordUsage, SetInfo
from palaver.steps import drive
from palaver.times import to_micros

__all__ = ["Overlays"]

_TITLES = 10_000


class Overlays:
    """Lays over a stored session what lies over it in its source, as far as that changed since the last import.

    `fresh` are the messages that this run brought, by their index. Raises StoreError.
    """

    def __init__(
        self, core: Core, session: SourceSession, titles: Titles, notes: list[Note], fresh: Collection[int]
    ) -> None:
        self._core = core
        self._session = session
        self._titles = titles
        self._notes = notes
        self._fresh = fresh

    def lay(self, info: SessionInfo, known: Mapping[str, int], before: Mapping[str, Any]) -> None:
        """Cut, compact and name it. `before` is what an earlier import said of the source."""
        cut = self._cut(info.id, known, before)
        self._compact(info.id, known, before, anew=cut)
        self._retitle(info, before)

    def _cut(self, session_id: str, known: Mapping[str, int], before: Mapping[str, Any]) -> bool:
        """Take back what the source took back since; whether there was any. What was restored here stays so."""
        core = self._core
        undone = undone_in(self._session)
        if before.get("undone") == digest("\n".join(undone)):
            return False
        wanted = {known[message_id] for message_id in undone if message_id in known}
        if not wanted:
            return False
        live = live_positions(core, session_id, after=min(wanted) - 1, before=max(wanted) + 1)
        ranges = list(_runs(sorted(wanted & live)))
        for low, high in ranges:
            operation = Cut(
                at=core.at(), owner=core.owner, session_id=session_id, from_seq=low, through_seq=high, kind="rewind"
            )
            commits.committed(core, operation)
        return bool(ranges)

    def _compact(self, session_id: str, known: Mapping[str, int], before: Mapping[str, Any], *, anew: bool) -> None:
        """Let the source's summary stand for what it had archived."""
        core, session = self._core, self._session
        text = session.summary
        if text is None or (before.get("summary") == digest(text) and not anew):
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

    def describe(self, info: SessionInfo, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
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
            name: getattr(session, name) for name in MARKS if getattr(session, name) != was.get(name, False)
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

    def _note(self, reason: str) -> None:
        self._notes.append(note("repaired", self._session.file, None, reason))


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
