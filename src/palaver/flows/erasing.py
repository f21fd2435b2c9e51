"""Erasing: what belongs to an owner, a person or a session goes everywhere, in steps that can be gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from palaver.core import Core
from palaver.erasure import (
    Again,
    EraseReport,
    Erasure,
    Owner,
    Person,
    ScrubReport,
    SessionTarget,
    Target,
    mark,
    person_of,
)
from palaver.errors import SessionNotFound
from palaver.flows.whose import erased_whole, is_key_of, origin_of
from palaver.keys import Origin
from palaver.operations import (
    BeginErasure,
    ClearErased,
    ErasedMessages,
    EraseMessages,
    EraseSession,
    EraseSummaries,
    EraseTraces,
    FinishErasure,
    Scrubbed,
    Sweep,
)
from palaver.rows import COPY, SUBAGENT, SessionRow
from palaver.steps import Flow, call, long_call, write
from palaver.stores.base import Erasable

__all__ = ["Progress", "erase", "records", "scrub", "target_of"]

Progress: TypeAlias = Callable[[str, int], None]
"""Is told what is being done, and how many sessions or messages it has come to."""
Visit: TypeAlias = Callable[[Erasable], Flow[None]]

CHUNK = 250
"""Messages in one step: others wait for about 20 ms to commit."""
_PAGE = 200


def target_of(core: Core, owner: str | None, user: Origin | str | None, session: str | None) -> Target:
    """What is to be erased. ValueError unless exactly one thing is named, and for another owner than the manager's."""
    if sum(given is not None for given in (owner, user, session)) != 1:
        raise ValueError("name what is to be erased: owner=, user= or session=, and one of them alone")
    if owner is not None:
        if core.owner not in (None, owner):
            raise ValueError(f"this manager is for owner {core.owner!r} alone; erase {owner!r} with the unscoped one")
        return Owner(owner)
    return person_of(user) if user is not None else SessionTarget(session or "")


def erase(
    core: Core, target: Target, *, dry_run: bool, scrub_files: bool, progress: Progress | None
) -> Flow[EraseReport]:
    """Erase; see `SessionManager.erase`. Erasures that had been interrupted are finished first."""
    if isinstance(target, SessionTarget):
        target = SessionTarget((yield from _known(core, target.session_id)))
    unfinished = 0
    if not dry_run:
        for row in (yield from call(core.store.erasures)):
            if row.ended_at is None and core.owner in (None, row.scope):
                yield from _Work(core, row, dry_run=False, progress=progress, resumed=True).run()
                unfinished += 1
    began = Erasure(id="", began_at=core.at(), target=target, scope=core.owner)
    if not dry_run:
        began = yield from write(
            BeginErasure(
                at=core.at(),
                erasure_id=core.new_id(core.now()),
                target=target,
                scope=core.owner,
                secret=os.urandom(32),
            )
        )
    work = _Work(core, began, dry_run=dry_run, progress=progress)
    done = yield from work.run()
    scrubbed: ScrubReport | None = None
    if scrub_files and not dry_run:
        scrubbed = yield from scrub(core, progress)
    known = yield from long_call(core.store.backups)
    return EraseReport(
        id=began.id or None,
        dry_run=dry_run,
        sessions=tuple(work.whole),
        parts=tuple(work.parts),
        counts=done.counts,
        scrub=scrubbed,
        backups=tuple(each.path if core.owner is None else os.path.basename(each.path) for each in known),  # noqa: PTH119 - text
        unfinished=unfinished,
    )


def scrub(core: Core, progress: Progress | None = None) -> Flow[ScrubReport]:
    """Leave nothing of what was removed in the store's files."""
    ended = [row.id for row in (yield from call(core.store.erasures)) if row.ended_at and not row.scrubbed_at]
    if progress is not None:
        progress("scrubbing", 0)
    report: ScrubReport = yield from long_call(core.store.scrub)
    if report.done and ended:
        yield from write(Scrubbed(at=core.at(), erasure_ids=tuple(ended)))
    return report


def records(core: Core) -> Flow[list[Erasure]]:
    """Every erasure that this manager may know of."""
    found = yield from call(core.store.erasures)
    return [row for row in found if core.owner is None]


