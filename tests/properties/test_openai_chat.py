"""openai_chat: nothing that a provider could send is lost, and what is rendered is always legal."""

from __future__ import annotations

import copy
import json
import re
from types import MappingProxyType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palaver import formats
from palaver.codec import decode, encode
from palaver.model import Message, Opaque, TextPart, ThinkingPart, ToolResult
from tests.chat_strategies import any_messages, bodies, foreign, json_values, text
from tests.chat_strategies import payloads as payloads_of

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
payloads = payloads_of(*ROLES)


@given(payloads)
def test_any_payload_comes_back_exactly(payload: list[Any]) -> None:
    """Whatever the keys hold, rendering what was parsed and stored gives the payload back."""
    before = copy.deepcopy(payload)
    messages = [decode(encode(message)) for message in formats.parse("openai_chat", payload)]
    rendered = formats.render("openai_chat", messages, repair=False)
    assert text(rendered.messages) == text(before)
    assert rendered.repairs == ()
    assert text(payload) == text(before)


@given(payloads)
def test_ordinary_messages_are_read_as_the_careful_way_reads_them(payload: list[Any]) -> None:
    """A mapping that is no dict is never ordinary; it must not make a difference."""
    careful = formats.parse("openai_chat", [MappingProxyType(message) for message in payload])
    assert formats.parse("openai_chat", payload) == careful


@given(payloads)
def test_a_repaired_payload_is_clean(payload: list[Any]) -> None:
    """Whatever the keys hold, `render` makes something of it that `check` has nothing to say about."""
    first = formats.render("openai_chat", formats.parse("openai_chat", payload))
    assert formats.check("openai_chat", first.messages) == []
    again = formats.render("openai_chat", formats.parse("openai_chat", first.messages))
    assert again.repairs == ()
    assert text(again.messages) == text(first.messages)
    if not first.repairs:
        assert text(first.messages) == text(payload)


@given(payloads)
def test_what_is_clean_is_not_changed(payload: list[Any]) -> None:
    """But for answers that say nothing, and calls that this version does not take for calls."""
    if formats.check("openai_chat", payload):
        return
    rendered = formats.render("openai_chat", formats.parse("openai_chat", payload))
    assert {repair.kind for repair in rendered.repairs} <= {"message_left_out", "interrupted", "user_added"}
    if not rendered.repairs:
        assert text(rendered.messages) == text(payload)


@given(
    st.lists(st.builds(lambda role, body: {**body, "role": role}, st.sampled_from(ROLES), bodies) | json_values),
    json_values,
)
def test_check_takes_any_json(payload: list[Any], system: Any) -> None:
    """It finds fault, it never raises."""
    for each in formats.check("openai_chat", payload, system=system):
        assert re.fullmatch(r"OC\d+", each.rule)
        assert each.where.startswith(("messages", "system"))
        assert each.says
        assert each.remedy


@given(any_messages)
def test_any_messages_become_clean(messages: list[Message]) -> None:
    """Whatever they are; and the input stays as it is."""
    before = copy.deepcopy(messages)
    rendered = formats.render("openai_chat", messages)
    assert formats.check("openai_chat", rendered.messages) == []
    formats.render("openai_chat", messages, repair=False)
    assert messages == before


@given(foreign)
def test_foreign_messages_are_always_well_formed(messages: list[Message]) -> None:
    """Every id is there, short, and unique in its message; every name fits; content is never a null too many."""
    rendered = formats.render("openai_chat", messages)
    for message in rendered.messages:
        assert message["role"] in ("system", "user", "assistant", "tool")
        wire_ids = [call["id"] for call in message.get("tool_calls", ())]
        assert len(set(wire_ids)) == len(wire_ids)
        assert all(0 < len(wire_id) <= 64 for wire_id in wire_ids)
        assert "tool_calls" not in message or wire_ids
        assert message["content"] is not None or wire_ids
        assert message["content"] != []
        if message["role"] == "tool":
            assert 0 < len(message["tool_call_id"]) <= 64
            assert isinstance(message["content"], str)
    text(rendered.messages)


