"""Generated payloads of the wires that spell like OpenAI chat, and messages that may be rendered to any of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

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
texts_in = st.fixed_dictionaries({"type": st.just("text"), "text": short})
chunks = texts_in | some(
    type=st.sampled_from(["text", "refusal", "image_url", "input_audio", "file", "thinking", "document_url", "video"]),
    text=short,
    refusal=short,
    image_url=some(url=urls, detail=short) | urls,
    input_audio=some(data=short, format=st.sampled_from(["wav", "mp3", "mpeg"])) | short,
    file=some(file_data=urls, filename=short, file_id=short),
    file_id=short,
    document_url=urls,
    document_name=short,
    thinking=st.lists(texts_in | json_values, max_size=2) | short,
    signature=short,
    cache_control=json_values,
)
functions = some(name=st.sampled_from(["f", "a.b", ""]), arguments=short)
calls = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "Abcdefgh1"]),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": st.just("f"), "arguments": short}),
    }
) | some(
    id=st.sampled_from(["a", "b", ""]) | short,
    type=st.sampled_from(["function", "custom", "builtin_function"]),
    function=functions,
    custom=some(name=short, input=short),
)
bodies = st.fixed_dictionaries({"content": short}) | some(
    content=short | st.lists(chunks, max_size=3),
    name=short,
    tool_calls=st.lists(calls, max_size=3),
    tool_call_id=st.sampled_from(["a", "b", "Abcdefgh1"]),
    function_call=functions,
    reasoning=st.sampled_from(["x", "y", ""]),
    reasoning_content=st.sampled_from(["x", "y", ""]),
    reasoning_details=st.lists(json_values, max_size=2),
    refusal=short,
    audio=some(id=short, data=short, transcript=short),
    annotations=st.lists(json_values, max_size=2),
    prefix=st.booleans(),
)


def payloads(*roles: str) -> st.SearchStrategy[list[Any]]:
    """Messages in these roles, right and wrong."""
    message = st.builds(lambda role, body: {**body, "role": role}, st.sampled_from(roles), bodies)
    return st.lists(message, max_size=4)


def text(value: Any) -> str:
    """JSON text, to compare by: 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


# -- messages

ids = st.sampled_from(["", "a", "b", "x" * 70, "call_1", "Abcdefgh1"])
names = st.sampled_from(["f", "g", "a.b", "", "n" * 70])
texts = st.builds(lambda said: TextPart(text=said), short)
images = st.just(ImagePart(url="https://example.org/a")) | st.just(ImagePart(blob="00"))
opaques = st.just(Opaque(wire="google", data='{"executableCode":{}}'))
own_calls = st.builds(lambda call_id, name: ToolCall(call_id=call_id, name=name), ids, names)
results = st.builds(
    lambda call_id, name, parts, is_error: ToolResult(
        call_id=call_id, name=name, parts=tuple(parts), is_error=is_error
    ),
    ids,
    names | st.none(),
    st.lists(texts | images | opaques, max_size=2),
    st.sampled_from([None, None, True, False]),
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

extras = st.sampled_from(
    [
        None,
        None,
        '{"type":"refusal"}',
        '{"type":"custom"}',
        '{"refusal":null,"tool_calls":[]}',
        '{"tool_calls":[3],"content":4,"function_call":"x","name":7,"prefix":true}',
    ]
)
odd_opaques = st.builds(
    lambda wire, data: Opaque(wire=wire, data=data),
    st.sampled_from(["openai_chat", "mistral", "google"]),
    st.sampled_from(['{"type":"text","text":"x"}', '{"type":"video","x":1}', "3", "[]", "no JSON", '{"type":"text"}']),
)
media = st.sampled_from(
    [
        AudioPart(media_type="audio/wav", data="AAAA"),
        AudioPart(file_id="audio_1"),
        FilePart(media_type="application/pdf", data="AAAA", name="a.pdf"),
        FilePart(url="https://example.org/a.pdf"),
        FilePart(file_id="file-1"),
        ImagePart(media_type="image/png", data="AAAA"),
        ThinkingPart(redacted="zz"),
        ThinkingPart(text="hm"),
    ]
)
odd_texts = st.builds(lambda said, extra: TextPart(text=said, extra=extra), short, extras)
odd_calls = st.builds(
    lambda call_id, name, arguments, extra: ToolCall(call_id=call_id, name=name, arguments=arguments, extra=extra),
    ids,
    names,
    st.sampled_from(["", "{}", "{"]),
    extras,
)
odd_parts = texts | odd_texts | images | odd_opaques | media | odd_calls | results
odd_messages = st.builds(
    lambda role, parts, wire, joins, layout, extra, name: Message(
        role=role, parts=tuple(parts), wire=wire, joins=joins, layout=layout, extra=extra, name=name
    ),
    st.sampled_from(["system", "developer", "user", "assistant", "assistant", "tool", "tool"]),
    st.lists(odd_parts, max_size=3),
    st.sampled_from([None, "openai_chat", "mistral", "anthropic"]),
    st.booleans(),
    st.sampled_from([None, None, "list", "absent", "reasoning", "both", "verbatim 000000000000"]),
    extras,
    st.sampled_from([None, None, "ann", "Ann Lee", ""]),
)
any_messages = st.lists(
    odd_messages
    | messages_of("user", texts)
    | messages_of("assistant", texts | own_calls)
    | messages_of("tool", results),
    max_size=8,
)
"""Of every wire and of none, edited, joined, with parts in roles that they do not belong in."""
