"""What a store keeps, as frozen values: the rows that operations read and write."""

from __future__ import annotations

import enum
from typing import Literal, TypeAlias

import msgspec

from palaver.media import Blob
from palaver.model import Message, Role, Wire

__all__ = [
    "ERASED",
    "GONE",
    "SUBAGENT",
    "Binding",
    "ChangeKind",
    "CompactionRow",
    "CutRow",
    "Draft",
    "Head",
    "Holder",
    "Kind",
    "SessionRow",
    "StoredMessage",
    "TodoRow",
    "TodoState",
    "TurnRow",
    "TurnState",
    "UsageRow",
    "VersionRow",
    "kind_of",
]


class Kind(enum.IntFlag):
    """What a store must know of a message without decoding it."""

    SYSTEM = 1
    DEVELOPER = 2
    USER = 3
    ASSISTANT = 4
    TOOL = 5
    ROLE = 7
    """Mask of the role."""
    UNSEEN = 8
    """Hidden or a command: never replayed to a model."""
    COPY = 16
    """Copied from another session: counts neither in usage nor in search."""
    MEDIA = 32
    """Refers to content that is kept out of line."""
    WIRE = 0xF00
    """Mask of the wire format, by its place in WIRES; 0: none, or one that the body names."""


_ROLES: dict[Role, int] = {"system": 1, "developer": 2, "user": 3, "assistant": 4, "tool": 5}
MOST = 0xFFFFFFFF
"""No session has more positions than this, and no read is asked for more rows."""
ROLE_MASK = 7
USER_KIND = 3
ERASED = "erase"
GONE = frozenset({"purge", ERASED})
"""Kinds of cuts whose messages are not stored any more."""
UNSEEN = 8
SUBAGENT = "subagent"
"""`parent_kind` of a session that a subagent of its parent has: it goes with that."""
COPY = 16
MEDIA = 32
WIRE_SHIFT = 8
WIRE_MASK = 15
WIRES: tuple[Wire | None, ...] = (
    None,
    "openai_chat",
    "openai_responses",
    "anthropic",
    "google",
    "bedrock",
    "mistral",
    "ollama",
    "cohere",
)
"""Wire formats that are kept as a number. Stored: only ever add at the end, at most 16."""
WIRE_NUMBERS: dict[Wire | None, int] = {wire: number for number, wire in enumerate(WIRES)}


def kind_of(message: Message) -> int:
    """The `Kind` of a message, as the plain number that stores keep, but for MEDIA."""
    kind = _ROLES[message.role]
    if message.flags and ("hidden" in message.flags or "command" in message.flags):
        kind |= UNSEEN
    if message.copied_from is not None:
        kind |= COPY
    if message.wire is not None:
        kind |= WIRE_NUMBERS.get(message.wire, 0) << WIRE_SHIFT
    return kind


