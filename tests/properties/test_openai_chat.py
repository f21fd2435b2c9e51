"""openai_chat: nothing that a provider could send is lost, and what is rendered is always well formed."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palaver import formats
from palaver.codec import decode, encode
from palaver.model import ImagePart, Message, Opaque, TextPart, ThinkingPart, ToolCall, ToolResult

short = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | short
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner, max_size=3), max_leaves=6
)


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these keys, each as described or as something else altogether."""
    optional = {key: values | json_values for key, values in keys.items()}
    return st.fixed_dictionaries({}, optional=optional)


urls = st.sampled_from(["data:image/png;base64,AA==", "data:,x", "https://example.org/a", "data:a;b=c;base64,", ""])
content_parts = some(
    type=st.sampled_from(["text", "refusal", "image_url", "input_audio", "file", "thinking"]),
    text=short,
    refusal=short,
    image_url=some(url=urls, detail=short),
    input_audio=some(data=short, format=st.sampled_from(["wav", "mp3", "mpeg"])),
    file=some(file_data=urls, filename=short, file_id=short),
    cache_control=json_values,
)
calls = some(
    id=st.sampled_from(["a", "b", ""]) | short,
    type=st.sampled_from(["function", "custom"]),
    function=some(name=short, arguments=short),
    custom=some(name=short, input=short),
)
bodies = some(
    content=short | st.lists(content_parts, max_size=3),
    name=short,
    tool_calls=st.lists(calls, max_size=3),
    tool_call_id=st.sampled_from(["a", "b"]),
    function_call=some(name=short, arguments=short),
    reasoning=st.sampled_from(["x", "y", ""]),
    reasoning_content=st.sampled_from(["x", "y", ""]),
    reasoning_details=st.lists(json_values, max_size=2),
    refusal=short,
    audio=some(id=short, data=short, transcript=short),
    annotations=st.lists(json_values, max_size=2),
)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])
payloads = st.lists(st.builds(lambda role, body: {**body, "role": role}, roles, bodies), max_size=4)


def text(value: Any) -> str:
    """JSON text, to compare by: 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


@given(payloads)
def test_any_payload_comes_back_exactly(payload: list[Any]) -> None:
    """Whatever the keys hold, rendering what was parsed and stored gives the payload back."""
    before = copy.deepcopy(payload)
    messages = [decode(encode(message)) for message in formats.parse("openai_chat", payload)]
    rendered = formats.render("openai_chat", messages, repair=False)
    assert text(rendered.messages) == text(before)
    assert rendered.repairs == ()
    assert text(payload) == text(before)


ids = st.sampled_from(["", "a", "b", "x" * 70])
names = st.sampled_from(["f", "g", "a.b", ""])
texts = st.builds(lambda said: TextPart(text=said), short)
images = st.just(ImagePart(url="https://example.org/a")) | st.just(ImagePart(blob="00"))
opaques = st.just(Opaque(wire="google", data='{"executableCode":{}}'))
own_calls = st.builds(lambda call_id, name: ToolCall(call_id=call_id, name=name), ids, names)
results = st.builds(
    lambda call_id, name, parts: ToolResult(call_id=call_id, name=name, parts=tuple(parts)),
    ids,
    names | st.none(),
    st.lists(texts | images | opaques, max_size=2),
)
thoughts = st.just(ThinkingPart(text="hm", signature="c2ln"))


def messages_of(role: Any, parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    """Messages of our own, or of another wire, in a role."""
    return st.builds(
        lambda some_parts, wire, joins, seq: Message(
            role=role, parts=tuple(some_parts), wire=wire, joins=joins, seq=seq
        ),
        st.lists(parts, max_size=3),
        st.sampled_from([None, "google", "anthropic"]),
        st.booleans(),
        st.integers(0, 9),
    )


foreign = st.lists(
    messages_of("user", texts | images | opaques)
    | messages_of("assistant", texts | own_calls | thoughts | opaques | images)
    | messages_of("tool", results)
    | messages_of("system", texts),
    max_size=8,
)


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
    """Every text is in the payload; every part that is not, is listed."""
    rendered = formats.render("openai_chat", messages)
    said = text(rendered.messages)
    listed = [repair.kind for repair in rendered.repairs]
    if "message_left_out" in listed or "orphan" in str(rendered.repairs):
        return
    parts = [part for message in messages for part in message.parts]
    inner = [*parts, *(part for result in parts if isinstance(result, ToolResult) for part in result.parts)]
    assert listed.count("thinking_left_out") == sum(isinstance(part, ThinkingPart) for part in parts)
    if "result_left_out" not in listed:
        assert listed.count("opaque_left_out") == sum(isinstance(part, Opaque) for part in inner)
        assert all(json.dumps(part.text)[1:-1] in said for part in inner if isinstance(part, TextPart))
    spelled = sum(message["role"] == "tool" for message in rendered.messages)
    spelled -= listed.count("interrupted")
    assert spelled + listed.count("result_left_out") == sum(isinstance(part, ToolResult) for part in parts)
