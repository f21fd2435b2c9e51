"""The flow of a turn: from an inbound message to a lease, a window and a context."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from palaver import codec, context, reset
from palaver.budget import Budget, calibrated
from palaver.core import Core, Target
from palaver.errors import PalaverError, SessionBusy, SessionNotFound, StoreError, TurnLost
from palaver.flows import media
from palaver.flows.drafting import drafts
from palaver.flows.history import calibration_of, copies, widen
from palaver.info import Notice, SessionInfo
from palaver.keys import Origin
from palaver.media import restored
from palaver.model import Message, Usage
from palaver.operations import (
    Append,
    Appended,
    Begin,
    Begun,
    Finish,
    Finished,
    KeyMoved,
    Lease,
    NewSession,
    Renew,
    Rotate,
    Take,
)
from palaver.rows import Draft, TurnRow, TurnState
from palaver.steps import Flow, Pause, call, commit, write
from palaver.stores.base import WholeTurn
from palaver.times import from_micros
from palaver.window import Tail, Window

__all__ = [
    "Began",
    "OnBusy",
    "append",
    "begin",
    "finish",
    "get",
    "give_up",
    "inbox",
    "lease_of",
    "renew",
    "turn_id",
    "with_lease",
]

OnBusy: TypeAlias = Literal["wait", "raise", "store"]
_TRIES = 50
_SEQ_DIGITS = 10
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


class Began(msgspec.Struct, kw_only=True):
    """What a turn starts from."""

    kind: str
    session_id: str
    seq: int
    origin: Origin | None
    token: str = ""
    turn: TurnRow | None = None
    messages: tuple[Message, ...] = ()
    """The message that began the turn, as stored, and those that had waited; of a replayed turn all of its messages."""
    tail: Tail = Tail()
    window: Window = Window()
    budget: Budget = Budget()
    media: dict[str, str] = {}  # msgspec gives each its own copy
    """Base64 of what the window's messages refer to, by address."""
    has_media: bool = False
    context: Callable[[], str] = str
    """Writes the section for the system prompt, for whom it is wanted."""
    notice: Notice | None = None
    session_is_new: bool = False
    first_contact: bool = False


def begin(
    core: Core,
    target: Target | None,
    session_id: str | None,
    message: Message | None,
    *,
    on_busy: OnBusy,
    timeout: float | None,
    lease: timedelta | None,
    budget: Budget | None,
    new: NewSession | None = None,
) -> Flow[Began]:
    """Begin a turn under a key (target) or in a session; `new` is what a handle promised to make there.

    What another process changes between the read and the commit is found by the commit, which then did nothing, and
    everything is read again.
    """
    if on_busy not in get_args(OnBusy):
        raise ValueError(f"on_busy is {on_busy!r}; use 'wait', 'raise' or 'store'")
    given = lease_of(core, lease)
    draft = (yield from drafts((message,)))[0] if message is not None else None
    wanted = _Wanted(
        target=target,
        key=core.key(target) if target is not None else None,
        session_id=session_id,
        message=message,
        draft=draft,
        lease=given,
        on_busy="store" if on_busy == "store" else "raise",
        new=new,
        budget=budget or core.settings.budget,
    )
    deadline = time.monotonic() + timeout if timeout is not None else None
    pause = _SHORTEST_PAUSE
    may_reset = True
    tries = 0
    while True:
        current, operations = yield from _prepare(core, wanted, may_reset=may_reset)
        outcomes = yield from _try(core, wanted, operations)
        outcome = outcomes[-1]
        if isinstance(outcome, Begun):
            break
        if isinstance(outcome, KeyMoved) and tries < _TRIES:
            tries += 1
            # A redelivered message resets nothing: its session is then still the key's.
            may_reset = may_reset and (len(operations) == 1 or isinstance(outcomes[0], PalaverError))
        elif isinstance(outcome, SessionBusy) and on_busy == "wait":
            if deadline is not None and time.monotonic() >= deadline:
                raise outcome
            yield Pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            raise outcome
    origin = target if isinstance(target, Origin) else None
    if outcome.kind in ("replayed", "stored"):
        return (yield from _without_lease(core, outcome, origin))
    token = wanted.lease.token
    try:
        return (yield from with_lease(core, outcome, origin, current, token, wanted.budget))
    except BaseException as error:  # the lease must not outlive a turn that nobody got
        yield from give_up(core, outcome.session_id, token, f"it could not begin: {type(error).__name__}")
        raise


