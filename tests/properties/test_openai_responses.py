"""openai_responses: nothing that a provider could send is lost, and what is rendered breaks no rule."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palaver import formats
from palaver.codec import decode, encode
from palaver.errors import InvalidMessage
from palaver.formats.legal import legal
from palaver.formats.wire import Notes
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

WIRE = "openai_responses"

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
entries = some(
    type=st.sampled_from(
        [
            "input_text",
            "output_text",
            "refusal",
            "input_image",
            "input_file",
            "input_audio",
            "summary_text",
            "reasoning_text",
            "computer_screenshot",
            "new",
        ]
    ),
    text=short,
    refusal=short,
    image_url=urls,
    file_url=urls,
    file_data=urls,
    filename=short,
    file_id=short,
    detail=short,
    item=some(id=short),
    input_audio=some(data=short, format=st.sampled_from(["wav", "mp3", "mpeg"])),
    annotations=st.lists(json_values, max_size=1),
)
ids = st.sampled_from(["rs_1", "msg_1", "fc_1", "ws_1", "rs_2", "x", "rs_a-b", "fc_" + "x" * 70, ""])
call_ids = st.sampled_from(["a", "b", "", "c" * 70])
kinds = st.sampled_from(
    [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "tool_search_call",
        "tool_search_output",
        "computer_call",
        "computer_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "item_reference",
        "web_search_call",
        "image_generation_call",
        "compaction",
        "additional_tools",
        "configuration_update",
        "new_call",
    ]
)
bodies = some(
    id=ids,
    call_id=call_ids,
    role=st.sampled_from(["user", "assistant", "system", "developer"]),
    status=st.sampled_from(["completed", "failed"]),
    phase=short,
    content=short | st.lists(entries, max_size=3),
    summary=st.lists(entries, max_size=3),
    encrypted_content=short,
    name=short,
    namespace=short,
    arguments=short | some(query=short),
    input=short,
    output=short | st.lists(entries, max_size=3) | entries,
    action=json_values,
    actions=json_values,
    operation=json_values,
    tools=json_values,
    execution=st.sampled_from(["client", "server"]),
    approval_request_id=call_ids,
    approve=st.booleans(),
    result=short,
    output_format=short,
    environment=some(type=st.just("container_reference")),
)
roles = st.sampled_from(["user", "assistant", "system", "developer"])
messages_raw = st.builds(lambda role, body: {**body, "role": role}, roles, some(content=short | st.lists(entries)))
items = (
    st.builds(lambda kind, body: {**body, "type": kind}, kinds, bodies)
    | messages_raw
    | st.sampled_from(
        [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "zz"},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call", "id": "fc_1", "call_id": "b", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "x"},
            {"type": "function_call_output", "call_id": "b", "output": "x"},
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "x"},
            {"type": "message", "id": "msg_1", "role": "assistant", "content": "x"},
        ]
    )
)
payloads = st.lists(items, max_size=6)


def text(value: Any) -> str:
    """JSON text, to compare by: 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


def parsed(payload: list[Any]) -> list[Message]:
    """The messages of a payload; none where it is no payload of this wire, which is what the error says."""
    try:
        return formats.parse(WIRE, payload)
    except InvalidMessage as error:
        assert str(error).startswith("messages[")  # noqa: PT017 - which payloads raise is not what is tested
        return []


@given(payloads, st.none() | short | st.lists(json_values, max_size=2))
def test_any_payload_comes_back_exactly(payload: list[Any], system: Any) -> None:
    """Whatever the keys hold, rendering what was parsed and stored gives the payload back."""
    before = copy.deepcopy(payload)
    try:
        messages = formats.parse(WIRE, payload, system=system)
    except InvalidMessage:
        return
    rendered = formats.render(WIRE, [decode(encode(message)) for message in messages], repair=False)
    assert text(rendered.messages) == text(before)
    assert text(rendered.system) == text(system)
    assert rendered.repairs == ()
    assert text(payload) == text(before)


@given(payloads)
def test_what_breaks_no_rule_is_not_touched(payload: list[Any]) -> None:
    """A payload that `check` finds nothing in comes back exactly, with repairs as well, unless `legal` had work."""
    if formats.check(WIRE, payload):
        return
    rendered = formats.render(WIRE, parsed(payload))
    if not rendered.repairs:
        assert text(rendered.messages) == text(payload)


@given(payloads)
def test_a_repaired_payload_breaks_no_rule(payload: list[Any]) -> None:
    """Whatever a payload of this wire was, with repairs it is one that `check` finds nothing in."""
    messages = parsed(payload)
    rendered = formats.render(WIRE, messages)
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []
    assert text(rendered.messages) == text(payload) or rendered.repairs or not messages
    assert formats.render(WIRE, messages) == rendered


