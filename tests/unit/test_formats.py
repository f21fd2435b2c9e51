"""The facade of the wire formats, the legality stage before all of them, and call ids that a wire takes."""

from __future__ import annotations

import doctest
import re
from typing import Any

import pytest

from palaver import formats
from palaver.errors import InvalidMessage, UnsupportedFormat
from palaver.exchanges import INTERRUPTED
from palaver.formats.call_ids import CallIds, shortened
from palaver.formats.legal import legal
from palaver.formats.wire import Notes
from palaver.model import Message, TextPart, ThinkingPart, ToolCall, ToolResult, assistant, system, tool, user


def made_legal(*messages: Message, empty_of: str | None = None) -> tuple[list[Message], list[tuple[str, int, str]]]:
    """What the stage makes of the messages, and what it says about that."""
    notes = Notes()
    out = legal(messages, notes, empty_of=empty_of)
    return list(out), [(repair.kind, repair.seq, repair.detail.partition(":")[0]) for repair in notes.repairs()]


def calls(*ids: str, **fields: Any) -> Message:
    """An assistant message with these calls."""
    return assistant(None, *(ToolCall(call_id=call_id, name="look", arguments="{}") for call_id in ids), **fields)


# -- the legality stage


def test_what_is_legal_passes_untouched() -> None:
    """The very same sequence, so that it costs one look."""
    messages = (
        system("Be brief."),
        user("Hi"),
        calls("a", "b"),
        tool("b", "2"),
        tool("a", "1"),
        assistant("Done."),
        assistant("More.", joins=True),
    )
    assert legal(messages, Notes()) is messages


def test_one_response_in_pieces_is_legal() -> None:
    """Results follow all calls of the response."""
    messages = (calls("a"), calls("b", joins=True), Message(role="tool", parts=results("a", "b")))
    assert legal(messages, Notes()) is messages


def results(*ids: str) -> tuple[ToolResult, ...]:
    """Results of these calls."""
    return tuple(ToolResult(call_id=call_id, parts=(TextPart(text=call_id),)) for call_id in ids)


def test_each_illegal_thing_is_mended_and_listed() -> None:
    """By kind, with the position in the session and the place in the list, in the order of the list."""
    messages = [
        tool("x", "orphan", seq=3),
        user("Hi", seq=4),
        assistant("", seq=5),
        calls("a", "b", seq=6),
        user("Well?", seq=7),
        tool("b", "2", seq=8),
        assistant([ThinkingPart(text="hm")], seq=9),
        user("secret", flags=("hidden",), seq=10),
        user("/new", flags=("command",), seq=11),
    ]
    out, said = made_legal(*messages)
    assert [m.role for m in out] == ["user", "assistant", "tool", "tool", "user"]
    assert [r.call_id for m in out for r in m.tool_results] == ["b", "a"]
    assert out[3].text == INTERRUPTED
    assert out[0] is messages[1]
    assert out[1] is messages[3]
    assert said == [
        ("message_left_out", 3, "messages[0]"),
        ("message_left_out", 5, "messages[2]"),
        ("interrupted", 6, "messages[3]"),
        ("moved", 8, "messages[5]"),
        ("message_left_out", 9, "messages[6]"),
        ("message_left_out", 10, "messages[7]"),
        ("message_left_out", 11, "messages[8]"),
    ]
    again, more = made_legal(*out)
    assert again == out
    assert more == []


def test_positions_are_those_of_the_messages() -> None:
    """Also where a message was changed, and where the list has none."""
    out, said = made_legal(calls("a", "a", seq=40), tool("a", "1", seq=41), tool("a", "2", seq=0))
    assert [m.seq for m in out] == [40, 41, 0]
    assert [r.call_id for m in out for r in m.tool_results] == ["a", "a_2"]
    assert said == [("call_id_made_unique", 40, "messages[0]"), ("call_id_made_unique", 0, "messages[2]")]


def test_a_result_for_several_exchanges_is_divided() -> None:
    """A part of it stands with each call."""
    out, said = made_legal(calls("a"), calls("b"), Message(role="tool", parts=results("a", "b")))
    assert [m.role for m in out] == ["assistant", "tool", "assistant", "tool"]
    assert [r.call_id for m in out for r in m.tool_results] == ["a", "b"]
    assert {kind for kind, _, _ in said} == {"moved", "split"}


def test_an_empty_answer_stays_where_its_provider_took_it() -> None:
    """It is of that wire, and has a text, if an empty one."""
    empty = assistant("", wire="openai_chat")
    thinking = assistant([ThinkingPart(text="hm"), ""], wire="openai_chat")
    nothing = assistant(None, wire="openai_chat")
    foreign = assistant("", wire="anthropic")
    messages = (user("Hi"), empty, tool("x", "orphan"), thinking, nothing, foreign)
    out, _ = made_legal(*messages, empty_of="openai_chat")
    assert out == [user("Hi"), empty, thinking]
    assert out[1] is empty
    assert made_legal(*messages)[0] == [user("Hi")]
    kept = (user("Hi"), empty, thinking)
    assert legal(kept, Notes(), empty_of="openai_chat") is kept


def test_what_continued_a_message_that_is_gone_continues_nothing() -> None:
    """It must not be taken for a continuation of what now stands before it."""
    out, _ = made_legal(calls("a"), tool("a", "1"), assistant("", flags=("hidden",)), assistant("Hi", joins=True))
    assert [m.joins for m in out] == [False, False, False]


