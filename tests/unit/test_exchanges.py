"""Exchanges: which messages belong together, whatever order they were stored in."""

from __future__ import annotations

import pytest

from palaver.exchanges import INTERRUPTED, Exchange, answered, boundary, group
from palaver.model import Message, TextPart, ThinkingPart, ToolCall, ToolResult, assistant, system, tool, user


def calls(*ids: str, name: str = "f") -> Message:
    """An assistant message that calls by these ids."""
    return assistant(None, *(ToolCall(name=name, call_id=i) for i in ids))


def results(*ids: str, name: str | None = None) -> Message:
    """One tool message with a result for each id."""
    return Message(
        role="tool", parts=tuple(ToolResult(call_id=i, name=name, parts=(TextPart(text="ok"),)) for i in ids)
    )


def numbered(*messages: Message) -> list[Message]:
    """The messages at positions 1, 2, 3 and on."""
    return [message.replace(seq=seq) for seq, message in enumerate(messages, 1)]


def shape(exchanges: list[Exchange]) -> list[list[int]]:
    """Positions of the messages in each exchange."""
    return [[message.seq for message in exchange.messages] for exchange in exchanges]


def kinds(exchanges: list[Exchange]) -> list[tuple[str, int]]:
    """Kind and place of each repair."""
    return [(repair.kind, repair.seq) for exchange in exchanges for repair in exchange.repairs]


TABLE: list[tuple[str, list[Message], list[list[int]], list[tuple[str, int]]]] = [
    ("nothing", [], [], []),
    ("plain talk", [user("a"), assistant("b"), system("c")], [[1], [2], [3]], []),
    ("one call", [calls("a"), results("a"), assistant("x")], [[1, 2], [3]], []),
    ("two calls, results in another order", [calls("a", "b"), results("b"), results("a")], [[1, 2, 3]], []),
    ("results in one message", [calls("a", "b"), results("a", "b")], [[1, 2]], []),
    ("a late result", [calls("a"), user("b"), results("a")], [[1, 3], [2]], [("moved", 3)]),
    ("a late one of two", [calls("a", "b"), results("a"), user("x"), results("b")], [[1, 2, 4], [3]], [("moved", 4)]),
    ("an id used again", [calls("a"), results("a"), calls("a"), results("a")], [[1, 2], [3, 4]], []),
    ("the nearest call takes it", [calls("a"), calls("a"), results("a")], [[1], [2, 3]], []),
    ("then the one before", [calls("a"), calls("a"), results("a"), results("a")], [[1, 4], [2, 3]], [("moved", 4)]),
    ("an orphan", [user("a"), results("x"), assistant("b")], [[1], [], [3]], []),
    ("a second result", [calls("a"), results("a"), results("a")], [[1, 2], []], []),
    ("a result before its call", [results("a"), calls("a")], [[], [2]], []),
    ("no results at all", [Message(role="tool"), user("a")], [[], [2]], []),
    ("half an orphan", [calls("a"), results("a", "x")], [[1, 2]], [("orphan_result", 2)]),
    (
        "results of two",
        [calls("a"), calls("b"), results("b", "a")],
        [[1, 3], [2, 3]],
        [("moved", 3), ("split", 3), ("split", 3)],
    ),
    ("by order", [calls("", ""), results("", "")], [[1, 2]], []),
    ("no id, another name", [calls("", name="f"), results("", name="g")], [[1], []], []),
    ("an id on one side", [calls("", name="f"), results("a", name="f")], [[1, 2]], [("call_id", 2)]),
    ("an id on the other", [calls("a", name="f"), results("", name="f")], [[1, 2]], [("call_id", 2)]),
    ("an id twice", [calls("a", "a"), results("a"), results("a")], [[1, 2, 3]], [("call_id", 1), ("call_id", 3)]),
    ("joined calls", [calls("a"), calls("b").replace(joins=True), results("a", "b")], [[1, 2, 3]], []),
    (
        "a long response",
        [user("x"), *[calls(i).replace(joins=True) for i in "abc"], results("a", "b", "c")],
        [[1], [2, 3, 4, 5]],
        [],
    ),
    (
        "only the last that called",
        [calls("", name="f"), calls("a"), results("a"), results("", name="f")],
        [[1], [2, 3], []],
        [],
    ),
    ("joined to nothing", [user("a"), assistant("b", joins=True)], [[1], [2]], []),
]


