"""Generated operations of every kind: several sessions, keys, owners, ids and clocks, many of them refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st

from palaver import codec
from palaver.erasure import SessionTarget
from palaver.media import as_text
from palaver.model import ImagePart, Usage, assistant, system, tool, user
from palaver.operations import (
    Alias,
    Append,
    Begin,
    BeginErasure,
    Bind,
    ClaimTodo,
    ClearErased,
    Compact,
    Create,
    Cut,
    Delete,
    Edit,
    EndTodo,
    EraseMessages,
    EraseSession,
    EraseSummaries,
    Expire,
    Finish,
    FinishErasure,
    Hold,
    Lease,
    Merge,
    NewSession,
    Operation,
    Purge,
    PurgeSession,
    RecordUsage,
    Redo,
    Renew,
    Replace,
    Restore,
    Retry,
    Rotate,
    SetInfo,
    Sweep,
    Withdraw,
)
from palaver.stores.holders import current as this_process
from palaver.times import SECOND, from_micros

START = 1_700_000_000_000_000
# Resolved when the operation is committed, from what the memory store says then.
NEW, CURRENT, RUNNING, ACTUAL, BEFORE = "<new>", "<current>", "<running>", -1, -2
SESSIONS = ("#0", "#0", "#0", "#1", "#2", "s1")
"""The newest session, the one before, and the one before that; an id that may be anybody's."""
KEYS = ("k1", "k2", "k3")
OWNERS = ("", "a")
ERASURE = "e"
LATER = from_micros(START + 10**15)  # a time of a message's own, years ahead of the clock


