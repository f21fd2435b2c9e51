"""openai_chat: streams put together as the whole answer would have been, of OpenAI and of its look-alikes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from palaver import formats
from palaver.formats import Accumulator
from palaver.model import AudioPart, Message, TextPart, ThinkingPart, Usage


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    """One event, with this delta."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }


def piece(index: int, call_id: str | None = None, name: str | None = None, arguments: str | None = None) -> Any:
    """A piece of a call."""
    named = {} if call_id is None else {"id": call_id, "type": "function"}
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"index": index, **named, "function": function}


def streamed(*events: Any) -> Message:
    """The one message that these events make."""
    stream = Accumulator("openai_chat")
    for event in events:
        assert stream.feed(event) == []
    (message,) = stream.finish()
    assert stream.messages == [message]
    return message


def parsed(**keys: Any) -> Message:
    """The message that the whole answer gives."""
    (message,) = formats.parse("openai_chat", [{"role": "assistant", **keys}])
    return message


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A whole call."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_text_in_pieces() -> None:
    """With the text so far, and what the answer used: in a last chunk without choices."""
    stream = Accumulator("openai_chat")
    stream.feed(chunk(role="assistant", content="", refusal=None))
    stream.feed(chunk(content="A "))
    stream.feed(chunk(content="jar."))
    assert stream.text == "A jar."
    stream.feed(chunk("stop"))
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    stream.feed({"choices": [], "model": "m-1", "usage": counts})
    usage = Usage(input_tokens=9, output_tokens=3, cached_tokens=4, model="m-1")
    assert stream.usage == usage
    assert stream.finish() == [parsed(content="A jar.", refusal=None).replace(usage=usage)]
    assert stream.error is None


def test_a_whole_response_has_its_usage_too() -> None:
    """As `response` dumps to."""
    response = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "completion_tokens_details": {"reasoning_tokens": 2},
            "cost": 0.0001,
        },
    }
    (message,) = formats.parse("openai_chat", response)
    usage = Usage(
        input_tokens=9,
        output_tokens=3,
        reasoning_tokens=2,
        model="m-1",
        cost=Decimal("0.0001"),
        cost_source="reported by the provider",
    )
    assert message == parsed(content="Hi").replace(usage=usage)


def test_parallel_calls_come_by_index() -> None:
    """Their pieces may alternate."""
    message = streamed(
        chunk(role="assistant", content=None, tool_calls=[piece(0, "a", "look", "")]),
        chunk(tool_calls=[piece(0, arguments='{"sh')]),
        chunk(tool_calls=[piece(1, "b", "count", "")]),
        chunk(tool_calls=[piece(0, arguments='elf":3}'), piece(1, arguments="{}")]),
        chunk("tool_calls"),
    )
    calls = [call("a", "look", '{"shelf":3}'), call("b", "count", "{}")]
    assert message == parsed(content=None, tool_calls=calls)


@pytest.mark.parametrize(
    "pieces",
    [
        [[piece(0, "a", "look", "{}"), piece(0, "b", "look", "{}")]],
        [[piece(0, "a", "look", "{}")], [piece(0, "b", "look", "{"), piece(0, arguments="}")]],
        [[piece(0, "a", "look", "{}")], [piece(1, "b", "look", "{}")]],
        [[piece(0, "a", "look", "{"), piece(0, "", "", "}")], [piece(1, "b", "look", "{}")]],
        [[piece(0, "a", "look", "{"), piece(0, "zz", None, "}")], [piece(1, "b", "look", "{}")]],
        [
            [piece(0, "a", "look", "{"), piece(0, "a", "look", "}")],
            [piece(1, "b", "lo", ""), piece(1, None, "ok", "{}")],
        ],
    ],
)
def test_calls_of_look_alikes(pieces: list[Any]) -> None:
    """Which all have index 0, repeat id or name, leave them empty, or make up an id for every piece."""
    message = streamed(*(chunk(tool_calls=each) for each in pieces), chunk("tool_calls"))
    assert message.tool_calls == parsed(tool_calls=[call("a", "look", "{}"), call("b", "look", "{}")]).tool_calls


def test_calls_without_an_index() -> None:
    """An id of its own begins a call; what has none goes on with the last."""
    parts = [piece(0, "a", "look", "{"), piece(0, None, None, "}"), piece(0, "b", "look", "{}")]
    for part in parts:
        del part["index"]
    message = streamed(chunk(tool_calls=parts), chunk("tool_calls"))
    assert [each.call_id for each in message.tool_calls] == ["a", "b"]