@given(st.lists(json_values | items, max_size=4), json_values)
def test_check_says_something_of_anything(payload: list[Any], system: Any) -> None:
    """Garbage is a violation and no exception."""
    for violation in formats.check(WIRE, payload, system=system):
        assert violation.rule.startswith("OR")
        assert violation.says
        assert violation.remedy


texts = st.builds(lambda said: TextPart(text=said), short)
media = st.sampled_from(
    [
        ImagePart(url="https://example.org/a"),
        ImagePart(media_type="image/png", data="AA=="),
        ImagePart(blob="00"),
        ImagePart(file_id="file-1"),
        FilePart(media_type="application/pdf", data="AA=="),
        FilePart(url="https://example.org/a.pdf", name="a.pdf"),
        AudioPart(media_type="audio/wav", data="AA=="),
    ]
)
opaques = st.builds(
    lambda wire, data: Opaque(wire=wire, data=data),
    st.sampled_from(["google", WIRE]),
    st.sampled_from(['{"executableCode":{}}', "3", "not json"]) | st.builds(json.dumps, items),
)
names = st.sampled_from(["f", "g", "a.b", "", "n" * 200])
layouts = st.sampled_from(
    [None, "message", "content", "summary", "+summary", "custom_tool_call", "computer_call", "shell_call", "list"]
)
extras = st.sampled_from([None, "{}", "[]", "x", '{"item":{"id":"msg_1"}}', '{"id":"fc_1","type":"refusal"}'])
own_calls = st.builds(
    lambda call_id, name, arguments, layout, extra: ToolCall(
        call_id=call_id, name=name, arguments=arguments, layout=layout, extra=extra
    ),
    call_ids,
    names,
    st.sampled_from(["", "{}", '{"a":1}', "no json"]),
    layouts,
    extras,
)
results = st.builds(
    lambda call_id, name, parts, layout, extra: ToolResult(
        call_id=call_id, name=name, parts=tuple(parts), layout=layout, extra=extra
    ),
    call_ids,
    names | st.none(),
    st.lists(texts | media | opaques, max_size=2),
    layouts,
    extras,
)
thoughts = st.builds(
    lambda said, redacted, layout, extra: ThinkingPart(
        text=said, signature="c2ln", redacted=redacted, layout=layout, extra=extra
    ),
    short | st.none(),
    short | st.none(),
    layouts,
    extras,
)
laid = st.builds(lambda said, layout, extra: TextPart(text=said, layout=layout, extra=extra), short, layouts, extras)


def messages_of(role: Any, parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    """Messages of our own, of this wire or of another, in a role."""
    return st.builds(
        lambda some_parts, wire, joins, seq, layout, extra: Message(
            role=role, parts=tuple(some_parts), wire=wire, joins=joins, seq=seq, layout=layout, extra=extra
        ),
        st.lists(parts, max_size=3),
        st.sampled_from([None, "google", "anthropic", WIRE]),
        st.booleans(),
        st.integers(0, 9),
        st.sampled_from([None, "list", "null", "item", "instructions", "input"]),
        extras,
    )


any_part = texts | laid | media | opaques | own_calls | results | thoughts
histories = st.lists(
    messages_of("user", texts | laid | media | opaques)
    | messages_of("assistant", texts | laid | own_calls | thoughts | opaques | media)
    | messages_of("tool", results)
    | messages_of("system", texts | opaques)
    | messages_of("assistant", any_part)
    | messages_of("user", any_part),
    max_size=8,
)


@given(histories)
def test_any_messages_are_rendered_legally(messages: list[Message]) -> None:
    """Messages of any wire, edited by any hand, become an input that `check` finds nothing in."""
    before = copy.deepcopy(messages)
    rendered = formats.render(WIRE, messages)
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []
    assert messages == before
    text(rendered.messages)
    text(formats.render(WIRE, messages, repair=False).messages)


@given(histories)
def test_ids_lead_back(messages: list[Message]) -> None:
    """Every call id of the payload is one of the messages', once they are legal, or `call_ids` says which."""
    foreign = [message for message in messages if message.wire != WIRE]
    rendered = formats.render(WIRE, foreign)
    given_ids = {call.call_id for message in legal(foreign, Notes()) for call in message.tool_calls}
    for item in rendered.messages if isinstance(rendered.messages, list) else []:
        if item.get("type") == "function_call":
            assert rendered.call_ids.get(item["call_id"], item["call_id"]) in given_ids | {""}


@given(histories, histories)
def test_what_was_rendered_stays_as_it_was(messages: list[Message], more: list[Message]) -> None:
    """What comes later does not change how a settled conversation is rendered: its calls answered, text at its end."""
    settled = [m for m in messages if m.wire not in (None, WIRE)]
    settled.append(Message(role="user", parts=(TextPart(text="x"),), wire="google"))
    later = [m.replace(joins=False) for m in more if m.role != "tool" and m.wire != WIRE]
    one = formats.render(WIRE, settled)
    two = formats.render(WIRE, settled + later)
    assert two.messages[: len(one.messages)] == one.messages
    assert two.system == one.system