# Messages of all kinds that stores tell apart, and the same few ids again and again, once with other content.
texts = st.sampled_from(
    (
        user("hi"),
        user("old", created_at=LATER),
        user("/help", flags=("command",)),
        assistant("well"),
        tool("c1", "42"),
        system("be kind"),
        user("copied", copied_from="n1~1"),  # of the first session that is made
    )
)
known = st.sampled_from(
    (*[user("one", id="m1"), user("two", id="m2"), assistant("three", id="m3")] * 3, user("!", id="m1"))
)
# Content that stores keep once for all messages, in several owners' sessions; and references that came without it.
pictures = [codec.draft(user(ImagePart(data=as_text(bytes([n]) * 17_000)))) for n in range(3)]
shown = st.sampled_from([*pictures * 2, *[msgspec.structs.replace(picture, blobs=()) for picture in pictures]])
drafts = st.one_of(texts.map(codec.draft), known.map(codec.draft), shown)
several = st.lists(drafts, min_size=0, max_size=3).map(tuple)
owners = st.sampled_from((*[None] * 8, "", "a"))
sessions = st.sampled_from(SESSIONS)
keys = st.sampled_from(KEYS)
seqs = st.one_of(st.integers(1, 4), st.integers(0, 12))
revs = st.sampled_from((None, None, None, ACTUAL, 1))
seconds = st.sampled_from((1, 600))
holders = st.sampled_from((None, this_process(), msgspec.structs.replace(this_process(), started="long ago")))
leases = st.builds(Lease, token=st.just(NEW), micros=seconds.map(lambda s: s * SECOND), holder=holders)
new_sessions = st.builds(
    NewSession,
    id=st.sampled_from((NEW, NEW, NEW, "s1")),
    explicit=st.booleans(),
    title=st.sampled_from((None, None, "plans", "notes")),
    title_numbered=st.booleans(),
    metadata=st.sampled_from((None, '{"a":1}')),
    notice=st.sampled_from((None, '{"for_model":"anew"}')),
    summary=st.sampled_from((None, None, "they met")),
    carried=several,
)
usages = st.builds(
    Usage, input_tokens=st.integers(0, 9), output_tokens=st.integers(0, 9), model=st.sampled_from((None, "m", "n"))
)
begins = st.one_of(
    st.builds(
        Begin,
        at=st.just(0),
        owner=owners,
        key=keys,
        session_id=st.sampled_from((*[CURRENT] * 9, "#0")),
        create=st.one_of(new_sessions, new_sessions, st.none()),
        message=st.one_of(drafts, drafts, st.none()),
        lease=leases,
        on_busy=st.sampled_from(("raise", "store")),
    ),
    st.builds(
        Begin,
        at=st.just(0),
        owner=owners,
        session_id=sessions,
        message=st.one_of(drafts, drafts, st.none()),
        lease=leases,
        on_busy=st.sampled_from(("raise", "store")),
    ),
)
appends = st.one_of(
    st.builds(
        Append,
        at=st.just(0),
        owner=owners,
        session_id=sessions,
        messages=several,
        expected_seq=st.sampled_from((None, None, None, None, ACTUAL, 3)),
        token=st.sampled_from((None, None, None, RUNNING, RUNNING, "stolen")),
        lease_micros=seconds.map(lambda s: s * SECOND),
    ),
    st.builds(
        Append, at=st.just(0), owner=owners, session_id=st.just(""), key=keys, create=new_sessions, messages=several
    ),
)
by_id: dict[str, Any] = {"at": st.just(0), "owner": owners, "session_id": sessions}
seen: dict[str, Any] = {
    **by_id,
    "expected_seq": st.sampled_from((*[ACTUAL] * 6, 3)),
    "expected_rev": st.sampled_from((*[ACTUAL] * 6, 1)),
}
tokens = st.sampled_from((*[RUNNING] * 6, "stolen"))
states = st.sampled_from(("finished", "finished", "interrupted", "rolled_back"))
finishes = st.builds(
    Finish, **by_id, token=tokens, state=states, messages=several, usage=st.none() | usages, anchor=seqs
)
creates = st.builds(
    Create,
    at=st.just(0),
    owner=owners,
    key=st.none() | keys,
    alias=st.sampled_from((None, "x", "y")),
    new=new_sessions,
)
subagents = st.builds(
    Create,
    at=st.just(0),
    owner=owners,
    new=st.builds(
        NewSession,
        id=st.just(NEW),
        hidden=st.just(True),
        parent=sessions,
        parent_kind=st.just("subagent"),
        title=st.sampled_from((None, "plans")),
        carried=several,
    ),
)
rotates = st.builds(
    Rotate,
    at=st.just(0),
    owner=owners,
    key=st.none() | keys,
    session_id=st.sampled_from((*[CURRENT] * 6, "#0")),
    all_keys=st.booleans(),
    new=new_sessions,
    unless_message=st.sampled_from((None, None, "m1")),
    before_reset=st.booleans(),
)
# Time passes, or the caller's clock is set back: by less than a second, beyond a lease, beyond a day.
steps = st.sampled_from(
    (0, 0, 1, 300_000, 700_000, SECOND, 90 * SECOND, 700 * SECOND, 90_000 * SECOND, -1, -500_000, -3 * SECOND)
)
files = st.integers(0, 1)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    begins,
    appends,
    appends,
    rotates,
    rotates,
    finishes,
    st.builds(Renew, **by_id, token=tokens, micros=seconds.map(lambda s: s * SECOND)),
    st.builds(Retry, **by_id, lease=leases),
    st.builds(Retry, **by_id, lease=leases),
    creates,
    subagents,
    subagents,
    st.builds(Bind, **by_id, key=keys),
    st.builds(Alias, **by_id, alias=st.sampled_from(("x", "y", "z"))),
    st.builds(SetInfo, **by_id, metadata=st.sampled_from((None, '{"a":null,"b":[1]}', '{"c":"é"}')), expected_rev=revs),
    st.builds(
        SetInfo,
        **by_id,
        title=st.sampled_from((None, "plans", "Plans", "notes", "later", "plans #2")),
        title_source=st.sampled_from(("user", "user", "generated")),
        title_numbered=st.booleans(),
        tags=st.sampled_from((msgspec.UNSET, (), ("work", "rome"))),
        archived=st.sampled_from((msgspec.UNSET, True, False)),
        hidden=st.sampled_from((msgspec.UNSET, True, False)),
    ),
    st.builds(Redo, **by_id, expected_rev=revs),
    st.builds(Delete, **by_id, expected_rev=revs),
    st.builds(Restore, **by_id),
    st.builds(PurgeSession, **by_id, expected_rev=revs),
    st.builds(Restore, **by_id),
    st.builds(Redo, **by_id),
    st.builds(Edit, **by_id, seq=seqs, message=drafts, expected_rev=revs),
    st.builds(Edit, **by_id, seq=seqs, message=drafts),
    st.builds(
        Merge,
        **by_id,
        seq=seqs,
        continuation=seqs,
        message=st.just(codec.draft(assistant("well, and more"))),
        expected_rev=revs,
    ),
    st.builds(Replace, **by_id, messages=several, expected_seq=st.sampled_from((None, None, ACTUAL, 3))),
    st.builds(Hold, **by_id, name=st.sampled_from(("h", "i", "")), until=st.sampled_from((None, 1, 600))),
    st.builds(
        Cut,
        **by_id,
        from_seq=seqs,
        through_seq=seqs,
        kind=st.sampled_from(("rewind", "delete")),
        expected_rev=revs,
        unless_running=st.booleans(),
    ),
    st.builds(Purge, **by_id, from_seq=seqs, through_seq=seqs, expected_rev=revs),
    st.builds(
        Compact,
        **by_id,
        through_seq=seqs,
        text=st.just("so far"),
        expected=st.sampled_from((ACTUAL, ACTUAL, 1)),
        drafted_rev=st.sampled_from((None, ACTUAL, BEFORE, BEFORE)),
    ),
    st.builds(EraseSession, at=st.just(0), erasure_id=st.just(ERASURE), session_id=sessions),
    st.builds(
        EraseMessages,
        at=st.just(0),
        erasure_id=st.just(ERASURE),
        session_id=sessions,
        from_seq=st.integers(1, 3),
        through_seq=st.integers(0, 12),
        copies=st.booleans(),
        dry_run=st.sampled_from((False, False, True)),
    ),
    st.builds(ClearErased, at=st.just(0), erasure_id=st.just(ERASURE), session_id=sessions),
    st.builds(EraseSummaries, at=st.just(0), erasure_id=st.just(ERASURE), session_id=sessions),
    st.builds(Withdraw, **by_id, expected=st.sampled_from((ACTUAL, ACTUAL, ACTUAL, 1))),
    st.builds(ClaimTodo, **by_id, token=st.just(NEW), holder=holders, micros=seconds.map(lambda s: s * SECOND)),
    st.builds(
        EndTodo,
        **by_id,
        token=st.sampled_from((RUNNING, RUNNING, RUNNING, "", "stolen")),
        through_seq=st.sampled_from((ACTUAL, ACTUAL, 1)),
        error=st.sampled_from((None, "no model")),
    ),
    st.builds(Expire, **seen, new=new_sessions, before_reset=st.booleans()),
    st.builds(Sweep, **seen, verb=st.sampled_from(("purge", "delete", "archive")), most=st.sampled_from((1, 2, 1000))),
    st.builds(RecordUsage, **by_id, usage=usages, id=st.sampled_from((None, "u1"))),
)


ERASING = (
    BeginErasure(at=START, erasure_id=ERASURE, target=SessionTarget("nobody"), secret=bytes(32)),
    FinishErasure(at=START, erasure_id=ERASURE),
)
"""What is on record before sessions are erased."""


@st.composite
def named(draw: st.DrawFn, strategy: Callable[[], st.SearchStrategy[Any]]) -> Any:
    """What a strategy draws, without writing the strategy out where a failing run is reported."""
    return draw(strategy())


def short(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same strategy under a short name."""
    return named(lambda: strategy)


operations = short(OPERATIONS)