def test_a_custom_call() -> None:
    """Its input is text."""
    first = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "sh", "input": ""}}
    message = streamed(
        chunk(tool_calls=[first]), chunk(tool_calls=[{"index": 0, "custom": {"input": "ls"}}]), chunk("tool_calls")
    )
    whole = {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    assert message == parsed(content=None, tool_calls=[whole])


def test_a_legacy_function_call() -> None:
    """Its name comes whole, its arguments in pieces."""
    message = streamed(
        chunk(role="assistant", content=None, function_call={"name": "look", "arguments": ""}),
        chunk(function_call={"arguments": "{"}),
        chunk(function_call={"arguments": "}"}),
        chunk("function_call"),
    )
    assert message == parsed(content=None, function_call={"name": "look", "arguments": "{}"})


def test_a_refusal_is_text_for_the_person() -> None:
    """It stands beside the content."""
    stream = Accumulator("openai_chat")
    for event in (chunk(role="assistant", refusal=""), chunk(refusal="I will"), chunk(refusal=" not."), chunk("stop")):
        stream.feed(event)
    assert stream.text == "I will not."
    assert stream.finish() == [parsed(content=None, refusal="I will not.")]


def test_a_spoken_answer() -> None:
    """Data and transcript come in pieces, the expiry after the end."""
    message = streamed(
        chunk(role="assistant", content=None, audio={"id": "audio_1", "transcript": "A "}),
        chunk(audio={"id": "audio_1", "transcript": "jar."}),
        chunk(audio={"data": "AAAA"}),
        chunk(audio={"data": "BBBB"}),
        chunk("stop"),
        chunk(audio={"expires_at": 9}),
    )
    (part,) = message.parts
    assert isinstance(part, AudioPart)
    assert part.data == "AAAABBBB"
    audio = {"id": "audio_1", "transcript": "A jar.", "data": "AAAABBBB", "expires_at": 9}
    assert formats.render("openai_chat", [message]).messages[0]["audio"] == audio


# -- look-alikes


def test_deepseek_thinks_first() -> None:
    """`reasoning_content`; its usage is in the last chunk with a choice, its cache hits have a key of their own."""
    last = chunk("stop", content="", reasoning_content=None)
    last["usage"] = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 8}
    message = streamed(
        chunk(role="assistant", content=None, reasoning_content=""),
        chunk(content=None, reasoning_content="Hm, "),
        chunk(content=None, reasoning_content="a jar."),
        chunk(content="A jar.", reasoning_content=None),
        last,
    )
    assert message.parts == (ThinkingPart(text="Hm, a jar."), TextPart(text="A jar."))
    assert message.usage is not None
    assert message.usage.cached_tokens == 8
    assert message.replace(usage=None) == parsed(content="A jar.", reasoning_content="Hm, a jar.")


def test_groq_reports_in_a_key_of_its_own() -> None:
    """`x_groq`, and reasoning under `reasoning`."""
    last = {**chunk("stop"), "x_groq": {"id": "req_1", "usage": {"prompt_tokens": 9, "completion_tokens": 3}}}
    message = streamed(
        chunk(role="assistant", content="", channel="analysis", reasoning="Hm"),
        chunk(reasoning="."),
        chunk(content="A"),
        last,
    )
    assert message.usage == Usage(input_tokens=9, output_tokens=3, model="m-1")
    assert message.replace(usage=None) == parsed(content="A", reasoning="Hm.", channel="analysis")


def test_openrouter_keeps_its_reasoning_details() -> None:
    """Pieces of one block become one, with the signature that comes last; encrypted ones stay whole."""

    def detail(**keys: Any) -> dict[str, Any]:
        return {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, **keys}

    sealed = {"type": "reasoning.encrypted", "data": "zz", "id": "rs_1", "index": 1}
    message = streamed(
        chunk(role="assistant", content="", reasoning="Hm, ", reasoning_details=[detail(text="Hm, ")]),
        chunk(content="", reasoning="a jar.", reasoning_details=[detail(text="a jar.", signature=None)]),
        chunk(content="", reasoning=None, reasoning_details=[detail(signature="c2ln")]),
        chunk(content="", reasoning_details=[sealed]),
        chunk(content="A jar."),
        {**chunk("stop", content=""), "provider": "Anthropic", "native_finish_reason": "end_turn"},
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "cost": 0.00012}},
    )
    assert message.usage is not None
    assert message.usage.cost == Decimal("0.00012")
    details = [detail(text="Hm, a jar.", signature="c2ln"), sealed]
    whole = parsed(content="A jar.", reasoning="Hm, a jar.", reasoning_details=details)
    assert message.replace(usage=None) == whole
    again = formats.render("openai_chat", [message])
    assert again.repairs == ()
    assert again.messages[0]["reasoning_details"] == details


