"""Operations on sessions and on the keys that point at them."""

from __future__ import annotations

import msgspec

from palaver import codec
from palaver.endpoints import ModelSettings, admitted
from palaver.errors import ContentErased, CorruptRecord, InvalidMessage, SessionConflict
from palaver.operations.base import (
    KeyMoved,
    Operation,
    append,
    bump,
    close_turn,
    guard,
    open_session,
    require_rev,
    require_text,
)
from palaver.operations.ledger import Ledger
from palaver.operations.titles import TitleSource, free_title, is_own, retitle
from palaver.operations.todos import add_todo
from palaver.rows import SUBAGENT, Binding, ChangeKind, CompactionRow, Draft, Head, SessionRow

__all__ = ["Bind", "Create", "Hold", "NewSession", "Rotate", "Rotated", "SetInfo", "add_session", "bind"]


class NewSession(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session to make. JSON texts where the row has JSON texts."""

    id: str
    explicit: bool = False
    origin: str | None = None
    title: str | None = None
    title_source: TitleSource | None = "user"
    title_numbered: bool = False
    """Where another session has the title: take the next number of it that is free."""
    model: ModelSettings | None = None
    metadata: str | None = None
    parent: str | None = None
    parent_kind: str | None = None
    reset_reason: str | None = None
    notice: str | None = None
    hidden: bool = False
    created_at: int | None = None
    """When the conversation began elsewhere, in microseconds; None: it begins now."""
    carried: tuple[Draft, ...] = ()
    """Copies of messages of the parent, which the session begins with."""
    summary: str | None = None
    """The parent's summary, where it is carried over."""


class Create(Operation, frozen=True, kw_only=True, tag="create"):
    """Make a session on purpose, under a key or under none.

    With a key that already points at a session: SessionConflict, whose `actual` is that session's id.
    A caller's own `alias` for it must be new to the owner too. The session of a subagent belongs to the owner of its
    parent, which must be there: SessionNotFound.
    """

    owner: str | None = None
    key: str | None = None
    alias: str | None = None
    new: NewSession

    def apply(self, ledger: Ledger) -> SessionRow:
        owner = self.owner or ""
        if self.key is not None:
            bound = ledger.binding(owner, self.key)
            if bound is not None:
                actual = ledger.session(bound.session).id
                msg = f"key {self.key!r} points at session {actual!r} already: get it, or reset the key"
                raise SessionConflict(msg, expected=None, actual=actual)
        if self.new.parent is not None and self.new.parent_kind == SUBAGENT:
            owner = open_session(ledger, self.new.parent, self.owner).owner
        row = add_session(ledger, self.new, owner, self.at)
        if self.key is not None:
            row = bind(ledger, owner, self.key, row, row.created_at)
        require_text(self.alias, "alias")
        if self.alias is not None:
            known = ledger.alias(owner, self.alias)
            if known is not None:
                actual = ledger.session(known).id
                msg = f"alias {self.alias!r} names session {actual!r} already: choose another, or get that session"
                raise SessionConflict(msg, expected=None, actual=actual)
            ledger.put_alias(owner, self.alias, row.number)
        return ledger.session(row.number)


class Rotated(msgspec.Struct, frozen=True, gc=False):
    """A reset: the session that was left, and the new one."""

    left: str | None
    session: str


class Rotate(Operation, frozen=True, kw_only=True, tag="rotate"):
    """Point a key, or all keys of its session, at a new session. The old one stays, linked as the parent.

    It ends with its last key. A turn that runs in a session that ends is closed as interrupted. Raises
    SessionConflict unless the key (or, without a key, some key) still points at `session_id`, and where a summary is
    carried over that is its newest no more.
    """

    owner: str | None = None
    key: str | None = None
    session_id: str | None = None
    all_keys: bool = False
    new: NewSession
    unless_message: str | None = None
    """Do nothing if the session holds a message with this id: it is a redelivery, which must not reset anything."""

    expected_seq: int | None = None
    """The last position that a policy decided by: KeyMoved if a message came or a turn began since then."""

    before_reset: bool = False
    """Whether a session that ends by this leaves a to-do behind."""

    def apply(self, ledger: Ledger) -> Rotated:
        old = self._old(ledger)
        if old is not None and self.expected_seq is not None:
            turn = ledger.last_turn(old.number)
            running = turn is not None and turn.state == "running" and turn.expires_at > ledger.now(self.at)
            running = running and turn is not None and ledger.alive(turn.holder)
            held = any(until > self.at for _, until in old.holds)
            if running or held or ledger.head(old.number).last_seq != self.expected_seq:
                msg = f"session {old.id!r} is in use again: read it again and decide anew"
                raise KeyMoved(msg, expected=self.expected_seq, actual=ledger.head(old.number).last_seq)
        if old is not None and self._redelivered(ledger, old):
            return Rotated(None, old.id)
        if old is not None and self.new.summary is not None:
            self._require_summary(ledger, old)
        owner = (self.owner or "") if old is None else old.owner
        keys: tuple[tuple[str, str], ...]
        if old is None:
            keys = ((owner, self.key or ""),)
        elif self.all_keys or self.key is None:
            keys = ledger.keys(old.number)
        else:
            keys = ((owner, self.key),)
        row = add_session(ledger, self.new, owner, self.at)
        for _, key in keys:
            row = bind(ledger, owner, key, row, self.at, reason="reset")
        ledger.add_change(row.number, row.rev, ChangeKind.RESET)
        if self.before_reset and old is not None:
            left = ledger.session(old.number)
            if left.ended_at is not None:  # else it goes on under another key
                add_todo(ledger, left, self.new.reset_reason or "manual", self.at)
        return Rotated(old.id if old is not None else None, row.id)

    def _require_summary(self, ledger: Ledger, old: SessionRow) -> None:
        """What is carried over is what stands now: what a summary tells of may have been erased since it was read."""
        newest = next((c for c in ledger.compactions(old.number) if c.id == old.compaction), None)
        if newest is None or newest.text != self.new.summary:
            msg = f"the summary of session {old.id!r} was taken away or made anew: read it again and retry"
            raise KeyMoved(msg, expected=self.new.summary, actual=newest.text if newest is not None else None)

    def _redelivered(self, ledger: Ledger, old: SessionRow) -> bool:
        if self.unless_message is None:
            return False
        bound = ledger.binding(self.owner or "", self.key) if self.key is not None else None
        numbers = (old.number, bound.previous if bound is not None else 0)
        return any(n and ledger.message_seq(n, self.unless_message) is not None for n in numbers)

    def _old(self, ledger: Ledger) -> SessionRow | None:
        if self.key is None:
            row = open_session(ledger, self.session_id or "", self.owner, writing=True)
            if not ledger.keys(row.number):
                msg = f"no key points at session {row.id!r}: there is nothing to reset"
                raise SessionConflict(msg)
            return row
        binding = ledger.binding(self.owner or "", self.key)
        actual = ledger.session(binding.session) if binding is not None else None
        if (actual.id if actual is not None else None) != self.session_id:
            found = actual.id if actual is not None else None
            msg = f"key {self.key!r} points at session {found!r}, not {self.session_id!r}: read it again and retry"
            raise KeyMoved(msg, expected=self.session_id, actual=found)
        return actual


class Bind(Operation, frozen=True, kw_only=True, tag="bind"):
    """Point a key at a session that exists: resume it on this channel. An ended session is reopened.

    The session that the key leaves ends if that was its last key. Nothing happens if the key points there already.
    """

    owner: str | None = None
    key: str
    session_id: str

    def apply(self, ledger: Ledger) -> SessionRow:
        row = open_session(ledger, self.session_id, self.owner)
        bound = ledger.binding(row.owner, self.key)
        if bound is not None and bound.session == row.number and row.ended_at is None:
            return row
        row = bump(ledger, row, ended_at=None, end_reason=None)
        row = bind(ledger, row.owner, self.key, row, self.at, reason="switch")
        ledger.add_change(row.number, row.rev, ChangeKind.BOUND)
        return row


class SetInfo(Operation, frozen=True, kw_only=True, tag="set_info"):
    """Change what is kept about a session; what is not given stays as it is.

    `metadata` is a JSON object that is merged: a null removes its key. A title that another session of the owner has
    is a SessionConflict, whose `actual` is that session's id; None takes the title away.
    """

    owner: str | None = None
    session_id: str
    metadata: str | None = None
    title: str | msgspec.UnsetType | None = msgspec.UNSET
    title_source: TitleSource = "user"
    title_numbered: bool = False
    model: ModelSettings | msgspec.UnsetType | None = msgspec.UNSET
    """In the place of what was set before; None takes it away."""
    tags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    archived: bool | msgspec.UnsetType = msgspec.UNSET
    pinned: bool | msgspec.UnsetType = msgspec.UNSET
    hidden: bool | msgspec.UnsetType = msgspec.UNSET
    expected_rev: int | None = None

    def apply(self, ledger: Ledger) -> SessionRow:
        row = open_session(ledger, self.session_id, self.owner)
        require_rev(row, self.expected_rev)
        changes: dict[str, object] = {
            name: value
            for name in ("tags", "archived", "pinned", "hidden")
            if (value := getattr(self, name)) is not msgspec.UNSET and value != getattr(row, name)
        }
        if self.metadata is not None:
            changes["metadata"] = _merged_metadata(row.metadata, self.metadata)
        if self.tags is not msgspec.UNSET:
            for tag in self.tags:
                require_text(tag, "tag")
        if self.model is not msgspec.UNSET:
            settings = admitted(self.model) if self.model is not None else None
            changes |= {"settings": settings} if settings != row.settings else {}
        changes.update(self._titled(ledger, row))
        if changes:
            row = bump(ledger, row, **changes)
            ledger.add_change(row.number, row.rev, ChangeKind.INFO)
        return row

    def _titled(self, ledger: Ledger, row: SessionRow) -> dict[str, object]:
        """What changes of the title."""
        if self.title is msgspec.UNSET or (self.title_source == "generated" and is_own(row)):
            return {}
        title = self.title or None
        source = self.title_source if title is not None else None
        if (title, source) == (row.title, row.title_source):
            return {}
        return {"title": retitle(ledger, row, title, numbered=self.title_numbered), "title_source": source}


def _merged_metadata(metadata: str | None, given: str) -> str | None:
    try:
        kept = msgspec.json.decode(metadata or "{}", type=dict[str, object])
    except msgspec.MsgspecError as exc:
        msg = (
            "the metadata of this session cannot be decoded, and it is not written over: "
            "`palaver check --repair` sets it aside"
        )
        raise CorruptRecord(msg, location="metadata", excerpt=str(exc)[:80]) from exc
    try:
        changes = msgspec.json.decode(given, type=dict[str, object])
    except msgspec.MsgspecError as exc:
        msg = f"metadata is no JSON object: {exc}"
        raise InvalidMessage(msg) from exc
    for name, value in changes.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value
    return codec.json_text(kept, "metadata") if kept else None


class Hold(Operation, frozen=True, kw_only=True, tag="hold"):
    """Keep a session from being reset until a time, or (`until` None) release the hold of that name.

    Holds that have expired are dropped on the way, so none lasts for ever.
    """

    owner: str | None = None
    session_id: str
    name: str
    until: int | None

    def apply(self, ledger: Ledger) -> SessionRow:
        row = open_session(ledger, self.session_id, self.owner)
        require_text(self.name, "hold")
        if not self.name:
            msg = "a hold needs a name: it is what releases it"
            raise InvalidMessage(msg)
        holds = {name: until for name, until in row.holds if until > self.at}
        if self.until is None:
            holds.pop(self.name, None)
        else:
            holds[self.name] = self.until
        row = bump(ledger, row, holds=tuple(sorted(holds.items())))
        ledger.add_change(row.number, row.rev, ChangeKind.HELD)
        return row


def add_session(ledger: Ledger, new: NewSession, owner: str, at: int) -> SessionRow:
    """Make a session. One with carried messages or a carried summary holds them from the start."""
    for text, what in ((new.id, "session id"), (owner, "owner"), (new.title, "title"), (new.parent, "parent")):
        require_text(text, what)
    if ledger.find(new.id) is not None:
        msg = f"session id {new.id!r} is taken"
        raise SessionConflict(msg, actual=new.id)
    began = at if new.created_at is None else min(new.created_at, at)
    title = new.title
    if title is not None:
        title = free_title(ledger, owner, title, numbered=new.title_numbered)
    row = ledger.add_session(
        SessionRow(
            id=new.id,
            owner=owner,
            created_at=began,
            stored_at=at,
            explicit=new.explicit,
            origin=new.origin,
            title=title,
            title_source=new.title_source if title is not None else None,
            settings=admitted(new.model) if new.model is not None else None,
            metadata=new.metadata,
            parent=new.parent,
            parent_kind=new.parent_kind,
            reset_reason=new.reset_reason,
            notice=new.notice,
            hidden=new.hidden,
        ),
        Head(last_active=began),
    )
    if new.summary is not None:
        ledger.put_compactions(
            row.number,
            (CompactionRow(id=1, text=new.summary, from_seq=0, through_seq=0, created_at=at),),
        )
        row = msgspec.structs.replace(row, compaction=1)
        ledger.put_session(row)
    ledger.add_change(row.number, row.rev, ChangeKind.CREATED)
    row = guard(ledger, row, at, "owner", owner)
    if new.carried:
        try:
            done = append(ledger, row, new.carried, at)
        # What is to be copied was erased, or an image in it was purged, since it was read.
        except (ContentErased, InvalidMessage) as error:
            raise KeyMoved(str(error), expected=new.parent, actual=None) from error
        row = ledger.session(row.number)
        ledger.add_change(row.number, row.rev, ChangeKind.APPENDED, 1, done.last_seq)
    return row


def bind(ledger: Ledger, owner: str, key: str, row: SessionRow, at: int, reason: str = "switch") -> SessionRow:
    """Point a key at a session, and give its row as it is then; the one it leaves ends if that was its last key."""
    require_text(key, "key")
    bound = ledger.binding(owner, key)
    if bound is not None and bound.session == row.number:
        return row
    previous = bound.session if bound is not None else 0
    row = guard(ledger, row, at, "key", owner, key)
    ledger.put_binding(owner, key, Binding(row.number, previous, at))
    if previous and not ledger.keys(previous):
        left = ledger.session(previous)
        turn = ledger.last_turn(previous)
        if turn is not None and turn.state == "running":
            close_turn(ledger, turn, "interrupted", at, reason=f"the session ended ({reason})")
            ledger.add_change(previous, left.rev, ChangeKind.TURN_INTERRUPTED)
        left = bump(ledger, left, ended_at=at, end_reason=reason)
        ledger.add_change(previous, left.rev, ChangeKind.ENDED)
    return row