@pytest.mark.parametrize(("messages", "expected", "repairs"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_grouping(messages: list[Message], expected: list[list[int]], repairs: list[tuple[str, int]]) -> None:
    """Each result is with its call, in order of the calls' messages, and what was mended is listed."""
    exchanges = group(numbered(*messages))
    assert shape(exchanges) == expected
    assert kinds(exchanges) == repairs


def test_untouched_messages_are_the_same_objects() -> None:
    """Grouping copies nothing that it does not change."""
    messages = numbered(user("x"), calls("a", "b"), results("a"), user("y"), results("b"))
    grouped = [message for exchange in group(messages) for message in exchange.messages]
    assert {id(message) for message in grouped} == {id(message) for message in messages}


def test_an_id_made_unique_avoids_those_in_use() -> None:
    """The new id is on the call and on its result, and no other call of the exchange has it."""
    [exchange] = group(numbered(calls("a", "a_2", "a"), results("a", "a", "a_2")))
    ids = [call.call_id for call in exchange.messages[0].tool_calls]
    assert len(set(ids)) == 3
    assert ids[:2] == ["a", "a_2"]
    assert sorted(r.call_id for r in exchange.messages[1].tool_results) == sorted(ids)


def test_a_message_keeps_the_results_that_have_a_call() -> None:
    """Of a message with an orphan among its results only the orphan goes, and the token count with it."""
    _, _, exchange = group(numbered(user("x"), user("y"), calls("a"), results("a", "x").replace(tokens=9)))
    kept = exchange.messages[1]
    assert [result.call_id for result in kept.tool_results] == ["a"]
    assert kept.tokens is None


def test_an_orphan_is_an_exchange_without_messages() -> None:
    """It keeps its place, and holds the message as it was."""
    [exchange] = group(numbered(results("x")))
    assert exchange.messages == ()
    assert exchange.orphans[0].seq == exchange.first_seq == exchange.last_seq == 1


def test_results_without_ids_are_paired_by_name() -> None:
    """Of two open calls the one by the result's name is answered; the other one stays open."""
    asked = assistant(None, ToolCall(name="f"), ToolCall(name="g"))
    [exchange] = group(numbered(asked, results("", name="g")))
    assert [call.name for call in exchange.unanswered] == ["f"]


def test_an_unanswered_call_gets_an_error_result() -> None:
    """One made-up message at the end, seq 0, with an answer for each open call; the others stay."""
    [exchange] = group(numbered(calls("a", "b", "c"), results("b")))
    assert [call.call_id for call in exchange.unanswered] == ["a", "c"]
    closed = answered(exchange)
    made_up = closed.messages[-1]
    assert made_up.seq == 0
    assert [(r.call_id, r.is_error, r.parts[0]) for r in made_up.tool_results] == [
        ("a", True, TextPart(text=INTERRUPTED)),
        ("c", True, TextPart(text=INTERRUPTED)),
    ]
    assert closed.unanswered == ()
    assert kinds([closed]) == [("interrupted", 1), ("interrupted", 1)]
    assert answered(closed) is closed


def test_reasoning_stays_with_the_calls_it_led_to() -> None:
    """Joined messages of one response are one exchange, in their order."""
    thought = Message(role="assistant", parts=(ThinkingPart(text="", signature="s"),))
    exchanges = group(numbered(user("x"), thought, calls("a").replace(joins=True), results("a")))
    assert shape(exchanges) == [[1], [2, 3, 4]]


@pytest.mark.parametrize(
    ("seq", "expected"),
    [(0, 0), (1, 1), (2, 1), (3, 1), (4, 1), (5, 5), (6, 6), (99, 6)],
)
def test_a_transcript_is_cut_between_exchanges_only(seq: int, expected: int) -> None:
    """The last boundary at or before a position: a late result holds the messages before it together."""
    messages = numbered(user("a"), calls("c"), user("b"), assistant("wait"), results("c"), assistant("z"))
    assert boundary(messages, seq) == expected


def test_an_open_call_holds_no_boundary_back() -> None:
    """An interrupted call that nobody answers any more does not keep the rest of the transcript in one piece."""
    assert boundary(numbered(user("a"), calls("c"), user("b")), 3) == 3


def test_long_hostile_transcripts_are_grouped() -> None:
    """Thousands of open calls under one id, and results that fit none: the last result still finds the nearest call."""
    many = [message for _ in range(5_000) for message in (calls(""), calls("a"), results("", name="g"), results("b"))]
    exchanges = group(numbered(*many, tool("a", "x")))
    assert len(exchanges) == 20_000
    assert exchanges[-3].messages[-1].seq == 20_001