def _known(core: Core, reference: str) -> Flow[str]:
    """The id of a session, deleted or not, by id or alias; SessionNotFound if it is foreign or erased."""
    session_id = (yield from call(core.store.named, core.owner, reference)) or reference
    found = yield from call(core.store.erasable, 0, limit=1, owner=core.owner, session_id=session_id)
    if not found or found[0].row.end_reason == "erased":
        msg = f"no session {reference!r}: check the id and the owner"
        raise SessionNotFound(msg)
    return session_id


class _Work:
    """One erasure, from wherever it stands to its end."""

    def __init__(
        self, core: Core, record: Erasure, *, dry_run: bool, progress: Progress | None, resumed: bool = False
    ) -> None:
        self._core = core
        self._record = record
        self._dry_run = dry_run
        self._progress = progress
        self._resumed = resumed
        """Whether others did the first steps of it: what they came to is seen in the sessions alone."""
        self._gone: dict[str, int] = {}
        """In a dry run: what would go."""
        self.whole: dict[str, None] = {}
        self.parts: dict[str, None] = {}
        self._touched: set[str] = set()
        """Sessions that hold, or held, something of what is erased: those after them may have begun with it."""
        self._erased: dict[str, str] = {}
        """Those of which nothing is left, and whose they were: sessions of their subagents go too."""
        self._emptied = False
        """Whether sessions went since those of subagents were looked for."""

    def run(self) -> Flow[Erasure]:
        """Erase, and forget whom it was about."""
        target = self._record.target
        looked = 0

        def visit(each: Erasable) -> Flow[None]:
            nonlocal looked
            looked += 1
            yield from self._one(each, target)
            if self._progress is not None:
                self._progress("erasing", looked)

        owner = target.owner if isinstance(target, Owner) else self._record.scope
        only = target.session_id if isinstance(target, SessionTarget) else None
        yield from self._walk(visit, owner, only)
        if self._erased:
            yield from self._subagents()
        erased = -1
        while erased != len(self._erased):  # what had nothing but copies goes too, and then its subagents, and so on
            yield from self._walk(self._copies_in, self._record.scope, later=True)
            erased = len(self._erased)
            if self._emptied:
                self._emptied = False
                yield from self._subagents()
        if self._dry_run:
            return msgspec.structs.replace(self._record, counts=self._gone)
        finished: Erasure = yield from write(FinishErasure(at=self._core.at(), erasure_id=self._record.id))
        return finished

    def _walk(self, visit: Visit, owner: str | None, only: str | None = None, *, later: bool = False) -> Flow[None]:
        """Visit the sessions that it may touch, in the order that they were made.

        What began since is not meant, unless it is named (`only`); but `later`, it may have begun with what is erased.
        """
        after = 0
        while page := (yield from call(self._core.store.erasable, after, limit=_PAGE, owner=owner, session_id=only)):
            for each in page:
                if later or only is not None or each.row.created_at <= self._record.began_at:
                    yield from visit(each)
            after = page[-1].row.number

    def _one(self, each: Erasable, target: Target | None) -> Flow[None]:
        row = each.row
        if isinstance(target, Again):
            yield from self._again(each)
            return
        if isinstance(target, Person):
            if row.end_reason == "purging":
                yield from self._purged(each)
                return
            if row.end_reason in ("erased", "purged"):
                if row.end_reason == "erased" and each.first_kind is not None:
                    yield from self._session(each)  # it was interrupted there
                else:
                    if self._went_before(row):
                        self._touched.add(row.id)
                        self._erased[row.id] = row.owner
                    yield from self._clear(row)
                return
            belongs = erased_whole(self._core, each, target)
            if belongs is None:
                return
            if not belongs:
                yield from self._part(each, target)
                return
        yield from self._session(each)

    # ------------------------------------------------------------------ whole sessions
    def _session(self, each: Erasable) -> Flow[None]:
        row, last = each.row, each.last_seq
        self._touched.add(row.id)
        self._erased[row.id] = row.owner
        fresh = row.end_reason != "erased"
        if fresh and row.end_reason != "purged":
            self.whole[row.id] = None
        if not self._dry_run and fresh:
            last = yield from write(EraseSession(at=self._core.at(), erasure_id=self._record.id, session_id=row.id))
        for first in range(1, last + 1, CHUNK):
            done = yield from self._messages(row.id, first, min(first + CHUNK - 1, last))
            if self._dry_run:
                self._add("messages", done.gone)
        if self._dry_run:
            self._add("sessions", int(row.id in self.whole))
            self._add("keys", len(each.keys))
        else:
            yield from write(ClearErased(at=self._core.at(), erasure_id=self._record.id, session_id=row.id))

    def _went_before(self, row: SessionRow) -> bool:
        """Whether this erasure took a session away before it was interrupted, perhaps just then."""
        return self._resumed and row.end_reason == "erased" and (row.ended_at or 0) >= self._record.began_at

    def _clear(self, row: SessionRow) -> Flow[None]:
        """Remove what an erased session had beside its messages, where this erasure may have been interrupted before.

        No clock can tell which of them it was: it may have been set back, or another machine's.
        """
        if self._resumed and not self._dry_run and row.end_reason == "erased":
            yield from write(ClearErased(at=self._core.at(), erasure_id=self._record.id, session_id=row.id))

    def _purged(self, each: Erasable) -> Flow[None]:
        """A sweep has begun to purge it, and nobody can say any more whose it was: the rest of it goes now."""
        step = Sweep(at=self._core.at(), session_id=each.row.id, verb="purge")
        left = 0 if self._dry_run else 1
        while left:
            try:
                left = yield from write(step)
            except SessionNotFound:  # the sweep was faster
                return

    def _messages(self, session_id: str, first: int, last: int, **fields: Any) -> Flow[ErasedMessages]:
        operation = EraseMessages(
            at=self._core.at(),
            erasure_id=self._record.id,
            session_id=session_id,
            from_seq=first,
            through_seq=last,
            dry_run=self._dry_run,
            **fields,
        )
        done: ErasedMessages = yield from write(operation)
        return done

    def _subagents(self) -> Flow[None]:
        """Sessions of subagents of what was erased, and of theirs, wherever they stand."""
        scope, known = self._record.scope, -1
        below: dict[str, list[str]] = {}

        def visit(each: Erasable) -> Flow[None]:
            if each.row.parent_kind == SUBAGENT and each.row.parent is not None:
                below.setdefault(each.row.parent, []).append(each.row.id)
            yield from ()

        while known != len(self._erased):  # one may have begun another before it was erased itself
            known = len(self._erased)
            below.clear()
            yield from self._walk(visit, scope, later=True)
            for parent in (waiting := list(self._erased)):  # it grows
                for session_id in (each for each in below.get(parent, ()) if each not in self._erased):
                    found = yield from call(self._core.store.erasable, 0, limit=1, owner=scope, session_id=session_id)
                    if not found or found[0].row.owner != self._erased[parent]:  # nobody's: its owner was erased
                        continue
                    waiting.append(session_id)
                    if found[0].row.end_reason in ("erased", "purged") and found[0].first_kind is None:
                        self._touched.add(session_id)  # by an erasure that was interrupted behind it, or long ago
                        self._erased[session_id] = found[0].row.owner
                        yield from self._clear(found[0].row)
                    else:
                        yield from self._session(found[0])

    # ------------------------------------------------------------------ parts of sessions
    def _part(self, each: Erasable, person: Person) -> Flow[None]:
        row = each.row
        gone, unattributed, state, earlier = 0, 0, ErasedMessages(0), False
        for first in range(1, each.last_seq + 1, CHUNK):
            state = yield from self._messages(
                row.id,
                first,
                min(first + CHUNK - 1, each.last_seq),
                person=person,
                following=state.following,
                turn=state.turn,
            )
            gone += state.gone
            earlier = earlier or state.earlier
            unattributed += state.unattributed
        if gone:
            self.parts[row.id] = None
        if gone or (earlier and self._resumed):
            self._touched.add(row.id)
        if self._dry_run:
            self._add("messages", gone)
            self._add("unattributed", unattributed)
            return
        theirs = tuple((o, k) for o, k in each.keys if is_key_of(self._core, k, person))
        traces = EraseTraces(
            at=self._core.at(), erasure_id=self._record.id, session_id=row.id, person=person, keys=theirs
        )
        yield from write(traces)

    # ------------------------------------------------------------------ what came back
    def _again(self, each: Erasable) -> Flow[None]:
        row = each.row
        origin = origin_of(row)
        ids = [i for i in (origin.user_id, origin.user_id_alt) if i is not None] if origin is not None else []
        users = {mark("user", origin.platform, i): i for i in ids} if origin is not None else {}
        session, owner = mark("session", row.id), mark("owner", row.owner)
        erased = yield from call(self._core.store.erased, [session, owner, *users])
        # What had been purged before its owner or its person was erased left no marks of its own: it is known by them.
        before = {each for each in erased if row.stored_at <= erased[each]}
        person = Person(origin.platform, tuple(users[u] for u in users if u in before)) if origin is not None else None
        theirs = person is not None and person.ids and self._is_alone(each, person)
        if session in erased or owner in before or theirs:
            if row.end_reason != "erased" or each.first_kind is not None:
                yield from self._session(each)
            else:
                yield from self._clear(row)
            return
        gone = 0
        for first in range(1, each.last_seq + 1, CHUNK):
            done = yield from self._messages(row.id, first, min(first + CHUNK - 1, each.last_seq), marked=True)
            gone += done.gone
        if not gone:
            return
        self.parts[row.id] = None
        self._add("messages", gone)
        named = tuple(users[each] for each in users if each in erased)
        if origin is not None and named and not self._dry_run:
            person = Person(origin.platform, named)
            yield from write(
                EraseTraces(at=self._core.at(), erasure_id=self._record.id, session_id=row.id, person=person)
            )

    def _is_alone(self, each: Erasable, person: Person) -> bool:
        """Whether a session was certainly this person's alone, whatever the keys of that time were made by."""
        hers = all(is_key_of(self._core, key, person) for _, key in each.keys)
        return hers and erased_whole(self._core, each, person) is True

    # ------------------------------------------------------------------ copies
    def _copies_in(self, each: Erasable) -> Flow[None]:
        """Copies of what was erased, and a summary that the session began with. Children come after their parents."""
        row = each.row
        after = row.parent in self._touched
        # It had nothing but copies, and it was interrupted there.
        if self._went_before(row) and row.id not in self._erased:
            self._emptied = True
            yield from self._session(each)
            return
        if row.end_reason in ("erased", "purged", "purging") or row.id in self.whole:
            if after:  # what it began with went with it, and had been handed on
                self._touched.add(row.id)
            return
        gone, earlier, left = 0, False, True
        if each.first_kind is None or each.first_kind & COPY:
            gone, earlier, left = yield from self._copied(each)
        # A fork to which nothing was added has nothing left but what it took along: a title, metadata. What a key leads
        # to is in use, perhaps by many, and stays.
        if not left and not each.keys and (gone or (earlier and self._resumed)):
            self._emptied = True
            yield from self._session(each)
            return
        if gone:
            self.parts[row.id] = None
        if gone or after or (earlier and self._resumed):
            self._touched.add(row.id)
            if not self._dry_run:
                yield from write(EraseSummaries(at=self._core.at(), erasure_id=self._record.id, session_id=row.id))

    def _copied(self, each: Erasable) -> Flow[tuple[int, bool, bool]]:
        """How many copies went, whether some had gone before, and whether any message is left."""
        gone, earlier, left = 0, False, False
        for first in range(1, each.last_seq + 1, CHUNK):
            done = yield from self._messages(each.row.id, first, min(first + CHUNK - 1, each.last_seq), copies=True)
            gone += done.gone
            earlier = earlier or done.earlier
            left = left or done.left > 0
            if left and not done.copies and done.gone == 0 and not done.earlier:
                break
        if self._dry_run:
            self._add("messages", gone)
        return gone, earlier, left

    def _add(self, name: str, more: int) -> None:
        if more:
            self._gone[name] = self._gone.get(name, 0) + more