def test_reasoning_summaries_in_pieces() -> None:
    """The other kind of text among the details."""
    message = streamed(
        chunk(reasoning_details=[{"type": "reasoning.summary", "summary": "Ho", "index": 0}]),
        chunk(reasoning_details=[{"type": "reasoning.summary", "summary": "w", "index": 0}]),
        chunk("stop", content="A", reasoning_details=[{"type": "reasoning.summary", "summary": "Next", "index": 1}]),
    )
    details = [
        {"type": "reasoning.summary", "summary": "How", "index": 0},
        {"type": "reasoning.summary", "summary": "Next", "index": 1},
    ]
    assert message == parsed(content="A", reasoning_details=details)


def test_lists_are_gathered_and_other_keys_are_the_last_ones() -> None:
    """Citations come in several chunks; a key that nobody knows is kept as it was said last."""
    message = streamed(
        chunk(content="A", annotations=[{"n": 1}], token_id=1),
        chunk("stop", content="B", annotations=[{"n": 2}], token_id=2, seal={"x": 1}),
    )
    assert message == parsed(content="AB", annotations=[{"n": 1}, {"n": 2}], token_id=2, seal={"x": 1})


def test_of_several_choices_the_first_counts() -> None:
    """The others are alternatives, not messages."""
    message = streamed(chunk(content="A"), chunk(index=1, content="B"), chunk("stop"), chunk("stop", index=1))
    assert message == parsed(content="A")


# -- streams that end too early


def test_an_interrupted_text_is_kept() -> None:
    """As far as it came."""
    assert streamed(chunk(role="assistant", content="A "), chunk(content="ja")) == parsed(content="A ja")


@pytest.mark.parametrize("arguments", ["", "{", '{"shelf":', "[]", "3"])
def test_an_interrupted_call_is_left_out(arguments: str) -> None:
    """One that is whole is kept, as it cannot become another."""
    message = streamed(
        chunk(content="Let me look.", tool_calls=[piece(0, "a", "look", '{"shelf":3}')]),
        chunk(tool_calls=[piece(1, "b", "look", arguments)]),
    )
    assert message == parsed(content="Let me look.", tool_calls=[call("a", "look", '{"shelf":3}')])


@pytest.mark.parametrize("arguments", ["", "{"])
def test_a_finished_call_is_kept_as_it_is(arguments: str) -> None:
    """Without arguments, or with bad ones: the model said so."""
    message = streamed(chunk(tool_calls=[piece(0, "a", "look", arguments)]), chunk("tool_calls"))
    assert message == parsed(content=None, tool_calls=[call("a", "look", arguments)])


def test_half_a_call_alone_is_nothing() -> None:
    """And no message."""
    stream = Accumulator("openai_chat")
    stream.feed(chunk(role="assistant", content=None, tool_calls=[piece(0, "a", "look", "{")]))
    stream.feed(chunk(function_call={"name": "look", "arguments": "{"}))
    assert stream.finish() == []


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "Overloaded", "code": 502}},
        {
            "error": {"message": "Overloaded"},
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        },
        {"error": "Overloaded"},
        {"object": "error", "message": "Overloaded", "code": 500},
        {"x_groq": {"error": "Overloaded"}, "choices": []},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "Overloaded"}}]},
    ],
)
def test_an_error_in_the_middle(event: dict[str, Any]) -> None:
    """It is said, and what came before is kept, but for half a call."""
    stream = Accumulator("openai_chat")
    stream.feed(chunk(content="A", tool_calls=[piece(0, "a", "look", "{")]))
    stream.feed(event)
    assert stream.error == "Overloaded"
    assert stream.finish() == [parsed(content="A")]


def test_what_is_odd_is_passed_over() -> None:
    """A stream is no place to raise."""
    message = streamed(
        {},
        {"choices": None},
        {"choices": [3, {"index": 0}, {"index": 0, "delta": 3}]},
        chunk(tool_calls=3, content=None),
        chunk(tool_calls=[3, {"index": 0, "function": 3}, {"index": 0, "id": 7}]),
        chunk(content=3, reasoning=4, audio=[]),
        {"usage": {"prompt_tokens": -1, "completion_tokens": True, "cost": "free"}},
        chunk(content="A"),
    )
    assert message.text == "A"
    assert message.usage == Usage(model="m-1")
