"""Processes that die: at every place where they write to their store, and what is to be seen of it afterwards."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from palaver import SessionManager, codec
from palaver.operations import Operation
from palaver.reach import core_of
from palaver.stores.base import Store
from palaver.stores.memory import MemoryStore

__all__ = ["Clock", "Dead", "Dying", "copied", "survive", "told"]

PUBLIC = {name for name in dir(Store) if not name.startswith("_")}
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Dead(BaseException):
    """The process ends here."""


class Clock:
    """A clock that goes on by a millisecond each time it is looked at."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        """A little later than before."""
        self.time += timedelta(milliseconds=1)
        return self.time

    def later(self, span: timedelta = timedelta(hours=2)) -> None:
        """So late that no lease of before stands."""
        self.time += span


class Dying(MemoryStore):
    """The same store, of a process that dies once it has written so many operations, and does nothing after that.

    It may die between the operations of one commit: a crash may leave any first part of them.
    """

    def __init__(self, store: MemoryStore, survived: int) -> None:
        self.__dict__ = store.__dict__
        self.left = survived
        self.dead = False

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in PUBLIC and callable(value) and self.dead:
            raise Dead  # whatever it would still do to clean up
        return value

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """As many of them as it lives for."""
        done = list(operations[: self.left])
        self.left -= len(done)
        results = super().commit(done)
        if len(done) < len(operations):
            self._die()
        return results

    def prune(self, keep: int, *, dry_run: bool = False) -> int:
        """A step of it, which is an operation here."""
        if not dry_run:
            self.left -= 1
        if self.left < 0:
            self._die()
        return super().prune(keep, dry_run=dry_run)

    def _die(self) -> None:
        self.dead = True
        raise Dead


def copied(store: MemoryStore) -> MemoryStore:
    """Another store with all that one holds."""
    made = MemoryStore()
    for name, value in vars(store).items():
        if name in ("_ledger", "_changes", "_pruned"):
            setattr(made, name, copy.deepcopy(value))
    return made


def survive(make: Callable[[], MemoryStore], act: Callable[[Store], object]) -> Iterator[tuple[int, MemoryStore]]:
    """Stores in which something was done up to each of its operations, and at last to its end."""
    survived, died = 0, True
    while died:
        store = make()
        dying = Dying(store, survived)
        with suppress(Dead):
            act(dying)
        died = dying.dead
        yield survived, store
        survived += 1


def told(sessions: SessionManager, *, usage: bool = True) -> list[str]:
    """All that a store holds, in words, but for what each run makes up: ids, positions, versions and times.

    Of sessions of which nothing is left there is nothing.
    """
    store = core_of(sessions).store
    rows = store.erasable(0, limit=1000)
    first = {each.row.id: _name(store, each.row.id) for each in rows}
    out: list[str] = []
    for each in rows:
        if each.row.end_reason in ("purged", "erased") and each.first_kind is None:
            continue
        row, session_id = each.row, each.row.id
        record = store.record(session_id, None)
        chunk = store.chunk(session_id, None, after=0, limit=1000)
        live: set[int] = set()
        shown: list[str] = []
        if row.deleted_at is None and row.end_reason not in ("purged", "purging", "erased"):
            session = sessions.get(session_id)
            live = {m.seq for m in session.messages(limit=1000)}
            shown = [f"{m.role}: {m.text}" for m in session.history().messages]
        messages = [
            (m.row.seq in live, _text(m.row.seq, m.row.kind, m.row.at, m.row.body), m.id, len(m.versions))
            for m in chunk.messages
        ]
        values = {
            "owner": row.owner,
            "keys": sorted((key.owner, key.key, first.get(key.previous or "")) for key in record.keys),
            "aliases": sorted(record.aliases),
            "title": row.title,
            "parent": (row.parent_kind, first.get(row.parent or "")),
            "state": (row.ended_at is not None, row.end_reason, row.deleted_at is not None, row.hidden, row.explicit),
            "marks": (row.archived, row.pinned, row.tags, row.reset_reason, row.notice, row.preview),
            "metadata": json.loads(row.metadata or "{}"),
            "messages": messages,
            "shown": shown,
            "summaries": [
                (c.text, c.stale, sum(m.row.seq <= c.through_seq for m in chunk.messages)) for c in record.compactions
            ],
            "queued": len(record.queued),
            "turns": [(t.state, t.reason, t.notice, t.usage) for t in chunk.turns],
            "media": len(chunk.blobs),
            "todo": record.todo and record.todo.state,
        }
        if usage:
            values["usage"] = sorted(
                (u.day, u.model, u.calls, u.input_tokens, u.output_tokens, u.cost) for u in record.usage
            )
        out.append(repr(values))
    return sorted(out)


def _name(store: Store, session_id: str) -> str:
    chunk = store.chunk(session_id, None, after=0, limit=1)
    return "".join(_text(m.row.seq, m.row.kind, m.row.at, m.row.body) for m in chunk.messages)


def _text(seq: int, kind: int, at: int, body: bytes) -> str:
    message = codec.restore(seq, kind, at, body)
    return f"{message.role}: {message.text}{message.tool_calls}{[str(part.parts) for part in message.tool_results]}"
