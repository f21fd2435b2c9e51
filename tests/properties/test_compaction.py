"""Whatever happened to a session, compacting what is due loses nothing, doubles nothing, and leaves a legal window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import event, given
from hypothesis import strategies as st

import palaver
from palaver import Budget, CompactionDue, CompactionPolicy, Message, Session, SessionManager, assistant, tool, user
from palaver.compaction import compaction_due
from palaver.errors import PalaverError, SessionConflict
from palaver.exchanges import group
from palaver.model import ToolCall
from palaver.window import Window
from tests.properties.test_window import faults, visible
from tests.strategies import hostile, texts, tidy

ROOMY = 100_000
Deed = Callable[[SessionManager, Session], None]


def append(messages: list[Message]) -> Deed:
    """Messages from the side."""
    return lambda _, session: swallow(session.append, *[m.replace(seq=0, id=None) for m in messages])


def swallow(verb: Callable[..., Any], *values: Any) -> None:
    """Do it, where it can be done."""
    try:
        verb(*values)
    except PalaverError:
        event(f"{getattr(verb, '__name__', verb)} refused")


def converse(ends: str, meanwhile: str | None, called: bool) -> Deed:
    """A turn with a call, perhaps a message that is stored while it runs, and an end, or none."""

    def deed(_: SessionManager, session: Session) -> None:
        try:
            turn = session.begin_turn(user("question"), on_busy="raise")
        except PalaverError:
            return
        if called:
            turn.append(assistant(None, ToolCall(name="f", call_id="c", arguments="{}")))
        if meanwhile is not None:
            session.begin_turn(user(meanwhile), on_busy="store")
        if called:
            turn.append(tool("c", "42"))
        if ends == "finish":
            turn.finish(assistant("answer"))
        elif ends == "fail":
            turn.fail()
        elif ends == "rollback":
            turn.rollback()

    return deed


TURNS = st.builds(
    converse,
    st.sampled_from(("finish", "finish", "finish", "fail", "rollback", "run")),
    st.sampled_from((None, None, "meanwhile")),
    st.booleans(),
)
DEEDS: st.SearchStrategy[Deed] = st.one_of(
    tidy.map(append),
    tidy.map(append),
    hostile.map(append),
    TURNS,
    TURNS,
    st.integers(1, 15).map(lambda seq: lambda _, session: swallow(session.delete_message, seq)),
    st.builds(lambda seq, text: lambda _, session: swallow(session.edit, seq, text), st.integers(1, 15), texts),
    st.just(lambda _, session: swallow(session.redo)),
    st.just(lambda _, session: swallow(session.rewind)),
)
POLICIES = st.builds(
    CompactionPolicy,
    max_messages=st.one_of(st.none(), st.integers(6, 12)),
    max_tokens=st.integers(1, 60),
    budget_share=st.sampled_from((None, 0.005, 0.01)),
    keep_last=st.integers(1, 5),
    keep=st.sampled_from(("messages", "exchanges", "turns")),
)
HISTORIES = st.builds(
    lambda turns, deeds: turns + deeds, st.lists(TURNS, max_size=4), st.lists(DEEDS, min_size=1, max_size=20)
)
"""What happens to a session: a few turns at first, so that there is something to summarise."""


def seqs(messages: tuple[Message, ...] | list[Message]) -> list[int]:
    """Positions of stored messages."""
    return [m.seq for m in messages if m.seq]


def pieces(session: Session, due: CompactionDue, max_tokens: int) -> list[int]:
    """Positions of all that the drafts show, in order."""
    out: list[int] = []
    after: int | None = None
    while True:
        draft = session.compaction_draft(due, after=after, max_tokens=max_tokens)
        assert draft.from_seq == (due.from_seq if after is None else after + 1)
        assert draft.through_seq <= due.through_seq
        out += seqs(draft.messages)
        if draft.ends:
            assert draft.through_seq == due.through_seq
            assert draft.may_commit
            return out
        after = draft.through_seq


def units_kept(policy: CompactionPolicy, window: Window) -> int:
    """How much of the end a window shows, in what the policy counts."""
    shown = window.messages[window.head_count :]
    if policy.keep == "messages":
        return len(seqs(shown)) + len(window.pending)
    if policy.keep == "turns":
        begins = [i for i, m in enumerate(shown) if m.role == "user" and (not i or shown[i - 1].role != "user")]
        return len(begins)
    return len(group(shown)) + bool(window.pending)


@given(HISTORIES, POLICIES, st.sampled_from((1, 40, ROOMY)))
def test_nothing_is_lost_and_nothing_doubled(deeds: list[Deed], policy: CompactionPolicy, max_tokens: int) -> None:
    """After each deed: what is due ends where it may, and every message is either in the draft or in the window."""
    with palaver.open("memory://", budget=Budget(max_messages=1_000)) as sessions:
        session = sessions.create()
        for deed in deeds:
            deed(sessions, session)
            due = session.compaction_due(policy)
            if due is None:
                continue
            event(f"due for {due.reason}, {'after another' if due.previous else 'the first'}")
            before = session.history(max_messages=ROOMY)
            told = pieces(session, due, max_tokens)
            rev = session.info().rev
            made = session.compact(
                "so far", through_seq=due.through_seq, expected=due.expected, drafted_rev=rev, stop_reason="stop"
            )
            window = session.history(max_messages=ROOMY)
            shown = seqs(window.messages[window.head_count :]) + seqs(window.pending)
            assert made.previous == (due.previous.id if due.previous else None)
            assert faults(window.messages[window.head_count :]) == []
            assert not set(told) & set(shown)
            assert len(told) == len(set(told))
            assert len(shown) == len(set(shown))
            assert set(seqs(before.messages[before.head_count :]) + seqs(before.pending)) <= set(told) | set(shown)
            assert all(seq <= due.through_seq for seq in told)
            assert all(seq > due.through_seq for seq in shown)
            assert units_kept(policy, window) >= policy.keep_last
            users = [m.seq for m in session.messages(limit=ROOMY) if m.role == "user" and visible(m)]
            assert not users or users[-1] in shown or users[-1] in {o.from_seq for o in window.omitted}


@given(HISTORIES, POLICIES, st.integers(1, 30))
def test_it_depends_on_the_transcript_alone(deeds: list[Deed], policy: CompactionPolicy, limit: int) -> None:
    """However far a tail reaches: it names the same end, or none because it does not reach far enough."""
    with palaver.open("memory://", budget=Budget(max_messages=10)) as sessions:
        session = sessions.create()
        for deed in deeds:
            deed(sessions, session)
        store = sessions._core.store
        now = sessions._core.now()
        whole = store.tail(session.id, None, now, limit=ROOMY)
        part = store.tail(session.id, None, now, limit=max(limit, 11))
        everything = compaction_due(policy, whole, Budget(max_messages=10))
        assert everything == compaction_due(policy, whole, Budget(max_messages=10))
        some = compaction_due(policy, part, Budget(max_messages=10))
        if some is not None:
            assert everything is not None
            assert (some.through_seq, some.expected) == (everything.through_seq, everything.expected)
        elif everything is not None:
            assert not part.complete


@given(HISTORIES, st.lists(DEEDS, min_size=1, max_size=3), POLICIES)
def test_what_happens_meanwhile_is_not_hidden(before: list[Deed], during: list[Deed], policy: CompactionPolicy) -> None:
    """A summary of a draft is refused, or what it covers is what the draft showed: all live, and unchanged."""
    with palaver.open("memory://") as sessions:
        session = sessions.create()
        for deed in before:
            deed(sessions, session)
        due = session.compaction_due(policy)
        if due is None:
            return
        draft = session.compaction_draft(due, max_tokens=ROOMY)
        live = [m for m in session.messages(limit=ROOMY) if m.seq <= due.through_seq]
        for deed in during:
            deed(sessions, session)
        now = [m for m in session.messages(limit=ROOMY) if m.seq <= due.through_seq]
        try:
            session.compact("so far", through_seq=draft.through_seq, expected=draft.expected, drafted_rev=draft.rev)
        except SessionConflict:
            event("refused")
            return
        event("taken")
        assert [msgspec.structs.replace(m, usage=None) for m in now] == live