@given(foreign)
def test_nothing_is_left_out_unlisted(messages: list[Message]) -> None:
    """Every text is in the payload; every part that is not, is listed, or its message is."""
    rendered = formats.render("openai_chat", messages)
    said = text(rendered.messages)
    listed = [repair.kind for repair in rendered.repairs]
    if "message_left_out" in listed or "answers no call" in str(rendered.repairs):
        return
    parts = [part for message in messages for part in message.parts]
    inner = [*parts, *(part for result in parts if isinstance(result, ToolResult) for part in result.parts)]
    assert listed.count("thinking_left_out") == sum(isinstance(part, ThinkingPart) for part in parts)
    assert listed.count("opaque_left_out") == sum(isinstance(part, Opaque) for part in inner)
    assert all(json.dumps(part.text)[1:-1] in said for part in inner if isinstance(part, TextPart))
    spelled = sum(message["role"] == "tool" for message in rendered.messages) - listed.count("interrupted")
    assert spelled == sum(isinstance(part, ToolResult) for part in parts)


@given(any_messages, any_messages)
def test_appending_changes_nothing_before(messages: list[Message], more: list[Message]) -> None:
    """What is rendered of earlier messages stays, so that prompt caches hold; if nothing late answers it."""
    if any(message.role == "tool" or message.joins for message in more):
        return
    whole = formats.render("openai_chat", [*messages, *more]).messages
    part = formats.render("openai_chat", messages).messages
    if any(repair.kind == "user_added" for repair in formats.render("openai_chat", messages).repairs):
        return
    assert text(whole[: len(part)]) == text(part)


@st.composite
def streams(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    """An answer, and the events that a provider would stream it in."""
    answer: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | st.text(max_size=12))}
    for key in ("refusal", "reasoning_content"):
        if draw(st.booleans()):
            answer[key] = draw(st.text(min_size=1, max_size=8))
    calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": arguments}}
        for number, arguments in enumerate(draw(st.lists(st.text(max_size=8), max_size=3)))
    ]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if answer["content"] is None else ""}]
    for key in ("content", "refusal", "reasoning_content"):
        if answer.get(key):
            deltas.extend({key: piece} for piece in draw(pieces(answer[key])))
    for index, call in enumerate(calls):
        function: Any = call["function"]
        named = {**function, "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": named}]})
        deltas.extend(
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in draw(pieces(function["arguments"]))
        )
    if calls:
        answer["tool_calls"] = calls
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return answer, [*events, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def pieces(whole: str) -> st.SearchStrategy[list[str]]:
    """Ways to divide a text."""
    cuts = st.lists(st.integers(0, len(whole)), max_size=3).map(sorted)
    return cuts.map(lambda at: [whole[i:j] for i, j in zip([0, *at], [*at, len(whole)], strict=True)])


@given(streams())
def test_a_stream_gives_what_the_whole_answer_gives(streamed: tuple[dict[str, Any], list[Any]]) -> None:
    """However it was divided."""
    answer, events = streamed
    stream = formats.Accumulator("openai_chat")
    for event in events:
        assert stream.feed(event) == []
    if any(value for key, value in answer.items() if key != "role"):
        assert stream.finish() == formats.parse("openai_chat", [answer])
    else:
        assert stream.finish() == []


@given(streams(), st.integers(0, 9))
def test_a_stream_that_breaks_off_gives_a_message_without_half_calls(
    streamed: tuple[dict[str, Any], list[Any]], kept: int
) -> None:
    """Its text is what came."""
    stream = formats.Accumulator("openai_chat")
    for event in streamed[1][:-1][:kept]:
        stream.feed(event)
    for message in stream.finish():
        assert (message.text or "") == stream.text
        assert all(json.loads(call.arguments) is not None for call in message.tool_calls)


keys = st.sampled_from(["choices", "usage", "error", "model", "x_groq", "data", "object"])
events = st.dictionaries(keys, json_values, max_size=3) | st.builds(
    lambda delta, finish: {"choices": [{"delta": delta, "finish_reason": finish}]}, bodies | json_values, json_values
)


@given(st.lists(events, max_size=5))
def test_a_stream_takes_any_json(fed: list[Any]) -> None:
    """It gives a message of it or none, it never raises."""
    for wire in ("openai_chat", "mistral"):
        stream = formats.Accumulator(wire)
        for event in fed:
            stream.feed(event)
        for message in stream.finish():
            encode(message)