class Draft(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A message on its way into a store: encoded, without what its row keeps (position, time, kind)."""

    body: msgspec.Raw
    """JSON, so that an operation written as JSON shows its messages and not base64."""
    kind: int
    id: str | None = None
    at: int | None = None
    """When it was made, in microseconds; None: at the time of the operation."""
    blobs: tuple[Blob, ...] = ()
    """The content that the message brings along. What it refers to besides must be there already."""


class StoredMessage(msgspec.Struct, frozen=True, gc=False):
    """One row of a transcript."""

    seq: int
    kind: int
    back: int
    """How far back the newest replayable user message at or before this one is; -1: there is none."""
    turn: int
    """How far back the first message of this message's turn is, plus 1; 0: it belongs to no turn."""
    at: int
    """When it was made, in microseconds."""
    body: bytes
    """JSON of the message without position, time and (where `kind` has it) wire; see `codec.restore`."""


class VersionRow(msgspec.Struct, frozen=True, gc=False):
    """What a message said before an edit."""

    version: int
    """The session's `rev` that the edit made: later versions have higher ones."""
    edited_at: int
    kind: int
    body: bytes


class SessionRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session, without what every append moves (see Head)."""

    number: int = 0
    """The store's own number; never reused."""
    id: str
    owner: str = ""
    created_at: int
    rev: int = 0
    explicit: bool = False
    """Made on purpose: stored before its first message, swept after an hour without one."""
    parent: str | None = None
    parent_kind: str | None = None
    reset_reason: str | None = None
    notice: str | None = None
    """JSON of the Notice that the first turn shall show; None once it was shown."""
    origin: str | None = None
    """JSON of the Origin that the session began with."""
    title: str | None = None
    preview: str | None = None
    metadata: str | None = None
    """JSON object."""
    tags: tuple[str, ...] = ()
    holds: tuple[tuple[str, int], ...] = ()
    """Name and end (microseconds) of each hold."""
    archived: bool = False
    pinned: bool = False
    hidden: bool = False
    ended_at: int | None = None
    end_reason: str | None = None
    deleted_at: int | None = None
    leading_seq: int = 0
    """The session begins with system or developer messages through this position."""
    cut_count: int = 0
    compaction: int = 0
    """Id of the newest compaction that is not stale; 0: none."""
    guarded_until: int = 0
    """Until then (microseconds) what comes is held against what was erased: of its key, or of its owner."""
    stored_at: int = 0
    """When this store got it, or got it back: for an imported conversation that is long after it was made."""
    title_source: str | None = None
    """`user` or `generated`: a generated title never takes the place of the user's own. None: nobody said."""
    settings: str | None = None
    """JSON of the `SessionSettings`: the model and where it is."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """Where a session stands: what every append moves."""

    last_seq: int = 0
    message_count: int = 0
    last_active: int = 0
    """Microseconds of the newest message; the creation time where there is none."""
    user_seq: int = 0
    """Position of the newest replayable user message; 0: there is none."""


class Binding(msgspec.Struct, frozen=True, gc=False):
    """What a key points at."""

    session: int
    previous: int = 0
    """The session that it pointed at before; 0: none."""
    since: int = 0


class Holder(msgspec.Struct, frozen=True, gc=False):
    """The process that holds a lease."""

    host: str
    pid: int
    started: str
    """When the process started, as its system tells it: a pid alone is reused."""
    instance: str = ""
    """Which of the process's open managers: one that was closed holds nothing any more."""


TurnState: TypeAlias = Literal["running", "finished", "interrupted", "rolled_back"]


class TurnRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn: from the message that began it to the reply."""

    session: int
    first_seq: int
    """Where the turn begins: at the message that began it, or the first of those that had waited. It names the turn in
    its session, and later turns have later ones."""
    message_seq: int = 0
    """Position of the message that began it."""
    steps_from: int = 0
    """Calls stored from here on may still be answered; those before were cut off, and the turn was taken over."""
    state: TurnState = "running"
    token: str = ""
    holder: Holder | None = None
    expires_at: int = 0
    began_at: int = 0
    ended_at: int | None = None
    end_seq: int = 0
    """Position of the turn's last message, once it has ended."""
    anchor: int = 0
    """Where the window began: the next turn's window begins there too, while it fits."""
    reason: str | None = None
    session_is_new: bool = False
    first_contact: bool = False
    taken: tuple[int, ...] = ()
    """Positions of the messages that had waited and that this turn took along."""
    notice: str | None = None
    """JSON of the notice that this turn shows."""
    budget: str | None = None
    """JSON of the budget of its window."""
    usage: str | None = None
    """JSON of the Usage that was reported when it ended."""
    calibration: str | None = None
    """JSON of what is known of the session's estimates of tokens (`palaver.tokens.Calibration`): while the turn runs
    what its window goes by, and once it has finished what the next one goes by."""


class CutRow(msgspec.Struct, frozen=True, gc=False):
    """A range of positions that is no longer live."""

    id: int
    from_seq: int
    through_seq: int
    kind: str
    """rollback, rewind, clear, delete, replace, truncate, or one of GONE."""
    rev: int
    last_seq: int
    """The session's last position when it was made: redo is possible while nothing came after."""
    lifted: int = 0
    """The `rev` of the redo that made what it covered live again; 0: it is in force."""


class CompactionRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A summary of everything from `from_seq` through `through_seq`."""

    id: int
    text: str
    from_seq: int
    through_seq: int
    previous: int = 0
    stale: int = 0
    """Id of the cut that changed what it covers, CHANGED or WITHDRAWN; 0: it still holds."""
    created_at: int = 0


CHANGED = -1
"""In `CompactionRow.stale`: no cut, but an edit or a redo changed what it covers, which nothing undoes."""
WITHDRAWN = -2
"""In `CompactionRow.stale`: its author took it back."""


class UsageRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one session used on one (UTC) day with one model."""

    session: int
    day: int
    """Days since 1970-01-01."""
    model: str = ""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_tokens: int = 0
    """Size of the last prompt."""
    cost: int = 0
    """Billionths of a US dollar, of the calls whose cost is known."""
    updated_at: int = 0
    priced: int = 0
    """How many of the calls have a cost that is known."""
    cost_source: str | None = None
    """Where the newest of these costs came from."""


TodoState: TypeAlias = Literal["waiting", "claimed", "done", "given_up"]


class TodoRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be done about a session before it is reset for good. A session has one at most."""

    session: int
    reason: str
    """Why the session is, or was, reset."""
    state: TodoState = "waiting"
    made_at: int = 0
    after_seq: int = 0
    """What an earlier to-do has dealt with ends here."""
    through_seq: int = 0
    """And what this one is about ends here."""
    failures: int = 0
    error: str | None = None
    """Why it failed last."""
    token: str = ""
    """Of the newest claim."""
    holder: Holder | None = None
    until: int = 0
    """Claimed: when the claim ends. Waiting: when it is due, which after a failure is not at once."""


class ChangeKind(enum.IntEnum):
    """What an operation did, for the change feed. Numbers are stored: never change one."""

    APPENDED = 1
    TURN_BEGUN = 2
    TURN_FINISHED = 3
    TURN_INTERRUPTED = 4
    TURN_ROLLED_BACK = 5
    CREATED = 6
    RESET = 7
    BOUND = 8
    ENDED = 9
    COMPACTED = 10
    CUT = 11
    PURGED = 12
    INFO = 13
    HELD = 14
    USAGE = 15
    TAKEN = 16
    REDONE = 17
    EDITED = 18
    DELETED = 19
    RESTORED = 20
    IMPORTED = 21
    ERASED = 30
    SWEPT = 31
    """By a sweep; the change after it says what was done: deleted, purged, or (archived) info."""
    EXPIRED = 32
    """By a sweep, because its reset policy says that it is over; its keys point at a new session."""
    TODO_ADDED = 33
    TODO_CLAIMED = 34
    TODO_DONE = 35
    TODO_FAILED = 36
    TODO_GIVEN_UP = 37
    REPAIRED = 40
