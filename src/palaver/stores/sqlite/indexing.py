"""How the search index follows the transcript: in steps, each a commit of its own.

No other write touches the index, but for a purge. Of a message it has the words, as `palaver.search` cuts them, and
what it can be narrowed by and never changes (owner, role, and the platform, agent and account that its session began
with).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from palaver import codec
from palaver.errors import CorruptRecord
from palaver.model import Message
from palaver.operations import Ledger, Operation
from palaver.rows import ROLE_MASK, ChangeKind, kind_of
from palaver.search import WORDS_VERSION, SearchQuery, Term, is_searchable, searched_text, words_of
from palaver.stores import views
from palaver.stores.searching import Candidate
from palaver.stores.sqlite.rows import LAST
from palaver.stores.statements import Row, Statements

__all__ = ["BEGINNINGS", "STEP", "STEP_BYTES", "Index", "Reindex", "State", "Step", "read_state", "says", "tag"]

STEP = 500
"""Messages that are taken in at once: others wait for about 20 ms to commit."""
STEP_BYTES = 1 << 20
"""The same, where messages are long."""
_STEP_CHANGES = 4_000
BEGINNINGS = {"platform": "p", "agent": "a", "account": "c"}

# Changes whose positions hold text that was there before, or is not any more.
_SAY_NOTHING = frozenset(
    {
        ChangeKind.CUT,
        ChangeKind.REDONE,
        ChangeKind.PURGED,
        ChangeKind.ERASED,
        ChangeKind.COMPACTED,
        ChangeKind.TAKEN,
    }
)


def says(kind: int, first: int) -> bool:
    """Whether a change tells of messages whose words are to be taken in."""
    return bool(first) and kind not in _SAY_NOTHING


class State(msgspec.Struct, frozen=True):
    """How far the index has come."""

    position: int
    """Every change up to this one is in it."""
    part: int
    """Of the next change, every message through this position."""
    walked: int | None
    """While it is built anew: every message through this id is in it. None: it follows the feed."""
    words: int
    """By which version text was cut."""


class Step(Operation, frozen=True, kw_only=True, tag="index"):
    """Take words into the index. The SQLite store's own business. Returns whether it was this step's turn."""

    before: State
    after: State
    put: tuple[tuple[int, str, str], ...]
    """Id, what it is narrowed by, words."""
    drop: tuple[int, ...]
    """Ids of messages that have nothing to be found by any more."""
    cost: int
    """Messages, and changes without any, that were looked at."""

    def apply(self, ledger: Ledger) -> bool:
        indexing: Any = ledger
        taken: bool = indexing.index(self)
        return taken


class Reindex(Operation, frozen=True, kw_only=True, tag="reindex"):
    """Throw the index away, to be built anew from the messages."""

    def apply(self, ledger: Ledger) -> None:
        indexing: Any = ledger
        indexing.reindex()


def tag(letter: str, value: str) -> str:
    """A word for a value of any form. Two values may share one: what is found is compared again."""
    return letter + hashlib.blake2b(value.encode(), digest_size=8).hexdigest()


class Index(ABC):
    """The index by one connection that reads, inside a snapshot of the caller's."""

    def __init__(self, sql: Statements, name: str) -> None:
        self._sql = sql
        self._name = name

    # ------------------------------------------------------------------ asking
    @abstractmethod
    def candidates(
        self, query: SearchQuery, terms: Sequence[Term], session: int | None, low: int, high: int, limit: int
    ) -> list[Candidate]:
        """Live matches, from the highest id down."""

    # ------------------------------------------------------------------ following
    def state(self) -> State:
        """How far it has come."""
        return read_state(self._sql)

    def behind(self) -> int:
        """How many changes are not in it; while it is built anew, about how many messages besides."""
        state = self._current()
        [(newest,)] = self._sql.all("highest_change")
        left: int = newest - state.position
        return left + self._unwalked(state)

    def _current(self) -> State:
        """How far it has come; nowhere, where text was cut otherwise."""
        state = self.state()
        return state if state.words == WORDS_VERSION else State(0, 0, 0, WORDS_VERSION)

    def _unwalked(self, state: State) -> int:
        """About how many messages are to be walked."""
        if state.walked is None:
            return 0
        messages: int = self._sql.all("messages_from", (state.walked >> 32,))[0][0]
        return max(1, messages)

    def is_lost(self) -> bool:
        """Whether it must be built anew: text is cut otherwise now, or the feed does not reach back so far."""
        state = self.state()
        pruned = self._sql.one("meta", ("pruned",))
        return state.words != WORDS_VERSION or (pruned is not None and state.position < int(pruned[0]))

    def step(self, limit: int, at: int, state: State | None = None) -> Step | None:
        """The next step, of at most so many messages; None: it has everything.

        `state`: how far it will have come by then, if it is not read.
        """
        state = state or self.state()
        size = min(limit, STEP)
        return self._walk(state, size, at) if state.walked is not None else self._follow(state, size, at)

    def _walk(self, state: State, size: int, at: int) -> Step:
        batch = _Batch(self._scope, size)
        rows = self._sql.all("check_bodies", (state.walked, size))
        walked = batch.take(rows)
        after = msgspec.structs.replace(state, walked=walked)
        return Step(at=at, before=state, after=after, put=tuple(batch.put), drop=(), cost=max(1, len(batch.put)))

    def _follow(self, state: State, size: int, at: int) -> Step | None:
        changes = self._sql.all("index_changes", (state.position, _STEP_CHANGES))
        if not changes:
            return None
        changes = self._read_ahead(changes, state.part, size)
        batch = _Batch(self._scope, size)
        position, part, looked = state.position, state.part, 0
        for place, number, kind, first, last in changes:
            if batch.is_full:
                break
            looked += 1
            if says(kind, first):
                base = number << 32
                rows = self._bodies(place, base | max(first, part + 1), base | last, batch.room)
                done = batch.take(rows, drop=kind == ChangeKind.EDITED)
                if done is not None:  # more of this change is to come
                    part = done & LAST
                    break
            position, part = place, 0
        after = msgspec.structs.replace(state, position=position, part=part)
        cost = max(1, len(batch.put) + looked // 8)
        return Step(at=at, before=state, after=after, put=tuple(batch.put), drop=tuple(batch.drop), cost=cost)

    def _read_ahead(self, changes: list[Row], part: int, size: int) -> list[Row]:
        """The changes to go through in this step; a store that is far away reads what they tell of at once."""
        del part, size
        return changes

    def _bodies(self, place: int, low: int, high: int, limit: int) -> Iterable[Row]:
        """Messages of the change at this position, between two ids."""
        del place
        return self._sql.all("bodies_from", (low, high, limit))

    def _scope(self, number: int) -> Row | None:
        """Owner and origin of a session."""
        return self._sql.one("session_scope", (number,))


class _Batch:
    """Messages on their way into the index."""

    def __init__(self, scope: Callable[[int], Row | None], size: int) -> None:
        self._scope = scope
        self._size = size
        self._bytes = 0
        self._looked = 0
        self._tags: dict[int, str] = {}
        self.put: list[tuple[int, str, str]] = []
        self.drop: list[int] = []

    @property
    def room(self) -> int:
        return max(1, self._size - self._looked)

    @property
    def is_full(self) -> bool:
        return self._looked >= self._size or self._bytes >= STEP_BYTES

    def take(self, rows: Iterable[Row], *, drop: bool = False) -> int | None:
        """Take messages (id, kind, body) while there is room; gives the last id taken if there may be more."""
        last: int | None = None
        for place, kind, body in rows:
            self._looked += 1
            self._bytes += len(body)
            last = place
            text = _text(kind, body)
            if text:
                self.put.append((place, f"{self._tag_of(place >> 32)} {_ROLES[kind & ROLE_MASK]}", text))
            elif drop:
                self.drop.append(place)
            if self.is_full:
                return last
        return None

    def _tag_of(self, number: int) -> str:
        tags = self._tags.get(number)
        if tags is None:
            row = self._scope(number)
            owner, origin = row if row is not None else ("", None)
            began = [tag(BEGINNINGS[name], value) for name, value in views.beginning(origin).items()]
            tags = self._tags[number] = " ".join((tag("o", owner), *began))
        return tags


_ROLES = {kind_of(Message(role=role)): tag("r", role) for role in ("system", "developer", "user", "assistant", "tool")}


def _text(kind: int, body: bytes) -> str:
    """The words of a message, as FTS5 is given them; nothing for one that is not to be found."""
    if not is_searchable(kind):
        return ""
    try:
        return " ".join(words_of(searched_text(codec.decode(body))))
    except CorruptRecord:  # reported by whoever reads it, and by `check`
        return ""


def read_state(sql: Statements) -> State:
    """How far the index has come, as any connection sees it."""
    row = sql.one("search_state")
    if row is None:
        raise AssertionError("search_state has one row, from the first migration on")
    return State(*row)