def test_notes_name_places_in_the_list_that_was_given() -> None:
    """Also those of the wire, though messages were left out before it saw them."""
    rendered = formats.render("openai_chat", [assistant(""), user("Hi", name="Ann Lee", seq=7)])
    assert [(r.kind, r.seq, r.detail.partition(":")[0]) for r in rendered.repairs] == [
        ("message_left_out", 0, "messages[0]"),
        ("name_left_out", 7, "messages[1]"),
    ]


# -- call ids


def test_shortened_texts() -> None:
    """A text that fits is itself; others keep their beginning, do not collide, and are always the same."""
    assert shortened("abc", 3) == "abc"
    assert shortened("a.c", 3, re.compile(r"[^a-z]")) != "a.c"
    one, other = shortened("x" * 100, 64), shortened("x" * 101, 64)
    assert one != other
    assert len(one) == len(other) == 64
    assert one.startswith("x" * 39 + "_")
    assert one == shortened("x" * 100, 64)
    assert len(shortened("\ud83d" * 100, 64)) == 64


def fit(call_id: str) -> str:
    """What a wire would take that wants at most eight characters."""
    return shortened(call_id, 8)


def test_ids_are_fitted_kept_apart_and_led_back() -> None:
    """Two ids that would become one do not; both are found again."""
    ids = CallIds(fit)
    message = calls("abcdefghi", "abcdefghj", "abc", fit("abcdefghi"))
    made = ids.calls(message.tool_calls, label="1", notes=Notes(), native=False)
    assert made[2:] == ["abc", fit("abcdefghi")]
    assert len(set(made)) == 4
    assert [ids.changed[wire_id] for wire_id in made[:2]] == ["abcdefghi", "abcdefghj"]
    for call, wire_id in zip(message.tool_calls, made, strict=True):
        answer = ids.answer(ToolResult(call_id=call.call_id), Notes())
        assert answer is not None
        assert answer.wire_id == wire_id


def test_a_result_answers_once() -> None:
    """The newest call with its id, and after that none."""
    ids = CallIds(str)
    ids.calls(calls("a").tool_calls, label="1", notes=Notes(), native=False)
    assert ids.answer(ToolResult(call_id="a"), Notes()) is not None
    assert ids.answer(ToolResult(call_id="a"), Notes()) is None
    assert ids.answer(ToolResult(call_id="b"), Notes()) is None


def test_what_has_no_id_answers_what_has_none() -> None:
    """As the legality stage pairs them."""
    ids = CallIds(str)
    made = ids.calls(calls("a", "").tool_calls, label="1", notes=Notes(), native=False)
    answer = ids.answer(ToolResult(), Notes())
    assert answer is not None
    assert answer.wire_id == made[1]


# -- the facade


@pytest.mark.parametrize(
    "use",
    [
        lambda: formats.parse("smoke", []),
        lambda: formats.render("smoke", []),
        lambda: formats.check("smoke", []),
        lambda: formats.Accumulator("smoke"),
    ],
)
def test_an_unknown_wire_is_refused(use: Any) -> None:
    """The error lists the wires that are known."""
    with pytest.raises(UnsupportedFormat, match=r"'smoke'.*openai_chat"):
        use()


@pytest.mark.parametrize("wire", formats.wires())
def test_what_is_no_json_is_refused(wire: str) -> None:
    """`check` and `feed` say where."""
    with pytest.raises(InvalidMessage, match=r"messages\[1\]\.content is nan"):
        formats.check(wire, [{}, {"content": float("nan")}])
    with pytest.raises(InvalidMessage, match=r"system is a set"):
        formats.check(wire, [], system=set())
    stream = formats.Accumulator(wire)
    with pytest.raises(InvalidMessage, match="event 0 is a str"):
        stream.feed("data: {}")


@pytest.mark.parametrize("wire", formats.wires())
def test_a_stream_without_events_gives_nothing(wire: str) -> None:
    """And is finished once."""
    stream = formats.Accumulator(wire)
    assert (stream.text, stream.usage, stream.error) == ("", None, None)
    assert stream.finish() == stream.finish() == stream.messages == []


def test_the_examples_in_the_docstrings_run() -> None:
    """They are documentation."""
    failed, attempted = doctest.testmod(formats)
    assert attempted
    assert not failed


@pytest.mark.parametrize("wire", formats.wires())
@pytest.mark.parametrize("depth", [100, 139, 143, 144, 150, 160, 400, 990, 5_000])
def test_arguments_of_any_depth_are_rendered_cleanly(wire: str, depth: int) -> None:
    """Legal text, nested as no payload may be: it is said some other way, and `check` can read what was rendered."""
    deep = '{"a":' * depth + "1" + "}" * depth
    rendered = formats.render(wire, [user("q"), assistant(None, ToolCall(call_id="c1", name="f", arguments=deep))])
    assert formats.check(wire, rendered.messages, system=rendered.system) == []
    brackets = '{"a": "' + "[{" * 500 + '"}'  # in a text they are no nesting
    rendered = formats.render(wire, [user("q"), assistant(None, ToolCall(call_id="c1", name="f", arguments=brackets))])
    assert "arguments_changed" not in {repair.kind for repair in rendered.repairs}