def lease_of(core: Core, lease: timedelta | None) -> Lease:
    """A new lease of that length, or of the settings'. Raises TypeError, ValueError."""
    if lease is not None and not isinstance(lease, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"lease is {lease!r}; give a timedelta, such as timedelta(minutes=10)")
    if lease is not None and lease <= timedelta(0):
        raise ValueError(f"lease is {lease}; it has to be longer than nothing, such as timedelta(minutes=10)")
    return Lease(core.token(), (lease or core.settings.lease) // timedelta(microseconds=1), core.holder())


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What `begin` was asked for, as each try needs it."""

    target: Target | None
    key: str | None
    session_id: str | None
    message: Message | None
    draft: Draft | None
    lease: Lease
    on_busy: Literal["raise", "store"]
    new: NewSession | None
    budget: Budget


def _prepare(core: Core, wanted: _Wanted, *, may_reset: bool) -> Flow[tuple[SessionInfo | None, list[Rotate | Begin]]]:
    """The key's session as it is now, and the operations that begin a turn there."""
    current: SessionInfo | None = None
    rotation: Rotate | None = None
    create: NewSession | None = None
    session_id = wanted.session_id
    key = wanted.key
    if key is not None:
        now = core.now()
        current = yield from call(core.store.current, core.key_owner, key, now)
        session_id = current.id if current is not None else None
        if current is None:
            create = yield from _first_session(core, wanted.target, now)
            if wanted.new is not None:
                create = msgspec.structs.replace(create, id=wanted.new.id, origin=wanted.new.origin)
        elif may_reset and wanted.message is not None:
            rotation = yield from _rotation(core, wanted.target, key, current, wanted.message, now)
    begin_it = Begin(
        at=core.at(),
        owner=core.owner,
        key=key,
        session_id=rotation.new.id if rotation is not None else session_id,
        create=create,
        message=wanted.draft,
        lease=wanted.lease,
        on_busy=wanted.on_busy,
        budget=msgspec.json.encode(wanted.budget).decode(),
    )
    return current, [begin_it] if rotation is None else [rotation, begin_it]


def _try(core: Core, wanted: _Wanted, operations: list[Rotate | Begin]) -> Flow[list[Any]]:
    try:
        return (yield from commit(*operations))
    except StoreError:
        raise
    except BaseException:  # cancelled: if the turn began, nobody has got it, and nobody would end it
        begun = operations[-1]
        made = begun.session_id or ""
        if isinstance(begun, Begin) and begun.create is not None:
            made = begun.create.id
        yield from give_up(core, made, wanted.lease.token, "it was cancelled while it began")
        raise


def give_up(core: Core, session_id: str, token: str, reason: str) -> Flow[None]:
    """End a turn that nobody got; whether it began is not known, so that TurnLost is an answer too."""
    with suppress(StoreError):  # what brought us here is told, and the lease runs out by itself
        yield from commit(
            Finish(
                at=core.at(), owner=core.owner, session_id=session_id, token=token, state="interrupted", reason=reason
            )
        )


def _first_session(core: Core, target: Target | None, now: datetime) -> Flow[NewSession]:
    """The session that a new key begins with; a new thread of a direct chat gets a copy of what the chat knows."""
    if (
        core.settings.seed_threads
        and isinstance(target, Origin)
        and target.chat_type == "dm"
        and target.thread_id
        and (target.chat_id or target.user_id)
    ):
        parent_key = core.key(msgspec.structs.replace(target, thread_id=None))
        if parent_key != core.key(target):
            parent = yield from call(core.store.current, core.key_owner, parent_key, now)
            if parent is not None and parent.message_count:
                carried = yield from copies(core, parent.id, core.settings.budget)
                return core.new_session(target, now, parent=parent.id, parent_kind="thread", carried=carried)
    return core.new_session(target, now)


def _rotation(
    core: Core, target: Target | None, key: str, current: SessionInfo, message: Message | None, now: datetime
) -> Flow[Rotate | None]:
    """The reset that the policy asks for before this message, or None."""
    policy = core.settings.reset_policy
    reason = reset.reset_reason(policy, current, now)
    if reason is None or (yield from call(core.store.queued, current.id, core.owner)):
        return None  # messages that wait are answered where they were said
    new = yield from successor(core, target, current, reason, now)
    return Rotate(
        at=core.at(),
        owner=core.owner,
        key=key,
        session_id=current.id,
        new=new,
        unless_message=message.id if message is not None else None,
        expected_seq=current.last_seq,
        before_reset=core.settings.before_reset,
    )


def successor(
    core: Core, target: Target | None, current: SessionInfo, reason: reset.ResetReason, now: datetime
) -> Flow[NewSession]:
    """The session that follows a reset: linked to its parent, with what the policy carries over and the notice."""
    policy = core.settings.reset_policy
    origin = target if isinstance(target, Origin) else current.origin
    carry = policy.for_origin(current.origin).carry_over
    carried: tuple[Any, ...] = ()
    summary: str | None = None
    if isinstance(carry, int):
        carried = yield from copies(core, current.id, Budget(max_turns=carry))
    elif carry == "summary":
        tail = yield from call(core.store.tail, current.id, core.owner, now, limit=1)
        summary = tail.summary.text if tail.summary is not None else None
    title = current.title if carried or summary else None  # what goes on is named after what it goes on from
    told = reset.notice(reason, current, policy, origin or Origin.local())
    return core.new_session(
        origin,
        now,
        parent=current.id,
        parent_kind="reset",
        reset_reason=reason,
        notice=msgspec.json.encode(told).decode() if told is not None else None,
        carried=carried,
        summary=summary,
        metadata=None,
        title=title,
        title_source=current.title_source,
        title_numbered=True,
        model=current.model,
        hidden=current.hidden,  # what runs under a hidden key runs there after a reset too
    )


def with_lease(
    core: Core,
    begun: Begun,
    origin: Origin | None,
    current: SessionInfo | None,
    token: str,
    budget: Budget,
    *,
    whole: WholeTurn | None = None,
) -> Flow[Began]:
    """What a turn starts from that has its lease; `whole` is what was read of it, where that was needed anyway."""
    # Its own turn runs for its holder, also where the lease ran out and nobody has taken it.
    running_from = begun.turn.steps_from if begun.turn is not None else None
    budget = calibrated(budget, calibration_of(begun.turn))
    tail, window, large = yield from widen(core, begun.session_id, budget, sticky=True, running_from=running_from)
    held: dict[str, str] = {}
    if large:
        held = yield from media.load_window(core, begun.session_id, window, budget)
        window = media.shown(window, held, budget)
    messages = tuple([m for m in tail.messages if m.seq == begun.seq])
    # A turn that has just begun with a message of its own, under a key, is known as far as it goes.
    known = current is not None and current.id == begun.session_id and begun.kind == "begun" and not begun.queued
    if whole is None and not (known and messages):
        whole = yield from _whole(core, begun.session_id, begun.turn.first_seq if begun.turn is not None else begun.seq)
    if whole is not None:
        current, messages = whole.session, tuple(whole.messages)
    origin = origin or (current.origin if current is not None else None)
    return Began(
        kind=begun.kind,
        session_id=begun.session_id,
        seq=begun.seq,
        origin=origin,
        token=token,
        turn=begun.turn,
        messages=restored(messages, held),
        has_media=large,
        tail=tail,
        window=window,
        budget=budget,
        media=held,
        context=partial(context.section, current, origin, core.settings.deployment) if origin is not None else str,
        notice=_notice(begun.notice),
        session_is_new=begun.session_is_new,
        first_contact=begun.first_contact,
    )


def _budget(stored: str | None) -> Budget | None:
    """The budget that a turn began with; None also where that cannot be decoded: `check` names it."""
    try:
        return msgspec.json.decode(stored, type=Budget) if stored else None
    except msgspec.MsgspecError:
        return None


def _notice(stored: str | None) -> Notice | None:
    """What is to be said about a reset; nothing where that cannot be decoded: the turn goes on."""
    try:
        return msgspec.json.decode(stored, type=Notice) if stored is not None else None
    except msgspec.MsgspecError:
        return None


def _whole(core: Core, session_id: str, first_seq: int) -> Flow[WholeTurn]:
    whole = yield from call(core.store.whole_turn, session_id, core.owner, first_seq, core.now())
    if whole is None:
        msg = f"session {session_id!r} has no turn at seq {first_seq}: it was taken away meanwhile"
        raise SessionNotFound(msg)
    return whole


def _without_lease(core: Core, begun: Begun, origin: Origin | None, *, whole: WholeTurn | None = None) -> Flow[Began]:
    """A turn that is over, or a message that waits for the one that runs."""
    turn = begun.turn
    if whole is None and turn is not None:
        whole = yield from _whole(core, begun.session_id, turn.first_seq)
    if whole is not None:
        messages = whole.messages
    else:
        messages = yield from call(
            core.store.page, begun.session_id, core.owner, after=begun.seq - 1, before=begun.seq + 1, limit=1
        )
    held = yield from media.load(core, begun.session_id, messages, core.settings.budget)
    return Began(
        kind=begun.kind,
        session_id=begun.session_id,
        seq=begun.seq,
        origin=origin,
        turn=turn,
        messages=restored(messages, held),
        session_is_new=turn.session_is_new if turn is not None else False,
        first_contact=turn.first_contact if turn is not None else False,
    )


def turn_id(session_id: str, first_seq: int, token: str) -> str:
    """What names a turn and, with its token, the right to go on with it."""
    return f"{session_id}~{first_seq}~{token}"


def get(core: Core, reference: str, *, budget: Budget | None) -> Flow[Began]:
    """A turn by its id, in whatever state it is; another process may have begun it."""
    session_id, _, rest = reference.partition("~")
    first, _, token = rest.partition("~")
    whole: WholeTurn | None = None
    if first.isdecimal() and len(first) <= _SEQ_DIGITS:
        whole = yield from call(core.store.whole_turn, session_id, core.owner, int(first), core.now())
    if whole is None or whole.turn.token != token:
        msg = f"no turn {reference!r}: check the id; a turn that was taken over has another one"
        raise SessionNotFound(msg)
    turn = whole.turn
    running = turn.state == "running"
    begun = Begun(
        kind="begun" if running else "replayed",
        session_id=session_id,
        seq=turn.message_seq,
        turn=turn,
        session_is_new=turn.session_is_new,
        first_contact=turn.first_contact,
    )
    if running:
        if budget is None:  # what the turn began with, so that its payloads share their beginning
            budget = _budget(turn.budget) or core.settings.budget
        return (yield from with_lease(core, begun, None, None, token, budget, whole=whole))
    return (yield from _without_lease(core, begun, None, whole=whole))


def append(
    core: Core, session_id: str, token: str, lease: timedelta, messages: Sequence[Message]
) -> Flow[tuple[Message, ...]]:
    """Store messages of a running turn, and give them back as stored."""
    given = yield from drafts(messages)
    at = core.at()
    operation = Append(
        at=at,
        owner=core.owner,
        session_id=session_id,
        messages=given,
        token=token,
        lease_micros=lease // timedelta(microseconds=1),
    )
    done: Appended = yield from _or_unstored(operation, messages)
    return as_stored(messages, done.seqs, at)


def finish(
    core: Core,
    session_id: str,
    token: str,
    state: TurnState,
    messages: Sequence[Message] = (),
    usage: Usage | None = None,
    anchor: int = 0,
    reason: str | None = None,
    first_seq: int = 0,
    calibration: str | None = None,
) -> Flow[tuple[tuple[Message, ...], int]]:
    """End a turn; gives its last messages as stored, and how many messages wait for the next turn."""
    given = yield from drafts(messages)
    at = core.at()
    operation = Finish(
        at=at,
        owner=core.owner,
        session_id=session_id,
        token=token,
        state=state,
        messages=given,
        usage=core.priced(usage),
        anchor=anchor,
        reason=codec.clean_text(reason) if reason is not None else None,
        first_seq=first_seq,
        calibration=calibration,
    )
    done: Finished = yield from _or_unstored(operation, messages)
    return as_stored(messages, done.appended.seqs, at), len(done.waiting)


def _or_unstored(operation: Append | Finish, messages: Sequence[Message]) -> Flow[Any]:
    try:
        return (yield from write(operation))
    except TurnLost as lost:
        raise TurnLost(
            f"{lost}; {len(messages)} message(s) were not stored: session.append takes them", unstored=messages
        ) from None


def renew(core: Core, session_id: str, token: str, lease: timedelta) -> Flow[None]:
    """Make the lease last its full length from now."""
    yield from write(
        Renew(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            token=token,
            micros=lease // timedelta(microseconds=1),
        )
    )


def inbox(core: Core, session_id: str, token: str, first_seq: int, budget: Budget) -> Flow[tuple[Message, ...]]:
    """Messages that came while the turn runs; they belong to it from now on."""
    if not (yield from call(core.store.queued, session_id, core.owner)):
        return ()
    taken: tuple[int, ...] = yield from write(
        Take(at=core.at(), owner=core.owner, session_id=session_id, token=token, first_seq=first_seq)
    )
    if not taken:
        return ()
    whole = yield from _whole(core, session_id, first_seq)
    messages = tuple(m for m in whole.messages if m.seq in taken)
    return restored(messages, (yield from media.load(core, session_id, messages, budget)))


def as_stored(messages: Sequence[Message], seqs: Sequence[int], at: int) -> tuple[Message, ...]:
    """The messages as a read would give them."""
    when = from_micros(at)
    return tuple(
        [
            msgspec.structs.replace(m, seq=seq, created_at=m.created_at or when)
            for m, seq in zip(messages, seqs, strict=True)
        ]
    )
