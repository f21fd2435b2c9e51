"""What the server answers. Every field is always there, except where it says what it is only there for."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from palaver.aio import AsyncTurn
from palaver.errors import UnsupportedFormat
from palaver.exchanges import Repair
from palaver.formats import Rendered, wires
from palaver.info import Notice, SessionInfo, Summary
from palaver.keys import Origin
from palaver.media import has_media, set_aside
from palaver.model import Message, Usage
from palaver.search import SearchHit
from palaver.server.reading import Cleaned
from palaver.stores.base import Change, UsageLine
from palaver.window import Omitted, Window

__all__ = [
    "Appended",
    "Compacted",
    "Edited",
    "Events",
    "Health",
    "HitDocument",
    "Hits",
    "Inbox",
    "Media",
    "Messages",
    "OpenTurnDocument",
    "OpenTurns",
    "Payload",
    "PayloadRepair",
    "Rewound",
    "SessionDocument",
    "SessionPage",
    "TurnDocument",
    "UsageDocument",
    "UsageReport",
    "Versions",
    "WindowAnswer",
    "WindowDocument",
    "hit_document",
    "named",
    "payload",
    "require_wire",
    "session_document",
    "turn_document",
    "usage_document",
    "window_document",
]

TurnStateName = Literal["running", "finished", "interrupted", "rolled_back", "queued"]


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    repairs: tuple[Cleaned, ...] | UnsetType = UNSET
    """Only where the request held text that had to be mended: where, and how."""


class SessionDocument(SessionInfo, frozen=True, kw_only=True, omit_defaults=False):
    """One conversation, as it was when it was read. Times are UTC; counts are of live messages."""

    repairs: tuple[Cleaned, ...] | UnsetType = UNSET
    """Only where the request held text that had to be mended: where, and how."""


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Content that is kept out of line."""

    address: str
    size: int
    """Bytes."""
    data: str
    """Base64."""


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions, newest activity first."""

    sessions: tuple[SessionDocument, ...]
    next: str | None
    """Give it as `after` for the next page; null: this is the last one."""


class WindowDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may see of a session, and what was done to make it so."""

    messages: tuple[Message, ...]
    """The instructions, the summary (without seq), then the exchanges."""
    head_count: int
    """How many messages stand before the first exchange."""
    tokens: int
    """Size in tokens, estimated where nobody counted."""
    repairs: tuple[Repair, ...]
    omitted: tuple[Omitted, ...]
    pending: tuple[Message, ...]
    """The running turn's last exchange, held back until all of its calls are answered."""
    anchor: int | None


