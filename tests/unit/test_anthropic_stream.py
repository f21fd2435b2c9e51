"""anthropic: a stream gives the messages that the answer would have been without streaming."""

from __future__ import annotations

from typing import Any

import pytest

from palaver import formats
from palaver.errors import InvalidMessage
from palaver.model import Message, TextPart, ThinkingPart, ToolCall, Usage

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 1},
    },
}
STOP = {"type": "message_stop"}


def block(index: int, begin: dict[str, Any], *deltas: dict[str, Any], stop: bool = True) -> list[dict[str, Any]]:
    """The events of one block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": begin},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        *([{"type": "content_block_stop", "index": index}] if stop else []),
    ]


def change(reason: str, **usage: int) -> dict[str, Any]:
    """The event that says why it ended, and what was used."""
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def words(*pieces: str) -> list[dict[str, Any]]:
    """Deltas of text."""
    return [{"type": "text_delta", "text": piece} for piece in pieces]


def json_pieces(*pieces: str) -> list[dict[str, Any]]:
    """Deltas of a call's input."""
    return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "H"},
    {"type": "thinking_delta", "thinking": "m"},
    {"type": "signature_delta", "signature": "c2ln"},
)
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}


def run(*events: dict[str, Any]) -> tuple[formats.Accumulator, list[Message]]:
    """The messages that `feed` gives."""
    stream = formats.Accumulator("anthropic")
    return stream, [message for event in events for message in stream.feed(event)]


def test_a_stream_gives_what_the_answer_would_have_been() -> None:
    """Thinking, text with citations, a server tool, and a call; usage counts the cache in."""
    cited = {"type": "char_location", "cited_text": "x"}
    served = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    stream, messages = run(
        START,
        {"type": "ping"},
        *THINKING,
        *block(1, served, *json_pieces('{"query":', ' "x"}')),
        *block(2, found),
        *block(3, {"type": "text", "text": ""}, *words("Hel", "lo"), {"type": "citations_delta", "citation": cited}),
        *block(4, CALL, *json_pieces("", '{"where": ', '"jar"}')),
        *block(5, {**CALL, "id": "toolu_2"}, *json_pieces("")),
        change("tool_use", output_tokens=20),
        STOP,
    )
    assert stream.text == "Hello"
    answer = {
        **START["message"],  # type: ignore[dict-item] # a dict of mixed values
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
            {**served, "input": {"query": "x"}},
            found,
            {"type": "text", "text": "Hello", "citations": [cited]},
            {**CALL, "input": {"where": "jar"}},
            {**CALL, "id": "toolu_2"},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 20},
    }
    assert messages == formats.parse("anthropic", answer)
    assert messages[0].usage == Usage(input_tokens=15, output_tokens=20, cached_tokens=10, model="claude-x")
    assert stream.finish() == []
    assert stream.messages == messages


def test_an_empty_answer_is_a_message() -> None:
    """A model may end its turn without a word."""
    _, messages = run(START, change("end_turn", output_tokens=2), STOP)
    assert [message.parts for message in messages] == [()]


def test_an_interrupted_stream_keeps_its_text_and_no_half_call() -> None:
    """Text as far as it came, whole calls, and reasoning without the signature that did not come."""
    stream, messages = run(
        START,
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "H"},
            stop=False,
        ),
        *block(1, {"type": "text", "text": ""}, *words("I lo"), stop=False),
        *block(2, CALL, *json_pieces('{"a": 1}')),
        *block(3, {**CALL, "id": "toolu_2"}, *json_pieces('{"a": 1}'), stop=False),
        *block(4, {"type": "text", "text": ""}, stop=False),
    )
    assert messages == []
    (message,) = stream.finish()
    assert message.parts == (
        ThinkingPart(text="H"),
        TextPart(text="I lo"),
        ToolCall(call_id="toolu_1", name="look", arguments='{"a":1}'),
    )
    assert stream.finish() == []


def test_a_stream_that_said_nothing_gives_nothing() -> None:
    """Neither before its first event nor after it."""
    assert formats.Accumulator("anthropic").finish() == []
    stream, _ = run(START)
    assert stream.finish() == []


def test_a_call_cut_off_by_the_limit_is_left_out() -> None:
    """`max_tokens` in the middle of the input; where the model asked for the tool, what it wrote is kept."""
    cut = block(0, CALL, *json_pieces('{"a": '))
    _, messages = run(START, *block(1, {"type": "text", "text": ""}, *words("x")), *cut, change("max_tokens"), STOP)
    assert messages[0].parts == (TextPart(text="x"),)
    _, messages = run(START, *cut, change("tool_use"), STOP)
    assert messages[0].tool_calls[0].arguments == '{"INVALID_JSON":"{\\"a\\": "}'


def test_a_compaction_comes_whole() -> None:
    """Its delta says all of it."""
    delta = {"type": "compaction_delta", "content": "Summary.", "encrypted_content": "eA=="}
    _, messages = run(START, *block(0, {"type": "compaction", "content": None}, delta), STOP)
    rendered = formats.render("anthropic", messages)
    assert rendered.messages[0]["content"] == [
        {"type": "compaction", "content": "Summary.", "encrypted_content": "eA=="}
    ]


def test_an_error_in_the_stream_is_said() -> None:
    """What came before it is kept."""
    stream, _ = run(
        START,
        *block(0, {"type": "text", "text": ""}, *words("Hi"), stop=False),
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    )
    assert stream.error == "overloaded_error: Overloaded"
    assert [message.text for message in stream.finish()] == ["Hi"]


def test_events_of_the_sdk_that_repeat_others_are_passed_over() -> None:
    """`client.messages.stream` gives snapshots beside the raw events."""
    stream, _ = run(START, {"type": "text", "text": "Hi", "snapshot": "Hi"}, {"type": "newer"})
    assert stream.text == ""


@pytest.mark.parametrize("event", [{}, {"type": 3}, {"type": "content_block_stop"}])
def test_what_is_no_event_is_refused(event: Any) -> None:
    """With what to give instead."""
    with pytest.raises(InvalidMessage, match="stream"):
        formats.Accumulator("anthropic").feed(event)
