"""openai_responses: the events of a stream become the messages that the whole response would be."""

from __future__ import annotations

from typing import Any

import pytest

from palaver import formats
from palaver.errors import InvalidMessage

WIRE = "openai_responses"
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 12,
}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zz"}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "look",
    "arguments": '{"shelf":3}',
    "status": "completed",
}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "phase": "final_answer",
    "content": [{"type": "output_text", "text": "A jar.", "annotations": [], "logprobs": []}],
}


def event(kind: str, **keys: Any) -> dict[str, Any]:
    """An event of the stream."""
    return {"type": f"response.{kind}", "sequence_number": 0, **keys}


def item(index: int, raw: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of an item that is there at once."""
    keys: dict[str, Any] = {"output_index": index, "item": {**raw, "status": "in_progress"}}
    return [event("output_item.added", **keys), event("output_item.done", output_index=index, item=raw)]


def spoken(index: int, raw: dict[str, Any], *deltas: str) -> list[dict[str, Any]]:
    """The events of a message that comes in pieces."""
    at: dict[str, Any] = {"output_index": index, "content_index": 0, "item_id": raw["id"]}
    begun = {**raw, "status": "in_progress", "content": []}
    return [
        event("output_item.added", output_index=index, item=begun),
        event("content_part.added", **at, part={"type": "output_text", "text": "", "annotations": []}),
        *(event("output_text.delta", **at, delta=delta, logprobs=[]) for delta in deltas),
        event("output_text.done", **at, text="".join(deltas), logprobs=[]),
        event("content_part.done", **at, part=raw["content"][0]),
        event("output_item.done", output_index=index, item=raw),
    ]


def end(kind: str, *output: Any, **keys: Any) -> dict[str, Any]:
    """The last event."""
    response = {"id": "resp_1", "object": "response", "model": "m", "output": list(output), "usage": USAGE, **keys}
    return event(kind, response=response)


START = [
    event("created", response={"id": "resp_1", "object": "response", "output": []}),
    event("in_progress", response={"id": "resp_1", "object": "response", "output": []}),
]
WHOLE = [*START, *item(0, THOUGHT), *item(1, CALL), *spoken(2, SAID, "A ", "jar.")]


@pytest.mark.parametrize("output", [[THOUGHT, CALL, SAID], []])
def test_a_stream_gives_what_the_response_would_be(output: list[Any]) -> None:
    """With usage on the last message; also from a server that leaves the output empty at the end."""
    stream = formats.Accumulator(WIRE)
    assert [stream.feed(each) for each in WHOLE] == [[]] * len(WHOLE)
    assert stream.text == "A jar."
    (message,) = stream.feed(end("completed", *output))
    (expected,) = formats.parse(WIRE, end("completed", THOUGHT, CALL, SAID)["response"])
    assert message == expected
    assert message.usage is not None
    assert (message.usage.input_tokens, message.usage.model) == (9, "m")
    assert stream.usage == message.usage
    assert stream.finish() == []
    assert stream.error is None


def test_a_stream_that_broke_off_keeps_text_and_no_half_call() -> None:
    """Items that were complete stay; text is kept as far as it came, without an id that the server may not know."""
    stream = formats.Accumulator(WIRE)
    half = event("output_item.added", output_index=3, item={**CALL, "arguments": ""})
    delta = event("function_call_arguments.delta", output_index=3, item_id="fc_2", delta='{"she')
    for each in [*START, *item(0, THOUGHT), *item(1, CALL), *spoken(2, SAID, "A ")[:3], half, delta]:
        assert stream.feed(each) == []
    assert stream.text == "A "
    (message,) = stream.finish()
    text = {"type": "output_text", "text": "A "}
    partial = {"type": "message", "role": "assistant", "content": [text], "phase": "final_answer"}
    assert formats.render(WIRE, [message], repair=False).messages == [THOUGHT, CALL, partial]
    assert stream.messages == [message]
    assert stream.finish() == []


def test_a_stream_of_nothing_is_no_message() -> None:
    """What began and said nothing leaves nothing."""
    stream = formats.Accumulator(WIRE)
    for each in [*START, event("output_item.added", output_index=0, item={**SAID, "content": []})]:
        stream.feed(each)
    assert stream.finish() == []


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "Slow down."}, "rate_limit_exceeded: Slow down."),
        ({"type": "error", "error": {"type": "x", "message": "No."}}, "No."),
        ({"type": "error"}, "the provider reported an error"),
    ],
)
def test_an_error_is_said(event: dict[str, Any], said: str) -> None:
    """In the provider's words; what came before stays."""
    stream = formats.Accumulator(WIRE)
    for each in [*START, *item(0, THOUGHT), *item(1, CALL), event]:
        assert stream.feed(each) == []
    assert stream.error == said
    (message,) = stream.finish()
    assert message.tool_calls


def test_a_failed_response_says_why() -> None:
    """And keeps what there was."""
    stream = formats.Accumulator(WIRE)
    for each in [*START, *spoken(0, SAID, "A ")[:3]]:
        stream.feed(each)
    (message,) = stream.feed(end("failed", error={"code": "server_error", "message": "Oops."}))
    assert (message.text, stream.error) == ("A ", "server_error: Oops.")
    other = formats.Accumulator(WIRE)
    assert other.feed(end("failed", error=None)) == []
    assert other.error == "the response failed"


def test_an_incomplete_response_is_what_it_says() -> None:
    """As `parse` reads it."""
    stream = formats.Accumulator(WIRE)
    cut = {**SAID, "status": "incomplete"}
    for each in [*START, *spoken(0, cut, "A jar.")]:
        stream.feed(each)
    last = end("incomplete", cut, incomplete_details={"reason": "max_output_tokens"})
    assert stream.feed(last) == formats.parse(WIRE, last["response"])


def test_refusals_and_texts_that_come_at_once_are_text() -> None:
    """Whether there are deltas or not."""
    at = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    stream = formats.Accumulator(WIRE)
    stream.feed(event("refusal.delta", **at, delta="I "))
    stream.feed(event("refusal.done", **at, refusal="I won't."))
    assert stream.finish()[0].text == "I won't."
    whole = formats.Accumulator(WIRE)
    whole.feed(event("output_text.done", **at, text="A jar."))
    assert whole.text == "A jar."
    late = formats.Accumulator(WIRE)
    late.feed(event("output_item.done", output_index=0, item=SAID))
    assert late.text == "A jar."
    assert late.finish() == formats.parse(WIRE, [SAID])


def test_events_that_are_not_known_are_passed_over() -> None:
    """The API grows."""
    stream = formats.Accumulator(WIRE)
    assert stream.feed(event("of_tomorrow", x=1)) == []
    assert stream.finish() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"choices": []},
        {"type": 3},
        {"type": "response.completed"},
        {"type": "response.output_item.added", "output_index": 0},
        {"type": "response.output_item.done", "item": SAID},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": None},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": True, "delta": "x"},
        {"type": "response.output_text.delta", "output_index": "0", "content_index": 0, "delta": "x"},
    ],
)
def test_what_is_no_event_is_refused(bad: dict[str, Any]) -> None:
    """Nothing is lost in silence."""
    with pytest.raises(InvalidMessage):
        formats.Accumulator(WIRE).feed(bad)