class PayloadRepair(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a payload says otherwise than the messages it was made from."""

    kind: str
    seq: int
    detail: str


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The window in a provider's format."""

    wire: str
    system: Any
    """The system prompt of a wire that has it apart; null where it is among the messages."""
    messages: list[Any]
    repairs: tuple[PayloadRepair, ...]


class WindowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A session's window."""

    session_id: str
    window: WindowDocument
    payload: Payload | UnsetType = UNSET
    """Only where the request names a wire."""


class TurnDocument(_Answer, frozen=True, kw_only=True):
    """A turn: from the message that began it to the reply."""

    id: str | None
    """Names the turn, and is the right to go on with it, also after a restart of the server; null: no turn yet."""
    state: TurnStateName
    session_id: str
    seq: int
    """Position of the message that began the turn, or that waits."""
    origin: Origin | None
    session_is_new: bool
    first_contact: bool
    taken_over: bool
    """The message began this turn before, and it was interrupted: the window shows how far it came."""
    replayed: bool
    """The turn is over: `reply` and `messages` say how, and there is nothing to do."""
    queued: bool
    """Another turn runs: the message is stored, and waits for it or for the next one."""
    notice: Notice | None
    """What to say about a reset, to the model and to the person."""
    context: str
    """The section for the system prompt: where this conversation takes place."""
    message: Message | None
    reply: Message | None
    usage: Usage | None
    """What was reported when the turn was finished."""
    messages: tuple[Message, ...]
    """What the turn stored: of a turn that is over all of it, else what this request knows of."""
    window: WindowDocument | None
    """What the model may see now; null where the turn is over or has not begun."""
    waiting: int | UnsetType = UNSET
    """Only in the answer that ends the turn: how many messages wait for the next one."""
    payload: Payload | UnsetType = UNSET
    """Only where the request says `render`."""


class Appended(_Answer, frozen=True, kw_only=True):
    """Where messages came to stand."""

    session_id: str
    seqs: tuple[int, ...]
    """In the order they were given; a duplicate has its first position."""
    last_seq: int
    fresh: bool
    """Whether anything was stored that was not there before."""


class Compacted(_Answer, frozen=True, kw_only=True):
    """A summary that stands for messages now."""

    summary: Summary


class Edited(_Answer, frozen=True, kw_only=True):
    """A message that was edited, as it is now."""

    message: Message


class Rewound(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken back."""

    messages: tuple[Message, ...]
    """They are live no more, and still stored."""


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """What a message said before each of its edits, oldest first."""

    messages: tuple[Message, ...]
    corrupt: tuple[int, ...]
    """Its position, once for each version that cannot be decoded."""


class Messages(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a transcript, in order."""

    messages: tuple[Message, ...]
    next: int | None
    """Give it as `after` (as `before`, where the newest were asked for); null: there is no more."""
    corrupt: tuple[int, ...]
    """Positions on this page whose records cannot be decoded: their messages are missing, and all others are here."""


class HitDocument(SearchHit, frozen=True, kw_only=True, omit_defaults=False):
    """A message that was found. `highlights` are begin and end, in characters of `snippet`."""


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found, the best first."""

    hits: tuple[HitDocument, ...]
    next: str | None
    """Give it as `cursor` for the next page; null: there is no more."""
    behind: int
    """How many changes of the store the search index did not know yet: of them, something may be missing."""


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that came while a turn runs, and wait."""

    messages: tuple[Message, ...]


class OpenTurnDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that began and has not ended."""

    id: str | None
    """What the turn is gone on with, or ended. For the operator only, as it is that right; null for an owner."""
    session_id: str
    owner: str | None
    first_seq: int
    """Position that the turn begins at."""
    began_at: datetime
    expires_at: datetime
    """When its lease ends, unless a sign of life renews it."""
    alive: bool
    """Whether its lease still holds. False: it was interrupted, and the session's next turn closes it."""


class OpenTurns(msgspec.Struct, frozen=True, kw_only=True):
    """Turns that have not ended, oldest first."""

    turns: tuple[OpenTurnDocument, ...]


class UsageDocument(UsageLine, frozen=True, kw_only=True, omit_defaults=False):
    """What was used; the session, owner, day or model is null where the line sums several up."""


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was used: days in order, of other things those with most tokens first."""

    lines: tuple[UsageDocument, ...]


def usage_document(line: UsageLine) -> UsageDocument:
    """A line as the API shows it."""
    return UsageDocument(**msgspec.structs.asdict(line))


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Committed changes after a cursor: every one once, in order within each session."""

    events: tuple[Change, ...]
    cursor: str | None
    """Give it as `after` to go on from here; null: nothing ever happened."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The server answers, and its store can be read."""

    status: Literal["ok"]
    version: str


def session_document(info: SessionInfo, cleaned: tuple[Cleaned, ...] = ()) -> SessionDocument:
    """A session as the server answers it."""
    fields = {name: getattr(info, name) for name in SessionInfo.__struct_fields__}
    return SessionDocument(**fields, repairs=cleaned or UNSET)


def hit_document(hit: SearchHit) -> HitDocument:
    """A hit as the server answers it."""
    fields = {name: getattr(hit, name) for name in SearchHit.__struct_fields__ if name != "messages"}
    return HitDocument(**fields, messages=tuple(map(named, hit.messages)))


def named(message: Message) -> Message:
    """A message as the server answers it: large content by its address; the route of media has the bytes."""
    return set_aside(message)[0] if has_media(message) else message


def window_document(window: Window) -> WindowDocument:
    """A window as the server answers it."""
    return WindowDocument(
        messages=tuple(map(named, window.messages)),
        head_count=window.head_count,
        tokens=window.tokens,
        repairs=window.repairs,
        omitted=window.omitted,
        pending=tuple(map(named, window.pending)),
        anchor=window.anchor,
    )


def require_wire(wire: str | None) -> None:
    """Refuse a wire that nothing could be rendered for, before anything is stored. Raises UnsupportedFormat."""
    if wire is not None and wire not in wires():
        msg = f"the wire format {wire!r} is not known; known are {', '.join(wires())}"
        raise UnsupportedFormat(msg)


def payload(window: Window, wire: str | None) -> Payload | UnsetType:
    """A window in a provider's format, where one is named. Raises UnsupportedFormat."""
    if wire is None:
        return UNSET
    made: Rendered = window.render(wire)
    repairs = tuple(PayloadRepair(kind=each.kind, seq=each.seq, detail=each.detail) for each in made.repairs)
    return Payload(wire=wire, system=made.system, messages=made.messages, repairs=repairs)


def turn_document(
    turn: AsyncTurn,
    *,
    wire: str | None = None,
    ending: bool = False,
    cleaned: tuple[Cleaned, ...] = (),
) -> TurnDocument:
    """A turn as the server answers it; `ending`: this request ends it. Raises UnsupportedFormat."""
    state: Any = turn.state
    window = None if turn.ended else turn.window
    return TurnDocument(
        id=turn.id,
        state=state,
        session_id=turn.session_id,
        seq=turn.seq,
        origin=turn.origin,
        session_is_new=turn.session_is_new,
        first_contact=turn.first_contact,
        taken_over=turn.taken_over,
        replayed=turn.replayed,
        queued=turn.queued,
        notice=turn.notice,
        context=turn.context,
        message=named(turn.message) if turn.message is not None else None,
        reply=named(turn.reply) if turn.reply is not None else None,
        usage=turn.usage,
        messages=tuple(map(named, turn.messages)),
        window=None if window is None else window_document(window),
        waiting=turn.waiting if ending else UNSET,
        payload=UNSET if window is None else payload(window, wire),
        repairs=cleaned or UNSET,
    )
