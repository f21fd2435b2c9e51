"""Generated transcripts: tidy ones, and such as crashes, edits, imports and bad luck leave behind."""

from __future__ import annotations

from hypothesis import strategies as st

from palaver.budget import Budget
from palaver.info import Summary
from palaver.model import (
    Flag,
    ImagePart,
    Message,
    Opaque,
    Part,
    Sender,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)
from palaver.window import Tail

IDS = ("", "a", "a", "b", "c", "a_2")
NAMES = ("read", "write")
TEXTS = ("", " ", "hi", "[from Ada] hi", "x" * 90, "好的，没问题")

texts = st.sampled_from(TEXTS)
text_parts = texts.map(lambda text: TextPart(text=text))
thinking = st.sampled_from(
    (
        ThinkingPart(text="hm"),
        ThinkingPart(text=""),
        ThinkingPart(text="", signature="c2ln"),
        ThinkingPart(redacted="cmVk"),
    )
)
calls = st.builds(ToolCall, name=st.sampled_from(NAMES), call_id=st.sampled_from(IDS), arguments=st.just("{}"))
results = st.builds(
    ToolResult,
    call_id=st.sampled_from(IDS),
    name=st.sampled_from((*NAMES, None)),
    parts=st.tuples(text_parts),
)
speech: st.SearchStrategy[Part] = st.one_of(
    text_parts, thinking, st.just(ImagePart(file_id="f")), st.just(Opaque(wire="google", data="{}"))
)
flags: st.SearchStrategy[tuple[Flag, ...]] = st.sampled_from(
    ((), (), (), (), (), ("hidden",), ("command",), ("injected",), ("delivery",))
)
no_flags: st.SearchStrategy[tuple[Flag, ...]] = st.just(())


def messages_of(role: str, parts: st.SearchStrategy[tuple[Part, ...]]) -> st.SearchStrategy[list[Message]]:
    """One message of a role, flagged or joined by chance."""
    return st.builds(
        lambda parts, flags, joins, sender: [
            Message(role=role, parts=parts, flags=flags, joins=joins, sender=sender)  # type: ignore[arg-type]
        ],
        parts,
        flags,
        st.sampled_from((False, False, False, True)),
        st.sampled_from((None, Sender(name="Ada"))),
    )


def parts_of(part: st.SearchStrategy[Part], most: int) -> st.SearchStrategy[tuple[Part, ...]]:
    """Up to `most` parts."""
    return st.lists(part, max_size=most).map(tuple)


@st.composite
def tidy_exchanges(draw: st.DrawFn) -> list[Message]:
    """An assistant message that calls tools, and their results, all as it should be."""
    ids = draw(st.lists(st.sampled_from(("a", "b", "c", "d")), min_size=1, max_size=3, unique=True))
    asked = Message(role="assistant", parts=tuple(ToolCall(name="read", call_id=i) for i in ids))
    order = draw(st.permutations(ids))
    if draw(st.booleans()):
        answers = [ToolResult(call_id=i, parts=(TextPart(text="done"),)) for i in order]
        return [asked, Message(role="tool", parts=tuple(answers))]
    return [asked, *(Message(role="tool", parts=(ToolResult(call_id=i, parts=(TextPart(text="1"),)),)) for i in order)]


tidy = st.one_of(
    st.just([Message(role="user", parts=(TextPart(text="hello"),))]),
    st.just([Message(role="assistant", parts=(TextPart(text="well"),))]),
    st.just([Message(role="assistant", parts=(TextPart(text="ping"),), flags=("delivery",))]),
    tidy_exchanges(),
)
hostile = st.one_of(
    messages_of("user", parts_of(text_parts, 2)),
    messages_of("user", parts_of(st.just(ImagePart(name="cat.png", url="https://example.org/cat.png")), 1)),
    messages_of("assistant", parts_of(speech, 2)),
    messages_of("assistant", parts_of(st.one_of(calls, speech), 3)),
    messages_of("assistant", parts_of(calls, 3)),
    messages_of("tool", parts_of(results, 2)),
    messages_of("tool", parts_of(results, 1)),
    messages_of("system", parts_of(text_parts, 1)),
    messages_of("developer", parts_of(text_parts, 1)),
)


def numbered(messages: list[Message], first: int, gaps: list[int]) -> tuple[Message, ...]:
    """The messages with positions, strictly increasing, with gaps."""
    seq = first
    out: list[Message] = []
    for index, message in enumerate(messages):
        seq += gaps[index % len(gaps)] if gaps else 1
        out.append(message.replace(seq=seq))
    return tuple(out)


@st.composite
def transcripts(draw: st.DrawFn, most: int = 16) -> tuple[Message, ...]:
    """The messages of a live transcript; hostile, tidy, or tidy with something hostile in it."""
    pieces = draw(
        st.one_of(
            st.lists(tidy, max_size=most),
            st.lists(st.one_of(tidy, tidy, hostile), max_size=most),
            st.lists(hostile, max_size=most),
        )
    )
    flat = [message for piece in pieces for message in piece]
    return numbered(flat, 10, draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))


@st.composite
def tails(draw: st.DrawFn, most: int = 16) -> Tail:
    """A tail that reaches back to the beginning, or to its summary."""
    messages = draw(transcripts(most))
    head = tuple(
        Message(role=role, seq=seq, parts=(TextPart(text="be kind"),))  # type: ignore[arg-type]
        for seq, role in enumerate(draw(st.lists(st.sampled_from(("system", "developer")), max_size=2)), 1)
    )
    summary = draw(st.sampled_from((None, None, Summary(id=1, text="they met", from_seq=1, through_seq=10))))
    seqs = [message.seq for message in messages]
    running = draw(st.one_of(st.none(), st.sampled_from(seqs))) if seqs else None
    anchor = draw(st.one_of(st.none(), st.sampled_from([*seqs, 1, 1000])))
    return Tail(head=head, messages=messages, summary=summary, running_from=running, anchor=anchor)


@st.composite
def tidy_tails(draw: st.DrawFn) -> Tail:
    """A tail of which little needs mending."""
    pieces = draw(st.lists(tidy, min_size=1, max_size=14))
    messages = numbered([message for piece in pieces for message in piece], 10, [1, 2])
    anchor = draw(st.one_of(st.none(), st.sampled_from([message.seq for message in messages])))
    return Tail(messages=messages, anchor=anchor)


budgets = st.builds(
    Budget,
    max_messages=st.one_of(st.integers(1, 12), st.just(500)),
    max_tokens=st.one_of(st.none(), st.none(), st.integers(1, 150)),
    max_turns=st.one_of(st.none(), st.none(), st.integers(1, 4)),
    estimate_percent=st.sampled_from([100, 100, 50, 165]),
)
